//! Keys in rotation, and what only some configurations check: issuer, audience, skew, age.

use serde_json::{Value, json};

use crate::ask::{Ask, Protocol};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::table::judge;
use crate::token::{HEADER, base64url, now, payload, sign_with, token};

const HTTP1: [Protocol; 1] = [Protocol::Http1];

fn ask(token: &str) -> Ask {
    Ask::get("/x").token(token)
}

#[test]
fn keys_rotate_by_kid_and_by_time() {
    let old = "an-old-secret-of-more-than-thirty-two-bytes";
    let new = "a-new-secret-of-more-than-thirty-two-bytes!";
    let gone = "a-gone-secret-of-more-than-thirty-two-bytes";
    let envoy = Envoy::start(Setup::new(&policy(json!({ "tokens": { "keys": [
        { "kid": "old", "secret": { "value": old } },
        { "kid": "new", "secret": { "base64url": base64url(new) }, "not_before": "2020-01-01T00:00:00Z" },
        { "kid": "gone", "secret": { "value": gone }, "not_after": "2020-01-01T00:00:00Z" },
        { "kid": "coming", "secret": { "value": format!("{gone}2") }, "not_before": "2120-01-01T00:00:00Z" },
    ] } }))));
    let named = |kid: &str, secret: &str| {
        ask(&sign_with(
            secret.as_bytes(),
            json!({ "alg": "HS256", "kid": kid }).to_string(),
            payload(json!({})).to_string(),
        ))
    };
    let unnamed = |secret: &str| ask(&sign_with(secret.as_bytes(), HEADER, payload(json!({})).to_string()));
    judge(
        &envoy,
        &HTTP1,
        [
            ("the old key", named("old", old), "200"),
            ("the new key", named("new", new), "200"),
            ("the new key again", named("new", new), "200"),
            ("one key's name with another's MAC", named("old", new), "401 token_signature_invalid"),
            ("a key whose time is over", named("gone", gone), "401"),
            ("a key whose time has not come", named("coming", &format!("{gone}2")), "401"),
            ("an unknown name", named("OLD", old), "401 token_key_unknown"),
            ("an empty name", named("", old), "401 token_key_unknown"),
            ("no name: every key, as all have one", unnamed(old), "200"),
            ("no name: the new one too", unnamed(new), "200"),
            ("no name: but not one whose time is over", unnamed(gone), "401"),
        ],
    );
}

#[test]
fn issuer_audience_skew_and_age_are_checked_where_configured() {
    let envoy = Envoy::start(Setup::new(&policy(json!({ "tokens": {
        "issuers": ["https://issuer.example"],
        "audiences": ["orders", "users"],
        "clock_skew_seconds": 30,
        "max_token_age_hours": 1,
        "token_too_old": "reject",
    } }))));
    let now = now();
    let claiming = |mut claims: Value| {
        for (name, value) in [("iss", json!("https://issuer.example")), ("aud", json!("orders"))] {
            let claims = claims.as_object_mut().unwrap();
            claims.entry(name).or_insert(value);
        }
        ask(&token(claims))
    };
    judge(
        &envoy,
        &HTTP1,
        [
            ("all good", claiming(json!({})), "200"),
            ("one of several audiences", claiming(json!({ "aud": ["billing", "users"] })), "200"),
            ("none of the audiences", claiming(json!({ "aud": ["billing"] })), "401 audience_refused"),
            ("no audience at all", claiming(json!({ "aud": [] })), "401"),
            ("no audience claim", claiming(json!({ "aud": null })), "401"),
            (
                "another issuer",
                claiming(json!({ "iss": "https://issuer.example.evil" })),
                "401 issuer_refused",
            ),
            ("no issuer", claiming(json!({ "iss": null })), "401"),
            ("expired within the skew", claiming(json!({ "exp": now - 5 })), "200"),
            ("expired beyond the skew", claiming(json!({ "exp": now - 31 })), "401 token_expired"),
            ("early within the skew", claiming(json!({ "nbf": now + 10 })), "200"),
            ("early beyond the skew", claiming(json!({ "nbf": now + 300 })), "401 token_not_yet_valid"),
            ("too old", claiming(json!({ "iat": now - 3700 })), "401 token_too_old"),
        ],
    );
}
