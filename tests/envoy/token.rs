//! Tokens, good and broken: any header and payload bytes can be signed.

use std::time::{SystemTime, UNIX_EPOCH};

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use jwt_simple::prelude::{HS256Key, MACLike};
use serde_json::{Value, json};

/// The secret of all policies. What it spells must appear in no reply and in no log.
pub(crate) const SECRET: &str = "e2e-secret-that-nobody-may-ever-see-in-a-reply";

/// The header of an ordinary token.
pub(crate) const HEADER: &str = r#"{"alg":"HS256","typ":"JWT"}"#;

/// Seconds since the epoch, by the clock that Envoy reads.
pub(crate) fn now() -> i64 {
    i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap()
}

/// A good token of `user-7`, issued now and good for an hour, with `claims` laid over it; `null` takes a claim away.
pub(crate) fn token(claims: Value) -> String {
    sign(HEADER, payload(claims).to_string())
}

/// The claims of [`token`].
/// A token of these claims that somebody without our keys signed.
pub(crate) fn forged(claims: Value) -> String {
    sign_with(b"a-secret-of-somebody-without-our-keys", HEADER, payload(claims).to_string())
}

pub(crate) fn payload(claims: Value) -> Value {
    let mut payload = json!({ "sub": "user-7", "iat": now(), "exp": now() + 3600 });
    let all = payload.as_object_mut().unwrap();
    for (name, value) in claims.as_object().unwrap() {
        if value.is_null() {
            all.remove(name);
        } else {
            all.insert(name.clone(), value.clone());
        }
    }
    payload
}

/// A token of exactly this header and this payload, with a true HMAC-SHA256 of [`SECRET`].
pub(crate) fn sign(header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    sign_with(SECRET.as_bytes(), header, payload)
}

/// Like [`sign`], with another secret.
pub(crate) fn sign_with(secret: &[u8], header: impl AsRef<[u8]>, payload: impl AsRef<[u8]>) -> String {
    let signed = format!("{}.{}", base64url(header), base64url(payload));
    let tag = HS256Key::from_bytes(secret).authentication_tag(signed.as_bytes());
    format!("{signed}.{}", base64url(tag))
}

/// Base64url without padding (RFC 7515, section 2).
pub(crate) fn base64url(bytes: impl AsRef<[u8]>) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).unwrap()
}

/// The token with another signature. The last letters of one may hold bits that mean nothing; its first ones do not.
pub(crate) fn with_another_signature(token: &str) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let first = if signature.starts_with('A') { "B" } else { "A" };
    format!("{signed}.{first}{}", &signature[1..])
}
