//! Which key may verify which token, and when? Only this module uses jwt-simple.

use std::fmt;

use jwt_simple::algorithms::{HS256Key, MACLike};

use super::algorithm::Algorithm;
use crate::time::UnixNanos;

/// The shortest secret that a key can have, in bytes.
pub const LEAST_SECRET_BYTES: usize = Algorithm::Hs256.least_secret_bytes();

/// A shared secret of at least 32 bytes. Never printed.
#[derive(Clone)]
pub struct Secret(HS256Key);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Secret {
    /// A secret of these bytes; `None` if there are fewer than 32.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= LEAST_SECRET_BYTES).then(|| Self(HS256Key::from_bytes(bytes)))
    }

    /// The MAC over `signing_input`, for signing.
    pub fn mac(&self, signing_input: &[u8]) -> Vec<u8> {
        self.0.authentication_tag(signing_input)
    }

    /// Whether `mac` is the whole MAC over `signing_input`; compared in constant time.
    pub fn verifies(&self, signing_input: &[u8], mac: &[u8]) -> bool {
        // The length is public, so a truncated MAC may be refused without a comparison.
        mac.len() == Algorithm::Hs256.signature_bytes() && ct_codecs::verify(&self.mac(signing_input), mac)
    }
}

/// A key of a ring, by its index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeyId(usize);

impl KeyId {
    /// The key at `index` of its ring.
    pub const fn new(index: usize) -> Self {
        Self(index)
    }

    /// The index of the key in its ring.
    pub const fn index(self) -> usize {
        self.0
    }
}

/// The revision of a key set. A token that was verified with one revision is verified again with the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KeySetRevision(u64);

impl KeySetRevision {
    /// The keys in the configuration, which never change.
    pub const CONFIGURED: Self = Self(0);

    /// The revision of this number.
    pub const fn new(number: u64) -> Self {
        Self(number)
    }
}

/// One key.
#[derive(Debug)]
pub struct Key {
    pub(crate) kid: Option<String>,
    /// `None` only if a configuration is checked without its environment. The key then verifies nothing.
    pub(crate) secret: Option<Secret>,
    pub(crate) not_before: UnixNanos,
    pub(crate) not_after: UnixNanos,
}

impl Key {
    /// The algorithm of the key. A shared secret is only for HS256.
    pub const fn algorithm(&self) -> Algorithm {
        Algorithm::Hs256
    }

    /// Whether `signature` over `signing_input` was made with this key.
    pub fn verifies(&self, signing_input: &[u8], signature: &[u8]) -> bool {
        self.secret.as_ref().is_some_and(|secret| secret.verifies(signing_input, signature))
    }

    fn valid(&self, now: UnixNanos) -> bool {
        self.not_before <= now && now < self.not_after
    }
}

/// All keys of one revision of a key set.
#[derive(Debug)]
pub struct KeyRing {
    revision: KeySetRevision,
    keys: Vec<Key>,
    every_key_has_a_kid: bool,
}

impl KeyRing {
    /// The ring of these keys.
    pub(crate) fn new(revision: KeySetRevision, keys: Vec<Key>) -> Self {
        let every_key_has_a_kid = keys.iter().all(|key| key.kid.is_some());
        Self { revision, keys, every_key_has_a_kid }
    }

    /// The revision of the key set.
    pub const fn revision(&self) -> KeySetRevision {
        self.revision
    }

    /// Whether any key has the algorithm of this name.
    pub fn has_algorithm(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.algorithm().name() == name)
    }

    /// The keys to try for a token. A token with a kid is checked with that key only. A token without one is checked
    /// with every key without a kid, or with all keys if all have one. Keys without a secret and keys outside their
    /// validity are left out.
    pub fn candidates(&self, kid: Option<&str>, now: UnixNanos) -> impl Iterator<Item = (KeyId, &Key)> {
        let any = kid.is_none() && self.every_key_has_a_kid;
        self.keys
            .iter()
            .enumerate()
            .filter(move |(_, key)| any || key.kid.as_deref() == kid)
            .filter(move |(_, key)| key.secret.is_some() && key.valid(now))
            .map(|(index, key)| (KeyId(index), key))
    }

    /// Whether this key is within its validity.
    pub fn valid(&self, key: KeyId, now: UnixNanos) -> bool {
        self.keys.get(key.0).is_some_and(|key| key.valid(now))
    }

    /// The kid of this key.
    pub fn kid(&self, key: KeyId) -> Option<&str> {
        self.keys.get(key.0).and_then(|key| key.kid.as_deref())
    }

    /// Every key's kid, in the order of the ring.
    pub fn kids(&self) -> impl Iterator<Item = Option<&str>> {
        self.keys.iter().map(|key| key.kid.as_deref())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ring(kids: &[Option<&str>]) -> KeyRing {
        let key = |kid: &Option<&str>| Key {
            kid: kid.map(str::to_owned),
            secret: Secret::from_bytes(&[1; 32]),
            not_before: UnixNanos::from_seconds(100),
            not_after: UnixNanos::from_seconds(200),
        };
        KeyRing::new(KeySetRevision::CONFIGURED, kids.iter().map(key).collect())
    }

    fn chosen(ring: &KeyRing, kid: Option<&str>, second: u64) -> Vec<usize> {
        ring.candidates(kid, UnixNanos::from_seconds(second)).map(|(key, _)| key.index()).collect()
    }

    #[test]
    fn a_kid_chooses_its_key_and_no_other() {
        let mixed = ring(&[Some("a"), None, Some("b"), None]);
        assert_eq!(chosen(&mixed, Some("b"), 150), [2]);
        assert_eq!(chosen(&mixed, None, 150), [1, 3]);
        assert!(chosen(&mixed, Some("c"), 150).is_empty());
        assert_eq!(chosen(&ring(&[Some("a"), Some("b")]), None, 150), [0, 1]);
        assert!(chosen(&ring(&[None]), Some("a"), 150).is_empty());
    }

    #[test]
    fn a_key_verifies_only_within_its_validity() {
        let one = ring(&[None]);
        assert!(chosen(&one, None, 99).is_empty());
        assert_eq!(chosen(&one, None, 100), [0]);
        assert_eq!(chosen(&one, None, 199), [0]);
        assert!(chosen(&one, None, 200).is_empty());
    }

    #[test]
    fn a_short_secret_is_none_and_a_secret_is_never_printed() {
        assert!(Secret::from_bytes(&[1; 31]).is_none());
        assert_eq!(format!("{:?}", Secret::from_bytes(&[1; 32]).unwrap()), "<secret>");
    }
}
