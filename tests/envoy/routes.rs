//! Who may do what: routes, permissions, roles, bindings, hosts.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::table::judge;
use crate::token::token;

fn envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || {
        Setup::new(&policy(json!({
            "request": { "allowed_methods": ["GET", "HEAD", "POST", "PUT", "DELETE"] },
            "routes": [
                { "name": "read-order", "path": "/orders/{id}", "methods": ["GET"], "required_permissions": ["orders:read"] },
                { "path": "/orders/{id}", "methods": ["DELETE"], "required_permissions": ["orders:read", "orders:delete"] },
                { "path": "/orders/latest", "access": "public" },
                { "path": "/reports/{*rest}", "any_permissions": ["reports:read", "reports:admin"] },
                { "path": "/users/{id}", "bind": { "id": "sub" } },
                { "path": "/accounts/{number}", "bind": { "number": "account" } },
                { "path": "/admin/{*rest}", "access": "deny" },
                { "path": "/admin/status", "access": "public" },
                { "path": "/health", "access": "public" },
            ],
            "roles": { "claim": "roles", "grants": { "clerk": ["orders:read"], "chief": ["orders:delete", "reports:admin"] } },
        })))
    })
}

/// What the field asked for: roots of a rest, verbs, optional tokens, exceptions from bindings, conditions, addresses.
fn field() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || {
        Setup::new(&policy(json!({
            "request": { "path_case": "insensitive", "content_types": [] },
            "unmatched_routes": "deny",
            "routes": [
                { "path": "/admin/{*rest}", "required_permissions": ["admin:all"] },
                { "path": "/v1/orders/{id}" },
                { "path": "/v1/orders/{id}:cancel", "methods": ["POST"], "required_permissions": ["orders:cancel"] },
                { "path": "/feed", "access": "optional" },
                { "path": "/users/{id}", "bind": { "id": "sub" }, "bind_unless": ["users:admin"] },
                { "path": "/verified", "require": [{ "claim": "email_verified", "is": [true] }] },
                { "path": "/tenant", "require": [{ "claim": "tenant", "equals_header": "x-tenant" }] },
                { "path": "/inside", "access": "public", "allow_from": ["10.0.0.0/8"] },
                { "path": "/loop", "access": "public", "allow_from": ["127.0.0.0/8"] },
                { "path": "/{*all}", "hosts": ["shut.example.com"], "access": "deny" },
            ],
        })))
    })
}

#[test]
fn a_rest_covers_its_root_in_every_letter_case() {
    let admin = |path: &str| with(json!({ "permissions": ["admin:all"] }), path);
    judge(
        field(),
        &BOTH,
        [
            ("the root", with(json!({}), "/admin"), "403 permission_missing"),
            ("with a slash", with(json!({}), "/admin/"), "403 permission_missing"),
            ("in capitals", with(json!({}), "/ADMIN/users"), "403 permission_missing"),
            ("an administrator", admin("/Admin"), "200"),
            ("another path", admin("/administrator"), "403 route_denied"),
            ("a host that is shut", admin("/admin").host("shut.example.com"), "403 route_denied"),
            ("the root of that host", admin("/").host("shut.example.com"), "403 route_denied"),
        ],
    );
}

#[test]
fn a_verb_behind_a_parameter_is_a_route_of_its_own() {
    let post = |path: &str, permissions: Value| {
        Ask::new("POST", path).token(&token(json!({ "permissions": permissions })))
    };
    judge(
        field(),
        &BOTH,
        [
            ("the order", with(json!({}), "/v1/orders/42"), "200"),
            ("the verb", post("/v1/orders/42:cancel", json!(["orders:cancel"])), "200"),
            ("without", post("/v1/orders/42:cancel", json!([])), "403 permission_missing"),
            ("encoded", post("/v1/orders/42%3Acancel", json!([])), "400 path_ambiguous"),
            ("another method", with(json!({}), "/v1/orders/42:cancel"), "405 method_not_allowed"),
        ],
    );
}

