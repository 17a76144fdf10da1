//! The examples of the RFCs, and forgeries of our own.

use api_guard_core::token::algorithm::MacAlgorithm;
use api_guard_core::token::secret::Secret;
use api_guard_testkit::vectors::{EXAMPLES, MACS, forgeries};
use api_guard_testkit::{SECRET, sign};
use serde_json::json;

use super::{NOW, guarded, judge, key, own_guarded};

/// The last second at which the example of RFC 7519 section 3.1 is good.
const BEFORE: u64 = 1_300_819_379;

#[test]
fn the_mac_is_that_of_the_rfcs() {
    for case in MACS {
        let secret = Secret::from_bytes(MacAlgorithm::Hs256, case.key).unwrap();
        assert_eq!(secret.mac(case.message), case.mac, "{}", case.source);
        assert!(secret.verifies(case.message, &case.mac), "{}", case.source);
        assert!(!secret.verifies(case.message, &case.mac[..16]), "{}: cut to 128 bits", case.source);
    }
}

#[test]
fn the_examples_of_the_rfcs_are_judged_right() {
    for example in EXAMPLES {
        let mut guarded = guarded(key(example.key, example.kid), json!([]));
        let said = judge(&mut guarded, example.token.as_bytes(), BEFORE);
        let code = said.as_ref().map_or_else(|refused| refused.code.as_str(), |()| "ok");
        assert_eq!(code, example.code, "{}: {said:?}", example.source);
        let has_true_mac = said.is_ok() || said.is_err_and(|refused| refused.is_past_the_mac());
        assert_eq!(has_true_mac, example.has_true_mac, "{}", example.source);
    }
}

#[test]
fn the_examples_of_rfc_7515_and_rfc_7519_are_judged_right() {
    let [a1, a5, e, ..] = EXAMPLES else { panic!("three examples") };
    let mut only_exp = guarded(key(a1.key, None), json!(["exp"]));
    let token = a1.token.as_bytes();
    assert_eq!(judge(&mut only_exp, token, BEFORE), Ok(()));
    for late in [1_300_819_380, 1_300_819_381, NOW] {
        assert_eq!(judge(&mut only_exp, token, late).unwrap_err().code, "token_expired");
    }
    let mut defaults = guarded(key(a1.key, None), json!(["sub", "exp", "iat"]));
    assert_eq!(judge(&mut defaults, token, BEFORE).unwrap_err().code, "claim_missing");
    for refused in [a5, e] {
        assert_eq!(judge(&mut only_exp, refused.token.as_bytes(), BEFORE).unwrap_err().status, 401);
    }
}

#[test]
fn no_forgery_of_a_good_token_is_accepted() {
    // Several, as what a MAC ends with is chance.
    for number in 0..20 {
        let claims = json!({ "sub": "a", "jti": number.to_string() }).to_string();
        let mut guarded = own_guarded();
        let good = sign(br#"{"alg":"HS256"}"#, claims.as_bytes());
        for forgery in forgeries(SECRET.as_bytes(), claims.as_bytes()) {
            // Beside a token that is remembered as well as by itself.
            for _ in 0..2 {
                let refused = judge(&mut guarded, forgery.token.as_bytes(), NOW).unwrap_err();
                assert_eq!(refused.code, forgery.code, "{}: {} of {good}", forgery.what, forgery.token);
                assert_eq!(judge(&mut guarded, good.as_bytes(), NOW), Ok(()));
            }
        }
    }
}
