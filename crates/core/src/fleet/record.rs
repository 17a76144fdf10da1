//! What does this process know of the fleet's revocations, and which of its workers reads them?
//!
//! As with key sets ([`crate::keys`]), the record stands in a shared cell, each change is a function of the old record
//! that can be run again, and the worker whose change gives it the lease is the only one that reads. If it dies, the lease
//! lapses. A moment that lies further in the future than another worker can have put it counts as past.

use super::rule::{AtStart, FleetRule, SharedRevocations};
use crate::cells::{CellFault, CellId};
use crate::time::UnixNanos;

/// A lease outlives the time-out of its call by so much, seconds.
const LEASE_MARGIN_SECONDS: u64 = 5;
/// What was lost is told again within this time, nanoseconds, so that not all Envoys do so at once.
const SPREAD_NANOS: u64 = 2_000_000_000;

/// Before all names. Less stands for other things in the cell.
const FIRST: u64 = 2;

/// What the process knows of the fleet's revocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record {
    /// A digest of the fleet.
    source: u128,
    owner: u64,
    /// Until when nobody else reads.
    until: UnixNanos,
    /// When the next one reads.
    due: UnixNanos,
    /// The number of the last entry that was read.
    pub(super) cursor: u64,
    /// The store's epoch; 0 if it was never read.
    epoch: u64,
    /// The store's start; 0 if it is not known.
    run: u64,
    /// When all had been read last; 0 if they never were.
    pub(super) completed: UnixNanos,
    /// What the store is still to be told.
    pub(super) untold: Untold,
    /// How often there was something to be told anew; wraps.
    pub(super) losses: u64,
}

/// What the store is still to be told, because it has lost it or could not be told when it was new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Untold {
    /// Nothing.
    Nothing,
    /// What it does not have, which shows once all has been read anew.
    Unknown,
    /// What it does not have of the names from this one on, by [`SharedEntry::half`](crate::revocation::SharedEntry::half).
    From(u64),
}

/// What was known of the fleet's revocations when the record was last read.
#[derive(Debug, Clone, Copy)]
pub struct View {
    pub(super) record: Record,
    /// When it was read for the first time.
    pub(super) opened: Option<UnixNanos>,
}

impl View {
    /// What is known.
    pub fn knowledge(&self, rule: &FleetRule, now: UnixNanos) -> Knowledge {
        let knows = |shared| self.record.knowledge(shared, self.opened.unwrap_or(now), now);
        rule.revocations.as_ref().map_or(Knowledge::Enough, knows)
    }

    /// How long ago all had been read, seconds; `None` if they never were.
    pub fn age_seconds(&self, now: UnixNanos) -> Option<u64> {
        let completed = self.record.completed;
        (completed.nanos() > 0).then(|| now.seconds().saturating_sub(completed.seconds()))
    }
}

/// What is known of the fleet's revocations.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Knowledge {
    /// Enough: requests are judged.
    Enough,
    /// They were never read, and may be at any moment.
    Coming,
    /// They were never read, or not for too long.
    Lacking,
}

impl Record {
    /// Of a fleet whose revocations were never read.
    pub(super) fn new(source: u128) -> Self {
        let epoch = UnixNanos::from_nanos(0);
        Self {
            source,
            owner: 0,
            until: epoch,
            due: epoch,
            cursor: 0,
            epoch: 0,
            run: 0,
            completed: epoch,
            untold: Untold::Nothing,
            losses: 0,
        }
    }

    /// Reads a cell. What is known of another fleet is of no use.
    ///
    /// # Errors
    ///
    /// [`CellFault`] if nobody of ours can have written it.
    pub(super) fn read(content: Option<&[u8]>, source: u128) -> Result<Self, CellFault> {
        let Some(bytes) = content else { return Ok(Self::new(source)) };
        let (stored, rest) = bytes.split_first_chunk::<16>().ok_or(CellFault)?;
        let (numbers, loose) = rest.as_chunks::<8>();
        let &[owner, until, due, cursor, epoch, run, completed, losses, untold] = numbers else {
            return Err(CellFault);
        };
        if !loose.is_empty() {
            return Err(CellFault);
        }
        if u128::from_le_bytes(*stored) != source {
            return Ok(Self::new(source));
        }
        let moment = |bytes| UnixNanos::from_nanos(u64::from_le_bytes(bytes));
        Ok(Self {
            source,
            owner: u64::from_le_bytes(owner),
            until: moment(until),
            due: moment(due),
            cursor: u64::from_le_bytes(cursor),
            epoch: u64::from_le_bytes(epoch),
            run: u64::from_le_bytes(run),
            completed: moment(completed),
            untold: match u64::from_le_bytes(untold) {
                0 => Untold::Nothing,
                1 => Untold::Unknown,
                half => Untold::From(half),
            },
            losses: u64::from_le_bytes(losses),
        })
    }

    /// The content of the cell: the source (u128), and nine u64, all little-endian.
    pub(super) fn write(&self) -> Vec<u8> {
        let untold = match self.untold {
            Untold::Nothing => 0,
            Untold::Unknown => 1,
            Untold::From(half) => half.max(FIRST),
        };
        let mut bytes = self.source.to_le_bytes().to_vec();
        for number in [
            self.owner,
            self.until.nanos(),
            self.due.nanos(),
            self.cursor,
            self.epoch,
            self.run,
            self.completed.nanos(),
            self.losses,
            untold,
        ] {
            bytes.extend(number.to_le_bytes());
        }
        bytes
    }