#[test]
fn callers_are_told_apart_as_the_route_asks() {
    let tenant = |claim: Value| with(json!({ "tenant": claim }), "/tenant");
    judge(
        field(),
        &BOTH,
        [
            ("optional, none", Ask::get("/feed"), "200"),
            ("optional, good", with(json!({}), "/feed"), "200"),
            ("optional, bad", Ask::get("/feed").token("a.b.c"), "401 token_malformed"),
            ("themselves", with(json!({}), "/users/user-7"), "200"),
            ("somebody else", with(json!({}), "/users/user-8"), "403 binding_mismatch"),
            ("an administrator", with(json!({ "permissions": ["users:admin"] }), "/users/user-8"), "200"),
            ("a condition met", with(json!({ "email_verified": true }), "/verified"), "200"),
            ("not met", with(json!({ "email_verified": "true" }), "/verified"), "403 condition_failed"),
            ("the header", tenant(json!("acme")).header("x-tenant", "acme"), "200"),
            ("another", tenant(json!("acme")).header("x-tenant", "evil"), "403 condition_failed"),
            (
                "twice",
                tenant(json!("acme")).header("x-tenant", "acme").header("x-tenant", "acme"),
                "403 condition_failed",
            ),
            ("another address", Ask::get("/inside"), "403 address_refused"),
            ("the address", Ask::get("/loop"), "200"),
        ],
    );
}

#[test]
fn a_query_parameter_does_not_override_the_method() {
    let post = |path: &str| Ask::new("POST", path).token(&token(json!({})));
    judge(
        field(),
        &BOTH,
        [
            ("plain", post("/v1/orders/1?_method=DELETE"), "400 request_malformed"),
            ("encoded", post("/v1/orders/1?x=1&%5Fm%65thod=DELETE"), "400 request_malformed"),
            ("another", post("/v1/orders/1?method=DELETE"), "200"),
        ],
    );
}

fn with(claims: Value, path: &str) -> Ask {
    Ask::get(path).token(&token(claims))
}

#[test]
fn a_public_route_asks_for_no_token_and_ignores_one() {
    judge(
        envoy(),
        &BOTH,
        [
            ("none", Ask::get("/health"), "200"),
            ("a good one", with(json!({}), "/health"), "200"),
            ("a bad one", Ask::get("/health").token("a.b.c"), "200"),
            ("a trailing slash", Ask::get("/health/"), "200"),
            ("a query", Ask::get("/health?verbose=1"), "200"),
            ("more specific than a route with a permission", Ask::get("/orders/latest"), "200"),
            ("more specific than a denied route", Ask::get("/admin/status"), "200"),
            ("another letter case is another path", Ask::get("/Health"), "401 token_missing"),
            ("a longer segment is another path", Ask::get("/healthy"), "401 token_missing"),
            ("a segment more is another path", Ask::get("/health/x"), "401 token_missing"),
        ],
    );
}

#[test]
fn a_permission_is_required_exactly() {
    let may = |permissions: Value| with(json!({ "permissions": permissions }), "/orders/1");
    judge(
        envoy(),
        &BOTH,
        [
            ("held", may(json!(["orders:read"])), "200"),
            ("among others", may(json!(["users:list", "orders:read"])), "200"),
            ("as a text of words", may(json!("users:list orders:read")), "200"),
            ("another", may(json!(["orders:write"])), "403 permission_missing"),
            ("longer", may(json!(["orders:reads"])), "403 permission_missing"),
            ("shorter", may(json!(["orders:rea"])), "403 permission_missing"),
            ("none", may(json!([])), "403 permission_missing"),
            ("no claim", with(json!({}), "/orders/1"), "403 permission_missing"),
            ("no token", Ask::get("/orders/1"), "401 token_missing"),
        ],
    );
}

