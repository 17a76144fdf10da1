//! One key's sliding window: how much was spent lately, may one more be spent, and when if not now?
//!
//! The window is cut into 16 sub-windows ("buckets"), numbered from the epoch. Seventeen counters are kept: the
//! current bucket and the 16 before it. A request is admitted if their sum is below the limit. What is spent in
//! bucket `j` therefore counts until bucket `j + 17` starts: at least one whole window after it was spent (so no
//! interval of one window, closed at both ends and wherever it starts, holds more than the limit), and at most
//! 1/16 of a window longer than that.
//!
//! - `window/bucket.rs`: the numbering of the buckets.
//! - `window/advance.rs`: how a window follows the time and its quota.
//! - `window/codec.rs`: how a window stands in a cell.
//!
//! This module knows neither identities nor cells.

use std::num::NonZeroU32;

use super::Quota;
use crate::time::UnixNanos;

mod advance;
pub(super) mod bucket;
mod codec;

pub use codec::{ENCODED_BYTES, Liveness};

use advance::epoch_at;
use bucket::{COUNTED, LIFE};

/// A lease takes at most this many units beside the one spent at once.
const LEASE_MAX: u64 = 31;
/// A lease takes at most this part of what remains.
const LEASE_PART: u64 = 128;

/// Where a unit was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The bucket's number.
    pub bucket: u64,
    /// The numbering that `bucket` belongs to; a window renumbered or made anew has another one.
    pub epoch: u32,
}

/// A unit that was spent, for giving it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Where it was counted.
    pub stamp: Stamp,
    /// It reached `warn_at_percent`, for the first time in this window.
    pub warned: bool,
}

/// The units spent in the current bucket and the 16 before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    window_seconds: NonZeroU32,
    epoch: u32,
    /// Number of the newest bucket.
    head: u64,
    /// The bucket of the last warning; 0 is never.
    warned: u64,
    /// Newest first: `counts[i]` belongs to bucket `head - i`.
    counts: [u32; COUNTED],
}

impl Window {
    /// A window in which nothing is spent yet.
    pub fn new(window_seconds: NonZeroU32, now: UnixNanos) -> Self {
        let head = bucket::at(window_seconds, now);
        Self { window_seconds, epoch: epoch_at(now), head, warned: 0, counts: [0; COUNTED] }
    }

    /// The length of the window that it was brought to last.
    pub fn window_seconds(&self) -> NonZeroU32 {
        self.window_seconds
    }

    /// Units spent that still count.
    pub fn used(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(u64::from(*count)))
    }

    /// Units that may still be spent now.
    pub fn remaining(&self, quota: &Quota) -> u64 {
        u64::from(quota.max_requests.get()).saturating_sub(self.used())
    }

    /// Spends one unit in the newest bucket. Only after [`Window::remaining`] said that there is one.
    pub fn spend(&mut self, quota: &Quota) -> Spent {
        self.count(1);
        let quiet = self.warned == 0 || self.head.saturating_sub(self.warned) >= LIFE;
        let warned = quiet && quota.warn_from().is_some_and(|from| self.used() >= from);
        if warned {
            self.warned = self.head.max(1);
        }
        Spent { stamp: self.stamp(), warned }
    }

    /// Where a unit is counted that is spent now.
    pub fn stamp(&self) -> Stamp {
        Stamp { bucket: self.head, epoch: self.epoch }
    }

    /// After one unit was spent, counts some more of the newest bucket for the caller to spend there itself, and
    /// says how many (0: none). See `lease.rs` for the rules.
    pub fn lease(&mut self, quota: &Quota, now: UnixNanos) -> u32 {
        if quota.bucket(now) != self.head {
            return 0;
        }
        let used = self.used();
        let to_warning = match quota.warn_from() {
            Some(from) if used < from => from.saturating_sub(used).saturating_sub(1),
            Some(_) | None => u64::MAX,
        };
        let earlier = u64::from(self.counts.first().copied().unwrap_or(0)).saturating_sub(1);
        let part = self.remaining(quota) / LEASE_PART;
        let units = LEASE_MAX.min(part).min(earlier).min(to_warning);
        let units = u32::try_from(units).unwrap_or(0);
        self.count(units);
        units
    }

    /// Takes back `units` that were counted at `stamp` and never used. False, and nothing changed, if that bucket
    /// has left or was renumbered.
    pub fn give_back(&mut self, stamp: Stamp, units: u32) -> bool {
        let index = self.head.checked_sub(stamp.bucket).and_then(|age| usize::try_from(age).ok());
        match index.and_then(|index| self.counts.get_mut(index)) {
            Some(count) if stamp.epoch == self.epoch => {
                *count = count.saturating_sub(units);
                true
            }
            Some(_) | None => false,
        }
    }

    /// As [`Window::give_back`], of one unit and of the warning that it may have caused.
    pub fn undo(&mut self, spent: Spent) -> bool {
        let undone = self.give_back(spent.stamp, 1);
        if undone && spent.warned {
            self.warned = 0;
        }
        undone
    }

    /// When one more unit can be spent, if nobody else spends: `None` if now.
    pub fn free_at(&self, quota: &Quota) -> Option<UnixNanos> {
        let max_requests = u64::from(quota.max_requests.get());
        match self.used().checked_sub(max_requests) {
            Some(excess) => self.left_at(excess.saturating_add(1)),
            None => None,
        }
    }

    /// When the next unit that is spent comes back: `None` if none is spent.
    pub fn oldest_leaves_at(&self) -> Option<UnixNanos> {
        self.left_at(1)
    }

    /// When the oldest `units` have left.
    fn left_at(&self, units: u64) -> Option<UnixNanos> {
        let mut left = 0_u64;
        for (age, count) in (0..LIFE).rev().zip(self.counts.iter().rev()) {
            left = left.saturating_add(u64::from(*count));
            if left >= units {
                let leaves = self.head.saturating_sub(age).saturating_add(LIFE);
                return Some(bucket::start_of(self.window_seconds, leaves));
            }
        }
        None
    }

    fn count(&mut self, units: u32) {
        if let Some(newest) = self.counts.first_mut() {
            *newest = newest.saturating_add(units);
        }
    }
}
