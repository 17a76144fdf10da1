//! What a lease costs, whom it stands in the way of, and when its units are spent or given back.

use api_guard_core::cells::MemoryCells;
use api_guard_core::limit::{Charge, Identity, Leases, Limiter};
use api_guard_core::time::UnixNanos;

use super::{LEASE, admit};
use crate::limiter::{charge, meeting, open, quota};

/// How often the cells were changed while each of `charges` was spent so many times, within one second from `start`.
fn swaps(
    limiter: &Limiter,
    cells: &MemoryCells,
    leases: &mut Leases,
    charges: &[Charge],
    times: u64,
    start: UnixNanos,
) -> u32 {
    let mut swaps = 0;
    for request in 0..times {
        let now = UnixNanos::from_nanos(start.nanos() + 1_000_000_000 / times * request);
        for charge in charges {
            let before = limiter.peek(cells, charge, now).unwrap().used;
            assert!(admit(limiter, cells, leases, &[*charge], now).0);
            swaps += u32::from(limiter.peek(cells, charge, now).unwrap().used != before);
        }
    }
    swaps
}

#[test]
fn a_busy_caller_of_a_large_limit_seldom_touches_the_cells() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 64);
    let mut leases = Leases::new();
    let start = UnixNanos::from_seconds(1_800_000_000);
    // Not even after the clock has stepped back.
    let other = charge(&limiter, "default", "b", 100_000);
    assert!(admit(&limiter, &cells, &mut leases, &[other], start.plus_seconds(2)).0);
    let mut charge = charge(&limiter, "default", "a", 100_000);
    // Most of them come after the warning.
    charge.quota.warn_at_percent = Some(1);
    let swaps = swaps(&limiter, &cells, &mut leases, &[charge], 10_000, start);
    assert!(swaps < 400, "{swaps} swaps for 10,000 requests");
}

#[test]
fn a_lease_stands_in_nobodys_way_once_it_is_used_up_or_its_time_has_passed() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 64);
    let start = UnixNanos::from_seconds(1_800_000_000);
    let of = |high: u128, low: u128| Charge {
        identity: Identity::from_digest(high << 64 | low),
        ..charge(&limiter, "default", "", 100_000)
    };
    let mut leases = Leases::new();
    let apart = swaps(&limiter, &cells, &mut leases, &[of(1, 1), of(2, 2)], 5_000, start);
    assert!(apart < 400, "{apart} swaps for 10,000 requests of two with a place each");

    let holding = |holder: &Charge| {
        let (mut leases, mut unspent) = (Leases::new(), 0);
        while unspent < LEASE {
            let before = limiter.peek(&cells, holder, start).unwrap().used;
            assert!(admit(&limiter, &cells, &mut leases, &[*holder], start).0);
            let counted = limiter.peek(&cells, holder, start).unwrap().used - before;
            unspent = usize::try_from(counted).unwrap().saturating_sub(1);
        }
        leases
    };
    let mut leases = holding(&of(3, 3));
    let passed = swaps(&limiter, &cells, &mut leases, &[of(4, 3)], 1_000, start.plus_seconds(4));
    assert!(passed < 100, "{passed} swaps for 1,000 requests where the lease's time has passed");
    let holder = of(5, 5);
    let mut leases = holding(&holder);
    for _ in 0..LEASE {
        assert!(admit(&limiter, &cells, &mut leases, &[holder], start).0);
    }
    let used_up = swaps(&limiter, &cells, &mut leases, &[of(6, 5)], 1_000, start);
    assert!(used_up < 100, "{used_up} swaps for 1,000 requests where the lease is used up");
}

#[test]
fn a_slow_caller_is_counted_one_by_one() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 64);
    let mut leases = Leases::new();
    let charge = charge(&limiter, "default", "a", 100_000);
    for second in 0..15 {
        let now = UnixNanos::from_seconds(1_800_000_000 + 4 * second);
        assert!(admit(&limiter, &cells, &mut leases, &[charge], now).0);
        assert_eq!(u64::from(limiter.peek(&cells, &charge, now).unwrap().used), second + 1);
    }
}

