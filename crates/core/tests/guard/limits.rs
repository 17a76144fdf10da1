//! Steps 2 and 5: which limits apply, to whom, and what is said of several.

mod modes;

use api_guard_core::denial::{Denial, OverLimit};
use api_guard_core::verdict::{Stage, State, Verdict};
use serde_json::{Value, json};

use super::{Guarded, HOUR, START, request, said, token};

/// Under these limits, on paths that need no token.
fn limited(limits: Value) -> Guarded {
    Guarded::new(json!({}), json!({ "unmatched_routes": "public", "rate_limits": limits }))
}

fn limit(name: &str, max_requests: Value, key: Value) -> Value {
    json!({ "name": name, "max_requests": max_requests, "window_seconds": 60, "key": key })
}

fn over(verdict: &Verdict) -> &OverLimit {
    match verdict.refusal() {
        Some(Denial::RateLimited(over)) => over,
        other => panic!("{other:?}"),
    }
}

fn get(guarded: &mut Guarded, path: &str, headers: &[(&str, &str)]) -> String {
    said(&guarded.admit(&request("GET", path, headers), START))
}

#[test]
fn of_several_limits_the_one_that_takes_longest_is_named() {
    let of = |name: &str, seconds: u64| json!({ "name": name, "max_requests": 1, "window_seconds": seconds, "key": ["client_ip"] });
    for limits in [
        [of("minute", 60), of("hour", 3600), of("second", 1)],
        [of("hour", 3600), of("second", 1), of("minute", 60)],
        [of("second", 1), of("minute", 60), of("hour", 3600)],
    ] {
        let mut guarded = limited(json!(limits));
        assert_eq!(get(&mut guarded, "/", &[]), "ok");
        let verdict = guarded.admit(&request("GET", "/", &[]), START);
        let over = over(&verdict);
        assert_eq!((over.name.as_str(), over.window_seconds), ("hour", 3600), "{limits:?}");
        assert_eq!(verdict.trail.limits.len(), 3, "all of them were judged");
    }
}

#[test]
fn a_header_in_a_key_counts_by_its_own_value_and_no_other_header_s() {
    let mut guarded = limited(json!([
        limit("by-a", json!(1), json!(["header:x-a"])),
        limit("by-b", json!(100), json!(["header:x-b"])),
    ]));
    for (headers, code) in [
        (vec![("x-a", "1"), ("x-b", "1")], "ok"),
        (vec![("x-a", "1"), ("x-b", "2")], "rate_limited"),
        (vec![("x-a", "2"), ("x-b", "1")], "ok"),
        // Without the header is a value like any other; twice is not once.
        (vec![("x-b", "3")], "ok"),
        (vec![], "rate_limited"),
        (vec![("x-a", "3"), ("x-a", "4")], "ok"),
        (vec![("x-a", "3")], "ok"),
        (vec![("x-a", "4")], "ok"),
        (vec![("x-a", "3"), ("x-a", "4")], "rate_limited"),
    ] {
        assert_eq!(get(&mut guarded, "/", &headers), code, "{headers:?}");
    }
}

#[test]
fn the_host_is_a_header_like_any_other() {
    let mut guarded = limited(json!([limit("one", json!(1), json!(["header:Host"]))]));
    for (host, code) in [("a.example", "ok"), ("b.example", "ok"), ("a.example", "rate_limited")] {
        let headers = [(":method", "GET"), (":path", "/"), (":authority", host)];
        assert_eq!(said(&guarded.admit(&headers, START)), code, "{host}");
    }
    let condition = json!({ "claim": "tenant", "equals_header": "host" });
    let route = json!({ "path": "/x", "require": [condition] });
    let mut guarded = Guarded::new(json!({}), json!({ "routes": [route] }));
    let token = token(&json!({ "sub": "u", "iat": START, "exp": START + 60, "tenant": "localhost" }));
    let bearer = format!("Bearer {token}");
    let verdict = guarded.admit(&request("GET", "/x", &[("authorization", &bearer)]), START);
    assert_eq!(said(&verdict), "ok");
}

