//! A limit that a worker knows to be used up.

use api_guard_core::cells::{Cells, MemoryCells};
use api_guard_core::limit::{Charge, Standing};
use api_guard_core::time::UnixNanos;

use super::trouble::Troubled;
use super::{NOW, Worker, charge, meeting, open, quota};

/// A sub-window of 60 seconds, nanoseconds.
const BUCKET: u64 = 3_750_000_000;

fn after(nanos: u64) -> UnixNanos {
    UnixNanos::from_nanos(NOW.nanos() + nanos)
}

/// Requests until the worker has ten units of the caller in hand; returns how many it admitted.
fn take_units(worker: &mut Worker<'_, impl Cells>, charge: &Charge) -> u32 {
    let mut admitted = 0;
    while worker.used(charge) - admitted < 10 {
        assert!(worker.admit(&[*charge], NOW).0);
        admitted += 1;
    }
    admitted
}

#[test]
fn the_cells_are_asked_once_a_second_and_the_figures_are_those_of_the_cells() {
    let cells = Troubled::new();
    for (name, others) in [("alone", 0), ("with another", 1)] {
        let mut worker = Worker::new(&cells, open(&cells, 64));
        let scarce = charge(&worker.limiter, name, "a", 5);
        let more = charge(&worker.limiter, "more", name, 1_000);
        let charges = &[scarce, more][..=others];
        for second in 0..5 {
            assert!(worker.admit(charges, after(second * 1_000_000_000)).0);
        }
        let mut asked = 0;
        for step in 0..600 {
            let now = after(5_000_000_000 + step * 100_000_000);
            let stands = worker.limiter.peek(&cells.cells, &scarce, now).unwrap();
            if stands.admits() {
                // Sixteen buckets from the first one's end: 63.75 s at most.
                assert!((59..=64).contains(&(now.nanos() - NOW.nanos()).div_ceil(1_000_000_000)), "{name}");
                assert!(worker.admit(charges, now).0, "{name}: a unit is back");
                break;
            }
            let (calls, (admitted, outcomes)) = cells.calls_of(|| worker.admit(charges, now));
            assert!(!admitted);
            assert_eq!(outcomes[0], stands, "{name}, step {step}");
            asked += calls;
        }
        // And where a bucket begins. The other limit is judged each time, since nothing is spent of it.
        let asked_of_more = if others == 0 { 0 } else { 600 };
        assert!(asked <= 60 + 17 + asked_of_more, "{name}: asked {asked} times");
    }
}

#[test]
fn a_refusal_is_not_believed_after_the_clock_went_back() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 64));
    let scarce = charge(&worker.limiter, "scarce", "a", 5);
    worker.spend(&scarce, 5);
    assert!(!worker.admit(&[scarce], NOW).0);
    // In the future, from which the clock comes back, all of it has left.
    assert!(Worker::new(&cells, worker.limiter).admit(&[scarce], NOW.plus_seconds(100)).0);
    assert!(worker.admit(&[], NOW.minus_seconds(1)).0);
    assert!(worker.admit(&[scarce], NOW).0);
}

#[test]
fn more_requests_in_a_new_configuration_are_had_at_once() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 64));
    let scarce = charge(&worker.limiter, "scarce", "a", 5);
    worker.spend(&scarce, 5);
    assert!(!worker.admit(&[scarce], NOW).0);
    assert!(worker.admit(&[Charge { quota: quota(6, 60), ..scarce }], NOW).0);
    assert!(!worker.admit(&[scarce], NOW).0);
}

#[test]
fn a_unit_that_is_given_back_is_had_a_second_later() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 64);
    let (mut one, mut other) = (Worker::new(&cells, limiter), Worker::new(&cells, limiter));
    let large = charge(&limiter, "large", "a", 10_000);
    let admitted = take_units(&mut one, &large);
    let unspent = one.used(&large) - admitted;
    let small = Charge { quota: quota(one.used(&large), 60), ..large };
    assert!(!other.admit(&[small], NOW).0);
    // With its next access the first one gives its units back, and spends one of them.
    assert!(one.admit(&[small], NOW).0);
    assert!(!other.admit(&[small], after(999_999_999)).0);
    let had = (0..unspent).filter(|_| other.admit(&[small], after(1_000_000_000)).0).count();
    assert_eq!(u32::try_from(had).unwrap(), unspent - 1);
}

