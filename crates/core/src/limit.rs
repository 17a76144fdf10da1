//! Rate limits: may this request be admitted by all limits that apply to it, and what does it leave of each?
//!
//! Every limit is judged before any is spent, and a refusal spends nothing, so that a caller who is over one limit
//! does not use up another. Windows live in shared cells and are changed by compare-and-swap, with a bounded number
//! of tries; a limit that cannot be counted within them refuses ([`Standing::Contended`]).
//!
//! - `window.rs`: the sliding window of one key, pure arithmetic.
//! - `table.rs`: the fixed table of windows in shared cells, and what happens when it is full.
//! - `lease.rs`: units that a worker takes at once and spends without shared access.
//! - `attempt.rs`: one charge against the table, load, judge, swap.
//!
//! This module does not know what a limit is keyed by, nor which limits apply: a [`Charge`] names an identity and a
//! quota. The host's version numbers are 32 bits wide and common to all cells: a swap could succeed wrongly only
//! after exactly 2^32 stores between its load and itself.

use crate::cells::{CellFault, Cells};
use crate::seed::{Digest, Seed};
use crate::time::UnixNanos;

mod attempt;
mod lease;
mod table;
pub mod window;

pub use lease::Leases;
pub use table::MAX_CAPACITY;
pub use window::Quota;

use attempt::{Attempt, Receipt, Verdict};
use table::Table;

/// Who is counted: a keyed 128-bit digest of the limit's name and the parts of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity(u128);

/// Who can be counted by one limit: what all their digests begin with, and what newcomers share.
#[derive(Debug, Clone)]
pub struct Identities {
    start: Digest,
    overflow: Identity,
}

/// One limit as it applies to one request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charge {
    /// Who is counted, from [`Identities::of_key`].
    pub identity: Identity,
    /// What newcomers of this limit share where the table is full, from [`Identities::overflow`].
    pub overflow: Identity,
    /// How much may be spent.
    pub quota: Quota,
    /// False in report mode: a refusal is reported and blocks nothing.
    pub enforced: bool,
}

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

/// The limits of one process.
#[derive(Debug, Clone, Copy)]
pub struct Limiter {
    seed: Seed,
    table: Table,
}

impl Identity {
    /// The identity with this digest, for tests and benchmarks; others take [`Limiter::identity`].
    pub const fn from_digest(digest: u128) -> Self {
        Self(digest)
    }

    const fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// Chooses the slot.
    fn high(self) -> u64 {
        u64::try_from(self.0 >> 64).unwrap_or(u64::MAX)
    }

