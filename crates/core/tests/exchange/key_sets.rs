//! Key sets that are fetched: what tokens hear before, during and after a fetch.

mod audiences;

use api_guard_core::code::Code;
use api_guard_core::index::KeySetIndex;
use api_guard_core::keys::Response;
use api_guard_core::telemetry::gauges::Gauge;
use api_guard_testkit::{Decided, IssuerKey, Stream, key_set, lay_over};

use super::*;

const ISSUER: &str = "https://login.example.com/";
const SET: KeySetIndex = KeySetIndex::new(0);

/// A world whose tokens come from a set that is fetched, and from the tests' secret.
fn world(changes: Value) -> World {
    let mut set = json!({
        "name": "login",
        "issuers": [ISSUER],
        "jwks": { "cluster": "idp", "path": "/jwks.json", "authority": "login.example.com" },
    });
    lay_over(&mut set, &changes);
    let tokens = json!({ "keys": [{ "secret": { "value": SECRET } }], "key_sets": [set] });
    World::with(json!({ "tokens": tokens }))
}

fn claims() -> Value {
    json!({ "sub": "u1", "iss": ISSUER, "iat": START, "exp": START + 3600 })
}

fn signed(number: u8) -> String {
    IssuerKey::es256(number).token(Some(&number.to_string()), &claims())
}

fn keys(numbers: &[u8]) -> String {
    let jwk = |number: &u8| IssuerKey::es256(*number).jwk(Some(&number.to_string()));
    key_set(&numbers.iter().map(jwk).collect::<Vec<_>>()).to_string()
}

/// Whether it tells of the configuration as a whole.
fn is_of_standing(done: &Done) -> bool {
    matches!(done, Done::Logged(line) if line.text.contains("configured"))
}

impl World {
    /// What the root does in a tick: the sets of which a fetch begins.
    fn tick(&self, milliseconds: u64) -> Vec<Done> {
        let mut host = Stream::new(&self.process);
        self.engine.on_tick(&mut host, at(milliseconds));
        host.done
            .into_iter()
            .filter(|done| !matches!(done, Done::Gauged(..)) && !is_of_standing(done))
            .collect()
    }

    fn respond(&self, response: Response<'_>, milliseconds: u64) -> Vec<Done> {
        let mut host = Stream::new(&self.process);
        self.engine.on_fetched(SET, response, &mut host, at(milliseconds));
        host.done
    }

    /// Brings a set with these keys in a fetch that is due.
    fn bring(&self, numbers: &[u8], milliseconds: u64) {
        assert_eq!(self.tick(milliseconds), [Done::Fetched(SET)]);
        self.respond(Response::Complete { status: 200, body: keys(numbers).as_bytes() }, milliseconds);
    }

    /// A stream of a request with this token, whose headers come at that time.
    fn send(&self, token: &str, milliseconds: u64) -> (Watched<'_>, Flow) {
        let mut stream = self.stream();
        let bearer = format!("Bearer {token}");
        let headers = request("GET", "/x", &[("authorization", &bearer)]);
        let flow = stream.headers(&headers, true, at(milliseconds));
        (stream, flow)
    }

    fn decided(&self, token: &str, milliseconds: u64) -> Vec<Decided> {
        self.send(token, milliseconds).0.decided
    }
}

const KEY_UNKNOWN: [Decided; 1] = [Decided::Refused(Code::TokenKeyUnknown)];

