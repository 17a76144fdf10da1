//! What time is it? The only place that asks.

use std::time::{SystemTime, UNIX_EPOCH};

use api_guard_core::time::UnixNanos;

/// The time of day; zero if the clock stands before 1970, in which case no token with a date is valid.
#[expect(
    clippy::disallowed_methods,
    reason = "the adapter brings the time, which is an argument everywhere else"
)]
pub(crate) fn now() -> UnixNanos {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixNanos::from_nanos(u64::try_from(since.as_nanos()).unwrap_or(0))
}
