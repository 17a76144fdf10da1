//! How does a busy caller of a large limit cost less than one shared swap for each request?
//!
//! A worker takes some units of the current bucket at once and spends them locally while `now` is in that very bucket
//! and the quota is the same. They were counted as spent in that bucket and are spent in no other, so both promises
//! of the window hold. What is not spent is given back to its bucket at the worker's next shared access for the same
//! identity. A lease takes at most 31 units and 1/128 of what remains, and:
//!
//! - no more than the bucket had already counted before, so that a slow caller is counted one by one, and no limit
//!   loses much to units that lie unspent with several workers;
//! - it never reaches the warning threshold: the request that does is counted by itself;
//! - it never displaces another lease that is still being spent: otherwise callers whose identities share an index
//!   here would eat up each other's limits.
//!
//! A limit that was found used up stays so for the rest of the bucket, since no unit leaves its window before. So a
//! worker remembers that, too, and refuses without a shared access: callers who go on regardless keep no other worker
//! waiting. It asks again after a second, because others may give units back, and a configuration with another window,
//! whose connections drain, may have renumbered what was counted.
//!
//! A worker that sees the time step back spends no older lease, and believes no older refusal. One case is left: a
//! worker that handles no request at all while the clock leaves a bucket and comes back to it may then spend the rest
//! of a lease that others no longer count, 31 units at most.

use super::outcome::seconds_until;
use super::window::Stamp;
use super::{Charge, Identity, Outcome, Quota, Standing};
use crate::time::UnixNanos;

/// How long a worker believes that a limit is used up, nanoseconds.
const BELIEVED_NANOS: u64 = 1_000_000_000;

/// Leases that a worker holds at a time, at most.
const MAX_LEASES: u16 = 1024;

/// The leases of one worker.
#[derive(Debug, Clone)]
pub struct Leases {
    // INVARIANT: empty, or MAX_LEASES long; `index` says where an identity's lease is held.
    held: Vec<Option<Lease>>,
    latest: UnixNanos,
    /// Incremented whenever the clock goes backwards.
    turn: u32,
}

/// Units that are counted already and may be spent in one bucket; or that there are none in it.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) identity: Identity,
    pub(super) quota: Quota,
    pub(super) stamp: Stamp,
    /// The units that are not spent yet.
    pub(super) units: u32,
    /// Requests counted in the window, as far as this worker knows.
    pub(super) used: u32,
    /// When the limit was found used up; there are no units then.
    pub(super) used_up_at: Option<UnixNanos>,
    /// When a unit can be spent again that cannot be spent now.
    pub(super) more_at: UnixNanos,
    /// The turn in which the lease was taken; it is good in no other.
    pub(super) turn: u32,
}

/// A limit in whose window nothing is left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UsedUp {
    /// The bucket in which it was found so.
    pub(super) stamp: Stamp,
    /// When a unit can be spent again, if nobody else spends.
    pub(super) until: UnixNanos,
}

/// What a worker decides by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Local {
    /// One leased unit is spent, which was counted at this stamp.
    Spent(Stamp, Outcome),
    /// The limit is used up.
    Refused(Outcome),
}

impl Leases {
    /// No lease yet, and room for as many as a worker may hold (less than 100 KiB).
    pub fn new() -> Self {
        Self { held: vec![None; usize::from(MAX_LEASES)], latest: UnixNanos::default(), turn: 0 }
    }

    /// Never holds a lease: every request is counted by itself.
    pub fn none() -> Self {
        Self { held: Vec::new(), latest: UnixNanos::default(), turn: 0 }
    }

    /// Notes the time of a request. After a step back no lease is spent that was taken before it.
    pub(super) fn note_time(&mut self, now: UnixNanos) {
        if now < self.latest {
            self.turn = self.turn.wrapping_add(1);
        }
        self.latest = now;
    }

    /// The turn for leases that are taken now.
    pub(super) fn turn(&self) -> u32 {
        self.turn
    }

