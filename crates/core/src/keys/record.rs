//! What does the process know of one key set, and when is it fetched?
//!
//! The record stands in a shared cell. Each change is a function of the old record that can be run again, so that workers
//! that are faster or slower than others never undo what they did. The worker whose change gives it the lease is the only
//! one that fetches. If it dies, the lease lapses, and the next one takes it.
//!
//! Clocks are set, and a worker reads its clock a while before it asks. A moment that lies further in the future than another
//! worker can have put it counts as past.

use super::fetch::FetchOutcome;
use crate::cells::CellFault;
use crate::time::UnixNanos;
use crate::token::key_set::rule::RemoteSet;

/// A lease outlives the time-out of its fetch by so much, seconds: until then the answer may still be on its way.
const LEASE_MARGIN_SECONDS: u64 = 5;
/// The longest wait after a failure, seconds.
const LONGEST_BACK_OFF_SECONDS: u64 = 60;
/// A fetch that is so much overdue will not come, seconds.
const OVERDUE_SECONDS: u64 = 60;

/// Bytes in front of the published keys.
const HEAD_BYTES: usize = 16 + 5 * 8 + 3 * 4;

/// What the process knows of one key set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// A digest of where the set comes from, and of the algorithms it is read for.
    pub(super) source: u128,
    /// The worker that fetches it, and until when nobody else does.
    lease: Option<(u64, UnixNanos)>,
    /// When the latest fetch began.
    started: UnixNanos,
    /// When the next one begins.
    due: UnixNanos,
    /// When the set was fetched; `None` if it never was.
    pub(super) fetched: Option<UnixNanos>,
    /// The fetches that have failed since.
    failures: u32,
    /// The number of fetches that have ended, which wraps.
    pub(super) ended: u32,
    /// How the latest one ended.
    pub(super) outcome: Option<FetchOutcome>,
    /// The keys as [`KeySet::write`](crate::token::key_set::KeySet::write) wrote them; empty if there are none yet.
    pub(super) keys: Vec<u8>,
}

impl Record {
    /// The record of a set that nobody has asked for.
    pub(super) fn new(source: u128) -> Self {
        let epoch = UnixNanos::from_nanos(0);
        Self {
            source,
            lease: None,
            started: epoch,
            due: epoch,
            fetched: None,
            failures: 0,
            ended: 0,
            outcome: None,
            keys: Vec::new(),
        }
    }

    /// Reads a cell. What another source has left there is of no use.
    ///
    /// # Errors
    ///
    /// [`CellFault`] if nobody of ours can have written it.
    pub(super) fn read(content: Option<&[u8]>, source: u128) -> Result<Self, CellFault> {
        let Some(bytes) = content else { return Ok(Self::new(source)) };
        let (head, keys) = bytes.split_at_checked(HEAD_BYTES).ok_or(CellFault)?;
        let (stored, rest) = head.split_first_chunk::<16>().ok_or(CellFault)?;
        if u128::from_le_bytes(*stored) != source {
            return Ok(Self::new(source));
        }
        let (numbers, small) = rest.split_at_checked(5 * 8).ok_or(CellFault)?;
        let (&[owner, until, started, due, fetched], _) = numbers.as_chunks::<8>() else {
            return Err(CellFault);
        };
        let (&[failures, ended, outcome], _) = small.as_chunks::<4>() else { return Err(CellFault) };
        let [owner, until, started, due, fetched] =
            [owner, until, started, due, fetched].map(u64::from_le_bytes);
        let [failures, ended, outcome] = [failures, ended, outcome].map(u32::from_le_bytes);
        Ok(Self {
            source,
            lease: (until != 0).then_some((owner, UnixNanos::from_nanos(until))),
            started: UnixNanos::from_nanos(started),
            due: UnixNanos::from_nanos(due),
            fetched: (fetched != 0).then_some(UnixNanos::from_nanos(fetched)),
            failures,
            ended,
            outcome: usize::try_from(outcome)
                .ok()
                .and_then(|number| number.checked_sub(1))
                .and_then(|index| FetchOutcome::ALL.get(index).copied()),
            keys: keys.to_vec(),
        })
    }

    /// The content of the cell: the source (u128), the lease's worker and end, the moments of the latest start, of the next
    /// and of the latest success (u64 each, 0 for none), the failures, the fetches that ended and the outcome (u32 each),
    /// all little-endian, and the keys.
    pub(super) fn write(&self) -> Vec<u8> {
        let (owner, until) = self.lease.unwrap_or_default();
        let fetched = self.fetched.unwrap_or_default();
        let mut bytes = Vec::with_capacity(HEAD_BYTES.saturating_add(self.keys.len()));
        bytes.extend(self.source.to_le_bytes());
        for number in [owner, until.nanos(), self.started.nanos(), self.due.nanos(), fetched.nanos()] {
            bytes.extend(number.to_le_bytes());
        }
        let outcome = self.outcome.map_or(0, |outcome| outcome.number());
        for number in [self.failures, self.ended, outcome] {
            bytes.extend(number.to_le_bytes());
        }
        bytes.extend(&self.keys);
        bytes
    }

    /// Whether a worker fetches the set at `now`.
    pub(super) fn is_being_fetched(&self, rule: &RemoteSet, now: UnixNanos) -> bool {
        self.lease.is_some_and(|(_, until)| now < until && until <= lease_end(rule, now.latest_present()))
    }

