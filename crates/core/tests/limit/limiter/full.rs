//! A full table: what newcomers get, and what identities that are counted already keep.

use api_guard_core::cells::MemoryCells;
use api_guard_core::limit::{Charge, Identity};

use super::{NOW, Worker, charge, open, quota};

#[test]
fn newcomers_never_let_an_exhausted_identity_through() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 256));
    let exhausted: Vec<Charge> =
        (0..16).map(|who| charge(&worker.limiter, "default", &format!("victim-{who}"), 3)).collect();
    for charge in &exhausted {
        worker.spend(charge, 3);
    }
    let mut overflowed = 0_u32;
    for newcomer in 0..200_000_u32 {
        let one = Charge {
            identity: worker.limiter.identity("default", [&newcomer.to_le_bytes()[..]]),
            ..exhausted[0]
        };
        let outcome = worker.admit(&[one], NOW).1[0];
        overflowed += u32::from(outcome.overflow);
        if newcomer % 1000 == 0 {
            assert!(exhausted.iter().all(|charge| !worker.admit(&[*charge], NOW).0));
        }
    }
    assert!(overflowed > 190_000, "they did overflow: {overflowed}");
    assert!(exhausted.iter().all(|charge| !worker.admit(&[*charge], NOW).0));
    assert!(exhausted.iter().all(|charge| worker.admit(&[*charge], NOW.plus_seconds(64)).0));
}

#[test]
fn a_full_table_limits_newcomers_early_and_never_late() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 16));
    let of =
        |worker: &Worker<'_, MemoryCells>, who: u32| charge(&worker.limiter, "default", &who.to_string(), 3);
    for who in 0..48 {
        worker.spend(&of(&worker, who), 1);
    }
    let admitted = (100..110).filter(|who| worker.admit(&[of(&worker, *who)], NOW).0).count();
    assert_eq!(admitted, 3, "they share the limit of one");
    for who in 0..48 {
        worker.spend(&of(&worker, who), 2);
        assert!(!worker.admit(&[of(&worker, who)], NOW).0);
    }
}

#[test]
fn as_many_identities_as_the_capacity_says_are_counted_exactly() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 20_000));
    for who in 0..20_000_u32 {
        let one = charge(&worker.limiter, "default", &who.to_string(), 1);
        let (admitted, outcomes) = worker.admit(&[one], NOW);
        assert!(admitted && !outcomes[0].overflow);
    }
}

#[test]
fn memory_is_bounded_whatever_identities_come() {
    let cells = MemoryCells::new();
    let capacity = 4096_usize;
    let mut worker = Worker::new(&cells, open(&cells, 4096));
    let limits: Vec<Identity> =
        (0..3).map(|limit| worker.limiter.overflow(&format!("limit-{limit}"))).collect();
    let mut largest = 0;
    for who in 0..300_000_u32 {
        let one = Charge {
            identity: worker.limiter.identity("default", [&who.to_le_bytes()[..]]),
            overflow: Some(limits[who as usize % 3]),
            quota: quota(3, 60),
            enforced: true,
        };
        // Slow enough for some to leave, fast enough for the table to be full.
        worker.admit(&[one], NOW.plus_seconds(u64::from(who) / 1000));
        if who % 10_000 == 0 {
            largest = largest.max(cells.bytes_held());
        }
    }
    let slots = capacity / 16;
    assert!(largest > slots * 40 * 108, "the table was full: {largest}");
    assert!(largest <= slots * ((48 + 3) * 108 + 11) + 100, "{largest} bytes held");
}
