//! Whose limits does a link know of the store?
//!
//! Each limit has a table with a fixed number of accounts, eight for each digest that could stand there, so that memory does
//! not grow with the number of callers, and no crowd of one limit takes the room of another. Who has nothing in hand makes
//! room first, and of those who was not there for the longest time. What others have in hand goes back with the next call
//! before they are forgotten. Whoever finds no room, because all eight are in a call or too many are about to leave, is judged
//! as if the store were not reached: nothing that is known of others is lost for a newcomer.

use super::Names;
use super::account::Account;
use super::units::{Asking, Demand, Unit};
use crate::limit::{Identity, Mark, Outcome};
use crate::time::UnixNanos;

/// Sets of accounts of a limit.
const SETS: u64 = 256;
/// Accounts of a set.
const WAYS: usize = 8;
/// Accounts of a limit that are about to leave.
const LEAVING: usize = 64;
/// Between two looks through all accounts, nanoseconds: a tick may come each millisecond, and a call each ten.
const SWEEP_NANOS: u64 = 10_000_000;

/// What a limit of the fleet says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A unit was in hand, and is taken.
    Taken(Unit),
    /// The store has none at present.
    Refused(Outcome),
    /// The store has to be asked.
    Ask,
    /// The store cannot be asked, or not for this caller.
    Unreachable,
}

/// The accounts of one link.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    /// One for each limit that was asked for.
    tables: Vec<Table>,
    /// When they are looked through next.
    sweep_at: UnixNanos,
}

/// The accounts of one limit.
#[derive(Debug)]
struct Table {
    mark: Mark,
    // INVARIANT: SETS long, each at most WAYS long.
    sets: Vec<Vec<Account>>,
    /// Those that have made room and have something for the store, or had. Nobody is here and in a set.
    // INVARIANT: at most LEAVING long.
    leaving: Vec<Account>,
    /// Who is queued, in the order of asking; may name one twice, or one that is gone.
    queue: Vec<Identity>,
}

impl Accounts {
    /// Takes a unit for one more request, or says what the limit says of it. `is_reached`: whether the store can be asked.
    pub(super) fn take(
        &mut self,
        demand: Demand,
        names: &Names,
        is_reached: bool,
        now: UnixNanos,
    ) -> Standing {
        let Some(table) = self.open(demand.identity.mark()) else { return Standing::Unreachable };
        let Some(account) = table.open(demand, names, now) else { return Standing::Unreachable };
        if let Some(unit) = account.take(now) {
            if account.runs_low() && account.ask() {
                table.queue.push(demand.identity);
            }
            Standing::Taken(unit)
        } else if !is_reached || now < account.shut_until {
            Standing::Unreachable
        } else if now < account.refused_until {
            Standing::Refused(account.outcome(demand.units, false, now))
        } else {
            Standing::Ask
        }
    }

    /// Puts back a unit that was taken and not spent.
    pub(super) fn put_back(&mut self, identity: Identity, unit: Unit) {
        if let Some(account) = self.find(identity) {
            account.put_back(unit);
        }
    }

    /// Notes a unit that was spent while the store was not reached.
    pub(super) fn owe(&mut self, identity: Identity) {
        if let Some(account) = self.find(identity) {
            account.owe();
        }
    }

    /// Has a request wait for units. Returns how many asks have been answered so far.
    pub(super) fn wait(&mut self, identity: Identity) -> u32 {
        let Some(account) = self.find(identity) else { return 0 };
        account.waiting = account.waiting.saturating_add(1);
        let answered = account.answered;
        if account.ask() {
            self.requeue(identity);
        }
        answered
    }

    /// The figures of one who gets no units.
    pub(super) fn refusal(&mut self, demand: Demand, now: UnixNanos) -> Outcome {
        let none = Outcome {
            standing: crate::limit::Standing::Refused,
            overflow: false,
            used: demand.units.get(),
            remaining: 0,
            reset_seconds: 1,
            retry_after_seconds: 1,
        };
        self.find(demand.identity).map_or(none, |account| account.outcome(demand.units, false, now))
    }

    /// Whether an ask was answered since `answered` of them had been.
    pub(super) fn is_answered(&mut self, identity: Identity, answered: u32) -> bool {
        self.find(identity).is_none_or(|account| account.answered != answered)
    }

    /// Looks at what has ended, and queues what the store has to be told.
    pub(super) fn sweep(&mut self, now: UnixNanos) {
        if now < self.sweep_at {
            return;
        }
        self.sweep_at = UnixNanos::from_nanos(now.nanos().saturating_add(SWEEP_NANOS));
        self.each(&mut |account, queue| {
            account.lapse(now);
            if account.has_news() && account.asking == Asking::No {
                account.asking = Asking::Queued;
                queue.push(account.demand.identity);
            }
        });
    }

    /// Whether anything is queued.
    pub(super) fn has_queue(&self) -> bool {
        self.tables.iter().any(|table| !table.queue.is_empty())
    }

