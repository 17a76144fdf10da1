//! Which entries has the store?
//!
//! A hash table with open addressing, of eight bytes of each entry: two entries share them by a chance of 1 in 2^64. Names are
//! digests, so their own bits are the hash. Sorting them would take 2 KB more of the module.

use crate::revocation::SharedEntry;

/// Slots at first; a power of two.
const LEAST_SLOTS: usize = 1024;

/// Digests of entries.
#[derive(Debug, Default)]
pub(super) struct Seen {
    // INVARIANT: empty, or a power of two of slots, at least half of them unused. An unused slot is 0.
    slots: Vec<u64>,
    used: usize,
}

impl Seen {
    /// Adds an entry.
    pub(super) fn add(&mut self, entry: &SharedEntry) {
        if self.used.saturating_mul(2) >= self.slots.len() {
            let more = self.slots.len().saturating_mul(2).max(LEAST_SLOTS);
            let old = std::mem::replace(&mut self.slots, vec![0; more]);
            self.used = 0;
            old.into_iter().filter(|digest| *digest != 0).for_each(|digest| self.put(digest));
        }
        self.put(digest(entry));
    }

    /// Whether an entry was added as it is now.
    pub(super) fn has(&self, entry: &SharedEntry) -> bool {
        let digest = digest(entry);
        self.probe(digest).and_then(|slot| self.slots.get(slot)).is_some_and(|found| *found == digest)
    }

    fn put(&mut self, digest: u64) {
        let slot = self.probe(digest);
        if let Some(slot) = slot.and_then(|slot| self.slots.get_mut(slot))
            && *slot == 0
        {
            *slot = digest;
            self.used = self.used.saturating_add(1);
        }
    }

    /// The slot of an entry, or the unused one where it would be put.
    fn probe(&self, digest: u64) -> Option<usize> {
        let last = self.slots.len().checked_sub(1)?;
        let start = usize::try_from(digest & 0xFFFF_FFFF).unwrap_or(0);
        let slots = (0..self.slots.len()).map(|step| start.wrapping_add(step) & last);
        slots
            .into_iter()
            .find(|slot| self.slots.get(*slot).is_some_and(|found| *found == 0 || *found == digest))
    }
}

fn digest(entry: &SharedEntry) -> u64 {
    (entry.half() ^ entry.ends_at ^ entry.issued_before.rotate_left(32)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_and_nothing_else() {
        let entry = |number: u128| SharedEntry {
            name: number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835),
            ends_at: 1_796_000_000,
            issued_before: 0,
        };
        let mut seen = Seen::default();
        assert!(!seen.has(&entry(0)) && !seen.has(&entry(1)));
        (0..70_000).for_each(|number| seen.add(&entry(number)));
        (0..70_000).for_each(|number| seen.add(&entry(number)));
        assert!((0..70_000).all(|number| seen.has(&entry(number))));
        assert!((70_000..140_000).all(|number| !seen.has(&entry(number))));
        assert!(!seen.has(&SharedEntry { ends_at: 1_796_000_001, ..entry(1) }), "it lasts for longer by now");
        assert!(
            !seen.has(&SharedEntry { issued_before: 1_796_000_000, ..entry(1) }),
            "it means more tokens by now"
        );
        assert_eq!(seen.slots.len(), 262_144);
    }
}
