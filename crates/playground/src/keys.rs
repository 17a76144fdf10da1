//! Keys that stand for what is not here: what a key set would fetch, and an issuer's own private key.

use std::sync::Arc;

use api_guard_core::config::raw::RawConfig;
use api_guard_core::index::KeySetIndex;
use api_guard_core::policy::Policy;
use api_guard_core::token::algorithm::PublicAlgorithm;
use api_guard_core::token::key_set::{KeySet, KeySetFault, MAX_SET_BYTES, MAX_SET_KEYS};
use api_guard_explain::issue::signing::{base64url, signing_input};
use p256::ecdsa::signature::Signer;
use p256::ecdsa::{Signature, SigningKey};
use serde_json::{Value, json};

/// The key with which the page signs in place of an issuer. It is no secret: nobody trusts it but this page.
const SCALAR: [u8; 32] = *b"a key of the playground, no more";
/// Its identifier.
const KID: &str = "playground";

fn own_key() -> Option<SigningKey> {
    SigningKey::from_slice(&SCALAR).ok()
}

/// The page's own public key as a JSON Web Key (RFC 7517).
fn own_jwk() -> Option<Value> {
    let point = own_key()?.verifying_key().to_sec1_point(false);
    let (x, y) = (base64url(point.x()?), base64url(point.y()?));
    Some(json!({ "kty": "EC", "crv": "P-256", "x": x, "y": y, "kid": KID, "alg": "ES256", "use": "sig" }))
}

/// Claims, a text of JSON, signed with the page's own key, as an issuer would with its private key.
pub(crate) fn sign(claims: &str) -> Option<String> {
    let input = signing_input(PublicAlgorithm::Es256.name(), Some(KID), claims);
    let signature: Signature = own_key()?.sign(input.as_bytes());
    Some(format!("{input}.{}", base64url(&signature.to_bytes())))
}

/// The sets that Envoy would fetch.
#[derive(Default)]
pub(crate) struct Fetched {
    /// Those that are known.
    pub(crate) sets: Vec<(KeySetIndex, Arc<KeySet>)>,
    /// What to say of the others.
    pub(crate) unknown: Vec<String>,
    /// The names of all of them.
    pub(crate) names: Vec<String>,
    /// Whether one of them has the page's own key, so that the page can stand for its issuer.
    pub(crate) has_own: bool,
}

/// The sets of a policy that are fetched. `text`: what stands for all of them. `signs`: whether the page signs, so that
/// its own key is to be among them.
///
/// # Errors
///
/// What is wrong with the text.
pub(crate) fn fetched(policy: &Policy, raw: &RawConfig, text: &str, signs: bool) -> Result<Fetched, String> {
    let mut result = Fetched::default();
    for (index, rule) in policy.tokens().keys().fetched_sets() {
        result.names.push(rule.name().to_owned());
        let own = if signs && rule.algorithms().contains(PublicAlgorithm::Es256) { own_jwk() } else { None };
        result.has_own |= own.is_some();
        if text.trim().is_empty() && own.is_none() {
            result.unknown.extend(raw.tokens.key_sets.get(index.get()).map(|set| {
                let name = set.name.as_deref().unwrap_or_default();
                format!("the keys of the key set {name} are fetched by Envoy and not known here: paste them into Key set")
            }));
            continue;
        }
        let text = with_key(text, own)?;
        let read = KeySet::read(text.as_bytes(), rule.algorithms()).map_err(why)?;
        match read.set {
            Some(set) => result.sets.push((index, Arc::new(set))),
            None => {
                let name = rule.name();
                result.unknown.push(format!("Key set has no key that the key set {name} can use"));
            }
        }
    }
    Ok(result)
}

/// A set with one more key.
fn with_key(text: &str, own: Option<Value>) -> Result<String, String> {
    if text.trim().is_empty() {
        return Ok(json!({ "keys": own.into_iter().collect::<Vec<_>>() }).to_string());
    }
    let Some(own) = own else { return Ok(text.to_owned()) };
    let mut set: Value = serde_json::from_str(text).map_err(|_| why(KeySetFault::Malformed))?;
    match set.get_mut("keys").and_then(Value::as_array_mut) {
        Some(keys) => keys.push(own),
        None => return Err(why(KeySetFault::Malformed)),
    }
    Ok(set.to_string())
}

fn why(fault: KeySetFault) -> String {
    match fault {
        KeySetFault::TooLarge => {
            format!("more than {MAX_SET_BYTES} bytes or {MAX_SET_KEYS} keys, which no guard takes")
        }
        KeySetFault::Malformed => "not a JSON Web Key Set: write {\"keys\": [...]}".to_owned(),
    }
}
