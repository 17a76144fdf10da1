//! Tokens in their compact form (RFC 7515 section 7.1).

use api_guard_core::token::algorithm::MacAlgorithm;
use api_guard_core::token::secret::Secret;
use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use serde_json::json;

/// Base64url without padding (RFC 4648 section 5).
pub fn base64url(bytes: &[u8]) -> String {
    // Encoding fails only if memory is exhausted.
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap_or_default()
}

/// A token that is signed with a secret, in its compact form. `claims`: a text of JSON, which is signed as it stands.
pub fn sign(secret: &Secret, algorithm: MacAlgorithm, kid: Option<&str>, claims: &str) -> String {
    let input = signing_input(algorithm.name(), kid, claims);
    let mac = base64url(&secret.mac(input.as_bytes()));
    format!("{input}.{mac}")
}

/// Header and claims, as they are signed.
pub fn signing_input(algorithm: &str, kid: Option<&str>, claims: &str) -> String {
    let mut header = json!({ "alg": algorithm, "typ": "JWT" });
    if let (Some(header), Some(kid)) = (header.as_object_mut(), kid) {
        header.insert("kid".to_owned(), json!(kid));
    }
    format!("{}.{}", base64url(header.to_string().as_bytes()), base64url(claims.as_bytes()))
}
