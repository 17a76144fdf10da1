//! What does a limit say of a request, and in which figures?

use super::Quota;
use super::window::Window;
use crate::time::UnixNanos;

/// What one limit says of one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Within the limit. Spent, unless another limit refused.
    Admitted,
    /// Within the limit and spent, and the first of this window to reach `warn_at_percent`.
    Warned,
    /// Over the limit. Nothing is spent.
    Refused,
    /// Other workers changed the cell again and again: not counted, so refused. Nothing is spent.
    Contended,
}

/// A standing and its figures, for headers, log and metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// What the limit says.
    pub standing: Standing,
    /// The table was full, and this was counted on what newcomers share.
    pub overflow: bool,
    /// Requests counted in the window, this one included if it was spent. With leases, other workers' unspent units
    /// count as used, and what they spent since this worker's lease is not seen yet.
    pub used: u32,
    /// Requests that the limit admits from now on without any waiting; 0 on a refusal.
    pub remaining: u32,
    /// Whole seconds until more can be spent than now, if nobody spends meanwhile: the oldest request leaves the
    /// window. On a refusal the same as `retry_after_seconds`. 0 if nothing is spent.
    pub reset_seconds: u32,
    /// Whole seconds, at least 1, after which the caller is admitted if nobody else spends of this key. 0 where the
    /// limit admits.
    pub retry_after_seconds: u32,
}

impl Outcome {
    /// The figures of `window`, which stands at `now`.
    pub(super) fn of(
        window: &Window,
        standing: Standing,
        overflow: bool,
        quota: &Quota,
        now: UnixNanos,
    ) -> Self {
        let refused = standing == Standing::Refused;
        let retry_after_seconds = match window.free_at(quota) {
            Some(moment) if refused => seconds_until(moment, now).max(1),
            Some(_) | None => 0,
        };
        let reset_seconds = match window.free_at(quota).or_else(|| window.oldest_leaves_at()) {
            Some(moment) => seconds_until(moment, now).max(1),
            None => 0,
        };
        Self {
            standing,
            overflow,
            used: figure(window.used()),
            remaining: figure(window.remaining(quota)),
            reset_seconds,
            retry_after_seconds,
        }
    }

    /// The limit lets the request pass.
    pub fn admits(&self) -> bool {
        match self.standing {
            Standing::Admitted | Standing::Warned => true,
            Standing::Refused | Standing::Contended => false,
        }
    }

    /// The refusal of a request that could not be counted.
    pub(super) fn contended(self) -> Self {
        Self {
            standing: Standing::Contended,
            remaining: 0,
            reset_seconds: self.reset_seconds.max(1),
            retry_after_seconds: self.retry_after_seconds.max(1),
            ..self
        }
    }

    /// The same without the unit that was spent.
    pub(super) fn unspent(self) -> Self {
        Self {
            standing: Standing::Admitted,
            used: self.used.saturating_sub(1),
            remaining: self.remaining.saturating_add(1),
            ..self
        }
    }
}

/// Whole seconds from `now` to `moment`, rounded up.
pub(crate) fn seconds_until(moment: UnixNanos, now: UnixNanos) -> u32 {
    let seconds = moment.nanos().saturating_sub(now.nanos()).div_ceil(1_000_000_000);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

fn figure(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
