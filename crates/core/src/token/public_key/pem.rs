//! A public key in PEM (RFC 7468 section 13).

use super::{KeyFault, PublicKey};
use crate::token::secret::decode_base64;

const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";

/// Reads the one key of a text. White space, line breaks included, may be anywhere around it and in its base64.
///
/// # Errors
///
/// Why it cannot be used.
pub fn read(text: &str) -> Result<PublicKey, KeyFault> {
    let body = text.trim_ascii().strip_prefix(BEGIN).and_then(|rest| rest.strip_suffix(END));
    let mut base64 = body.ok_or(KeyFault::NotPem)?.as_bytes().to_vec();
    base64.retain(|byte| !byte.is_ascii_whitespace());
    PublicKey::from_spki(&decode_base64(&base64).ok_or(KeyFault::NotPem)?)
}
