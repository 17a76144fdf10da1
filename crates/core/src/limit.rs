//! Rate limits: may this request be admitted by all limits that apply to it, and what does it leave of each?
//!
//! Every limit is judged before any is spent, and a refusal spends nothing, so that a caller who is over one limit
//! does not use up another. Windows live in shared cells and are changed by compare-and-swap, with a bounded number
//! of tries; a limit that cannot be counted within them refuses ([`Standing::Contended`]).
//!
//! - `quota.rs`: how much one key may spend.
//! - `identity.rs`: who is counted.
//! - `outcome.rs`: what a limit says, in figures.
//! - `window.rs`: the sliding window of one key, pure arithmetic.
//! - `table.rs`: which cell, or slot, an identity's window lives in.
//! - `slot.rs`: what a slot holds, and what happens when it is full.
//! - `lease.rs`: units that a worker takes at once and spends without shared access, and limits that it knows to be used up.
//! - `attempt.rs`: one charge against the table, load, judge, swap.
//!
//! This module does not know what a limit is keyed by, nor which limits apply: a [`Charge`] names an identity and a
//! quota. The host's version numbers are 32 bits wide and common to all cells: a swap could succeed wrongly only
//! after exactly 2^32 stores between its load and itself.

use smallvec::SmallVec;

use crate::cells::{CellFault, Cells, Loaded};
use crate::seed::Seed;
use crate::time::UnixNanos;

mod attempt;
mod identity;
mod lease;
mod outcome;
mod quota;
mod slot;
mod table;
pub mod window;

pub(crate) use identity::Mark;
pub use identity::{Identities, Identity};
pub use lease::Leases;
pub(crate) use outcome::seconds_until;
pub use outcome::{Outcome, Standing};
pub use quota::Quota;
pub(crate) use slot::live as live_in_slot;

use attempt::{Attempt, Receipt, Settled};
use lease::Local;
use table::Table;

/// One limit as it applies to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// Who is counted, from [`Identities::of_key`].
    pub identity: Identity,
    /// What newcomers of this limit share where the table is full, from [`Identities::overflow`]. `None`: they are not
    /// counted then, and always admitted.
    pub overflow: Option<Identity>,
    /// How much may be spent.
    pub quota: Quota,
    /// False in report mode: a refusal is reported and blocks nothing.
    pub enforced: bool,
}

/// What several limits say; most often it is one.
pub type Outcomes = SmallVec<[Outcome; 1]>;

/// The limits of one process, or its failed authentications.
#[derive(Debug, Clone, Copy)]
pub struct Limiter {
    seed: Seed,
    table: Table,
}

impl Limiter {
    /// The process's limits, counted for `capacity` identities exactly, from 1 to
    /// [`MAX_TABLE_CAPACITY`](crate::cells::MAX_TABLE_CAPACITY). The first capacity that is opened in a process stays
    /// until it restarts. `limits`: how many there are, of which each can always have an equal part of half the table.
    ///
    /// # Errors
    ///
    /// [`CellFault`] if the host does not answer, or if the capacity that the process keeps cannot be one.
    pub fn open(cells: &impl Cells, seed: Seed, capacity: u32, limits: usize) -> Result<Self, CellFault> {
        Ok(Self { seed, table: Table::of_limits(cells, capacity, limits)? })
    }

    /// The process's failed authentications, in a table of their own: a quarter of `capacity` addresses are counted
    /// exactly, but 16 at least.
    ///
    /// # Errors
    ///
    /// As [`Limiter::open`].
    pub fn open_failures(cells: &impl Cells, seed: Seed, capacity: u32) -> Result<Self, CellFault> {
        Ok(Self { seed, table: Table::of_failures(cells, capacity)? })
    }

    /// The number of identities that the table counts exactly, as the first to open it fixed it.
    pub(crate) fn capacity(&self) -> u32 {
        self.table.capacity()
    }

    /// The number of slots of the table.
    pub(crate) fn slots(&self) -> u32 {
        self.table.slots()
    }

    /// The identities of the limit called `limit`: to be made once for each limit.
    pub fn identities(&self, limit: &str) -> Identities {
        Identities::new(&self.seed, limit)
    }

