//! `auth_failure_limit`: which refused tokens count, against whom, and what happens when very many addresses fail.

use api_guard_core::telemetry::counters::Counters;
use api_guard_core::token::algorithm::MacAlgorithm;
use api_guard_core::token::secret::Secret;
use api_guard_core::verdict::Verdict;
use api_guard_testkit::SECRET;
use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde_json::{Value, json};

use super::{Guarded, HOUR, START, request, said, signed, token};

const GOOD_HEADER: &str = r#"{"alg":"HS256"}"#;

fn claims() -> Value {
    json!({ "sub": "u1", "iat": START, "exp": START + HOUR, "iss": "us", "aud": "api" })
}

fn good() -> String {
    token(&claims())
}

/// With one change of the claims.
fn with(claim: &str, value: Value) -> String {
    let mut claims = claims();
    claims[claim] = value;
    token(&claims)
}

/// Under a limit of so many failures, and limits besides; the client's address is what `of` says.
fn guarded(max_failures: u32, capacity: u32, limits: Value) -> Guarded {
    Guarded::new(
        json!({ "issuers": ["us"], "audiences": ["api"], "token_too_old": "reject", "max_token_age_hours": 1 }),
        json!({
            "auth_failure_limit": { "max_failures": max_failures, "window_seconds": 60 },
            "limiter_capacity": capacity,
            "rate_limits": limits,
            "client_ip": { "from": "x-envoy-external-address" },
            "revocation": { "denied": { "sub": ["denied"] } },
        }),
    )
}

fn ask(guarded: &mut Guarded, address: u32, path: &str, token: &str, now: u64) -> Verdict {
    let address = std::net::Ipv4Addr::from_bits(address).to_string();
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("x-envoy-external-address", address.as_str())];
    if !token.is_empty() {
        headers.push(("authorization", &bearer));
    }
    guarded.admit(&request("GET", path, &headers), now)
}

fn code(guarded: &mut Guarded, address: u32, token: &str, now: u64) -> String {
    said(&ask(guarded, address, "/", token, now))
}

/// What is said of `refused`, and of a good token of the same address afterwards.
fn told_after(refused: &str) -> (String, String) {
    let mut guarded = guarded(1, 64, json!([]));
    let first = code(&mut guarded, 1, refused, START);
    (first, code(&mut guarded, 1, &good(), START))
}

