//! How is one charge counted against the table: load, judge, swap, and if need be undo?
//!
//! An attempt holds what was loaded, so that judging first and swapping later costs one load. Should the cell change
//! in between, even by an earlier charge of the same request, the swap fails and the attempt starts again from what
//! is stored then.

use crate::cells::{CellFault, Cells, Stored};
use crate::limit::lease::Lease;
use crate::limit::table::{Place, Slot, Table};
use crate::limit::window::{Spent, Stamp, Window};
use crate::limit::{Charge, Identity, Leases, Outcome, Quota, Standing, figure, seconds_until};
use crate::time::UnixNanos;

/// Swaps that are tried before a request is refused, or a unit stays spent.
const MAX_TRIES: u32 = 32;

/// One charge, judged by what is stored.
#[derive(Debug)]
pub(super) struct Attempt {
    slot: Slot,
    place: Place,
    /// With `given_back` given back.
    window: Window,
    /// This worker's unspent units.
    given_back: Option<(Stamp, u32)>,
    quota: Quota,
}

/// What became of a charge.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It admits, and one unit is spent.
    Spent((Identity, Spent), Outcome),
    /// It refuses, or stayed contended.
    NotSpent(Outcome),
}

/// Names a unit that was spent, so that it can be given back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Receipt {
    /// Position of the charge in the request.
    pub(super) charge: usize,
    identity: Identity,
    tag: Identity,
    spent: Spent,
}

impl Attempt {
    /// Loads and judges.
    pub(super) fn load(
        table: Table,
        cells: &impl Cells,
        leases: &Leases,
        charge: &Charge,
        now: UnixNanos,
    ) -> Result<Self, CellFault> {
        let mut slot = table.load(cells, charge.identity)?;
        let (place, mut window) =
            slot.find(charge.identity, charge.overflow, charge.quota.window_seconds, now)?;
        let given_back = leases.unspent(charge.identity).filter(|_| !place.overflow);
        if let Some((stamp, units)) = given_back {
            // If their bucket has left there is nothing to give back.
            let _ = window.give_back(stamp, units);
        }
        Ok(Self { slot, place, window, given_back, quota: charge.quota })
    }

    /// One more may be spent.
    pub(super) fn admits(&self) -> bool {
        self.window.remaining(&self.quota) > 0
    }

    /// The judgement, with nothing spent.
    pub(super) fn outcome(&self, now: UnixNanos) -> Outcome {
        let standing = if self.admits() { Standing::Admitted } else { Standing::Refused };
        outcome(standing, &self.window, self.place, &self.quota, now)
    }

    /// After a refusal: a window that was moved is stored, so that its wait starts now and not at the next refusal.
    /// One try is enough: who was faster has stored it, or the next request will.
    pub(super) fn keep_numbering(&self, cells: &impl Cells) -> Result<(), CellFault> {
        if self.slot.renumbered() {
            match self.slot.store(cells)? {
                Stored::Done | Stored::Conflict => {}
            }
        }
        Ok(())
    }

    /// Spends one unit, starting again whenever another worker was faster.
    pub(super) fn settle(
        mut self,
        table: Table,
        cells: &impl Cells,
        leases: &mut Leases,
        charge: &Charge,
        now: UnixNanos,
    ) -> Result<Verdict, CellFault> {
        for _ in 0..MAX_TRIES {
            if !self.admits() {
                self.keep_numbering(cells)?;
                return Ok(Verdict::NotSpent(self.outcome(now)));
            }
            if let Some((spent, outcome)) = self.swap(cells, leases, charge, now)? {
                return Ok(Verdict::Spent((self.place.tag, spent), outcome));
            }
            self = Self::load(table, cells, leases, charge, now)?;
        }
        let outcome = self.outcome(now);
        let retry_after_seconds = outcome.retry_after_seconds.max(1);
        Ok(Verdict::NotSpent(Outcome {
            standing: Standing::Contended,
            remaining: 0,
            reset_seconds: outcome.reset_seconds.max(1),
            retry_after_seconds,
            ..outcome
        }))
    }

