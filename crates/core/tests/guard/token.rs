//! Step 3: which tokens are taken, to the second and the byte, and what is known of their owners then.

mod keys;

use api_guard_core::token::Age;
use api_guard_core::token::keys::KeyId;
use api_guard_testkit::lay_over;
use serde_json::{Value, json};

use super::{Guarded, HOUR, SECRET, START, request, said, signed, token};

/// A good token with `changes`.
pub(super) fn with(changes: Value) -> String {
    let mut claims = json!({ "sub": "u1", "iat": START, "exp": START + HOUR });
    lay_over(&mut claims, &changes);
    token(&claims)
}

#[test]
fn times_are_judged_to_the_second() {
    let expired = "token_expired";
    let early = "token_not_yet_valid";
    let future = "token_issued_in_future";
    for (skew, claims, moments) in [
        (0, json!({ "exp": START }), vec![(START - 1, "ok"), (START, expired), (START + 1, expired)]),
        (0, json!({ "exp": 1_790_000_000.5 }), vec![(START, "ok"), (START + 1, expired)]),
        (30, json!({ "exp": START }), vec![(START + 29, "ok"), (START + 30, expired)]),
        (0, json!({ "nbf": START }), vec![(START - 1, early), (START, "ok"), (START + 1, "ok")]),
        (30, json!({ "nbf": START + 60 }), vec![(START + 29, early), (START + 30, "ok")]),
        (0, json!({ "iat": START + 61 }), vec![(START, future), (START + 1, "ok"), (START + 2, "ok")]),
        (30, json!({ "iat": START + 61 }), vec![(START, future), (START + 1, "ok")]),
        (90, json!({ "iat": START + 91 }), vec![(START, future), (START + 1, "ok")]),
    ] {
        for (now, code) in moments {
            // By a worker that sees the token for the first time, and by one that remembers it.
            let mut guarded = Guarded::new(json!({ "clock_skew_seconds": skew }), json!({}));
            let token = with(claims.clone());
            for _ in 0..2 {
                assert_eq!(guarded.get(&token, now), code, "{skew} {claims} at {now}");
            }
        }
    }
}

#[test]
fn a_token_grows_too_old_a_second_after_its_largest_age() {
    for (too_old, code, age) in [("warn", "ok", Age::Old), ("reject", "token_too_old", Age::Good)] {
        let mut guarded =
            Guarded::new(json!({ "max_token_age_hours": 1, "token_too_old": too_old }), json!({}));
        let bearer = format!("Bearer {}", with(json!({ "exp": START + 9 * HOUR })));
        let headers = request("GET", "/", &[("authorization", &bearer)]);
        let verdict = guarded.admit(&headers, START + HOUR);
        assert_eq!(
            (said(&verdict).as_str(), verdict.trail.token.as_ref().map_or(Age::Good, |token| token.age)),
            ("ok", Age::Good),
            "{too_old}"
        );
        let verdict = guarded.admit(&headers, START + HOUR + 1);
        assert_eq!(
            (said(&verdict).as_str(), verdict.trail.token.as_ref().map_or(Age::Good, |token| token.age)),
            (code, age),
            "{too_old}"
        );
    }
}

#[test]
fn a_subject_is_a_text_of_1_to_256_bytes_without_control_characters_or_an_integer_from_0() {
    let mut guarded = Guarded::new(json!({}), json!({}));
    for (sub, code) in [
        (json!("a"), "ok"),
        (json!("a".repeat(256)), "ok"),
        (json!("ä".repeat(128)), "ok"),
        (json!("a b"), "ok"),
        (json!(""), "claim_invalid"),
        (json!("a".repeat(257)), "claim_invalid"),
        (json!("ä".repeat(129)), "claim_invalid"),
        (json!("a\u{0}"), "claim_invalid"),
        (json!("a\u{7f}b"), "claim_invalid"),
        (json!("a\u{85}b"), "claim_invalid"),
        (json!(" a"), "claim_invalid"),
        (json!("a "), "claim_invalid"),
        (json!(7), "ok"),
        (json!(0), "ok"),
        (json!(-7), "claim_invalid"),
        (json!(7.0), "claim_invalid"),
        (json!(true), "claim_invalid"),
        (json!(null), "claim_missing"),
        (json!(["a"]), "claim_invalid"),
    ] {
        assert_eq!(guarded.get(&with(json!({ "sub": sub })), START), code, "{sub}");
    }
}

