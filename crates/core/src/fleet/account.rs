//! What does a link know of one caller's limit, and what does it have in hand?
//!
//! Units are granted by the store before they are spent, for its present bucket alone, and the link counts from the moment when
//! it asked, so that its lease ends before that bucket does, whatever the clocks say. What is unspent then goes back. What is
//! spent while the store is not reached is a debt, and is reported when it is reached again: under a number, by which
//! the store knows a report that it has had already.

use std::num::NonZeroU32;

use super::names::Names;
use super::resp::Commands;
use super::script::LIMIT;
use super::units::{Asking, Demand, Unit, Units};
use crate::limit::{Outcome, Standing, seconds_until};
use crate::time::UnixNanos;

/// One caller's limit at one link.
#[derive(Debug)]
pub(super) struct Account {
    pub(super) demand: Demand,
    key: String,
    /// What is in hand, until when.
    lease: Units,
    lease_ends: UnixNanos,
    /// How many units there were in hand after the latest grant.
    granted: u32,
    /// Units spent in the lease's bucket, and in the one before it.
    spent: [u32; 2],
    /// What the store has said last: the units left, when one more is free, when the oldest leaves.
    left: u32,
    free_at: UnixNanos,
    oldest_at: UnixNanos,
    /// The store has none until then.
    pub(super) refused_until: UnixNanos,
    /// The store does not answer for this caller until then.
    pub(super) shut_until: UnixNanos,
    /// Units that go back.
    back: Units,
    /// Units spent without asking that are not reported yet.
    debt: u32,
    /// The units of the report that is on its way, and its number.
    reporting: u32,
    report: u64,
    pub(super) asking: Asking,
    /// Whether units are wanted, and how many requests wait for them.
    wants: bool,
    /// The units that the call in flight asks for.
    asked: u32,
    pub(super) waiting: u32,
    /// How many asks have been answered; wraps.
    pub(super) answered: u32,
    pub(super) touched: UnixNanos,
}

/// A sixteenth of a second, microseconds: a bucket of a window of one second.
const BUCKET_MICROS: u64 = 62_500;

impl Account {
    pub(super) fn new(demand: Demand, names: &Names, now: UnixNanos) -> Self {
        let epoch = UnixNanos::default();
        Self {
            demand,
            key: names.window(&demand.identity.to_bytes()),
            lease: Units::default(),
            lease_ends: epoch,
            granted: 0,
            spent: [0; 2],
            left: demand.units.get(),
            free_at: epoch,
            oldest_at: epoch,
            refused_until: epoch,
            shut_until: epoch,
            back: Units::default(),
            debt: 0,
            reporting: 0,
            report: 0,
            asking: Asking::No,
            wants: false,
            asked: 0,
            waiting: 0,
            answered: 0,
            touched: now,
        }
    }

    /// Whether a unit is in hand.
    pub(super) fn has_units(&self, now: UnixNanos) -> bool {
        self.lease.units > 0 && now < self.lease_ends
    }

    /// Takes the demand as it stands now. Units that were granted for another one go back.
    pub(super) fn follow(&mut self, demand: Demand, now: UnixNanos) {
        self.touched = now;
        if self.demand != demand {
            self.demand = demand;
            self.refused_until = UnixNanos::default();
            self.void();
        }
    }

    /// Takes a unit in hand, if there is one.
    pub(super) fn take(&mut self, now: UnixNanos) -> Option<Unit> {
        if !self.has_units(now) {
            return None;
        }
        self.lease.units = self.lease.units.saturating_sub(1);
        let [spent, _] = &mut self.spent;
        *spent = spent.saturating_add(1);
        let Units { epoch, bucket, .. } = self.lease;
        Some(Unit { epoch, bucket, outcome: self.outcome(self.demand.units, true, now) })
    }

    /// Puts back a unit that was taken and not spent. One of an earlier bucket leaves with its window.
    pub(super) fn put_back(&mut self, unit: Unit) {
        if (unit.epoch, unit.bucket) == (self.lease.epoch, self.lease.bucket) {
            self.lease.units = self.lease.units.saturating_add(1);
            let [spent, _] = &mut self.spent;
            *spent = spent.saturating_sub(1);
        }
    }

    /// Whether it is time to ask for more.
    pub(super) fn runs_low(&self) -> bool {
        self.granted >= 4 && self.lease.units < self.granted / 4
    }

    /// Notes a unit that was spent without asking.
    pub(super) fn owe(&mut self) {
        self.debt = self.debt.saturating_add(1);
    }

    /// Wants units with the next call. Returns whether nothing was wanted before, so that it is to be queued.
    pub(super) fn ask(&mut self) -> bool {
        self.wants = true;
        let is_new = self.asking == Asking::No;
        if is_new {
            self.asking = Asking::Queued;
        }
        is_new
    }

    /// Whether there is something to tell the store.
    pub(super) fn has_news(&self) -> bool {
        self.back.units > 0 || self.owes()
    }

    /// Whether anything would be lost with it.
    pub(super) fn holds(&self) -> bool {
        self.lease.units > 0 || self.has_news()
    }

    /// Whether something was spent that the store does not know of.
    fn owes(&self) -> bool {
        self.debt > 0 || self.reporting > 0
    }

