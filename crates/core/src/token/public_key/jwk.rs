//! What does a JSON Web Key say (RFC 7517, RFC 7518 section 6, RFC 8037 section 2)?
//!
//! Certificates and their digests (`x5c`, `x5t`) are not looked at, nor are addresses of keys (`x5u`).

use super::{KeyFault, PublicKey};
use crate::json::{Json, Object};
use crate::token::algorithm::{PublicAlgorithm, PublicAlgorithms};
use crate::token::compact;

/// A key, and what its document says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Jwk {
    /// Its name.
    pub kid: Option<String>,
    /// The algorithms it can verify: the one that it names, or all of its kind.
    pub algorithms: PublicAlgorithms,
    /// The key.
    pub key: PublicKey,
}

/// The members of private keys (RFC 7518 sections 6.2.2, 6.3.2, 6.4.1; RFC 8037 section 2).
const PRIVATE: [&str; 8] = ["d", "p", "q", "dp", "dq", "qi", "oth", "k"];

impl Jwk {
    /// Reads one key.
    ///
    /// # Errors
    ///
    /// Why it cannot be used.
    pub fn read(value: &Json<'_>) -> Result<Self, KeyFault> {
        let Json::Object(object) = value else { return Err(KeyFault::Malformed) };
        // RFC 7517 section 4: the names are unique.
        if value.repeats_a_name() {
            return Err(KeyFault::Malformed);
        }
        let text = |name: &str| match value.member(name) {
            None => Ok(None),
            Some(Json::Text(text)) => Ok(Some(text)),
            Some(_) => Err(KeyFault::Malformed),
        };
        let (kty, crv) = (text("kty")?.ok_or(KeyFault::Malformed)?, text("crv")?);
        if kty == "oct" {
            return Err(KeyFault::Symmetric);
        }
        if is_private(*object) {
            return Err(KeyFault::Private);
        }
        if text("use")?.is_some_and(|purpose| purpose != "sig") || !may_verify(value)? {
            return Err(KeyFault::NotForSignatures);
        }
        let bytes = |name: &str| {
            let text = text(name)?.ok_or(KeyFault::Malformed)?;
            compact::decode(text.as_bytes()).map_err(|_| KeyFault::Malformed)
        };
        let key = match (&*kty, crv.as_deref()) {
            ("RSA", _) => PublicKey::rsa(&bytes("n")?, &bytes("e")?)?,
            ("EC", Some("P-256")) => PublicKey::p256(&bytes("x")?, &bytes("y")?)?,
            ("EC", Some("P-384")) => PublicKey::p384(&bytes("x")?, &bytes("y")?)?,
            ("OKP", Some("Ed25519")) => PublicKey::ed25519(&bytes("x")?)?,
            ("EC" | "OKP", None) => return Err(KeyFault::Malformed),
            _ => return Err(KeyFault::UnknownType),
        };
        let of_kind = key.kind().algorithms();
        let algorithms = match text("alg")? {
            None => of_kind,
            Some(alg) => {
                let named = PublicAlgorithm::named(&alg).ok_or(KeyFault::Algorithm)?;
                of_kind.and(PublicAlgorithms::only(named))
            }
        };
        if algorithms.is_empty() {
            return Err(KeyFault::Algorithm);
        }
        Ok(Self { kid: text("kid")?.map(|kid| kid.into_owned()), algorithms, key })
    }
}

fn is_private(object: Object<'_>) -> bool {
    object.members().any(|(name, _)| PRIVATE.iter().any(|private| *private == name))
}

/// Whether `key_ops`, where there is one, lists `verify` (RFC 7517 section 4.3).
fn may_verify(value: &Json<'_>) -> Result<bool, KeyFault> {
    match value.member("key_ops") {
        None => Ok(true),
        Some(Json::List(list)) => Ok(list.elements().any(|operation| operation.as_text() == Some("verify"))),
        Some(_) => Err(KeyFault::Malformed),
    }
}
