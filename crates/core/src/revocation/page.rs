//! What does one shared cell of revocations hold, and how is a new one entered there?
//!
//! A page is a run of entries of 40 bytes, little-endian: mark (16), end in Unix seconds (8), issued-before in Unix
//! seconds (8), owner (8). An entry keeps its index for as long as it is there. It is replaced once it has lapsed and the
//! page has no unused room left, or by the entry of its owner that it is folded into. Everything here is a pure
//! function, to be run again after a lost race.

use std::num::NonZeroU64;

use super::{Mark, OwnerMark};
use crate::cells::CellFault;
use crate::time::UnixNanos;

/// Entries of one page: a revocation rewrites 10 KiB at most, and a reader copies as much to learn of it.
pub(super) const PAGE_ENTRIES: usize = 256;

const ENTRY_BYTES: usize = 40;

/// One revocation as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Whom it concerns.
    pub(super) mark: Mark,
    /// Unix second from which on the entry is void; `u64::MAX` never comes.
    pub(super) ends_at: u64,
    /// A subject's entry refuses its tokens issued before this Unix second. Any other entry refuses whatever bears its
    /// mark, and says here what an entry of the subject has to refuse to cover it; 0: tokens without `iat`.
    pub(super) issued_before: u64,
    /// Whose own revocation it is; `None`: that of a holder of the permissions, or of a caller without a subject.
    pub(super) owner: Option<OwnerMark>,
}

impl Entry {
    /// Whether the entry is void at `now`.
    pub(super) fn has_lapsed(&self, now: UnixNanos) -> bool {
        // The end is a whole second, so cutting the fraction off `now` loses nothing.
        self.ends_at <= now.seconds()
    }

    /// Whether a subject's live entry refuses a token issued at `issued_at`; one that does not say when counts as older.
    pub(super) fn concerns(&self, issued_at: Option<UnixNanos>) -> bool {
        issued_at.is_none_or(|moment| moment.seconds() < self.issued_before)
    }

    /// Makes this entry at least as strict as `other`. What its owner and somebody else have entered is nobody's own.
    pub(super) fn absorb(&mut self, other: &Self) {
        self.ends_at = self.ends_at.max(other.ends_at);
        self.issued_before = self.issued_before.max(other.issued_before);
        self.owner = self.owner.filter(|owner| other.owner == Some(*owner));
    }
}

/// What became of an entry that was offered to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is there already, at least as strict: the page is unchanged.
    Present,
    /// The page changed and must be stored.
    Entered,
    /// There is no room for it: the page is unchanged.
    Full,
}

/// Enters `new` into a page of at most `capacity` entries: into the live entry of the same mark, else behind the last entry,
/// else over the one that lapsed longest ago. No more than `room` entries are live then, if `new` took room. A live
/// entry is never dropped or weakened.
pub(super) fn admit(
    page: &mut Vec<Entry>,
    new: Entry,
    capacity: usize,
    room: usize,
    now: UnixNanos,
) -> Admission {
    if let Some(same) = live_of(page, new.mark, now) {
        return absorb(same, &new);
    }
    if live(page, now) >= room {
        return Admission::Full;
    }
    let lapsed = page.iter_mut().find(|entry| entry.mark == new.mark);
    if let Some(same) = lapsed {
        *same = new;
        return Admission::Entered;
    }
    if page.len() < capacity {
        page.push(new);
        return Admission::Entered;
    }
    match page.iter_mut().min_by_key(|entry| entry.ends_at) {
        Some(oldest) if oldest.has_lapsed(now) => {
            *oldest = new;
            Admission::Entered
        }
        Some(_) | None => Admission::Full,
    }
}

/// Puts what `fold` makes of the live entry of `mark` in its place. `Full` if the owner has none here any more.
pub(super) fn replace(
    page: &mut [Entry],
    mark: Mark,
    owner: OwnerMark,
    fold: impl Fn(&Entry) -> Entry,
    now: UnixNanos,
) -> Admission {
    match live_of(page, mark, now) {
        Some(entry) if entry.owner == Some(owner) => {
            *entry = fold(entry);
            Admission::Entered
        }
        Some(_) | None => Admission::Full,
    }
}

/// Makes the live entry of the same mark at least as strict as `longer`, whoever owns it. Nothing changes if there is none.
pub(super) fn lengthen(page: &mut [Entry], longer: Entry, now: UnixNanos) -> Admission {
    live_of(page, longer.mark, now)
        .map_or(Admission::Full, |entry| absorb(entry, &Entry { owner: entry.owner, ..longer }))
}

/// The number of entries that are live at `now`.
pub(super) fn live(page: &[Entry], now: UnixNanos) -> usize {
    page.iter().filter(|entry| !entry.has_lapsed(now)).count()
}