#[test]
fn tokens_that_nobody_of_ours_signed_count_as_failures() {
    let of_header = |header: &str| signed(SECRET, header, &claims().to_string());
    let forged = |claims: &Value| {
        signed("not-the-secret-of-anybody-but-long-enough", GOOD_HEADER, &claims.to_string())
    };
    let mut expired = claims();
    expired["exp"] = json!(START - 1);
    for (refused, expected) in [
        ("a.b.c".to_owned(), "token_malformed"),
        (format!("{}!", good()), "token_malformed"),
        ("x".repeat(9000), "token_malformed"),
        (of_header(r#"{"alg":"HS256","crit":["exp"]}"#), "token_malformed"),
        (of_header(r#"{"alg":"HS256","b64":false}"#), "token_malformed"),
        (of_header(r#"{"alg":"HS256","typ":"logout+jwt"}"#), "token_malformed"),
        (of_header(r#"{"alg":"none"}"#), "token_algorithm_refused"),
        (of_header(r#"{"alg":"HS512"}"#), "token_algorithm_refused"),
        (of_header(r#"{"alg":"HS256","kid":"x"}"#), "token_key_unknown"),
        (forged(&claims()), "token_signature_invalid"),
        // Whatever else would be wrong with them.
        (forged(&expired), "token_signature_invalid"),
        (forged(&json!([])), "token_signature_invalid"),
    ] {
        let told = told_after(&refused);
        assert_eq!(told, (expected.to_owned(), "auth_failures_limited".to_owned()), "{refused}");
    }
}

#[test]
fn tokens_that_are_signed_do_not_count_whatever_is_wrong_with_them() {
    let payload = |text: &str| signed(SECRET, GOOD_HEADER, text);
    let repeated = format!(r#"{{"sub":"u1","sub":"u1","iat":{START},"exp":{}}}"#, START + HOUR);
    // The payload's last character has spare bits that are not zero, and this text was signed.
    let cut_short = {
        let input = format!("{}.e31", BASE64_URL_SAFE_NO_PAD.encode(GOOD_HEADER));
        let mac = Secret::from_bytes(MacAlgorithm::Hs256, SECRET.as_bytes()).unwrap().mac(input.as_bytes());
        format!("{input}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac))
    };
    for (refused, expected) in [
        (with("exp", json!(START)), "token_expired"),
        (with("nbf", json!(START + 9)), "token_not_yet_valid"),
        (with("iat", json!(START + 900)), "token_issued_in_future"),
        (with("iat", json!(START - 2 * HOUR)), "token_too_old"),
        (token(&json!({ "sub": "u1" })), "claim_missing"),
        (with("exp", json!("soon")), "claim_invalid"),
        (with("sub", json!("")), "claim_invalid"),
        (with("iss", json!("them")), "issuer_refused"),
        (with("aud", json!("other")), "audience_refused"),
        (with("permissions", json!(["X"])), "permissions_malformed"),
        (with("sub", json!("denied")), "token_revoked"),
        (payload("[]"), "token_malformed"),
        (payload("not JSON"), "token_malformed"),
        (payload(&repeated), "claim_invalid"),
        (cut_short, "token_malformed"),
    ] {
        assert_eq!(told_after(&refused), (expected.to_owned(), "ok".to_owned()), "{refused}");
    }
}

#[test]
fn a_remembered_token_that_expires_or_is_revoked_does_not_count() {
    let mut guarded = guarded(1, 64, json!([]));
    let brief = with("exp", json!(START + 10));
    assert_eq!(code(&mut guarded, 1, &brief, START), "ok");
    for second in 10..20 {
        assert_eq!(code(&mut guarded, 1, &brief, START + second), "token_expired");
    }
    assert_eq!(code(&mut guarded, 1, &good(), START + 20), "ok");
}

#[test]
fn a_full_table_of_limits_leaves_room_for_every_failure_and_refuses_nobody_for_one() {
    let per_path = json!([{ "name": "path", "max_requests": 100_000, "window_seconds": 60, "key": ["client_ip", "path"] }]);
    let mut guarded = guarded(5, 16, per_path);
    for number in 0..200 {
        assert_eq!(said(&ask(&mut guarded, 1, &format!("/n{number}"), "", START)), "token_missing");
    }
    assert!(ask(&mut guarded, 1, "/one-more", "", START).trail.limits[0].outcome.overflow);
    for failure in 0..6 {
        let expected = if failure < 5 { "token_malformed" } else { "auth_failures_limited" };
        assert_eq!(code(&mut guarded, 1, "a.b.c", START), expected, "{failure}");
    }
    for neighbour in 2..40 {
        assert_eq!(code(&mut guarded, neighbour, &good(), START), "ok", "{neighbour}");
    }
    assert_eq!(code(&mut guarded, 1, &good(), START), "auth_failures_limited", "but whoever failed");
}

#[test]
fn failures_of_very_many_addresses_take_nothing_from_the_limits() {
    let each = json!([{ "name": "each", "max_requests": 9, "window_seconds": 60, "key": ["subject"] }]);
    let mut guarded = guarded(5, 16, each);
    for address in 0..1000 {
        assert_eq!(code(&mut guarded, address, "a.b.c", START), "token_malformed");
    }
    for caller in 0..48 {
        let token = with("sub", json!(format!("caller-{caller}")));
        let verdict = ask(&mut guarded, 5000, "/", &token, START);
        assert_eq!(said(&verdict), "ok");
        assert!(!verdict.trail.limits[0].outcome.overflow, "{caller}");
    }
}

#[test]
fn in_a_full_table_of_failures_only_who_has_an_entry_is_refused() {
    const MOST: u32 = 3;
    // Four slots, or one.
    for capacity in [256, 1] {
        let mut guarded = guarded(MOST, capacity, json!([]));
        // The first come to their limit while there is room.
        for address in 0..16 {
            for _ in 0..MOST {
                assert_eq!(code(&mut guarded, address, "a.b.c", START), "token_malformed");
            }
        }
        let mut without_entry = vec![];
        for address in 100..1100 {
            for _ in 0..=MOST {
                let verdict = ask(&mut guarded, address, "/", "a.b.c", START + 30);
                if verdict.trail.failure_overflowed {
                    without_entry.push(address);
                }
            }
        }
        assert!(without_entry.len() > 500 * 4, "it is full: {}", without_entry.len());
        for &address in &without_entry {
            assert_eq!(code(&mut guarded, address, &good(), START + 30), "ok", "{address}");
        }
        for address in 0..16 {
            assert_eq!(code(&mut guarded, address, &good(), START + 30), "auth_failures_limited");
        }
        for address in 2000..2100 {
            assert_eq!(code(&mut guarded, address, &good(), START + 30), "ok", "never failed: {address}");
        }
        // There is room again: who comes now begins with nothing, whatever the others did meanwhile.
        for address in 2000..2016 {
            let later = START + 100;
            for _ in 1..MOST {
                assert_eq!(code(&mut guarded, address, "a.b.c", later), "token_malformed");
            }
            assert_eq!(code(&mut guarded, address, &good(), later), "ok", "{address}");
        }
    }
}

#[test]
fn a_failure_without_room_is_told_by_the_metric() {
    let mut guarded = guarded(3, 1, json!([]));
    for address in 0..48 {
        assert!(!ask(&mut guarded, address, "/", "a.b.c", START).trail.failure_overflowed);
    }
    let verdict = ask(&mut guarded, 48, "/", "a.b.c", START);
    let counters = Counters::new(guarded.guard.policy());
    let mut names = vec![];
    counters.passed_through(&verdict.trail, |counter| names.push(counters.names()[counter.get()].as_str()));
    assert!(names.contains(&"api_guard_rate_limit_total.limit.auth-failures.outcome.overflow"), "{names:?}");
}
