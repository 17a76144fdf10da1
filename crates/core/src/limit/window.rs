//! One key's sliding window: how much was spent lately, may one more be spent, and when if not now?
//!
//! The window is cut into 16 sub-windows ("buckets"), numbered from the epoch. Seventeen counters are kept: the
//! current bucket and the 16 before it. A request is admitted if their sum is below the limit. What is spent in
//! bucket `j` therefore counts until bucket `j + 17` starts: at least one whole window after it was spent (so no
//! interval of one window, closed at both ends and wherever it starts, holds more than the limit), and at most
//! 1/16 of a window longer than that.
//!
//! What happens to the numbering:
//!
//! - The time steps back by up to 16 buckets: the window stands still until the time has caught up.
//! - It steps back further: the whole window moves with it, its newest bucket to just after the current one.
//!   Nothing is refunded, and nobody waits for a future that was an error of the clock.
//! - The quota's window changes: each old bucket goes to the latest new one that it overlaps, at most the current
//!   one. What was spent stays spent.
//!
//! The last two renumber what was counted, so each gives the window a new [`Stamp::epoch`]: units that were counted
//! under another numbering can no longer be given back. They also must be stored even when the request is refused,
//! or they would start again, from a later time, with each refused request.
//!
//! This module knows neither identities nor cells.

use std::num::{NonZeroU32, NonZeroU64};

use crate::time::UnixNanos;

/// How much one key may spend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Quota {
    /// Requests admitted in any interval of one window.
    pub max_requests: NonZeroU32,
    /// Length of the window, in seconds.
    pub window_seconds: NonZeroU32,
    /// Warn once per window when this many percent of `max_requests` are spent; `None`: never.
    pub warn_at_percent: Option<u8>,
}

impl Quota {
    /// The number of the bucket that `now` is in.
    pub fn bucket(&self, now: UnixNanos) -> u64 {
        bucket(self.window_seconds, now)
    }

    /// The sum from which on a warning is due.
    fn warn_from(&self) -> Option<u64> {
        let percent = u64::from(self.warn_at_percent?);
        Some(u64::from(self.max_requests.get()).saturating_mul(percent).div_ceil(100).max(1))
    }
}

/// Bytes of an encoded window.
pub const ENCODED_BYTES: usize = 92;

/// Sub-windows in one window.
const DIVISIONS: u64 = 16;
/// Buckets that are counted: those of one window and the current one.
const COUNTED: usize = 17;
/// How many buckets after its own a unit still counts, plus one: it leaves when this bucket starts.
const LIFE: u64 = 17;

const NANOS_PER_SECOND: u64 = 1_000_000_000;
/// A bucket of a window of one second. Exact, so that bucket numbers need no wide arithmetic.
const NANOS_PER_BUCKET_SECOND: u64 = NANOS_PER_SECOND / DIVISIONS;

/// A lease takes at most this many units beside the one spent at once.
const LEASE_MAX: u64 = 31;
/// A lease takes at most this part of what remains.
const LEASE_PART: u64 = 128;

/// Where a unit was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    /// The bucket's number.
    pub bucket: u64,
    /// The numbering that `bucket` belongs to; a window renumbered or made anew has another one.
    pub epoch: u32,
}

/// A unit that was spent, for giving it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spent {
    /// Where it was counted.
    pub stamp: Stamp,
    /// It reached `warn_at_percent`, for the first time in this window.
    pub warned: bool,
}

/// What a stored window is, seen without decoding all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Age {
    /// All that it counts has left the window.
    Dead,
    /// It counts something.
    Live,
    /// It is further in the future than a small step back explains: it has to be moved to count on.
    Ahead,
}

/// The units spent in the current bucket and the 16 before it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    window_seconds: NonZeroU32,
    epoch: u32,
    /// Number of the newest bucket.
    head: u64,
    /// The bucket of the last warning; 0 is never.
    warned: u64,
    /// Newest first: `counts[i]` belongs to bucket `head - i`.
    counts: [u32; COUNTED],
}

impl Window {
    /// A window in which nothing is spent yet.
    pub fn new(window_seconds: NonZeroU32, now: UnixNanos) -> Self {
        let head = bucket(window_seconds, now);
        Self { window_seconds, epoch: epoch_at(now), head, warned: 0, counts: [0; COUNTED] }
    }

    /// The window that `bytes` encode; `None` if they cannot be one.
    pub fn decode(bytes: &[u8; ENCODED_BYTES]) -> Option<Self> {
        let (window_seconds, rest) = bytes.split_first_chunk()?;
        let (epoch, rest) = rest.split_first_chunk()?;
        let (head, rest) = rest.split_first_chunk()?;
        let (warned, rest) = rest.split_first_chunk()?;
        let mut counts = [0; COUNTED];
        for (count, bytes) in counts.iter_mut().zip(rest.as_chunks().0) {
            *count = u32::from_le_bytes(*bytes);
        }
        Some(Self {
            window_seconds: NonZeroU32::new(u32::from_le_bytes(*window_seconds))?,
            epoch: u32::from_le_bytes(*epoch),
            head: u64::from_le_bytes(*head),
            warned: u64::from_le_bytes(*warned),
            counts,
        })
    }