    /// Chooses the place of a lease.
    fn low(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.to_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl Identities {
    /// Who the key is whose parts `add` adds to a digest.
    pub fn of_key(&self, add: impl FnOnce(&mut Digest)) -> Identity {
        let mut digest = self.start.clone();
        add(&mut digest);
        Identity(digest.finish())
    }

    /// What newcomers of the limit share where the table is full.
    pub fn overflow(&self) -> Identity {
        self.overflow
    }
}

impl Outcome {
    /// The limit lets the request pass.
    pub fn admits(&self) -> bool {
        match self.standing {
            Standing::Admitted | Standing::Warned => true,
            Standing::Refused | Standing::Contended => false,
        }
    }
}

impl Limiter {
    /// The process's limits, counted for `capacity` identities exactly (1 to [`MAX_CAPACITY`]). The first capacity
    /// that is opened in a process stays until it restarts.
    pub fn open(cells: &impl Cells, seed: Seed, capacity: u32) -> Result<Self, CellFault> {
        Ok(Self { seed, table: Table::open(cells, capacity)? })
    }

    /// The identities of the limit called `limit`: to be made once for each limit.
    pub fn identities(&self, limit: &str) -> Identities {
        let mut start = self.seed.begin("limit");
        start.add(limit.as_bytes());
        Identities { start, overflow: Identity(self.seed.digest("limit overflow", [limit.as_bytes()])) }
    }

    /// Who `key` is to the limit called `limit`.
    pub fn identity<'a>(&self, limit: &'a str, key: impl IntoIterator<Item = &'a [u8]>) -> Identity {
        let mut digest = self.identities(limit).start;
        key.into_iter().for_each(|part| digest.add(part));
        Identity(digest.finish())
    }

    /// What newcomers of the limit called `limit` share.
    pub fn overflow(&self, limit: &str) -> Identity {
        self.identities(limit).overflow
    }

    /// Judges all `charges`, and spends one unit of each that admits if every enforced one does. Otherwise nothing is
    /// spent, and the answer is false. A charge in report mode that refuses spends nothing and blocks nothing.
    ///
    /// `outcomes` is emptied, then holds one outcome for each charge, in order; it means nothing after an error.
    /// Should the cells fault or stay contended while a unit is given back, it stays spent.
    pub fn admit(
        &self,
        cells: &impl Cells,
        leases: &mut Leases,
        charges: &[Charge],
        outcomes: &mut Vec<Outcome>,
        now: UnixNanos,
    ) -> Result<bool, CellFault> {
        outcomes.clear();
        leases.observe(now);
        match charges {
            [] => Ok(true),
            [charge] => {
                let outcome = self.admit_one(cells, leases, charge, now)?;
                outcomes.push(outcome);
                Ok(outcome.admits() || !charge.enforced)
            }
            several => {
                let mut receipts = Vec::with_capacity(several.len());
                let result = self.admit_several(cells, leases, several, outcomes, &mut receipts, now);
                if result != Ok(true) {
                    for (receipt, outcome) in receipts {
                        receipt.undo(self.table, cells, leases);
                        if let Some(place) = outcomes.get_mut(receipt.charge) {
                            *place = outcome;
                        }
                    }
                }
                result
            }
        }
    }

    /// Judges without spending.
    pub fn peek(&self, cells: &impl Cells, charge: &Charge, now: UnixNanos) -> Result<Outcome, CellFault> {
        let attempt = Attempt::load(self.table, cells, &Leases::none(), charge, now)?;
        if !attempt.admits() {
            attempt.keep_numbering(cells)?;
        }
        Ok(attempt.outcome(now))
    }

    /// Spends one unit if there is one left: for counting what has happened already, such as a failed
    /// authentication. The count stops at the limit, so that going on to fail does not put off the end.
    pub fn record(&self, cells: &impl Cells, charge: &Charge, now: UnixNanos) -> Result<Outcome, CellFault> {
        self.admit_one(cells, &mut Leases::none(), charge, now)
    }

    /// Spends one unit of a charge that is judged by itself, if it admits.
    pub fn admit_one(
        &self,
        cells: &impl Cells,
        leases: &mut Leases,
        charge: &Charge,
        now: UnixNanos,
    ) -> Result<Outcome, CellFault> {
        leases.observe(now);
        if let Some((_, outcome)) = leases.spend(charge, now) {
            return Ok(outcome);
        }
        let first = Attempt::load(self.table, cells, leases, charge, now)?;
        Ok(match first.settle(self.table, cells, leases, charge, now)? {
            Verdict::Spent(_, outcome) | Verdict::NotSpent(outcome) => outcome,
        })
    }

    /// Each receipt comes with the outcome that stands once it is undone.
    fn admit_several(
        &self,
        cells: &impl Cells,
        leases: &mut Leases,
        charges: &[Charge],
        outcomes: &mut Vec<Outcome>,
        receipts: &mut Vec<(Receipt, Outcome)>,
        now: UnixNanos,
    ) -> Result<bool, CellFault> {
        let mut attempts = Vec::with_capacity(charges.len());
        let mut refused = false;
        for (index, charge) in charges.iter().enumerate() {
            if let Some((stamp, outcome)) = leases.spend(charge, now) {
                receipts.push((Receipt::leased(index, charge, stamp), outcome.unspent()));
                outcomes.push(outcome);
                continue;
            }
            let attempt = Attempt::load(self.table, cells, leases, charge, now)?;
            outcomes.push(attempt.outcome(now));
            if attempt.admits() {
                attempts.push((index, charge, attempt));
            } else {
                attempt.keep_numbering(cells)?;
                refused |= charge.enforced;
            }
        }
        if refused {
            return Ok(false);
        }
        for (index, charge, attempt) in attempts {
            let outcome = match attempt.settle(self.table, cells, leases, charge, now)? {
                Verdict::Spent(spent, outcome) => {
                    receipts.push((Receipt::shared(index, charge, spent), outcome.unspent()));
                    outcome
                }
                Verdict::NotSpent(outcome) => outcome,
            };
            if let Some(place) = outcomes.get_mut(index) {
                *place = outcome;
            }
            if charge.enforced && !outcome.admits() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Outcome {
    /// The same without the unit that was spent.
    fn unspent(self) -> Self {
        Self {
            standing: Standing::Admitted,
            used: self.used.saturating_sub(1),
            remaining: self.remaining.saturating_add(1),
            ..self
        }
    }
}

/// Whole seconds from `now` to `moment`, rounded up.
fn seconds_until(moment: UnixNanos, now: UnixNanos) -> u32 {
    let seconds = moment.nanos().saturating_sub(now.nanos()).div_ceil(1_000_000_000);
    u32::try_from(seconds).unwrap_or(u32::MAX)
}

/// As a figure of an [`Outcome`].
fn figure(count: u64) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
