//! `api-guard keygen`.

use ct_codecs::{Base64UrlSafeNoPadding, Decoder};

use crate::command::api_guard;

#[test]
fn a_key_is_as_long_as_one_asks() {
    for bytes in [32, 48, 64, 1024] {
        let key = api_guard(["keygen", "--bytes", &bytes.to_string()]);
        assert_eq!(Base64UrlSafeNoPadding::decode_to_vec(key.line(), None).expect("base64url").len(), bytes);
    }
    for bad in ["31", "0", "-1", "x", "1025"] {
        assert_eq!(api_guard(["keygen", &format!("--bytes={bad}")]).code, 2, "{bad}");
    }
}

#[test]
fn a_key_is_32_fresh_bytes() {
    let (first, second) = (api_guard(["keygen"]), api_guard(["keygen"]));
    assert_ne!(first.line(), second.line());
    for key in [first.line(), second.line()] {
        assert_eq!(Base64UrlSafeNoPadding::decode_to_vec(key, None).expect("base64url").len(), 32);
    }
}

#[test]
fn a_key_as_json_says_how_many_random_bytes_it_has() {
    let run = api_guard(["keygen", "--bytes", "48", "--json"]);
    let json = run.json();
    let secret = json["secret"].as_str().expect("a text");
    assert_eq!(Base64UrlSafeNoPadding::decode_to_vec(secret, None).expect("base64url").len(), 48);
    assert_eq!(json["bytes"], 48);
}
