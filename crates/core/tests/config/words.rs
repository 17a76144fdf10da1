//! What an error says to write instead, field by field.

use api_guard_testkit::lay_over;
use serde_json::{Value, json};

use super::{errors, with};

/// Asserts that each change of the smallest configuration has one error, at this place and with these words.
fn assert_told(cases: &[(Value, &str, &str)]) {
    for (changes, at, words) in cases {
        let errors = errors(&with(changes.clone()));
        let [(found, text)] = &errors[..] else { panic!("{changes}: {errors:?}") };
        assert_eq!(found, at, "{text}");
        assert!(text.contains(words), "{words:?} is not in {text}");
    }
}

/// The one key, with more in it.
fn key(more: &Value) -> Value {
    let mut key = json!({ "secret": { "env": "SECRET" } });
    lay_over(&mut key, more);
    json!({ "tokens": { "keys": [key] } })
}

fn route(more: &Value) -> Value {
    let mut route = json!({ "path": "/users/{id}" });
    lay_over(&mut route, more);
    json!({ "routes": [route] })
}

#[test]
fn whoever_writes_a_claim_wrongly_is_told_how_to_name_it() {
    let url = r"write https://a\.example/c";
    assert_told(&[
        (json!({ "tokens": { "subject_claim": "" } }), "/tokens/subject_claim", "write the claim's name"),
        (json!({ "tokens": { "subject_claim": "https://a.example/c" } }), "/tokens/subject_claim", url),
        (json!({ "tokens": { "subject_claim": ["sub"] } }), "/tokens/subject_claim", "write a string"),
        (
            json!({ "tokens": { "required_values": { "https://a.example/c": ["x"] } } }),
            "/tokens/required_values/https:~1~1a.example~1c",
            url,
        ),
        (
            json!({ "tokens": { "required_values": { "token_type": [] } } }),
            "/tokens/required_values/token_type",
            "at least one accepted value, such as [\"access\"]",
        ),
        (
            json!({ "tokens": { "required_values": { "token_type": [{}] } } }),
            "/tokens/required_values/token_type/0",
            "write a text, an integer, true or false",
        ),
        (
            json!({ "tokens": { "required_values": { "a": "access" } } }),
            "/tokens/required_values/a",
            "write a list",
        ),
        (
            route(&json!({ "require": [{ "claim": "https://a.example/c", "is": [1] }] })),
            "/routes/0/require/0/claim",
            url,
        ),
    ]);
}

#[test]
fn whoever_writes_a_key_or_a_source_wrongly_is_told_what_there_is() {
    let source = |source: Value| json!({ "tokens": { "sources": [source] } });
    assert_told(&[
        (
            key(&json!({ "secret": { "env": "SECRET", "encoding": "hex" } })),
            "/tokens/keys/0/secret/encoding",
            "\"text\" or \"base64\"",
        ),
        (key(&json!({ "issuers": "https://a" })), "/tokens/keys/0/issuers", "write a list"),
        (key(&json!({ "issuers": [""] })), "/tokens/keys/0/issuers/0", "empty"),
        (key(&json!({ "audiences": ["a", "a"] })), "/tokens/keys/0/audiences/1", "remove the duplicate"),
        (
            source(json!({ "websocket_protocol": "bearer," })),
            "/tokens/sources/0/websocket_protocol",
            "write one word, such as \"bearer\"",
        ),
        (source(json!({ "websocket_protocol": null })), "/tokens/sources/0", "{\"websocket_protocol\": ...}"),
    ]);
}

#[test]
fn whoever_writes_a_setting_of_requests_or_replies_wrongly_is_told_its_values() {
    assert_told(&[
        (
            json!({ "request": { "path_case": "lower" } }),
            "/request/path_case",
            "write \"sensitive\" or \"insensitive\"",
        ),
        (
            json!({ "request": { "max_held_bytes": 0 } }),
            "/request/max_held_bytes",
            "a number of bytes from 1",
        ),
        (json!({ "replies": { "realm": "a\\b" } }), "/replies/realm", "1 to 64 printable ASCII characters"),
        (json!({ "replies": { "realm": "é" } }), "/replies/realm", "without quote and backslash"),
        (
            json!({ "replies": { "resource_metadata": "http://a/" } }),
            "/replies/resource_metadata",
            "write an https URL without fragment",
        ),
        (
            json!({ "replies": { "resource_metadata": "https://" } }),
            "/replies/resource_metadata",
            "https URL",
        ),
        (json!({ "forward": { "issuer_header": "a b" } }), "/forward/issuer_header", "write a name such as"),
        (
            json!({ "forward": { "issuer_header": "authorization" } }),
            "/forward/issuer_header",
            "choose another name",
        ),
        (
            json!({ "forward": { "issuer_header": "x-iss", "claims": { "iss": "x_iss" } } }),
            "/forward/claims/iss",
            "choose another name",
        ),
    ]);
}

#[test]
fn whoever_writes_a_condition_of_a_route_wrongly_is_told_its_form() {
    let bound = |unless: Value| route(&json!({ "bind": { "id": "sub" }, "bind_unless": unless }));
    assert_told(&[
        (
            route(&json!({ "access": "optionl" })),
            "/routes/0/access",
            "\"public\", \"optional\", \"authenticated\", \"deny\"",
        ),
        (
            route(&json!({ "access": "optional", "bind_unless": ["a:b"] })),
            "/routes/0/bind_unless",
            "add bind, such as {\"id\": \"sub\"}",
        ),
        (bound(json!("a:b")), "/routes/0/bind_unless", "write a list"),
        (bound(json!(["a:b", "a:b"])), "/routes/0/bind_unless/1", "remove the duplicate"),
        (route(&json!({ "require": { "claim": "a" } })), "/routes/0/require", "write a list"),
        (route(&json!({ "require": [7] })), "/routes/0/require/0", "write an object"),
        (
            route(&json!({ "require": [{ "claim": "a", "is": true }] })),
            "/routes/0/require/0/is",
            "write a list",
        ),
        (route(&json!({ "allow_in_path": "semicolon" })), "/routes/0/allow_in_path", "write a list"),
    ]);
}

#[test]
fn whoever_writes_networks_or_limits_wrongly_is_told_what_they_are() {
    assert_told(&[
        (route(&json!({ "allow_from": "10.0.0.0/8" })), "/routes/0/allow_from", "write a list"),
        (
            route(&json!({ "deny_from": ["10.0.0.0/-1"] })),
            "/routes/0/deny_from/0",
            "an address and a number of bits, such as \"10.0.0.0/8\"",
        ),
        (route(&json!({ "skip_limits": "*" })), "/routes/0/skip_limits", "write a list"),
        (
            route(&json!({ "skip_limits": ["defualt"] })),
            "/routes/0/skip_limits/0",
            "write the name of one, or [\"*\"] for all",
        ),
        (
            json!({ "auth_failure_limit": {
                "max_failures": 1, "window_seconds": 1, "except_addresses": ["10.0.0.0/8"] } }),
            "/auth_failure_limit/except_addresses",
            "unknown field",
        ),
        (
            json!({ "rate_limits": [{
                "name": "a", "max_requests": 1, "window_seconds": 1, "except_addresses": "::1" }] }),
            "/rate_limits/0/except_addresses",
            "write a list",
        ),
    ]);
}