    /// One try to spend. `None`: another worker was faster.
    fn swap(
        &mut self,
        cells: &impl Cells,
        leases: &mut Leases,
        charge: &Charge,
        now: UnixNanos,
    ) -> Result<Option<(Spent, Outcome)>, CellFault> {
        if self.given_back.is_some() && self.given_back != leases.unspent(charge.identity) {
            // An earlier charge of the same request has spent of them.
            return Ok(None);
        }
        let spent = self.window.spend(&self.quota);
        let standing = if spent.warned { Standing::Warned } else { Standing::Admitted };
        let outcome = outcome(standing, &self.window, self.place, &self.quota, now);
        // Not with a warning: should it be undone, the next request has to give it, and not a leased one.
        let may_lease = !self.place.overflow && !spent.warned && leases.has_room(charge.identity, now);
        let units = if may_lease { self.window.lease(&self.quota, now) } else { 0 };
        self.slot.put(self.place, &self.window);
        match self.slot.store(cells)? {
            Stored::Conflict => Ok(None),
            Stored::Done => {
                let lease = (units > 0).then(|| Lease {
                    identity: charge.identity,
                    quota: self.quota,
                    stamp: spent.stamp,
                    units,
                    used: outcome.used,
                    oldest_leaves_at: self.window.oldest_leaves_at().unwrap_or(now),
                    turn: leases.turn(),
                });
                leases.settle(charge.identity, lease);
                Ok(Some((spent, outcome)))
            }
        }
    }
}

impl Receipt {
    /// For a unit spent from a lease.
    pub(super) fn leased(index: usize, charge: &Charge, stamp: Stamp) -> Self {
        let spent = Spent { stamp, warned: false };
        Self { charge: index, identity: charge.identity, tag: charge.identity, spent }
    }

    /// For a unit spent in the table.
    pub(super) fn shared(index: usize, charge: &Charge, (tag, spent): (Identity, Spent)) -> Self {
        Self { charge: index, identity: charge.identity, tag, spent }
    }

    /// Gives the unit back: to a lease of the same bucket, if there is one, else to the table. Where the cells do not
    /// let it, the unit stays spent.
    pub(super) fn undo(&self, table: Table, cells: &impl Cells, leases: &mut Leases) {
        let to_lease = self.tag == self.identity && !self.spent.warned;
        if to_lease && leases.restore(self.identity, self.spent.stamp) {
            return;
        }
        for _ in 0..MAX_TRIES {
            match self.try_undo(table, cells) {
                Ok(Stored::Conflict) => {}
                Ok(Stored::Done) | Err(CellFault) => return,
            }
        }
    }

    fn try_undo(&self, table: Table, cells: &impl Cells) -> Result<Stored, CellFault> {
        let mut slot = table.load(cells, self.identity)?;
        let Some((index, mut window)) = slot.stored(self.tag)? else {
            return Ok(Stored::Done);
        };
        if !window.undo(self.spent) {
            return Ok(Stored::Done);
        }
        slot.replace(index, &window);
        slot.store(cells)
    }
}

fn outcome(standing: Standing, window: &Window, place: Place, quota: &Quota, now: UnixNanos) -> Outcome {
    let refused = standing == Standing::Refused;
    let retry_after_seconds = match window.free_at(quota) {
        Some(moment) if refused => seconds_until(moment, now).max(1),
        Some(_) | None => 0,
    };
    let reset_seconds = match window.free_at(quota).or_else(|| window.oldest_leaves_at()) {
        Some(moment) => seconds_until(moment, now).max(1),
        None => 0,
    };
    Outcome {
        standing,
        overflow: place.overflow,
        used: figure(window.used()),
        remaining: figure(window.remaining(quota)),
        reset_seconds,
        retry_after_seconds,
    }
}
