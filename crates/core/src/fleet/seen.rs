//! Which names has the store?
//!
//! A hash table with open addressing, of half of each name: two entries share it by a chance of 1 in 2^64. Names are digests, so
//! their own bits are the hash. Sorting them would take 2 KB more of the module.

/// Slots at first; a power of two.
const LEAST_SLOTS: usize = 1024;

/// Halves of names.
#[derive(Debug, Default)]
pub(super) struct Seen {
    // INVARIANT: empty, or a power of two of slots, at least half of them unused. An unused slot is 0.
    slots: Vec<u64>,
    used: usize,
}

impl Seen {
    /// Adds a name.
    pub(super) fn add(&mut self, name: u128) {
        if self.used.saturating_mul(2) >= self.slots.len() {
            let more = self.slots.len().saturating_mul(2).max(LEAST_SLOTS);
            let old = std::mem::replace(&mut self.slots, vec![0; more]);
            self.used = 0;
            old.into_iter().filter(|half| *half != 0).for_each(|half| self.put(half));
        }
        self.put(half(name));
    }

    /// Whether a name was added.
    pub(super) fn has(&self, name: u128) -> bool {
        let half = half(name);
        self.probe(half).and_then(|slot| self.slots.get(slot)).is_some_and(|found| *found == half)
    }

    fn put(&mut self, half: u64) {
        let slot = self.probe(half);
        if let Some(slot) = slot.and_then(|slot| self.slots.get_mut(slot))
            && *slot == 0
        {
            *slot = half;
            self.used = self.used.saturating_add(1);
        }
    }

    /// The slot of a name, or the unused one where it would be put.
    fn probe(&self, half: u64) -> Option<usize> {
        let last = self.slots.len().checked_sub(1)?;
        let start = usize::try_from(half & 0xFFFF_FFFF).unwrap_or(0);
        let slots = (0..self.slots.len()).map(|step| start.wrapping_add(step) & last);
        slots
            .into_iter()
            .find(|slot| self.slots.get(*slot).is_some_and(|found| *found == 0 || *found == half))
    }
}

fn half(name: u128) -> u64 {
    u64::try_from(name >> 64).unwrap_or(u64::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_added_is_there_and_nothing_else() {
        let name = |number: u128| number.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let mut seen = Seen::default();
        assert!(!seen.has(0) && !seen.has(1));
        (0..70_000).for_each(|number| seen.add(name(number)));
        (0..70_000).for_each(|number| seen.add(name(number)));
        assert!((0..70_000).all(|number| seen.has(name(number))));
        assert!((70_000..140_000).all(|number| !seen.has(name(number))));
        assert_eq!(seen.slots.len(), 262_144);
    }
}
