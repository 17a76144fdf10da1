//! Requests under a limit of a fleet, and revocations of one, from the headers to the answer.

use api_guard_core::code::Code;
use api_guard_core::engine::Engine;
use api_guard_core::exchange::Flow;
use api_guard_core::fleet::CallResponse;
use api_guard_core::telemetry::gauges::Gauge;
use api_guard_core::time::UnixNanos;
use api_guard_testkit::{Decided, Done, Process, SECRET, Stream, Watched, lay_over, policy, request, token};
use serde_json::{Value, json};

use super::model::ModelStore;
use super::store::Store;

const START: u64 = 1_796_000_000;

pub(crate) fn at(milliseconds: u64) -> UnixNanos {
    UnixNanos::from_nanos(START * 1_000_000_000 + milliseconds * 1_000_000)
}

/// One Envoy of the fleet, which has one worker.
pub(crate) struct Envoy {
    pub(crate) engine: Engine,
    pub(crate) process: Process,
}

fn configuration(limit: &Value, revocation: &Value) -> Value {
    let mut whole = json!({ "name": "all", "max_requests": 20, "window_seconds": 60, "scope": "fleet" });
    lay_over(&mut whole, limit);
    json!({
        "tokens": { "keys": [{ "secret": { "value": SECRET } }] },
        "fleet": { "cluster": "store", "secret": { "value": SECRET }, "password": { "value": "hunter2" } },
        "rate_limits": [whole, { "name": "own", "max_requests": 1000, "window_seconds": 60, "key": ["route"] }],
        "revocation": revocation,
    })
}

impl Envoy {
    pub(crate) fn new(limit: &Value) -> Self {
        Self::with(limit, &json!({}))
    }

    fn with(limit: &Value, revocation: &Value) -> Self {
        let engine = Engine::new(policy(&configuration(limit, revocation)));
        Self { engine, process: Process::default() }
    }

    /// What the root does in a tick.
    pub(crate) fn tick(&self, answer: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>, now: UnixNanos) -> Vec<Done> {
        let mut host = Stream::new(&self.process);
        self.engine.on_tick(&mut host, now);
        self.carry_on(&mut host, answer, now);
        host.done
    }

    /// Answers the calls that a host was told to send, and those that follow.
    fn carry_on(
        &self,
        host: &mut Stream<'_>,
        answer: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
        now: UnixNanos,
    ) {
        let mut next = 0;
        while let Some(done) = host.done.get(next).cloned() {
            next += 1;
            let Done::Called(number, body) = done else { continue };
            let reply = answer(&body);
            let response = reply.as_deref().map_or(CallResponse::TimedOut, CallResponse::Reply);
            self.engine.on_called(number, response, host, now);
        }
    }

    /// Answers the calls that a stream was told to send, and those that follow.
    pub(crate) fn answer_calls(
        &self,
        stream: &Watched<'_>,
        answer: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
        now: UnixNanos,
    ) {
        let mut root = Stream::new(&self.process);
        root.done =
            stream.host.done.iter().filter(|done| matches!(done, Done::Called(..))).cloned().collect();
        self.carry_on(&mut root, answer, now);
    }

    pub(crate) fn send(&self, sub: &str, now: UnixNanos) -> (Watched<'_>, Flow) {
        self.send_as(&json!({ "sub": sub, "iat": START, "exp": START + 3600 }), "GET", "/x", now)
    }

    fn send_as(&self, claims: &Value, method: &str, path: &str, now: UnixNanos) -> (Watched<'_>, Flow) {
        let mut stream = Watched::new(&self.engine, &self.process);
        let bearer = format!("Bearer {}", token(claims));
        let flow = stream.headers(&request(method, path, &[("authorization", &bearer)]), true, now);
        (stream, flow)
    }

    /// A request, and if it waits, the call that it waits for.
    pub(crate) fn ask(
        &self,
        sub: &str,
        answer: &mut dyn FnMut(&[u8]) -> Option<Vec<u8>>,
        now: UnixNanos,
    ) -> Decided {
        let (mut stream, flow) = self.send(sub, now);
        if flow == Flow::Pause && stream.decided.is_empty() {
            self.answer_calls(&stream, answer, now);
            stream.tick(now);
        }
        assert_eq!(stream.decided.len(), 1, "{:?}", stream.host.done);
        stream.decided[0]
    }
}

