//! Into which sub-windows is time cut, and when does one begin?

use std::num::{NonZeroU32, NonZeroU64};

use crate::time::UnixNanos;

/// Sub-windows in one window.
pub(super) const DIVISIONS: u64 = 16;
/// Buckets that are counted: those of one window and the current one.
pub(super) const COUNTED: usize = 17;
/// A unit leaves when the bucket begins whose number is by this much larger than that of its own.
pub(super) const LIFE: u64 = 17;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// A bucket of a window of one second. The division is exact, so bucket numbers need no wide arithmetic.
const NANOS_PER_BUCKET_SECOND: u64 = NANOS_PER_SECOND / DIVISIONS;

/// The number of the bucket that `now` is in.
pub(in crate::limit) fn at(window_seconds: NonZeroU32, now: UnixNanos) -> u64 {
    now.nanos() / nanos(window_seconds)
}

/// When a bucket starts; saturates in the year 2554.
pub(super) fn start_of(window_seconds: NonZeroU32, bucket: u64) -> UnixNanos {
    UnixNanos::from_nanos(bucket.saturating_mul(nanos(window_seconds).get()))
}

fn nanos(window_seconds: NonZeroU32) -> NonZeroU64 {
    // At most 2^32 * 6.25e7 < 2^58.
    let nanos = u64::from(window_seconds.get()).saturating_mul(NANOS_PER_BUCKET_SECOND);
    NonZeroU64::new(nanos).unwrap_or(NonZeroU64::MIN)
}
