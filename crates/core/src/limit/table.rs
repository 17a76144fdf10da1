//! In which cell does an identity's window live?
//!
//! A table is a fixed number of slots, one shared cell each, so that memory is bounded whatever identities come. An
//! identity's slot is chosen by its keyed digest, which no client can predict. What a slot holds is `slot.rs`.
//!
//! There are two tables, so that neither can fill the other: one of the limits, and one of failed authentications,
//! with a quarter as many slots.

use std::num::{NonZeroU32, NonZeroU64};

use super::Identity;
use super::slot::Share;
use crate::cells::{CellFault, CellId, Cells, MAX_TABLE_CAPACITY, open_once};

/// Identities of the capacity for each slot.
const IDENTITIES_PER_SLOT: u32 = 16;

/// Slots of limits for each slot of failed authentications.
const LIMIT_SLOTS_PER_FAILURE_SLOT: u32 = 4;

/// A table's shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    content: Content,
    slots: NonZeroU32,
    share: Share,
}

/// What a table counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Content {
    Limits,
    Failures,
}

impl Table {
    /// The process's table of limits, which is as large as the first to open it asked for. `limits`: how many share it.
    pub(super) fn of_limits(cells: &impl Cells, capacity: u32, limits: usize) -> Result<Self, CellFault> {
        let slots = Self::open_slots(cells, capacity)?;
        Ok(Self { content: Content::Limits, slots, share: Share::among(limits) })
    }

    /// The process's table of failed authentications.
    pub(super) fn of_failures(cells: &impl Cells, capacity: u32) -> Result<Self, CellFault> {
        let of_limits = Self::open_slots(cells, capacity)?;
        let slots =
            NonZeroU32::new(of_limits.get() / LIMIT_SLOTS_PER_FAILURE_SLOT).unwrap_or(NonZeroU32::MIN);
        Ok(Self { content: Content::Failures, slots, share: Share::among(1) })
    }

    /// The slots of the table of limits. One cell holds the size of both tables.
    fn open_slots(cells: &impl Cells, capacity: u32) -> Result<NonZeroU32, CellFault> {
        let wanted = (capacity.min(MAX_TABLE_CAPACITY) / IDENTITIES_PER_SLOT).max(1);
        let slots = u32::from_le_bytes(open_once(cells, CellId::LimitGeometry, wanted.to_le_bytes())?);
        match NonZeroU32::new(slots) {
            Some(slots) if slots.get() <= MAX_TABLE_CAPACITY / IDENTITIES_PER_SLOT => Ok(slots),
            Some(_) | None => Err(CellFault),
        }
    }

    /// The slot that counts `identity`.
    pub(super) fn slot_of(&self, identity: Identity) -> CellId {
        let index = identity.high() % NonZeroU64::from(self.slots);
        // Always below the number of slots, which is a u32.
        let index = u32::try_from(index).unwrap_or(0);
        match self.content {
            Content::Limits => CellId::LimitSlot(index),
            Content::Failures => CellId::FailureSlot(index),
        }
    }

    /// The number of slots.
    pub(super) fn slots(&self) -> u32 {
        self.slots.get()
    }

    /// The number of identities that it counts exactly.
    pub(super) fn capacity(&self) -> u32 {
        self.slots.get().saturating_mul(IDENTITIES_PER_SLOT)
    }

    /// What each limit can always have of a slot.
    pub(super) fn share(&self) -> Share {
        self.share
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::{Expected, MemoryCells};

    #[test]
    fn the_first_process_wide_geometry_stays() {
        let cells = MemoryCells::new();
        assert_eq!(Table::open_slots(&cells, 1600).unwrap().get(), 100);
        assert_eq!(Table::open_slots(&cells, 16).unwrap().get(), 100);
    }

    #[test]
    fn a_geometry_that_cannot_be_one_is_a_fault() {
        let too_large = (MAX_TABLE_CAPACITY / IDENTITIES_PER_SLOT + 1).to_le_bytes();
        for bytes in [&b""[..], &[0; 4], &[255; 4], &[1; 5], &too_large] {
            let cells = MemoryCells::new();
            let _ = cells.store(CellId::LimitGeometry, bytes, Expected::Anything);
            assert_eq!(Table::open_slots(&cells, 16).err(), Some(CellFault));
        }
    }

    #[test]
    fn every_capacity_has_slots_within_the_key_space() {
        for capacity in [0, 1, 15, 16, 17, 65_536, MAX_TABLE_CAPACITY, u32::MAX] {
            let slots = Table::open_slots(&MemoryCells::new(), capacity).unwrap().get();
            assert!((1..=1 << 20).contains(&slots));
        }
    }
}