    /// The window as bytes, little-endian, for [`Window::decode`].
    pub fn encode(&self) -> [u8; ENCODED_BYTES] {
        let mut bytes = [0; ENCODED_BYTES];
        let rest = put(&mut bytes, self.window_seconds.get().to_le_bytes());
        let rest = put(rest, self.epoch.to_le_bytes());
        let rest = put(rest, self.head.to_le_bytes());
        let rest = put(rest, self.warned.to_le_bytes());
        for (place, count) in rest.as_chunks_mut().0.iter_mut().zip(self.counts) {
            *place = count.to_le_bytes();
        }
        bytes
    }

    /// What the window that `bytes` encode is at `now`; `None` if they cannot be one.
    pub fn age(bytes: &[u8; ENCODED_BYTES], now: UnixNanos) -> Option<Age> {
        let (window_seconds, rest) = bytes.split_first_chunk()?;
        let head = u64::from_le_bytes(*rest.split_first_chunk::<4>()?.1.first_chunk()?);
        let current = bucket(NonZeroU32::new(u32::from_le_bytes(*window_seconds))?, now);
        Some(if current.saturating_sub(head) >= LIFE {
            Age::Dead
        } else if head.saturating_sub(current) > DIVISIONS {
            Age::Ahead
        } else {
            Age::Live
        })
    }

    /// Brings the window to `now` and to a quota's `window_seconds`. True if that renumbered what was counted: then
    /// the window has to be stored, whatever becomes of the request.
    #[must_use = "a renumbered window has to be stored"]
    pub fn advance(&mut self, window_seconds: NonZeroU32, now: UnixNanos) -> bool {
        let moved = self.follow(now);
        let resized = self.window_seconds != window_seconds;
        if resized {
            self.resize(window_seconds, now);
        }
        if moved || resized {
            self.renew_epoch(now);
        }
        moved || resized
    }

    /// The length of the window that it was brought to last.
    pub fn window_seconds(&self) -> NonZeroU32 {
        self.window_seconds
    }

    /// Units spent that still count.
    pub fn used(&self) -> u64 {
        self.counts.iter().fold(0, |sum, count| sum.saturating_add(u64::from(*count)))
    }

    /// Units that may still be spent now.
    pub fn remaining(&self, quota: &Quota) -> u64 {
        u64::from(quota.max_requests.get()).saturating_sub(self.used())
    }

    /// Spends one unit in the newest bucket. Only after [`Window::remaining`] said that there is one.
    pub fn spend(&mut self, quota: &Quota) -> Spent {
        self.count(1);
        let quiet = self.warned == 0 || self.head.saturating_sub(self.warned) >= LIFE;
        let warned = quiet && quota.warn_from().is_some_and(|from| self.used() >= from);
        if warned {
            self.warned = self.head.max(1);
        }
        Spent { stamp: Stamp { bucket: self.head, epoch: self.epoch }, warned }
    }

    /// After one unit was spent, counts some more of the newest bucket for the caller to spend there itself, and
    /// says how many (0: none). See `lease.rs` for the rules.
    pub fn lease(&mut self, quota: &Quota, now: UnixNanos) -> u32 {
        if quota.bucket(now) != self.head {
            return 0;
        }
        let used = self.used();
        let to_warning = match quota.warn_from() {
            Some(from) if used < from => from.saturating_sub(used).saturating_sub(1),
            Some(_) | None => u64::MAX,
        };
        let earlier = u64::from(self.counts.first().copied().unwrap_or(0)).saturating_sub(1);
        let part = self.remaining(quota) / LEASE_PART;
        let units = LEASE_MAX.min(part).min(earlier).min(to_warning);
        let units = u32::try_from(units).unwrap_or(0);
        self.count(units);
        units
    }

    /// Takes back `units` that were counted at `stamp` and never used. False, and nothing changed, if that bucket
    /// has left or was renumbered.
    pub fn give_back(&mut self, stamp: Stamp, units: u32) -> bool {
        let place = self.head.checked_sub(stamp.bucket).and_then(|age| usize::try_from(age).ok());
        match place.and_then(|place| self.counts.get_mut(place)) {
            Some(count) if stamp.epoch == self.epoch => {
                *count = count.saturating_sub(units);
                true
            }
            Some(_) | None => false,
        }
    }

