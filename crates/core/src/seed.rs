//! The process's secret hash key. It keeps clients from choosing their slots in shared tables.
//!
//! The key is drawn once per process and kept in a shared cell, so that all workers, all configurations and a reloaded
//! VM compute the same digests. Two identities with the same 128 bits would share a counter; without the key nobody can
//! construct such a pair.

use std::hash::Hasher;

use siphasher::sip128::{Hasher128, SipHasher13};

use crate::cells::{CellFault, CellId, Cells, open_once};

/// A 128-bit key for keyed hashes. Never printed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Seed([u8; 16]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<secret>")
    }
}

impl Seed {
    /// A given seed, for tests and for the command line.
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The process's seed: the stored one, or else `candidate` (fresh random bytes), which is then stored.
    ///
    /// # Errors
    ///
    /// [`CellFault`] if the host does not answer, or if the stored bytes are not a seed.
    pub fn open(cells: &impl Cells, candidate: [u8; 16]) -> Result<Self, CellFault> {
        open_once(cells, CellId::Seed, candidate).map(Self)
    }

    /// The keyed digest of a list of parts. Each part is preceded by its length, so that `("a:b", "c")` and
    /// `("a", "b:c")` differ; `domain` separates digests made for different purposes.
    pub fn digest<'a>(&self, domain: &'static str, parts: impl IntoIterator<Item = &'a [u8]>) -> u128 {
        let mut digest = self.begin(domain);
        for part in parts {
            digest.add(part);
        }
        digest.finish()
    }

    /// Begins a digest, to which parts are added one by one.
    pub fn begin(&self, domain: &'static str) -> Digest {
        let mut digest = Digest(SipHasher13::new_with_key(&self.0));
        digest.add(domain.as_bytes());
        digest
    }
}

/// A keyed digest in progress. A clone can be kept and continued in several ways.
#[derive(Clone)]
pub struct Digest(SipHasher13);

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The state contains the key.
        f.write_str("<secret>")
    }
}

impl Digest {
    /// Adds the next part.
    pub fn add(&mut self, part: &[u8]) {
        // usize has at most 64 bits on every target.
        self.0.write_u64(u64::try_from(part.len()).unwrap_or(u64::MAX));
        self.0.write(part);
    }

    /// Adds the next part and the tag of its kind, which is written into the top byte of the length: no part has 2^56
    /// bytes.
    pub fn add_tagged(&mut self, tag: u8, part: &[u8]) {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        self.0.write_u64(length | u64::from(tag) << 56);
        self.0.write(part);
    }

    /// The digest of all parts.
    pub fn finish(self) -> u128 {
        self.0.finish128().as_u128()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cells::MemoryCells;

    #[test]
    fn the_first_seed_of_a_process_stays() {
        let cells = MemoryCells::new();
        assert_eq!(Seed::open(&cells, [1; 16]), Ok(Seed([1; 16])));
        assert_eq!(Seed::open(&cells, [2; 16]), Ok(Seed([1; 16])));
    }

    #[test]
    fn joined_parts_do_not_collide() {
        let seed = Seed::from_bytes([7; 16]);
        let digest = |parts: &[&'static str]| seed.digest("test", parts.iter().map(|part| part.as_bytes()));
        assert_ne!(digest(&["a:b", "c"]), digest(&["a", "b:c"]));
        assert_ne!(digest(&["ab", ""]), digest(&["a", "b"]));
        assert_ne!(digest(&["a"]), digest(&["a", ""]));
    }
}
