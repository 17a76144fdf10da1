//! Which key may verify which token, and when?

use super::algorithm::MacAlgorithm;
use super::secret::Secret;
use crate::time::UnixNanos;

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
    /// The algorithm of its tokens, and of no others.
    pub(crate) algorithm: MacAlgorithm,
    /// `None` only if a configuration is checked without its environment. The key then verifies nothing.
    pub(crate) secret: Option<Secret>,
    /// The issuers that it vouches for; empty: those that no key names.
    pub(crate) issuers: Vec<String>,
    /// The audiences that it vouches for; empty: those of the policy.
    pub(crate) audiences: Vec<String>,
    pub(crate) not_before: UnixNanos,
    pub(crate) not_after: UnixNanos,
}

impl Key {
    /// Whether `signature` over `signing_input` was made with this key.
    pub fn verifies(&self, signing_input: &[u8], signature: &[u8]) -> bool {
        self.secret.as_ref().is_some_and(|secret| secret.verifies(signing_input, signature))
    }

    fn valid(&self, now: UnixNanos) -> bool {
        self.not_before <= now && now < self.not_after
    }

    fn names(&self, issuer: &str) -> bool {
        self.issuers.iter().any(|known| known == issuer)
    }
}

/// Which keys vouch for a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Vouching<'t> {
    /// All: the issuer chooses none.
    All,
    /// Those that name this issuer.
    Naming(&'t str),
    /// Those that name no issuer.
    NamingNone,
}

impl Vouching<'_> {
    /// Whether this key is one of them.
    pub fn includes(self, key: &Key) -> bool {
        match self {
            Self::All => true,
            Self::Naming(issuer) => key.names(issuer),
            Self::NamingNone => key.issuers.is_empty(),
        }
    }
}

/// All keys of one revision of a key set.
#[derive(Debug)]
pub struct KeyRing {
    revision: KeySetRevision,
    keys: Vec<Key>,
    names_issuers: bool,
}

impl KeyRing {
    /// The ring of these keys.
    pub(crate) fn new(revision: KeySetRevision, keys: Vec<Key>) -> Self {
        let names_issuers = keys.iter().any(|key| !key.issuers.is_empty());
        Self { revision, keys, names_issuers }
    }

    /// The revision of the key set.
    pub const fn revision(&self) -> KeySetRevision {
        self.revision
    }

    /// Whether any key names issuers, so that a token's issuer chooses its keys.
    pub const fn names_issuers(&self) -> bool {
        self.names_issuers
    }

    /// Which keys vouch for tokens of this issuer: those that name it, or else those that name none.
    pub fn vouching<'t>(&self, issuer: Option<&'t str>) -> Vouching<'t> {
        match issuer {
            Some(issuer) if self.keys.iter().any(|key| key.names(issuer)) => Vouching::Naming(issuer),
            Some(_) | None => Vouching::NamingNone,
        }
    }

    /// Whether there is such a key.
    pub fn any_vouches(&self, vouching: Vouching<'_>) -> bool {
        self.keys.iter().any(|key| vouching.includes(key))
    }

    /// Whether tokens of more than one issuer may be accepted, so far as the configuration names issuers. `others`: those
    /// of keys that name none; empty: any.
    pub(crate) fn vouches_for_several(&self, others: &[String]) -> bool {
        let mut all = self.keys.iter().flat_map(|key| &key.issuers).chain(others);
        let first = all.next();
        let any = others.is_empty() && self.keys.iter().any(|key| key.issuers.is_empty());
        first.is_some_and(|first| any || all.any(|other| other != first))
    }

    /// Whether any key has the algorithm of this name.
    pub fn has_algorithm(&self, name: &str) -> bool {
        self.keys.iter().any(|key| key.algorithm.name() == name)
    }

    /// The keys that a token may mean by its kid. A token with a kid means that key only. A token without one means every
    /// key without a kid, or every key if all that vouch for it have one. Keys without a secret and keys outside their
    /// validity are left out.
    pub fn named<'r>(
        &'r self,
        kid: Option<&'r str>,
        vouching: Vouching<'_>,
        now: UnixNanos,
    ) -> impl Iterator<Item = (KeyId, &'r Key)> {
        let any = kid.is_none()
            && self.keys.iter().filter(|key| vouching.includes(key)).all(|key| key.kid.is_some());
        self.keys
            .iter()
            .enumerate()
            .filter(move |(_, key)| any || key.kid.as_deref() == kid)
            .filter(move |(_, key)| key.secret.is_some() && key.valid(now))
            .map(|(index, key)| (KeyId(index), key))
    }

    /// This key.
    pub fn key(&self, key: KeyId) -> Option<&Key> {
        self.keys.get(key.0)
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
            algorithm: MacAlgorithm::Hs256,
            secret: Secret::from_bytes(MacAlgorithm::Hs256, &[1; 32]),
            issuers: Vec::new(),
            audiences: Vec::new(),
            not_before: UnixNanos::from_seconds(100),
            not_after: UnixNanos::from_seconds(200),
        };
        KeyRing::new(KeySetRevision::CONFIGURED, kids.iter().map(key).collect())
    }

    fn chosen(ring: &KeyRing, kid: Option<&str>, second: u64) -> Vec<usize> {
        ring.named(kid, Vouching::All, UnixNanos::from_seconds(second)).map(|(key, _)| key.index()).collect()
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
}