    /// Spends one leased unit, or refuses if the limit is known to be used up. `None` if the table has to be asked.
    pub(super) fn decide(&mut self, charge: &Charge, now: UnixNanos) -> Option<Local> {
        let turn = self.turn;
        let lease = self.of_mut(charge.identity)?;
        if lease.quota != charge.quota || lease.turn != turn || !lease.is_current(now) {
            return None;
        }
        let Some(left) = lease.units.checked_sub(1) else {
            let found_at = lease.used_up_at?;
            let age = now.nanos().checked_sub(found_at.nanos());
            let is_recent = age.is_some_and(|age| age < BELIEVED_NANOS);
            return is_recent.then(|| Local::Refused(lease.outcome(Standing::Refused, now)));
        };
        lease.units = left;
        lease.used = lease.used.saturating_add(1);
        Some(Local::Spent(lease.stamp, lease.outcome(Standing::Admitted, now)))
    }

    /// Takes one spent unit back, to be spent in the same bucket. False if the lease is gone.
    pub(super) fn restore(&mut self, identity: Identity, stamp: Stamp) -> bool {
        match self.of_mut(identity) {
            Some(lease) if lease.stamp == stamp => {
                lease.units = lease.units.saturating_add(1);
                lease.used = lease.used.saturating_sub(1);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Where units of this identity lie unspent, and how many.
    pub(super) fn unspent(&self, identity: Identity) -> Option<(Stamp, u32)> {
        let lease = self.held.get(index(identity))?.as_ref()?;
        (lease.identity == identity && lease.units > 0).then_some((lease.stamp, lease.units))
    }

    /// Whether a lease of this identity would displace none that is still being spent.
    pub(super) fn has_room(&self, identity: Identity, now: UnixNanos) -> bool {
        self.held.get(index(identity)).is_some_and(|held| match held {
            Some(held) => held.identity == identity || held.units == 0 || !held.is_current(now),
            None => true,
        })
    }

    /// After a shared access that spent: what lay unspent was given back or is void, and `lease` was taken, if any.
    pub(super) fn settle(&mut self, identity: Identity, lease: Option<Lease>) {
        if let Some(held) = self.held.get_mut(index(identity)) {
            let own = held.as_ref().is_some_and(|held| held.identity == identity);
            if own || lease.is_some() {
                *held = lease;
            }
        }
    }

    /// After a shared access that refused: notes that the limit is used up, and by how many requests, unless that would
    /// displace units, whoever's they are and of whatever bucket: they are still to be given back.
    pub(super) fn remember(&mut self, charge: &Charge, used_up: Option<UsedUp>, used: u32, now: UnixNanos) {
        let Charge { identity, quota, .. } = *charge;
        if let Some(UsedUp { stamp, until: more_at }) = used_up
            && let Some(held) = self.held.get_mut(index(identity))
            && held.as_ref().is_none_or(|held| held.units == 0)
        {
            let turn = self.turn;
            *held =
                Some(Lease { identity, quota, stamp, units: 0, used, used_up_at: Some(now), more_at, turn });
        }
    }

    fn of_mut(&mut self, identity: Identity) -> Option<&mut Lease> {
        self.held.get_mut(index(identity))?.as_mut().filter(|lease| lease.identity == identity)
    }
}

impl Default for Leases {
    fn default() -> Self {
        Self::new()
    }
}

impl Lease {
    fn is_current(&self, now: UnixNanos) -> bool {
        self.quota.bucket(now) == self.stamp.bucket
    }

    fn outcome(&self, standing: Standing, now: UnixNanos) -> Outcome {
        let seconds = seconds_until(self.more_at, now).max(1);
        Outcome {
            standing,
            overflow: false,
            used: self.used,
            remaining: self.quota.max_requests.get().saturating_sub(self.used),
            reset_seconds: seconds,
            retry_after_seconds: if standing == Standing::Refused { seconds } else { 0 },
        }
    }
}

fn index(identity: Identity) -> usize {
    let index = identity.low().checked_rem(u64::from(MAX_LEASES));
    index.and_then(|index| usize::try_from(index).ok()).unwrap_or(0)
}
