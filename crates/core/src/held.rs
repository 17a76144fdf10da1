//! How many bytes of request bodies does this process hold back, and is there room for more?
//!
//! Every worker has an account ([`HeldBytes`]) of what its streams hold, whatever configuration they began with; workers
//! that share memory may share one. It reserves its part of the process's bound in one shared cell (`shares.rs`), some
//! steps at a time, so that not every piece of a body costs a swap; `HeldBytes::settle` renews the part, and gives back
//! what is no longer needed. The sum of all parts stays within the bound. The part of a worker that died lapses after ten
//! seconds.
//!
//! A stream's own part is a `HeldBody`, which gives its bytes back when it is dropped, however the stream ends.

mod shares;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cells::{CellFault, CellId, Cells, Change, UpdateError, update};
use crate::denial::Denial;
use crate::fault::Fault;
use crate::time::UnixNanos;
use shares::{Share, Shares};

/// Swaps that a reservation tries before it gives up.
const MOST_TRIES: u32 = 64;
/// How often a worker renews its part and looks at the whole, nanoseconds.
const PERIOD_NANOS: u64 = 1_000_000_000;
/// A worker reserves in steps of this many bytes, or of this part of the bound where that is less: what one worker has
/// reserved and does not use, another cannot have.
const LARGEST_STEP: u64 = 262_144;
const STEPS_OF_BOUND: u64 = 256;

/// Why no more can be held back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// The process holds as much as it may.
    Full,
    /// The shared cell stayed contended.
    Contended,
}

/// What the streams of one worker hold back.
#[derive(Debug, Default)]
pub struct HeldBytes {
    account: Mutex<Account>,
}

#[derive(Debug, Default)]
struct Account {
    /// The worker's number, once it has reserved something.
    number: Option<u64>,
    held: u64,
    // INVARIANT: at least `held`, and what the worker's share in the cell says unless that has lapsed.
    reserved: u64,
    settled: Option<UnixNanos>,
}

/// What is held back of one request's body.
#[derive(Debug)]
pub(crate) struct HeldBody {
    account: Arc<HeldBytes>,
    bytes: u64,
}

impl HeldBytes {
    /// What this worker's streams hold, bytes.
    pub fn held(&self) -> u64 {
        self.account().held
    }

    fn account(&self) -> MutexGuard<'_, Account> {
        // Whoever panicked has changed numbers only, each of which is right by itself.
        self.account.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews this worker's part of the bound, and gives back what it does not need. Returns what the whole process
    /// holds, bytes; `None` if it is not yet time to look, or if the cell does not answer. Call it in each tick.
    pub(crate) fn settle(&self, bound: u64, cells: &impl Cells, now: UnixNanos) -> Option<u64> {
        let mut account = self.account();
        let Account { number, held, reserved, settled } = *account;
        let needed = in_steps(held, bound).min(reserved);
        let is_due = settled.is_none_or(|last| last.nanos().abs_diff(now.nanos()) >= PERIOD_NANOS);
        if !is_due && reserved.saturating_sub(needed) <= step(bound) {
            return None;
        }
        let settled = update(cells, CellId::HeldBytes, MOST_TRIES, |content| {
            let mut shares = Shares::read(content.as_deref(), now)?;
            let Some(number) = number.filter(|_| reserved > 0) else {
                return Ok(Change::Keep(shares.held()));
            };
            let share = Share { number, reserved: needed, held, renewed: now };
            if needed == 0 {
                shares.remove(number);
            } else if !shares.put(share) {
                return Err(CellFault);
            }
            Ok(Change::Store(shares.write(), shares.held()))
        });
        let held = settled.ok()?;
        account.reserved = needed;
        account.settled = Some(now);
        Some(held)
    }

    /// Counts `more` bytes as held, if there is room for them.
    fn take(&self, more: u64, bound: u64, cells: &impl Cells, now: UnixNanos) -> Result<(), Denial> {
        let mut account = self.account();
        let held = account.held.saturating_add(more);
        if held > bound {
            return Err(Denial::Busy(NoRoom::Full));
        }
        if held > account.reserved {
            account.reserve(held, bound, cells, now)?;
        }
        account.held = held;
        Ok(())
    }

    fn give_back(&self, bytes: u64) {
        let mut account = self.account();
        account.held = account.held.saturating_sub(bytes);
    }
}

impl Account {
    /// Makes this worker's part of the bound large enough for `held` bytes.
    fn reserve(&mut self, held: u64, bound: u64, cells: &impl Cells, now: UnixNanos) -> Result<(), Denial> {
        let reserved = update(cells, CellId::HeldBytes, MOST_TRIES, |content| {
            let mut shares = Shares::read(content.as_deref(), now)?;
            let number = self.number.unwrap_or_else(|| shares.new_number());
            let room = bound.saturating_sub(shares.reserved_beside(number));
            let reserved = in_steps(held, bound).min(room);
            if reserved < held || !shares.put(Share { number, reserved, held, renewed: now }) {
                return Ok(Change::Keep(None));
            }
            Ok(Change::Store(shares.write(), Some((number, reserved))))
        });
        let (number, reserved) = match reserved {
            Ok(Some(part)) => part,
            Ok(None) => return Err(Denial::Busy(NoRoom::Full)),
            Err(UpdateError::Contended) => return Err(Denial::Busy(NoRoom::Contended)),
            Err(UpdateError::Failed(CellFault)) => return Err(Denial::Fault(Fault::SharedData)),
        };
        self.number = Some(number);
        self.reserved = reserved;
        Ok(())
    }
}

impl HeldBody {
    /// A body of which nothing has come.
    pub(crate) fn new(account: &Arc<HeldBytes>) -> Self {
        Self { account: Arc::clone(account), bytes: 0 }
    }

    /// Notes that `bytes` of the body are held by now. Returns whether these are more than before.
    ///
    /// # Errors
    ///
    /// [`Denial::Busy`] if there is no room for them, or a fault of the shared cell. Nothing has changed then.
    pub(crate) fn grow(
        &mut self,
        bytes: u64,
        bound: u64,
        cells: &impl Cells,
        now: UnixNanos,
    ) -> Result<bool, Denial> {
        let more = bytes.saturating_sub(self.bytes);
        if more == 0 {
            return Ok(false);
        }
        self.account.take(more, bound, cells, now)?;
        self.bytes = bytes;
        Ok(true)
    }

    /// Notes that nothing of the body is held any more.
    pub(crate) fn release(&mut self) {
        self.account.give_back(std::mem::take(&mut self.bytes));
    }
}

impl Drop for HeldBody {
    fn drop(&mut self) {
        self.release();
    }
}

/// In what steps a worker reserves, bytes, at least 1.
fn step(bound: u64) -> u64 {
    (bound / STEPS_OF_BOUND).clamp(1, LARGEST_STEP)
}

/// The fewest whole steps that `bytes` fit in, bytes.
fn in_steps(bytes: u64, bound: u64) -> u64 {
    bytes.div_ceil(step(bound)).saturating_mul(step(bound))
}

#[cfg(test)]
mod tests;
