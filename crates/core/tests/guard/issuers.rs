//! Several issuers: whose key vouches for which token, and who is the same caller.

use api_guard_core::token::algorithm::MacAlgorithm;
use api_guard_testkit::sign_as;
use serde_json::{Value, json};

use super::{Guarded, HOUR, SECRET, START, sign_with};

const OTHER: &str = "another-secret-of-the-tests-that-is-long-enough";
const THIRD: &str = "a-third-secret-of-the-tests-that-is-long-enough";

fn signed(secret: &str, header: Value, claims: Value) -> String {
    let mut header = header;
    if header["alg"].is_null() {
        header["alg"] = json!("HS256");
    }
    let mut all = json!({ "sub": "u1", "iat": START, "exp": START + HOUR });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    sign_with(secret.as_bytes(), header.to_string().as_bytes(), all.to_string().as_bytes())
}

fn key(kid: Option<&str>, secret: &str, issuers: &[&str]) -> Value {
    json!({ "kid": kid, "secret": { "value": secret }, "issuers": issuers })
}

#[test]
fn a_key_vouches_for_its_own_issuers_alone() {
    let keys =
        json!([key(Some("a"), SECRET, &["https://a", "https://a2"]), key(Some("b"), OTHER, &["https://b"])]);
    let mut guarded = Guarded::new(json!({ "keys": keys, "issuers": ["https://unused"] }), json!({}));
    let (a, b) = (json!({ "kid": "a" }), json!({ "kid": "b" }));
    for (secret, header, iss, code) in [
        (SECRET, &a, json!("https://a"), "ok"),
        (SECRET, &a, json!("https://a2"), "ok"),
        (OTHER, &b, json!("https://b"), "ok"),
        (SECRET, &a, json!("https://b"), "issuer_refused"),
        (OTHER, &b, json!("https://a"), "issuer_refused"),
        (OTHER, &a, json!("https://a"), "token_signature_invalid"),
        (SECRET, &a, json!("https://c"), "issuer_refused"),
        (SECRET, &a, json!("https://unused"), "issuer_refused"),
        (SECRET, &a, json!("https://A"), "issuer_refused"),
        (SECRET, &a, json!(""), "issuer_refused"),
        (SECRET, &a, json!(null), "issuer_refused"),
        (SECRET, &a, json!(7), "claim_invalid"),
        (OTHER, &a, json!(7), "token_signature_invalid"),
        // Without a kid, the issuer alone chooses.
        (SECRET, &json!({}), json!("https://a"), "ok"),
        (OTHER, &json!({}), json!("https://b"), "ok"),
        (SECRET, &json!({}), json!("https://b"), "issuer_refused"),
        (THIRD, &json!({}), json!("https://b"), "token_signature_invalid"),
        (SECRET, &json!({ "kid": "c" }), json!("https://a"), "token_key_unknown"),
        (SECRET, &json!({ "kid": "a", "alg": "HS512" }), json!("https://a"), "token_algorithm_refused"),
    ] {
        let token = signed(secret, header.clone(), json!({ "iss": iss }));
        for _ in 0..2 {
            assert_eq!(guarded.get(&token, START), code, "{header} {iss}");
        }
    }
    assert_eq!(guarded.get(&signed(SECRET, a, json!({})), START), "issuer_refused");
}

#[test]
fn a_key_that_names_no_issuer_vouches_for_those_that_no_key_names() {
    let keys = json!([key(None, SECRET, &[]), key(Some("b"), OTHER, &["https://b"])]);
    let any = Guarded::new(json!({ "keys": keys }), json!({}));
    let listed = Guarded::new(json!({ "keys": keys, "issuers": ["https://a"] }), json!({}));
    for (mut guarded, other) in [(any, "ok"), (listed, "issuer_refused")] {
        for (secret, iss, code) in [
            (SECRET, json!("https://a"), "ok"),
            (SECRET, json!("https://c"), other),
            (SECRET, json!(null), other),
            (SECRET, json!("https://b"), "issuer_refused"),
            // The only key that vouches has a kid, which the token may leave out.
            (OTHER, json!("https://b"), "ok"),
            (OTHER, json!("https://a"), "token_signature_invalid"),
        ] {
            assert_eq!(guarded.get(&signed(secret, json!({}), json!({ "iss": iss })), START), code, "{iss}");
        }
        let named = signed(OTHER, json!({ "kid": "b" }), json!({ "iss": "https://a" }));
        assert_eq!(guarded.get(&named, START), "issuer_refused");
    }
}

