//! Where do the windows live? In a fixed table of slots, one shared cell each, so that memory is bounded whatever
//! identities come.
//!
//! An identity's slot is chosen by its keyed digest, which no client can predict. A slot holds up to
//! [`OWN_ENTRIES`] entries, each a tag (the digest) and a window, appended as they come. Three times as many fit as
//! the capacity promises, so that an uneven spread does not matter. A window that still counts something is never
//! evicted. In a slot that is full, the newcomers of one limit share one more entry, the limit's overflow: they may
//! be limited early, never late. Overflow entries come on top, one for each limit at most. When there is room again
//! a newcomer's own entry starts as a copy of the overflow, so that nothing it spent there is forgotten.
//!
//! This module knows slots and entries; what a window counts is `window.rs`.

use std::num::{NonZeroU32, NonZeroU64};

use crate::cells::{CellFault, Cells, Expected, Stored};
use crate::limit::Identity;
use crate::limit::window::{Age, ENCODED_BYTES, Window};
use crate::time::UnixNanos;

/// The largest capacity.
pub const MAX_CAPACITY: u32 = 1 << 24;

/// Entries of a slot that belong to one identity each.
const OWN_ENTRIES: usize = 48;
/// Identities of the capacity for each slot.
const IDENTITIES_PER_SLOT: u32 = 16;
const TAG_BYTES: usize = 16;
const ENTRY_BYTES: usize = TAG_BYTES + ENCODED_BYTES;

/// Holds the number of slots, which is fixed when the process starts.
const GEOMETRY_CELL: &str = "ag1/limit";
/// Keys of at most 22 bytes cost Envoy no allocation.
const SLOT_CELL: &[u8; 11] = b"ag1/l/00000";
const SLOT_PREFIX_BYTES: usize = 6;
const HEX: &[u8; 16] = b"0123456789abcdef";

/// The table's shape.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table {
    slots: NonZeroU32,
}

/// One slot as it was loaded, with the changes made to it since.
#[derive(Debug)]
pub(super) struct Slot {
    key: [u8; SLOT_CELL.len()],
    bytes: Vec<u8>,
    expected: Expected,
    renumbered: bool,
}

/// Where a charge is counted.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    /// Position of the entry; `None`: to be appended.
    index: Option<usize>,
    /// The identity's own tag, or the overflow's.
    pub(super) tag: Identity,
    /// The entry is shared by newcomers.
    pub(super) overflow: bool,
}

impl Table {
    /// The process's table: as large as the first to open it asked for.
    pub(super) fn open(cells: &impl Cells, capacity: u32) -> Result<Self, CellFault> {
        let wanted = (capacity.min(MAX_CAPACITY) / IDENTITIES_PER_SLOT).max(1);
        let slots = match cells.store(GEOMETRY_CELL, &wanted.to_le_bytes(), Expected::Absent)? {
            Stored::Done => wanted,
            Stored::Conflict => {
                let stored = cells.load(GEOMETRY_CELL)?.ok_or(CellFault)?;
                u32::from_le_bytes(stored.bytes.try_into().map_err(|_| CellFault)?)
            }
        };
        match NonZeroU32::new(slots) {
            Some(slots) if slots.get() <= MAX_CAPACITY / IDENTITIES_PER_SLOT => Ok(Self { slots }),
            Some(_) | None => Err(CellFault),
        }
    }

    /// The slot that `identity` belongs to.
    pub(super) fn load(&self, cells: &impl Cells, identity: Identity) -> Result<Slot, CellFault> {
        let key = slot_key(identity.high() % NonZeroU64::from(self.slots));
        let (bytes, expected) = match cells.load(key_text(&key)?)? {
            Some(loaded) => (loaded.bytes, Expected::Version(loaded.version)),
            None => (Vec::new(), Expected::Absent),
        };
        if !bytes.as_chunks::<ENTRY_BYTES>().1.is_empty() {
            return Err(CellFault);
        }
        Ok(Slot { key, bytes, expected, renumbered: false })
    }
}

impl Slot {
    /// The window that counts `identity` at `now`, brought there, and its place: its own, or the overflow's if there
    /// is no room.
    pub(super) fn find(
        &mut self,
        identity: Identity,
        overflow: Identity,
        window_seconds: NonZeroU32,
        now: UnixNanos,
    ) -> Result<(Place, Window), CellFault> {
        if let Some((index, window)) = self.advanced(identity, window_seconds, now)? {
            return Ok((Place { index: Some(index), tag: identity, overflow: false }, window));
        }
        self.make_room(now)?;
        let shared = self.advanced(overflow, window_seconds, now)?;
        let index = shared.as_ref().map(|(index, _)| *index);
        let window = shared.map_or_else(|| Window::new(window_seconds, now), |(_, window)| window);
        let place = if self.entries().len() < OWN_ENTRIES {
            Place { index: None, tag: identity, overflow: false }
        } else {
            Place { index, tag: overflow, overflow: true }
        };
        Ok((place, window))
    }

