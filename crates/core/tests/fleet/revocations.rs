//! Revocations that Envoys share through a real store.

use api_guard_core::cells::MemoryCells;
use api_guard_core::fleet::{
    AtStart, CallOutcome, CallResponse, FleetRule, Knowledge, Link, Names, Notice, Password, Revoked,
    SharedRevocations, Told, script::REVOKE,
};
use api_guard_core::revocation::{Authority, Lifetime, Revocable, Revocations};
use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::TokenIdentity;
use api_guard_core::token::algorithm::MacAlgorithm;
use api_guard_core::token::secret::Secret;

use super::store::Store;

mod losses;
mod turns;

/// Long after the tests run: the store drops what has ended by its own clock.
const START: u64 = 4_000_000_000;

fn rule(secret: u8, at_start: AtStart, max_age_seconds: Option<u32>) -> FleetRule {
    FleetRule {
        cluster: "store".to_owned(),
        login: None,
        names: Names::new(Secret::from_bytes(MacAlgorithm::Hs256, &[secret; 32]).unwrap(), "ag".to_owned()),
        timeout_milliseconds: 50,
        nodes: None,
        longest_private_window_seconds: 0,
        revocations: Some(SharedRevocations { poll_seconds: 1, at_start, max_age_seconds }),
    }
}

/// One worker of an Envoy.
struct Envoy<'s> {
    store: &'s Store,
    rule: FleetRule,
    cells: MemoryCells,
    revocations: Revocations,
    link: Link,
    calls: u32,
    resets: u32,
    longest_reply: usize,
}

impl<'s> Envoy<'s> {
    fn start(store: &'s Store, rule: FleetRule, number: u8) -> Self {
        let (cells, seed) = (MemoryCells::new(), Seed::from_bytes([number; 16]));
        let mut revocations = Revocations::open(&cells, seed, 70_000).unwrap();
        revocations.share_under(&rule.names);
        let link = Link::open(&rule, seed, [number; 16]);
        Self { store, rule, cells, revocations, link, calls: 0, resets: 0, longest_reply: 0 }
    }

    /// A tick, and all calls that follow from it.
    fn tick(&mut self, now: UnixNanos) {
        self.link.on_tick(now);
        let _ = self.link.refresh(&self.cells, now);
        while let Some(call) = self.link.begin(&self.rule, &self.revocations, &self.cells, now) {
            let reply = self.store.call(&call.body);
            self.calls += 1;
            self.longest_reply = self.longest_reply.max(reply.len());
            let response = CallResponse::Reply(&reply);
            let ended =
                self.link.end(&self.rule, call.number, response, &mut self.revocations, &self.cells, now);
            let ended = ended.unwrap();
            assert_eq!(ended.outcome.as_str(), "ok", "{}", String::from_utf8_lossy(&reply));
            self.resets += u32::from(ended.has_reset);
        }
    }

    /// A tick in which the store does not answer.
    fn tick_alone(&mut self, now: UnixNanos) {
        self.link.on_tick(now);
        if let Some(call) = self.link.begin(&self.rule, &self.revocations, &self.cells, now) {
            let response = CallResponse::TimedOut;
            self.link
                .end(&self.rule, call.number, response, &mut self.revocations, &self.cells, now)
                .unwrap();
        }
    }

    fn revoke(&mut self, revocable: Revocable<'_>, now: UnixNanos) -> Told {
        let lifetime = Lifetime::UntilSecond(START + 100_000);
        self.revocations.revoke(&self.cells, revocable, lifetime, Authority::Holder, now).unwrap();
        let entered = self.revocations.take_entered();
        assert_eq!(entered.len(), 1);
        self.link.tell(&entered).unwrap()
    }

    fn refuses(&mut self, jti: &str, sub: &str, now: UnixNanos) -> bool {
        self.revocations.refresh(&self.cells).unwrap();
        let identity = TokenIdentity::Numbered { issuer: Some("iss"), subject: Some(sub), jti };
        let marks = self.revocations.marks(&identity, Some("iss"), Some(sub));
        self.revocations.is_revoked(&marks, Some(UnixNanos::from_seconds(START - 10)), now)
    }
}

fn at(milliseconds: u64) -> UnixNanos {
    UnixNanos::from_nanos(START * 1_000_000_000 + milliseconds * 1_000_000)
}

fn usual(secret: u8) -> FleetRule {
    rule(secret, AtStart::Refuse, None)
}

