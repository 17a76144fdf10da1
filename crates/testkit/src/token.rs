//! Tokens, signed by the core's own MAC. That it is the right one is held by published vectors elsewhere.

use api_guard_core::token::algorithm::MacAlgorithm;
use api_guard_core::token::secret::Secret;
use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use serde_json::Value;

use crate::SECRET;

/// A token of exactly these bytes, with a true HS256 MAC by [`SECRET`].
///
/// # Panics
///
/// Never.
pub fn sign(header: &[u8], payload: &[u8]) -> String {
    sign_with(SECRET.as_bytes(), header, payload)
}

/// A token of exactly these bytes, with a true HS256 MAC by `secret`.
///
/// # Panics
///
/// If the secret is too short.
pub fn sign_with(secret: &[u8], header: &[u8], payload: &[u8]) -> String {
    sign_as(MacAlgorithm::Hs256, secret, header, payload)
}

/// A token of exactly these bytes, with a true MAC of this algorithm by `secret`, whatever its header says.
///
/// # Panics
///
/// If the secret is too short.
pub fn sign_as(algorithm: MacAlgorithm, secret: &[u8], header: &[u8], payload: &[u8]) -> String {
    let encode = |part: &[u8]| Base64UrlSafeNoPadding::encode_to_string(part).expect("memory");
    let input = format!("{}.{}", encode(header), encode(payload));
    let mac = Secret::from_bytes(algorithm, secret).expect("a long secret").mac(input.as_bytes());
    format!("{input}.{}", encode(&mac))
}

/// A token of these claims.
pub fn token(claims: &Value) -> String {
    sign(br#"{"alg":"HS256"}"#, claims.to_string().as_bytes())
}