    /// The position and the window of the entry with this very tag, as they are stored.
    pub(super) fn stored(&self, tag: Identity) -> Result<Option<(usize, Window)>, CellFault> {
        let tag = tag.to_bytes();
        let found = self.entries().iter().enumerate().find(|(_, entry)| entry.starts_with(&tag));
        found.map(|(index, entry)| Ok((index, decode(entry)?))).transpose()
    }

    /// Puts a window into its place. Nothing is shared until [`Slot::store`].
    pub(super) fn put(&mut self, place: Place, window: &Window) {
        match place.index {
            Some(index) => self.replace(index, window),
            None => {
                self.bytes.extend_from_slice(&place.tag.to_bytes());
                self.bytes.extend_from_slice(&window.encode());
            }
        }
    }

    /// Puts a window into an entry that is there.
    pub(super) fn replace(&mut self, index: usize, window: &Window) {
        let entry = self.bytes.as_chunks_mut::<ENTRY_BYTES>().0.get_mut(index);
        if let Some(place) = entry.and_then(|entry| entry.last_chunk_mut::<ENCODED_BYTES>()) {
            *place = window.encode();
        }
    }

    /// What was counted got another numbering on the way: to be stored even if nothing is spent.
    pub(super) fn renumbered(&self) -> bool {
        self.renumbered
    }

    /// Shares the changes, unless the slot was changed by another worker since it was loaded.
    pub(super) fn store(&self, cells: &impl Cells) -> Result<Stored, CellFault> {
        cells.store(key_text(&self.key)?, &self.bytes, self.expected)
    }

    fn entries(&self) -> &[[u8; ENTRY_BYTES]] {
        self.bytes.as_chunks().0
    }

    fn advanced(
        &mut self,
        tag: Identity,
        window_seconds: NonZeroU32,
        now: UnixNanos,
    ) -> Result<Option<(usize, Window)>, CellFault> {
        let Some((index, mut window)) = self.stored(tag)? else {
            return Ok(None);
        };
        if window.advance(window_seconds, now) {
            self.renumbered = true;
            self.replace(index, &window);
        }
        Ok(Some((index, window)))
    }

    /// Removes what is dead, and moves windows that a clock's error left in the future, so that they will die.
    fn make_room(&mut self, now: UnixNanos) -> Result<(), CellFault> {
        let mut index = 0_usize;
        while let Some(entry) = self.entries().get(index) {
            let encoded = entry.last_chunk().ok_or(CellFault)?;
            match Window::age(encoded, now).ok_or(CellFault)? {
                Age::Dead => {
                    self.remove(index);
                    continue;
                }
                Age::Live => {}
                Age::Ahead => {
                    let mut window = decode(entry)?;
                    self.renumbered |= window.advance(window.window_seconds(), now);
                    self.replace(index, &window);
                }
            }
            index = index.saturating_add(1);
        }
        Ok(())
    }

    fn remove(&mut self, index: usize) {
        let entries = self.bytes.as_chunks_mut::<ENTRY_BYTES>().0;
        if let Some(last) = entries.last().copied() {
            if let Some(place) = entries.get_mut(index) {
                *place = last;
            }
            self.bytes.truncate(self.bytes.len().saturating_sub(ENTRY_BYTES));
        }
    }
}

fn decode(entry: &[u8; ENTRY_BYTES]) -> Result<Window, CellFault> {
    entry.last_chunk().and_then(Window::decode).ok_or(CellFault)
}

/// `ag1/l/` and five hexadecimal digits: the largest table has 2^20 slots.
fn slot_key(slot: u64) -> [u8; SLOT_CELL.len()] {
    let mut key = *SLOT_CELL;
    let mut rest = slot;
    for byte in key.iter_mut().skip(SLOT_PREFIX_BYTES).rev() {
        let digit = usize::try_from(rest % 16).ok().and_then(|digit| HEX.get(digit));
        *byte = digit.copied().unwrap_or(b'0');
        rest /= 16;
    }
    key
}

