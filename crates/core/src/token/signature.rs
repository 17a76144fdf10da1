//! Was a signature made with the private key of this public key?
//!
//! RSA and ECDSA are the host's to verify ([`SignatureHost`]): a host that has a library for it is fast, and the module
//! stays small. Such a library accepts more than the algorithm allows, so the key, the hash and the length of the
//! signature are settled here first. Ed25519 is verified by jwt-simple's own crate, and so is RSASSA-PSS where the crate
//! for it is built in, because Envoy does not verify it. Shared secrets are in [`super::secret`].
//!
//! An ECDSA signature `(r, s)` has a second valid form `(r, n - s)`, and both are accepted: RFC 7518 demands neither, and
//! nothing here takes a signature for the identity of a token.

use super::algorithm::PublicAlgorithm;
use super::compact;
use super::public_key::curve::{Curve, P256, P384};
use super::public_key::der;
use super::public_key::{KeyKind, PublicKey};

/// The hash that is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SignedHash {
    /// SHA-256
    Sha256,
    /// SHA-384
    Sha384,
    /// SHA-512
    Sha512,
}

impl SignedHash {
    /// Its name as OpenSSL, BoringSSL and Envoy write it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Sha256 => "sha256",
            Self::Sha384 => "sha384",
            Self::Sha512 => "sha512",
        }
    }
}

/// A signature for the host to verify: RSASSA-PKCS1-v1_5 or ECDSA, as the key says.
#[derive(Debug, Clone, Copy)]
pub struct SignatureCheck<'a> {
    /// The hash of the message that was signed.
    pub hash: SignedHash,
    /// The key as SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7) in DER.
    pub key: &'a [u8],
    /// The signature: of RSA as it is, of ECDSA as Ecdsa-Sig-Value (RFC 3279 section 2.2.3) in DER.
    pub signature: &'a [u8],
    /// What was signed.
    pub message: &'a [u8],
}

/// The host could not say whether a signature is right.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignatureFault;

/// Verifies signatures for the core.
pub trait SignatureHost {
    /// Whether the signature is right.
    ///
    /// # Errors
    ///
    /// [`SignatureFault`] if the host cannot tell. The request is then refused.
    fn verify_signature(&self, check: &SignatureCheck<'_>) -> Result<bool, SignatureFault>;
}

/// A host that verifies nothing: every question is a fault.
#[derive(Debug, Clone, Copy)]
pub struct NoSignatures;

impl SignatureHost for NoSignatures {
    fn verify_signature(&self, _: &SignatureCheck<'_>) -> Result<bool, SignatureFault> {
        Err(SignatureFault)
    }
}

impl SignatureCheck<'_> {
    /// The check as the argument of Envoy's foreign function `verify_signature`: a message
    /// `envoy.source.extensions.common.wasm.VerifySignatureArguments` in protobuf, of `hash_function` (1), `public_key` (2),
    /// `signature` (3) and `text` (4).
    pub fn to_protobuf(&self) -> Vec<u8> {
        let fields = [self.hash.name().as_bytes(), self.key, self.signature, self.message];
        let sizes = fields.iter().map(|field| field.len().saturating_add(6));
        let mut message = Vec::with_capacity(sizes.fold(0, usize::saturating_add));
        for (tag, field) in [0x0a, 0x12, 0x1a, 0x22].into_iter().zip(fields) {
            message.push(tag);
            let mut length = field.len();
            while length > 0x7f {
                let [low, ..] = length.to_le_bytes();
                message.push(low | 0x80);
                length >>= 7;
            }
            let [low, ..] = length.to_le_bytes();
            message.push(low);
            message.extend(field);
        }
        message
    }

    /// Whether the answer of that function, a message `VerifySignatureResult`, says that the signature is right. Its other
    /// field is a text that says why not.
    pub fn is_right(answer: &[u8]) -> bool {
        answer == [0x08, 1]
    }
}