#[test]
fn a_missing_permission_is_named() {
    for protocol in BOTH {
        let mut ask = with(json!({ "permissions": ["users:list"] }), "/orders/1");
        let reply = ask.send(envoy(), protocol);
        let problem = reply.refused(envoy(), 403, "permission_missing");
        assert_eq!(problem["detail"], "Missing required permissions: orders:read");
        assert!(reply.one("www-authenticate").contains(r#"scope="orders:read""#), "{reply:?}");
        ask.method = b"DELETE".to_vec();
        let reply = ask.send(envoy(), protocol);
        let problem = reply.refused(envoy(), 403, "permission_missing");
        assert_eq!(problem["detail"], "Missing required permissions: orders:read, orders:delete");
        assert!(reply.one("www-authenticate").contains(r#"scope="orders:read orders:delete""#), "{reply:?}");
    }
}

#[test]
fn one_of_several_permissions_is_enough_where_any_will_do() {
    let may = |permissions: Value| with(json!({ "permissions": permissions }), "/reports/2026/11");
    judge(
        envoy(),
        &BOTH,
        [
            ("the first", may(json!(["reports:read"])), "200"),
            ("the second", may(json!(["reports:admin"])), "200"),
            ("neither", may(json!(["orders:read"])), "403 permission_missing"),
        ],
    );
}

#[test]
fn roles_become_permissions() {
    let role = |roles: Value, path: &str| with(json!({ "roles": roles }), path);
    judge(
        envoy(),
        &BOTH,
        [
            ("a role that grants it", role(json!(["clerk"]), "/orders/1"), "200"),
            ("a role that does not", role(json!(["chief"]), "/orders/1"), "403 permission_missing"),
            ("a role that nobody knows", role(json!(["root"]), "/orders/1"), "403 permission_missing"),
            ("any", role(json!(["chief"]), "/reports/x"), "200"),
        ],
    );
}

#[test]
fn a_path_may_be_bound_to_a_claim() {
    let account = |value: Value| with(json!({ "account": value }), "/accounts/42");
    judge(
        envoy(),
        &BOTH,
        [
            ("one's own", with(json!({}), "/users/user-7"), "200"),
            ("decoded once", with(json!({ "sub": "a@b é" }), "/users/a%40b%20%C3%A9"), "200"),
            ("not decoded at all", with(json!({ "sub": "a@b" }), "/users/a@b"), "200"),
            ("another's", with(json!({}), "/users/user-8"), "403 binding_mismatch"),
            ("another letter case", with(json!({}), "/users/User-7"), "403 binding_mismatch"),
            ("a beginning", with(json!({}), "/users/user"), "403 binding_mismatch"),
            ("a text", account(json!("42")), "200"),
            ("an integer", account(json!(42)), "200"),
            ("another integer", account(json!(43)), "403 binding_mismatch"),
            ("a fraction", account(json!(42.5)), "403 binding_mismatch|401"),
            ("a list", account(json!(["42"])), "403 binding_mismatch|401"),
            ("no claim", with(json!({}), "/accounts/42"), "403 binding_mismatch"),
            ("no claim and the word null", with(json!({}), "/accounts/null"), "403 binding_mismatch"),
        ],
    );
}

#[test]
fn a_denied_route_is_denied_whoever_asks() {
    judge(
        envoy(),
        &BOTH,
        [
            (
                "with a token",
                with(json!({ "permissions": ["orders:read"] }), "/admin/users"),
                "403 route_denied",
            ),
            ("without", Ask::get("/admin/users"), "403 route_denied|401 token_missing"),
        ],
    );
}

#[test]
fn a_path_with_routes_allows_their_methods_only() {
    for protocol in BOTH {
        for (method, path, allowed) in [
            ("POST", "/orders/1", &["DELETE", "GET", "HEAD"][..]),
            ("PUT", "/orders/1", &["DELETE", "GET", "HEAD"]),
            ("PATCH", "/orders/1", &["DELETE", "GET", "HEAD"]),
            ("PATCH", "/elsewhere", &["DELETE", "GET", "HEAD", "POST", "PUT"]),
            ("OPTIONS", "/elsewhere", &["DELETE", "GET", "HEAD", "POST", "PUT"]),
        ] {
            let reply = Ask::new(method, path).token(&token(json!({}))).send(envoy(), protocol);
            let problem = reply.refused(envoy(), 405, "method_not_allowed");
            assert_eq!(problem["detail"], json!(format!("Method {method} not allowed")));
            assert_eq!(reply.list("allow"), allowed, "{method} {path}");
        }
    }
}

#[test]
fn head_follows_the_route_of_get() {
    for protocol in BOTH {
        let reader = token(json!({ "permissions": ["orders:read"] }));
        let reply = Ask::new("HEAD", "/orders/1").token(&reader).send(envoy(), protocol);
        reply.forwarded(envoy());
        let reply = Ask::new("HEAD", "/orders/1").token(&token(json!({}))).send(envoy(), protocol);
        assert_eq!((reply.status, reply.body.len()), (403, 0), "{reply:?}");
        assert_eq!(reply.one("content-type"), "application/problem+json");
        assert!(reply.one("www-authenticate").contains("insufficient_scope"));
        assert!(envoy().upstream.heard(&reply.test).is_empty());
    }
}

#[test]
fn an_unmatched_path_is_treated_as_configured() {
    for (access, without, with_token) in [
        ("authenticated", "401 token_missing", "200"),
        ("deny", "403 route_denied|401", "403 route_denied"),
        ("public", "200", "200"),
    ] {
        let envoy = Envoy::start(Setup::new(&policy(json!({
            "unmatched_routes": access,
            "routes": [{ "path": "/known" }],
        }))));
        judge(
            &envoy,
            &BOTH,
            [
                ("unmatched without a token", Ask::get("/unknown"), without),
                ("unmatched with one", with(json!({}), "/unknown"), with_token),
                ("matched without a token", Ask::get("/known"), "401 token_missing"),
                ("matched with one", with(json!({}), "/known"), "200"),
            ],
        );
    }
}

#[test]
fn a_route_may_be_for_certain_hosts() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "unmatched_routes": "deny",
        "routes": [
            { "path": "/x", "hosts": ["api.example.com", "*.example.org"] },
            { "path": "/x", "hosts": ["public.example.com"], "access": "public" },
            { "path": "/everywhere" },
        ],
    }))));
    let at = |host: &[u8]| with(json!({}), "/x").host(host);
    judge(
        &envoy,
        &BOTH,
        [
            ("the host", at(b"api.example.com"), "200"),
            ("in capitals, with a port", at(b"API.Example.Com:8443"), "200"),
            ("with a final dot", at(b"api.example.com."), "200"),
            ("under a wildcard", at(b"a.example.org"), "200"),
            ("deep under a wildcard", at(b"a.b.example.org"), "200|403 route_denied"),
            ("the wildcard's own name", at(b"example.org"), "403 route_denied"),
            ("a longer name", at(b"x.badexample.org"), "403 route_denied"),
            ("a name before", at(b"api.example.com.evil.net"), "403 route_denied"),
            ("another host", at(b"www.example.com"), "403 route_denied"),
            ("public at its own host", Ask::get("/x").host("public.example.com"), "200"),
            ("and not at another", Ask::get("/x").host("api.example.com"), "401 token_missing"),
            ("two hosts", at(b"api.example.com,evil.net"), "400"),
            ("user information", at(b"evil@api.example.com"), "400|cut"),
            ("a route without hosts", with(json!({}), "/everywhere").host("anything"), "200"),
        ],
    );
    judge(
        &envoy,
        &[crate::ask::Protocol::Http1],
        [
            ("no host", at(b""), "400"),
            (
                "an absolute target replaces it",
                Ask::get("http://public.example.com/x").host("api.example.com"),
                "200",
            ),
            (
                "whichever way",
                with(json!({}), "http://www.example.com/x").host("api.example.com"),
                "403 route_denied",
            ),
        ],
    );
}