/// The number of entries that are live at `now` of a page that is stored as these bytes.
pub(crate) fn live_stored(bytes: &[u8], now: UnixNanos) -> usize {
    let rows = bytes.as_chunks::<8>().0.as_chunks::<5>().0;
    rows.iter().filter(|[_, _, ends_at, ..]| u64::from_le_bytes(*ends_at) > now.seconds()).count()
}

fn live_of(page: &mut [Entry], mark: Mark, now: UnixNanos) -> Option<&mut Entry> {
    page.iter_mut().find(|entry| entry.mark == mark && !entry.has_lapsed(now))
}

fn absorb(entry: &mut Entry, other: &Entry) -> Admission {
    let before = *entry;
    entry.absorb(other);
    if *entry == before { Admission::Present } else { Admission::Entered }
}

/// The entries of a stored page; a fault where the bytes cannot be a page of at most `capacity` entries.
pub(super) fn decode(bytes: &[u8], capacity: usize) -> Result<Vec<Entry>, CellFault> {
    let (words, loose_bytes) = bytes.as_chunks::<8>();
    let (rows, loose_words) = words.as_chunks::<5>();
    if !loose_bytes.is_empty() || !loose_words.is_empty() || rows.is_empty() || rows.len() > capacity {
        return Err(CellFault);
    }
    let entry = |[low, high, ends_at, issued_before, owner]: &[[u8; 8]; 5]| Entry {
        mark: Mark([u64::from_le_bytes(*low), u64::from_le_bytes(*high)]),
        ends_at: u64::from_le_bytes(*ends_at),
        issued_before: u64::from_le_bytes(*issued_before),
        owner: NonZeroU64::new(u64::from_le_bytes(*owner)).map(OwnerMark),
    };
    Ok(rows.iter().map(entry).collect())
}

