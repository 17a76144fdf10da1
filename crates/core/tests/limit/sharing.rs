//! Several workers: leases keep both promises of the window, and no swap is lost.

mod leases;

use std::thread;

use api_guard_core::cells::MemoryCells;
use api_guard_core::limit::{Charge, Leases, Limiter, Outcome, Quota, Standing};
use api_guard_core::time::UnixNanos;

use crate::clock::{Clock, Random, SECOND};
use crate::limiter::{self, charge, open, quota};

const WORKERS: usize = 4;
/// The units that one worker can hold unspent of one identity.
const LEASE: usize = 31;

fn admit(
    limiter: &Limiter,
    cells: &MemoryCells,
    leases: &mut Leases,
    charges: &[Charge],
    now: UnixNanos,
) -> (bool, Option<Outcome>) {
    let (admitted, outcomes) = limiter::admit(limiter, cells, leases, charges, now).unwrap();
    (admitted, outcomes.first().copied())
}

/// Four workers, one key. Returns how many requests were admitted without a shared access.
fn follow(random: &mut Random, quota: Quota, steps: u32, back: bool) {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 1);
    let charge = Charge { quota, ..charge(&limiter, "default", "a", 1) };
    let mut workers: Vec<Leases> = (0..WORKERS).map(|_| Leases::new()).collect();
    let window = u64::from(quota.window_seconds.get()) * SECOND;
    let max = quota.max_requests.get() as usize;
    let mut clock = Clock { passed: 0, stepped_back: 0 };
    let mut log: Vec<u64> = vec![];
    for step in 0..steps {
        // Mostly bursts: the time stands still for many requests.
        if random.below(max as u64) < 40 {
            let before = clock.now();
            clock.step(random, window);
            if !back {
                clock.stepped_back = 0;
            } else if clock.now() < before {
                // Every worker handles some request while the clock is wrong; see `lease.rs` for one that does not.
                for leases in &mut workers {
                    assert!(admit(&limiter, &cells, leases, &[], clock.now()).0);
                }
            }
        }
        let leases = &mut workers[random.below(WORKERS as u64) as usize];
        let full = log.len().checked_sub(max).is_some_and(|index| log[index] + window >= clock.passed);
        if admit(&limiter, &cells, leases, &[charge], clock.now()).0 {
            assert!(!full, "step {step} of {quota:?}: one too many");
            log.push(clock.passed);
        } else if !back {
            // All but what lies unspent with the workers was admitted, in the last 17/16 of a window.
            let least = max.saturating_sub(WORKERS * LEASE);
            let since = clock.passed.saturating_sub(window + window / 16);
            let lately = log.len() - log.partition_point(|entry| *entry < since);
            assert!(lately >= least, "step {step} of {quota:?}: refused after {lately}");
        }
    }
    assert!(log.len() > max, "{} admitted of {quota:?}", log.len());
}

#[test]
fn workers_with_leases_together_keep_the_limit_and_use_it_up() {
    let mut random = Random(0x5eed_0004);
    for max in [200, 300, 1000, 5000] {
        for seconds in [1, 60, 3600] {
            follow(&mut random, quota(max, seconds), 12 * max.max(1000), false);
        }
    }
}

#[test]
fn leases_do_not_outlive_a_step_back_of_the_clock() {
    let mut random = Random(0x5eed_0005);
    for max in [256, 1000, 5000] {
        for seconds in [1, 60, 3600] {
            follow(&mut random, quota(max, seconds), 12 * max.max(1000), true);
        }
    }
}

#[test]
fn a_worker_alone_warns_at_the_very_threshold() {
    for max in [300, 1000, 20_000] {
        let cells = MemoryCells::new();
        let limiter = open(&cells, 64);
        let mut leases = Leases::new();
        let charge = charge(&limiter, "default", "a", max);
        let now = UnixNanos::from_seconds(1_800_000_000);
        let warned = (1..=max)
            .filter(|_| {
                let outcome = admit(&limiter, &cells, &mut leases, &[charge], now).1.unwrap();
                outcome.standing == Standing::Warned
            })
            .collect::<Vec<_>>();
        assert_eq!(warned, [max / 10 * 8]);
    }
}

#[test]
fn the_warning_is_not_missed_with_leases() {
    let mut random = Random(0x5eed_0006);
    for max in [300, 1000, 20_000] {
        let cells = MemoryCells::new();
        let limiter = open(&cells, 64);
        let mut workers: Vec<Leases> = (0..WORKERS).map(|_| Leases::new()).collect();
        let charge = charge(&limiter, "default", "a", max);
        for window in 0..3 {
            let now = UnixNanos::from_seconds(1_800_000_000 + 100 * window);
            let (mut admitted, mut warned_at) = (0, vec![]);
            loop {
                let leases = &mut workers[random.below(WORKERS as u64) as usize];
                let (yes, outcome) = admit(&limiter, &cells, leases, &[charge], now);
                admitted += u32::from(yes);
                if outcome.unwrap().standing == Standing::Warned {
                    warned_at.push(admitted);
                }
                if !yes {
                    break;
                }
            }
            assert_eq!(warned_at.len(), 1, "of {max}: once per window");
            assert!(warned_at[0] <= max * 8 / 10 && warned_at[0] + 128 > max * 8 / 10, "{warned_at:?}");
        }
    }
}

#[test]
fn no_increment_is_lost_between_threads() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 64);
    let charge = charge(&limiter, "default", "a", u32::MAX);
    let now = UnixNanos::from_seconds(1_800_000_000);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..10_000 {
                    while !limiter.record(&cells, &charge, now).unwrap().admits() {}
                }
            });
        }
    });
    assert_eq!(limiter.peek(&cells, &charge, now).unwrap().used, 80_000);
}

#[test]
fn threads_with_leases_admit_the_limit_and_no_more() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 64);
    let charge = charge(&limiter, "default", "a", 50_000);
    let now = UnixNanos::from_seconds(1_800_000_000);
    let admitted: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut leases = Leases::new();
                    (0..10_000).filter(|_| admit(&limiter, &cells, &mut leases, &[charge], now).0).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert!((50_000 - 8 * LEASE..=50_000).contains(&admitted), "{admitted} admitted");
}
