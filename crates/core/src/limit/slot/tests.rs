//! A slot that fills up, is full, and has room again.

use super::*;
use crate::limit::Quota;

const MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();
const SHARE: Share = Share { each: 24, common: 24 };
const OVERFLOW: Identity = Identity::from_digest(u128::MAX);

fn at(seconds: u64) -> UnixNanos {
    UnixNanos::from_seconds(seconds)
}

/// A stored slot.
#[derive(Default)]
struct Cell(Option<Vec<u8>>);

impl Cell {
    fn find(&self, digest: u128, now: UnixNanos) -> (Slot, Pointer, Window) {
        let mut slot = Slot::read(self.0.clone()).unwrap();
        let (pointer, window) =
            slot.find(Identity::from_digest(digest), Some(OVERFLOW), SHARE, MINUTE, now).unwrap();
        (slot, pointer.unwrap(), window)
    }

    fn spend(&mut self, digest: u128, now: UnixNanos) -> Pointer {
        let (mut slot, pointer, mut window) = self.find(digest, now);
        let quota = Quota { max_requests: NonZeroU32::MAX, window_seconds: MINUTE, warn_at_percent: None };
        let _ = window.spend(&quota);
        slot.put(pointer, &window);
        self.0 = Some(slot.into_bytes());
        pointer
    }

    fn used(&self, digest: u128, now: UnixNanos) -> u64 {
        self.find(digest, now).2.used()
    }
}

#[test]
fn newcomers_of_a_full_slot_share_the_overflow_and_take_it_along() {
    let mut cell = Cell::default();
    for digest in 0..48 {
        assert!(!cell.spend(digest, at(1000)).overflow);
    }
    for digest in 100..105 {
        assert!(cell.spend(digest, at(1030)).overflow);
    }
    assert_eq!(cell.used(200, at(1030)), 5);
    // The 48 are dead, the overflow is not: what a newcomer may have spent there comes along.
    assert!(!cell.spend(100, at(1070)).overflow);
    assert_eq!(cell.used(100, at(1070)), 6);
    assert_eq!(cell.used(200, at(1070)), 5);
}

#[test]
fn a_slot_never_outgrows_its_entries_and_one_overflow() {
    let mut cell = Cell::default();
    for step in 0..5000_u32 {
        cell.spend(u128::from(step), at(1000 + u64::from(step / 60)));
        assert!(Slot::read(cell.0.clone()).unwrap().entries().len() <= OWN_ENTRIES + 1);
    }
}

#[test]
fn entries_that_a_clock_error_left_in_the_future_make_room_in_time() {
    let mut cell = Cell::default();
    for digest in 0..48 {
        cell.spend(digest, at(1_000_000_000));
    }
    let is_renumbered = |now| cell.find(200, now).0.is_renumbered();
    assert!(!is_renumbered(at(1_000_000_000)));
    assert!(is_renumbered(at(1000)), "to be stored even if the newcomer is refused");
    assert!(cell.spend(100, at(1000)).overflow);
    assert_eq!(cell.used(0, at(1030)), 1, "each keeps its own length");
    assert!(!cell.spend(101, at(1070)).overflow);
}

#[test]
fn garbage_in_a_slot_is_a_fault() {
    let identity = Identity::from_digest(7);
    for (length, byte) in [(1, 0), (ENTRY_BYTES - 1, 9), (ENTRY_BYTES + 1, 255), (ENTRY_BYTES, 0)] {
        let found = Slot::read(Some(vec![byte; length]))
            .and_then(|mut slot| slot.find(identity, Some(OVERFLOW), SHARE, MINUTE, at(1000)).map(|_| ()));
        assert_eq!(found, Err(CellFault), "{length} bytes of {byte}");
    }
}

#[test]
fn shares_are_equal_parts_of_half_a_slot_and_the_rest_is_common() {
    let share = |limits| {
        let Share { each, common } = Share::among(limits);
        (each, common)
    };
    for (limits, each, common) in
        [(0, 0, 48), (1, 24, 24), (2, 12, 24), (5, 4, 28), (7, 3, 27), (13, 1, 35), (24, 1, 24), (25, 0, 48)]
    {
        assert_eq!(share(limits), (each, common), "{limits}");
    }
}
