//! How much memory any number of callers costs, and which of them are admitted.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use serde_json::json;

use crate::load::Crowd;
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};

/// Over an idle, warmed-up start.
const MOST_KIB: u64 = 64 * 1024;

const WORKERS: u32 = 2;

/// One for each core of a small machine, with so many connections to each worker.
const CROWDS: usize = 2;
const CONNECTIONS: usize = 12;

/// Every `x-key` is a caller of its own.
fn start(max_requests: u32, capacity: Option<u32>) -> Envoy {
    let mut policy = policy(json!({
        "unmatched_routes": "public",
        "rate_limits": [
            { "name": "each", "max_requests": max_requests, "window_seconds": 3600, "key": ["header:x-key"] },
        ],
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

/// So many callers, each of whom asks once: what that adds to Envoy's memory, in KiB.
fn memory_of(callers: u64) -> u64 {
    let envoy = start(100, None);
    let mut crowds = Crowd::gather(&envoy, CROWDS, CONNECTIONS);
    let [passed, limited, failed] = [const { AtomicU64::new(0) }; 3];
    let judge = |status| {
        let count = match status {
            200 => &passed,
            429 => &limited,
            _ => &failed,
        };
        count.fetch_add(1, Ordering::Relaxed);
    };
    arrive(&mut crowds, 0..20_000, |crowd, number| crowd.ask(&format!("warm-{}", number % 8), judge));
    for crowd in &mut crowds {
        crowd.finish(judge);
    }
    let (before, start) = (envoy.resident_kib(), Instant::now());
    arrive(&mut crowds, 0..callers, |crowd, number| crowd.ask(&format!("caller-{number}"), judge));
    for crowd in &mut crowds {
        crowd.finish(judge);
    }
    let added = envoy.resident_kib().saturating_sub(before);
    let seconds = start.elapsed().as_secs_f64();
    eprintln!(
        "{callers} callers in {seconds:.1} s: {before} KiB before, {added} KiB added; {passed:?} passed, {limited:?} limited"
    );
    assert_eq!(failed.load(Ordering::Relaxed), 0);
    assert!(passed.load(Ordering::Relaxed) > 100_000, "most came while there was room");
    envoy.assert_healthy();
    added
}

#[test]
fn three_hundred_thousand_callers_cost_at_most_64_mib() {
    let added = memory_of(300_000);
    assert!(added <= MOST_KIB, "{added} KiB");
}

/// `make soak`: as many callers as `API_GUARD_SOAK` says, 10 million by default.
#[test]
#[ignore = "takes minutes: `make soak`"]
fn ten_million_callers_cost_at_most_64_mib() {
    let callers = std::env::var("API_GUARD_SOAK").ok().filter(|number| !number.is_empty());
    let callers = callers.map_or(10_000_000, |number| number.parse().expect("a number in API_GUARD_SOAK"));
    let added = memory_of(callers);
    assert!(added <= MOST_KIB, "{added} KiB");
}

#[test]
fn an_exhausted_caller_stays_refused_while_200_000_others_arrive() {
    const LIMIT: u64 = 3;
    let envoy = start(u32::try_from(LIMIT).unwrap(), Some(1024));
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
