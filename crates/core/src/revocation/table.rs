//! A worker's own copy of all revocations: is there an entry for this mark, and which page has room?
//!
//! The copy mirrors the shared pages place by place and finds marks by an open-addressed index. The index is never
//! tidied: a slot whose place has since been given to another mark no longer matches and is passed over, until the
//! index is built anew. It is rebuilt only as entries arrive, so a request that revokes nothing pays for none of it.
//!
//! Memory: 32 bytes for each entry and 8 to 16 for its index slot, so at most 48 bytes for each place of the capacity.

use super::Mark;
use super::page::{Entry, PAGE_PLACES};
use crate::time::UnixNanos;

/// How long an entry's place is left alone after its end, as long as there is another place to take: a clock that
/// ran ahead for less than this and was set right has not cost a revocation.
const RECLAIM_GRACE_SECONDS: u64 = 3600;

/// The index's first size.
const LEAST_SLOTS: usize = 64;

/// All entries of the shared pages, as last read.
#[derive(Debug)]
pub(super) struct Table {
    pages: Vec<Page>,
    index: Index,
    capacity: usize,
}

/// One shared page, as last read.
#[derive(Debug, Default)]
struct Page {
    /// The directory's generation that was current before the page was read; 0: never read.
    generation: u32,
    /// The earliest end of its entries.
    first_end: u64,
    entries: Vec<Entry>,
}

impl Table {
    /// An empty copy of `capacity` places.
    pub(super) fn new(capacity: usize) -> Self {
        Self { pages: Vec::new(), index: Index::default(), capacity }
    }

    /// Whether no page was ever taken over.
    pub(super) fn has_no_page(&self) -> bool {
        self.pages.is_empty()
    }

    /// Number of places over all pages.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// Number of pages that the capacity comes to.
    pub(super) fn page_count(&self) -> usize {
        self.capacity.div_ceil(PAGE_PLACES)
    }

    /// Number of places in a page: all have [`PAGE_PLACES`] but the last, which has what is left of the capacity.
    pub(super) fn places(&self, page: usize) -> usize {
        self.capacity.saturating_sub(page.saturating_mul(PAGE_PLACES)).min(PAGE_PLACES)
    }

    /// The generation at which a page was last read; 0: never.
    pub(super) fn generation(&self, page: usize) -> u32 {
        self.pages.get(page).map_or(0, |page| page.generation)
    }

    /// Takes over a page's entries. `generation` is the one read before the page was, or `None` where the page was
    /// read outside a refresh: then the next refresh reads it once more.
    pub(super) fn adopt(&mut self, page: usize, entries: Vec<Entry>, generation: Option<u32>) {
        if self.pages.len() <= page {
            self.pages.resize_with(page.saturating_add(1), Page::default);
        }
        let Some(mirror) = self.pages.get_mut(page) else { return };
        let old = std::mem::replace(&mut mirror.entries, entries);
        mirror.generation = generation.unwrap_or(mirror.generation);
        mirror.first_end = mirror.entries.iter().map(|entry| entry.ends_at).min().unwrap_or(u64::MAX);

        let moved_in: Vec<(Mark, Place)> = mirror
            .entries
            .iter()
            .enumerate()
            .filter(|(place, entry)| old.get(*place).is_none_or(|before| before.mark != entry.mark))
            .filter_map(|(place, entry)| Some((entry.mark, Place::at(page, place)?)))
            .collect();
        if !self.index.has_room(moved_in.len()) {
            self.rebuild_index();
            return;
        }
        for (mark, place) in moved_in {
            self.index.insert(mark, place);
        }
    }

    /// Whether an entry of this mark is live at `now` and satisfies `refuses`.
    pub(super) fn any_live(&self, mark: Mark, now: UnixNanos, refuses: impl Fn(&Entry) -> bool) -> bool {
        self.matches(mark).any(|(_, entry)| !entry.has_lapsed(now) && refuses(entry))
    }