fn key_text(key: &[u8]) -> Result<&str, CellFault> {
    std::str::from_utf8(key).map_err(|_| CellFault)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::MemoryCells;

    const MINUTE: NonZeroU32 = NonZeroU32::new(60).unwrap();
    const OVERFLOW: Identity = Identity::from_digest(u128::MAX);

    fn at(seconds: u64) -> UnixNanos {
        UnixNanos::from_seconds(seconds)
    }

    fn spend(cells: &MemoryCells, table: Table, digest: u128, now: UnixNanos) -> Place {
        let mut slot = table.load(cells, Identity::from_digest(digest)).unwrap();
        let (place, mut window) = slot.find(Identity::from_digest(digest), OVERFLOW, MINUTE, now).unwrap();
        let quota = crate::limit::Quota {
            max_requests: NonZeroU32::MAX,
            window_seconds: MINUTE,
            warn_at_percent: None,
        };
        let _ = window.spend(&quota);
        slot.put(place, &window);
        assert_eq!(slot.store(cells), Ok(Stored::Done));
        place
    }

    fn used(cells: &MemoryCells, table: Table, digest: u128, now: UnixNanos) -> u64 {
        let mut slot = table.load(cells, Identity::from_digest(digest)).unwrap();
        slot.find(Identity::from_digest(digest), OVERFLOW, MINUTE, now).unwrap().1.used()
    }

    #[test]
    fn the_first_process_wide_geometry_stays() {
        let cells = MemoryCells::new();
        assert_eq!(Table::open(&cells, 1600).unwrap().slots.get(), 100);
        assert_eq!(Table::open(&cells, 16).unwrap().slots.get(), 100);
    }

    #[test]
    fn a_geometry_that_cannot_be_one_is_a_fault() {
        let too_large = (MAX_CAPACITY / IDENTITIES_PER_SLOT + 1).to_le_bytes();
        for bytes in [&b""[..], &[0; 4], &[255; 4], &[1; 5], &too_large] {
            let cells = MemoryCells::new();
            let _ = cells.store(GEOMETRY_CELL, bytes, Expected::Anything);
            assert_eq!(Table::open(&cells, 16).err(), Some(CellFault));
        }
    }

    #[test]
    fn every_capacity_has_slots_within_the_key_space() {
        for capacity in [0, 1, 15, 16, 17, 65_536, MAX_CAPACITY, u32::MAX] {
            let slots = Table::open(&MemoryCells::new(), capacity).unwrap().slots.get();
            assert!((1..=1 << 20).contains(&slots));
        }
        assert_eq!(&slot_key((1 << 20) - 1), b"ag1/l/fffff");
        assert_eq!(&slot_key(0x1a2), b"ag1/l/001a2");
    }

    #[test]
    fn newcomers_of_a_full_slot_share_the_overflow_and_take_it_along() {
        let cells = MemoryCells::new();
        let table = Table::open(&cells, 1).unwrap();
        for digest in 0..48 {
            assert!(!spend(&cells, table, digest, at(1000)).overflow);
        }
        for digest in 100..105 {
            assert!(spend(&cells, table, digest, at(1030)).overflow);
        }
        assert_eq!(used(&cells, table, 200, at(1030)), 5);
        // The 48 are dead, the overflow is not: what a newcomer may have spent there comes along.
        assert!(!spend(&cells, table, 100, at(1070)).overflow);
        assert_eq!(used(&cells, table, 100, at(1070)), 6);
        assert_eq!(used(&cells, table, 200, at(1070)), 5);
    }

    #[test]
    fn a_slot_never_outgrows_its_entries_and_one_overflow() {
        let cells = MemoryCells::new();
        let table = Table::open(&cells, 1).unwrap();
        for step in 0..5000_u32 {
            spend(&cells, table, u128::from(step), at(1000 + u64::from(step / 60)));
            assert!(table.load(&cells, OVERFLOW).unwrap().entries().len() <= OWN_ENTRIES + 1);
        }
    }

    #[test]
    fn entries_that_a_clock_error_left_in_the_future_make_room_in_time() {
        let cells = MemoryCells::new();
        let table = Table::open(&cells, 1).unwrap();
        let is_renumbered = |now| {
            let newcomer = Identity::from_digest(200);
            let mut slot = table.load(&cells, newcomer).unwrap();
            let _ = slot.find(newcomer, OVERFLOW, MINUTE, now).unwrap();
            slot.renumbered()
        };
        for digest in 0..48 {
            spend(&cells, table, digest, at(1_000_000_000));
        }
        assert!(!is_renumbered(at(1_000_000_000)));
        assert!(is_renumbered(at(1000)), "to be stored even if the newcomer is refused");
        assert!(spend(&cells, table, 100, at(1000)).overflow);
        assert_eq!(used(&cells, table, 0, at(1030)), 1, "each keeps its own length");
        assert!(!spend(&cells, table, 101, at(1070)).overflow);
    }

    #[test]
    fn garbage_in_a_slot_is_a_fault() {
        let cells = MemoryCells::new();
        let table = Table::open(&cells, 1).unwrap();
        let identity = Identity::from_digest(7);
        for (length, byte) in [(1, 0), (ENTRY_BYTES - 1, 9), (ENTRY_BYTES + 1, 255), (ENTRY_BYTES, 0)] {
            let _ = cells.store("ag1/l/00000", &vec![byte; length], Expected::Anything);
            let found = table
                .load(&cells, identity)
                .and_then(|mut slot| slot.find(identity, OVERFLOW, MINUTE, at(1000)).map(|_| ()));
            assert_eq!(found, Err(CellFault), "{length} bytes of {byte}");
        }
    }
}