#[test]
fn what_one_envoy_revokes_all_others_refuse_and_restarts_forget_nothing() {
    let Some(store) = Store::start() else { return };
    let mut a = Envoy::start(&store, usual(1), 1);
    let mut b = Envoy::start(&store, usual(1), 2);
    let mut stranger = Envoy::start(&store, usual(9), 3);
    assert_eq!(a.link.view().knowledge(&a.rule, at(0)), Knowledge::Coming);
    for envoy in [&mut a, &mut b, &mut stranger] {
        envoy.tick(at(0));
        assert_eq!(envoy.link.view().knowledge(&envoy.rule, at(0)), Knowledge::Enough);
    }
    let told = a.revoke(Revocable::Jti("j"), at(100));
    assert!(a.refuses("j", "u", at(100)) && a.link.is_told(told).is_none());
    a.tick(at(100));
    assert_eq!(a.link.is_told(told), Some(true));
    a.revoke(Revocable::Subject { issuer: Some("iss"), sub: "v", issued_before: START }, at(200));
    a.revoke(Revocable::Subject { issuer: Some("other"), sub: "w", issued_before: START }, at(200));
    a.tick(at(200));
    assert!(!b.refuses("j", "u", at(900)));
    for envoy in [&mut b, &mut stranger] {
        envoy.tick(at(1100));
    }
    assert!(b.refuses("j", "u", at(1100)) && b.refuses("i", "v", at(1100)) && !b.refuses("i", "w", at(1100)));
    assert!(!stranger.refuses("j", "u", at(1100)), "another secret is another fleet");

    // An Envoy that starts learns it, and one that restarts.
    let mut c = Envoy::start(&store, usual(1), 4);
    c.tick(at(1200));
    assert!(c.refuses("j", "u", at(1200)));

    // The store loses all: whoever remembers tells it again, and who starts then learns it.
    store.command(&["FLUSHALL"]);
    for milliseconds in (2200..6000).step_by(100) {
        b.tick(at(milliseconds));
    }
    assert_eq!(b.resets, 1);
    let mut d = Envoy::start(&store, usual(1), 5);
    d.tick(at(6000));
    assert!(d.refuses("j", "u", at(6000)) && d.refuses("i", "v", at(6000)));
    // Nothing that others know is lost by it.
    assert!(b.refuses("j", "u", at(6000)));
}

#[test]
fn what_the_store_was_not_told_is_told_again() {
    let Some(store) = Store::start() else { return };
    let mut a = Envoy::start(&store, usual(1), 1);
    a.tick(at(0));
    let told = a.revoke(Revocable::Jti("j"), at(100));
    a.tick_alone(at(100));
    assert_eq!(a.link.is_told(told), Some(false), "in force in this Envoy alone");
    assert!(a.refuses("j", "u", at(100)));
    a.tick(at(1200));
    assert_eq!(a.link.is_told(told), Some(true));
    let mut b = Envoy::start(&store, usual(1), 2);
    b.tick(at(1300));
    assert!(b.refuses("j", "u", at(1300)));
}

#[test]
fn an_envoy_that_never_read_them_knows_nothing_unless_it_is_told_to_serve() {
    let Some(store) = Store::start() else { return };
    let mut refuses = Envoy::start(&store, usual(1), 1);
    let mut serves = Envoy::start(&store, rule(1, AtStart::Serve, Some(10)), 2);
    for envoy in [&mut refuses, &mut serves] {
        envoy.tick_alone(at(0));
    }
    let knowledge =
        |envoy: &Envoy<'_>, milliseconds| envoy.link.view().knowledge(&envoy.rule, at(milliseconds));
    let _ = refuses.link.refresh(&refuses.cells, at(0));
    assert_eq!(knowledge(&refuses, 999), Knowledge::Coming);
    assert_eq!(knowledge(&refuses, 1000), Knowledge::Lacking);
    assert_eq!(knowledge(&serves, 1000), Knowledge::Enough);
    for envoy in [&mut refuses, &mut serves] {
        envoy.tick(at(2000));
    }
    assert_eq!(knowledge(&refuses, 500_000), Knowledge::Enough, "however long ago");
    assert_eq!(knowledge(&serves, 12_000), Knowledge::Enough);
    assert_eq!(knowledge(&serves, 12_001), Knowledge::Lacking);
}

#[test]
fn a_full_table_of_revocations_is_read_in_pages_and_an_idle_poll_is_short() {
    let Some(store) = Store::start() else { return };
    let rule = usual(1);
    let [ends, numbers, moments, newest] =
        ["ends", "numbers", "moments", "newest"].map(|key| rule.names.common(key));
    let script = "for at = 1, tonumber(ARGV[1]) do local name = string.format('%032x', at * 7919); \
                  redis.call('ZADD', KEYS[1], 4000100000 + at, name); redis.call('ZADD', KEYS[2], at, name); \
                  redis.call('HSET', KEYS[3], name, 0) end redis.call('SET', KEYS[4], ARGV[1])";
    store.command(&["EVAL", script, "4", &ends, &numbers, &moments, &newest, "65536"]);
    let mut a = Envoy::start(&store, usual(1), 1);
    for milliseconds in (0..5000).step_by(100) {
        a.tick(at(milliseconds));
        if a.link.view().knowledge(&a.rule, at(milliseconds)) == Knowledge::Enough {
            break;
        }
    }
    assert_eq!(a.revocations.live(at(5000)), 65_536);
    assert!((132..150).contains(&a.calls), "{}", a.calls);
    assert!(a.longest_reply < 60_000, "{}", a.longest_reply);
    a.longest_reply = 0;
    a.tick(at(8000));
    let calls = a.calls;
    a.longest_reply = 0;
    a.tick(at(9100));
    assert_eq!(a.calls, calls + 1);
    assert!(a.longest_reply < 100, "{}", a.longest_reply);
}

