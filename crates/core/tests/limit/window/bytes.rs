//! A window as bytes: any of them, and units that are given back.

use api_guard_core::limit::Quota;
use api_guard_core::limit::window::Window;
use api_guard_core::time::UnixNanos;
use proptest::prelude::*;

use crate::clock::START;
use crate::limiter::quota;

proptest! {
    #[test]
    fn any_bytes_are_a_window_or_none_and_no_operation_on_them_panics(
        low in any::<[u8; 32]>(), middle in any::<[u8; 32]>(), high in any::<[u8; 28]>(),
        max in 1..=u32::MAX, seconds in 1..=u32::MAX, percent in proptest::option::of(any::<u8>()), now in any::<u64>(),
    ) {
        let bytes: [u8; 92] = [&low[..], &middle, &high].concat().try_into().unwrap();
        let quota = Quota { warn_at_percent: percent, ..quota(max, seconds) };
        let now = UnixNanos::from_nanos(now);
        if let Some(mut window) = Window::decode(&bytes) {
            prop_assert_eq!(window.encode(), bytes);
            prop_assert!(Window::liveness(&bytes, now).is_some());
            let _ = window.advance(quota.window_seconds, now);
            let _ = (window.remaining(&quota), window.free_at(&quota), window.oldest_leaves_at());
            let spent = window.spend(&quota);
            let _ = window.lease(&quota, now);
            let _ = window.undo(spent);
            prop_assert_eq!(Window::decode(&window.encode()), Some(window));
        } else {
            prop_assert!(Window::liveness(&bytes, now).is_none());
        }
    }

    #[test]
    fn a_unit_that_is_given_back_leaves_no_trace(before in 0..20_u32, wait in 0..17_u64) {
        let quota = quota(20, 16);
        let now = UnixNanos::from_nanos(START);
        let mut window = Window::new(quota.window_seconds, now);
        for _ in 0..before {
            let _ = window.spend(&quota);
        }
        let untouched = window.clone();
        let spent = window.spend(&quota);
        let later = now.plus_seconds(wait);
        prop_assert!(!window.advance(quota.window_seconds, later));
        prop_assert!(window.undo(spent));
        let mut expected = untouched;
        let _ = expected.advance(quota.window_seconds, later);
        prop_assert_eq!(window, expected);
    }
}
