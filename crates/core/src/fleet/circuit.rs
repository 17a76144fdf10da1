//! May the store be called now?
//!
//! A link has one call in flight. After a failure nobody waits for the store: it is tried again a second later, and then
//! each second, until it answers. A connection that the host has closed keeps its port for a minute, so a link makes
//! 100 calls a second at most.

use crate::time::UnixNanos;

/// How long the store is left alone after a failure, nanoseconds.
const PAUSE_NANOS: u64 = 1_000_000_000;
/// Nanoseconds between two calls, on average.
const SPACING_NANOS: u64 = 10_000_000;
/// So many calls may follow each other at once after a rest. Whoever makes more than that has requests that come often enough
/// to begin the next call in time, which a tick alone would not.
const BURST: u64 = 100;

/// Whether the store is reached, and when it is called next.
#[derive(Debug)]
pub(super) struct Circuit {
    is_reached: bool,
    /// When the call in flight began.
    called: Option<UnixNanos>,
    /// Not before this moment, after a failure.
    retry_at: UnixNanos,
    /// When all calls made so far will be paid for, a call for each spacing.
    paid_at: UnixNanos,
}

impl Circuit {
    /// A store of which nothing is known counts as reached.
    pub(super) fn new() -> Self {
        let epoch = UnixNanos::from_nanos(0);
        Self { is_reached: true, called: None, retry_at: epoch, paid_at: epoch }
    }

    /// Whether the last call succeeded.
    pub(super) fn is_reached(&self) -> bool {
        self.is_reached
    }

    /// Whether a call may begin.
    pub(super) fn may_call(&self, now: UnixNanos) -> bool {
        let is_spaced =
            self.paid_at.nanos() <= now.nanos().saturating_add(BURST.saturating_mul(SPACING_NANOS));
        self.called.is_none() && (self.is_reached || self.retry_at <= now) && is_spaced
    }

    /// Notes that a call begins.
    pub(super) fn begin(&mut self, now: UnixNanos) {
        self.called = Some(now);
        let paid = self.paid_at.max(now).nanos().saturating_add(SPACING_NANOS);
        self.paid_at = UnixNanos::from_nanos(paid);
    }

    /// Notes that the call has ended. When it began, and whether that changes anything; `None` if there was none.
    pub(super) fn end(&mut self, is_ok: bool, now: UnixNanos) -> Option<(UnixNanos, bool)> {
        let called = self.called.take()?;
        let is_news = self.is_reached != is_ok;
        self.is_reached = is_ok;
        if !is_ok {
            self.retry_at = UnixNanos::from_nanos(now.nanos().saturating_add(PAUSE_NANOS));
        }
        Some((called, is_news))
    }

    /// Notes that the clock went backwards: what was to come at a moment comes now.
    pub(super) fn clock_went_back(&mut self, now: UnixNanos) {
        self.retry_at = self.retry_at.min(now);
        self.paid_at = self.paid_at.min(now);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(milliseconds: u64) -> UnixNanos {
        UnixNanos::from_nanos(milliseconds.saturating_mul(1_000_000))
    }

    #[test]
    fn after_a_failure_the_store_is_left_alone_for_a_second_at_a_time() {
        let mut circuit = Circuit::new();
        assert!(circuit.is_reached());
        circuit.begin(at(0));
        assert!(!circuit.may_call(at(5)), "one call at a time");
        assert_eq!(circuit.end(false, at(50)), Some((at(0), true)));
        assert!(!circuit.is_reached() && !circuit.may_call(at(1049)) && circuit.may_call(at(1050)));
        circuit.begin(at(1050));
        assert_eq!(circuit.end(false, at(1100)), Some((at(1050), false)));
        assert!(!circuit.may_call(at(2099)) && circuit.may_call(at(2100)));
        circuit.begin(at(2100));
        assert_eq!(circuit.end(true, at(2101)), Some((at(2100), true)));
        assert!(circuit.is_reached() && circuit.may_call(at(2101)));
        assert_eq!(circuit.end(true, at(2101)), None, "an answer to no call");
    }

    #[test]
    fn no_more_than_a_hundred_calls_begin_in_a_second_but_for_a_burst() {
        let mut circuit = Circuit::new();
        let mut begun = 0;
        for milliseconds in 10_000..20_000 {
            if circuit.may_call(at(milliseconds)) {
                circuit.begin(at(milliseconds));
                circuit.end(true, at(milliseconds));
                begun += 1;
            }
        }
        assert!((1000..=1101).contains(&begun), "{begun}");
    }

    #[test]
    fn a_clock_that_went_back_does_not_put_the_next_call_off() {
        let mut circuit = Circuit::new();
        circuit.begin(at(1_000_000));
        circuit.end(false, at(1_000_000));
        circuit.clock_went_back(at(10));
        assert!(circuit.may_call(at(10)));
    }
}
