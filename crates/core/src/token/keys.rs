//! Which key may verify which token, and when. The only place that names jwt-simple.
//!
//! The key fixes the algorithm (RFC 8725 section 3.1): there is one, HS256, and nothing that a token says changes it.

use std::fmt;

use jwt_simple::algorithms::{HS256Key, MACLike};

use crate::time::UnixNanos;

/// The one algorithm, compared with letter case (RFC 7515 section 4.1.1).
pub const ALGORITHM: &str = "HS256";
/// RFC 7518 section 3.2: a key of at least the hash's size.
pub const LEAST_SECRET_BYTES: usize = 32;

/// A shared secret of at least 32 bytes. Never printed.
#[derive(Clone)]
pub struct Secret(HS256Key);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Secret {
    /// `None` if there are fewer than 32 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        (bytes.len() >= LEAST_SECRET_BYTES).then(|| Self(HS256Key::from_bytes(bytes)))
    }

    /// The MAC over `signing_input`, for signing.
    pub fn mac(&self, signing_input: &[u8]) -> Vec<u8> {
        self.0.authentication_tag(signing_input)
    }

    /// Whether `mac` is the MAC over `signing_input`; constant time.
    pub fn verifies(&self, signing_input: &[u8], mac: &[u8; 32]) -> bool {
        ct_codecs::verify(&self.mac(signing_input), mac)
    }
}

/// One configured key.
#[derive(Debug)]
pub struct Key {
    pub(crate) kid: Option<String>,
    /// Absent only where a configuration is checked without its environment: then the key verifies nothing.
    pub(crate) secret: Option<Secret>,
    pub(crate) not_before: UnixNanos,
    pub(crate) not_after: UnixNanos,
}

impl Key {
    fn valid(&self, now: UnixNanos) -> bool {
        self.not_before <= now && now < self.not_after
    }
}

/// All configured keys.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<Key>,
    every_key_has_a_kid: bool,
}

impl KeyRing {
    /// The ring of these keys.
    pub(crate) fn new(keys: Vec<Key>) -> Self {
        let every_key_has_a_kid = keys.iter().all(|key| key.kid.is_some());
        Self { keys, every_key_has_a_kid }
    }

    /// The secrets to try for a token, with their places. A token naming a kid is checked with that key only; a token
    /// naming none with every key that has none, or with all keys if all have one. Keys outside their validity are out.
    pub fn candidates(&self, kid: Option<&str>, now: UnixNanos) -> impl Iterator<Item = (usize, &Secret)> {
        let any = kid.is_none() && self.every_key_has_a_kid;
        self.keys
            .iter()
            .enumerate()
            .filter(move |(_, key)| (any || key.kid.as_deref() == kid) && key.valid(now))
            .filter_map(|(place, key)| key.secret.as_ref().map(|secret| (place, secret)))
    }

    /// Whether the key at `place` is within its validity.
    pub fn valid(&self, place: usize, now: UnixNanos) -> bool {
        self.keys.get(place).is_some_and(|key| key.valid(now))
    }

    /// The kid of the key at `place`.
    pub fn kid(&self, place: usize) -> Option<&str> {
        self.keys.get(place).and_then(|key| key.kid.as_deref())
    }

    /// Every key's kid, in the order of the configuration.
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
        KeyRing::new(kids.iter().map(key).collect())
    }

    fn places(ring: &KeyRing, kid: Option<&str>, second: u64) -> Vec<usize> {
        ring.candidates(kid, UnixNanos::from_seconds(second)).map(|(place, _)| place).collect()
    }

    #[test]
    fn a_kid_chooses_its_key_and_no_other() {
        let mixed = ring(&[Some("a"), None, Some("b"), None]);
        assert_eq!(places(&mixed, Some("b"), 150), [2]);
        assert_eq!(places(&mixed, None, 150), [1, 3]);
        assert!(places(&mixed, Some("c"), 150).is_empty());
        assert_eq!(places(&ring(&[Some("a"), Some("b")]), None, 150), [0, 1]);
        assert!(places(&ring(&[None]), Some("a"), 150).is_empty());
    }

    #[test]
    fn a_key_verifies_only_within_its_validity() {
        let one = ring(&[None]);
        assert!(places(&one, None, 99).is_empty());
        assert_eq!(places(&one, None, 100), [0]);
        assert_eq!(places(&one, None, 199), [0]);
        assert!(places(&one, None, 200).is_empty());
    }

    #[test]
    fn a_short_secret_is_none_and_a_secret_is_never_printed() {
        assert!(Secret::from_bytes(&[1; 31]).is_none());
        assert_eq!(format!("{:?}", Secret::from_bytes(&[1; 32]).unwrap()), "<secret>");
    }
}
