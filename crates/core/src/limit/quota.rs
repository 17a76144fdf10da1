//! How much may one key spend, and when is it warned?

use std::num::NonZeroU32;

use super::window::bucket;
use crate::time::UnixNanos;

/// How much one key may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Requests admitted in any interval of one window.
    pub max_requests: NonZeroU32,
    /// Length of the window, in seconds.
    pub window_seconds: NonZeroU32,
    /// Warn once per window when this many percent of `max_requests` are spent; `None`: never.
    pub warn_at_percent: Option<u8>,
}

impl Quota {
    /// The number of the bucket that `now` is in.
    pub fn bucket(&self, now: UnixNanos) -> u64 {
        bucket::at(self.window_seconds, now)
    }

    /// The sum from which on a warning is due.
    pub(super) fn warn_from(&self) -> Option<u64> {
        let percent = u64::from(self.warn_at_percent?);
        Some(u64::from(self.max_requests.get()).saturating_mul(percent).div_ceil(100).max(1))
    }
}
