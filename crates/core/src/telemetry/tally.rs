//! Adds up counts, so that not every count costs a host call.

use super::counters::CounterIndex;
use crate::time::UnixNanos;

/// A request hands over the counts if this much time has passed since the last time, nanoseconds; otherwise the tick
/// does.
const PERIOD_NANOS: u64 = 100_000_000;

/// The counts since they were last handed over.
#[derive(Debug)]
pub struct Tally {
    pending: Vec<u32>,
    has_any: bool,
    handed_over: UnixNanos,
}

impl Tally {
    /// A tally of this many counters.
    pub fn new(counters: usize) -> Self {
        Self { pending: vec![0; counters], has_any: false, handed_over: UnixNanos::default() }
    }

    /// Adds so many to a counter.
    pub fn add(&mut self, counter: CounterIndex, by: u32) {
        if let Some(count) = self.pending.get_mut(counter.get()) {
            *count = count.saturating_add(by);
            self.has_any = true;
        }
    }

    /// Hands over the counts if the last time was long enough ago. A single request is thus visible at once, while many
    /// cost one call per counter and period.
    pub fn settle(&mut self, increment: impl FnMut(CounterIndex, u32), now: UnixNanos) {
        if now.nanos().abs_diff(self.handed_over.nanos()) >= PERIOD_NANOS {
            self.handed_over = now;
            self.hand_over(increment);
        }
    }

    /// Hands over the counts.
    pub fn hand_over(&mut self, mut increment: impl FnMut(CounterIndex, u32)) {
        if !std::mem::take(&mut self.has_any) {
            return;
        }
        for (number, count) in self.pending.iter_mut().enumerate().filter(|(_, count)| **count > 0) {
            increment(CounterIndex::new(number), std::mem::take(count));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handed(tally: &mut Tally, nanos: u64) -> Vec<(usize, u32)> {
        let mut handed = Vec::new();
        tally.settle(|counter, by| handed.push((counter.get(), by)), UnixNanos::from_nanos(nanos));
        handed
    }

    #[test]
    fn counts_are_handed_over_once_a_period_and_none_is_lost() {
        let mut tally = Tally::new(3);
        let start = 1_000_000_000;
        for counter in [0, 2, 2, 9] {
            tally.add(CounterIndex::new(counter), 1);
        }
        assert_eq!(handed(&mut tally, start), [(0, 1), (2, 2)]);
        tally.add(CounterIndex::new(1), 1);
        assert_eq!(handed(&mut tally, start + PERIOD_NANOS - 1), []);
        assert_eq!(handed(&mut tally, start + PERIOD_NANOS), [(1, 1)]);
        tally.add(CounterIndex::new(1), 1);
        // The clock went back: waiting for it to come here again could take for ever.
        assert_eq!(handed(&mut tally, 0), [(1, 1)]);
        let mut handed = 0;
        tally.hand_over(|_, by| handed += by);
        assert_eq!(handed, 0);
    }
}