    /// The digest of the fleet.
    pub(super) fn source(&self) -> u128 {
        self.source
    }

    /// Where it stands.
    pub(super) fn cell(&self) -> CellId {
        CellId::of_fleet(self.source)
    }

    /// Whether a worker is to read now.
    pub(super) fn is_due(&self, rule: &FleetRule, shared: &SharedRevocations, now: UnixNanos) -> bool {
        let latest = now.latest_present().plus_seconds(u64::from(shared.poll_seconds).max(3));
        let is_leased = now < self.until && self.until <= lease_end(rule, now.latest_present());
        !is_leased && (self.due <= now || self.due > latest)
    }

    /// Gives the lease to `worker`, where one is due to read.
    pub(super) fn begin(self, worker: u64, rule: &FleetRule, now: UnixNanos) -> Self {
        // A clock that was ahead had what lapses until then not entered, and is no sign that all was read then.
        let was_ahead = now.latest_present() < self.until;
        let cursor = if was_ahead { 0 } else { self.cursor };
        let completed = self.completed.min(now.latest_present());
        Self { owner: worker, until: lease_end(rule, now), cursor, completed, ..self }
    }

    /// Whether `worker` has the lease.
    pub(super) fn is_of(&self, worker: u64) -> bool {
        self.owner == worker
    }

    /// Ends a reading without result.
    pub(super) fn fail(self, shared: &SharedRevocations, now: UnixNanos) -> Self {
        Self { owner: 0, until: now, due: now.plus_seconds(shared.poll_seconds.into()), ..self }
    }

    /// Ends a reading that has brought all up to `cursor`. `is_last`: whether that is all there is.
    pub(super) fn proceed(
        self,
        epoch: u64,
        cursor: u64,
        is_last: bool,
        shared: &SharedRevocations,
        now: UnixNanos,
    ) -> Self {
        let read = Self { owner: 0, until: now, epoch, cursor, due: now, ..self };
        if !is_last {
            return read;
        }
        let wait = u64::from(shared.poll_seconds);
        match self.untold {
            Untold::Nothing => Self { due: now.plus_seconds(wait), completed: now, ..read },
            Untold::Unknown => Self { untold: Untold::From(FIRST), completed: now, ..read },
            Untold::From(_) => Self { completed: now, ..read },
        }
    }

    /// Notes that the store was told what it lacked from one name on, of the loss with this number. `next`: what is left.
    pub(super) fn told(self, loss: u64, from: u64, next: Untold) -> Self {
        match self.untold == Untold::From(from) && self.losses == loss {
            true => Self { untold: next, ..self },
            false => self,
        }
    }

    /// Notes that the store could not be told of an entry of this process. `None` if that is told anyhow, once all is read.
    pub(super) fn owe(self, now: UnixNanos) -> Option<Self> {
        (self.untold != Untold::Unknown).then(|| self.lose(now))
    }

    /// Has all be read anew, by whoever begins next.
    fn lose(self, now: UnixNanos) -> Self {
        let losses = self.losses.wrapping_add(1);
        Self { owner: 0, until: now, cursor: 0, untold: Untold::Unknown, losses, ..self }
    }

    /// Whether the store with this epoch and newest number has lost something.
    pub(super) fn has_lost(&self, epoch: u64, newest: u64) -> bool {
        self.epoch != 0 && (self.epoch != epoch || newest < self.cursor)
    }

    /// Whether the store has another epoch than when it was read.
    pub(super) fn is_of_another(&self, epoch: u64) -> bool {
        self.epoch != epoch
    }

    /// Notes what the store has lost: all is read anew, and what it does not have is told it. `jitter`: any number.
    pub(super) fn reset(self, epoch: u64, jitter: u64, now: UnixNanos) -> Self {
        let wait = jitter.checked_rem(SPREAD_NANOS).unwrap_or(0);
        let due = UnixNanos::from_nanos(now.nanos().saturating_add(wait));
        Self { due, epoch, ..self.lose(now) }
    }

    /// Notes the number of the store's start; `None` if it is known. A store that was started again may have lost what
    /// came last, and have numbered others so since.
    pub(super) fn started(self, run: u64, jitter: u64, now: UnixNanos) -> Option<Self> {
        if run == 0 || run == self.run {
            return None;
        }
        let noted = Self { run, ..self };
        Some(if self.run == 0 || self.epoch == 0 { noted } else { noted.reset(self.epoch, jitter, now) })
    }

    /// What is known. `opened`: when this worker began.
    fn knowledge(&self, shared: &SharedRevocations, opened: UnixNanos, now: UnixNanos) -> Knowledge {
        if self.completed.nanos() == 0 {
            return match shared.at_start {
                AtStart::Serve => Knowledge::Enough,
                AtStart::Refuse if opened <= now.latest_present() && now < opened.plus_seconds(1) => {
                    Knowledge::Coming
                }
                AtStart::Refuse => Knowledge::Lacking,
            };
        }
        let is_old = |most: u32| self.completed.plus_seconds(most.into()) < now;
        if shared.max_age_seconds.is_some_and(is_old) { Knowledge::Lacking } else { Knowledge::Enough }
    }
}

fn lease_end(rule: &FleetRule, now: UnixNanos) -> UnixNanos {
    now.plus_seconds(u64::from(rule.timeout_milliseconds).div_ceil(1000).saturating_add(LEASE_MARGIN_SECONDS))
}
