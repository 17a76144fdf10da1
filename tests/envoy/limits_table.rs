//! How much memory any number of callers costs, and which of them are admitted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::json;

use crate::ask::{Ask, Protocol};
use crate::load::Crowd;
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::token::token;

/// Over an idle, warmed-up start.
const MOST_KIB: u64 = 64 * 1024;

const WORKERS: u32 = 2;

/// One for each core of a small machine, with so many connections to each worker.
const CROWDS: usize = 2;
const CONNECTIONS: usize = 12;

/// Every `x-key` is a caller of its own, to each of so many limits.
fn start(limits: usize, max_requests: u32, capacity: Option<u32>) -> Envoy {
    let names = std::iter::once("each".to_owned()).chain((1..limits).map(|number| format!("more-{number}")));
    let limit = |name: String| json!({ "name": name, "max_requests": max_requests, "window_seconds": 3600, "key": ["header:x-key"] });
    let mut policy = policy(json!({
        "unmatched_routes": "public",
        "rate_limits": names.map(limit).collect::<Vec<_>>(),
    }));
    if let Some(capacity) = capacity {
        policy["limiter_capacity"] = json!(capacity);
    }
    Envoy::start(Setup { concurrency: WORKERS, loaded: true, ..Setup::new(&policy) })
}

/// Sends one request of each of `callers` new callers, over connections of both workers.
fn arrive(crowds: &mut [Crowd], callers: std::ops::Range<u64>, each: impl Fn(&mut Crowd, u64) + Sync) {
    std::thread::scope(|scope| {
        for (crowd, first) in crowds.iter_mut().zip(callers.start..) {
            let (callers, each) = (callers.clone(), &each);
            scope.spawn(move || {
                for number in (first..callers.end).step_by(CROWDS) {
                    each(crowd, number);
                }
            });
        }
    });
}

/// What so many callers, each of whom asks once, add to Envoy's memory, in KiB. `key`: the `x-key` of a caller, and more
/// header lines if need be.
fn added_by(
    envoy: &Envoy,
    callers: u64,
    judge: impl Fn(u16) + Sync,
    key: impl Fn(u64, bool) -> String + Sync,
) -> u64 {
    let mut crowds = Crowd::gather(envoy, CROWDS, CONNECTIONS);
    arrive(&mut crowds, 0..20_000, |crowd, number| crowd.ask(&key(number, true), &judge));
    for crowd in &mut crowds {
        crowd.finish(&judge);
    }
    let (before, start) = (envoy.resident_kib(), Instant::now());
    arrive(&mut crowds, 0..callers, |crowd, number| crowd.ask(&key(number, false), &judge));
    for crowd in &mut crowds {
        crowd.finish(&judge);
    }
    let added = envoy.resident_kib().saturating_sub(before);
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("{callers} callers in {seconds:.1} s: {before} KiB before, {added} KiB added");
    envoy.assert_healthy();
    added
}

/// So many callers, each of whom asks once, under so many limits: what that adds to Envoy's memory, in KiB.
fn memory_of(callers: u64, limits: usize) -> u64 {
    let envoy = start(limits, 100, None);
    let [passed, failed] = [const { AtomicU64::new(0) }; 2];
    let judge = |status| {
        passed.fetch_add(u64::from(status == 200), Ordering::Relaxed);
        failed.fetch_add(u64::from(status != 200 && status != 429), Ordering::Relaxed);
    };
    let key =
        |number, is_warm| if is_warm { format!("warm-{}", number % 8) } else { format!("caller-{number}") };
    let added = added_by(&envoy, callers, judge, key);
    assert_eq!(failed.load(Ordering::Relaxed), 0);
    assert!(passed.load(Ordering::Relaxed) > callers.min(300_000) / 3, "many came while there was room");
    added
}

#[test]
fn three_hundred_thousand_callers_cost_at_most_64_mib() {
    let added = memory_of(300_000, 1);
    assert!(added <= MOST_KIB, "{added} KiB");
}

#[test]
fn four_full_limits_cost_at_most_64_mib() {
    let added = memory_of(60_000, 4);
    assert!(added <= MOST_KIB, "{added} KiB");
}

#[test]
fn three_hundred_thousand_addresses_that_fail_cost_at_most_64_mib() {
    let plugin = policy(json!({
        "rate_limits": [{ "name": "each", "max_requests": 100, "window_seconds": 3600, "key": ["client_ip"] }],
        "auth_failure_limit": { "max_failures": 100, "window_seconds": 3600 },
    }));
    let envoy =
        Envoy::start(Setup { concurrency: WORKERS, loaded: true, trusted_hops: 1, ..Setup::new(&plugin) });
    let failing = |number: u64| {
        let address = std::net::Ipv4Addr::from_bits(0x0B00_0000 + u32::try_from(number).unwrap());
        format!("a\r\nx-forwarded-for: {address}\r\nauthorization: Bearer a.b.c")
    };
    let failed = AtomicU64::new(0);
    let judge = |status| {
        assert!([401, 429].contains(&status), "{status}");
        failed.fetch_add(u64::from(status == 401), Ordering::Relaxed);
    };
    let added = added_by(&envoy, 300_000, judge, |number, is_warm| {
        failing(if is_warm { number % 8 } else { number })
    });
    assert!(failed.load(Ordering::Relaxed) > 100_000, "many came while there was room");
    assert!(added <= MOST_KIB, "{added} KiB");
}

/// `make soak`: as many callers as `API_GUARD_SOAK` says, 10 million by default.
#[test]
#[ignore = "takes minutes: `make soak`"]
fn ten_million_callers_cost_at_most_64_mib() {
    let callers = std::env::var("API_GUARD_SOAK").ok().filter(|number| !number.is_empty());
    let callers = callers.map_or(10_000_000, |number| number.parse().expect("a number in API_GUARD_SOAK"));
    let added = memory_of(callers, 1);
    assert!(added <= MOST_KIB, "{added} KiB");
}

