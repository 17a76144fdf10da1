//! The numbering of a window's moments: after which of them units are not given back, and none are leased.

use api_guard_core::limit::window::Window;
use api_guard_core::time::UnixNanos;

use crate::clock::START;
use crate::limiter::quota;

#[test]
fn two_numberings_of_one_moment_are_told_apart() {
    let (quota, longer) = (quota(10, 16), quota(10, 32));
    // So early that the bucket has the same number in both.
    let now = UnixNanos::from_nanos(5);
    let mut window = Window::new(quota.window_seconds, now);
    let spent = window.spend(&quota);
    assert!(window.advance(longer.window_seconds, now));
    assert!(!window.undo(spent));
    assert_eq!(window.used(), 1);
    // One that was dropped, and made anew a moment later.
    let mut anew = Window::new(quota.window_seconds, UnixNanos::from_nanos(6));
    let _ = anew.spend(&quota);
    assert!(!anew.undo(spent));
    assert_eq!(anew.used(), 1);
}

#[test]
fn units_counted_under_another_numbering_are_not_given_back() {
    let (quota, longer) = (quota(10, 16), quota(10, 17));
    let now = UnixNanos::from_nanos(START);
    let mut window = Window::new(quota.window_seconds, now);
    let spent = window.spend(&quota);
    // The clock goes back, somebody spends, and the time comes again: bucket `spent` now holds that other unit.
    assert!(window.advance(quota.window_seconds, now.minus_seconds(18)));
    let _ = window.spend(&quota);
    assert!(!window.advance(quota.window_seconds, now));
    assert_eq!(window.used(), 0, "moved, and gone");
    let _ = window.spend(&quota);
    assert!(!window.undo(spent));
    assert!(window.advance(longer.window_seconds, now));
    assert!(!window.give_back(spent.stamp, 1));
    assert_eq!(window.used(), 1);
}

#[test]
fn a_window_that_waits_for_the_clock_leases_nothing() {
    let quota = quota(10_000, 16);
    let now = UnixNanos::from_nanos(START);
    let mut window = Window::new(quota.window_seconds, now);
    for _ in 0..50 {
        let _ = window.spend(&quota);
    }
    assert!(!window.advance(quota.window_seconds, now.minus_seconds(1)));
    assert_eq!(window.lease(&quota, now.minus_seconds(1)), 0);
    assert_eq!(window.lease(&quota, now), 31);
}