    /// The page to enter `mark` into: the one that has it, else the first with an unused or long lapsed place, else
    /// the first with a lapsed one. `None`: every place holds a live entry.
    pub(super) fn page_for(&self, mark: Mark, now: UnixNanos) -> Option<usize> {
        let known = self.matches(mark).next().map(|(place, _)| place.page());
        known
            .or_else(|| self.first_with_room(now.minus_seconds(RECLAIM_GRACE_SECONDS)))
            .or_else(|| self.first_with_room(now))
    }

    /// Number of entries that are live at `now`. Looks at every entry.
    pub(super) fn live(&self, now: UnixNanos) -> usize {
        self.pages.iter().flat_map(|page| &page.entries).filter(|entry| !entry.has_lapsed(now)).count()
    }

    fn first_with_room(&self, now: UnixNanos) -> Option<usize> {
        let has_room = |number: &usize| {
            self.pages.get(*number).is_none_or(|page| {
                page.entries.len() < self.places(*number) || page.first_end <= now.seconds()
            })
        };
        (0..self.page_count()).find(has_room)
    }

    fn matches(&self, mark: Mark) -> impl Iterator<Item = (Place, &Entry)> {
        self.index
            .candidates(mark)
            .filter_map(|place| Some((place, self.entry(place)?)))
            .filter(move |(_, entry)| entry.mark == mark)
    }

    fn entry(&self, place: Place) -> Option<&Entry> {
        self.pages.get(place.page())?.entries.get(place.within())
    }

    fn rebuild_index(&mut self) {
        let entries = self.pages.iter().map(|page| page.entries.len()).fold(0, usize::saturating_add);
        self.index.clear_for(entries);
        for (number, page) in self.pages.iter().enumerate() {
            for (within, entry) in page.entries.iter().enumerate() {
                if let Some(place) = Place::at(number, within) {
                    self.index.insert(entry.mark, place);
                }
            }
        }
    }
}

/// A place over all pages as one number of 24 bits: page, then place in the page.
#[derive(Debug, Clone, Copy)]
struct Place(u32);

impl Place {
    fn at(page: usize, within: usize) -> Option<Self> {
        u32::try_from(page.checked_mul(PAGE_PLACES)?.checked_add(within)?).ok().map(Self)
    }

    fn page(self) -> usize {
        size(self.0) / PAGE_PLACES
    }

    fn within(self) -> usize {
        size(self.0) % PAGE_PLACES
    }
}

/// Which places may hold a mark: slots of 8 bits of the mark (never 0, which is an empty slot) and 24 of the place.
#[derive(Debug, Default)]
struct Index {
    /// Empty, or a power of two of slots with at least a quarter of them unused.
    slots: Vec<u32>,
    used: usize,
}

const PLACE_BITS: u32 = 24;
const PLACE_MASK: u32 = 0x00FF_FFFF;

impl Index {
    fn has_room(&self, more: usize) -> bool {
        self.used.saturating_add(more) <= self.slots.len().saturating_sub(self.slots.len() / 4)
    }

    /// Empties the index and makes it fit for `entries`, at most half full.
    fn clear_for(&mut self, entries: usize) {
        // Freed first: the old and the new one are never held together.
        self.slots = Vec::new();
        self.slots = vec![0; entries.saturating_mul(2).next_power_of_two().max(LEAST_SLOTS)];
        self.used = 0;
    }

    fn insert(&mut self, mark: Mark, place: Place) {
        let (start, tag) = Self::start_and_tag(mark);
        let Some(last) = self.slots.len().checked_sub(1) else { return };
        for step in 0..self.slots.len() {
            let Some(slot) = self.slots.get_mut(start.wrapping_add(step) & last) else { return };
            if *slot == 0 {
                *slot = (tag << PLACE_BITS) | (place.0 & PLACE_MASK);
                self.used = self.used.saturating_add(1);
                return;
            }
        }
    }