#[test]
fn what_an_envoy_owns_is_spent_without_a_call_once_all_have_heard_of_it() {
    let envoy = Envoy::new(&json!({ "private_percent": 50, "window_seconds": 16 }));
    let mut store = ModelStore::default();
    // A window, its last sub-window, and the time until all have heard.
    for seconds in 0..60 {
        envoy.tick(&mut |body| Some(store.call(body, at(seconds * 1000))), at(seconds * 1000));
    }
    let mut calls = 0;
    let decided: Vec<Decided> = (0..30)
        .map(|number| {
            let now = at(60_000 + number);
            let mut answer = |body: &[u8]| {
                calls += 1;
                Some(store.call(body, now))
            };
            let decided = envoy.ask("u", &mut answer, now);
            assert!(number >= 10 || calls == 0, "request {number}");
            decided
        })
        .collect();
    assert_eq!(
        decided.iter().filter(|one| **one == Decided::Allowed).count(),
        20,
        "half of it alone, half of it leased"
    );
}

#[test]
fn a_request_that_another_limit_refuses_spends_nothing_of_the_fleet_s() {
    let envoy = Envoy::new(&json!({}));
    let mut store = ModelStore::default();
    for number in 0..1100 {
        let now = at(number * 20);
        envoy.ask(&format!("u{number}"), &mut |body| Some(store.call(body, now)), now);
    }
    // The other limit is spent by now: whoever comes is refused by it.
    let decided = (0..30)
        .map(|number| envoy.ask("late", &mut |body| Some(store.call(body, at(22_000))), at(22_000 + number)));
    assert!(decided.into_iter().all(|one| one == LIMITED));
    let (stream, _) = envoy.send("late", at(22_300));
    let names = stream.host.replies().next().map(|reply| reply.headers.clone()).unwrap();
    assert!(format!("{names:?}").contains("own"), "{names:?}");
}

pub(crate) const LIMITED: Decided = Decided::Refused(Code::RateLimited);
pub(crate) const UNAVAILABLE: Decided = Decided::Refused(Code::FleetUnavailable);

#[test]
fn two_envoys_admit_together_what_the_limit_says() {
    let (a, b) = (Envoy::new(&json!({})), Envoy::new(&json!({})));
    let mut store = ModelStore::default();
    let mut admitted = 0;
    for number in 0..60 {
        let now = at(number * 10);
        let envoy = if number % 3 == 0 { &a } else { &b };
        let decided = envoy.ask("u", &mut |body| Some(store.call(body, now)), now);
        if decided == Decided::Allowed {
            admitted += 1;
        } else {
            assert_eq!(decided, LIMITED);
        }
    }
    assert!((17..=20).contains(&admitted), "{admitted}");
    let other = a.ask("v", &mut |body| Some(store.call(body, at(700))), at(700));
    assert_eq!(other, Decided::Allowed, "each caller for themselves");
    assert!(store.calls < 40, "{}", store.calls);
}

#[test]
fn a_caller_of_the_store_learns_nothing_but_names() {
    let envoy = Envoy::new(&json!({}));
    let mut sent = Vec::new();
    let mut store = ModelStore::default();
    let mut answer = |body: &[u8]| {
        sent.extend_from_slice(body);
        Some(store.call(body, at(0)))
    };
    envoy.ask("somebody", &mut answer, at(0));
    let text = String::from_utf8_lossy(&sent);
    assert!(text.contains("hunter2") && text.contains("ag:"), "{text}");
    for secret in ["somebody", "192.0.2.1", "all\r\n", SECRET] {
        assert!(!text.contains(secret), "{secret}");
    }
}

