//! Who is counted by a limit?

use crate::seed::{Digest, Seed};

/// Who is counted: a keyed 128-bit digest of the limit's name and the parts of the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity(u128);

/// Who can be counted by one limit: what all their digests begin with, and what newcomers share.
#[derive(Debug, Clone)]
pub struct Identities {
    start: Digest,
    overflow: Identity,
}

impl Identity {
    /// The identity with this digest, for tests and benchmarks; others take [`Identities::of_key`].
    pub const fn from_digest(digest: u128) -> Self {
        Self(digest)
    }

    pub(super) const fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    /// The half that chooses the slot.
    pub(super) fn high(self) -> u64 {
        u64::try_from(self.0 >> 64).unwrap_or(u64::MAX)
    }

    /// The half that chooses where a worker keeps a lease.
    pub(super) fn low(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.to_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl Identities {
    /// The identities of the limit called `limit`.
    pub(super) fn new(seed: &Seed, limit: &str) -> Self {
        let mut start = seed.begin("limit");
        start.add(limit.as_bytes());
        Self { start, overflow: Identity(seed.digest("limit overflow", [limit.as_bytes()])) }
    }

    /// Who the key is whose parts `add` adds to a digest.
    pub fn of_key(&self, add: impl FnOnce(&mut Digest)) -> Identity {
        let mut digest = self.start.clone();
        add(&mut digest);
        Identity(digest.finish())
    }

    /// What newcomers of the limit share where the table is full.
    pub fn overflow(&self) -> Identity {
        self.overflow
    }
}