#[test]
fn unspent_units_are_given_back_with_the_next_shared_access() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 64);
    let mut leases = Leases::new();
    let charge = charge(&limiter, "default", "a", 100_000);
    let now = UnixNanos::from_seconds(1_800_000_000);
    for _ in 0..100 {
        assert!(admit(&limiter, &cells, &mut leases, &[charge], now).0);
    }
    assert!(limiter.peek(&cells, &charge, now).unwrap().used > 100);
    assert!(admit(&limiter, &cells, &mut leases, &[charge], now.plus_seconds(4)).0);
    assert_eq!(limiter.peek(&cells, &charge, now.plus_seconds(4)).unwrap().used, 101);
}

#[test]
fn a_new_quota_does_not_spend_the_lease_of_the_old_one() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 64);
    let mut leases = Leases::new();
    let large = charge(&limiter, "default", "a", 100_000);
    let now = UnixNanos::from_seconds(1_800_000_000);
    for _ in 0..100 {
        assert!(admit(&limiter, &cells, &mut leases, &[large], now).0);
    }
    let small = Charge { quota: quota(100, 60), ..large };
    assert!(!admit(&limiter, &cells, &mut leases, &[small], now).0);
    let enough = Charge { quota: quota(102, 60), ..large };
    assert!(admit(&limiter, &cells, &mut leases, &[enough], now).0);
    assert!(admit(&limiter, &cells, &mut leases, &[enough], now).0);
    assert!(!admit(&limiter, &cells, &mut leases, &[enough], now).0);
}

#[test]
fn callers_that_meet_in_one_lease_place_do_not_use_up_each_others_limits() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 64);
    let mut leases = Leases::new();
    let now = UnixNanos::from_seconds(1_800_000_000);
    let mut admitted = [0_u32; 2];
    for _ in 0..12_000 {
        for who in [0, 1] {
            admitted[who] += u32::from(
                admit(&limiter, &cells, &mut leases, &[meeting(&limiter, who as u128, 10_000)], now).0,
            );
        }
    }
    assert_eq!(admitted, [10_000; 2]);
}

#[test]
fn a_lease_is_not_spent_after_the_clock_went_back_and_came_again() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 64);
    let (mut one, mut other) = (Leases::new(), Leases::new());
    let charge = charge(&limiter, "default", "a", 100_000);
    let now = UnixNanos::from_seconds(1_800_000_000);
    for _ in 0..100 {
        assert!(admit(&limiter, &cells, &mut one, &[charge], now).0);
    }
    let earlier = now.minus_seconds(100);
    assert!(admit(&limiter, &cells, &mut other, &[charge], earlier).0);
    assert!(admit(&limiter, &cells, &mut one, &[], earlier).0);
    // What was counted has left meanwhile; the units of the lease with it.
    assert_eq!(limiter.peek(&cells, &charge, now).unwrap().used, 0);
    assert!(admit(&limiter, &cells, &mut one, &[charge], now).0);
    assert_eq!(limiter.peek(&cells, &charge, now).unwrap().used, 1);
}

#[test]
fn what_newcomers_share_is_counted_one_by_one() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 1);
    let mut leases = Leases::new();
    let now = UnixNanos::from_seconds(1_800_000_000);
    for who in 0..48 {
        let one = charge(&limiter, "default", &who.to_string(), 100_000);
        assert!(admit(&limiter, &cells, &mut leases, &[one], now).0);
    }
    let newcomer = charge(&limiter, "default", "late", 100_000);
    for spent in 1..=100 {
        let outcome = admit(&limiter, &cells, &mut leases, &[newcomer], now).1.unwrap();
        assert!(outcome.overflow && outcome.used == spent);
    }
    assert_eq!(limiter.peek(&cells, &newcomer, now).unwrap().used, 100);
}
