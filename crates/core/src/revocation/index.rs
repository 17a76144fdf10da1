//! Which entries may be of this mark?
//!
//! A hash table with open addressing and linear probing, whose slots are four bytes: eight bits of the mark, its tag, and
//! 24 bits that say where the entry is. The mark itself stands in the entry, so whoever looks for one compares it there.
//! The tag spares most of the comparisons, each of which would touch memory that is in no cache. A slot is never
//! emptied: one whose entry was replaced leads to an entry of another mark, is passed over, and goes when the index is
//! built anew. One mark may have several entries.
//!
//! A `HashMap<Mark, _>` would keep each mark a second time: with entries of 32 bytes, a worker's mirror of 65,536 took 6.4 MB
//! in place of 2.6, one of 1,000,000 took 101 MB in place of 40. For that, a mark that is not there would be missed
//! in 10 ns in place of 25, and one that is there found in 50 in place of 19.

use super::Mark;
use super::page::PAGE_ENTRIES;

/// The index's first size, in slots.
const LEAST_SLOTS: usize = 64;

const ENTRY_BITS: u32 = 24;
const ENTRY_MASK: u32 = 0x00FF_FFFF;

/// Says where an entry is: the page and the index in the page, as one number of 24 bits over all pages.
#[derive(Debug, Clone, Copy)]
pub(super) struct EntryIndex(u32);

impl EntryIndex {
    pub(super) fn at(page: usize, within_page: usize) -> Option<Self> {
        u32::try_from(page.checked_mul(PAGE_ENTRIES)?.checked_add(within_page)?).ok().map(Self)
    }

    pub(super) fn page(self) -> usize {
        size(self.0) / PAGE_ENTRIES
    }

    pub(super) fn within_page(self) -> usize {
        size(self.0) % PAGE_ENTRIES
    }
}

/// Entries by mark.
#[derive(Debug, Default)]
pub(super) struct Index {
    // INVARIANT: empty, or a power of two of slots with at least a quarter of them unused. An unused slot is 0, which no
    // used one is, because no tag is 0.
    slots: Vec<u32>,
    used: usize,
}

impl Index {
    /// Whether so many more entries can be inserted.
    pub(super) fn has_room(&self, more: usize) -> bool {
        self.used.saturating_add(more) <= self.slots.len().saturating_sub(self.slots.len() / 4)
    }

    /// Empties the index and makes it fit for `entries`, at most half full.
    pub(super) fn clear_for(&mut self, entries: usize) {
        // Freed first: the old and the new one are never held together.
        self.slots = Vec::new();
        self.slots = vec![0; entries.saturating_mul(2).next_power_of_two().max(LEAST_SLOTS)];
        self.used = 0;
    }

    /// Inserts an entry of `mark`. Only where [`Index::has_room`].
    pub(super) fn insert(&mut self, mark: Mark, entry: EntryIndex) {
        let (start, tag) = Self::start_and_tag(mark);
        let Some(last) = self.slots.len().checked_sub(1) else { return };
        for step in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(start.wrapping_add(step) & last) else { return };
            if *slot == 0 {
                *slot = (tag << ENTRY_BITS) | (entry.0 & ENTRY_MASK);
                self.used = self.used.saturating_add(1);
                return;
            }
        }
    }

    /// The entries that may be of `mark`, among them all that are.
    pub(super) fn candidates(&self, mark: Mark) -> impl Iterator<Item = EntryIndex> {
        let (start, tag) = Self::start_and_tag(mark);
        let last = self.slots.len().saturating_sub(1);
        (0..self.slots.len())
            .map_while(move |step| self.slots.get(start.wrapping_add(step) & last).copied())
            .take_while(|slot| *slot != 0)
            .filter(move |slot| slot >> ENTRY_BITS == tag)
            .map(|slot| EntryIndex(slot & ENTRY_MASK))
    }

    #[cfg(test)]
    pub(super) fn slot_count(&self) -> usize {
        self.slots.len()
    }

    /// The slot to look at first, before it is cut to the index's size, and the mark's tag. Marks are keyed digests:
    /// any of their bits serve.
    fn start_and_tag(mark: Mark) -> (usize, u32) {
        let Mark([low, high]) = mark;
        let ([a, b, c, d, ..], [.., tag]) = (low.to_le_bytes(), high.to_le_bytes());
        (size(u32::from_le_bytes([a, b, c, d])), u32::from(tag.max(1)))
    }
}

/// Lossless wherever api-guard runs: no target has a narrower usize.
fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
