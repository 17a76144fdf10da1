//! Private keys of issuers, for tokens that are minted: which public key is theirs, and how they sign (RFC 7518 section 3).
//!
//! - `pem.rs`: reads a key in PEM (RFC 7468).
//! - `jwk.rs`: reads a JSON Web Key (RFC 7517).

mod jwk;
mod pem;

use std::path::Path;

use api_guard_core::token::algorithm::{PublicAlgorithm, PublicAlgorithms};
use api_guard_core::token::public_key::{KeyFault, KeyKind, PublicKey};
use p256::ecdsa::signature::Signer as _;
use p384::elliptic_curve::sec1::ToSec1Point as _;
use rsa::RsaPrivateKey;
use rsa::rand_core::OsRng;
use rsa::sha2::{Sha256, Sha384, Sha512};
use rsa::signature::{RandomizedSigner as _, SignatureEncoding as _, Signer as _};
use rsa::traits::PublicKeyParts as _;
use rsa::{pkcs1v15, pss};

use crate::input;
use crate::outcome::Failure;

/// A private key in a file.
pub(crate) struct PrivateKey {
    /// The kid that the file itself gives it.
    pub(crate) kid: Option<String>,
    /// The algorithms that it can sign by: the one that the file names, or all of its kind.
    algorithms: PublicAlgorithms,
    public: PublicKey,
    secret: Secret,
}

enum Secret {
    Rsa(Box<RsaPrivateKey>),
    P256(p256::SecretKey),
    P384(p384::SecretKey),
    Ed25519(ed25519_compact::KeyPair),
}

const SOUND: &str = "give a private key that a guard can have the public one of: RSA of 2048 to 4096 bits with the exponent \
                     65537 (openssl genrsa 2048), P-256 or P-384 (openssl genpkey -algorithm EC -pkeyopt \
                     ec_paramgen_curve:P-256), or Ed25519 (openssl genpkey -algorithm Ed25519)";

impl PrivateKey {
    /// The key in this file, in PEM or as a JSON Web Key.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let file = path.display();
        let text = input::read(path)
            .map_err(|error| Failure::usage(format!("{file} cannot be read: {}", input::reason(&error))))?;
        let text = String::from_utf8(text).map_err(|_| {
            Failure::failed(format!("{file}: not text; write the key in PEM (openssl pkey -inform DER)"))
        })?;
        let key = if text.trim_start().starts_with('{') { jwk::read(&text) } else { pem::read(&text) };
        key.map_err(|problem| Failure::failed(format!("{file}: {problem}")))
    }

    fn new(secret: Secret) -> Result<Self, String> {
        let public = secret.public().map_err(|fault| format!("{}; {SOUND}", fault.why()))?;
        Ok(Self { kid: None, algorithms: public.kind().algorithms(), public, secret })
    }

    /// The algorithm to sign by. `wanted`: the one that is asked for.
    pub(crate) fn algorithm(&self, wanted: Option<PublicAlgorithm>) -> Result<PublicAlgorithm, String> {
        let usual = self.public.kind().usual_algorithm();
        let known = PublicAlgorithm::ALL.into_iter().filter(|known| self.algorithms.contains(*known));
        match wanted {
            None if self.algorithms.contains(usual) => Ok(usual),
            None => Ok(known.into_iter().next().unwrap_or(usual)),
            Some(wanted) if self.algorithms.contains(wanted) => Ok(wanted),
            Some(wanted) => {
                let kind = self.public.kind();
                let names = known.map(PublicAlgorithm::name).collect::<Vec<&str>>().join(" or ");
                let name = wanted.name();
                if kind.algorithms().contains(wanted) {
                    return Err(format!("{name} is not the algorithm that this key names; write {names}"));
                }
                let (kind, fitting) = (kind_name(kind), making(wanted));
                Err(format!(
                    "{name} is no algorithm of this key, which is of {kind}; write {names}, or give a key for {name} ({fitting})"
                ))
            }
        }
    }

    /// The signature over `message`, in the form of a token's.
    pub(crate) fn sign(&self, algorithm: PublicAlgorithm, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let not_signed = |_| Failure::failed("the key cannot sign");
        match &self.secret {
            Secret::Rsa(key) => {
                sign_rsa(key, algorithm, message).map_err(|error| Failure::failed(error.to_string()))
            }
            Secret::P256(key) => {
                let signature: Result<p256::ecdsa::Signature, _> =
                    p256::ecdsa::SigningKey::from(key).try_sign(message);
                Ok(signature.map_err(not_signed)?.to_bytes().to_vec())
            }
            Secret::P384(key) => {
                let signature: Result<p384::ecdsa::Signature, _> =
                    p384::ecdsa::SigningKey::from(key).try_sign(message);
                Ok(signature.map_err(not_signed)?.to_bytes().to_vec())
            }
            Secret::Ed25519(key) => Ok(key.sk.sign(message, None).to_vec()),
        }
    }
}

