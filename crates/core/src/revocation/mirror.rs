//! A worker's own copy of all revocations: is there an entry for this mark, and which page has room?
//!
//! The copy mirrors the shared pages entry by entry and finds marks by `index.rs`. The index is built anew only as
//! entries arrive, so a request that revokes nothing pays for none of it.
//!
//! Memory: 40 bytes for each entry and 8 to 16 for its index slot, so at most 56 bytes for each entry of the capacity,
//! and 16 KiB of counters.

use super::authority::{self, Reach};
use super::index::{EntryIndex, Index};
use super::page::{self, Entry, PAGE_ENTRIES};
use super::{Mark, OwnerMark};
use crate::time::UnixNanos;

/// How long an entry is left alone after its end, as long as there is other room: a clock that ran ahead for less than
/// this and was set right has not cost a revocation.
const RECLAIM_GRACE_SECONDS: u64 = 3600;

/// The number of counters that bound what a subject owns.
const OWNED_COUNTERS: usize = 4096;

/// All entries of the shared pages, as last read.
#[derive(Debug)]
pub(super) struct Mirror {
    pages: Vec<MirrorPage>,
    index: Index,
    // INVARIANT: empty, or by the owner's low bits the number of entries of the owners that share them, lapsed ones
    // included. It spares a logout a look at every entry: 30 us in place of 400 among 60,000.
    owned: Vec<u32>,
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
        Self { pages: Vec::new(), index: Index::default(), owned: Vec::new(), capacity }
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
        self.owned.resize(OWNED_COUNTERS, 0);
        for owner in old.iter().filter_map(|entry| entry.owner) {
            count(&mut self.owned, owner, |entries| entries.saturating_sub(1));
        }
        for owner in held.entries.iter().filter_map(|entry| entry.owner) {
            count(&mut self.owned, owner, |entries| entries.saturating_add(1));
        }
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

    /// The number of live entries up to which a page can be filled by whom may reach so far.
    pub(super) fn room(&self, page: usize, reach: Reach) -> usize {
        let capacity = self.page_capacity(page);
        match reach {
            Reach::Whole => capacity,
            Reach::ButReserve => capacity.saturating_sub(authority::reserve(capacity, self.capacity)),
        }
    }

    /// The entries of this mark that are live at `now`, each with its page.
    pub(super) fn live_of(&self, mark: Mark, now: UnixNanos) -> impl Iterator<Item = (usize, &Entry)> {
        self.index
            .candidates(mark)
            .filter_map(|index| Some((index.page(), self.entry(index)?)))
            .filter(move |(_, entry)| entry.mark == mark && !entry.has_lapsed(now))
    }

    /// The page to enter a new mark into: the first with unused room or a long lapsed entry, else the first with a lapsed one.
    /// The reserve is touched only when there is no other room but what lapsed a moment ago. `None`: all that is
    /// within reach is full of live entries.
    pub(super) fn page_for(&self, reach: Reach, now: UnixNanos) -> Option<usize> {
        let long_ago = now.minus_seconds(RECLAIM_GRACE_SECONDS);
        self.first_with_room(Reach::ButReserve, long_ago)
            .or_else(|| match reach {
                Reach::Whole => self.first_with_room(Reach::Whole, long_ago),
                Reach::ButReserve => None,
            })
            .or_else(|| self.first_with_room(reach, now))
    }

    /// The page for entries of others, who may fill all of it.
    pub(super) fn page_for_all(&self, now: UnixNanos) -> Option<usize> {
        self.page_for(Reach::Whole, now)
    }

    /// All entries.
    pub(super) fn all(&self) -> impl Iterator<Item = &Entry> {
        self.pages.iter().flat_map(|page| &page.entries)
    }

    /// Whether a subject can own so many entries. `false` is certain.
    pub(super) fn can_own(&self, owner: OwnerMark, entries: usize) -> bool {
        let counted = self.owned.get(counter(owner)).copied().unwrap_or_default();
        usize::try_from(counted).is_ok_and(|counted| counted >= entries)
    }

    /// The entries that are live at `now` and that one subject owns, each with its page. Looks at every entry.
    pub(super) fn owned(&self, owner: OwnerMark, now: UnixNanos) -> impl Iterator<Item = (usize, &Entry)> {
        self.pages
            .iter()
            .enumerate()
            .flat_map(|(number, page)| page.entries.iter().map(move |entry| (number, entry)))
            .filter(move |(_, entry)| entry.owner == Some(owner) && !entry.has_lapsed(now))
    }