#[test]
fn issuer_and_audience_are_one_of_those_configured() {
    let mut guarded = Guarded::new(json!({ "issuers": ["a", "b"], "audiences": ["x", "y"] }), json!({}));
    for (iss, aud, code) in [
        (json!("a"), json!("x"), "ok"),
        (json!("b"), json!(["y"]), "ok"),
        (json!("b"), json!(["z", "x"]), "ok"),
        (json!("c"), json!("x"), "issuer_refused"),
        (json!(["a"]), json!("x"), "claim_invalid"),
        (json!("a"), json!("z"), "audience_refused"),
        (json!("a"), json!([]), "audience_refused"),
        (json!("a"), json!(["x", 1]), "claim_invalid"),
        (json!("a"), json!({ "x": "x" }), "claim_invalid"),
    ] {
        let token = with(json!({ "iss": iss, "aud": aud }));
        assert_eq!(guarded.get(&token, START), code, "{iss} {aud}");
    }
    assert_eq!(guarded.get(&with(json!({ "iss": "a" })), START), "audience_refused");
    assert_eq!(guarded.get(&with(json!({ "aud": "x" })), START), "issuer_refused");
    // Where none is configured none is asked for, but a wrong form is a wrong form.
    let mut guarded = Guarded::new(json!({}), json!({}));
    for (claims, code) in [
        (json!({ "iss": "c", "aud": [] }), "ok"),
        (json!({ "iss": 1 }), "claim_invalid"),
        (json!({ "aud": 1 }), "claim_invalid"),
        (json!({ "jti": 1 }), "claim_invalid"),
    ] {
        assert_eq!(guarded.get(&with(claims.clone()), START), code, "{claims}");
    }
}

#[test]
fn permissions_are_those_of_the_token_and_then_those_of_its_roles() {
    let clerk = json!(["orders:read", "orders:write"]);
    let mut guarded = Guarded::new(
        json!({}),
        json!({
            "roles": { "claim": "roles", "grants": { "clerk": clerk, "reader": ["orders:read", "parts:read"] } },
            "routes": [{ "path": "/", "required_permissions": ["orders:write"] }],
        }),
    );
    let lacks = "permission_missing";
    let wrong = "claim_invalid";
    for (permissions, roles, code, text) in [
        (json!(["orders:write", "x:y"]), json!([]), "ok", "orders:write x:y"),
        (json!("x:y orders:write"), json!([]), "ok", "x:y orders:write"),
        (json!(["x:y"]), json!([]), lacks, "x:y"),
        (json!(""), json!(""), lacks, ""),
        (json!([]), json!(["clerk"]), "ok", "orders:read orders:write"),
        (json!([]), json!("reader clerk"), "ok", "orders:read parts:read orders:write"),
        (json!(["orders:read"]), json!(["guest", "clerk"]), "ok", "orders:read orders:write"),
        (json!([]), json!(["reader"]), lacks, "orders:read parts:read"),
        (json!([]), json!(["Clerk"]), lacks, ""),
        (json!([]), json!(7), wrong, ""),
        (json!([]), json!(["clerk", 7]), wrong, ""),
        (json!({}), json!([]), "permissions_malformed", ""),
        (json!(["a:b", ["c:d"]]), json!([]), "permissions_malformed", ""),
        (json!("a:b  c:d"), json!([]), lacks, "a:b c:d"),
        (
            json!(" orders:write   x:y "),
            json!("  clerk   reader "),
            "ok",
            "orders:write x:y orders:read parts:read",
        ),
        (json!("  "), json!(" "), lacks, ""),
        (json!(null), json!(null), lacks, ""),
        (json!(["a:b", null]), json!([]), "permissions_malformed", ""),
        (json!(["a:b "]), json!([]), "permissions_malformed", ""),
        (json!([]), json!(["clerk", null]), wrong, ""),
    ] {
        let case = format!("{permissions} {roles}");
        let bearer = format!("Bearer {}", with(json!({ "permissions": permissions, "roles": roles })));
        let verdict = guarded.admit(&request("GET", "/", &[("authorization", &bearer)]), START);
        assert_eq!(said(&verdict), code, "{case}");
        let held = verdict.trail.identity().map_or("", |caller| caller.token.permissions_text());
        assert_eq!(held, text, "{case}");
    }
}

#[test]
fn all_that_are_required_and_one_of_any_are_needed() {
    let mut guarded = Guarded::new(
        json!({}),
        json!({ "routes": [
            { "path": "/all", "required_permissions": ["a:a", "b:b"] },
            { "path": "/any", "any_permissions": ["a:a", "b:b"] },
        ] }),
    );
    let lacks = "permission_missing";
    for (permissions, all, any) in [
        ("", lacks, lacks),
        ("c:c", lacks, lacks),
        ("a:a", lacks, "ok"),
        ("b:b", lacks, "ok"),
        ("b:b a:a", "ok", "ok"),
    ] {
        let bearer = format!("Bearer {}", with(json!({ "permissions": permissions })));
        for (path, code) in [("/all", all), ("/any", any)] {
            let verdict = guarded.admit(&request("GET", path, &[("authorization", &bearer)]), START);
            assert_eq!(said(&verdict), code, "{path} {permissions}");
        }
    }
}

