//! Public keys: which are strong enough to be used, and for which algorithms?
//!
//! A key that exists is sound: an RSA modulus of 2048 to 4096 bits with the exponent 65537, a point on P-256 or P-384, or a
//! point of Ed25519 that is not of low order. Hosts that verify signatures do not check that. Knows no token and no time.
//!
//! - `jwk.rs`: reads a JSON Web Key (RFC 7517).
//! - `pem.rs`: reads a key in PEM (RFC 7468).
//! - `curve.rs`: is a point on its curve?
//! - `der.rs`: the little of DER that keys and signatures need.

pub(super) mod curve;
pub(super) mod der;
pub mod jwk;
pub mod pem;

use std::fmt;

use super::algorithm::{PublicAlgorithm, PublicAlgorithms};
use curve::{Curve, P256, P384};

/// A public key. Two are equal if they are the same key.
#[derive(Clone, PartialEq, Eq)]
pub struct PublicKey {
    kind: KeyKind,
    /// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) in DER, which ends with what is kept of an elliptic curve's point.
    spki: Box<[u8]>,
}

/// What kind of key it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyKind {
    /// RSA.
    Rsa {
        /// The length of the modulus, and so of each signature, bytes.
        modulus_bytes: usize,
    },
    /// A point on P-256.
    P256,
    /// A point on P-384.
    P384,
    /// A point of Ed25519.
    Ed25519,
}

/// Why a key is not used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyFault {
    /// Not a JSON object of the right form: a member is missing, is of another type, repeated, or not base64url.
    Malformed,
    /// `kty` or `crv` names what no supported algorithm uses.
    UnknownType,
    /// A shared secret (`oct`), which has no business in a public document.
    Symmetric,
    /// It contains members of a private key.
    Private,
    /// `use` or `key_ops` says that it is not for verifying signatures.
    NotForSignatures,
    /// `alg` names an algorithm that is not supported, or not one of this kind of key.
    Algorithm,
    /// An RSA modulus of fewer than 2048 or more than 4096 bits, or an even one.
    RsaModulus,
    /// An RSA exponent that is not 65537.
    RsaExponent,
    /// Not a point on its curve, or one of low order.
    Point,
    /// Not PEM with the label `PUBLIC KEY`.
    NotPem,
    /// Not a SubjectPublicKeyInfo in DER of a supported kind.
    NotSpki,
    /// Another key of the same algorithm has the same kid.
    SharedKid,
    /// The set does not accept the algorithms of this key.
    NotAccepted,
}

impl KeyFault {
    /// What is wrong, in words.
    pub const fn why(self) -> &'static str {
        match self {
            Self::Malformed => "not a JSON Web Key of the right form (RFC 7517)",
            Self::UnknownType => "a key type or curve that is not supported",
            Self::Symmetric => "a shared secret among public keys",
            Self::Private => "members of a private key",
            Self::NotForSignatures => "not a key for verifying signatures",
            Self::Algorithm => "an algorithm that is not supported, or not one of this kind of key",
            Self::RsaModulus => "an RSA modulus that is even or has not 2048 to 4096 bits",
            Self::RsaExponent => "an RSA exponent that is not 65537",
            Self::Point => "not a point on the curve, or one of low order",
            Self::NotPem => "not PEM with the label PUBLIC KEY (RFC 7468)",
            Self::NotSpki => "not a public key of a supported kind in DER (RFC 5280)",
            Self::SharedKid => "the kid of another key of the same algorithm",
            Self::NotAccepted => "an algorithm that the set does not accept",
        }
    }
}

/// The least and the largest length of an RSA modulus, bits (RFC 7518 section 3.3 has the least).
const MODULUS_BITS: std::ops::RangeInclusive<u32> = 2048..=4096;

/// AlgorithmIdentifier of RSA: rsaEncryption with NULL (RFC 3279 section 2.3.1).
const RSA: &[u8] = b"\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01\x05\x00";
/// SubjectPublicKeyInfo of a point on P-256, up to its coordinates: ecPublicKey, secp256r1, uncompressed (RFC 5480).
const P256_PREFIX: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x86\x48\xce\x3d\x03\x01\x07\x03\x42\x00\x04";
/// The same of a point on P-384: ecPublicKey, secp384r1.
const P384_PREFIX: &[u8] =
    b"\x30\x76\x30\x10\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x05\x2b\x81\x04\x00\x22\x03\x62\x00\x04";
/// The same of a point of Ed25519 (RFC 8410 section 4).
const ED25519_PREFIX: &[u8] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

impl PublicKey {
    /// The RSA key with this modulus and exponent, big-endian; zeros in front do not matter.
    ///
    /// # Errors
    ///
    /// [`KeyFault::RsaModulus`] and [`KeyFault::RsaExponent`].
    pub fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyFault> {
        let modulus = der::trim(modulus);
        let (Some(first), Some(last)) = (modulus.first(), modulus.last()) else {
            return Err(KeyFault::RsaModulus);
        };
        let bits = u32::try_from(modulus.len()).ok().and_then(|bytes| bytes.checked_mul(8));
        let bits = bits.and_then(|bits| bits.checked_sub(first.leading_zeros()));
        if !bits.is_some_and(|bits| MODULUS_BITS.contains(&bits)) || last & 1 == 0 {
            return Err(KeyFault::RsaModulus);
        }
        if der::trim(exponent) != [1, 0, 1] {
            return Err(KeyFault::RsaExponent);
        }
        let mut numbers = Vec::new();
        der::write_natural(&mut numbers, modulus);
        der::write_natural(&mut numbers, &[1, 0, 1]);
        // A BIT STRING begins with the number of bits that are missing from its last byte.
        let mut bits = vec![0];
        der::write(&mut bits, der::SEQUENCE, &numbers);
        let mut content = RSA.to_vec();
        der::write(&mut content, der::BIT_STRING, &bits);
        let mut spki = Vec::new();
        der::write(&mut spki, der::SEQUENCE, &content);
        Ok(Self { kind: KeyKind::Rsa { modulus_bytes: modulus.len() }, spki: spki.into() })
    }

