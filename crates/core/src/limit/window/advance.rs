//! How does a window follow the time and its quota, also when the clock goes backwards?
//!
//! - The time steps back by up to 16 buckets: the window stands still until the time has caught up.
//! - It steps back further: the whole window moves with it, its newest bucket to just after the current one.
//!   Nothing is refunded, and nobody waits for a future that was an error of the clock.
//! - The quota's window changes: each old bucket goes to the latest new one that it overlaps, at most the current
//!   one. What was spent stays spent.
//!
//! The last two renumber what was counted, so each gives the window a new epoch: units that were counted under another
//! numbering can no longer be given back. They also must be stored even when the request is refused, or they would
//! start again, from a later time, with each refused request.

use std::num::NonZeroU32;

use super::Window;
use super::bucket::{self, COUNTED, DIVISIONS};
use crate::time::UnixNanos;

impl Window {
    /// Brings the window to `now` and to a quota's `window_seconds`. True if that renumbered what was counted: then
    /// the window has to be stored, whatever becomes of the request.
    #[must_use = "a renumbered window has to be stored"]
    pub fn advance(&mut self, window_seconds: NonZeroU32, now: UnixNanos) -> bool {
        let moved = self.follow(now);
        let resized = self.window_seconds != window_seconds;
        if resized {
            self.resize(window_seconds, now);
        }
        if moved || resized {
            self.renew_epoch(now);
        }
        moved || resized
    }

    /// Lets the buckets that `now` is past leave. True if the time stepped back so far that the window moved.
    fn follow(&mut self, now: UnixNanos) -> bool {
        let current = bucket::at(self.window_seconds, now);
        if let Some(steps) = current.checked_sub(self.head) {
            match usize::try_from(steps) {
                Ok(steps) if steps < COUNTED => {
                    self.counts.rotate_right(steps);
                    self.counts.iter_mut().take(steps).for_each(|count| *count = 0);
                }
                Ok(_) | Err(_) => self.counts = [0; COUNTED],
            }
            self.head = current;
            return false;
        }
        if self.head.saturating_sub(current) <= DIVISIONS {
            return false;
        }
        // One bucket after the current one, not the current one itself: the older buckets, which move along, were
        // spent at unknown moments of theirs, and would otherwise leave up to one bucket early.
        let head = current.saturating_add(1);
        let back = self.head.saturating_sub(head);
        if self.warned != 0 {
            self.warned = self.warned.saturating_sub(back).max(1);
        }
        self.head = head;
        true
    }

    /// Moves what is counted into buckets of another size.
    fn resize(&mut self, window_seconds: NonZeroU32, now: UnixNanos) {
        let current = bucket::at(window_seconds, now);
        let new_number = |old: u64| {
            let end = bucket::start_of(self.window_seconds, old.saturating_add(1)).nanos().saturating_sub(1);
            bucket::at(window_seconds, UnixNanos::from_nanos(end)).min(current)
        };
        let mut counts = [0_u32; COUNTED];
        for (age, count) in (0_u64..).zip(self.counts) {
            let new_age = current.saturating_sub(new_number(self.head.saturating_sub(age)));
            if let Some(new) = usize::try_from(new_age).ok().and_then(|age| counts.get_mut(age)) {
                *new = new.saturating_add(count);
            }
        }
        if self.warned != 0 {
            self.warned = new_number(self.warned).max(1);
        }
        (self.window_seconds, self.head, self.counts) = (window_seconds, current, counts);
    }

    fn renew_epoch(&mut self, now: UnixNanos) {
        let fresh = epoch_at(now);
        self.epoch = if fresh == self.epoch { fresh.wrapping_add(1) } else { fresh };
    }
}

/// The low half of the moment: two numberings of one key practically never share it.
pub(super) fn epoch_at(now: UnixNanos) -> u32 {
    let [a, b, c, d, ..] = now.nanos().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}
