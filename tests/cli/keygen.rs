//! `api-guard keygen`.

use ct_codecs::{Base64UrlSafeNoPadding, Decoder};

use crate::command::api_guard;

#[test]
fn a_key_is_32_fresh_bytes() {
    let (first, second) = (api_guard(["keygen"]), api_guard(["keygen"]));
    assert_ne!(first.line(), second.line());
    for key in [first.line(), second.line()] {
        assert_eq!(Base64UrlSafeNoPadding::decode_to_vec(key, None).expect("base64url").len(), 32);
    }
}
