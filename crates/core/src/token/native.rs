//! Signatures verified natively, for a command and for tests: by the crates that jwt-simple itself uses. The module does
//! not contain them, because its host verifies.

use p256::ecdsa::signature::Verifier;
use p256::pkcs8::DecodePublicKey as _;
use rsa::RsaPublicKey;
use rsa::pkcs1v15;
use rsa::pkcs8::DecodePublicKey as _;
use rsa::pss;
use rsa::sha2::{Sha256, Sha384, Sha512};
use rsa::signature::Verifier as _;

use super::algorithm::PublicAlgorithm;
use super::signature::{SignatureCheck, SignatureFault, SignatureHost, SignedHash};

/// Verifies signatures in this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct NativeSignatures;

impl SignatureHost for NativeSignatures {
    fn verify_signature(&self, check: &SignatureCheck<'_>) -> Result<bool, SignatureFault> {
        let SignatureCheck { hash, key, signature, message } = *check;
        match hash {
            SignedHash::Sha256 => {
                if let Ok(key) = p256::ecdsa::VerifyingKey::from_public_key_der(key) {
                    let signature = p256::ecdsa::DerSignature::from_bytes(signature);
                    return Ok(signature.is_ok_and(|signature| key.verify(message, &signature).is_ok()));
                }
                rsa_verifies(key, signature, |key, signature| {
                    pkcs1v15::VerifyingKey::<Sha256>::new(key).verify(message, signature).is_ok()
                })
            }
            SignedHash::Sha384 => {
                if let Ok(key) = p384::ecdsa::VerifyingKey::from_public_key_der(key) {
                    let signature = p384::ecdsa::DerSignature::from_bytes(signature);
                    return Ok(signature.is_ok_and(|signature| key.verify(message, &signature).is_ok()));
                }
                rsa_verifies(key, signature, |key, signature| {
                    pkcs1v15::VerifyingKey::<Sha384>::new(key).verify(message, signature).is_ok()
                })
            }
            SignedHash::Sha512 => rsa_verifies(key, signature, |key, signature| {
                pkcs1v15::VerifyingKey::<Sha512>::new(key).verify(message, signature).is_ok()
            }),
        }
    }
}

fn rsa_verifies(
    key: &[u8],
    signature: &[u8],
    verify: impl FnOnce(RsaPublicKey, &pkcs1v15::Signature) -> bool,
) -> Result<bool, SignatureFault> {
    let key = RsaPublicKey::from_public_key_der(key).map_err(|_| SignatureFault)?;
    Ok(pkcs1v15::Signature::try_from(signature).is_ok_and(|signature| verify(key, &signature)))
}

/// Whether a signature of RSASSA-PSS is right. Its salt is as long as the hash (RFC 7518 section 3.5).
pub(super) fn verifies_pss(algorithm: PublicAlgorithm, key: &[u8], signature: &[u8], message: &[u8]) -> bool {
    let Ok(key) = RsaPublicKey::from_public_key_der(key) else { return false };
    let Ok(signature) = pss::Signature::try_from(signature) else { return false };
    let verified = match algorithm {
        PublicAlgorithm::Ps256 => pss::VerifyingKey::<Sha256>::new(key).verify(message, &signature),
        PublicAlgorithm::Ps384 => pss::VerifyingKey::<Sha384>::new(key).verify(message, &signature),
        PublicAlgorithm::Ps512 => pss::VerifyingKey::<Sha512>::new(key).verify(message, &signature),
        PublicAlgorithm::Rs256
        | PublicAlgorithm::Rs384
        | PublicAlgorithm::Rs512
        | PublicAlgorithm::Es256
        | PublicAlgorithm::Es384
        | PublicAlgorithm::EdDsa => return false,
    };
    verified.is_ok()
}