#[test]
fn a_window_that_others_renumber_is_brought_back_while_the_caller_goes_on() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 64);
    let (mut new, mut old) = (Worker::new(&cells, limiter), Worker::new(&cells, limiter));
    let hour = Charge { quota: quota(5, 3600), ..charge(&limiter, "scarce", "a", 5) };
    let minute = Charge { quota: quota(5, 60), ..hour };
    new.spend(&hour, 5);
    assert!(!new.admit(&[hour], NOW).0);
    // A connection of the configuration before, whose window is shorter.
    assert!(!old.admit(&[minute], NOW.plus_seconds(10)).0);
    for second in 11..3600 {
        assert!(!new.admit(&[hour], NOW.plus_seconds(second)).0, "after {second} s");
    }
}

#[test]
fn a_refusal_whose_renumbering_was_not_stored_is_judged_again() {
    let cells = Troubled::new();
    let mut worker = Worker::new(&cells, open(&cells, 64));
    let minute = charge(&worker.limiter, "scarce", "a", 5);
    let hour = Charge { quota: quota(5, 3600), ..minute };
    let more = charge(&worker.limiter, "more", "a", 1_000);
    worker.spend(&minute, 5);
    cells.conflicts.set(1);
    assert!(!worker.admit(&[hour, more], NOW).0);
    assert_eq!(cells.conflicts.get(), 0);
    assert!(!worker.admit(&[hour, more], NOW).0);
    // The window of an hour is stored by now: nothing of it leaves after a minute.
    assert!(!worker.admit(&[hour, more], NOW.plus_seconds(300)).0);
}

#[test]
fn units_of_another_caller_that_are_still_to_be_given_back_are_not_displaced() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 64));
    let [busy, refused] = [(1, 100_000), (2, 5)].map(|(who, max)| meeting(&worker.limiter, who, max));
    let admitted = take_units(&mut worker, &busy);
    worker.spend(&refused, 5);
    // The lease's bucket has passed; its units are given back all the same.
    let later = after(BUCKET);
    assert!(!worker.admit(&[refused], later).0);
    assert!(worker.admit(&[busy], later).0);
    assert_eq!(worker.limiter.peek(&cells, &busy, later).unwrap().used, admitted + 1);
}

#[test]
fn what_newcomers_share_is_asked_for_each_time() {
    let cells = Troubled::new();
    let mut worker = Worker::new(&cells, open(&cells, 1));
    for who in 0..48 {
        let one = charge(&worker.limiter, "default", &who.to_string(), 5);
        assert!(worker.admit(&[one], NOW).0);
    }
    let newcomer = charge(&worker.limiter, "default", "late", 5);
    worker.spend(&newcomer, 5);
    for _ in 0..3 {
        let (calls, (admitted, outcomes)) = cells.calls_of(|| worker.admit(&[newcomer], NOW));
        assert!(!admitted && outcomes[0].overflow && calls > 0);
    }
}

#[test]
fn a_refusal_displaces_no_lease_of_another_caller() {
    let cells = Troubled::new();
    let mut worker = Worker::new(&cells, open(&cells, 64));
    let [busy, refused] = [(1, 100_000), (2, 5)].map(|(who, max)| meeting(&worker.limiter, who, max));
    worker.spend(&refused, 5);
    let mut asked = 0;
    for _ in 0..1_000 {
        let (calls, (admitted, _)) = cells.calls_of(|| worker.admit(&[busy], NOW));
        assert!(admitted);
        asked += calls;
        let (_, outcomes) = worker.admit(&[refused], NOW);
        assert_eq!(outcomes[0].standing, Standing::Refused);
    }
    assert!(asked < 200, "the caller with a lease asked {asked} times");
}
