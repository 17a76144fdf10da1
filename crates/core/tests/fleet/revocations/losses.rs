//! What the store has lost, or was never told, it is told again by whoever remembers, whatever happens meanwhile.

use super::*;

impl<'s> Envoy<'s> {
    fn revoke_until(&mut self, jti: &str, second: u64, now: UnixNanos) {
        let lifetime = Lifetime::UntilSecond(START + second);
        self.revocations.revoke(&self.cells, Revocable::Jti(jti), lifetime, Authority::Holder, now).unwrap();
        let entered = self.revocations.take_entered();
        self.link.tell(&entered).unwrap();
    }

    /// At most one call.
    fn step(&mut self, answers: bool, now: UnixNanos) -> bool {
        self.link.on_tick(now);
        let _ = self.link.refresh(&self.cells, now);
        let Some(call) = self.link.begin(&self.rule, &self.revocations, &self.cells, now) else {
            return false;
        };
        let reply = if answers { self.store.call(&call.body) } else { Vec::new() };
        let response = if answers { CallResponse::Reply(&reply) } else { CallResponse::TimedOut };
        self.link.end(&self.rule, call.number, response, &mut self.revocations, &self.cells, now).unwrap();
        true
    }

    fn unknown(&mut self, jtis: std::ops::Range<u32>, now: UnixNanos) -> usize {
        jtis.filter(|n| !self.refuses(&format!("j{n}"), "u", now)).count()
    }
}

/// An Envoy that has told the store of 600 revocations, each of which lasts up to a second after the start.
fn having_told<'s>(store: &'s Store, lasts: impl Fn(u32) -> u64) -> Envoy<'s> {
    let mut envoy = Envoy::start(store, usual(1), 1);
    envoy.tick(at(0));
    (0..600).for_each(|n| envoy.revoke_until(&format!("j{n}"), lasts(n), at(0)));
    envoy.tick(at(100));
    envoy
}

/// The Envoy, and one that starts now, refuse these.
fn all_are_known(envoy: &mut Envoy<'_>, jtis: std::ops::Range<u32>, now: UnixNanos) {
    let mut fresh = Envoy::start(envoy.store, usual(1), 5);
    fresh.tick(now);
    assert_eq!((envoy.unknown(jtis.clone(), now), fresh.unknown(jtis, now)), (0, 0));
}

#[test]
fn an_entry_that_lapses_while_others_are_told_again_hides_none() {
    let Some(store) = Store::start() else { return };
    let mut a = having_told(&store, |n| if n < 100 { 10 } else { 100_000 });
    store.command(&["FLUSHALL"]);
    let mut now = 1500;
    // Until the first part has been told.
    let newest = usual(1).names.common("newest");
    while format!("{:?}", store.command(&["GET", &newest])) == "Nothing" {
        a.step(true, at(now));
        now += 100;
        assert!(now < 9_000, "{now}");
    }
    for late in (11_000..60_000).step_by(100) {
        a.step(true, at(late));
    }
    all_are_known(&mut a, 100..600, at(60_000));
}

#[test]
fn what_a_store_had_before_it_lost_all_is_told_again_by_whoever_reads() {
    let Some(store) = Store::start() else { return };
    let mut a = having_told(&store, |_| 100_000);
    // Another worker of the same process: the same cells, and a link of its own.
    let mut other = Link::open(&a.rule, Seed::from_bytes([1; 16]), [9; 16]);
    let swap = |a: &mut Envoy<'_>, other: &mut Link| {
        std::mem::swap(&mut a.link, other);
        let mut mine = Revocations::open(&a.cells, Seed::from_bytes([1; 16]), 70_000).unwrap();
        mine.share_under(&a.rule.names);
        mine.refresh(&a.cells).unwrap();
        a.revocations = mine;
    };
    // First the store gets another epoch but has all: say, an operator restored it.
    let epoch = usual(1).names.common("epoch");
    store.command(&["SET", &epoch, "12345"]);
    let mut now = 1500;
    // a notices (call 1) and reads the first page (call 2); the next call times out.
    assert!(a.step(true, at(now)));
    now += 2100;
    assert!(a.step(true, at(now)));
    assert!(a.step(false, at(now)));
    // The other worker reads the rest, and tells what it believes is missing.
    swap(&mut a, &mut other);
    for _ in 0..60 {
        now += 100;
        a.step(true, at(now));
    }
    // The store loses all. The other worker notices; then the first one reads.
    store.command(&["FLUSHALL"]);
    now += 1500;
    a.step(true, at(now));
    swap(&mut a, &mut other);
    for _ in 0..300 {
        now += 100;
        a.step(true, at(now));
    }
    all_are_known(&mut a, 0..600, at(now));
}

