//! Which tokens are one token: what ends with a token that is revoked, however it was signed and written down.

use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::Means;
use api_guard_core::token::current::CurrentSets;
use api_guard_core::token::signature::NoSignatures;
use serde_json::{Value, json};

use super::{Guarded, HOUR, SECRET, START};

const OTHER_SECRET: &str = "another-secret-of-the-tests-that-is-long-enough";
const HEADER: &str = r#"{"alg":"HS256"}"#;

/// A guard that takes tokens of both secrets, whether or not they have claims beyond the times.
fn guarded() -> Guarded {
    let keys = json!([{ "secret": { "value": SECRET } }, { "secret": { "value": OTHER_SECRET } }]);
    Guarded::new(
        json!({ "keys": keys, "required_claims": ["exp", "iat"] }),
        json!({ "revocation": { "endpoint": {} } }),
    )
}

/// A token of this hour.
fn signed(secret: &str, header: &str, claims: &Value) -> String {
    let mut claims = claims.clone();
    claims["iat"] = json!(START);
    claims["exp"] = json!(START + HOUR);
    super::signed(secret, header, &claims.to_string())
}

/// Whether both are one token, which is asked of their identities and of the revocation endpoint.
fn are_one(one: &str, other: &str) -> bool {
    let mut guarded = guarded();
    let seed = Seed::from_bytes([7; 16]);
    let verify = |token: &str| {
        let policy = guarded.guard.policy();
        let sets = CurrentSets::configured(policy.tokens().keys());
        let means = Means { sets: &sets, signatures: &NoSignatures, seed: &seed };
        policy.verify(token.as_bytes(), &means, UnixNanos::from_seconds(START)).unwrap()
    };
    let (first, second) = (verify(one), verify(other));
    let are_one = first.identity() == second.identity();
    assert_eq!(first.identity().digest(&seed) == second.identity().digest(&seed), are_one);

    assert_eq!(guarded.get(other, START), "ok");
    assert_eq!(guarded.revoke(one, "", START), Ok(Some(START + HOUR)));
    assert_eq!(guarded.get(one, START), "token_revoked");
    assert_eq!(guarded.get(other, START), if are_one { "token_revoked" } else { "ok" });
    are_one
}

#[test]
fn the_same_issuer_subject_and_jti_are_one_token_under_any_header_and_signature() {
    let one = signed(SECRET, HEADER, &json!({ "iss": "i", "sub": "s", "jti": "j" }));
    for other in [
        signed(SECRET, r#"{"typ":"JWT","alg":"HS256"}"#, &json!({ "iss": "i", "sub": "s", "jti": "j" })),
        signed(OTHER_SECRET, HEADER, &json!({ "iss": "i", "sub": "s", "jti": "j" })),
        signed(SECRET, HEADER, &json!({ "iss": "i", "sub": "s", "jti": "j", "x": 1 })),
    ] {
        assert!(are_one(&one, &other), "{other}");
    }
}

#[test]
fn another_issuer_subject_or_jti_is_another_token() {
    let one = json!({ "iss": "i", "sub": "s", "jti": "j" });
    for (claim, value) in [
        ("iss", json!("k")),
        ("iss", json!("")),
        ("sub", json!("t")),
        ("jti", json!("k")),
        ("jti", json!("")),
    ] {
        let mut other = one.clone();
        other[claim] = value;
        let [one, other] = [&one, &other].map(|claims| signed(SECRET, HEADER, claims));
        assert!(!are_one(&one, &other), "{claim}");
    }
    for absent in ["iss", "sub", "jti"] {
        let mut other = one.clone();
        other.as_object_mut().unwrap().remove(absent);
        let [one, other] = [&one, &other].map(|claims| signed(SECRET, HEADER, claims));
        assert!(!are_one(&one, &other), "{absent}");
    }
    let without_issuer = signed(SECRET, HEADER, &json!({ "sub": "s", "jti": "j" }));
    let of_empty_issuer = signed(SECRET, HEADER, &json!({ "iss": "", "sub": "s", "jti": "j" }));
    assert!(!are_one(&without_issuer, &of_empty_issuer));
}

#[test]
fn without_a_jti_a_token_is_its_header_and_payload_whatever_its_signature() {
    for claims in [json!({ "iss": "i", "sub": "s" }), json!({ "iss": "i", "sub": "s", "jti": "" })] {
        let one = signed(SECRET, HEADER, &claims);
        let other_signature = signed(OTHER_SECRET, HEADER, &claims);
        assert_ne!(one, other_signature);
        assert!(are_one(&one, &other_signature));

        let other_header = signed(SECRET, r#"{"typ":"JWT","alg":"HS256"}"#, &claims);
        assert!(!are_one(&one, &other_header));
        let mut more = claims.clone();
        more["x"] = json!(1);
        assert!(!are_one(&one, &signed(SECRET, HEADER, &more)));
    }
}
