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
//! A worker that sees the time step back spends no older lease. One case is left: a worker that handles no request
//! at all while the clock leaves a bucket and comes back to it may then spend the rest of a lease that others
//! no longer count, 31 units at most.

use super::outcome::seconds_until;
use super::window::Stamp;
use super::{Charge, Identity, Outcome, Quota, Standing};
use crate::time::UnixNanos;

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

/// Units that are counted already and may be spent in one bucket.
#[derive(Debug, Clone)]
pub(super) struct Lease {
    pub(super) identity: Identity,
    pub(super) quota: Quota,
    pub(super) stamp: Stamp,
    /// The units that are not spent yet.
    pub(super) units: u32,
    /// Requests counted in the window, as far as this worker knows.
    pub(super) used: u32,
    /// When the oldest of them leaves the window.
    pub(super) oldest_leaves_at: UnixNanos,
    /// The turn in which the lease was taken; it is spent in no other.
    pub(super) turn: u32,
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

    /// Spends one leased unit. `None` if there is none to spend.
    pub(super) fn spend(&mut self, charge: &Charge, now: UnixNanos) -> Option<(Stamp, Outcome)> {
        let turn = self.turn;
        let lease = self.of_mut(charge.identity)?;
        if lease.units == 0 || lease.quota != charge.quota || lease.turn != turn || !lease.is_current(now) {
            return None;
        }
        lease.units = lease.units.saturating_sub(1);
        lease.used = lease.used.saturating_add(1);
        Some((lease.stamp, lease.outcome(now)))
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

    /// After a shared access: what lay unspent was given back or is void, and `lease` was taken, if any.
    pub(super) fn settle(&mut self, identity: Identity, lease: Option<Lease>) {
        if let Some(held) = self.held.get_mut(index(identity)) {
            let own = held.as_ref().is_some_and(|held| held.identity == identity);
            if own || lease.is_some() {
                *held = lease;
            }
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

    fn outcome(&self, now: UnixNanos) -> Outcome {
        Outcome {
            standing: Standing::Admitted,
            overflow: false,
            used: self.used,
            remaining: self.quota.max_requests.get().saturating_sub(self.used),
            reset_seconds: seconds_until(self.oldest_leaves_at, now),
            retry_after_seconds: 0,
        }
    }
}

fn index(identity: Identity) -> usize {
    let index = identity.low().checked_rem(u64::from(MAX_LEASES));
    index.and_then(|index| usize::try_from(index).ok()).unwrap_or(0)
}