#[test]
fn the_audiences_of_a_key_stand_in_place_of_those_of_all() {
    let mut own = key(Some("a"), SECRET, &[]);
    own["audiences"] = json!(["own"]);
    let keys = json!([own, key(Some("b"), OTHER, &[])]);
    let mut guarded = Guarded::new(json!({ "keys": keys, "audiences": ["all"] }), json!({}));
    for (secret, kid, aud, code) in [
        (SECRET, "a", "own", "ok"),
        (SECRET, "a", "all", "audience_refused"),
        (OTHER, "b", "all", "ok"),
        (OTHER, "b", "own", "audience_refused"),
    ] {
        let token = signed(secret, json!({ "kid": kid }), json!({ "aud": [aud] }));
        assert_eq!(guarded.get(&token, START), code, "{kid} {aud}");
    }
}

#[test]
fn claims_that_choose_a_key_are_told_to_be_wrong_only_once_they_are_verified() {
    let mut guarded = Guarded::new(json!({ "keys": [key(None, SECRET, &["https://a"])] }), json!({}));
    for (claims, code) in [
        (r#"{"iss":"https://a","iss":"https://b"}"#, "claim_invalid"),
        (r#"{"iss":"https://a"}x"#, "token_malformed"),
        ("[]", "token_malformed"),
    ] {
        let mut ask = |secret: &str| {
            guarded.get(&sign_with(secret.as_bytes(), br#"{"alg":"HS256"}"#, claims.as_bytes()), START)
        };
        assert_eq!(ask(SECRET), code, "{claims}");
        assert_eq!(ask(OTHER), "token_signature_invalid", "{claims}");
    }
}

#[test]
fn keys_of_several_algorithms_are_kept_apart() {
    let long = "a-secret-of-the-tests-that-is-long-enough-for-the-longest-of-all-hashes";
    let key =
        |algorithm: &str, secret: &str| json!({ "algorithm": algorithm, "secret": { "value": secret } });
    let mut named = key("HS512", long);
    named["kid"] = json!("n");
    let keys =
        json!([key("HS256", long), key("HS512", long), key("HS512", &long.replace("a-", "b-")), named]);
    let mut guarded = Guarded::new(json!({ "keys": keys }), json!({}));
    let mac = |algorithm: &str, secret: &str, header: Value| {
        let algorithm = MacAlgorithm::ALL.into_iter().find(|known| known.name() == algorithm).unwrap();
        let claims = json!({ "sub": "u1", "iat": START, "exp": START + HOUR }).to_string();
        sign_as(algorithm, secret.as_bytes(), header.to_string().as_bytes(), claims.as_bytes())
    };
    for (made, said, secret, kid, code) in [
        ("HS256", "HS256", long, None, "ok"),
        ("HS512", "HS512", long, None, "ok"),
        ("HS512", "HS512", &*long.replace("a-", "b-"), None, "ok"),
        ("HS512", "HS512", long, Some("n"), "ok"),
        ("HS256", "HS256", long, Some("n"), "token_algorithm_refused"),
        ("HS256", "HS512", long, None, "token_signature_invalid"),
        ("HS512", "HS256", long, None, "token_signature_invalid"),
        ("HS384", "HS384", long, None, "token_algorithm_refused"),
        ("HS256", "hs256", long, None, "token_algorithm_refused"),
    ] {
        let mut header = json!({ "alg": said });
        if let Some(kid) = kid {
            header["kid"] = json!(kid);
        }
        assert_eq!(guarded.get(&mac(made, secret, header), START), code, "{made} as {said} {kid:?}");
    }
}

fn two_issuers(further: Value) -> Guarded {
    let keys = json!([key(Some("a"), SECRET, &["https://a"]), key(Some("b"), OTHER, &["https://b"])]);
    Guarded::new(json!({ "keys": keys }), further)
}

fn of(issuer: &str, claims: Value) -> String {
    let (secret, kid) = if issuer == "a" { (SECRET, "a") } else { (OTHER, "b") };
    let mut all = json!({ "iss": format!("https://{issuer}") });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    signed(secret, json!({ "kid": kid }), all)
}

#[test]
fn the_same_subject_of_two_issuers_is_two_callers() {
    let limit = json!({ "rate_limits": [{ "name": "a", "max_requests": 1, "window_seconds": 60, "key": ["subject"] }] });
    let mut guarded = two_issuers(limit.clone());
    assert_eq!(guarded.get(&of("a", json!({})), START), "ok");
    assert_eq!(guarded.get(&of("b", json!({})), START), "ok");
    assert_eq!(guarded.get(&of("a", json!({ "jti": "x" })), START), "rate_limited");
    // Issuers that all keys share are several, too, and one issuer is not.
    for (issuers, code) in [(json!(["https://a", "https://b"]), "ok"), (json!([]), "rate_limited")] {
        let mut guarded = Guarded::new(json!({ "issuers": issuers }), limit.clone());
        for (issuer, code) in [("https://a", "ok"), ("https://b", code)] {
            assert_eq!(
                guarded.get(&signed(SECRET, json!({}), json!({ "iss": issuer })), START),
                code,
                "{issuers}"
            );
        }
    }
}

#[test]
fn a_subject_is_denied_at_every_issuer_or_at_one() {
    let denied = json!({ "sub": ["mallory", { "iss": "https://a", "sub": "u1" }, { "iss": "https://b", "sub": "u2" }] });
    let mut guarded = two_issuers(json!({ "revocation": { "denied": denied } }));
    for (issuer, sub, code) in [
        ("a", "mallory", "token_revoked"),
        ("b", "mallory", "token_revoked"),
        ("a", "u1", "token_revoked"),
        ("b", "u1", "ok"),
        ("a", "u2", "ok"),
        ("b", "u2", "token_revoked"),
    ] {
        assert_eq!(guarded.get(&of(issuer, json!({ "sub": sub })), START), code, "{issuer} {sub}");
    }
}

#[test]
fn a_caller_revokes_no_namesake_at_another_issuer() {
    let mut guarded = two_issuers(super::endpoint());
    let (mine, namesake) = (of("a", json!({})), of("b", json!({})));
    let body = json!({ "sub": "u1", "issued_before": START + 1 }).to_string();
    guarded.revoke(&mine, &body, START).unwrap();
    assert_eq!(guarded.get(&mine, START), "token_revoked");
    assert_eq!(guarded.get(&namesake, START), "ok");
    let body = json!({ "token": namesake }).to_string();
    let refused = guarded.revoke(&of("a", json!({ "iat": START + 2 })), &body, START);
    assert_eq!(refused, Err("permission_missing".to_owned()));
    // Whoever may revoke others means the subject of every issuer.
    let admin = of("a", json!({ "sub": "admin", "permissions": ["tokens:revoke"] }));
    let body = json!({ "sub": "u1", "issued_before": START + 1 }).to_string();
    guarded.revoke(&admin, &body, START).unwrap();
    assert_eq!(guarded.get(&namesake, START), "token_revoked");
}

#[test]
fn whoever_may_revoke_others_may_mean_the_subject_of_one_issuer() {
    let mut guarded = two_issuers(super::endpoint());
    let admin = of("a", json!({ "sub": "admin", "permissions": ["tokens:revoke"] }));
    let body = |iss: &str| json!({ "iss": iss, "sub": "u1", "issued_before": START + 1 }).to_string();
    guarded.revoke(&admin, &body("https://b"), START).unwrap();
    assert_eq!(guarded.get(&of("b", json!({})), START), "token_revoked");
    assert_eq!(guarded.get(&of("b", json!({ "sub": "u2" })), START), "ok");
    assert_eq!(guarded.get(&of("a", json!({})), START), "ok");
    guarded.revoke(&admin, &body("https://a"), START).unwrap();
    assert_eq!(guarded.get(&of("a", json!({})), START), "token_revoked");
}

#[test]
fn an_ordinary_caller_may_name_their_own_issuer_and_no_other() {
    let body = |iss: &str| json!({ "iss": iss, "sub": "u1", "issued_before": START + 1 }).to_string();
    let refused = Err("permission_missing".to_owned());
    // Also where the same subject of any issuer is one caller.
    let one_key = || Guarded::new(json!({}), super::endpoint());
    let one_key_of = |issuer: &str| signed(SECRET, json!({}), json!({ "iss": format!("https://{issuer}") }));
    for (mut guarded, mine, namesake) in [
        (two_issuers(super::endpoint()), of("a", json!({})), of("b", json!({}))),
        (one_key(), one_key_of("a"), one_key_of("b")),
    ] {
        for other in ["https://b", "https://a/", "https://A"] {
            assert_eq!(guarded.revoke(&mine, &body(other), START), refused, "{other}");
        }
        assert_eq!(guarded.get(&namesake, START), "ok");
        guarded.revoke(&mine, &body("https://a"), START).unwrap();
        assert_eq!(guarded.get(&mine, START), "token_revoked");
        assert_eq!(guarded.get(&namesake, START), "ok");
    }
    // Who has no issuer can name none.
    let mut guarded = one_key();
    let nobody_s = signed(SECRET, json!({}), json!({}));
    assert_eq!(guarded.revoke(&nobody_s, &body("https://a"), START), refused);
}