#[test]
fn each_part_of_a_key_tells_requests_apart() {
    let routes = json!([
        { "path": "/a/{id}", "access": "public" },
        { "path": "/b/{id}", "access": "public" },
    ]);
    for (part, first, same, other) in [
        ("route", ("GET", "/a/1"), ("POST", "/a/2"), ("GET", "/b/1")),
        ("path", ("GET", "/a/1"), ("POST", "/a/1?x"), ("GET", "/a/2")),
        ("method", ("GET", "/a/1"), ("GET", "/b/2"), ("POST", "/a/1")),
    ] {
        let limits = json!([limit("one", json!(1), json!([part]))]);
        let mut guarded = Guarded::new(json!({}), json!({ "routes": routes, "rate_limits": limits }));
        for ((method, path), code) in [(first, "ok"), (same, "rate_limited"), (other, "ok")] {
            let verdict = guarded.admit(&request(method, path, &[]), START);
            assert_eq!(said(&verdict), code, "{part}: {method} {path}");
        }
    }
}

#[test]
fn the_number_of_a_limit_follows_the_tier_of_the_caller() {
    let tiers = json!({ "claim": "plan", "values": { "free": 1, "pro": 3, "max": 4 }, "default": 2 });
    let mut guarded =
        Guarded::new(json!({}), json!({ "rate_limits": [limit("tiers", tiers, json!(["subject"]))] }));
    for (sub, plan, most) in
        [("a", "free", 1), ("b", "pro", 3), ("c", "max", 4), ("d", "unknown", 2), ("e", "", 2)]
    {
        let mut claims = json!({ "sub": sub, "iat": START, "exp": START + HOUR });
        if !plan.is_empty() {
            claims["plan"] = json!(plan);
        }
        let token = token(&claims);
        let admitted = (0..10).filter(|_| guarded.get(&token, START) == "ok").count();
        assert_eq!(admitted, most, "{plan}");
    }
}

#[test]
fn a_limit_that_cannot_be_counted_refuses_and_shows_itself_as_used_up() {
    let mut guarded = limited(json!([limit("busy", json!(100), json!(["client_ip"]))]));
    assert_eq!(get(&mut guarded, "/", &[]), "ok");
    guarded.process.contended.set(true);
    // What the worker has leased is spent first.
    let verdict = std::iter::repeat_with(|| guarded.admit(&request("GET", "/", &[]), START))
        .take(101)
        .find(|verdict| verdict.denial().is_some())
        .unwrap();
    let over = over(&verdict);
    assert_eq!((over.used, over.max_requests), (100, 100));
    assert!(over.retry_after_seconds >= 1);
}

#[test]
fn failed_authentications_block_the_address_but_no_public_path() {
    let mut guarded = Guarded::new(
        json!({}),
        json!({
            "auth_failure_limit": { "max_failures": 2, "window_seconds": 60 },
            "routes": [{ "path": "/public", "access": "public" }],
        }),
    );
    let good = token(&json!({ "sub": "u1", "iat": START, "exp": START + HOUR }));
    for (token, code) in [("a.b.c", "token_malformed"), (&good, "ok"), ("a.b.c", "token_malformed")] {
        assert_eq!(guarded.get(token, START), code);
    }
    assert_eq!(guarded.get(&good, START), "auth_failures_limited");
    assert_eq!(get(&mut guarded, "/public", &[("authorization", "Bearer a.b.c")]), "ok");
    guarded.process.address = Some("[2001:db8::1]:1");
    assert_eq!(guarded.get(&good, START), "ok");
}

#[test]
fn addresses_of_one_ipv6_network_are_one_client() {
    let mut guarded = Guarded::new(
        json!({}),
        json!({
            "unmatched_routes": "public",
            "rate_limits": [limit("address", json!(1), json!(["client_ip"]))],
            "client_ip": { "ipv6_prefix": 48 },
        }),
    );
    for (address, code) in [
        ("[2001:db8:1:2::3]:4", "ok"),
        ("[2001:db8:1:ffff::9]:9", "rate_limited"),
        ("[2001:db8:2:2::3]:4", "ok"),
        ("192.0.2.7:1", "ok"),
        ("[::ffff:192.0.2.7]:1", "rate_limited"),
        ("192.0.2.8:1", "ok"),
        ("192.0.2.8:12345", "rate_limited"),
    ] {
        guarded.process.address = Some(address);
        assert_eq!(get(&mut guarded, "/", &[]), code, "{address}");
    }
}