    /// The key whose point on P-256 has these coordinates, 32 big-endian bytes each.
    ///
    /// # Errors
    ///
    /// [`KeyFault::Point`].
    pub fn p256(x: &[u8], y: &[u8]) -> Result<Self, KeyFault> {
        Self::on_curve(KeyKind::P256, &P256, P256_PREFIX, x, y)
    }

    /// The key whose point on P-384 has these coordinates, 48 big-endian bytes each.
    ///
    /// # Errors
    ///
    /// [`KeyFault::Point`].
    pub fn p384(x: &[u8], y: &[u8]) -> Result<Self, KeyFault> {
        Self::on_curve(KeyKind::P384, &P384, P384_PREFIX, x, y)
    }

    fn on_curve(kind: KeyKind, curve: &Curve, prefix: &[u8], x: &[u8], y: &[u8]) -> Result<Self, KeyFault> {
        if !curve.has(x, y) {
            return Err(KeyFault::Point);
        }
        Ok(Self { kind, spki: [prefix, x, y].concat().into() })
    }

    /// The key that is this encoded point of Ed25519 (RFC 8032 section 5.1.5).
    ///
    /// # Errors
    ///
    /// [`KeyFault::Point`].
    pub fn ed25519(point: &[u8]) -> Result<Self, KeyFault> {
        let key = ed25519_compact::PublicKey::from_slice(point).map_err(|_| KeyFault::Point)?;
        key.validate().map_err(|_| KeyFault::Point)?;
        Ok(Self { kind: KeyKind::Ed25519, spki: [ED25519_PREFIX, point].concat().into() })
    }

    /// The key that this SubjectPublicKeyInfo describes. Only what this module would write itself is accepted: no other
    /// encoding, no compressed points, nothing behind it.
    ///
    /// # Errors
    ///
    /// [`KeyFault::NotSpki`] if it is none of a supported kind, otherwise what is wrong with the key.
    pub fn from_spki(bytes: &[u8]) -> Result<Self, KeyFault> {
        let halves = |point: &'_ [u8]| point.len() / 2;
        let key = if let Some(point) = bytes.strip_prefix(P256_PREFIX) {
            let (x, y) = point.split_at_checked(halves(point)).ok_or(KeyFault::NotSpki)?;
            Self::p256(x, y)?
        } else if let Some(point) = bytes.strip_prefix(P384_PREFIX) {
            let (x, y) = point.split_at_checked(halves(point)).ok_or(KeyFault::NotSpki)?;
            Self::p384(x, y)?
        } else if let Some(point) = bytes.strip_prefix(ED25519_PREFIX) {
            Self::ed25519(point)?
        } else {
            let (modulus, exponent) = rsa_numbers(bytes).ok_or(KeyFault::NotSpki)?;
            Self::rsa(modulus, exponent)?
        };
        if *key.spki == *bytes { Ok(key) } else { Err(KeyFault::NotSpki) }
    }

    /// What kind of key it is.
    pub fn kind(&self) -> KeyKind {
        self.kind
    }

    /// SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) in DER.
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// The encoded point, if it is a key of Ed25519.
    pub(super) fn ed25519_point(&self) -> Option<&[u8; 32]> {
        match self.kind {
            KeyKind::Ed25519 => self.spki.last_chunk(),
            KeyKind::Rsa { .. } | KeyKind::P256 | KeyKind::P384 => None,
        }
    }
}

impl KeyKind {
    /// The algorithms that a key of this kind can have. An elliptic curve has one (RFC 7518 section 3.4).
    pub const fn algorithms(self) -> PublicAlgorithms {
        match self {
            Self::Rsa { .. } => PublicAlgorithms::RSA,
            Self::P256 => PublicAlgorithms::only(PublicAlgorithm::Es256),
            Self::P384 => PublicAlgorithms::only(PublicAlgorithm::Es384),
            Self::Ed25519 => PublicAlgorithms::only(PublicAlgorithm::EdDsa),
        }
    }

    /// The algorithm of a key for which nobody names one.
    pub const fn usual_algorithm(self) -> PublicAlgorithm {
        match self {
            Self::Rsa { .. } => PublicAlgorithm::Rs256,
            Self::P256 => PublicAlgorithm::Es256,
            Self::P384 => PublicAlgorithm::Es384,
            Self::Ed25519 => PublicAlgorithm::EdDsa,
        }
    }
}

/// The modulus and the exponent of an RSA key's SubjectPublicKeyInfo.
fn rsa_numbers(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (content, _) = der::read(bytes, der::SEQUENCE)?;
    let (bits, _) = der::read(content.strip_prefix(RSA)?, der::BIT_STRING)?;
    let (numbers, _) = der::read(bits.strip_prefix(&[0])?, der::SEQUENCE)?;
    let (modulus, rest) = der::read(numbers, der::INTEGER)?;
    let (exponent, _) = der::read(rest, der::INTEGER)?;
    Some((modulus, exponent))
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.kind.fmt(f)
    }
}

#[cfg(test)]
mod tests;