    /// Who `key` is to the limit called `limit`.
    pub fn identity<'a>(&self, limit: &'a str, key: impl IntoIterator<Item = &'a [u8]>) -> Identity {
        self.identities(limit).of_key(|digest| key.into_iter().for_each(|part| digest.add(part)))
    }

    /// What newcomers of the limit called `limit` share.
    pub fn overflow(&self, limit: &str) -> Identity {
        self.identities(limit).overflow()
    }

    /// Judges without spending.
    ///
    /// # Errors
    ///
    /// [`CellFault`] if the host does not answer, or if what a cell holds cannot be counted in.
    pub fn peek(&self, cells: &impl Cells, charge: &Charge, now: UnixNanos) -> Result<Outcome, CellFault> {
        let (outcome, _) = Attempt::new(self.table, charge, now).judge(cells, &mut Leases::none())?;
        Ok(outcome)
    }

    /// Spends one unit if there is one left: for counting what has happened already, such as a failed
    /// authentication. The count stops at the limit, so that going on to fail does not put off the end.
    ///
    /// # Errors
    ///
    /// As [`Limiter::peek`].
    pub fn record(&self, cells: &impl Cells, charge: &Charge, now: UnixNanos) -> Result<Outcome, CellFault> {
        self.admit_one(cells, &mut Leases::none(), charge, now)
    }

    /// Spends one unit of a charge that is judged by itself, if it admits.
    ///
    /// # Errors
    ///
    /// As [`Limiter::peek`].
    pub fn admit_one(
        &self,
        cells: &impl Cells,
        leases: &mut Leases,
        charge: &Charge,
        now: UnixNanos,
    ) -> Result<Outcome, CellFault> {
        leases.note_time(now);
        if let Some(Local::Spent(_, outcome) | Local::Refused(outcome)) = leases.decide(charge, now) {
            return Ok(outcome);
        }
        match Attempt::new(self.table, charge, now).spend(cells, leases)? {
            Settled::Spent { outcome, .. } | Settled::NotSpent(outcome, _) => Ok(outcome),
        }
    }

    /// Judges all `charges`, and spends one unit of each that admits if every enforced one does. Otherwise nothing is
    /// spent, and the answer is false. A charge in report mode that refuses spends nothing and blocks nothing.
    ///
    /// `outcomes` is emptied, then holds one outcome for each charge, in order; it means nothing after an error.
    /// Should the cells fault or stay contended while a unit is given back, it stays spent.
    ///
    /// # Errors
    ///
    /// As [`Limiter::peek`].
    pub fn admit(
        &self,
        cells: &impl Cells,
        leases: &mut Leases,
        charges: &[Charge],
        outcomes: &mut Outcomes,
        now: UnixNanos,
    ) -> Result<bool, CellFault> {
        outcomes.clear();
        if let [charge] = charges {
            let outcome = self.admit_one(cells, leases, charge, now)?;
            outcomes.push(outcome);
            return Ok(outcome.admits() || !charge.enforced);
        }
        leases.note_time(now);
        let mut receipts = Vec::with_capacity(charges.len());
        let result = self.judge_then_spend(cells, leases, charges, outcomes, &mut receipts, now);
        if result != Ok(true) {
            for (receipt, unspent) in receipts {
                receipt.undo(self.table, cells, leases);
                if let Some(outcome) = outcomes.get_mut(receipt.charge) {
                    *outcome = unspent;
                }
            }
        }
        result
    }

    /// Each receipt comes with the outcome that stands once it is undone.
    fn judge_then_spend(
        &self,
        cells: &impl Cells,
        leases: &mut Leases,
        charges: &[Charge],
        outcomes: &mut Outcomes,
        receipts: &mut Vec<(Receipt, Outcome)>,
        now: UnixNanos,
    ) -> Result<bool, CellFault> {
        let mut judged: Vec<(usize, &Charge, Option<Loaded>)> = Vec::with_capacity(charges.len());
        let mut refused = false;
        for (index, charge) in charges.iter().enumerate() {
            let (outcome, loaded) = match leases.decide(charge, now) {
                Some(Local::Spent(stamp, outcome)) => {
                    receipts.push((Receipt::leased(index, charge, stamp), outcome.unspent()));
                    outcomes.push(outcome);
                    continue;
                }
                Some(Local::Refused(outcome)) => (outcome, None),
                None => Attempt::new(self.table, charge, now).judge(cells, leases)?,
            };
            outcomes.push(outcome);
            if outcome.admits() {
                judged.push((index, charge, loaded));
            } else {
                refused |= charge.enforced;
            }
        }
        if refused {
            return Ok(false);
        }
        for (index, charge, loaded) in judged {
            let settled = Attempt::new(self.table, charge, now).settle(cells, leases, loaded)?;
            let outcome = match settled {
                Settled::Spent { tag, spent, outcome } => {
                    receipts.push((Receipt::shared(index, charge, tag, spent), outcome.unspent()));
                    outcome
                }
                Settled::NotSpent(outcome, _) => outcome,
            };
            if let Some(stands) = outcomes.get_mut(index) {
                *stands = outcome;
            }
            if charge.enforced && !outcome.admits() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
