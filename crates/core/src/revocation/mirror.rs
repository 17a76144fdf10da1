//! A worker's own copy of all revocations: is there an entry for this mark, and which page has room?
//!
//! The copy mirrors the shared pages entry by entry and finds marks by `index.rs`. The index is built anew only as
//! entries arrive, so a request that revokes nothing pays for none of it.
//!
//! Memory: 32 bytes for each entry and 8 to 16 for its index slot, so at most 48 bytes for each entry of the capacity.

use super::Mark;
use super::index::{EntryIndex, Index};
use super::page::{Entry, PAGE_ENTRIES};
use crate::time::UnixNanos;

/// How long an entry is left alone after its end, as long as there is other room: a clock that ran ahead for less than
/// this and was set right has not cost a revocation.
const RECLAIM_GRACE_SECONDS: u64 = 3600;

/// All entries of the shared pages, as last read.
#[derive(Debug)]
pub(super) struct Mirror {
    pages: Vec<MirrorPage>,
    index: Index,
    capacity: usize,
}

/// One shared page, as last read.
#[derive(Debug, Default)]
struct MirrorPage {
    /// The directory's generation that was current before the page was read; 0: never read.
    generation: u32,
    /// The earliest end of its entries.
    first_end: u64,
    entries: Vec<Entry>,
}

impl Mirror {
    /// An empty mirror of a table of `capacity` entries.
    pub(super) fn new(capacity: usize) -> Self {
        Self { pages: Vec::new(), index: Index::default(), capacity }
    }

    /// Whether no page was ever taken over.
    pub(super) fn has_no_page(&self) -> bool {
        self.pages.is_empty()
    }

    /// The number of entries that all pages together can hold.
    pub(super) fn capacity(&self) -> usize {
        self.capacity
    }

    /// The number of pages that the capacity comes to.
    pub(super) fn page_count(&self) -> usize {
        self.capacity.div_ceil(PAGE_ENTRIES)
    }

    /// The number of entries that a page can hold: [`PAGE_ENTRIES`], but what is left of the capacity in the last one.
    pub(super) fn page_capacity(&self, page: usize) -> usize {
        self.capacity.saturating_sub(page.saturating_mul(PAGE_ENTRIES)).min(PAGE_ENTRIES)
    }

    /// The generation at which a page was last read; 0: never.
    pub(super) fn generation(&self, page: usize) -> u32 {
        self.pages.get(page).map_or(0, |page| page.generation)
    }

    /// Takes over a page's entries. `generation` is the one read before the page was, or `None` where the page was
    /// read outside a refresh: then the next refresh reads it once more.
    pub(super) fn adopt(&mut self, page: usize, entries: Vec<Entry>, generation: Option<u32>) {
        if self.pages.len() <= page {
            self.pages.resize_with(page.saturating_add(1), MirrorPage::default);
        }
        let Some(held) = self.pages.get_mut(page) else { return };
        let old = std::mem::replace(&mut held.entries, entries);
        held.generation = generation.unwrap_or(held.generation);
        held.first_end = held.entries.iter().map(|entry| entry.ends_at).min().unwrap_or(u64::MAX);

        let moved_in: Vec<(Mark, EntryIndex)> = held
            .entries
            .iter()
            .enumerate()
            .filter(|(within, entry)| old.get(*within).is_none_or(|before| before.mark != entry.mark))
            .filter_map(|(within, entry)| Some((entry.mark, EntryIndex::at(page, within)?)))
            .collect();
        if !self.index.has_room(moved_in.len()) {
            self.rebuild_index();
            return;
        }
        for (mark, entry) in moved_in {
            self.index.insert(mark, entry);
        }
    }

    /// Whether an entry of this mark is live at `now` and satisfies `refuses`.
    pub(super) fn any_live(&self, mark: Mark, now: UnixNanos, refuses: impl Fn(&Entry) -> bool) -> bool {
        self.matches(mark).any(|(_, entry)| !entry.has_lapsed(now) && refuses(entry))
    }

    /// The page to enter `mark` into: the one that has it, else the first with unused room or a long lapsed entry, else
    /// the first with a lapsed one. `None`: all pages are full of live entries.
    pub(super) fn page_for(&self, mark: Mark, now: UnixNanos) -> Option<usize> {
        let known = self.matches(mark).next().map(|(index, _)| index.page());
        known
            .or_else(|| self.first_with_room(now.minus_seconds(RECLAIM_GRACE_SECONDS)))
            .or_else(|| self.first_with_room(now))
    }

    /// The number of entries that are live at `now`. Looks at every entry.
    pub(super) fn live(&self, now: UnixNanos) -> usize {
        self.pages.iter().flat_map(|page| &page.entries).filter(|entry| !entry.has_lapsed(now)).count()
    }

