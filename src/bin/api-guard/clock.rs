//! The only clock of the command.

use api_guard_core::time::UnixNanos;

/// The time of day.
#[expect(
    clippy::disallowed_methods,
    reason = "the command is where time enters; the core takes it as an argument"
)]
pub(crate) fn now() -> UnixNanos {
    let since_epoch = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
    UnixNanos::from_nanos(u64::try_from(since_epoch.as_nanos()).unwrap_or(u64::MAX))
}