#[test]
fn a_token_that_comes_again_counts_by_all_parts_of_the_key_each_time() {
    let bearer = |claims: Value| format!("Bearer {}", token(&claims));
    let claims = |sub: &str, plan: &str, jti: &str| json!({ "sub": sub, "plan": plan, "jti": jti, "iat": START, "exp": START + HOUR, "permissions": [] });
    let [ann, ann_again, bob] =
        [claims("ann", "basic", "1"), claims("ann", "basic", "2"), claims("bob", "basic", "3")].map(bearer);
    for (key, steps) in [
        (
            json!(["client_ip", "subject"]),
            [
                ("1", "/", &ann, "ok"),
                ("2", "/", &ann, "ok"),
                ("1", "/x", &ann, "over"),
                ("1", "/", &ann_again, "over"),
            ],
        ),
        (
            json!(["client_ip", "claim:plan"]),
            [
                ("1", "/", &ann, "ok"),
                ("2", "/", &ann, "ok"),
                ("2", "/", &bob, "over"),
                ("1", "/", &ann, "over"),
            ],
        ),
        (
            json!(["subject"]),
            [
                ("1", "/", &ann, "ok"),
                ("2", "/", &ann, "over"),
                ("2", "/", &bob, "ok"),
                ("2", "/", &ann_again, "over"),
            ],
        ),
        (
            json!(["subject", "path"]),
            [
                ("1", "/", &ann, "ok"),
                ("1", "/x", &ann, "ok"),
                ("2", "/", &ann, "over"),
                ("2", "/x", &ann, "over"),
            ],
        ),
    ] {
        // A second limit asks for the same token in between.
        for other in [json!(["client_ip"]), json!(["subject"])] {
            let limits = json!([limit("one", json!(1), key.clone()), limit("other", json!(100), other)]);
            let rest = json!({ "unmatched_routes": "authenticated", "rate_limits": limits });
            let mut guarded = Guarded::new(json!({}), rest);
            for (place, (address, path, token, said)) in steps.into_iter().enumerate() {
                guarded.process.address = Some(if address == "1" { "192.0.2.1:1" } else { "192.0.2.2:1" });
                let code = get(&mut guarded, path, &[("authorization", token)]);
                assert_eq!(code.replace("rate_limited", "over"), said, "{key} {place}");
            }
        }
    }
}

#[test]
fn a_step_without_limits_is_skipped_and_one_that_judged_anything_is_not() {
    let token = token(&json!({ "sub": "u1", "iat": START, "exp": START + HOUR }));
    let bearer = format!("Bearer {token}");
    let failures = json!({ "auth_failure_limit": { "max_failures": 9, "window_seconds": 60 } });
    let early = json!({ "rate_limits": [limit("early", json!(9), json!(["client_ip"]))] });
    for (rest, expected) in [(json!({}), State::Skipped), (failures, State::Passed), (early, State::Passed)] {
        let mut guarded = Guarded::new(json!({}), rest);
        let verdict = guarded.admit(&request("GET", "/", &[("authorization", &bearer)]), START);
        assert_eq!(verdict.denial(), None);
        assert_eq!(verdict.trail.state(Stage::EarlyLimits), expected);
        assert_eq!(verdict.trail.state(Stage::LateLimits), State::Skipped);
    }
}

#[test]
fn of_limits_that_take_equally_long_the_first_is_named() {
    let limits = ["first", "second"].map(|name| limit(name, json!(1), json!(["client_ip"])));
    let mut guarded = limited(json!(limits));
    guarded.admit(&request("GET", "/", &[]), START);
    let verdict = guarded.admit(&request("GET", "/", &[]), START);
    assert_eq!(over(&verdict).name, "first");
}