    /// The number of entries that are live at `now`. Looks at every entry.
    pub(super) fn live(&self, now: UnixNanos) -> usize {
        self.pages.iter().map(|page| page::live(&page.entries, now)).fold(0, usize::saturating_add)
    }

    fn first_with_room(&self, reach: Reach, now: UnixNanos) -> Option<usize> {
        let has_room = |number: &usize| {
            let room = self.room(*number, reach);
            self.pages.get(*number).map_or(room > 0, |page| {
                page.entries.len() < room
                    || page.first_end <= now.seconds() && page::live(&page.entries, now) < room
            })
        };
        (0..self.page_count()).find(has_room)
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

fn counter(OwnerMark(owner): OwnerMark) -> usize {
    let [low, next, ..] = owner.get().to_le_bytes();
    usize::from(u16::from_le_bytes([low, next])) % OWNED_COUNTERS
}

fn count(owned: &mut [u32], owner: OwnerMark, change: impl Fn(u32) -> u32) {
    if let Some(entries) = owned.get_mut(counter(owner)) {
        *entries = change(*entries);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(mark: u128, ends_at: u64) -> Entry {
        Entry { mark: Mark::new(mark), ends_at, issued_before: u64::MAX, owner: None }
    }

    fn has(mirror: &Mirror, mark: u128, seconds: u64) -> bool {
        mirror.live_of(Mark::new(mark), UnixNanos::from_seconds(seconds)).next().is_some()
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
        assert_eq!(mirror.page_for(Reach::Whole, now), Some(1), "an unused page comes first");
        mirror.adopt(1, (256..512).map(|number| entry(number, 20_000)).collect(), Some(1));
        assert_eq!(mirror.page_for(Reach::Whole, now), Some(0));
        assert_eq!(mirror.page_for(Reach::Whole, UnixNanos::from_seconds(9_998)), None);
    }

    #[test]
    fn the_reserve_is_touched_last_and_only_by_whom_it_is_for() {
        let now = UnixNanos::from_seconds(10_000);
        let mut mirror = Mirror::new(512);
        mirror.adopt(0, (0..240).map(|number| entry(number, 20_000)).collect(), Some(1));
        assert_eq!([Reach::ButReserve, Reach::Whole].map(|reach| mirror.page_for(reach, now)), [Some(1); 2]);
        mirror.adopt(1, (240..480).map(|number| entry(number, 20_000)).collect(), Some(1));
        assert_eq!(mirror.page_for(Reach::ButReserve, now), None);
        assert_eq!(mirror.page_for(Reach::Whole, now), Some(0));
        mirror.adopt(0, (0..256).map(|number| entry(number, 20_000)).collect(), Some(2));
        assert_eq!(mirror.page_for(Reach::Whole, now), Some(1));
        // Sixteen of them have lapsed: what is left of the page is the reserve. One more, and it is not.
        let some_lapsed = |lapsed| (0..256).map(move |it| entry(it, if it < lapsed { 100 } else { 20_000 }));
        mirror.adopt(0, some_lapsed(16).collect(), Some(3));
        assert_eq!(mirror.page_for(Reach::ButReserve, now), None);
        mirror.adopt(0, some_lapsed(17).collect(), Some(4));
        assert_eq!(mirror.page_for(Reach::ButReserve, now), Some(0));
    }

    #[test]
    fn what_a_subject_owns_is_what_is_live_and_its_own() {
        let owned = |mark, ends_at, owner| Entry { owner, ..entry(mark, ends_at) };
        let [mine, other] = [7 << 64, 8 << 64].map(|mark| Mark::new(mark).owner());
        let mut mirror = Mirror::new(1000);
        mirror.adopt(0, vec![owned(1, 900, Some(mine)), owned(2, 50, Some(mine))], Some(1));
        mirror.adopt(
            1,
            vec![owned(3, 900, Some(other)), owned(4, 900, None), owned(5, 900, Some(mine))],
            Some(1),
        );
        let marks = |owner| -> Vec<_> {
            let owned = mirror.owned(owner, UnixNanos::from_seconds(50));
            owned.map(|(page, entry)| (page, entry.mark)).collect()
        };
        assert!(mirror.can_own(mine, 3) && !mirror.can_own(mine, 4), "the lapsed one is counted");
        assert!(mirror.can_own(other, 1) && !mirror.can_own(other, 2));
        assert_eq!(marks(mine), [(0, Mark::new(1)), (1, Mark::new(5))]);
        assert_eq!(marks(other), [(1, Mark::new(3))]);
    }
}
