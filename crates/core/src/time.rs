//! Time, which the core always gets as an argument: it has no clock.

/// A moment, in nanoseconds since the Unix epoch, up to the year 2554.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct UnixNanos(u64);

/// Times of workers that share what they note may be out of order by so much, seconds: one reads the clock, and is stopped or
/// waits for a lock before it goes on. By more, the clock was set back.
const MOST_DISORDER_SECONDS: u64 = 1;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

impl UnixNanos {
    /// The moment `nanos` nanoseconds after the epoch.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// The moment `seconds` seconds after the epoch; saturates in the year 2554.
    pub const fn from_seconds(seconds: u64) -> Self {
        Self(nanos_of(seconds))
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn seconds(self) -> u64 {
        self.0 / NANOS_PER_SECOND
    }

    /// The moment `seconds` later; saturates.
    pub const fn plus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_add(nanos_of(seconds)))
    }

    /// The moment `seconds` earlier; saturates at the epoch.
    pub const fn minus_seconds(self, seconds: u64) -> Self {
        Self(self.0.saturating_sub(nanos_of(seconds)))
    }

    /// The latest moment that another worker can have noted as its present, if this is the present of one.
    pub(crate) const fn latest_present(self) -> Self {
        self.plus_seconds(MOST_DISORDER_SECONDS)
    }
}

const fn nanos_of(seconds: u64) -> u64 {
    seconds.saturating_mul(NANOS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_past_the_end_of_time_are_its_end() {
        let last = u64::MAX / NANOS_PER_SECOND;
        for seconds in [0, 1, last - 1, last, last + 1, u64::MAX] {
            let nanos = seconds.saturating_mul(NANOS_PER_SECOND);
            assert_eq!(UnixNanos::from_seconds(seconds).nanos(), nanos, "{seconds}");
            let from = UnixNanos::from_nanos(5);
            assert_eq!(from.plus_seconds(seconds).nanos(), nanos.saturating_add(5), "{seconds}");
            assert_eq!(from.minus_seconds(seconds).nanos(), 5_u64.saturating_sub(nanos), "{seconds}");
        }
    }
}