#[test]
fn what_is_known_of_a_caller_is_what_the_token_says() {
    let mut guarded = Guarded::new(
        json!({ "required_claims": [] }),
        json!({ "routes": [{ "path": "/of/{id}", "bind": { "id": "customer.number" } }] }),
    );
    let mut ask = |token: &str, path: &str| {
        let bearer = format!("Bearer {token}");
        guarded.admit(&request("GET", path, &[("authorization", &bearer)]), START)
    };
    let verdict = ask(&with(json!({ "jti": "j", "customer": { "number": 7 } })), "/of/7");
    let known = &verdict.trail.identity().unwrap().token;
    assert_eq!(
        (known.subject(), known.jti(), known.key().configured()),
        (Some("u1"), Some("j"), Some(KeyId::new(0)))
    );
    let seconds = [known.issued_at(), known.expires_at()].map(|moment| moment.unwrap().seconds());
    assert_eq!(seconds, [START, START + HOUR]);
    let verdict = ask(&token(&json!({})), "/");
    let known = &verdict.trail.identity().unwrap().token;
    assert_eq!((known.subject(), known.jti()), (None, None));
    assert_eq!((known.issued_at(), known.expires_at()), (None, None));
    for (number, path, code) in [
        (json!(7), "/of/8", "binding_mismatch"),
        (json!("7"), "/of/7", "ok"),
        (json!("a b"), "/of/a%20b", "ok"),
        (json!(-7), "/of/-7", "ok"),
        // Neither a text nor an integer: nothing that a path could name.
        (json!(7.5), "/of/7.5", "binding_mismatch"),
        (json!(true), "/of/true", "binding_mismatch"),
        (json!(null), "/of/null", "binding_mismatch"),
        (json!([7]), "/of/[7]", "binding_mismatch"),
    ] {
        let verdict = ask(&with(json!({ "customer": { "number": number } })), path);
        assert_eq!(said(&verdict), code, "{number} {path}");
    }
    assert_eq!(said(&ask(&with(json!({})), "/of/7")), "binding_mismatch");
}

#[test]
fn only_a_number_written_as_an_integer_is_compared_with_a_path() {
    let mut guarded =
        Guarded::new(json!({}), json!({ "routes": [{ "path": "/of/{id}", "bind": { "id": "n" } }] }));
    for (written, in_path, code) in [
        ("7", "7", "ok"),
        ("-7", "-7", "ok"),
        ("18446744073709551615", "18446744073709551615", "ok"),
        ("18446744073709551616", "18446744073709551616", "ok"),
        ("-0", "-0", "binding_mismatch"),
        ("7.0", "7", "binding_mismatch"),
        ("7.0", "7.0", "binding_mismatch"),
        ("1e3", "1000", "binding_mismatch"),
        ("1e3", "1e3", "binding_mismatch"),
        ("1e999", "1e999", "token_malformed"),
    ] {
        let claims = format!(r#"{{"sub":"u1","iat":{START},"exp":{},"n":{written}}}"#, START + HOUR);
        let bearer = format!("Bearer {}", signed(SECRET, r#"{"alg":"HS256"}"#, &claims));
        let path = format!("/of/{in_path}");
        let verdict = guarded.admit(&request("GET", &path, &[("authorization", &bearer)]), START);
        assert_eq!(said(&verdict), code, "{written} {in_path}");
    }
}

#[test]
fn nobody_is_anonymous_with_what_the_service_may_read_as_a_token() {
    let mut guarded = Guarded::new(
        json!({ "sources": [{ "header": "authorization", "scheme": "Bearer" }, { "query": "access_token" }] }),
        json!({ "routes": [{ "path": "/feed", "access": "optional" }] }),
    );
    let token = with(json!({}));
    let line = |before: &str| format!("{before}{token}");
    for (value, query, code) in [
        (None, "", "ok"),
        (Some(line("Basic ")), "", "ok"),
        (Some(line("Bearer ")), "", "ok"),
        (Some(line("Bearer\t")), "", "token_missing"),
        (Some(line("Bearer:")), "", "token_missing"),
        (None, "?access.token=T", "token_missing"),
        (Some(line("Bearer ")), "?a=1;access_token=T", "credentials_ambiguous"),
    ] {
        let path = format!("/feed{query}");
        let header = value.as_deref().map(|value| ("authorization", value));
        let verdict = guarded.admit(&request("GET", &path, header.as_slice()), START);
        assert_eq!(said(&verdict), code, "{value:?} {query}");
    }
}
