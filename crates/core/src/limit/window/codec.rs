//! How does a window stand in a cell?
//!
//! As 92 bytes, little-endian: the window's length in seconds (4), the epoch (4), the number of the newest bucket (8),
//! that of the last warning (8) and 17 counts (4 each), the newest first.

use std::num::NonZeroU32;

use super::Window;
use super::bucket::{self, COUNTED, DIVISIONS, LIFE};
use crate::time::UnixNanos;

/// Bytes of an encoded window.
pub const ENCODED_BYTES: usize = 92;

/// What a stored window still counts, told without decoding all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// All that it counts has left the window.
    Dead,
    /// It counts something.
    Live,
    /// It is further in the future than a small step back of the clock explains: it must be moved to count on.
    Ahead,
}

impl Window {
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

    /// The window as bytes, for [`Window::decode`].
    pub fn encode(&self) -> [u8; ENCODED_BYTES] {
        let mut bytes = [0; ENCODED_BYTES];
        let rest = put(&mut bytes, self.window_seconds.get().to_le_bytes());
        let rest = put(rest, self.epoch.to_le_bytes());
        let rest = put(rest, self.head.to_le_bytes());
        let rest = put(rest, self.warned.to_le_bytes());
        for (encoded, count) in rest.as_chunks_mut().0.iter_mut().zip(self.counts) {
            *encoded = count.to_le_bytes();
        }
        bytes
    }

    /// What the window that `bytes` encode still counts at `now`; `None` if they cannot be one.
    pub fn liveness(bytes: &[u8; ENCODED_BYTES], now: UnixNanos) -> Option<Liveness> {
        let (window_seconds, rest) = bytes.split_first_chunk()?;
        let head = u64::from_le_bytes(*rest.split_first_chunk::<4>()?.1.first_chunk()?);
        let current = bucket::at(NonZeroU32::new(u32::from_le_bytes(*window_seconds))?, now);
        Some(if current.saturating_sub(head) >= LIFE {
            Liveness::Dead
        } else if head.saturating_sub(current) > DIVISIONS {
            Liveness::Ahead
        } else {
            Liveness::Live
        })
    }
}

/// Writes `value` to the front of `bytes` and gives what comes after.
fn put<const N: usize>(bytes: &mut [u8], value: [u8; N]) -> &mut [u8] {
    match bytes.split_first_chunk_mut() {
        Some((front, rest)) => {
            *front = value;
            rest
        }
        None => &mut [],
    }
}
