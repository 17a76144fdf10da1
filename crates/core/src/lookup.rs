//! A map from names in the configuration to numbers. It is filled once and then only read.
//!
//! The standard hasher protects a map against whoever chooses its keys. Here that is the operator. A client only
//! chooses what is looked up, which adds nothing to the map and costs at worst the longest chain that the
//! configuration's own keys form. A fast hash without a key is therefore enough (FNV-1a, draft-eastlake-fnv). All such
//! maps have one type, because the code of each further one would add to the module.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use smallvec::SmallVec;

/// A name. Most stand in the map itself: of thousands each would be found cold elsewhere.
type Name = SmallVec<[u8; 24]>;

/// Numbers by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lookup(HashMap<Name, usize, BuildHasherDefault<Fnv1a>>);

impl Lookup {
    /// The number of `name`.
    pub fn get(&self, name: &str) -> Option<usize> {
        self.0.get(name.as_bytes()).copied()
    }

    /// Whether the map has this name.
    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name.as_bytes())
    }

    /// Enters a name. If it is there already, leaves it as it is and returns its number.
    pub fn enter(&mut self, name: &str, number: usize) -> Option<usize> {
        let known = self.get(name);
        if known.is_none() {
            self.0.insert(Name::from_slice(name.as_bytes()), number);
        }
        known
    }

    /// Whether the map has no names.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The length of the longest name, bytes; nothing longer needs to be looked up. Takes time linear in the number of
    /// names.
    pub fn longest(&self) -> usize {
        self.0.keys().map(|name| name.len()).max().unwrap_or(0)
    }
}

impl<'n> FromIterator<&'n str> for Lookup {
    /// The names, numbered in their order.
    fn from_iter<I: IntoIterator<Item = &'n str>>(names: I) -> Self {
        let mut lookup = Self::default();
        for (number, name) in names.into_iter().enumerate() {
            lookup.enter(name, number);
        }
        lookup
    }
}

/// FNV-1a, 64 bits.
#[derive(Debug, Clone, Copy)]
pub struct Fnv1a(u64);

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
    fn a_name_keeps_its_first_number() {
        let mut lookup: Lookup = ["a", "bcd", "a", "ef"].into_iter().collect();
        assert_eq!(
            ["a", "bcd", "ef", "g", ""].map(|name| lookup.get(name)),
            [Some(0), Some(1), Some(3), None, None]
        );
        assert_eq!(["a", "g"].map(|name| lookup.contains(name)), [true, false]);
        assert_eq!(lookup.enter("a", 9), Some(0));
        assert_eq!(lookup.enter("g", 9), None);
        assert_eq!(lookup.get("g"), Some(9));
        assert_eq!(lookup.longest(), 3);
        assert!(!lookup.is_empty());
        assert!(Lookup::default().is_empty());
        assert_eq!(Lookup::default().longest(), 0);
    }

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