    /// As [`Window::give_back`], of one unit and of the warning that it may have caused.
    pub fn undo(&mut self, spent: Spent) -> bool {
        let undone = self.give_back(spent.stamp, 1);
        if undone && spent.warned {
            self.warned = 0;
        }
        undone
    }

    /// When one more unit can be spent, if nobody else spends: `None` if now.
    pub fn free_at(&self, quota: &Quota) -> Option<UnixNanos> {
        let max_requests = u64::from(quota.max_requests.get());
        match self.used().checked_sub(max_requests) {
            Some(excess) => self.left_at(excess.saturating_add(1)),
            None => None,
        }
    }

    /// When the next unit that is spent comes back: `None` if none is spent.
    pub fn oldest_leaves_at(&self) -> Option<UnixNanos> {
        self.left_at(1)
    }

    /// When the oldest `units` have left.
    fn left_at(&self, units: u64) -> Option<UnixNanos> {
        let mut left = 0_u64;
        for (age, count) in (0..LIFE).rev().zip(self.counts.iter().rev()) {
            left = left.saturating_add(u64::from(*count));
            if left >= units {
                let leaves = self.head.saturating_sub(age).saturating_add(LIFE);
                return Some(start_of(self.window_seconds, leaves));
            }
        }
        None
    }

    fn count(&mut self, units: u32) {
        if let Some(newest) = self.counts.first_mut() {
            *newest = newest.saturating_add(units);
        }
    }

    /// Lets the buckets that `now` is past leave. True if the time stepped back so far that the window moved.
    fn follow(&mut self, now: UnixNanos) -> bool {
        let current = bucket(self.window_seconds, now);
        if let Some(steps) = current.checked_sub(self.head) {
            match usize::try_from(steps) {
                Ok(steps) if steps < COUNTED => {
                    self.counts.rotate_right(steps);
                    self.counts.iter_mut().take(steps).for_each(|count| *count = 0);
                }
                Ok(_) | Err(_) => self.counts = [0; COUNTED],
            }
            self.head = current;
            return false;
        }
        if self.head.saturating_sub(current) <= DIVISIONS {
            return false;
        }
        // One bucket after the current one, not the current one itself: the older buckets, which move along, were
        // spent at unknown moments of theirs, and would else leave up to one bucket early.
        let head = current.saturating_add(1);
        let back = self.head.saturating_sub(head);
        if self.warned != 0 {
            self.warned = self.warned.saturating_sub(back).max(1);
        }
        self.head = head;
        true
    }

    /// Moves what is counted into buckets of another size.
    fn resize(&mut self, window_seconds: NonZeroU32, now: UnixNanos) {
        let current = bucket(window_seconds, now);
        let place = |old: u64| {
            let end = start_of(self.window_seconds, old.saturating_add(1)).nanos().saturating_sub(1);
            bucket(window_seconds, UnixNanos::from_nanos(end)).min(current)
        };
        let mut counts = [0_u32; COUNTED];
        for (age, count) in (0_u64..).zip(self.counts) {
            let new_age = current.saturating_sub(place(self.head.saturating_sub(age)));
            if let Some(new) = usize::try_from(new_age).ok().and_then(|age| counts.get_mut(age)) {
                *new = new.saturating_add(count);
            }
        }
        if self.warned != 0 {
            self.warned = place(self.warned).max(1);
        }
        (self.window_seconds, self.head, self.counts) = (window_seconds, current, counts);
    }

    fn renew_epoch(&mut self, now: UnixNanos) {
        let fresh = epoch_at(now);
        self.epoch = if fresh == self.epoch { fresh.wrapping_add(1) } else { fresh };
    }
}

/// Writes `value` to the front of `bytes` and gives what comes after.
fn put<const N: usize>(bytes: &mut [u8], value: [u8; N]) -> &mut [u8] {
    match bytes.split_first_chunk_mut() {
        Some((place, rest)) => {
            *place = value;
            rest
        }
        None => &mut [],
    }
}

/// The low half of the moment: two numberings of one key practically never share it.
fn epoch_at(now: UnixNanos) -> u32 {
    let [a, b, c, d, ..] = now.nanos().to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

fn bucket_nanos(window_seconds: NonZeroU32) -> NonZeroU64 {
    // At most 2^32 * 6.25e7 < 2^58.
    let nanos = u64::from(window_seconds.get()).saturating_mul(NANOS_PER_BUCKET_SECOND);
    NonZeroU64::new(nanos).unwrap_or(NonZeroU64::MIN)
}

fn bucket(window_seconds: NonZeroU32, now: UnixNanos) -> u64 {
    now.nanos() / bucket_nanos(window_seconds)
}

/// When a bucket starts; saturates in the year 2554.
fn start_of(window_seconds: NonZeroU32, bucket: u64) -> UnixNanos {
    UnixNanos::from_nanos(bucket.saturating_mul(bucket_nanos(window_seconds).get()))
}