/// The bytes to store for a page.
pub(super) fn encode(page: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(page.len().saturating_mul(ENTRY_BYTES));
    for entry in page {
        let Mark([low, high]) = entry.mark;
        let owner = entry.owner.map_or(0, |OwnerMark(owner)| owner.get());
        for word in [low, high, entry.ends_at, entry.issued_before, owner] {
            bytes.extend_from_slice(&word.to_le_bytes());
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(mark: u128, ends_at: u64, issued_before: u64) -> Entry {
        Entry { mark: Mark::new(mark), ends_at, issued_before, owner: None }
    }

    fn owned(mark: u128, ends_at: u64, issued_before: u64, owner: u64) -> Entry {
        Entry { owner: NonZeroU64::new(owner).map(OwnerMark), ..entry(mark, ends_at, issued_before) }
    }

    fn at(seconds: u64) -> UnixNanos {
        UnixNanos::from_seconds(seconds)
    }

    /// Admits to all of a page.
    fn enter(page: &mut Vec<Entry>, new: Entry, capacity: usize, now: UnixNanos) -> Admission {
        admit(page, new, capacity, capacity, now)
    }

    #[test]
    fn a_page_reads_back_as_it_was_stored() {
        let page = vec![owned(u128::MAX - 1, 1, 2, u64::MAX), entry(1 << 64, u64::MAX, u64::MAX)];
        assert_eq!(encode(&page).len(), 80);
        assert_eq!(decode(&encode(&page), 2), Ok(page));
    }

    #[test]
    fn bytes_that_cannot_be_a_page_are_a_fault() {
        for length in [0, 1, 8, 32, 39, 41, 79, 120, 40 * 300] {
            assert_eq!(decode(&vec![7; length], 2), Err(CellFault), "{length}");
        }
    }

    #[test]
    fn an_entry_lives_up_to_its_end_and_not_a_nanosecond_less() {
        let page = entry(1, 100, u64::MAX);
        assert!(!page.has_lapsed(UnixNanos::from_nanos(99_999_999_999)));
        assert!(page.has_lapsed(at(100)));
        assert!(!entry(1, u64::MAX, u64::MAX).has_lapsed(UnixNanos::from_nanos(u64::MAX)));
    }

    #[test]
    fn a_token_issued_in_that_very_second_is_not_issued_before_it() {
        let subject = entry(1, u64::MAX, 1000);
        assert!(subject.concerns(Some(UnixNanos::from_nanos(999_999_999_999))));
        assert!(!subject.concerns(Some(at(1000))));
        assert!(subject.concerns(None), "a token that does not say when it was issued counts as older");
        assert!(entry(1, u64::MAX, u64::MAX).concerns(Some(UnixNanos::from_nanos(u64::MAX))));
    }

    #[test]
    fn the_same_mark_keeps_one_entry_and_the_stricter_of_both() {
        let mut page = vec![entry(1, 100, 50)];
        assert_eq!(enter(&mut page, entry(1, 90, 50), 1, at(10)), Admission::Present);
        assert_eq!(enter(&mut page, entry(1, 90, 60), 1, at(10)), Admission::Entered);
        assert_eq!(page, [entry(1, 100, 60)]);
        assert_eq!(enter(&mut page, entry(1, 200, 10), 1, at(10)), Admission::Entered);
        assert_eq!(page, [entry(1, 200, 60)]);
    }

    #[test]
    fn what_somebody_else_revokes_as_well_is_no_longer_the_owner_s() {
        let mut page = vec![owned(1, 100, 50, 7)];
        assert_eq!(enter(&mut page, owned(1, 100, 50, 7), 1, at(10)), Admission::Present);
        assert_eq!(enter(&mut page, entry(1, 90, 50), 1, at(10)), Admission::Entered);
        assert_eq!(page, [entry(1, 100, 50)]);
        assert_eq!(enter(&mut page, owned(1, 200, 50, 7), 1, at(10)), Admission::Entered);
        assert_eq!(page, [entry(1, 200, 50)], "and does not become theirs again");
    }

    #[test]
    fn a_lapsed_entry_of_the_same_mark_lends_nothing_to_the_new_one() {
        let mut page = vec![owned(1, 100, 900, 7)];
        assert_eq!(enter(&mut page, entry(1, 300, 50), 1, at(100)), Admission::Entered);
        assert_eq!(page, [entry(1, 300, 50)]);
    }

    #[test]
    fn only_a_lapsed_entry_is_replaced_and_only_when_there_is_no_other_room() {
        let mut page = vec![entry(1, 100, 0), entry(2, 90, 0)];
        assert_eq!(enter(&mut page, entry(3, 500, 0), 3, at(200)), Admission::Entered);
        assert_eq!(page.len(), 3);
        assert_eq!(enter(&mut page, entry(4, 500, 0), 3, at(200)), Admission::Entered);
        assert_eq!(page, [entry(1, 100, 0), entry(4, 500, 0), entry(3, 500, 0)]);
        assert_eq!(enter(&mut page, entry(5, 500, 0), 3, at(200)), Admission::Entered);
        let full = page.clone();
        assert_eq!(enter(&mut page, entry(6, 500, 0), 3, at(200)), Admission::Full);
        assert_eq!(page, full);
    }

    #[test]
    fn no_more_live_entries_than_there_is_room_for_are_admitted_whatever_has_lapsed() {
        let mut page = vec![entry(1, 100, 0), entry(2, 500, 0), entry(3, 500, 0)];
        let full = page.clone();
        for new in [entry(4, 500, 0), entry(1, 500, 0)] {
            assert_eq!(admit(&mut page, new, 4, 2, at(200)), Admission::Full, "{new:?}");
        }
        assert_eq!(page, full);
        assert_eq!(admit(&mut page, entry(2, 600, 0), 4, 2, at(200)), Admission::Entered, "takes no room");
        assert_eq!(admit(&mut page, entry(1, 500, 0), 4, 3, at(200)), Admission::Entered);
        assert_eq!((page.len(), live(&page, at(200))), (3, 3));
    }

    #[test]
    fn only_a_live_entry_of_the_owner_is_replaced() {
        let [mine, other] = [7, 8].map(|owner| OwnerMark(NonZeroU64::new(owner).unwrap()));
        let fold = |old: &Entry| owned(9, old.ends_at + 1, old.issued_before, 7);
        let mut page = vec![owned(1, 100, 50, 7), owned(2, 300, 50, 7), entry(3, 300, 50)];
        let before = page.clone();
        for (mark, owner) in [(1, mine), (2, other), (3, mine), (4, mine)] {
            assert_eq!(replace(&mut page, Mark::new(mark), owner, fold, at(200)), Admission::Full, "{mark}");
            assert_eq!(page, before);
        }
        assert_eq!(replace(&mut page, Mark::new(2), mine, fold, at(200)), Admission::Entered);
        assert_eq!(page, [before[0], owned(9, 301, 50, 7), before[2]]);
    }

    #[test]
    fn a_live_entry_is_lengthened_whoever_owns_it_and_never_shortened() {
        let mut page = vec![owned(1, 300, 50, 7), entry(2, 100, 50)];
        assert_eq!(lengthen(&mut page, entry(1, 250, 50), at(200)), Admission::Present);
        assert_eq!(lengthen(&mut page, entry(1, 400, 60), at(200)), Admission::Entered);
        assert_eq!(page[0], owned(1, 400, 60, 7));
        for mark in [2, 3] {
            assert_eq!(lengthen(&mut page, entry(mark, 400, 60), at(200)), Admission::Full, "{mark}");
        }
        assert_eq!(page, [owned(1, 400, 60, 7), entry(2, 100, 50)]);
    }
}
