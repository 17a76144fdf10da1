//! Who is counted by a limit?

use crate::seed::{Digest, Seed};

/// Who is counted: a keyed digest of the limit's name and the parts of the key, 96 bits, and the limit's mark, 32 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity(u128);

/// The limit that an identity belongs to: a keyed digest of its name. Two limits have the same mark by a chance of 1 in
/// 2^32, and then have one share of a slot together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark(u32);

/// Who can be counted by one limit: what all their digests begin with, their mark, and what newcomers share.
#[derive(Debug, Clone)]
pub struct Identities {
    start: Digest,
    mark: Mark,
    overflow: Identity,
}

/// The mark stands in these bits. They choose neither the slot nor where a worker keeps a lease.
const MARK_BITS: u128 = 0xFFFF_FFFF << 32;

impl Identity {
    /// The identity with this digest, for tests and benchmarks; others take [`Identities::of_key`].
    pub const fn from_digest(digest: u128) -> Self {
        Self(digest)
    }

    pub(crate) const fn to_bytes(self) -> [u8; 16] {
        self.0.to_le_bytes()
    }

    pub(super) const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(u128::from_le_bytes(bytes))
    }

    /// The limit that counts it.
    pub(crate) const fn mark(self) -> Mark {
        let [_, _, _, _, a, b, c, d, ..] = self.to_bytes();
        Mark(u32::from_le_bytes([a, b, c, d]))
    }

    /// The identity under which is counted what this one spends of its own.
    pub(crate) const fn twin(self) -> Self {
        Self(self.0 ^ (1 << 127) ^ 1)
    }

    fn marked(digest: u128, mark: Mark) -> Self {
        Self((digest & !MARK_BITS) | (u128::from(mark.0) << 32))
    }

    /// The half that chooses the slot.
    pub(super) fn high(self) -> u64 {
        u64::try_from(self.0 >> 64).unwrap_or(u64::MAX)
    }

    /// The half that chooses where a worker keeps a lease.
    pub(crate) fn low(self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.to_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

impl Identities {
    /// The identities of the limit called `limit`.
    pub(crate) fn new(seed: &Seed, limit: &str) -> Self {
        let mut start = seed.begin("limit");
        start.add(limit.as_bytes());
        let mark = Identity(seed.digest("limit mark", [limit.as_bytes()])).mark();
        let overflow = seed.digest("limit overflow", [limit.as_bytes()]);
        // No newcomer's: it takes nothing of the limit's share.
        let overflow = Identity::marked(overflow, Mark(!mark.0));
        Self { start, mark, overflow }
    }

    /// Who the key is whose parts `add` adds to a digest.
    pub fn of_key(&self, add: impl FnOnce(&mut Digest)) -> Identity {
        let mut digest = self.start.clone();
        add(&mut digest);
        Identity::marked(digest.finish(), self.mark)
    }

    /// What newcomers of the limit share where the table is full.
    pub fn overflow(&self) -> Identity {
        self.overflow
    }
}
