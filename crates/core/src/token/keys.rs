//! Which key may verify which token, and when?

mod ring;

use std::sync::Arc;

use super::algorithm::{Algorithm, PublicAlgorithm};
use super::key_set::rule::KeySetRule;
use super::public_key::PublicKey;
use super::public_key::jwk::Jwk;
use super::secret::Secret;
use super::signature::{SignatureFault, SignatureHost};
use crate::index::KeySetIndex;
use crate::time::UnixNanos;
pub use ring::KeyRing;

/// The longest kid of a configured key, bytes.
pub const LONGEST_KID: usize = 128;

/// Whether a configuration may give a key this kid.
pub fn is_kid(kid: &str) -> bool {
    (1..=LONGEST_KID).contains(&kid.len()) && kid.bytes().all(|byte| byte.is_ascii_graphic())
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

/// The key that verified a token.
#[derive(Debug, Clone)]
pub enum SigningKey {
    /// One of the configuration.
    Configured(KeyId),
    /// One of a key set, which may have left it since.
    OfSet {
        /// The set.
        set: KeySetIndex,
        /// The key.
        key: Arc<Jwk>,
    },
}

impl SigningKey {
    /// The key, if it is one of the configuration.
    pub fn configured(&self) -> Option<KeyId> {
        match self {
            Self::Configured(key) => Some(*key),
            Self::OfSet { .. } => None,
        }
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
    pub(crate) algorithm: Algorithm,
    /// `None` only if a configuration is checked without its environment. The key then verifies nothing.
    pub(crate) material: Option<KeyMaterial>,
    /// The issuers that it vouches for; empty: those that no key names.
    pub(crate) issuers: Vec<String>,
    /// The audiences that it vouches for; empty: those of the policy.
    pub(crate) audiences: Vec<String>,
    pub(crate) not_before: UnixNanos,
    pub(crate) not_after: UnixNanos,
}

/// What a key verifies with.
#[derive(Debug)]
pub enum KeyMaterial {
    /// A shared secret.
    Secret(Secret),
    /// A public key, and its one algorithm.
    Public(PublicAlgorithm, PublicKey),
}

impl Key {
    /// Whether `signature` over `signing_input` was made with this key.
    ///
    /// # Errors
    ///
    /// [`SignatureFault`] if the host cannot tell.
    pub fn verifies(
        &self,
        signing_input: &[u8],
        signature: &[u8],
        host: &dyn SignatureHost,
    ) -> Result<bool, SignatureFault> {
        match &self.material {
            None => Ok(false),
            Some(KeyMaterial::Secret(secret)) => Ok(secret.verifies(signing_input, signature)),
            Some(KeyMaterial::Public(algorithm, key)) => {
                key.verifies(*algorithm, signing_input, signature, host)
            }
        }
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

    /// Whether this set is one of them. A set always names issuers, and a token that names none can mean none.
    pub fn includes_set(self, rule: &KeySetRule) -> bool {
        match self {
            Self::Naming(issuer) => rule.names(issuer),
            Self::All | Self::NamingNone => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::algorithm::MacAlgorithm;

    fn ring(kids: &[Option<&str>]) -> KeyRing {
        let key = |kid: &Option<&str>| Key {
            kid: kid.map(str::to_owned),
            algorithm: Algorithm::Mac(MacAlgorithm::Hs256),
            material: Secret::from_bytes(MacAlgorithm::Hs256, &[1; 32]).map(KeyMaterial::Secret),
            issuers: Vec::new(),
            audiences: Vec::new(),
            not_before: UnixNanos::from_seconds(100),
            not_after: UnixNanos::from_seconds(200),
        };
        KeyRing::new(kids.iter().map(key).collect(), Vec::new())
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