#[test]
fn before_the_first_set_its_tokens_hear_503_and_no_others_do() {
    let world = world(json!({}));
    let (stream, _) = world.send(&signed(1), 0);
    assert_eq!(stream.decided, [Decided::Refused(Code::KeysUnavailable)]);
    let reply = stream.host.replies().next().unwrap();
    assert_eq!(reply.status, 503);
    assert!(reply.headers.contains(&("retry-after", "1".into())), "{:?}", reply.headers);
    assert!(!reply.headers.iter().any(|(name, _)| *name == "www-authenticate"));
    let own = token(&json!({ "sub": "u1", "iat": START, "exp": START + 3600 }));
    assert_eq!(world.decided(&own, 0), [Decided::Allowed]);
    // An issuer that nobody names is not the set's.
    let mut other = claims();
    other["iss"] = json!("https://third/");
    let other = IssuerKey::es256(1).token(Some("1"), &other);
    assert_eq!(world.decided(&other, 0), KEY_UNKNOWN);
    world.bring(&[1], 0);
    assert_eq!(world.decided(&signed(1), 1), [Decided::Allowed]);
}

#[test]
fn while_the_issuer_is_down_the_wait_is_told() {
    let world = world(json!({}));
    let mut now = 0;
    for (wait, retry) in [(1000, "1"), (2000, "2"), (4000, "4")] {
        assert_eq!(world.tick(now), [Done::Fetched(SET)]);
        world.respond(Response::Reset, now);
        let (stream, _) = world.send(&signed(1), now);
        assert_eq!(stream.decided, [Decided::Refused(Code::KeysUnavailable)]);
        let says = stream.host.done.iter().any(|done| {
            matches!(done, Done::Replied(reply, _) if reply.headers.contains(&("retry-after", retry.into())))
        });
        assert!(says, "{retry}: {:?}", stream.host.done);
        assert!(world.tick(now + wait - 1).is_empty());
        now += wait;
    }
}

#[test]
fn an_unknown_kid_waits_for_a_fetch_and_passes_with_what_it_brings() {
    let world = world(json!({ "min_refetch_seconds": 10 }));
    world.bring(&[1], 0);
    let (mut stream, flow) = world.send(&signed(2), 10_000);
    assert_eq!((flow, stream.decided.len()), (Flow::Pause, 0));
    let fetched = stream.host.done.contains(&Done::Fetched(SET));
    assert!(fetched, "at once, and not with the next tick: {:?}", stream.host.done);
    stream.tick(at(10_100));
    assert!(stream.decided.is_empty(), "still on its way");
    world.respond(Response::Complete { status: 200, body: keys(&[1, 2]).as_bytes() }, 10_150);
    stream.tick(at(10_200));
    assert_eq!(stream.decided, [Decided::Allowed]);
    assert!(stream.goes_on());
}

#[test]
fn whoever_comes_while_it_is_on_its_way_waits_too_and_there_is_one_fetch() {
    let world = world(json!({ "min_refetch_seconds": 10 }));
    world.bring(&[1], 0);
    let mut streams: Vec<_> = (0..20).map(|index| world.send(&signed(2), 10_000 + index).0).collect();
    let fetches = streams.iter().flat_map(|stream| &stream.host.done);
    assert_eq!(fetches.filter(|done| **done == Done::Fetched(SET)).count(), 1);
    assert!(world.tick(10_050).is_empty());
    world.respond(Response::Complete { status: 200, body: keys(&[2]).as_bytes() }, 10_100);
    for stream in &mut streams {
        stream.tick(at(10_101));
        assert_eq!(stream.decided, [Decided::Allowed]);
    }
    assert_eq!(world.decided(&signed(1), 10_102), KEY_UNKNOWN, "the old key has left the set");
}

#[test]
fn an_unknown_kid_is_refused_once_the_fetch_has_ended_or_half_a_second_has_passed() {
    for response in [
        Some(Response::Complete { status: 200, body: keys(&[1]).as_bytes() }),
        Some(Response::Complete { status: 500, body: b"" }),
        Some(Response::Reset),
        Some(Response::TimedOut),
        None,
    ] {
        let world = world(json!({ "min_refetch_seconds": 10 }));
        world.bring(&[1], 0);
        let (mut stream, _) = world.send(&signed(2), 10_000);
        match response {
            Some(response) => {
                world.respond(response, 10_100);
                stream.tick(at(10_101));
            }
            None => {
                stream.tick(at(10_499));
                assert!(stream.decided.is_empty());
                stream.tick(at(10_500));
            }
        }
        assert_eq!(stream.decided, KEY_UNKNOWN, "{response:?}");
        assert_eq!(world.decided(&signed(1), 10_501), [Decided::Allowed], "the last set stays");
    }
}