const fn kind_name(kind: KeyKind) -> &'static str {
    match kind {
        KeyKind::Rsa { .. } => "RSA",
        KeyKind::P256 => "P-256",
        KeyKind::P384 => "P-384",
        KeyKind::Ed25519 => "Ed25519",
    }
}

/// How to make a key for an algorithm.
const fn making(algorithm: PublicAlgorithm) -> &'static str {
    match algorithm {
        PublicAlgorithm::Rs256
        | PublicAlgorithm::Rs384
        | PublicAlgorithm::Rs512
        | PublicAlgorithm::Ps256
        | PublicAlgorithm::Ps384
        | PublicAlgorithm::Ps512 => "openssl genrsa 2048",
        PublicAlgorithm::Es256 => "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256",
        PublicAlgorithm::Es384 => "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-384",
        PublicAlgorithm::EdDsa => "openssl genpkey -algorithm Ed25519",
    }
}

impl Secret {
    /// The public key, if it is one that a guard uses.
    fn public(&self) -> Result<PublicKey, KeyFault> {
        match self {
            Self::Rsa(key) => PublicKey::rsa(&key.n().to_bytes_be(), &key.e().to_bytes_be()),
            Self::P256(key) => {
                let point = key.public_key().to_sec1_point(false);
                PublicKey::p256(point.x().map_or(&[], |x| x), point.y().map_or(&[], |y| y))
            }
            Self::P384(key) => {
                let point = key.public_key().to_sec1_point(false);
                PublicKey::p384(point.x().map_or(&[], |x| x), point.y().map_or(&[], |y| y))
            }
            Self::Ed25519(key) => PublicKey::ed25519(key.pk.as_ref()),
        }
    }
}

fn sign_rsa(
    key: &RsaPrivateKey,
    algorithm: PublicAlgorithm,
    message: &[u8],
) -> rsa::signature::Result<Vec<u8>> {
    let key = key.clone();
    Ok(match algorithm {
        PublicAlgorithm::Rs256 => pkcs1v15::SigningKey::<Sha256>::new(key).try_sign(message)?.to_vec(),
        PublicAlgorithm::Rs384 => pkcs1v15::SigningKey::<Sha384>::new(key).try_sign(message)?.to_vec(),
        PublicAlgorithm::Rs512 => pkcs1v15::SigningKey::<Sha512>::new(key).try_sign(message)?.to_vec(),
        PublicAlgorithm::Ps256 => {
            pss::SigningKey::<Sha256>::new(key).try_sign_with_rng(&mut OsRng, message)?.to_vec()
        }
        PublicAlgorithm::Ps384 => {
            pss::SigningKey::<Sha384>::new(key).try_sign_with_rng(&mut OsRng, message)?.to_vec()
        }
        PublicAlgorithm::Ps512 => {
            pss::SigningKey::<Sha512>::new(key).try_sign_with_rng(&mut OsRng, message)?.to_vec()
        }
        PublicAlgorithm::Es256 | PublicAlgorithm::Es384 | PublicAlgorithm::EdDsa => {
            return Err(rsa::signature::Error::new());
        }
    })
}
