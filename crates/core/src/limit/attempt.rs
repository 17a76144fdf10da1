//! How is one charge counted against the table: load, judge, swap, and if need be undo?
//!
//! What is judged and what is spent is a pure function of the slot's content and of this worker's leases, so a swap
//! that lost its race is simply run again. Several limits of one request are all judged before any is spent; each is
//! then spent on top of what it was judged by, which costs no second load. Should a slot change in between, even by an
//! earlier charge of the same request, the swap fails and is run again on what is there then.

use super::lease::{Lease, UsedUp};
use super::slot::{Pointer, Share, Slot};
use super::table::Table;
use super::window::{Spent, Stamp, Window};
use super::{Charge, Identity, Leases, Outcome, Quota, Standing};
use crate::cells::{CellFault, CellId, Cells, Change, Expected, Loaded, Stored, UpdateError};
use crate::cells::{update, update_loaded};
use crate::time::UnixNanos;

/// Swaps that are tried before a request is refused, or a unit stays spent.
const MAX_TRIES: u32 = 32;

/// One charge, at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Attempt<'c> {
    charge: &'c Charge,
    slot: CellId,
    share: Share,
    now: UnixNanos,
}

/// What became of a charge.
#[derive(Debug)]
pub(super) enum Settled {
    /// It admits, and one unit is spent, of the entry with this tag.
    Spent { tag: Identity, spent: Spent, outcome: Outcome },
    /// It refuses, stayed contended, or has nowhere to be counted.
    NotSpent(Outcome, Option<UsedUp>),
}

/// A unit that was spent, so that it can be given back.
#[derive(Debug, Clone, Copy)]
pub(super) struct Receipt {
    /// Index of the charge in the request.
    pub(super) charge: usize,
    identity: Identity,
    tag: Identity,
    spent: Spent,
}

/// What a slot says of a charge.
struct Reading {
    slot: Slot,
    /// `None`: there is no entry for it, and it is not counted.
    pointer: Option<Pointer>,
    /// With this worker's unspent units given back.
    window: Window,
}

impl<'c> Attempt<'c> {
    pub(super) fn new(table: Table, charge: &'c Charge, now: UnixNanos) -> Self {
        Self { charge, slot: table.slot_of(charge.identity), share: table.share(), now }
    }

    /// Loads and judges without spending. The slot comes along, to be settled on.
    pub(super) fn judge(
        &self,
        cells: &impl Cells,
        leases: &mut Leases,
    ) -> Result<(Outcome, Option<Loaded>), CellFault> {
        let loaded = cells.load(self.slot)?;
        let unchanged = Expected::unchanged_since(loaded.as_ref());
        let version = loaded.as_ref().map(|loaded| loaded.version);
        let reading = self.read(loaded.map(|loaded| loaded.bytes), leases)?;
        let outcome = reading.outcome(self);
        let used_up = reading.used_up(&self.charge.quota);
        let renumbered = reading.slot.is_renumbered();
        let bytes = reading.slot.into_bytes();
        // The wait of a refusal has to start now, and not at the next one, so what renumbered the window is stored. One try is
        // enough: who was faster has stored it, or the next request will, for which the refusal must not be remembered.
        let is_kept = !renumbered
            || outcome.admits()
            || match cells.store(self.slot, &bytes, unchanged)? {
                Stored::Done => true,
                Stored::Conflict => false,
            };
        if is_kept {
            leases.remember(self.charge, used_up, outcome.used, self.now);
        }
        // The slot was brought to `now`, which is not undone by doing it again.
        Ok((outcome, version.map(|version| Loaded { bytes, version })))
    }

    /// Loads the slot and spends one unit if the limit admits.
    pub(super) fn spend(&self, cells: &impl Cells, leases: &mut Leases) -> Result<Settled, CellFault> {
        self.settle(cells, leases, cells.load(self.slot)?)
    }

    /// Spends one unit of what was loaded if the limit admits, starting again whenever another worker was faster.
    pub(super) fn settle(
        &self,
        cells: &impl Cells,
        leases: &mut Leases,
        loaded: Option<Loaded>,
    ) -> Result<Settled, CellFault> {
        let change = |stored| self.change(stored, leases);
        match update_loaded(cells, self.slot, loaded, MAX_TRIES, change) {
            Ok((settled, lease)) => {
                match settled {
                    Settled::Spent { .. } => leases.settle(self.charge.identity, lease),
                    Settled::NotSpent(outcome, used_up) => {
                        leases.remember(self.charge, used_up, outcome.used, self.now);
                    }
                }
                Ok(settled)
            }
            Err(UpdateError::Failed(fault)) => Err(fault),
            Err(UpdateError::Contended) => {
                let loaded = cells.load(self.slot)?;
                let reading = self.read(loaded.map(|loaded| loaded.bytes), leases)?;
                Ok(Settled::NotSpent(reading.outcome(self).contended(), None))
            }
        }
    }

