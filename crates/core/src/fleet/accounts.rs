//! Whose limits does a link know of the store?
//!
//! A fixed number of accounts, four for each digest that could stand there, so that memory does not grow with the number of callers.
//! Who was not there for the longest time makes room. Whoever finds none, because all four are in a call, asks later.

use super::Names;
use super::account::Account;
use super::units::{Asking, Demand, Unit};
use crate::limit::{Identity, Outcome};
use crate::time::UnixNanos;

/// Sets of accounts.
const SETS: u64 = 512;
/// Accounts of a set.
const WAYS: usize = 4;

/// What a limit of the fleet says of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// A unit was in hand, and is taken.
    Taken(Unit),
    /// The store has none at present.
    Refused(Outcome),
    /// The store has to be asked.
    Ask,
    /// The store cannot be asked.
    Unreachable,
}

/// The accounts of one link.
#[derive(Debug, Default)]
pub(super) struct Accounts {
    // INVARIANT: empty, or SETS long, each at most WAYS long.
    sets: Vec<Vec<Account>>,
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
        let Self { sets, queue } = self;
        let Some(account) = open(sets, demand, names, now) else { return Standing::Ask };
        if let Some(unit) = account.take(now) {
            if account.asking == Asking::No && account.runs_low() {
                account.ask();
                queue.push(demand.identity);
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
        if let Some(account) = find(&mut self.sets, identity) {
            account.put_back(unit);
        }
    }

    /// Notes a unit that was spent while the store was not reached.
    pub(super) fn owe(&mut self, identity: Identity) {
        if let Some(account) = find(&mut self.sets, identity) {
            account.owe();
        }
    }

    /// Has a request wait for units. Returns how many asks have been answered so far.
    pub(super) fn wait(&mut self, identity: Identity) -> u32 {
        let Self { sets, queue } = self;
        let Some(account) = find(sets, identity) else { return 0 };
        account.waiting = account.waiting.saturating_add(1);
        let is_new = account.asking == Asking::No;
        account.ask();
        if is_new {
            queue.push(identity);
        }
        account.answered
    }

    /// The figures of one who gets no units.
    pub(super) fn refusal(&self, demand: Demand, now: UnixNanos) -> Outcome {
        let none = Outcome {
            standing: crate::limit::Standing::Refused,
            overflow: false,
            used: demand.units.get(),
            remaining: 0,
            reset_seconds: 1,
            retry_after_seconds: 1,
        };
        let set = self.sets.get(set(demand.identity));
        let account = set.and_then(|set| set.iter().find(|it| it.demand.identity == demand.identity));
        account.map_or(none, |account| account.outcome(demand.units, false, now))
    }

    /// Whether an ask was answered since `answered` of them had been.
    pub(super) fn is_answered(&self, identity: Identity, answered: u32) -> bool {
        let account =
            self.sets.get(set(identity)).and_then(|set| set.iter().find(|it| it.demand.identity == identity));
        account.is_none_or(|account| account.answered != answered)
    }

    /// Looks at what has ended, and queues what the store has to be told.
    pub(super) fn sweep(&mut self, now: UnixNanos) {
        let Self { sets, queue } = self;
        for account in sets.iter_mut().flatten() {
            account.lapse(now);
            if account.has_news() && account.asking == Asking::No {
                account.asking = Asking::Queued;
                queue.push(account.demand.identity);
            }
        }
    }

    /// Whether anything is queued.
    pub(super) fn has_queue(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Hands over at most `most` of those that are queued: those who owe first.
    pub(super) fn take_queued(&mut self, most: usize, mut take: impl FnMut(&mut Account)) {
        let Self { sets, queue } = self;
        let end = queue.len().min(most);
        for identity in queue.drain(..end) {
            if let Some(account) = find(sets, identity).filter(|account| account.asking == Asking::Queued) {
                take(account);
            }
        }
    }

    /// The account of one who was asked for.
    pub(super) fn sent(&mut self, identity: Identity) -> Option<&mut Account> {
        find(&mut self.sets, identity).filter(|account| account.asking == Asking::Sent)
    }

    /// Queues an account whose call is to be made again.
    pub(super) fn requeue(&mut self, identity: Identity) {
        self.queue.push(identity);
    }

    /// Notes that the store is not reached: nobody waits for it any more.
    pub(super) fn fail(&mut self) {
        self.queue.clear();
        for account in self.sets.iter_mut().flatten().filter(|account| account.asking != Asking::No) {
            account.fail();
        }
    }

    /// Notes that the clock went backwards.
    pub(super) fn clock_went_back(&mut self) {
        self.sets.iter_mut().flatten().for_each(Account::clock_went_back);
    }
}

/// The account of `demand`, which is made if there is room for it.
fn open<'s>(
    sets: &'s mut Vec<Vec<Account>>,
    demand: Demand,
    names: &Names,
    now: UnixNanos,
) -> Option<&'s mut Account> {
    if sets.is_empty() {
        sets.resize_with(usize::try_from(SETS).unwrap_or(1), Vec::new);
    }
    let set = sets.get_mut(set(demand.identity))?;
    let index = match set.iter().position(|account| account.demand.identity == demand.identity) {
        Some(index) => index,
        None if set.len() < WAYS => {
            set.push(Account::new(demand, names, now));
            set.len().checked_sub(1)?
        }
        None => {
            let idle = set.iter().enumerate().filter(|(_, account)| account.asking == Asking::No);
            let (index, _) = idle.min_by_key(|(_, account)| (account.owes(), account.touched))?;
            *set.get_mut(index)? = Account::new(demand, names, now);
            index
        }
    };
    let account = set.get_mut(index)?;
    account.follow(demand, now);
    Some(account)
}

fn find(sets: &mut [Vec<Account>], identity: Identity) -> Option<&mut Account> {
    sets.get_mut(set(identity))?.iter_mut().find(|account| account.demand.identity == identity)
}

fn set(identity: Identity) -> usize {
    usize::try_from(identity.low() % SETS).unwrap_or(0)
}
