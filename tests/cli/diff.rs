//! `api-guard diff`.

use serde_json::{Value, json};

use crate::command::{Run, api_guard};
use crate::files::{File, config};

fn diff(old: Value, new: Value, more: &[&str]) -> Run {
    let (old, new) = (File::new(config(old).to_string()), File::new(config(new).to_string()));
    api_guard([&["diff", old.path(), new.path()], more].concat())
}

fn tells(old: Value, new: Value, parts: &[&str]) {
    let run = diff(old, new, &[]);
    assert_eq!(run.code, 1, "{run:?}");
    for part in parts {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
}

#[test]
fn what_means_the_same_is_the_same() {
    let limit = json!({ "name": "default", "max_requests": 100, "window_seconds": 60, "key": ["client_ip", "subject"] });
    let route = |path: &str, methods: Value| json!({ "path": path, "methods": methods, "required_permissions": ["a:b", "c:d"] });
    for (old, new) in [
        (json!({}), json!({})),
        (
            json!({}),
            json!({ "$schema": "x", "mode": "enforce", "request": { "https_only": false }, "unmatched_routes": "authenticated" }),
        ),
        (json!({}), json!({ "rate_limits": [limit], "auth_failure_limit": null, "roles": null })),
        (
            json!({ "request": { "allowed_methods": ["GET", "PUT"] }, "tokens": { "audiences": ["a", "b"] } }),
            json!({ "request": { "allowed_methods": ["PUT", "GET"] }, "tokens": { "audiences": ["b", "a"] } }),
        ),
        (
            json!({ "rate_limits": [limit], "roles": { "grants": { "a": ["a:b", "c:d"] } } }),
            json!({ "rate_limits": [{ "name": "default", "max_requests": 100, "window_seconds": 60, "key": ["subject", "client_ip"] }],
                "roles": { "grants": { "a": ["c:d", "a:b"] } } }),
        ),
        (
            json!({ "routes": [route("/a", json!(["GET", "POST"]))] }),
            json!({ "routes": [
                { "path": "/a", "methods": ["POST"], "required_permissions": ["c:d", "a:b"], "access": "authenticated" },
                route("/a", json!(["GET"])),
            ] }),
        ),
        (
            json!({ "routes": [{ "path": "/a" }] }),
            json!({ "routes": [{ "path": "/a", "methods": ["DELETE", "GET", "POST", "PUT"] }] }),
        ),
        (
            json!({ "tokens": { "subject_claim": "id" } }),
            json!({ "tokens": { "subject_claim": "id", "required_claims": ["id", "exp", "iat"] } }),
        ),
    ] {
        let run = diff(old, new, &[]);
        assert_eq!((run.code, run.out.as_str()), (0, "nothing changes\n"), "{run:?}");
    }
}

#[test]
fn keys_limits_routes_and_settings_are_told() {
    let key = |kid: &str| json!({ "kid": kid, "secret": { "env": "A" } });
    tells(
        json!({ "tokens": { "keys": [key("old"), key("both")] } }),
        json!({ "tokens": { "keys": [{ "kid": "both", "algorithm": "HS512", "secret": { "env": "A" } }, key("new")] } }),
        &["keys\n", "- kid \"old\"", "+ kid \"new\"", "~ kid \"both\": algorithm \"HS256\" -> \"HS512\""],
    );
    tells(
        json!({}),
        json!({ "rate_limits": [{ "name": "default", "max_requests": 50, "window_seconds": 60 }], "auth_failure_limit": { "max_failures": 1, "window_seconds": 1 } }),
        &["limits\n", "~ default: max_requests 100 -> 50", "+ auth_failure_limit"],
    );
    tells(
        json!({ "routes": [{ "path": "/a", "methods": ["GET"], "required_permissions": ["a:b"] }, { "path": "/gone", "methods": ["GET"] }] }),
        json!({ "routes": [{ "path": "/a", "methods": ["GET", "PUT"] }, { "path": "/a", "hosts": ["x.example.com"], "methods": ["GET"], "access": "deny" }] }),
        &[
            "routes\n",
            "~ GET /a: required_permissions [\"a:b\"] -> (none)",
            "+ PUT /a",
            "- GET /gone",
            "+ GET /a at x.example.com: access \"deny\"",
        ],
    );
    tells(
        json!({}),
        json!({ "mode": "report", "tokens": { "audiences": ["a"] } }),
        &[
            "settings\n",
            "~ /mode: value \"enforce\" -> \"report\"",
            "~ /tokens/audiences: value [] -> [\"a\"]",
        ],
    );
}

#[test]
fn another_secret_is_told_and_neither_is_shown() {
    let key = |secret: &str| json!({ "tokens": { "keys": [{ "secret": { "value": secret } }] } });
    let (one, other) = ("hunter2-hunter2-hunter2-hunter2-one", "hunter2-hunter2-hunter2-hunter2-two");
    let run = diff(key(one), key(other), &[]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("~ key 0 without a kid: secret") && !run.out.contains("hunter2"), "{}", run.out);
    assert_eq!(diff(key(one), key(one), &[]).code, 0);
}

#[test]
fn with_cases_every_decision_that_differs_is_told() {
    let cases = File::new(
        json!({ "cases": [
            { "name": "health", "request": { "path": "/health" } },
            { "name": "other", "request": { "path": "/other" } },
        ] })
        .to_string(),
    );
    let open = json!({ "routes": [{ "path": "/health", "access": "public" }] });
    let run = diff(json!({}), open.clone(), &[cases.path()]);
    assert_eq!(run.code, 1);
    assert!(run.out.contains("decisions\n  health: status: 401 -> 200"), "{}", run.out);
    assert!(!run.out.contains("other:"), "{}", run.out);
    assert_eq!(diff(open.clone(), open, &[cases.path()]).code, 0);
}

#[test]
fn what_cannot_be_compared_is_an_error() {
    let good = File::new(config(json!({})).to_string());
    let bad = File::new("{}");
    assert_eq!(api_guard(["diff", good.path()]).code, 2);
    assert_eq!(api_guard(["diff", good.path(), "/nowhere"]).code, 2);
    let run = api_guard(["diff", good.path(), bad.path()]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.contains("/tokens"), "{run:?}");
}