#[test]
fn an_unknown_kid_is_refused_at_once_where_the_set_is_new() {
    let world = world(json!({ "min_refetch_seconds": 10 }));
    world.bring(&[1], 0);
    for milliseconds in (1..9_999).step_by(100) {
        assert_eq!(world.decided(&signed(2), milliseconds), KEY_UNKNOWN);
        assert!(world.tick(milliseconds).is_empty());
    }
}

#[test]
fn a_token_that_is_wrong_anyway_asks_for_nothing() {
    let world = world(json!({ "min_refetch_seconds": 1 }));
    world.bring(&[1], 0);
    let mut expired = claims();
    expired["exp"] = json!(START - 1);
    let by_another = IssuerKey::es256(2).token(Some("1"), &claims());
    let other_algorithm = IssuerKey::eddsa(2).token(Some("2"), &claims());
    let hs256 = sign(br#"{"alg":"HS256","kid":"2"}"#, claims().to_string().as_bytes());
    for (token, code) in [
        (IssuerKey::es256(1).token(Some("1"), &expired), Code::TokenExpired),
        (by_another, Code::TokenSignatureInvalid),
        (other_algorithm, Code::TokenAlgorithmRefused),
        (hs256, Code::TokenKeyUnknown),
    ] {
        assert_eq!(world.decided(&token, 20_000), [Decided::Refused(code)]);
        assert!(world.tick(20_000).is_empty(), "{code:?}");
    }
}

#[test]
fn a_key_that_has_left_the_set_verifies_nothing_from_the_next_request_on() {
    let world = world(json!({ "refresh_seconds": 10 }));
    world.bring(&[1, 2], 0);
    for token in [signed(1), signed(2), signed(1)] {
        assert_eq!(world.decided(&token, 1), [Decided::Allowed]);
    }
    world.bring(&[2], 11_000);
    assert_eq!(world.decided(&signed(1), 11_001), KEY_UNKNOWN, "though it was remembered");
    assert_eq!(world.decided(&signed(2), 11_001), [Decided::Allowed]);
}

#[test]
fn a_request_that_is_held_is_judged_by_the_keys_of_the_moment_at_which_it_goes_on() {
    let world = world(json!({ "refresh_seconds": 10 }));
    world.bring(&[1], 0);
    let mut stream = world.stream();
    let bearer = format!("Bearer {}", signed(1));
    let headers = request("POST", "/x", &[("authorization", &bearer), ("content-type", "application/json")]);
    assert_eq!(stream.headers(&headers, false, at(10_900)), Flow::Pause);
    world.bring(&[2], 11_000);
    stream.body(10, true, at(11_001));
    assert_eq!(stream.decided, KEY_UNKNOWN);
}

#[test]
fn a_set_that_is_stale_is_503_for_remembered_tokens_too() {
    let world = world(json!({ "refresh_seconds": 10, "max_stale_seconds": 30 }));
    world.bring(&[1], 0);
    assert_eq!(world.decided(&signed(1), 1), [Decided::Allowed]);
    let mut now = 11_000;
    while now < 40_000 {
        if world.tick(now) == [Done::Fetched(SET)] {
            world.respond(Response::Complete { status: 500, body: b"" }, now);
        }
        let code = if now < 30_000 { Decided::Allowed } else { Decided::Refused(Code::KeysUnavailable) };
        assert_eq!(world.decided(&signed(1), now), [code], "{now}");
        now += 500;
    }
    let next = (40_000..).step_by(500).find(|now| !world.tick(*now).is_empty()).unwrap();
    world.respond(Response::Complete { status: 200, body: keys(&[1]).as_bytes() }, next);
    assert_eq!(world.decided(&signed(1), next + 1), [Decided::Allowed]);
}

#[test]
fn a_fetch_that_the_host_does_not_send_has_failed() {
    let world = world(json!({}));
    let mut host = Stream::new(&world.process);
    host.cannot_ask = true;
    world.engine.on_tick(&mut host, at(0));
    let names = world.engine.counters().names();
    let counted: Vec<&str> = host
        .done
        .iter()
        .filter_map(
            |done| if let Done::Counted(counter) = done { Some(names[*counter].as_str()) } else { None },
        )
        .collect();
    assert_eq!(counted, ["api_guard_key_set_fetches_total.set.login.outcome.reset"]);
    assert!(world.tick(999).is_empty());
    assert_eq!(world.tick(1000), [Done::Fetched(SET)]);
}

#[test]
fn metrics_show_how_many_keys_there_are_and_how_old_they_are() {
    let world = world(json!({}));
    let shown = |milliseconds: u64| {
        let mut host = Stream::new(&world.process);
        world.engine.on_tick(&mut host, at(milliseconds));
        let gauges = host.done.into_iter().filter_map(|done| {
            if let Done::Gauged(gauge, value) = done { Some((gauge, value)) } else { None }
        });
        let gauges = gauges.filter(|(gauge, _)| matches!(gauge, Gauge::KeySetKeys(_) | Gauge::KeySetAge(_)));
        gauges.collect::<Vec<_>>()
    };
    let (keys_of, age_of) = (Gauge::KeySetKeys(SET), Gauge::KeySetAge(SET));
    assert_eq!(shown(0), [(keys_of, 0)], "no set, and so no age");
    world.respond(Response::Complete { status: 200, body: keys(&[1, 2]).as_bytes() }, 1000);
    assert_eq!(shown(4999), []);
    assert_eq!(shown(5000), [(keys_of, 2), (age_of, 4)]);
    assert_eq!(shown(9999), []);
    assert_eq!(shown(10_000), [(keys_of, 2), (age_of, 9)]);
    let names: Vec<String> =
        Gauge::all(world.engine.guard().policy()).into_iter().map(|(_, name)| name).collect();
    let of_set = ["api_guard_key_set_keys.set.login", "api_guard_key_set_age_seconds.set.login"];
    assert!(names.ends_with(&of_set.map(str::to_owned)), "{names:?}");
}

#[test]
fn a_change_is_logged_once_and_every_fetch_is_counted() {
    let world = world(json!({ "refresh_seconds": 10 }));
    let mut log = Vec::new();
    let mut counted = 0;
    let mut secret = serde_json::from_str::<Value>(&keys(&[1])).unwrap();
    secret["keys"].as_array_mut().unwrap().push(json!({ "kty": "oct", "k": "AQ" }));
    let mut now = 0;
    for body in [
        keys(&[1]),
        keys(&[1]),
        "down".to_owned(),
        "down".to_owned(),
        keys(&[1]),
        secret.to_string(),
        keys(&[1, 2]),
    ] {
        while world.tick(now).is_empty() {
            now += 100;
        }
        for done in world.respond(Response::Complete { status: 200, body: body.as_bytes() }, now) {
            if let Done::Logged(line) = done {
                log.push((line.level, line.text));
            } else {
                assert!(matches!(done, Done::Counted(_)), "{done:?}");
                counted += 1;
            }
        }
    }
    assert_eq!(counted, 7);
    let levels: Vec<log::Level> = log.iter().map(|(level, _)| *level).collect();
    assert_eq!(levels, [log::Level::Info, log::Level::Warn, log::Level::Info, log::Level::Info]);
    assert_eq!(log[0].1, r#"{"event":"key_set","set":"login","outcome":"ok","keys":1,"skipped":0}"#);
    assert_eq!(log[1].1, r#"{"event":"key_set","set":"login","outcome":"malformed","keys":1,"skipped":0}"#);
}
