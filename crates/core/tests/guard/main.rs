//! The guard over time, from its public side: what one worker remembers must never outlive what the contract says.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on fails"
)]

mod cache;
mod challenge;
mod claims;
mod exceptions;
mod failures;
mod form;
mod identity;
mod issuers;
mod key_sets;
mod limits;
mod revoke;
mod token;
mod trail;

use api_guard_core::verdict::{Destination, Grant};
use api_guard_testkit::{Guarded, SECRET, code as said, request, sign_with, token};
use serde_json::{Value, json};

const START: u64 = 1_790_000_000;
const HOUR: u64 = 3600;

fn signed(secret: &str, header: &str, claims: &str) -> String {
    sign_with(secret.as_bytes(), header.as_bytes(), claims.as_bytes())
}

fn endpoint() -> Value {
    json!({ "revocation": { "endpoint": {} } })
}

#[test]
fn a_subject_without_dates_of_issue_stays_revoked_though_old_tokens_are_refused() {
    let mut guarded = Guarded::new(
        json!({ "required_claims": ["sub", "exp"], "token_too_old": "reject", "max_token_age_hours": 1 }),
        endpoint(),
    );
    let undated = token(&json!({ "sub": "u1", "exp": START + 100 * HOUR }));
    let dated = token(&json!({ "sub": "u1", "exp": START + 100 * HOUR, "iat": START }));
    let body = json!({ "sub": "u1", "issued_before": START }).to_string();
    assert_eq!(guarded.get(&undated, START), "ok");
    assert_eq!(guarded.revoke(&undated, &body, START), Ok(None));
    for later in [0, HOUR, 2 * HOUR, 50 * HOUR] {
        assert_eq!(guarded.get(&undated, START + later), "token_revoked", "{later}");
    }
    assert_eq!(guarded.get(&dated, START + 1), "ok");
}

#[test]
fn a_subject_s_revocation_ends_with_its_tokens_where_all_say_when_they_were_issued() {
    let mut guarded =
        Guarded::new(json!({ "token_too_old": "reject", "max_token_age_hours": 1 }), endpoint());
    let dated = token(&json!({ "sub": "u1", "exp": START + 100 * HOUR, "iat": START }));
    let body = json!({ "sub": "u1", "issued_before": START + 1 }).to_string();
    assert_eq!(guarded.revoke(&dated, &body, START), Ok(Some(START + 1 + HOUR)));
    assert_eq!(guarded.get(&dated, START + HOUR), "token_revoked");
    assert_eq!(guarded.get(&dated, START + HOUR + 1), "token_too_old");
}

#[test]
fn a_remembered_token_passes_from_one_key_to_the_next_like_a_new_one() {
    let date = |second: u64| format!("2026-09-21T14:13:{:02}Z", second - 1_789_999_980);
    let keys = json!([
        { "secret": { "value": SECRET }, "not_after": date(START + 10) },
        { "secret": { "value": SECRET }, "not_before": date(START + 10), "not_after": date(START + 20) },
    ]);
    let mut guarded = Guarded::new(json!({ "keys": keys }), json!({}));
    let token = token(&json!({ "sub": "u1", "exp": START + HOUR, "iat": START }));
    for (second, said) in [(0, "ok"), (9, "ok"), (10, "ok"), (19, "ok"), (20, "token_key_unknown")] {
        assert_eq!(guarded.get(&token, START + second), said, "{second}");
    }
}

#[test]
fn a_preflight_for_the_revocation_endpoint_is_forwarded_and_revokes_nothing() {
    let mut guarded = Guarded::new(
        json!({}),
        json!({ "request": { "cors_preflight": "forward" }, "revocation": { "endpoint": {} } }),
    );
    let headers = [
        (":method", "OPTIONS"),
        (":path", "/auth/revoke"),
        (":authority", "a"),
        ("origin", "https://app.example"),
        ("access-control-request-method", "POST"),
    ];
    let verdict = guarded.admit(&headers, START);
    let to = verdict.grant().map(Grant::destination);
    assert_eq!(to, Some(Destination::Upstream));
}