    /// Hands over at most `most` of those that are queued. Each limit has an equal part of them first, so that whoever asks for
    /// one does not wait for a crowd that asks for another.
    pub(super) fn take_queued(&mut self, most: usize, mut take: impl FnMut(&mut Account)) {
        let part = most.div_ceil(self.tables.len().max(1));
        let mut left = most;
        for most in [part, most] {
            for table in &mut self.tables {
                let end = table.queue.len().min(most).min(left);
                left = left.saturating_sub(end);
                for identity in table.queue.drain(..end).collect::<Vec<_>>() {
                    let account = table.find(identity);
                    if let Some(account) = account.filter(|account| account.asking == Asking::Queued) {
                        take(account);
                    }
                }
            }
        }
    }

    /// The account of one who was asked for.
    pub(super) fn sent(&mut self, identity: Identity) -> Option<&mut Account> {
        self.find(identity).filter(|account| account.asking == Asking::Sent)
    }

    /// Queues an account whose call is to be made, or made again.
    pub(super) fn requeue(&mut self, identity: Identity) {
        if let Some(table) = self.table(identity) {
            table.queue.push(identity);
        }
    }

    /// Notes that the store is not reached: nobody waits for it any more.
    pub(super) fn fail(&mut self) {
        self.each(&mut |account, queue| {
            queue.clear();
            if account.asking != Asking::No {
                account.fail();
            }
        });
    }

    /// Notes that the clock went backwards.
    pub(super) fn clock_went_back(&mut self) {
        self.sweep_at = UnixNanos::default();
        self.each(&mut |account, _| account.clock_went_back());
    }

    /// Changes each account, and the queue of its limit. Not generic in it: each copy would be 200 bytes of the module.
    #[inline(never)]
    fn each(&mut self, change: &mut dyn FnMut(&mut Account, &mut Vec<Identity>)) {
        for Table { sets, leaving, queue, .. } in &mut self.tables {
            sets.iter_mut().flatten().chain(leaving).for_each(|account| change(account, queue));
        }
    }

    /// The table of a limit, which is made if it was not asked for before. There are no more than the policy has limits.
    fn open(&mut self, mark: Mark) -> Option<&mut Table> {
        let known = self.tables.iter().position(|table| table.mark == mark);
        let index = known.unwrap_or(self.tables.len());
        if known.is_none() {
            let sets = std::iter::repeat_with(Vec::new).take(usize::try_from(SETS).unwrap_or(1)).collect();
            self.tables.push(Table { mark, sets, leaving: Vec::new(), queue: Vec::new() });
        }
        self.tables.get_mut(index)
    }

    fn find(&mut self, identity: Identity) -> Option<&mut Account> {
        self.table(identity)?.find(identity)
    }

    /// The table of the limit that counts one, if it was asked for before.
    fn table(&mut self, identity: Identity) -> Option<&mut Table> {
        self.tables.iter_mut().find(|table| table.mark == identity.mark())
    }
}

impl Table {
    fn find(&mut self, identity: Identity) -> Option<&mut Account> {
        let set = self.sets.get_mut(set(identity))?;
        set.iter_mut().chain(&mut self.leaving).find(|account| account.demand.identity == identity)
    }

    /// The account of `demand`, which is made if there is room for it.
    fn open(&mut self, demand: Demand, names: &Names, now: UnixNanos) -> Option<&mut Account> {
        let Self { sets, leaving, queue, .. } = self;
        let set = sets.get_mut(set(demand.identity))?;
        let is_it = |account: &Account| account.demand.identity == demand.identity;
        let index = match set.iter().position(is_it) {
            Some(index) => index,
            None => {
                let back = leaving.iter().position(is_it);
                if set.len() >= WAYS {
                    let index = leaver(set, leaving, back.is_some())?;
                    let mut left = set.swap_remove(index);
                    if left.holds() {
                        left.void();
                        left.asking = Asking::Queued;
                        queue.push(left.demand.identity);
                        leaving.push(left);
                    }
                }
                let back = back.map(|index| leaving.swap_remove(index));
                set.push(back.unwrap_or_else(|| Account::new(demand, names, now)));
                set.len().checked_sub(1)?
            }
        };
        let account = set.get_mut(index)?;
        account.follow(demand, now);
        Some(account)
    }
}

/// Who of a full set makes room, if anybody may. `is_swapped`: whether one of those that are about to leave comes back for it.
fn leaver(set: &[Account], leaving: &mut Vec<Account>, is_swapped: bool) -> Option<usize> {
    if leaving.len() >= LEAVING && !is_swapped {
        leaving.retain(|account| account.asking != Asking::No || account.holds());
    }
    let may_hold = leaving.len() < LEAVING || is_swapped;
    let may_leave = |account: &Account| account.asking == Asking::No && (may_hold || !account.holds());
    let idle = set.iter().enumerate().filter(|(_, account)| may_leave(account));
    idle.min_by_key(|(_, account)| (account.holds(), account.touched)).map(|(index, _)| index)
}

fn set(identity: Identity) -> usize {
    usize::try_from(identity.low() % SETS).unwrap_or(0)
}

#[cfg(test)]
mod tests;