    fn candidates(&self, mark: Mark) -> impl Iterator<Item = Place> {
        let (start, tag) = Self::start_and_tag(mark);
        let last = self.slots.len().saturating_sub(1);
        (0..self.slots.len())
            .map_while(move |step| self.slots.get(start.wrapping_add(step) & last).copied())
            .take_while(|slot| *slot != 0)
            .filter(move |slot| slot >> PLACE_BITS == tag)
            .map(|slot| Place(slot & PLACE_MASK))
    }

    /// The slot to look at first, before it is cut to the index's size, and the mark's tag. Marks are keyed digests:
    /// any of their bits serve.
    fn start_and_tag(mark: Mark) -> (usize, u32) {
        let [a, b, c, d, .., tag] = mark.0.to_le_bytes();
        (size(u32::from_le_bytes([a, b, c, d])), u32::from(tag.max(1)))
    }
}

/// Lossless wherever api-guard runs: no target has a narrower usize.
fn size(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(mark: u128, ends_at: u64) -> Entry {
        Entry { mark: Mark(mark), ends_at, issued_before: u64::MAX }
    }

    fn has(table: &Table, mark: u128, seconds: u64) -> bool {
        table.any_live(Mark(mark), UnixNanos::from_seconds(seconds), |_| true)
    }

    #[test]
    fn a_mark_that_lost_its_place_is_no_longer_found() {
        let mut table = Table::new(1000);
        table.adopt(0, vec![entry(1, 100), entry(2, 900)], Some(1));
        table.adopt(0, vec![entry(3, 900), entry(2, 900)], Some(2));
        assert_eq!([1, 2, 3].map(|mark| has(&table, mark, 50)), [false, true, true]);
        assert_eq!(table.live(UnixNanos::from_seconds(50)), 2);
        assert_eq!(table.live(UnixNanos::from_seconds(900)), 0);
    }

    #[test]
    fn marks_that_share_slot_and_tag_are_told_apart() {
        let mut table = Table::new(1000);
        let close = |number: u128| entry(7 | (number << 64), 900);
        table.adopt(1, (0..200).map(close).collect(), Some(1));
        assert!((0..200).all(|number| has(&table, 7 | (number << 64), 50)));
        assert!((200..400).all(|number| !has(&table, 7 | (number << 64), 50)));
    }

    #[test]
    fn a_second_entry_of_a_mark_counts_when_the_first_has_lapsed() {
        let mut table = Table::new(1000);
        table.adopt(0, vec![entry(1, 100)], Some(1));
        table.adopt(1, vec![entry(1, 200)], Some(1));
        assert!(has(&table, 1, 150));
        assert!(!has(&table, 1, 200));
    }

    #[test]
    fn endless_reuse_of_one_place_does_not_grow_the_index() {
        let mut table = Table::new(1);
        for number in 1..10_000 {
            table.adopt(0, vec![entry(number << 90 | number, 900)], Some(1));
            assert!(has(&table, number << 90 | number, 50));
        }
        assert_eq!(table.index.slots.len(), LEAST_SLOTS);
    }

    #[test]
    fn the_last_place_of_the_largest_table_is_found() {
        let mut table = Table::new(1 << 24);
        assert_eq!((table.page_count(), table.places(65_535), table.places(65_536)), (65_536, 256, 0));
        table.adopt(65_535, (0..256).map(|number| entry(number << 96 | 5, 900)).collect(), Some(1));
        assert!(has(&table, 255 << 96 | 5, 50));
    }

    #[test]
    fn a_place_just_lapsed_is_taken_only_when_nothing_else_is_left() {
        let now = UnixNanos::from_seconds(10_000);
        let mut table = Table::new(512);
        table.adopt(0, (0..256).map(|number| entry(number, 9_999)).collect(), Some(1));
        assert_eq!(table.page_for(Mark(1000), now), Some(1), "an unused page comes first");
        table.adopt(1, (256..512).map(|number| entry(number, 20_000)).collect(), Some(1));
        assert_eq!(table.page_for(Mark(1000), now), Some(0));
        assert_eq!(table.page_for(Mark(300), now), Some(1), "a known mark goes where it is");
        assert_eq!(table.page_for(Mark(1000), UnixNanos::from_seconds(9_998)), None);
    }
}
