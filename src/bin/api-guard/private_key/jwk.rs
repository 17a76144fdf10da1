//! A private key as a JSON Web Key (RFC 7518 section 6, RFC 8037 section 2).

use api_guard_core::token::algorithm::{PublicAlgorithm, PublicAlgorithms};
use ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use rsa::{BigUint, RsaPrivateKey};
use serde_json::Value;

use super::{PrivateKey, SOUND, Secret, pem};

/// The key.
pub(super) fn read(text: &str) -> Result<PrivateKey, String> {
    let jwk: Value = serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    let member = |name: &str| jwk.get(name).and_then(Value::as_str);
    let (kty, crv) = (member("kty"), member("crv"));
    if kty.is_none() && jwk.get("keys").is_some() {
        return Err("a key set; write one private key of it alone".to_owned());
    }
    if kty == Some("oct") {
        let instead = "put the secret into a variable, and give its name by --secret-env";
        return Err(format!("a shared secret, not a private key; {instead}"));
    }
    if member("d").is_none() {
        return Err(
            "a public key, which cannot sign; write the private one, which has a member \"d\"".to_owned()
        );
    }
    let number = |name: &str| {
        let bytes = member(name).and_then(|text| Base64UrlSafeNoPadding::decode_to_vec(text, None).ok());
        bytes.ok_or_else(|| format!("its member {name:?} is missing or not base64url (RFC 7518 section 6)"))
    };
    let secret = match (kty, crv) {
        (Some("RSA"), _) => rsa_key(&jwk, number)?,
        (Some("EC"), Some("P-256")) => p256::SecretKey::from_slice(&number("d")?).ok().map(Secret::P256),
        (Some("EC"), Some("P-384")) => p384::SecretKey::from_slice(&number("d")?).ok().map(Secret::P384),
        (Some("OKP"), Some("Ed25519")) => pem::ed25519(&number("d")?),
        _ => None,
    };
    let secret = secret.ok_or_else(|| format!("not a private key of a kind that is supported; {SOUND}"))?;
    let mut key = PrivateKey::new(secret)?;
    if kty != Some("RSA") && jwk.get("x").is_some() {
        let x = number("x")?;
        // The public key ends with the point's coordinates.
        if x.is_empty() || !key.public.spki().windows(x.len()).any(|part| part == x) {
            return Err("its x and d do not belong together; take both from one key".to_owned());
        }
    }
    key.kid = member("kid").map(str::to_owned);
    if let Some(alg) = member("alg") {
        let named = PublicAlgorithm::named(alg).map(PublicAlgorithms::only).unwrap_or_default();
        key.algorithms = key.algorithms.and(named);
        if key.algorithms.is_empty() {
            return Err(format!("its alg is {alg:?}, which no key of its kind has; correct or remove it"));
        }
    }
    Ok(key)
}

/// The key with these numbers, or `None` if they do not belong together. The primes may be left out.
fn rsa_key(jwk: &Value, number: impl Fn(&str) -> Result<Vec<u8>, String>) -> Result<Option<Secret>, String> {
    let number = |name: &str| number(name).map(|bytes| BigUint::from_bytes_be(&bytes));
    let primes = match jwk.get("p") {
        Some(_) => vec![number("p")?, number("q")?],
        None => Vec::new(),
    };
    let key = RsaPrivateKey::from_components(number("n")?, number("e")?, number("d")?, primes).ok();
    Ok(key.map(|key| Secret::Rsa(Box::new(key))))
}
