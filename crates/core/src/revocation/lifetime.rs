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

    /// As [`Lifetime::outliving`], for a token's `exp`; for good where it has none.
    pub fn of_token(expires_at: Option<UnixNanos>, clock_skew_seconds: u64) -> Self {
        expires_at.map_or(Self::ForGood, |expires_at| Self::outliving(expires_at, clock_skew_seconds))
    }

    /// The Unix second from which on an entry is void; `u64::MAX` never comes.
    pub(super) fn ends_at(self) -> u64 {
        match self {
            Self::UntilSecond(second) => second,
            Self::ForGood => u64::MAX,
        }
    }
}

/// How long after its `iat` a token can be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aging {
    /// However long: the age of tokens is not enforced, or not every one has an `iat`.
    Never,
    /// Tokens over an age are refused.
    After {
        /// The age, seconds.
        seconds: u64,
        /// Seconds.
        clock_skew: u64,
    },
}

impl Aging {
    /// The lifetime of a revocation of tokens issued before this Unix second: as long as one of them can be accepted.
    pub fn lifetime(self, issued_before: u64) -> Lifetime {
        match self {
            Self::Never => Lifetime::ForGood,
            Self::After { seconds, clock_skew } => {
                Lifetime::outliving(end(issued_before, seconds), clock_skew)
            }
        }
    }

    /// Whether all tokens issued before this Unix second are too old at `now`.
    pub fn is_over(self, issued_before: u64, now: UnixNanos) -> bool {
        match self {
            Self::Never => false,
            Self::After { seconds, .. } => end(issued_before, seconds) <= now,
        }
    }
}

fn end(issued_before: u64, age_seconds: u64) -> UnixNanos {
    UnixNanos::from_seconds(issued_before).plus_seconds(age_seconds)
}
