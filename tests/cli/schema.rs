//! `api-guard schema`: the schema and the parser come to the same verdicts.

use api_guard_testkit::lay_over;
use serde_json::{Value, json};

use crate::command::{SECRET, api_guard};
use crate::files::config;

/// The key of RFC 8037 appendix A.2.
const PEM: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\n-----END PUBLIC KEY-----\n";

fn schema() -> jsonschema::Validator {
    let run = api_guard(["schema"]);
    assert_eq!(run.code, 0);
    jsonschema::validator_for(&run.json()).expect("a schema")
}

fn parses(document: &Value) -> bool {
    api_guard_testkit::parse(document.to_string().as_bytes()).is_ok()
}

/// Documents that both accept, or both refuse, by their shape.
fn documents() -> Vec<(Value, bool)> {
    let limit = |changes: Value| {
        let mut limit = json!({ "name": "a", "max_requests": 1, "window_seconds": 1 });
        lay_over(&mut limit, &changes);
        json!({ "rate_limits": [limit] })
    };
    let route = |changes: Value| {
        let mut route = json!({ "path": "/a/{id}" });
        lay_over(&mut route, &changes);
        json!({ "routes": [route] })
    };
    let key = |key: Value| json!({ "tokens": { "keys": [key] } });
    let key_set = |changes: Value| {
        let jwks = json!({ "cluster": "idp", "path": "/a", "authority": "b" });
        let mut set = json!({ "name": "a", "issuers": ["b"], "jwks": jwks });
        lay_over(&mut set, &changes);
        json!({ "tokens": { "key_sets": [set] } })
    };
    let env = json!({ "env": "SECRET" });
    let good = [
        json!({}),
        json!({ "mode": "report" }),
        json!({ "$schema": "https://example.com/api-guard.schema.json" }),
        key(json!({ "kid": "a", "secret": env, "not_before": "2026-01-01T00:00:00Z", "not_after": null })),
        key(json!({ "kid": null, "secret": { "value": SECRET } })),
        key(json!({ "algorithm": "HS256", "secret": { "env": "SECRET", "encoding": "text" } })),
        key(json!({ "secret": { "value": "+/".repeat(22), "encoding": "base64" } })),
        key(json!({ "secret": env, "issuers": ["https://a"], "audiences": ["b"] })),
        key(json!({ "public_key": { "pem": PEM }, "algorithm": "EdDSA" })),
        key_set(json!({})),
        key_set(
            json!({ "algorithms": ["ES384", "EdDSA"], "permissions_claim": ["scope"], "refresh_seconds": 1 }),
        ),
        json!({ "revocation": { "denied": { "sub": ["a", { "iss": "b", "sub": "a" }] } } }),
        json!({ "forward": { "issuer_header": "x-iss" } }),
        key(json!({ "secret": { "base64url": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T" } })),
        json!({ "tokens": { "sources": [{ "header": "x-a" }, { "cookie": "a", "header": null }, { "query": "q" }] } }),
        json!({ "tokens": { "issuers": ["a"], "audiences": ["b"], "clock_skew_seconds": 5, "token_too_old": "reject" } }),
        json!({ "tokens": { "permission_format": "scope_token", "permissions_claim": "scope" } }),
        json!({ "tokens": { "permissions_claim": ["scope", "permissions"], "subject_claim": "user_id" } }),
        json!({ "tokens": { "required_values": { "token_type": ["access"], "level": [1, -2], "verified": [true] } } }),
        json!({ "roles": { "claim": ["role", "app.roles"], "grants": { "clerk": ["a:b"] } } }),
        json!({ "request": { "content_types": [], "https_only": true, "method_override": "keep", "rewrite_headers": "keep", "cors_preflight": "forward" } }),
        route(json!({ "name": null, "methods": null, "hosts": null, "mode": null, "content_types": null })),
        route(
            json!({ "bind": { "id": "sub" }, "required_permissions": ["a:b"], "max_request_size_bytes": 5 }),
        ),
        route(
            json!({ "access": "public", "rate_limits": [{ "name": "b", "max_requests": 1, "window_seconds": 1 }] }),
        ),
        json!({ "unmatched_routes": "deny" }),
        json!({ "roles": { "claim": "roles", "grants": { "clerk": ["a:b"] } } }),
        json!({ "roles": null, "auth_failure_limit": null, "revocation": { "endpoint": null } }),
        limit(json!({ "key": ["claim:tenant", "header:x-a"], "warn_at_percent": null, "mode": "report" })),
        limit(json!({ "max_requests": { "claim": "plan", "values": { "pro": 5 }, "default": 1 } })),
        json!({ "rate_limits": [] }),
        json!({ "auth_failure_limit": { "max_failures": 1, "window_seconds": 1 } }),
        json!({ "client_ip": { "ipv6_prefix": 56, "from": "x-envoy-external-address" } }),
        json!({ "limiter_capacity": 1, "revocation": { "capacity": 1, "denied": { "jti": ["a"], "sub_issued_before": { "a": 1 } } } }),
        json!({ "revocation": { "endpoint": { "path": "/out" } } }),
        json!({ "forward": { "subject_header": null, "permissions_header": "x-p", "claims": { "a": "x-a", "b": null }, "token": "strip" } }),
        json!({ "replies": { "detail": "code", "rate_limit_headers": "none" } }),
        json!({ "replies": { "realm": "orders", "resource_metadata": "https://a/b" } }),
        json!({ "tokens": { "sources": [{ "websocket_protocol": "bearer" }] } }),
    ];
    let bad = [
        json!({ "mod": "report" }),
        json!({ "request": { "$schema": "https://example.com/api-guard.schema.json" } }),
        json!({ "mode": "off" }),
        json!({ "mode": null }),
        json!({ "mode": ["report"] }),
        json!({ "tokens": null }),
        key(json!({ "public_key": { "pem": PEM }, "secret": env })),
        key(json!({ "public_key": { "pem": PEM, "env": "A" } })),
        key(json!({ "public_key": { "x5c": "A" } })),
        key(json!({ "public_key": { "pem": PEM }, "algorithm": "ES512" })),
        key_set(json!({ "issuers": [] })),
        key_set(json!({ "algorithms": ["HS256"] })),
        key_set(json!({ "algorithms": [] })),
        key_set(json!({ "refresh_seconds": 0 })),
        key_set(json!({ "timeout_milliseconds": 9 })),
        key_set(json!({ "max_stale_seconds": 0 })),
        key_set(json!({ "jwks": { "url": "https://a" } })),
        json!({ "tokens": { "key_sets": [{ "name": "a", "issuers": ["b"] }] } }),
        json!({ "tokens": { "keys": null } }),
        json!({ "tokens": { "keys": [] } }),
        json!({ "tokens": { "keys": {} } }),
        key(json!({})),
        key(json!({ "secret": null })),
        key(json!({ "secret": "text" })),
        key(json!({ "secret": {} })),
        key(json!({ "secret": { "env": "A", "value": "B" } })),
        key(json!({ "secret": { "file": "A" } })),
        key(json!({ "secret": { "encoding": "text" } })),
        key(json!({ "secret": { "env": "A", "encoding": "hex" } })),
        key(
            json!({ "secret": { "base64url": "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T", "encoding": "base64" } }),
        ),
        key(json!({ "secret": env, "algorithm": "hs256" })),
        key(json!({ "secret": env, "issuers": "a" })),
        json!({ "revocation": { "denied": { "sub": [1] } } }),
        json!({ "revocation": { "denied": { "sub": [{ "sub": "a" }] } } }),
        key(json!({ "secret": { "env": 1 } })),
        key(json!({ "secret": env, "kyd": "a" })),
        key(json!({ "secret": env, "kid": 7 })),
        json!({ "tokens": { "sources": [] } }),
        json!({ "tokens": { "sources": [{ "heder": "a" }] } }),
        json!({ "tokens": { "sources": ["authorization"] } }),
        json!({ "tokens": { "required_claims": "sub" } }),
        json!({ "tokens": { "required_values": { "a": "b" } } }),
        json!({ "tokens": { "required_values": { "a": [null] } } }),
        json!({ "tokens": { "required_values": { "a": [1.5] } } }),
        json!({ "tokens": { "permissions_claim": [] } }),
        json!({ "tokens": { "permissions_claim": 1 } }),
        json!({ "tokens": { "clock_skew_seconds": -1 } }),
        json!({ "tokens": { "clock_skew_seconds": "1" } }),
        json!({ "tokens": { "max_token_age_hours": 1.5 } }),
        json!({ "tokens": { "max_token_age_hours": 0 } }),
        json!({ "tokens": { "max_token_bytes": 0 } }),
        json!({ "tokens": { "token_too_old": "refuse" } }),
        json!({ "tokens": { "permission_format": "regex" } }),
        json!({ "request": { "allowed_methods": [] } }),
        json!({ "request": { "allowed_methods": "GET" } }),
        json!({ "request": { "https_only": 1 } }),
        json!({ "request": { "max_request_size_bytes": 0 } }),
        json!({ "request": { "method_override": true } }),
        json!({ "request": { "rewrite_headers": "remove" } }),
        json!({ "request": [] }),
        json!({ "routes": {} }),
        json!({ "routes": [{}] }),
        json!({ "routes": [{ "path": null }] }),
        json!({ "routes": [{ "path": 1 }] }),
        json!({ "routes": ["/a"] }),
        route(json!({ "methods": "GET" })),
        route(json!({ "methods": [] })),
        route(json!({ "hosts": [] })),
        route(json!({ "required_permissions": [] })),
        route(json!({ "any_permissions": [] })),
        route(json!({ "bind": null })),
        route(json!({ "bind": { "id": 1 } })),
        route(json!({ "access": "open" })),
        route(json!({ "mode": "off" })),
        route(json!({ "max_request_size_bytes": 0 })),
        json!({ "unmatched_routes": null }),
        json!({ "roles": { "grants": { "clerk": "a:b" } } }),
        json!({ "roles": [] }),
        limit(json!({ "name": null })),
        limit(json!({ "max_requests": null })),
        limit(json!({ "max_requests": "9" })),
        limit(json!({ "max_requests": 0 })),
        limit(json!({ "max_requests": { "values": { "a": 1 }, "default": 1 } })),
        limit(json!({ "max_requests": { "claim": "a", "values": { "a": 1 } } })),
        limit(json!({ "max_requests": { "claim": "a", "values": { "a": "b" }, "default": 1 } })),
        limit(json!({ "max_requests": { "claim": "a", "values": {}, "default": 1 } })),
        limit(json!({ "window_seconds": 0 })),
        limit(json!({ "window_seconds": null })),
        limit(json!({ "key": [] })),
        limit(json!({ "key": "subject" })),
        limit(json!({ "warn_at_percent": 0 })),
        limit(json!({ "warn_at_percent": 101 })),
        limit(json!({ "burst": 1 })),
        json!({ "rate_limits": [{}] }),
        json!({ "auth_failure_limit": {} }),
        json!({ "auth_failure_limit": { "max_failures": 0, "window_seconds": 1 } }),
        json!({ "client_ip": { "ipv6_prefix": 0 } }),
        json!({ "client_ip": { "ipv6_prefix": 129 } }),
        json!({ "client_ip": { "from": "x-forwarded-for" } }),
        json!({ "limiter_capacity": 0 }),
        json!({ "limiter_capacity": 16_777_217 }),
        json!({ "limiter_capacity": null }),
        json!({ "revocation": { "capacity": 0 } }),
        json!({ "revocation": { "denied": null } }),
        json!({ "revocation": { "denied": { "sub_issued_before": { "a": "b" } } } }),
        json!({ "revocation": { "endpoint": { "required_permissions": [] } } }),
        json!({ "revocation": { "endpoint": "/auth/revoke" } }),
        json!({ "forward": { "subject_header": 1 } }),
        json!({ "forward": { "claims": ["a"] } }),
        json!({ "forward": { "token": "hide" } }),
        json!({ "replies": { "rate_limit_headers": "all" } }),
        json!({ "replies": { "detail": null } }),
        json!({ "replies": { "realm": null } }),
        json!({ "replies": { "resource_metadata": 1 } }),
    ];
    let judged = |ok| move |changes: Value| (config(changes), ok);
    let whole = [json!({}), json!([]), json!(null), json!("x"), json!(1), json!({ "tokens": {} })];
    good.into_iter()
        .map(judged(true))
        .chain(bad.into_iter().map(judged(false)))
        .chain(whole.map(|document| (document, false)))
        .collect()
}

#[test]
fn the_schema_and_the_parser_come_to_the_same_verdicts() {
    let schema = schema();
    for (document, expected) in documents() {
        assert_eq!(parses(&document), expected, "the parser on {document}");
        assert_eq!(schema.is_valid(&document), expected, "the schema on {document}");
    }
}

/// The README and every page of `docs`.
fn pages() -> Vec<String> {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(root.join("docs")).expect("the pages");
    let pages = entries.map(|entry| entry.expect("a page").path());
    pages
        .filter(|path| path.extension().is_some_and(|kind| kind == "md"))
        .chain([root.join("README.md")])
        .map(|path| std::fs::read_to_string(path).expect("a text"))
        .collect()
}

#[test]
fn every_configuration_that_the_readme_and_the_pages_show_fits_the_schema() {
    let schema = schema();
    let lines = |text: &str| text.lines().map(str::trim_start).collect::<Vec<_>>().join("\n");
    let pages: Vec<String> = pages().iter().map(|page| lines(page)).collect();
    let shown: Vec<&str> = pages
        .iter()
        .flat_map(|page| page.split("```json\n").skip(1))
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(shown.len() >= 12, "{}", shown.len());
    for text in shown {
        let document: Value = serde_json::from_str(text).expect("JSON");
        assert!(schema.is_valid(&document), "{text}");
    }
}

#[test]
fn every_field_of_the_schema_says_what_it_is_for() {
    fn undescribed(name: &str, value: &Value, out: &mut Vec<String>) {
        for (field, schema) in value["properties"].as_object().into_iter().flatten() {
            if schema["description"].as_str().is_none_or(str::is_empty) {
                out.push(format!("{name}.{field}"));
            }
        }
    }
    let schema = api_guard(["schema"]).json();
    let mut missing = Vec::new();
    undescribed("", &schema, &mut missing);
    for (name, definition) in schema["$defs"].as_object().expect("definitions") {
        undescribed(name, definition, &mut missing);
    }
    assert_eq!(missing, [""; 0]);
}

#[test]
fn the_schema_that_is_published_is_the_one_that_is_printed() {
    let printed = api_guard(["schema"]).out;
    let published =
        std::fs::read_to_string(crate::files::project("docs/api-guard.schema.json")).expect("a file");
    assert!(published == printed, "api-guard schema > docs/api-guard.schema.json");
}

#[test]
fn descriptions_have_no_markup_of_the_sources() {
    fn descriptions(schema: &Value, out: &mut Vec<String>) {
        out.extend(schema["description"].as_str().map(str::to_owned));
        schema.as_object().into_iter().flatten().for_each(|(_, value)| descriptions(value, out));
        schema.as_array().into_iter().flatten().for_each(|value| descriptions(value, out));
    }
    let mut all = Vec::new();
    descriptions(&api_guard(["schema"]).json(), &mut all);
    assert!(all.len() > 100);
    for description in all {
        assert!(
            !description.contains(['`']) && !description.contains("::") && !description.contains("[`"),
            "{description}"
        );
    }
}

#[test]
fn every_field_that_may_be_left_out_has_a_default_but_where_null_is_one() {
    fn lacking(name: &str, object: &Value, out: &mut Vec<String>) {
        let required = object["required"].as_array().cloned().unwrap_or_default();
        for (field, schema) in object["properties"].as_object().into_iter().flatten() {
            let may_be_null = schema["type"].as_array().is_some_and(|types| types.contains(&json!("null")))
                || schema["anyOf"].as_array().is_some_and(|all| all.contains(&json!({ "type": "null" })));
            let needs_none = may_be_null || required.contains(&json!(field)) || field == "$schema";
            if schema["default"].is_null() && !needs_none {
                out.push(format!("{name}.{field}"));
            }
        }
    }
    let schema = api_guard(["schema"]).json();
    let mut found = Vec::new();
    lacking("", &schema, &mut found);
    for (name, definition) in schema["$defs"].as_object().expect("definitions") {
        lacking(name, definition, &mut found);
    }
    assert_eq!(found, [""; 0]);
}
