//! What a configuration must be like, and what is said of one that is not.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

mod document;
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
fn each_fault_is_reported_at_its_place_and_nowhere_else() {
    let limit = |changes: Value| {
        let mut limit = json!({ "name": "a", "max_requests": 1, "window_seconds": 1 });
        for (name, value) in changes.as_object().unwrap() {
            limit[name] = value.clone();
        }
        json!({ "rate_limits": [limit] })
    };
    let route = |changes: Value| {
        let mut route = json!({ "path": "/a/{id}" });
        for (name, value) in changes.as_object().unwrap() {
            route[name] = value.clone();
        }
        json!({ "routes": [route] })
    };
    let key = |key: Value| json!({ "tokens": { "keys": [key] } });
    let secret = json!({ "env": "SECRET" });
    for (changes, at) in [
        (json!({ "mod": "report" }), "/mod"),
        (json!({ "mode": "off" }), "/mode"),
        (json!({ "tokens": { "keys": [] } }), "/tokens/keys"),
        (json!({ "tokens": { "keys": null } }), "/tokens/keys"),
        (key(json!({})), "/tokens/keys/0/secret"),
        (key(json!({ "secret": { "env": "UNSET" } })), "/tokens/keys/0/secret/env"),
        (key(json!({ "secret": { "env": "SHORT" } })), "/tokens/keys/0/secret/env"),
        (key(json!({ "secret": { "env": "a b" } })), "/tokens/keys/0/secret/env"),
        (key(json!({ "secret": { "value": "short" } })), "/tokens/keys/0/secret/value"),
        (key(json!({ "secret": { "base64url": "***" } })), "/tokens/keys/0/secret/base64url"),
        (key(json!({ "secret": { "base64url": "c2hvcnQ" } })), "/tokens/keys/0/secret/base64url"),
        (key(json!({ "secret": { "env": "SECRET", "encoding": "hex" } })), "/tokens/keys/0/secret/encoding"),
        (key(json!({ "secret": { "env": "SECRET", "encoding": null } })), "/tokens/keys/0/secret/encoding"),
        (key(json!({ "secret": { "encoding": "text" } })), "/tokens/keys/0/secret"),
        (key(json!({ "secret": { "env": "SECRET", "value": "b" } })), "/tokens/keys/0/secret"),
        (
            key(json!({ "secret": { "base64url": "c2hvcnQ", "encoding": "base64" } })),
            "/tokens/keys/0/secret/encoding",
        ),
        (
            key(json!({ "secret": { "value": "c2hvcnQ=", "encoding": "base64" } })),
            "/tokens/keys/0/secret/value",
        ),
        (
            key(json!({ "secret": { "value": "no base64", "encoding": "base64" } })),
            "/tokens/keys/0/secret/value",
        ),
        (key(json!({ "secret": { "env": "SHORT", "encoding": "base64" } })), "/tokens/keys/0/secret/env"),
        (key(json!({ "secret": secret, "algorithm": "HS512" })), "/tokens/keys/0/secret/env"),
        (key(json!({ "secret": secret, "algorithm": "hs256" })), "/tokens/keys/0/algorithm"),
        (key(json!({ "secret": secret, "algorithm": "none" })), "/tokens/keys/0/algorithm"),
        (key(json!({ "secret": secret, "issuers": [""] })), "/tokens/keys/0/issuers/0"),
        (key(json!({ "secret": secret, "issuers": ["a", "a"] })), "/tokens/keys/0/issuers/1"),
        (key(json!({ "secret": secret, "issuers": "a" })), "/tokens/keys/0/issuers"),
        (key(json!({ "secret": secret, "audiences": [""] })), "/tokens/keys/0/audiences/0"),
        (json!({ "revocation": { "denied": { "sub": [""] } } }), "/revocation/denied/sub/0"),
        (json!({ "revocation": { "denied": { "sub": ["a", "b", "a"] } } }), "/revocation/denied/sub/2"),
        (json!({ "revocation": { "denied": { "sub": [1] } } }), "/revocation/denied/sub/0"),
        (json!({ "revocation": { "denied": { "sub": [{ "iss": "a" }] } } }), "/revocation/denied/sub/0/sub"),
        (json!({ "revocation": { "denied": { "sub": [{ "sub": "a" }] } } }), "/revocation/denied/sub/0/iss"),
        (
            json!({ "revocation": { "denied": { "sub": [{ "iss": "a", "sub": "b" }, "b", { "iss": "a", "sub": "b" }] } } }),
            "/revocation/denied/sub/2",
        ),
        (key(json!({ "secret": secret, "kid": "" })), "/tokens/keys/0/kid"),
        (key(json!({ "secret": secret, "kid": "a\nb" })), "/tokens/keys/0/kid"),
        (key(json!({ "secret": secret, "not_before": "soon" })), "/tokens/keys/0/not_before"),
        (
            key(
                json!({ "secret": secret, "not_before": "2026-02-01T00:00:00Z", "not_after": "2026-01-01T00:00:00Z" }),
            ),
            "/tokens/keys/0/not_after",
        ),
        (
            json!({ "tokens": { "keys": [{ "kid": "a", "secret": secret }, { "kid": "a", "secret": secret }] } }),
            "/tokens/keys/1/kid",
        ),
        (
            json!({ "revocation": { "denied": { "sub_issued_before": { "milliseconds": 1_790_000_000_000_u64 } } } }),
            "/revocation/denied/sub_issued_before/milliseconds",
        ),
        (json!({ "tokens": { "sources": [] } }), "/tokens/sources"),
        (json!({ "tokens": { "sources": [{}] } }), "/tokens/sources/0"),
        (json!({ "tokens": { "sources": [{ "cookie": "a", "query": "b" }] } }), "/tokens/sources/0"),
        (json!({ "tokens": { "sources": [{ "cookie": "a", "scheme": "Bearer" }] } }), "/tokens/sources/0"),
        (json!({ "tokens": { "sources": [{ "header": "x-a" }, { "header": "X-A" }] } }), "/tokens/sources/1"),
        (
            json!({ "tokens": { "sources": [{ "websocket_protocol": "bearer," }] } }),
            "/tokens/sources/0/websocket_protocol",
        ),
        (
            json!({ "tokens": { "sources": [{ "websocket_protocol": "a", "scheme": "Bearer" }] } }),
            "/tokens/sources/0",
        ),
        (
            json!({ "tokens": { "sources": [{ "websocket_protocol": "a", "cookie": "b" }] } }),
            "/tokens/sources/0",
        ),
        (
            json!({ "tokens": { "sources": [{ "websocket_protocol": "a" }, { "websocket_protocol": "b" }] } }),
            "/tokens/sources/1",
        ),
        (
            json!({ "tokens": { "sources": [{ "websocket_protocol": "a" }, { "header": "Sec-WebSocket-Protocol" }] } }),
            "/tokens/sources/1",
        ),
        (json!({ "tokens": { "required_claims": ["sub", "sub"] } }), "/tokens/required_claims/1"),
        (json!({ "tokens": { "required_claims": [""] } }), "/tokens/required_claims/0"),
        (json!({ "tokens": { "subject_claim": "a..b" } }), "/tokens/subject_claim"),
        (json!({ "tokens": { "subject_claim": null } }), "/tokens/subject_claim"),
        (json!({ "tokens": { "required_values": ["a"] } }), "/tokens/required_values"),
        (json!({ "tokens": { "required_values": { "a": "b" } } }), "/tokens/required_values/a"),
        (json!({ "tokens": { "required_values": { "a": [] } } }), "/tokens/required_values/a"),
        (json!({ "tokens": { "required_values": { "a": [1.5] } } }), "/tokens/required_values/a/0"),
        (json!({ "tokens": { "required_values": { "a": [1e3] } } }), "/tokens/required_values/a/0"),
        (json!({ "tokens": { "required_values": { "a": [null] } } }), "/tokens/required_values/a/0"),
        (json!({ "tokens": { "required_values": { "a": ["b", 1, "b"] } } }), "/tokens/required_values/a/2"),
        (json!({ "tokens": { "required_values": { "": ["b"] } } }), "/tokens/required_values/"),
        (json!({ "tokens": { "permissions_claim": [] } }), "/tokens/permissions_claim"),
        (json!({ "tokens": { "permissions_claim": 1 } }), "/tokens/permissions_claim"),
        (json!({ "tokens": { "permissions_claim": ["a", "a"] } }), "/tokens/permissions_claim/1"),
        (json!({ "tokens": { "permissions_claim": ["a", "b."] } }), "/tokens/permissions_claim/1"),
        (json!({ "roles": { "claim": [], "grants": { "a": ["a:b"] } } }), "/roles/claim"),
        (json!({ "tokens": { "issuers": [""] } }), "/tokens/issuers/0"),
        (json!({ "tokens": { "max_token_bytes": 0 } }), "/tokens/max_token_bytes"),
        (json!({ "tokens": { "max_token_age_hours": 0 } }), "/tokens/max_token_age_hours"),
        (json!({ "tokens": { "clock_skew_seconds": -1 } }), "/tokens/clock_skew_seconds"),
        (json!({ "tokens": { "permission_format": "regex" } }), "/tokens/permission_format"),
        (json!({ "tokens": { "permissions_claim": "a..b" } }), "/tokens/permissions_claim"),
        (json!({ "request": { "allowed_methods": [] } }), "/request/allowed_methods"),
        (json!({ "request": { "allowed_methods": ["get"] } }), "/request/allowed_methods/0"),
        (json!({ "request": { "allowed_methods": ["CONNECT"] } }), "/request/allowed_methods/0"),
        (json!({ "request": { "content_types": ["json"] } }), "/request/content_types/0"),
        (json!({ "request": { "content_types": ["a/b; c=d"] } }), "/request/content_types/0"),
        (json!({ "request": { "max_request_size_bytes": 0 } }), "/request/max_request_size_bytes"),
        (json!({ "request": { "max_request_size_bytes": "1" } }), "/request/max_request_size_bytes"),
        (json!({ "request": { "https_only": 1 } }), "/request/https_only"),
        (json!({ "routes": {} }), "/routes"),
        (json!({ "routes": [{}] }), "/routes/0/path"),
        (json!({ "routes": [{ "path": "a" }] }), "/routes/0/path"),
        (json!({ "routes": [{ "path": "/a/../b" }] }), "/routes/0/path"),
        (json!({ "routes": [{ "path": "/{*rest}/b" }] }), "/routes/0/path"),
        (json!({ "routes": [{ "path": "/a", "metods": [] }] }), "/routes/0/metods"),
        (route(json!({ "methods": [] })), "/routes/0/methods"),
        (route(json!({ "methods": ["PATCH"] })), "/routes/0/methods/0"),
        (route(json!({ "hosts": [] })), "/routes/0/hosts"),
        (route(json!({ "hosts": ["a:80"] })), "/routes/0/hosts/0"),
        (route(json!({ "required_permissions": [] })), "/routes/0/required_permissions"),
        (route(json!({ "required_permissions": ["Read"] })), "/routes/0/required_permissions/0"),
        (route(json!({ "any_permissions": [] })), "/routes/0/any_permissions"),
        (route(json!({ "access": "public", "bind": { "id": "sub" } })), "/routes/0/bind"),
        (
            route(json!({ "access": "public", "required_permissions": ["a:b"] })),
            "/routes/0/required_permissions",
        ),
        (route(json!({ "access": "deny", "any_permissions": ["a:b"] })), "/routes/0/any_permissions"),
        (route(json!({ "bind": { "other": "sub" } })), "/routes/0/bind/other"),
        (route(json!({ "max_request_size_bytes": 0 })), "/routes/0/max_request_size_bytes"),
        (json!({ "routes": [{ "path": "/a" }, { "path": "/a/", "methods": ["PUT"] }] }), "/routes/1"),
        (json!({ "routes": [{ "path": "/a/{x}" }, { "path": "/a/{y}" }] }), "/routes/1"),
        (json!({ "unmatched_routes": "open" }), "/unmatched_routes"),
        (json!({ "roles": {} }), "/roles/grants"),
        (json!({ "roles": { "grants": { "a": [] } } }), "/roles/grants/a"),
        (json!({ "roles": { "grants": { "a/b": ["x"] } } }), "/roles/grants/a~1b/0"),
        (json!({ "rate_limits": [{}] }), "/rate_limits/0/name"),
        (limit(json!({ "max_requests": 0 })), "/rate_limits/0/max_requests"),
        (limit(json!({ "max_requests": "many" })), "/rate_limits/0/max_requests"),
        (limit(json!({ "window_seconds": 0 })), "/rate_limits/0/window_seconds"),
        (limit(json!({ "warn_at_percent": 0 })), "/rate_limits/0/warn_at_percent"),
        (limit(json!({ "warn_at_percent": 101 })), "/rate_limits/0/warn_at_percent"),
        (limit(json!({ "key": [] })), "/rate_limits/0/key"),
        (limit(json!({ "key": ["ip"] })), "/rate_limits/0/key/0"),
        (limit(json!({ "key": ["path", "path"] })), "/rate_limits/0/key/1"),
        (limit(json!({ "key": ["header:a b"] })), "/rate_limits/0/key/0"),
        (limit(json!({ "name": "a b" })), "/rate_limits/0/name"),
        (limit(json!({ "name": "auth-failures" })), "/rate_limits/0/name"),
        (
            limit(json!({ "max_requests": { "claim": "plan", "values": {}, "default": 1 } })),
            "/rate_limits/0/max_requests/values",
        ),
        (
            limit(json!({ "max_requests": { "claim": "plan", "values": { "a": 0 }, "default": 1 } })),
            "/rate_limits/0/max_requests/values/a",
        ),
        (
            limit(json!({ "max_requests": { "claim": "plan", "values": { "a": 1 } } })),
            "/rate_limits/0/max_requests/default",
        ),
        (
            route(json!({ "rate_limits": [{ "name": "default", "max_requests": 1, "window_seconds": 1 }] })),
            "/routes/0/rate_limits/0/name",
        ),
        (json!({ "auth_failure_limit": {} }), "/auth_failure_limit/max_failures"),
        (json!({ "request": { "rewrite_headers": "remove" } }), "/request/rewrite_headers"),
        (json!({ "forward": { "permissions_header": "x.auth_subject" } }), "/forward/permissions_header"),
        (json!({ "forward": { "subject_header": "x_envoy_internal" } }), "/forward/subject_header"),
        (
            json!({ "tokens": { "sources": [{ "header": "x-token" }] }, "forward": { "subject_header": "x_token" } }),
            "/forward/subject_header",
        ),
        (json!({ "client_ip": { "ipv6_prefix": 0 } }), "/client_ip/ipv6_prefix"),
        (json!({ "client_ip": { "ipv6_prefix": 129 } }), "/client_ip/ipv6_prefix"),
        (json!({ "client_ip": { "from": "x-forwarded-for" } }), "/client_ip/from"),
        (json!({ "limiter_capacity": 0 }), "/limiter_capacity"),
        (json!({ "limiter_capacity": 16_777_217 }), "/limiter_capacity"),
        (json!({ "revocation": { "capacity": 0 } }), "/revocation/capacity"),
        (json!({ "revocation": { "denied": { "jti": [""] } } }), "/revocation/denied/jti/0"),
        (json!({ "revocation": { "endpoint": { "path": "/{id}" } } }), "/revocation/endpoint/path"),
        (
            json!({ "revocation": { "endpoint": { "required_permissions": [] } } }),
            "/revocation/endpoint/required_permissions",
        ),
        (
            json!({ "revocation": { "endpoint": {} }, "routes": [{ "path": "/auth/revoke" }] }),
            "/revocation/endpoint/path",
        ),
        (
            json!({ "revocation": { "endpoint": {} }, "request": { "allowed_methods": ["GET"] } }),
            "/revocation/endpoint",
        ),
        (json!({ "forward": { "subject_header": "a b" } }), "/forward/subject_header"),
        (json!({ "forward": { "subject_header": "authorization" } }), "/forward/subject_header"),
        (json!({ "forward": { "subject_header": "host" } }), "/forward/subject_header"),
        (json!({ "forward": { "permissions_header": "X-Auth-Subject" } }), "/forward/permissions_header"),
        (json!({ "forward": { "claims": { "a": "x_auth_subject" } } }), "/forward/claims/a"),
        (json!({ "forward": { "issuer_header": "X_Auth_Subject" } }), "/forward/issuer_header"),
        (json!({ "forward": { "token": "hide" } }), "/forward/token"),
        (json!({ "replies": { "rate_limit_headers": "all" } }), "/replies/rate_limit_headers"),
        (json!({ "replies": { "realm": "" } }), "/replies/realm"),
        (json!({ "replies": { "realm": "a\"b" } }), "/replies/realm"),
        (json!({ "replies": { "realm": "x".repeat(65) } }), "/replies/realm"),
        (json!({ "replies": { "realm": null } }), "/replies/realm"),
        (json!({ "replies": { "resource_metadata": "http://a" } }), "/replies/resource_metadata"),
        (json!({ "replies": { "resource_metadata": "https://a/\"" } }), "/replies/resource_metadata"),
    ] {
        let found = errors(&with(changes.clone()));
        assert!(found.iter().any(|(place, _)| place == at), "{changes} should be wrong at {at}: {found:?}");
        for (place, text) in found {
            assert!(
                place.starts_with(at)
                    || at.starts_with("/rate_limits/0")
                    || at == "/auth_failure_limit/max_failures",
                "{changes}: {text}"
            );
        }
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