    fn first_with_room(&self, now: UnixNanos) -> Option<usize> {
        let has_room = |number: &usize| {
            self.pages.get(*number).is_none_or(|page| {
                page.entries.len() < self.page_capacity(*number) || page.first_end <= now.seconds()
            })
        };
        (0..self.page_count()).find(has_room)
    }

    fn matches(&self, mark: Mark) -> impl Iterator<Item = (EntryIndex, &Entry)> {
        self.index
            .candidates(mark)
            .filter_map(|index| Some((index, self.entry(index)?)))
            .filter(move |(_, entry)| entry.mark == mark)
    }

    fn entry(&self, index: EntryIndex) -> Option<&Entry> {
        self.pages.get(index.page())?.entries.get(index.within_page())
    }

    fn rebuild_index(&mut self) {
        let entries = self.pages.iter().map(|page| page.entries.len()).fold(0, usize::saturating_add);
        self.index.clear_for(entries);
        for (number, page) in self.pages.iter().enumerate() {
            for (within, entry) in page.entries.iter().enumerate() {
                if let Some(index) = EntryIndex::at(number, within) {
                    self.index.insert(entry.mark, index);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(mark: u128, ends_at: u64) -> Entry {
        Entry { mark: Mark(mark), ends_at, issued_before: u64::MAX }
    }

    fn has(mirror: &Mirror, mark: u128, seconds: u64) -> bool {
        mirror.any_live(Mark(mark), UnixNanos::from_seconds(seconds), |_| true)
    }

    #[test]
    fn a_mark_whose_entry_was_replaced_is_no_longer_found() {
        let mut mirror = Mirror::new(1000);
        mirror.adopt(0, vec![entry(1, 100), entry(2, 900)], Some(1));
        mirror.adopt(0, vec![entry(3, 900), entry(2, 900)], Some(2));
        assert_eq!([1, 2, 3].map(|mark| has(&mirror, mark, 50)), [false, true, true]);
        assert_eq!(mirror.live(UnixNanos::from_seconds(50)), 2);
        assert_eq!(mirror.live(UnixNanos::from_seconds(900)), 0);
    }

    #[test]
    fn marks_that_share_slot_and_tag_are_told_apart() {
        let mut mirror = Mirror::new(1000);
        let close = |number: u128| entry(7 | (number << 64), 900);
        mirror.adopt(1, (0..200).map(close).collect(), Some(1));
        assert!((0..200).all(|number| has(&mirror, 7 | (number << 64), 50)));
        assert!((200..400).all(|number| !has(&mirror, 7 | (number << 64), 50)));
    }

    #[test]
    fn a_second_entry_of_a_mark_counts_when_the_first_has_lapsed() {
        let mut mirror = Mirror::new(1000);
        mirror.adopt(0, vec![entry(1, 100)], Some(1));
        mirror.adopt(1, vec![entry(1, 200)], Some(1));
        assert!(has(&mirror, 1, 150));
        assert!(!has(&mirror, 1, 200));
    }

    #[test]
    fn replacing_one_entry_without_end_does_not_grow_the_index() {
        let mut mirror = Mirror::new(1);
        for number in 1..10_000 {
            mirror.adopt(0, vec![entry(number << 90 | number, 900)], Some(1));
            assert!(has(&mirror, number << 90 | number, 50));
        }
        assert_eq!(mirror.index.slot_count(), 64);
    }

    #[test]
    fn the_last_entry_of_the_largest_table_is_found() {
        let mut mirror = Mirror::new(1 << 24);
        assert_eq!(
            (mirror.page_count(), mirror.page_capacity(65_535), mirror.page_capacity(65_536)),
            (65_536, 256, 0)
        );
        mirror.adopt(65_535, (0..256).map(|number| entry(number << 96 | 5, 900)).collect(), Some(1));
        assert!(has(&mirror, 255 << 96 | 5, 50));
    }

    #[test]
    fn an_entry_just_lapsed_is_replaced_only_when_there_is_no_other_room() {
        let now = UnixNanos::from_seconds(10_000);
        let mut mirror = Mirror::new(512);
        mirror.adopt(0, (0..256).map(|number| entry(number, 9_999)).collect(), Some(1));
        assert_eq!(mirror.page_for(Mark(1000), now), Some(1), "an unused page comes first");
        mirror.adopt(1, (256..512).map(|number| entry(number, 20_000)).collect(), Some(1));
        assert_eq!(mirror.page_for(Mark(1000), now), Some(0));
        assert_eq!(mirror.page_for(Mark(300), now), Some(1), "a known mark goes where it is");
        assert_eq!(mirror.page_for(Mark(1000), UnixNanos::from_seconds(9_998)), None);
    }
}
