//! How long does a revocation have to last?

use crate::time::UnixNanos;

/// How long a revocation has to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Up to this Unix second: from its first nanosecond on, the entry is void.
    UntilSecond(u64),
    /// As long as the process.
    ForGood,
}

impl Lifetime {
    /// The shortest lifetime that leaves no gap to a token's own end: `expires_at` and the clock skew in seconds,
    /// rounded up. For good where that is past what [`UnixNanos`] can say.
    pub fn outliving(expires_at: UnixNanos, clock_skew_seconds: u64) -> Self {
        match expires_at.plus_seconds(clock_skew_seconds).nanos() {
            u64::MAX => Self::ForGood,
            nanos => Self::UntilSecond(nanos.div_ceil(UnixNanos::from_seconds(1).nanos())),
        }
    }

    /// The Unix second from which on an entry is void; `u64::MAX` never comes.
    pub(super) fn ends_at(self) -> u64 {
        match self {
            Self::UntilSecond(second) => second,
            Self::ForGood => u64::MAX,
        }
    }
}