#[test]
fn what_a_program_that_is_no_envoy_enters_all_envoys_refuse_and_none_counts_it() {
    let Some(store) = Store::start() else { return };
    let rule = usual(1);
    let mut program = Revocations::open(&MemoryCells::new(), Seed::from_bytes([8; 16]), 16).unwrap();
    program.share_under(&rule.names);
    let until = Lifetime::UntilSecond(START + 100_000);
    program.revoke(&MemoryCells::new(), Revocable::Jti("j"), until, Authority::Holder, at(0)).unwrap();
    let entries = program.take_entered();
    let notice = Notice { names: &rule.names, login: None, entries: &entries };
    for _ in 0..2 {
        notice.read(&store.call(&notice.commands([1, 2, 3, 4, 5, 6]))).unwrap();
    }
    let mut envoy = Envoy::start(&store, usual(1), 1);
    envoy.tick(at(0));
    assert!(envoy.refuses("j", "u", at(0)) && !envoy.refuses("i", "u", at(0)));
    assert_eq!(envoy.link.nodes(&envoy.rule).get(), 1);
    assert_eq!(envoy.resets, 0);
}

#[test]
fn an_entry_with_a_moment_that_is_none_keeps_no_other_from_being_read() {
    let Some(store) = Store::start() else { return };
    let names = usual(1).names;
    let keys = ["ends", "numbers", "moments", "newest", "epoch"].map(|what| names.common(what));
    let name = |jti: &str| format!("{:032x}", names.revoked(Revoked::Jti(jti)));
    let enter = |jti: &str, end: &str, moment: &str| {
        let mut command = vec!["EVAL", REVOKE.text, "5"];
        command.extend(keys.iter().map(String::as_str));
        let name = name(jti);
        command.extend(["7", &name, end, moment]);
        store.command(&command)
    };
    enter("negative", "-1", "100");
    enter("for good", "inf", "0");
    enter("too large", "1e300", "1e300");
    enter("small", "4000100000", "-inf");
    enter("garbage", "4000100000", "0");
    store.command(&["HSET", &keys[2], &name("garbage"), "soon"]);
    enter("good", "4000100000", "0");
    let mut envoy = Envoy::start(&store, usual(1), 1);
    // Each call has to be ok.
    envoy.tick(at(0));
    let refused = ["negative", "for good", "too large", "small", "garbage", "good"]
        .map(|jti| envoy.refuses(jti, "user", at(0)));
    assert_eq!(refused, [false, true, true, true, true, true]);
}

#[test]
fn a_program_is_told_why_the_store_does_not_take_its_entries() {
    let Some(store) = Store::start() else { return };
    let rule = usual(1);
    let password = |text: &str| Some((None, Password::new(text.as_bytes().to_vec())));
    let tells = |login| {
        let notice = Notice { names: &rule.names, login, entries: &[] };
        notice.read(&store.call(&notice.commands([0; 6]))).map_err(|not_told| not_told.outcome)
    };
    assert_eq!(tells(password("hunter2")), Err(CallOutcome::Denied));
    store.command(&["CONFIG", "SET", "requirepass", "hunter2"]);
    assert_eq!(tells(None), Err(CallOutcome::Denied));
    assert_eq!(tells(password("hunter2")), Ok(()));
    let notice = Notice { names: &rule.names, login: None, entries: &[] };
    for (reply, outcome) in [
        (&b"-READONLY You can't write\r\n+OK\r\n"[..], CallOutcome::Readonly),
        (b"-LOADING Redis is loading\r\n", CallOutcome::Loading),
        (b"*2\r\n:1\r\n:1\r\n", CallOutcome::Malformed),
        (b"*2\r\n:1\r\n:1\r\n:1\r\n+OK\r\n", CallOutcome::Malformed),
        (b"", CallOutcome::Malformed),
        (b"+OK\r\n", CallOutcome::Malformed),
    ] {
        assert_eq!(notice.read(reply).unwrap_err().outcome, outcome, "{}", String::from_utf8_lossy(reply));
    }
}