impl PublicKey {
    /// Whether `signature` over `message` was made with the private key of this key, by `algorithm`.
    ///
    /// # Errors
    ///
    /// [`SignatureFault`] if the host cannot tell.
    pub fn verifies(
        &self,
        algorithm: PublicAlgorithm,
        message: &[u8],
        signature: &[u8],
        host: &dyn SignatureHost,
    ) -> Result<bool, SignatureFault> {
        let ask = |hash, signature: &[u8]| {
            host.verify_signature(&SignatureCheck { hash, key: self.spki(), signature, message })
        };
        let of_curve = |hash, curve| match der_signature(curve, signature) {
            Some(der) => ask(hash, &der),
            None => Ok(false),
        };
        let of_rsa = |hash, modulus_bytes| {
            if signature.len() == modulus_bytes { ask(hash, signature) } else { Ok(false) }
        };
        match (algorithm, self.kind()) {
            (PublicAlgorithm::Rs256, KeyKind::Rsa { modulus_bytes }) => {
                of_rsa(SignedHash::Sha256, modulus_bytes)
            }
            (PublicAlgorithm::Rs384, KeyKind::Rsa { modulus_bytes }) => {
                of_rsa(SignedHash::Sha384, modulus_bytes)
            }
            (PublicAlgorithm::Rs512, KeyKind::Rsa { modulus_bytes }) => {
                of_rsa(SignedHash::Sha512, modulus_bytes)
            }
            (PublicAlgorithm::Es256, KeyKind::P256) => of_curve(SignedHash::Sha256, &P256),
            (PublicAlgorithm::Es384, KeyKind::P384) => of_curve(SignedHash::Sha384, &P384),
            (PublicAlgorithm::EdDsa, KeyKind::Ed25519) => Ok(self.verifies_ed25519(message, signature)),
            #[cfg(feature = "native-signatures")]
            (
                PublicAlgorithm::Ps256 | PublicAlgorithm::Ps384 | PublicAlgorithm::Ps512,
                KeyKind::Rsa { modulus_bytes },
            ) => Ok(signature.len() == modulus_bytes
                && super::native::verifies_pss(algorithm, self.spki(), signature, message)),
            #[cfg(feature = "native-signatures")]
            (
                PublicAlgorithm::Ps256 | PublicAlgorithm::Ps384 | PublicAlgorithm::Ps512,
                KeyKind::P256 | KeyKind::P384 | KeyKind::Ed25519,
            ) => Ok(false),
            (
                PublicAlgorithm::Rs256
                | PublicAlgorithm::Rs384
                | PublicAlgorithm::Rs512
                | PublicAlgorithm::Es256
                | PublicAlgorithm::Es384
                | PublicAlgorithm::EdDsa,
                KeyKind::Rsa { .. } | KeyKind::P256 | KeyKind::P384 | KeyKind::Ed25519,
            ) => Ok(false),
        }
    }

    /// Ed25519 (RFC 8032 section 5.1.7). The library refuses a signature whose `s` is not below the order.
    fn verifies_ed25519(&self, message: &[u8], signature: &[u8]) -> bool {
        let Some(point) = self.ed25519_point() else { return false };
        let Ok(signature) = ed25519_compact::Signature::from_slice(signature) else { return false };
        ed25519_compact::PublicKey::new(*point).verify(message, &signature).is_ok()
    }
}

/// The signature in DER (RFC 3279 section 2.2.3) of one that is two numbers of full length, one after the other (RFC 7518
/// section 3.4); `None` if it has another length, or if a number is 0 or not below the order.
fn der_signature(curve: &Curve, signature: &[u8]) -> Option<Vec<u8>> {
    let (r, s) = signature.split_at_checked(curve.bytes)?;
    let mut numbers = Vec::new();
    for number in [r, s] {
        // Both have the same length, so the order of the bytes is that of the numbers.
        if number.len() != curve.bytes || number.iter().all(|byte| *byte == 0) || number >= curve.order {
            return None;
        }
        der::write_natural(&mut numbers, number);
    }
    let mut der = Vec::new();
    der::write(&mut der, der::SEQUENCE, &numbers);
    Some(der)
}

/// Whether a host verifies the signature of RFC 7515 appendix A.3, and refuses it for another text.
pub(crate) fn verifies_published(host: &dyn SignatureHost) -> bool {
    let part = |text: &str| compact::decode(text.as_bytes()).unwrap_or_default();
    let Ok(key) = PublicKey::p256(&part(PUBLISHED_X), &part(PUBLISHED_Y)) else { return false };
    let signature = part(PUBLISHED_SIGNATURE);
    let verify = |text: &str| key.verifies(PublicAlgorithm::Es256, text.as_bytes(), &signature, host);
    verify(PUBLISHED_TEXT) == Ok(true) && verify("another text") == Ok(false)
}

const PUBLISHED_X: &str = "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU";
const PUBLISHED_Y: &str = "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0";
const PUBLISHED_TEXT: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";
const PUBLISHED_SIGNATURE: &str =
    "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";

#[cfg(test)]
mod tests;