#[test]
fn logging_out_ends_a_token_however_its_issuer_writes_it_down_again() {
    let mut guarded = Guarded::new(json!({}), endpoint());
    let dates = format!(r#""iat":{START},"exp":{}"#, START + HOUR);
    let written = |claims: String| token(&serde_json::from_str(&claims).unwrap());
    let mine = written(format!(r#"{{"sub":"u1","jti":"a",{dates}}}"#));
    let again = written(format!(r#"{{"sub":"u1","jti":"a","x":1,{dates}}}"#));
    let others = [
        written(format!(r#"{{"sub":"u2","jti":"a",{dates}}}"#)),
        written(format!(r#"{{"sub":"u1","jti":"b",{dates}}}"#)),
        written(format!(r#"{{"sub":"u1a","jti":"",{dates}}}"#)),
        written(format!(r#"{{"sub":"u1",{dates}}}"#)),
    ];
    assert_eq!(guarded.get(&again, START), "ok");
    assert_eq!(guarded.revoke(&mine, "", START), Ok(Some(START + HOUR)));
    assert_eq!(guarded.get(&mine, START), "token_revoked");
    assert_eq!(guarded.get(&again, START), "token_revoked");
    for other in &others {
        assert_eq!(guarded.get(other, START), "ok");
    }
    // Without a jti it is that very token and no other.
    assert_eq!(guarded.revoke(&others[2], "", START), Ok(Some(START + HOUR)));
    assert_eq!(guarded.get(&others[2], START), "token_revoked");
    assert_eq!(guarded.get(&written(format!(r#"{{"sub":"u1a","jti":"","x":1,{dates}}}"#)), START), "ok");
}

#[test]
fn a_stolen_token_cannot_lock_its_owner_out_for_good() {
    let mut guarded = Guarded::new(json!({}), endpoint());
    let of = |sub: &str, iat: u64, permissions: &[&str]| {
        token(&json!({ "sub": sub, "iat": iat, "exp": iat + 24 * HOUR, "permissions": permissions }))
    };
    let never = json!({ "sub": "u1", "issued_before": 253_402_300_799_u64 }).to_string();
    assert_eq!(guarded.revoke(&of("u1", START, &[]), &never, START), Ok(None));
    // All that can be valid now is revoked, what is issued later is not.
    for iat in [START - HOUR, START, START + 60] {
        assert_eq!(guarded.get(&of("u1", iat, &[]), START), "token_revoked", "{iat}");
    }
    assert_eq!(guarded.get(&of("u1", START + 61, &[]), START + 61), "ok");
    let officer = of("officer", START, &["tokens:revoke"]);
    assert_eq!(guarded.revoke(&officer, &never, START), Ok(None));
    assert_eq!(guarded.get(&of("u1", START + HOUR, &[]), START + HOUR), "token_revoked");
}

#[test]
fn a_body_that_comes_late_reaches_no_token_issued_since_its_headers() {
    let mut guarded = Guarded::new(json!({}), endpoint());
    let of = |iat: u64| token(&json!({ "sub": "u1", "iat": iat, "exp": iat + 24 * HOUR }));
    let never = json!({ "sub": "u1", "issued_before": 253_402_300_799_u64 }).to_string();
    assert_eq!(guarded.revoke_slowly(&of(START), &never, START, START + 300), Ok(None));
    assert_eq!(guarded.get(&of(START + 60), START + 300), "token_revoked");
    assert_eq!(guarded.get(&of(START + 61), START + 300), "ok");
}

#[test]
fn only_one_s_own_tokens_are_revoked_without_the_permission_for_it() {
    let mut guarded = Guarded::new(json!({ "required_claims": ["exp", "iat"] }), endpoint());
    let of = |sub: Option<&str>, jti: &str, permissions: &[&str]| {
        let mut claims = json!({ "jti": jti, "iat": START, "exp": START + HOUR, "permissions": permissions });
        if let Some(sub) = sub {
            claims["sub"] = json!(sub);
        }
        token(&claims)
    };
    let mine = of(Some("u1"), "mine", &[]);
    let officer = of(Some("officer"), "officer", &["tokens:revoke"]);
    let nobody = of(None, "nobody", &[]);
    let refused = Err("permission_missing".to_owned());
    let until = Ok(Some(START + HOUR));
    for (caller, sub, jti, expected) in [
        (&mine, Some("u1"), "another", &until),
        (&mine, Some("u2"), "theirs", &refused),
        (&mine, None, "nameless", &refused),
        (&nobody, Some("u1"), "named", &refused),
        // Who has no name does not share it with others who have none.
        (&nobody, None, "also-nameless", &refused),
        (&officer, Some("u2"), "theirs", &until),
        (&officer, None, "nameless", &until),
    ] {
        let target = of(sub, jti, &[]);
        let body = json!({ "token": target }).to_string();
        assert_eq!(&guarded.revoke(caller, &body, START), expected, "{sub:?} {jti}");
        let left = if expected.is_ok() { "token_revoked" } else { "ok" };
        assert_eq!(guarded.get(&target, START), left, "{sub:?} {jti}");
    }
    for body in [
        json!({ "jti": "mine", "expires_at": START + HOUR }),
        json!({ "sub": "u2", "issued_before": START + 1 }),
    ] {
        assert_eq!(guarded.revoke(&mine, &body.to_string(), START), refused, "{body}");
    }
}

#[test]
fn what_is_no_token_cannot_be_revoked() {
    let mut guarded = Guarded::new(json!({}), endpoint());
    let officer = token(
        &json!({ "sub": "officer", "iat": START, "exp": START + HOUR, "permissions": ["tokens:revoke"] }),
    );
    let expired = token(&json!({ "sub": "u1", "iat": START - HOUR, "exp": START }));
    for bad in ["a.b.c", &expired] {
        let body = json!({ "token": bad }).to_string();
        assert_eq!(guarded.revoke(&officer, &body, START), Err("request_malformed".to_owned()), "{bad}");
    }
    // As long as a token may be, its revocation can be asked for.
    let long = token(&json!({ "sub": "u1", "iat": START, "exp": START + HOUR, "x": "x".repeat(6000) }));
    assert!((8000..8192).contains(&long.len()));
    let body = json!({ "token": long }).to_string();
    assert_eq!(guarded.revoke(&officer, &body, START), Ok(Some(START + HOUR)));
}
