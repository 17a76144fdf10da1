//! The signature algorithms (RFC 7518 section 3, RFC 8037 section 3.1), and everything that differs between them.
//!
//! The key determines the algorithm (RFC 8725 section 3.1); the token cannot choose it. A shared secret makes MACs, and a
//! public key verifies signatures: a type for each keeps one from being taken for the other.

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// The algorithm of a key's tokens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// That of a shared secret.
    Mac(MacAlgorithm),
    /// That of a public key.
    Public(PublicAlgorithm),
}

/// An algorithm of shared secrets.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "UPPERCASE"))]
pub enum MacAlgorithm {
    /// HMAC with SHA-256 (RFC 7518 section 3.2).
    #[default]
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

/// An algorithm of public keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PublicAlgorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 7518 section 3.3).
    #[default]
    Rs256,
    /// RSASSA-PKCS1-v1_5 with SHA-384.
    Rs384,
    /// RSASSA-PKCS1-v1_5 with SHA-512.
    Rs512,
    /// ECDSA on P-256 with SHA-256 (RFC 7518 section 3.4).
    Es256,
    /// ECDSA on P-384 with SHA-384.
    Es384,
    /// Ed25519 (RFC 8037 section 3.1).
    EdDsa,
    /// RSASSA-PSS with SHA-256 (RFC 7518 section 3.5). Envoy does not verify it.
    #[cfg(feature = "native-signatures")]
    Ps256,
    /// RSASSA-PSS with SHA-384.
    #[cfg(feature = "native-signatures")]
    Ps384,
    /// RSASSA-PSS with SHA-512.
    #[cfg(feature = "native-signatures")]
    Ps512,
}

impl Algorithm {
    /// Its name in `alg`, which is case-sensitive (RFC 7515 section 4.1.1).
    pub const fn name(self) -> &'static str {
        match self {
            Self::Mac(algorithm) => algorithm.name(),
            Self::Public(algorithm) => algorithm.name(),
        }
    }
}

impl MacAlgorithm {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Hs256, Self::Hs384, Self::Hs512];

    /// Its name in `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    /// The length of a MAC, in bytes.
    pub const fn mac_bytes(self) -> usize {
        match self {
            Self::Hs256 => 32,
            Self::Hs384 => 48,
            Self::Hs512 => 64,
        }
    }

    /// The length of the shortest secret, in bytes: that of the hash (RFC 7518 section 3.2).
    pub const fn least_secret_bytes(self) -> usize {
        self.mac_bytes()
    }
}

impl PublicAlgorithm {
    /// All of them.
    #[cfg(not(feature = "native-signatures"))]
    pub const ALL: [Self; 6] = [Self::Rs256, Self::Rs384, Self::Rs512, Self::Es256, Self::Es384, Self::EdDsa];
    /// All of them.
    #[cfg(feature = "native-signatures")]
    pub const ALL: [Self; 9] = [
        Self::Rs256,
        Self::Rs384,
        Self::Rs512,
        Self::Es256,
        Self::Es384,
        Self::EdDsa,
        Self::Ps256,
        Self::Ps384,
        Self::Ps512,
    ];

    /// Its name in `alg`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Rs384 => "RS384",
            Self::Rs512 => "RS512",
            Self::Es256 => "ES256",
            Self::Es384 => "ES384",
            Self::EdDsa => "EdDSA",
            #[cfg(feature = "native-signatures")]
            Self::Ps256 => "PS256",
            #[cfg(feature = "native-signatures")]
            Self::Ps384 => "PS384",
            #[cfg(feature = "native-signatures")]
            Self::Ps512 => "PS512",
        }
    }

    /// Whether the host verifies its signatures. The others are verified here.
    pub(crate) const fn is_hosts(self) -> bool {
        match self {
            Self::Rs256 | Self::Rs384 | Self::Rs512 | Self::Es256 | Self::Es384 => true,
            Self::EdDsa => false,
            #[cfg(feature = "native-signatures")]
            Self::Ps256 | Self::Ps384 | Self::Ps512 => false,
        }
    }

    /// The algorithm of this name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }
}

/// A set of algorithms of public keys.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PublicAlgorithms(u16);

impl PublicAlgorithms {
    /// All of them.
    #[cfg(not(feature = "native-signatures"))]
    pub const ALL: Self = Self(0x3f);
    /// All of them.
    #[cfg(feature = "native-signatures")]
    pub const ALL: Self = Self(0x1ff);

    /// Those of RSA.
    #[cfg(not(feature = "native-signatures"))]
    pub const RSA: Self = Self(0x7);
    /// Those of RSA.
    #[cfg(feature = "native-signatures")]
    pub const RSA: Self = Self(0x1c7);

    /// Whether this one is among them.
    pub const fn contains(self, algorithm: PublicAlgorithm) -> bool {
        self.0 & Self::only(algorithm).0 != 0
    }

    /// This one alone.
    pub const fn only(algorithm: PublicAlgorithm) -> Self {
        Self(match algorithm {
            PublicAlgorithm::Rs256 => 1,
            PublicAlgorithm::Rs384 => 2,
            PublicAlgorithm::Rs512 => 4,
            PublicAlgorithm::Es256 => 8,
            PublicAlgorithm::Es384 => 16,
            PublicAlgorithm::EdDsa => 32,
            #[cfg(feature = "native-signatures")]
            PublicAlgorithm::Ps256 => 64,
            #[cfg(feature = "native-signatures")]
            PublicAlgorithm::Ps384 => 128,
            #[cfg(feature = "native-signatures")]
            PublicAlgorithm::Ps512 => 256,
        })
    }

    /// Those that both sets have.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Those that either set has.
    #[must_use]
    pub const fn or(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether the set is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The set as a number, for [`Self::from_bits`].
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The set of this number; what is no algorithm is left out.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & Self::ALL.0)
    }
}

impl FromIterator<PublicAlgorithm> for PublicAlgorithms {
    fn from_iter<I: IntoIterator<Item = PublicAlgorithm>>(algorithms: I) -> Self {
        algorithms.into_iter().map(Self::only).fold(Self::default(), Self::or)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_that_of_one_algorithm_in_its_own_letter_case() {
        for algorithm in PublicAlgorithm::ALL {
            assert_eq!(PublicAlgorithm::named(algorithm.name()), Some(algorithm));
        }
        for name in ["HS256", "none", "rs256", "EDDSA", "ps256", "ES512", "ES256K", ""] {
            assert_eq!(PublicAlgorithm::named(name), None, "{name}");
        }
    }

    #[test]
    fn a_set_has_what_it_was_made_of() {
        for algorithm in PublicAlgorithm::ALL {
            for other in PublicAlgorithm::ALL {
                assert_eq!(PublicAlgorithms::only(algorithm).contains(other), algorithm == other);
            }
            assert!(PublicAlgorithms::ALL.contains(algorithm));
        }
        let two: PublicAlgorithms = [PublicAlgorithm::Rs256, PublicAlgorithm::EdDsa].into_iter().collect();
        assert_eq!(two.and(PublicAlgorithms::only(PublicAlgorithm::Es256)), PublicAlgorithms::default());
        assert_eq!(PublicAlgorithms::from_bits(two.bits()), two);
        assert_eq!(PublicAlgorithms::from_bits(0xffff), PublicAlgorithms::ALL);
        assert!(PublicAlgorithms::default().is_empty() && !two.is_empty());
    }
}
