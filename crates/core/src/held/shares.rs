//! What does the cell of held bodies hold? A share for each worker that has reserved some bytes.
//!
//! Layout, little-endian: the number that the next worker gets (u64), then for each share the worker's number, the bytes
//! it reserved, the bytes it held when it last said so, and the time of that, in Unix nanoseconds (u64 each).

use crate::cells::CellFault;
use crate::time::UnixNanos;

/// A share that was not renewed for so long belongs to nobody: its worker died, and a reloaded one has another number.
/// Nanoseconds.
pub(super) const LIFETIME_NANOS: u64 = 10_000_000_000;
/// The largest number of shares: a bound on the cell, far above the workers of any process.
const MOST_SHARES: usize = 1024;
const NUMBER_BYTES: usize = 8;
const SHARE_BYTES: usize = 4 * NUMBER_BYTES;

/// One worker's part of the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// The worker's number.
    pub(super) number: u64,
    /// What the worker may hold without asking again, bytes.
    pub(super) reserved: u64,
    /// What it held when it renewed its share, bytes.
    pub(super) held: u64,
    /// When that was.
    pub(super) renewed: UnixNanos,
}

/// The shares of all workers that are alive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Shares {
    next_number: u64,
    shares: Vec<Share>,
}

impl Shares {
    /// Reads the cell, and drops the shares that have lapsed at `now`. A clock that was set makes shares lapse early; their
    /// workers enter them again with the next tick.
    pub(super) fn read(content: Option<&[u8]>, now: UnixNanos) -> Result<Self, CellFault> {
        let Some(bytes) = content else { return Ok(Self { next_number: 0, shares: Vec::new() }) };
        let (next_number, rest) = number(bytes)?;
        let mut shares = Vec::new();
        for mut share in rest.chunks(SHARE_BYTES) {
            let mut take = || {
                let (taken, rest) = number(share)?;
                share = rest;
                Ok(taken)
            };
            let (number, reserved, held) = (take()?, take()?, take()?);
            let renewed = UnixNanos::from_nanos(take()?);
            if renewed.nanos().abs_diff(now.nanos()) < LIFETIME_NANOS {
                shares.push(Share { number, reserved, held, renewed });
            }
        }
        Ok(Self { next_number, shares })
    }

    /// A number that no worker has had.
    pub(super) fn new_number(&mut self) -> u64 {
        let number = self.next_number;
        self.next_number = number.wrapping_add(1);
        number
    }

    /// What all workers but one have reserved, bytes.
    pub(super) fn reserved_beside(&self, number: u64) -> u64 {
        let others = self.shares.iter().filter(|share| share.number != number);
        others.map(|share| share.reserved).fold(0, u64::saturating_add)
    }

    /// What all workers hold, as far as they have said, bytes.
    pub(super) fn held(&self) -> u64 {
        self.shares.iter().map(|share| share.held).fold(0, u64::saturating_add)
    }

    /// Puts a worker's share in place of its last one; false if there is no room for a share more.
    #[must_use]
    pub(super) fn put(&mut self, share: Share) -> bool {
        self.remove(share.number);
        let has_room = self.shares.len() < MOST_SHARES;
        if has_room {
            self.shares.push(share);
        }
        has_room
    }

    /// Takes a worker's share away.
    pub(super) fn remove(&mut self, number: u64) {
        self.shares.retain(|share| share.number != number);
    }

    pub(super) fn write(&self) -> Vec<u8> {
        let shares = self.shares.iter();
        let numbers =
            shares.flat_map(|share| [share.number, share.reserved, share.held, share.renewed.nanos()]);
        [self.next_number].into_iter().chain(numbers).flat_map(u64::to_le_bytes).collect()
    }
}

fn number(bytes: &[u8]) -> Result<(u64, &[u8]), CellFault> {
    let (number, rest) = bytes.split_first_chunk::<NUMBER_BYTES>().ok_or(CellFault)?;
    Ok((u64::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(number: u64, reserved: u64, seconds: u64) -> Share {
        Share { number, reserved, held: reserved / 2, renewed: UnixNanos::from_seconds(seconds) }
    }

    fn read(bytes: &[u8], seconds: u64) -> Result<Shares, CellFault> {
        Shares::read(Some(bytes), UnixNanos::from_seconds(seconds))
    }

    fn two() -> Shares {
        let mut shares = Shares::read(None, UnixNanos::default()).unwrap();
        assert_eq!((shares.new_number(), shares.new_number()), (0, 1));
        assert!(shares.put(share(0, 100, 50)) && shares.put(share(1, 30, 52)));
        shares
    }

    #[test]
    fn what_was_written_is_read_back() {
        assert_eq!(read(&two().write(), 52), Ok(two()));
        assert_eq!((two().held(), two().reserved_beside(0), two().reserved_beside(7)), (65, 30, 130));
    }

    #[test]
    fn a_share_that_is_not_renewed_lapses_and_its_number_is_not_given_again() {
        let bytes = two().write();
        assert_eq!(read(&bytes, 59).unwrap().reserved_beside(7), 130);
        let mut later = read(&bytes, 60).unwrap();
        assert_eq!(later.reserved_beside(7), 30);
        assert_eq!(later.new_number(), 2);
        assert_eq!(read(&bytes, 40).unwrap().reserved_beside(7), 0, "a clock that was set back");
    }

    #[test]
    fn a_worker_has_one_share() {
        let mut shares = two();
        assert!(shares.put(share(0, 10, 53)));
        assert_eq!(shares.reserved_beside(7), 40);
        shares.remove(1);
        assert_eq!(shares.reserved_beside(7), 10);
    }

    #[test]
    fn the_cell_does_not_grow_without_end_and_sums_do_not_overflow() {
        let mut shares = Shares::read(None, UnixNanos::default()).unwrap();
        let entered = (0..5000).filter(|number| shares.put(share(*number, u64::MAX, 1))).count();
        assert_eq!((entered, shares.write().len()), (MOST_SHARES, 8 + MOST_SHARES * 32));
        assert!(shares.put(share(3, 1, 1)), "whoever has a share can renew it");
        assert_eq!(shares.reserved_beside(3), u64::MAX);
    }

    #[test]
    fn a_cell_that_nobody_of_ours_wrote_is_a_fault() {
        let bytes = two().write();
        for end in (0..bytes.len()).filter(|end| (end % 32) != 8) {
            assert_eq!(read(&bytes[..end], 52), Err(CellFault), "{end}");
        }
    }
}
