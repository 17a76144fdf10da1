//! What a configuration must be like, and what is said of one that is not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod document;
mod faults;
mod fleet;
mod public_keys;
mod routes;
mod words;

use api_guard_core::config::error::ConfigErrors;
use api_guard_core::config::{Environment, Policy};
use api_guard_testkit::{SECRET, parse_with};
use serde_json::{Value, json};

fn parse_text(text: &[u8]) -> Result<Policy, ConfigErrors> {
    parse_with(text, |name| match name {
        "SECRET" => Some(SECRET),
        "SHORT" => Some("too short"),
        _ => None,
    })
}

/// The smallest configuration with `changes` laid over it (RFC 7396).
fn with(changes: Value) -> Value {
    fn merge(target: &mut Value, patch: Value) {
        match (target, patch) {
            (Value::Object(target), Value::Object(patch)) => {
                for (name, value) in patch {
                    merge(target.entry(name).or_insert(Value::Null), value);
                }
            }
            (target, patch) => *target = patch,
        }
    }
    let mut config = json!({ "tokens": { "keys": [{ "secret": { "env": "SECRET" } }] } });
    merge(&mut config, changes);
    config
}

fn errors(config: &Value) -> Vec<(String, String)> {
    match parse_text(config.to_string().as_bytes()) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.0.iter().map(|error| (error.at.to_string(), error.to_string())).collect(),
    }
}

fn places(config: &Value) -> Vec<String> {
    errors(config).into_iter().map(|(at, _)| at).collect()
}

#[test]
fn the_smallest_configuration_is_enough() {
    assert_eq!(places(&with(json!({}))), Vec::<String>::new());
}

#[test]
fn a_subject_s_claim_that_is_required_anyway_is_required_once() {
    for claim in ["sub", "exp", "iat", "client_id"] {
        assert_eq!(
            places(&with(json!({ "tokens": { "subject_claim": claim } }))),
            Vec::<String>::new(),
            "{claim}"
        );
    }
}

