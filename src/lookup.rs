//! Maps whose keys the configuration chose: made once, and then only looked up in.
//!
//! The standard hasher protects a map against whoever chooses its keys. Here that is the operator; a client chooses
//! what is looked up, which adds nothing to a map, and costs at worst the longest chain that the configuration's own
//! keys make. So the hash is a fast one without a key (FNV-1a, draft-eastlake-fnv).

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A map from names in the configuration.
pub(crate) type Lookup<K, V> = HashMap<K, V, BuildHasherDefault<Fnv1a>>;

/// FNV-1a, 64 bits.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fnv1a(u64);

impl Default for Fnv1a {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for Fnv1a {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u8(byte);
        }
    }

    fn write_u8(&mut self, byte: u8) {
        self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    }

    fn finish(&self) -> u64 {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_published_vectors() {
        for (text, hash) in
            [("", 0xcbf2_9ce4_8422_2325), ("a", 0xaf63_dc4c_8601_ec8c), ("foobar", 0x8594_4171_f739_67e8)]
        {
            let mut hasher = Fnv1a::default();
            hasher.write(text.as_bytes());
            assert_eq!(hasher.finish(), hash, "{text}");
        }
    }
}
