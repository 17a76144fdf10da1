//! In which cell does an identity's window live?
//!
//! The table is a fixed number of slots, one shared cell each, so that memory is bounded whatever identities come. An
//! identity's slot is chosen by its keyed digest, which no client can predict. What a slot holds is `slot.rs`.

use std::num::{NonZeroU32, NonZeroU64};

use super::Identity;
use crate::cells::{CellFault, CellId, Cells, MAX_TABLE_CAPACITY, open_once};

/// Identities of the capacity for each slot.
const IDENTITIES_PER_SLOT: u32 = 16;

/// The table's shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    slots: NonZeroU32,
}

impl Table {
    /// The process's table, which is as large as the first to open it asked for.
    pub(super) fn open(cells: &impl Cells, capacity: u32) -> Result<Self, CellFault> {
        let wanted = (capacity.min(MAX_TABLE_CAPACITY) / IDENTITIES_PER_SLOT).max(1);
        let slots = u32::from_le_bytes(open_once(cells, CellId::LimitGeometry, wanted.to_le_bytes())?);
        match NonZeroU32::new(slots) {
            Some(slots) if slots.get() <= MAX_TABLE_CAPACITY / IDENTITIES_PER_SLOT => Ok(Self { slots }),
            Some(_) | None => Err(CellFault),
        }
    }

    /// The slot that counts `identity`.
    pub(super) fn slot_of(&self, identity: Identity) -> CellId {
        let index = identity.high() % NonZeroU64::from(self.slots);
        // Always below the number of slots, which is a u32.
        CellId::LimitSlot(u32::try_from(index).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::{Expected, MemoryCells};

    #[test]
    fn the_first_process_wide_geometry_stays() {
        let cells = MemoryCells::new();
        assert_eq!(Table::open(&cells, 1600).unwrap().slots.get(), 100);
        assert_eq!(Table::open(&cells, 16).unwrap().slots.get(), 100);
    }

    #[test]
    fn a_geometry_that_cannot_be_one_is_a_fault() {
        let too_large = (MAX_TABLE_CAPACITY / IDENTITIES_PER_SLOT + 1).to_le_bytes();
        for bytes in [&b""[..], &[0; 4], &[255; 4], &[1; 5], &too_large] {
            let cells = MemoryCells::new();
            let _ = cells.store(CellId::LimitGeometry, bytes, Expected::Anything);
            assert_eq!(Table::open(&cells, 16).err(), Some(CellFault));
        }
    }

    #[test]
    fn every_capacity_has_slots_within_the_key_space() {
        for capacity in [0, 1, 15, 16, 17, 65_536, MAX_TABLE_CAPACITY, u32::MAX] {
            let slots = Table::open(&MemoryCells::new(), capacity).unwrap().slots.get();
            assert!((1..=1 << 20).contains(&slots));
        }
    }
}