#[test]
fn a_claim_is_named_in_one_way_wherever_it_is_named() {
    let naming = |claim: &str| {
        with(json!({
            "tokens": { "required_claims": [claim], "permissions_claim": claim },
            "roles": { "claim": claim, "grants": { "a": ["a:b"] } },
            "routes": [{ "path": "/a/{id}", "bind": { "id": claim } }],
            "rate_limits": [{
                "name": "a",
                "max_requests": { "claim": claim, "values": { "a": 1 }, "default": 1 },
                "window_seconds": 1,
                "key": [format!("claim:{claim}")],
            }],
            "forward": { "claims": { claim: "x-a" } },
        }))
    };
    for good in
        [r"https://hasura\.io/jwt/claims.x-hasura-role", r"a\\b.c\.d", "https://localhost/roles", "rôles"]
    {
        assert_eq!(places(&naming(good)), Vec::<String>::new(), "{good}");
    }
    for (bad, told) in [
        (
            "https://hasura.io/jwt/claims.x-hasura-role",
            r#"write https://hasura\.io/jwt/claims.x-hasura-role, in JSON "https://hasura\\.io/jwt/claims.x-hasura-role""#,
        ),
        (
            r"a\b",
            r#"write \. for a dot of the name itself and \\ for a backslash (in JSON "\\." and "\\\\")"#,
        ),
        ("a..b", r#"a dot leads into an object, as in "realm_access.roles""#),
        ("a\nb", "not a claim name"),
    ] {
        let errors = errors(&naming(bad));
        let key = format!("/forward/claims/{}", bad.replace('~', "~0").replace('/', "~1"));
        let at: Vec<&str> = errors.iter().map(|(at, _)| at.as_str()).collect();
        let expected = [
            key.as_str(),
            "/rate_limits/0/key/0",
            "/rate_limits/0/max_requests/claim",
            "/roles/claim",
            "/routes/0/bind/id",
            "/tokens/permissions_claim",
            "/tokens/required_claims/0",
        ];
        assert_eq!(at, expected, "{bad}");
        for (_, text) in errors {
            assert!(text.contains(told), "{text}");
        }
    }
}

#[test]
fn a_secret_is_as_long_as_the_hash_of_its_algorithm() {
    for (algorithm, least) in [("HS256", 32), ("HS384", 48), ("HS512", 64)] {
        let key = |bytes: usize| {
            let secret = json!({ "value": "x".repeat(bytes) });
            with(json!({ "tokens": { "keys": [{ "algorithm": algorithm, "secret": secret }] } }))
        };
        assert_eq!(places(&key(least)), Vec::<String>::new());
        let told = format!(
            "a secret of only {} bytes; use at least {least} random bytes for {algorithm} (RFC 7518 section 3.2): \
             api-guard keygen --bytes {least} prints such a secret",
            least - 1
        );
        let errors = errors(&key(least - 1));
        assert!(errors.len() == 1 && errors[0].1.ends_with(&told), "{errors:?}");
    }
    // In base64 it is the bytes that count.
    let base64 = |text: &str| {
        let secret = json!({ "value": text, "encoding": "base64" });
        with(json!({ "tokens": { "keys": [{ "secret": secret }] } }))
    };
    assert_eq!(
        places(&base64(&format!(" {}\n", "+/-_".replace("-_", "+/").repeat(11)))),
        Vec::<String>::new()
    );
    assert_eq!(places(&base64(&"-_AA".repeat(10))), ["/tokens/keys/0/secret/value"]);
}

#[test]
fn all_errors_are_told_at_once_in_the_order_of_the_document() {
    let config = json!({
        "tokens": { "keys": [{ "secret": { "env": "UNSET" } }], "max_token_bytes": 0 },
        "modes": "report",
        "routes": [{ "path": 1 }, { "path": "/ok" }, { "path": "/b", "methods": ["get"] }, { "pth": "/c", "path": "/c" }],
        "rate_limits": [{ "name": "a", "max_requests": 0, "window_seconds": "1" }],
    });
    assert_eq!(
        places(&config),
        [
            "/modes",
            "/rate_limits/0/max_requests",
            "/rate_limits/0/window_seconds",
            "/routes/0/path",
            "/routes/2/methods/0",
            "/routes/3/pth",
            "/tokens/keys/0/secret/env",
            "/tokens/max_token_bytes",
        ]
    );
}

#[test]
fn no_message_shows_a_secret_not_even_one_in_a_wrong_place() {
    let leak = "hunter2-hunter2-hunter2-hunter2-hunter2";
    for config in [
        json!({ "tokens": { "keys": [{ "secret": leak }] } }),
        json!({ "tokens": { "keys": [{ "secret": { "value": [leak] } }] } }),
        json!({ "tokens": { "keys": [{ "secret": { "plain": leak } }] } }),
        json!({ "tokens": { "keys": [{ "secret": { "env": format!("{leak}!") } }] } }),
        json!({ "tokens": { "keys": [{ "secret": { "base64url": format!("{leak}!") } }] } }),
        json!({ "tokens": { "keys": [{ "secret": { "value": format!("{leak}!"), "encoding": "base64" } }] } }),
        json!({ "tokens": { "keys": [{ "secret": { "value": leak, "encoding": leak } }] } }),
        json!({ "tokens": { "keys": [{ "value": leak }] } }),
        json!({ "tokens": { "keys": [leak] } }),
        json!({ "tokens": { "keys": leak } }),
        json!({ "tokens": leak }),
        json!({ "secret": leak }),
        json!({ "tokens": { "secret": leak } }),
    ] {
        let told = parse_text(config.to_string().as_bytes()).unwrap_err().to_string();
        assert!(!told.contains("hunter2"), "{told}");
    }
}

#[test]
fn a_variable_that_is_not_set_stops_envoy_but_not_a_check() {
    let config = json!({ "tokens": { "keys": [{ "secret": { "env": "UNSET" } }] } }).to_string();
    let unset =
        |must_be_set| Policy::parse(config.as_bytes(), &Environment { lookup: &|_| None, must_be_set });
    assert!(unset(true).is_err());
    assert!(unset(false).is_ok());
}
