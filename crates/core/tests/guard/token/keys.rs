//! Which signature is taken under which key, which key that was, and when a token is remembered as good.

use serde_json::json;

use super::with;
use crate::{Guarded, HOUR, SECRET, START, request, said, signed};

#[test]
fn a_signature_holds_for_its_token_under_its_secret_and_no_other() {
    let mut guarded = Guarded::new(json!({}), json!({}));
    let (good, admin) = (with(json!({})), with(json!({ "sub": "admin" })));
    let (input, signature) = good.rsplit_once('.').unwrap();
    let (other_input, other_signature) = admin.rsplit_once('.').unwrap();
    for (token, code) in [
        (good.clone(), "ok"),
        (format!("{other_input}.{signature}"), "token_signature_invalid"),
        (format!("{input}.{other_signature}"), "token_signature_invalid"),
        (format!("{input}."), "token_signature_invalid"),
        (format!("{input}.{}", signature.get(..40).unwrap()), "token_signature_invalid"),
    ] {
        assert_eq!(guarded.get(&token, START), code, "{token}");
    }
    let other = json!([{ "secret": { "value": "another-secret-of-the-tests-that-is-long-enough" } }]);
    let mut other = Guarded::new(json!({ "keys": other }), json!({}));
    assert_eq!(other.get(&good, START), "token_signature_invalid");
}

#[test]
fn an_algorithm_that_no_key_has_is_refused_whichever_key_the_token_names() {
    let keys = json!([{ "kid": "a", "secret": { "value": SECRET } }]);
    let mut guarded = Guarded::new(json!({ "keys": keys }), json!({}));
    let claims = json!({ "sub": "u1", "iat": START, "exp": START + HOUR }).to_string();
    for (header, code) in [
        (json!({ "alg": "HS256", "kid": "a" }), "ok"),
        (json!({ "alg": "HS256", "kid": "b" }), "token_key_unknown"),
        (json!({ "alg": "HS512", "kid": "a" }), "token_algorithm_refused"),
        (json!({ "alg": "HS512", "kid": "b" }), "token_algorithm_refused"),
        (json!({ "alg": "hs256", "kid": "a" }), "token_algorithm_refused"),
        (json!({ "alg": "", "kid": "a" }), "token_algorithm_refused"),
        (json!({ "kid": "b" }), "token_algorithm_refused"),
    ] {
        assert_eq!(guarded.get(&signed(SECRET, &header.to_string(), &claims), START), code, "{header}");
    }
}

#[test]
fn the_key_that_verified_a_token_is_known_and_can_be_denied() {
    let other = "another-secret-of-the-tests-that-is-long-enough";
    let key = |kid: &str, secret: &str| json!({ "kid": kid, "secret": { "value": secret } });
    for (keys, place) in [
        ([key("own", SECRET), key("a", other), key("b", other)], 0),
        ([key("a", other), key("own", SECRET), key("b", other)], 1),
        ([key("a", other), key("b", other), key("own", SECRET)], 2),
    ] {
        for (denied, code) in [("a", "ok"), ("b", "ok"), ("own", "token_revoked")] {
            let mut guarded = Guarded::new(
                json!({ "keys": keys }),
                json!({ "revocation": { "denied": { "kid": [denied] } } }),
            );
            let bearer = format!("Bearer {}", with(json!({})));
            let verdict = guarded.admit(&request("GET", "/", &[("authorization", &bearer)]), START);
            assert_eq!(said(&verdict), code, "{place} {denied}");
            let key = verdict.trail.caller().unwrap().token.key().configured();
            assert_eq!(key.map(|key| key.index()), Some(place));
            let kids: Vec<_> = guarded.guard.policy().kids().flatten().collect();
            assert_eq!(kids[place], "own");
        }
    }
}

#[test]
fn a_token_is_remembered_unless_it_is_long_and_refused_where_it_is_too_long() {
    let mut guarded = Guarded::new(json!({ "max_token_bytes": 5000 }), json!({}));
    let of_length = |length: usize| {
        let with_padding = |padding: usize| with(json!({ "x": "x".repeat(padding) }));
        let about = (length - with_padding(0).len()) / 4 * 3;
        (about..).map(with_padding).find(|token| token.len() >= length).unwrap()
    };
    for (token, code, then) in [
        (with(json!({})), "ok", Some(true)),
        (of_length(4096), "ok", Some(true)),
        (of_length(4097), "ok", Some(false)),
        (of_length(5000), "ok", Some(false)),
        (of_length(5001), "token_malformed", Some(false)),
        (with(json!({ "sub": "" })), "claim_invalid", Some(false)),
        (with(json!({ "exp": START - 1 })), "token_expired", Some(true)),
        (with(json!({ "nbf": START + 2 })), "token_not_yet_valid", Some(true)),
    ] {
        let bearer = format!("Bearer {token}");
        for remembered in [Some(false), then] {
            let verdict = guarded.admit(&request("GET", "/", &[("authorization", &bearer)]), START);
            let case = format!("{} bytes", token.len());
            assert_eq!(
                (said(&verdict).as_str(), verdict.trail.token.as_ref().map(|token| token.remembered)),
                (code, remembered),
                "{case}"
            );
        }
    }
    let verdict = guarded.admit(&request("GET", "/", &[]), START);
    assert_eq!(
        (said(&verdict).as_str(), verdict.trail.token.as_ref().map(|token| token.remembered)),
        ("token_missing", None)
    );
}

#[test]
fn of_a_token_that_is_expired_and_of_another_issuer_the_first_is_told_and_it_is_not_remembered() {
    let mut guarded = Guarded::new(json!({ "issuers": ["ours"], "audiences": ["us"] }), json!({}));
    let of = |iss: &str, aud: &str, exp: u64| with(json!({ "iss": iss, "aud": aud, "exp": exp }));
    for (token, code, then) in [
        (of("theirs", "us", START + 9), "issuer_refused", false),
        (of("theirs", "us", START - 1), "token_expired", false),
        (of("ours", "them", START - 1), "token_expired", false),
        (of("ours", "us", START - 1), "token_expired", true),
    ] {
        let bearer = format!("Bearer {token}");
        for remembered in [false, then] {
            let verdict = guarded.admit(&request("GET", "/", &[("authorization", &bearer)]), START);
            let facts = verdict.trail.token.as_ref().unwrap();
            assert_eq!((said(&verdict).as_str(), facts.remembered), (code, remembered), "{token}");
            assert!(facts.is_signed);
        }
    }
}