#[test]
fn while_the_store_is_not_reached_each_envoy_does_as_the_limit_says() {
    for (when, admitted, after) in
        [("share", 20, LIMITED), ("alone", 20, LIMITED), ("refuse", 0, UNAVAILABLE)]
    {
        let envoy = Envoy::new(&json!({ "when_unreachable": when }));
        let mut calls = 0;
        let mut decided = Vec::new();
        for number in 0..30 {
            decided.push(envoy.ask(
                "u",
                &mut |_| {
                    calls += 1;
                    None
                },
                at(number),
            ));
        }
        assert_eq!(decided.iter().filter(|one| **one == Decided::Allowed).count(), admitted, "{when}");
        assert_eq!(decided.last(), Some(&after), "{when}");
        assert_eq!(calls, 1, "nobody waits for a store that has just failed");
    }
    // Two Envoys share, once each has heard of the other.
    let (a, b) = (Envoy::new(&json!({})), Envoy::new(&json!({})));
    let mut store = ModelStore::default();
    // Their processes draw the same random bytes, so one of them starts later.
    for envoy in [&a, &b, &a] {
        envoy.tick(&mut |body| Some(store.call(body, at(0))), at(0));
    }
    let decided = (0..30).map(|number| a.ask("u", &mut |_| None, at(6000 + number)));
    assert!(decided.filter(|one| *one == Decided::Allowed).count() >= 10);
}

