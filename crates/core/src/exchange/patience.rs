//! Has this been waited for long enough? A clock that is set back starts the wait anew: nobody waits for it to come
//! here again.

use crate::time::UnixNanos;

/// A wait that ends.
#[derive(Debug)]
pub(crate) struct Patience {
    since: UnixNanos,
    nanos: u64,
}

impl Patience {
    /// A wait of so many nanoseconds from now on.
    pub(crate) fn begin(nanos: u64, now: UnixNanos) -> Self {
        Self { since: now, nanos }
    }

    /// Begins the wait anew.
    pub(crate) fn begin_anew(&mut self, now: UnixNanos) {
        self.since = now;
    }

    /// Whether it has ended.
    pub(crate) fn is_over(&mut self, now: UnixNanos) -> bool {
        self.since = self.since.min(now);
        now.nanos().saturating_sub(self.since.nanos()) >= self.nanos
    }
}
