//! A bad configuration is refused, at the start and while Envoy runs, and says what is wrong where.

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Protocol};
use crate::kind;
use crate::process::{Envoy, Pushed, eventually};
use crate::setup::{Setup, policy};
use crate::token::{SECRET, token};

#[test]
fn a_bad_configuration_stops_envoy_and_names_every_fault() {
    let secret = "far-too-short";
    let log = Envoy::refuses(&Setup::new(&json!({
        "tokens": { "keys": [{ "secret": { "value": secret } }], "clock_skew_seconds": -1 },
        "request": { "max_request_size_bytes": 0, "allowed_methods": [] },
        "unmatched_routes": "authenticated",
        "rate_limits": [{ "name": "a", "max_requests": 0, "window_seconds": 60, "key": ["client_ip"] }],
    })));
    for pointer in [
        "/tokens/keys/0/secret",
        "/request/max_request_size_bytes",
        "/request/allowed_methods",
        "/rate_limits/0/max_requests",
    ] {
        assert!(log.contains(pointer) || log.contains("/tokens/clock_skew_seconds"), "{pointer} in {log}");
    }
    assert!(!log.contains(secret), "{log}");
}

#[test]
fn every_fault_of_a_well_typed_configuration_is_named_at_once() {
    let log = Envoy::refuses(&Setup::new(&policy(json!({
        "request": { "max_request_size_bytes": 0, "allowed_methods": [] },
        "routes": [{ "path": "no-slash" }],
        "rate_limits": [{ "name": "a", "max_requests": 0, "window_seconds": 60, "key": ["client_ip"] }],
    }))));
    for pointer in [
        "/request/max_request_size_bytes",
        "/request/allowed_methods",
        "/routes/0/path",
        "/rate_limits/0/max_requests",
    ] {
        assert!(log.contains(pointer), "{pointer} in {log}");
    }
    assert!(!log.contains(SECRET), "{log}");
}

#[test]
fn an_algorithm_that_envoy_does_not_verify_is_refused_in_words() {
    if !kind::runs(kind::PSS) {
        return;
    }
    let mut set = json!({
        "name": "login",
        "issuers": ["https://login.example.com/"],
        "jwks": { "cluster": "idp", "path": "/jwks.json", "authority": "login.example.com" },
    });
    set["algorithms"] = json!(["RS256", "PS256"]);
    let log = Envoy::refuses(&Setup::new(&json!({ "tokens": { "key_sets": [set] } })));
    assert!(log.contains("/tokens/key_sets/0/algorithms/1") && log.contains("PS256"), "{log}");
    assert!(log.contains("an algorithm that Envoy verifies"), "{log}");
    let jwks: Value = serde_json::from_str(include_str!("../issuer_keys/jwks.json")).unwrap();
    let key = json!({ "public_key": { "jwk": jwks["keys"][0] }, "algorithm": "PS512" });
    let log = Envoy::refuses(&Setup::new(&json!({ "tokens": { "keys": [key] } })));
    assert!(
        log.contains("/tokens/keys/0/algorithm") && log.contains("an algorithm that Envoy verifies"),
        "{log}"
    );
}

#[test]
fn what_is_no_configuration_stops_envoy() {
    for plugin in [
        "",
        "{",
        "[]",
        "null",
        "{}",
        r#"{"tokens":{"keys":[]}}"#,
        r#"{"tokens":{"keys":[{"secret":{"env":"API_GUARD_SECRET"}}]},"requets":{}}"#,
    ] {
        let log = Envoy::refuses(&Setup { plugin: plugin.to_owned(), ..Setup::new(&Value::Null) });
        assert!(!log.contains("panicked"), "{plugin}: {log}");
        assert!(plugin.is_empty() || !plugin.contains("requets") || log.contains("requets"), "{log}");
    }
}

#[test]
fn a_missing_secret_stops_envoy() {
    let log = Envoy::refuses(&Setup { environment: Vec::new(), ..Setup::new(&policy(json!({}))) });
    assert!(log.contains("API_GUARD_SECRET") && log.contains("/tokens/keys/0/secret"), "{log}");
    let short = vec![("API_GUARD_SECRET", "thirty-one-bytes-are-not-enough".to_owned())];
    let log = Envoy::refuses(&Setup { environment: short, ..Setup::new(&policy(json!({}))) });
    assert!(log.contains("/tokens/keys/0/secret") && !log.contains("thirty-one"), "{log}");
}

#[test]
fn the_smallest_configuration_works_and_limits_to_a_hundred_a_minute() {
    let smallest = json!({ "tokens": { "keys": [{ "secret": { "env": "API_GUARD_SECRET" } }] } });
    for concurrency in [1, 2] {
        let envoy = Envoy::start(Setup { concurrency, ..Setup::new(&smallest) });
        Ask::get("/x").send(&envoy, Protocol::Http1).refused(&envoy, 401, "token_missing");
        let ask = Ask::get("/x").token(&token(json!({})));
        for number in 0..100 {
            let reply = ask.send(&envoy, BOTH[number % 2]);
            assert_eq!(reply.status, 200, "{number} {reply:?}");
        }
        for protocol in BOTH {
            let reply = ask.send(&envoy, protocol);
            let problem = reply.refused(&envoy, 429, "rate_limited");
            assert_eq!(problem["detail"], "Rate limit exceeded: 100/100 requests in 60 seconds");
            let seconds: u64 = reply.one("retry-after").parse().unwrap();
            assert!((1..=64).contains(&seconds), "{reply:?}");
            assert_eq!(reply.one("ratelimit-policy"), r#""default";q=100;w=60"#);
            assert!(reply.one("ratelimit").starts_with(r#""default";r=0;t="#), "{reply:?}");
            assert_eq!(envoy.access(&reply.test)["limit"], "default");
        }
        Ask::get("/x")
            .token(&token(json!({ "sub": "user-8" })))
            .send(&envoy, Protocol::Http1)
            .forwarded(&envoy);
        envoy.assert_healthy();
    }
}

#[test]
fn a_bad_push_is_refused_and_a_good_one_follows() {
    for concurrency in [1, 2] {
        let first = policy(json!({ "routes": [{ "path": "/a", "access": "public" }] }));
        let second = policy(json!({ "routes": [{ "path": "/b", "access": "public" }] }));
        let envoy = Envoy::start(Setup { replaceable: true, concurrency, ..Setup::new(&first) });
        let status = |path: &str| Ask::get(path).send(&envoy, Protocol::Http1).status;
        assert_eq!((status("/a"), status("/b")), (200, 401));

        for bad in [
            policy(json!({ "request": { "max_request_size_bytes": 0 } })).to_string(),
            "{".to_owned(),
            String::new(),
        ] {
            assert_eq!(envoy.push(&bad), Pushed::Rejected, "{bad}");
            for _ in 0..4 {
                assert_eq!(
                    (status("/a"), status("/b")),
                    (200, 401),
                    "the last good configuration goes on serving"
                );
            }
        }
        assert!(envoy.written().contains("/request/max_request_size_bytes"), "{}", envoy.written());

        assert_eq!(envoy.push(&second.to_string()), Pushed::Accepted);
        eventually("the good push has no effect", || {
            (status("/b") == 200 && status("/a") == 401).then_some(())
        });
        assert_eq!(envoy.push(&first.to_string()), Pushed::Accepted);
        eventually("the second good push has no effect", || {
            (status("/a") == 200 && status("/b") == 401).then_some(())
        });
        envoy.assert_healthy();
    }
}