#[test]
fn what_is_unreachable_and_reached_again_is_told_once_each() {
    let envoy = Envoy::new(&json!({}));
    let mut store = ModelStore::default();
    let logged = |done: &[Done]| -> Vec<String> {
        done.iter()
            .filter_map(|done| if let Done::Logged(line) = done { Some(line.text.clone()) } else { None })
            .filter(|line| line.contains(r#""event":"fleet""#))
            .collect()
    };
    let mut lines = Vec::new();
    for number in 0..40 {
        let is_down = (10..30).contains(&number);
        let now = at(number * 1000);
        lines.extend(logged(&envoy.tick(&mut |body| (!is_down).then(|| store.call(body, now)), now)));
    }
    assert_eq!(
        lines,
        [
            r#"{"event":"fleet","result":"timeout","store":"unreachable"}"#,
            r#"{"event":"fleet","result":"ok","store":"reached"}"#
        ]
    );
    let done = envoy.tick(&mut |body| Some(store.call(body, at(60_000))), at(60_000));
    assert!(
        done.contains(&Done::Gauged(Gauge::FleetReachable, 1))
            && done.contains(&Done::Gauged(Gauge::FleetNodes, 1))
    );
    let names = envoy.engine.counters().names();
    for name in
        ["api_guard_fleet_calls_total.use.heartbeat.result.timeout", "api_guard_fleet_leased_units_total"]
    {
        assert!(names.iter().any(|known| known == name), "{name}");
    }
}

#[test]
fn whatever_the_store_answers_admits_nobody_beyond_the_share() {
    let garbage: [&[u8]; 12] = [
        b"",
        b"+OK\r\n",
        b"+OK\r\n+OK\r\n",
        b"+OK\r\n*7\r\n:1\r\n",
        b"+OK\r\n*7\r\n:20\r\n:0\r\n:1\r\n:1\r\n:99999999999\r\n:0\r\n:0\r\n+OK\r\n",
        b"+OK\r\n*7\r\n:4294967295\r\n:0\r\n:1\r\n:1\r\n:1000\r\n:0\r\n:0\r\n+OK\r\n",
        b"+OK\r\n$1\r\nx\r\n+OK\r\n",
        b"-WRONGPASS invalid\r\n-NOAUTH\r\n-NOAUTH\r\n+OK\r\n",
        b"+OK\r\n-READONLY replica\r\n-READONLY replica\r\n+OK\r\n",
        b"+OK\r\n-OOM full\r\n-OOM full\r\n+OK\r\n",
        b"+OK\r\n-MOVED 1 a:1\r\n-MOVED 1 a:1\r\n+OK\r\n",
        b"HTTP/1.1 400 Bad Request\r\n\r\n",
    ];
    for reply in garbage {
        let envoy = Envoy::new(&json!({}));
        let decided = (0..60).map(|number| envoy.ask("u", &mut |_| Some(reply.to_vec()), at(number * 10)));
        let admitted = decided.filter(|one| *one == Decided::Allowed).count();
        assert_eq!(admitted, 20, "{}", String::from_utf8_lossy(reply));
    }
}

#[test]
fn a_revocation_is_answered_when_the_fleet_has_been_told_and_refused_at_the_others() {
    let Some(store) = Store::start() else { return };
    let revocation = json!({ "endpoint": {}, "fleet": {} });
    let store = || |body: &[u8]| Some(with_password(&store, body));
    let (a, b) = (Envoy::with(&json!({}), &revocation), Envoy::with(&json!({}), &revocation));
    // Before all was read for the first time, a request with a token waits, and is refused then.
    let (mut waits, flow) = b.send("u", at(0));
    assert!(flow == Flow::Pause && waits.decided.is_empty());
    waits.tick(at(1000));
    assert_eq!(waits.decided, [UNAVAILABLE]);
    for envoy in [&a, &b] {
        envoy.tick(&mut store(), at(12_000));
    }
    for (jti, start) in [(Some("j"), 13_000), (None, 20_000)] {
        let mut claims = json!({ "sub": "u", "iat": START, "exp": START + 3600 });
        if let Some(jti) = jti {
            claims["jti"] = json!(jti);
        }
        let (mut logout, flow) = a.send_as(&claims, "POST", "/auth/revoke", at(start));
        if logout.decided.is_empty() && logout.host.replies().next().is_none() {
            // The limit's call may come first.
            for milliseconds in [start, start + 50, start + 100] {
                a.tick(&mut store(), at(milliseconds));
                let called: Vec<Done> = logout
                    .host
                    .done
                    .iter()
                    .filter(|done| matches!(done, Done::Called(..)))
                    .cloned()
                    .collect();
                let mut root = Stream::new(&a.process);
                root.done = called;
                a.carry_on(&mut root, &mut store(), at(milliseconds));
                logout.tick(at(milliseconds));
            }
        }
        assert_eq!(flow, Flow::Pause);
        assert_eq!(logout.host.replies().next().map(|reply| reply.status), Some(200), "{jti:?}");
        b.tick(&mut store(), at(start + 2000));
        let mut answer = store();
        let (mut stream, _) = b.send_as(&claims, "GET", "/x", at(start + 2000));
        if stream.decided.is_empty() {
            let mut root = Stream::new(&b.process);
            root.done = stream.host.done.clone();
            b.carry_on(&mut root, &mut answer, at(start + 2000));
            stream.tick(at(start + 2000));
        }
        assert_eq!(stream.decided, [Decided::Refused(Code::TokenRevoked)], "{jti:?}");
    }
}

#[test]
fn a_revocation_that_the_fleet_does_not_hear_of_is_in_force_here_and_says_so() {
    let Some(store) = Store::start() else { return };
    let a = Envoy::with(&json!({ "scope": "envoy" }), &json!({ "endpoint": {}, "fleet": {} }));
    a.tick(&mut |body| Some(with_password(&store, body)), at(0));
    let claims = json!({ "sub": "u", "iat": START, "exp": START + 3600, "jti": "j" });
    let (mut logout, _) = a.send_as(&claims, "POST", "/auth/revoke", at(1000));
    let mut root = Stream::new(&a.process);
    root.done = logout.host.done.iter().filter(|done| matches!(done, Done::Called(..))).cloned().collect();
    a.carry_on(&mut root, &mut |_| None, at(1050));
    logout.tick(at(1050));
    assert_eq!(logout.decided, [UNAVAILABLE]);
    let (stream, _) = a.send_as(&claims, "GET", "/x", at(1060));
    assert_eq!(stream.decided, [Decided::Refused(Code::TokenRevoked)]);
}

/// The real store has no password; its complaint is the one thing that is changed in its reply.
fn with_password(store: &Store, body: &[u8]) -> Vec<u8> {
    let reply = store.call(body);
    let end = reply.windows(2).position(|two| two == b"\r\n").unwrap();
    assert!(reply.starts_with(b"-ERR AUTH"), "{}", String::from_utf8_lossy(&reply));
    [b"+OK", &reply[end..]].concat()
}
