//! Which claim says what: who the caller is, which values a claim must have, and what the caller may do.

use api_guard_core::effect::reasons;
use serde_json::{Value, json};

use super::token::with;
use super::{Guarded, HOUR, SECRET, START, request, said, signed};

#[test]
fn without_a_header_for_it_a_subject_may_have_spaces_around_it() {
    let mut guarded = Guarded::new(json!({}), json!({ "forward": { "subject_header": null } }));
    assert_eq!(guarded.get(&with(json!({ "sub": " a " })), START), "ok");
}

#[test]
fn an_integer_subject_is_taken_digit_for_digit() {
    let mut guarded = Guarded::new(json!({}), json!({}));
    for (digits, code) in [
        ("18446744073709551616", "ok"),
        ("123456789012345678901234567890", "ok"),
        ("1e3", "claim_invalid"),
        ("7.0", "claim_invalid"),
        ("-0", "claim_invalid"),
        ("-1", "claim_invalid"),
    ] {
        let claims = format!(r#"{{"sub":{digits},"iat":{START},"exp":{}}}"#, START + HOUR);
        let bearer = format!("Bearer {}", signed(SECRET, r#"{"alg":"HS256"}"#, &claims));
        let verdict = guarded.admit(&request("GET", "/", &[("authorization", &bearer)]), START);
        assert_eq!(said(&verdict), code, "{digits}");
        let known = verdict.trail.identity().and_then(|caller| caller.token.subject());
        assert_eq!(known, (code == "ok").then_some(digits));
    }
}

#[test]
fn the_subject_is_that_of_the_configured_claim_alone() {
    let mut guarded = Guarded::new(
        json!({ "subject_claim": "user.id" }),
        json!({ "revocation": { "denied": { "sub": ["9"] } } }),
    );
    let mut subject = |claims: Value| {
        let bearer = format!("Bearer {}", with(claims));
        let verdict = guarded.admit(&request("GET", "/", &[("authorization", &bearer)]), START);
        let known = verdict.trail.identity().and_then(|caller| caller.token.subject()).map(str::to_owned);
        (said(&verdict), known)
    };
    assert_eq!(subject(json!({ "user": { "id": 7 } })), ("ok".to_owned(), Some("7".to_owned())));
    assert_eq!(
        subject(json!({ "sub": "9", "user": { "id": "7" } })),
        ("ok".to_owned(), Some("7".to_owned()))
    );
    assert_eq!(
        subject(json!({ "sub": ["no"], "user": { "id": "7" } })),
        ("ok".to_owned(), Some("7".to_owned()))
    );
    assert_eq!(subject(json!({ "user": { "id": 9 } })).0, "token_revoked");
    assert_eq!(subject(json!({ "user": { "id": [] } })).0, "claim_invalid");
    for absent in
        [json!({}), json!({ "user": {} }), json!({ "user": { "id": null } }), json!({ "user": "7" })]
    {
        assert_eq!(subject(absent).0, "claim_missing");
    }
}

#[test]
fn callers_are_counted_by_the_subject_that_is_configured() {
    let mut guarded = Guarded::new(
        json!({ "subject_claim": "user_id" }),
        json!({ "rate_limits": [{ "name": "a", "max_requests": 1, "window_seconds": 60, "key": ["subject"] }] }),
    );
    let mut ask = |user: Value| guarded.get(&with(json!({ "user_id": user })), START);
    assert_eq!(ask(json!(7)), "ok");
    assert_eq!(ask(json!(8)), "ok");
    assert_eq!(ask(json!("7")), "rate_limited");
}

#[test]
fn a_claim_has_one_of_the_values_that_are_required() {
    let mut guarded = Guarded::new(
        json!({ "required_values": { "token_type": ["access", "id"], "a.level": [2, -3], "verified": [true] } }),
        json!({}),
    );
    let good = json!({ "token_type": "access", "a": { "level": 2 }, "verified": true });
    for (changes, code) in [
        (json!({}), "ok"),
        (json!({ "token_type": "id" }), "ok"),
        (json!({ "token_type": ["refresh", "access"] }), "ok"),
        (json!({ "token_type": "refresh" }), "claim_invalid"),
        (json!({ "token_type": "Access" }), "claim_invalid"),
        (json!({ "token_type": ["refresh"] }), "claim_invalid"),
        (json!({ "token_type": [] }), "claim_invalid"),
        (json!({ "token_type": [["access"]] }), "claim_invalid"),
        (json!({ "token_type": { "access": 1 } }), "claim_invalid"),
        (json!({ "token_type": null }), "claim_invalid"),
        (json!({ "a": { "level": -3 } }), "ok"),
        (json!({ "a": { "level": "2" } }), "claim_invalid"),
        (json!({ "a": { "level": 2.0 } }), "claim_invalid"),
        (json!({ "a": { "level": 3 } }), "claim_invalid"),
        (json!({ "a": 2 }), "claim_invalid"),
        (json!({ "verified": false }), "claim_invalid"),
        (json!({ "verified": "true" }), "claim_invalid"),
        (json!({ "verified": 1 }), "claim_invalid"),
    ] {
        let mut claims = good.clone();
        claims.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
        assert_eq!(guarded.get(&with(claims), START), code, "{changes}");
    }
    let bearer = format!("Bearer {}", with(json!({})));
    let verdict = guarded.admit(&request("GET", "/", &[("authorization", &bearer)]), START);
    assert_eq!(
        verdict.denial().map(reasons).unwrap(),
        ["Invalid token: claim a.level has none of the accepted values"]
    );
}

#[test]
fn permissions_and_roles_of_several_claims_are_joined() {
    let mut guarded = Guarded::new(
        json!({ "permissions_claim": ["scope", "realm.permissions"] }),
        json!({ "roles": { "claim": ["role", "app.roles"], "grants": { "clerk": ["c:c"], "boss": ["b:b", "c:c"] } } }),
    );
    for (claims, code, text) in [
        (json!({ "scope": "a:a x:x", "realm": { "permissions": ["x:x", "y:y"] } }), "ok", "a:a x:x y:y"),
        (json!({ "realm": { "permissions": "y:y" } }), "ok", "y:y"),
        (json!({ "role": "clerk", "app": { "roles": ["boss"] } }), "ok", "c:c b:b"),
        (json!({ "scope": "c:c", "app": { "roles": ["boss"] }, "role": null }), "ok", "c:c b:b"),
        (json!({ "scope": "a:a", "realm": { "permissions": ["X"] } }), "permissions_malformed", ""),
        (json!({ "role": "clerk", "app": { "roles": true } }), "claim_invalid", ""),
    ] {
        let bearer = format!("Bearer {}", with(claims.clone()));
        let verdict = guarded.admit(&request("GET", "/", &[("authorization", &bearer)]), START);
        assert_eq!(said(&verdict), code, "{claims}");
        let held = verdict.trail.identity().map_or("", |caller| caller.token.permissions_text());
        assert_eq!(held, text, "{claims}");
    }
}