#[test]
fn what_is_to_be_told_again_survives_the_worker_that_tells() {
    let Some(store) = Store::start() else { return };
    let mut a = having_told(&store, |_| 100_000);
    store.command(&["FLUSHALL"]);
    assert!(a.step(true, at(1500)), "it notices");
    assert!(a.step(true, at(3600)), "it reads all there is");
    // A pushed configuration, or a VM that is reloaded: its link is gone, another one takes its place.
    a.link = Link::open(&a.rule, Seed::from_bytes([1; 16]), [9; 16]);
    for milliseconds in (3700..120_000).step_by(100) {
        a.step(true, at(milliseconds));
    }
    all_are_known(&mut a, 0..600, at(120_000));
}

#[test]
fn what_was_not_told_survives_the_worker() {
    let Some(store) = Store::start() else { return };
    let mut a = Envoy::start(&store, usual(1), 1);
    a.tick(at(0));
    a.revoke(Revocable::Jti("j"), at(100));
    a.tick_alone(at(100));
    a.link = Link::open(&a.rule, Seed::from_bytes([1; 16]), [9; 16]);
    for milliseconds in (1200..60_000).step_by(100) {
        a.step(true, at(milliseconds));
    }
    let mut d = Envoy::start(&store, usual(1), 5);
    d.tick(at(60_000));
    assert!(d.refuses("j", "u", at(60_000)));
}

#[test]
fn a_poll_that_is_too_old_is_so_after_the_clock_was_set_back_too() {
    let Some(store) = Store::start() else { return };
    let mut a = Envoy::start(&store, rule(1, AtStart::Refuse, Some(10)), 1);
    a.tick(at(3_600_000));
    // Set back by an hour; the store is not reached from then on.
    for milliseconds in (0..600_000).step_by(1000) {
        a.tick_alone(at(milliseconds));
    }
    let _ = a.link.refresh(&a.cells, at(600_000));
    assert_eq!(a.link.view().knowledge(&a.rule, at(600_000)), Knowledge::Lacking);
}

#[test]
fn what_was_read_while_the_clock_ran_ahead_is_in_force_once_it_is_right() {
    let Some(store) = Store::start() else { return };
    let mut a = Envoy::start(&store, usual(1), 1);
    a.tick(at(0));
    a.revoke_until("j", 3600, at(0));
    a.tick(at(0));
    // An Envoy starts with a clock that is two hours ahead, which is then set right.
    let mut b = Envoy::start(&store, usual(1), 2);
    b.tick(at(7_200_000));
    for milliseconds in (1000..120_000).step_by(500) {
        b.tick(at(milliseconds));
    }
    assert!(a.refuses("j", "u", at(120_000)));
    assert!(b.refuses("j", "u", at(120_000)));
}

#[test]
fn two_fleets_in_one_process_do_not_take_each_others_record() {
    let Some(store) = Store::start() else { return };
    // The old configuration goes on while its streams end; the new one has another secret or prefix.
    let mut process = Envoy::start(&store, usual(1), 1);
    let mut other = Envoy::start(&store, usual(9), 1);
    let (mut lacking, mut requests) = (0, 0);
    for milliseconds in (0..60_000).step_by(50) {
        process.tick(at(milliseconds));
        let now = at(milliseconds + 25);
        if milliseconds >= 5_000 {
            requests += 1;
            let _ = other.link.refresh(&process.cells, now);
            lacking += u32::from(other.link.view().knowledge(&other.rule, now) == Knowledge::Lacking);
        }
        std::mem::swap(&mut process.link, &mut other.link);
        std::mem::swap(&mut process.rule, &mut other.rule);
        std::mem::swap(&mut process.revocations, &mut other.revocations);
    }
    assert_eq!((lacking, requests), (0, requests), "calls: {}", process.calls);
}

#[test]
fn an_entry_that_the_store_has_as_it_was_earlier_is_told_again_as_it_is() {
    let Some(store) = Store::start() else { return };
    let mut a = Envoy::start(&store, usual(1), 1);
    a.tick(at(0));
    a.revoke_until("j", 5000, at(0));
    a.tick(at(100));
    let [ends, epoch] = ["ends", "epoch"].map(|name| usual(1).names.common(name));
    let end = || format!("{:?}", store.command(&["ZRANGE", &ends, "0", "-1", "WITHSCORES"]));
    let entry = end();
    let name = entry.split('"').nth(1).unwrap();
    assert!(entry.contains(&(START + 5000).to_string()), "{entry}");
    // A backup of it is restored.
    store.command(&["ZADD", &ends, &(START + 600).to_string(), name]);
    store.command(&["SET", &epoch, "12345"]);
    for milliseconds in (1500..10_000).step_by(100) {
        a.step(true, at(milliseconds));
    }
    assert!(end().contains(&(START + 5000).to_string()), "{}", end());
}
