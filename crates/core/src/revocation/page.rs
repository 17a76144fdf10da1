//! What does one shared cell of revocations hold, and how is a new one entered there?
//!
//! A page is a run of entries of 32 bytes, little-endian: mark (16), end in Unix seconds (8), issued-before in Unix
//! seconds (8). An entry keeps its index for as long as it is there, and is replaced only once it has lapsed and the page
//! has no unused room left. Everything here is a pure function, to be run again after a lost race.

use super::Mark;
use crate::cells::CellFault;
use crate::time::UnixNanos;

/// Entries of one page: a revocation rewrites 8 KiB at most, and a reader copies as much to learn of it.
pub(super) const PAGE_ENTRIES: usize = 256;

const ENTRY_BYTES: usize = 32;

/// One revocation as it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Entry {
    /// Whom it concerns.
    pub(super) mark: Mark,
    /// Unix second from which on the entry is void; `u64::MAX` never comes.
    pub(super) ends_at: u64,
    /// Refuses tokens issued before this Unix second; `u64::MAX`: whenever they were issued.
    pub(super) issued_before: u64,
}

impl Entry {
    /// Whether the entry is void at `now`.
    pub(super) fn has_lapsed(&self, now: UnixNanos) -> bool {
        // The end is a whole second, so cutting the fraction off `now` loses nothing.
        self.ends_at <= now.seconds()
    }

    /// Whether a live entry refuses a token issued at `issued_at`; one that does not say when counts as older.
    pub(super) fn concerns(&self, issued_at: Option<UnixNanos>) -> bool {
        issued_at.is_none_or(|moment| moment.seconds() < self.issued_before)
    }

    fn covers(&self, other: &Self) -> bool {
        self.ends_at >= other.ends_at && self.issued_before >= other.issued_before
    }
}

/// What became of an entry that was offered to a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// It is there already, at least as strict: the page is unchanged.
    Present,
    /// The page changed and must be stored.
    Entered,
    /// Full of live entries of other marks: the page is unchanged.
    Full,
}

/// Enters `new` into a page of at most `capacity` entries: over the entry of the same mark, else behind the last entry,
/// else over the one that lapsed longest ago. A live entry is never dropped or weakened.
pub(super) fn admit(page: &mut Vec<Entry>, new: Entry, capacity: usize, now: UnixNanos) -> Admission {
    if let Some(same) = page.iter_mut().find(|entry| entry.mark == new.mark) {
        if same.has_lapsed(now) {
            *same = new;
        } else if same.covers(&new) {
            return Admission::Present;
        } else {
            same.ends_at = same.ends_at.max(new.ends_at);
            same.issued_before = same.issued_before.max(new.issued_before);
        }
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

/// The entries of a stored page; a fault where the bytes cannot be a page of at most `capacity` entries.
pub(super) fn decode(bytes: &[u8], capacity: usize) -> Result<Vec<Entry>, CellFault> {
    let (words, loose_bytes) = bytes.as_chunks::<8>();
    let (rows, loose_words) = words.as_chunks::<4>();
    if !loose_bytes.is_empty() || !loose_words.is_empty() || rows.is_empty() || rows.len() > capacity {
        return Err(CellFault);
    }
    let entry = |[low, high, ends_at, issued_before]: &[[u8; 8]; 4]| Entry {
        mark: Mark::from_halves(u64::from_le_bytes(*low), u64::from_le_bytes(*high)),
        ends_at: u64::from_le_bytes(*ends_at),
        issued_before: u64::from_le_bytes(*issued_before),
    };
    Ok(rows.iter().map(entry).collect())
}

/// The bytes to store for a page.
pub(super) fn encode(page: &[Entry]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(page.len().saturating_mul(ENTRY_BYTES));
    for entry in page {
        bytes.extend_from_slice(&entry.mark.0.to_le_bytes());
        bytes.extend_from_slice(&entry.ends_at.to_le_bytes());
        bytes.extend_from_slice(&entry.issued_before.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(mark: u128, ends_at: u64, issued_before: u64) -> Entry {
        Entry { mark: Mark(mark), ends_at, issued_before }
    }

    fn at(seconds: u64) -> UnixNanos {
        UnixNanos::from_seconds(seconds)
    }

    #[test]
    fn a_page_reads_back_as_it_was_stored() {
        let page = vec![entry(u128::MAX - 1, 1, 2), entry(1 << 64, u64::MAX, u64::MAX)];
        assert_eq!(encode(&page).len(), 64);
        assert_eq!(decode(&encode(&page), 2), Ok(page));
    }

    #[test]
    fn bytes_that_cannot_be_a_page_are_a_fault() {
        for length in [0, 1, 8, 31, 33, 63, 96, 32 * 300] {
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
        assert_eq!(admit(&mut page, entry(1, 90, 50), 1, at(10)), Admission::Present);
        assert_eq!(admit(&mut page, entry(1, 90, 60), 1, at(10)), Admission::Entered);
        assert_eq!(page, [entry(1, 100, 60)]);
        assert_eq!(admit(&mut page, entry(1, 200, 10), 1, at(10)), Admission::Entered);
        assert_eq!(page, [entry(1, 200, 60)]);
    }

    #[test]
    fn a_lapsed_entry_of_the_same_mark_lends_nothing_to_the_new_one() {
        let mut page = vec![entry(1, 100, 900)];
        assert_eq!(admit(&mut page, entry(1, 300, 50), 1, at(100)), Admission::Entered);
        assert_eq!(page, [entry(1, 300, 50)]);
    }

    #[test]
    fn only_a_lapsed_entry_is_replaced_and_only_when_there_is_no_other_room() {
        let mut page = vec![entry(1, 100, 0), entry(2, 90, 0)];
        assert_eq!(admit(&mut page, entry(3, 500, 0), 3, at(200)), Admission::Entered);
        assert_eq!(page.len(), 3);
        assert_eq!(admit(&mut page, entry(4, 500, 0), 3, at(200)), Admission::Entered);
        assert_eq!(page, [entry(1, 100, 0), entry(4, 500, 0), entry(3, 500, 0)]);
        assert_eq!(admit(&mut page, entry(5, 500, 0), 3, at(200)), Admission::Entered);
        let full = page.clone();
        assert_eq!(admit(&mut page, entry(6, 500, 0), 3, at(200)), Admission::Full);
        assert_eq!(page, full);
    }
}