#[test]
fn an_exhausted_caller_stays_refused_while_200_000_others_arrive() {
    const LIMIT: u64 = 3;
    let envoy = start(1, u32::try_from(LIMIT).unwrap(), Some(1024));
    let mut crowds = Crowd::gather(&envoy, CROWDS, CONNECTIONS);
    let mut admitted = 0;
    for _ in 0..10 {
        crowds[0].ask("exhausted", |_| ());
        crowds[0].finish(|status| admitted += u64::from(status == 200));
    }
    assert_eq!(admitted, LIMIT);
    let [asked, failed] = [const { AtomicU64::new(0) }; 2];
    let judge = |status| {
        failed.fetch_add(u64::from(status != 200 && status != 429), Ordering::Relaxed);
    };
    arrive(&mut crowds, 0..200_000, |crowd, number| {
        crowd.ask(&format!("other-{number}"), judge);
        // The exhausted one comes back through every connections.
        if number % 1024 < CROWDS as u64 {
            crowd.finish(judge);
            crowd.ask("exhausted", judge);
            crowd.finish(|status| assert_eq!(status, 429, "after {number} others"));
            asked.fetch_add(1, Ordering::Relaxed);
        }
    });
    for crowd in &mut crowds {
        crowd.finish(judge);
    }
    assert!(asked.load(Ordering::Relaxed) > 300, "{asked:?}");
    assert_eq!(failed.load(Ordering::Relaxed), 0, "nobody hears of it but as a limit");
    eventually("no overflow is counted", || {
        (envoy.counter("api_guard_rate_limit_total.limit.each.outcome.overflow") > 0).then_some(())
    });
    envoy.assert_healthy();
}

/// An Envoy behind one proxy that says whom it asks for.
fn behind_a_proxy(plugin: serde_json::Value) -> Envoy {
    Envoy::start(Setup { trusted_hops: 1, ..Setup::new(&policy(plugin)) })
}

fn of(address: &str, ask: Ask) -> Ask {
    ask.header("x-forwarded-for", address)
}

/// One address makes up so many paths.
fn flood(envoy: &Envoy, path: &str, paths: u32, status: u16) {
    for number in 0..paths {
        let reply = of("192.0.2.1", Ask::get(format!("{path}{number}"))).send(envoy, Protocol::Http1);
        assert_eq!(reply.status, status, "{number}: {reply:?}");
    }
}

#[test]
fn one_address_that_fills_the_table_and_fails_refuses_no_good_token_of_another() {
    let envoy = behind_a_proxy(json!({
        "limiter_capacity": 16,
        "rate_limits": [{ "name": "path", "max_requests": 100_000, "window_seconds": 3600, "key": ["client_ip", "path"] }],
        "auth_failure_limit": { "max_failures": 5, "window_seconds": 3600 },
    }));
    flood(&envoy, "/n", 60, 401);
    let bad = of("192.0.2.1", Ask::get("/x").token("a.b.c"));
    for _ in 0..5 {
        bad.send(&envoy, Protocol::Http1).refused(&envoy, 401, "token_malformed");
    }
    bad.send(&envoy, Protocol::Http1).refused(&envoy, 429, "auth_failures_limited");
    let good = token(json!({}));
    for number in 2..12 {
        let neighbour = format!("192.0.2.{number}");
        of(&neighbour, Ask::get("/x").token(&good)).send(&envoy, Protocol::Http1).forwarded(&envoy);
    }
    // More addresses than the table of failures has room for, each of which fails as often as it may.
    for number in 0..60 {
        for _ in 0..5 {
            let failing = of(&format!("198.51.100.{number}"), Ask::get("/x").token("a.b.c"));
            failing.send(&envoy, Protocol::Http1).refused(&envoy, 401, "token_malformed");
        }
    }
    for number in 0..20 {
        let neighbour = format!("203.0.113.{number}");
        of(&neighbour, Ask::get("/x").token(&good)).send(&envoy, Protocol::Http1).forwarded(&envoy);
    }
    bad.send(&envoy, Protocol::Http1).refused(&envoy, 429, "auth_failures_limited");
    eventually("no overflow is counted", || {
        (envoy.counter("api_guard_rate_limit_total.limit.auth-failures.outcome.overflow") > 0).then_some(())
    });
    envoy.assert_healthy();
}

#[test]
fn one_address_that_makes_up_paths_takes_nothing_of_another_limit_s_share() {
    let limit = |name: &str, max_requests: u32, key: &[&str]| json!([{ "name": name, "max_requests": max_requests, "window_seconds": 3600, "key": key }]);
    let envoy = behind_a_proxy(json!({
        "limiter_capacity": 16,
        "rate_limits": [],
        "routes": [
            { "path": "/open/{*rest}", "access": "public", "rate_limits": limit("path", 100_000, &["client_ip", "path"]) },
            { "path": "/early", "access": "public", "rate_limits": limit("address", 2, &["client_ip"]) },
            { "path": "/late", "rate_limits": limit("caller", 2, &["subject"]) },
        ],
    }));
    flood(&envoy, "/open/", 200, 200);
    // Half of the slot's 48 entries, divided among three limits.
    for number in 0..8 {
        let address = format!("203.0.113.{number}");
        let late = token(json!({ "sub": format!("caller-{number}") }));
        for expected in [200, 200, 429] {
            for ask in [Ask::get("/early"), Ask::get("/late").token(&late)] {
                let reply = of(&address, ask).send(&envoy, Protocol::Http1);
                assert_eq!(reply.status, expected, "{number}: {reply:?}");
            }
        }
    }
    envoy.assert_healthy();
}
