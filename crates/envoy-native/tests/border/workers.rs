//! Several workers at once, as threads, on the same keys.

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use serde_json::json;

use crate::envoy::{CONTINUE, Config};
use crate::{bearer, load, request};

/// Envoy uses a configuration from all its threads.
pub struct Shared<'c>(pub &'c Config);

// SAFETY: what a configuration does for other threads, the library says it may.
unsafe impl Sync for Shared<'_> {}

impl Shared<'_> {
    pub fn config(&self) -> &Config {
        self.0
    }
}

/// How many of `each` requests by each of `workers` pass, and how long one takes, nanoseconds.
fn run(config: &Config, workers: usize, each: usize) -> (u32, f64) {
    let (shared, passed, barrier) = (Shared(config), AtomicU32::new(0), Barrier::new(workers));
    let start = Instant::now();
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                let config = shared.config();
                let bearer = bearer("one");
                barrier.wait();
                for _ in 0..each {
                    let stream = config.stream();
                    let flow =
                        stream.headers(Some(request("GET", "/x", &[("authorization", &bearer)])), true);
                    passed.fetch_add(u32::from(flow == CONTINUE), Ordering::Relaxed);
                }
            });
        }
    });
    (passed.into_inner(), start.elapsed().as_nanos() as f64 / each as f64)
}

#[test]
fn a_limit_is_kept_by_all_workers_together() {
    let config = load(
        "limit",
        json!({ "rate_limits": [
        { "name": "all", "max_requests": 500, "window_seconds": 3600, "key": ["subject"] },
    ] }),
    );
    let (passed, _) = run(&config, 4, 400);
    // What a worker has set aside for itself may be left over; nothing is handed out twice.
    assert!((450..=500).contains(&passed), "{passed}");
}

#[test]
#[ignore = "a measurement: cargo test --profile native -- --ignored --nocapture contention"]
fn contention() {
    let each = std::env::var("API_GUARD_REQUESTS").map_or(200_000, |text| text.parse().unwrap());
    for workers in [1, 2, 1, 2, 1, 2] {
        let config = load(
            "contention",
            json!({ "rate_limits": [
            { "name": "all", "max_requests": 4_000_000_000_u64, "window_seconds": 60, "key": ["subject"] },
        ] }),
        );
        let (_, nanos) = run(&config, workers, each);
        eprintln!("{workers} workers: {nanos:.0} ns for a request of each");
    }
}