    /// What is left of a lease that has ended goes back.
    pub(super) fn lapse(&mut self, now: UnixNanos) {
        if self.lease_ends <= now {
            self.void();
        }
    }

    /// The units in hand go back, and so does what is put back from now on.
    pub(super) fn void(&mut self) {
        self.lease_ends = UnixNanos::default();
        let lease = std::mem::take(&mut self.lease.units);
        if lease > 0 {
            // What would go back to two buckets goes back to the later one: the rest leaves with its window.
            let is_same = (self.back.epoch, self.back.bucket) == (self.lease.epoch, self.lease.bucket);
            let before = if is_same { self.back.units } else { 0 };
            self.back = Units { units: before.saturating_add(lease), ..self.lease };
        }
    }

    /// Writes the call of the script. `number`: for a report, larger than all before it. Returns what goes back, in case
    /// the store should not run it.
    pub(super) fn write(
        &mut self,
        who: &str,
        number: u64,
        fresh_epoch: u64,
        is_known: bool,
        commands: &mut Commands,
    ) -> Units {
        if self.reporting == 0 && self.debt > 0 {
            (self.reporting, self.report) = (std::mem::take(&mut self.debt), number);
        }
        let back = std::mem::take(&mut self.back);
        let [spent, before] = self.spent;
        let want = spent.max(before).saturating_mul(2).max(self.waiting).max(1);
        let want = if self.wants { want.min(self.demand.units.get()) } else { 0 };
        (self.asking, self.asked) = (Asking::Sent, want);
        commands.script(LIMIT, is_known, 1, 10);
        commands.text(self.key.as_bytes());
        commands.number(self.demand.units.get().into());
        commands.number(self.demand.window_seconds.get().into());
        commands.number(want.into());
        commands.text(who.as_bytes());
        commands.number(self.report);
        commands.number(self.reporting.into());
        commands.number(back.epoch);
        commands.number(back.bucket);
        commands.number(back.units.into());
        commands.number(fresh_epoch);
        back
    }

    /// The store has answered. `sent`: when it was asked, for `demand`. Returns the units granted; `None` if no store of ours
    /// answers so.
    pub(super) fn settle(
        &mut self,
        demand: Demand,
        reply: [u64; 7],
        sent: UnixNanos,
        now: UnixNanos,
    ) -> Option<u32> {
        let [granted, left, epoch, bucket, lasts, free, oldest] = reply;
        let number = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
        let longest = u64::from(demand.window_seconds.get()).saturating_mul(BUCKET_MICROS);
        if granted > self.asked.into() || left > demand.units.get().into() || lasts > longest {
            return None;
        }
        let after =
            |micros: u64| UnixNanos::from_nanos(sent.nanos().saturating_add(micros.saturating_mul(1000)));
        self.reporting = 0;
        self.end_ask();
        (self.left, self.free_at, self.oldest_at) = (number(left), after(free), after(oldest));
        let granted = number(granted);
        if (epoch, bucket) != (self.lease.epoch, self.lease.bucket) {
            self.void();
            let [spent, _] = self.spent;
            let follows = bucket == self.lease.bucket.saturating_add(1);
            self.spent = [0, if follows { spent } else { 0 }];
            self.lease = Units { epoch, bucket, units: 0 };
        }
        self.lease.units = self.lease.units.saturating_add(granted);
        // Two moments of asking differ by the delays alone.
        self.lease_ends = after(lasts);
        self.granted = self.lease.units;
        if demand != self.demand {
            self.void();
        }
        self.lapse(now);
        if granted == 0 && left == 0 {
            // Others may give back what they have not spent when their bucket ends.
            self.refused_until = self.free_at.min(after(lasts));
        }
        Some(granted)
    }

    /// The store has not answered for this caller, or not been reached. What was to go back is lost, and leaves with its
    /// window; a report is made again.
    pub(super) fn fail(&mut self) {
        self.end_ask();
    }

    /// The store did not run the script: all is asked again.
    pub(super) fn repeat(&mut self, back: Units) {
        self.asking = Asking::Queued;
        if self.back.units == 0 {
            self.back = back;
        }
    }

    /// The store's figures, for one who is admitted (`admits`) or refused.
    pub(super) fn outcome(&self, max_requests: NonZeroU32, admits: bool, now: UnixNanos) -> Outcome {
        let remaining = if admits { self.left.saturating_add(self.lease.units) } else { 0 };
        let reset_seconds =
            seconds_until(if remaining == 0 { self.free_at } else { self.oldest_at }, now).max(1);
        Outcome {
            standing: if admits { Standing::Admitted } else { Standing::Refused },
            overflow: false,
            used: max_requests.get().saturating_sub(remaining),
            remaining,
            reset_seconds,
            retry_after_seconds: if admits { 0 } else { reset_seconds },
        }
    }

    /// Notes that the clock went backwards: nothing that ends at a moment can be relied on.
    pub(super) fn clock_went_back(&mut self) {
        self.void();
        self.refused_until = UnixNanos::default();
        self.shut_until = UnixNanos::default();
    }

    fn end_ask(&mut self) {
        self.asking = Asking::No;
        self.wants = false;
        self.waiting = 0;
        self.answered = self.answered.wrapping_add(1);
    }
}