    /// Whether a fetch is to begin at `now`.
    pub(super) fn is_due(&self, rule: &RemoteSet, now: UnixNanos) -> bool {
        let longest = match self.failures {
            0 => longest_refresh_seconds(rule),
            _ => LONGEST_BACK_OFF_SECONDS,
        };
        let latest = now.latest_present().plus_seconds(longest);
        !self.is_being_fetched(rule, now) && (self.due <= now || self.due > latest)
    }

    /// Gives the lease to `worker`, if a fetch is to begin at `now`.
    pub(super) fn begin(self, worker: u64, rule: &RemoteSet, now: UnixNanos) -> Option<Self> {
        if !self.is_due(rule, now) {
            return None;
        }
        // A set that was fetched before the clock was set back would be in force for longer by as much.
        let fetched = self.fetched.map(|at| if now.latest_present() < at { now } else { at });
        Some(Self { lease: Some((worker, lease_end(rule, now))), started: now, fetched, ..self })
    }

    /// Ends the fetch of `worker`; `None` if it has lost its lease. `keys`: what it has brought. `jitter`: any number, by
    /// which the fetches of many processes are spread.
    pub(super) fn end(
        self,
        worker: u64,
        ended: Result<Vec<u8>, FetchOutcome>,
        rule: &RemoteSet,
        jitter: u64,
        now: UnixNanos,
    ) -> Option<Self> {
        if !self.is_fetched_by(worker) {
            return None;
        }
        let next = Self { lease: None, ended: self.ended.wrapping_add(1), ..self };
        Some(match ended {
            Ok(keys) => Self {
                fetched: Some(now),
                due: spread(rule.refresh_seconds, jitter, now),
                failures: 0,
                outcome: Some(FetchOutcome::Ok),
                keys,
                ..next
            },
            Err(outcome) => Self {
                due: now.plus_seconds(back_off_seconds(next.failures)),
                failures: next.failures.saturating_add(1),
                outcome: Some(outcome),
                ..next
            },
        })
    }

    /// Gives up the fetch of `worker`, so that another one may begin at once; `None` if it has none.
    pub(super) fn abandon(self, worker: u64) -> Option<Self> {
        self.is_fetched_by(worker).then_some(Self { lease: None, ..self })
    }

    /// Whether the lease is that of `worker`; it may have lapsed.
    fn is_fetched_by(&self, worker: u64) -> bool {
        self.lease.is_some_and(|(owner, _)| owner == worker)
    }

    /// Whether a fetch is on its way that may bring a kid that the set does not have, or may begin at once because the
    /// latest one began long enough ago.
    pub(super) fn may_bring_more(&self, rule: &RemoteSet, now: UnixNanos) -> bool {
        let has_rested =
            now.latest_present() < self.started || self.started.plus_seconds(rule.min_refetch_seconds) <= now;
        // After a failure the back-off decides, whoever asks.
        self.is_being_fetched(rule, now) || self.is_due(rule, now) || (self.failures == 0 && has_rested)
    }

    /// Makes a fetch due at `now`.
    pub(super) fn ask(self, now: UnixNanos) -> Self {
        Self { due: self.due.min(now), ..self }
    }

    /// Until when the keys are in force. As long as no fetch has failed since they were fetched, that is at least until the
    /// next one is overdue.
    pub(super) fn in_force_until(&self, rule: &RemoteSet) -> Option<UnixNanos> {
        let stale = self.fetched?.plus_seconds(rule.max_stale_seconds);
        if self.failures > 0 {
            return Some(stale);
        }
        let seconds = longest_refresh_seconds(rule).saturating_add(OVERDUE_SECONDS);
        Some(stale.max(self.fetched?.plus_seconds(seconds)))
    }

    /// When it may be worth asking again for a set that is not there, seconds from `now`; at least 1.
    pub(super) fn retry_after_seconds(&self, now: UnixNanos) -> u32 {
        let wait = self.due.nanos().saturating_sub(now.nanos()).div_ceil(1_000_000_000);
        u32::try_from(wait.clamp(1, LONGEST_BACK_OFF_SECONDS)).unwrap_or(1)
    }
}

fn lease_end(rule: &RemoteSet, now: UnixNanos) -> UnixNanos {
    let milliseconds = u64::from(rule.timeout_milliseconds);
    now.plus_seconds(milliseconds.div_ceil(1000).saturating_add(LEASE_MARGIN_SECONDS))
}

fn longest_refresh_seconds(rule: &RemoteSet) -> u64 {
    rule.refresh_seconds.saturating_add(rule.refresh_seconds.div_ceil(10))
}

/// 1, 2, 4 .. 60 s after the first failure, the second, and so on.
fn back_off_seconds(failures_before: u32) -> u64 {
    1_u64.checked_shl(failures_before).unwrap_or(u64::MAX).clamp(1, LONGEST_BACK_OFF_SECONDS)
}

/// So many seconds from `now`, give or take a tenth.
fn spread(seconds: u64, jitter: u64, now: UnixNanos) -> UnixNanos {
    let tenth = seconds.saturating_mul(100_000_000);
    let least = tenth.saturating_mul(9);
    let more = jitter.checked_rem(tenth.saturating_mul(2).saturating_add(1)).unwrap_or(0);
    UnixNanos::from_nanos(now.nanos().saturating_add(least).saturating_add(more))
}

#[cfg(test)]
mod tests;