    /// What spending one unit makes of a slot, with the lease that was taken.
    fn change(
        &self,
        stored: Option<Vec<u8>>,
        leases: &Leases,
    ) -> Result<Change<(Settled, Option<Lease>)>, CellFault> {
        let Charge { identity, quota, .. } = *self.charge;
        let Reading { mut slot, pointer, mut window } = self.read(stored, leases)?;
        let admits = window.remaining(&quota) > 0;
        let Some(pointer) = pointer.filter(|_| admits) else {
            let reading = Reading { slot, pointer, window };
            let not_spent = (Settled::NotSpent(reading.outcome(self), reading.used_up(&quota)), None);
            let renumbered = reading.slot.is_renumbered();
            return Ok(if renumbered {
                Change::Store(reading.slot.into_bytes(), not_spent)
            } else {
                Change::Keep(not_spent)
            });
        };
        let spent = window.spend(&quota);
        let standing = if spent.warned { Standing::Warned } else { Standing::Admitted };
        let outcome = Outcome::of(&window, standing, pointer.overflow, &quota, self.now);
        // Not with a warning: should it be undone, the next request has to give it, and not a leased one.
        let may_lease = !pointer.overflow && !spent.warned && leases.has_room(identity, self.now);
        let units = if may_lease { window.lease(&quota, self.now) } else { 0 };
        let lease = (units > 0).then(|| Lease {
            identity,
            quota,
            stamp: spent.stamp,
            units,
            used: outcome.used,
            used_up_at: None,
            more_at: window.oldest_leaves_at().unwrap_or(self.now),
            turn: leases.turn(),
        });
        slot.put(pointer, &window);
        let settled = Settled::Spent { tag: pointer.tag, spent, outcome };
        Ok(Change::Store(slot.into_bytes(), (settled, lease)))
    }

    fn read(&self, stored: Option<Vec<u8>>, leases: &Leases) -> Result<Reading, CellFault> {
        let Charge { identity, overflow, quota, .. } = *self.charge;
        let mut slot = Slot::read(stored)?;
        let (pointer, mut window) =
            slot.find(identity, overflow, self.share, quota.window_seconds, self.now)?;
        let own = pointer.is_some_and(|pointer| !pointer.overflow);
        if let Some((stamp, units)) = leases.unspent(identity).filter(|_| own) {
            // If their bucket has left there is nothing to give back.
            let _ = window.give_back(stamp, units);
        }
        Ok(Reading { slot, pointer, window })
    }
}

impl Reading {
    /// The judgement, with nothing spent.
    fn outcome(&self, attempt: &Attempt<'_>) -> Outcome {
        let quota = &attempt.charge.quota;
        let admits = self.window.remaining(quota) > 0;
        let standing = if admits { Standing::Admitted } else { Standing::Refused };
        let overflow = self.pointer.is_none_or(|pointer| pointer.overflow);
        Outcome::of(&self.window, standing, overflow, quota, attempt.now)
    }

    /// That the limit is used up, if it is one that this caller does not share.
    fn used_up(&self, quota: &Quota) -> Option<UsedUp> {
        let is_own = self.pointer.is_some_and(|pointer| !pointer.overflow);
        let until = self.window.free_at(quota).filter(|_| is_own)?;
        Some(UsedUp { stamp: self.window.stamp(), until })
    }
}

impl Receipt {
    /// For a unit spent from a lease.
    pub(super) fn leased(index: usize, charge: &Charge, stamp: Stamp) -> Self {
        let spent = Spent { stamp, warned: false };
        Self { charge: index, identity: charge.identity, tag: charge.identity, spent }
    }

    /// For a unit spent in the table, of the entry with this tag.
    pub(super) fn shared(index: usize, charge: &Charge, tag: Identity, spent: Spent) -> Self {
        Self { charge: index, identity: charge.identity, tag, spent }
    }

    /// Gives the unit back: to a lease of the same bucket, if there is one, else to the table. Where the cells do not
    /// let it, the unit stays spent.
    pub(super) fn undo(&self, table: Table, cells: &impl Cells, leases: &mut Leases) {
        let to_lease = self.tag == self.identity && !self.spent.warned;
        if to_lease && leases.restore(self.identity, self.spent.stamp) {
            return;
        }
        let slot = table.slot_of(self.identity);
        match update(cells, slot, MAX_TRIES, |stored| self.change(stored)) {
            Ok(()) | Err(UpdateError::Contended | UpdateError::Failed(CellFault)) => {}
        }
    }

    fn change(&self, stored: Option<Vec<u8>>) -> Result<Change<()>, CellFault> {
        let mut slot = Slot::read(stored)?;
        let Some((index, mut window)) = slot.stored(self.tag)? else {
            return Ok(Change::Keep(()));
        };
        if !window.undo(self.spent) {
            return Ok(Change::Keep(()));
        }
        slot.replace(index, &window);
        Ok(Change::Store(slot.into_bytes(), ()))
    }
}
