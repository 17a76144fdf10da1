//! What the service behind Envoy is told: the verified identity, and nothing that a client invented.

use std::sync::OnceLock;

use serde_json::json;

use crate::ask::{Ask, BOTH, Protocol};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::token::token;

fn envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || {
        Setup::new(&policy(json!({
            "routes": [{ "path": "/public/{*rest}", "access": "public" }],
            "roles": { "claim": "roles", "grants": { "clerk": ["orders:read", "orders:write"] } },
            "forward": { "claims": { "tenant": "x-auth-tenant" } },
        })))
    })
}

/// All sources, with the token removed.
fn stripping() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || {
        Setup::new(&policy(json!({
            "tokens": { "sources": [
                { "header": "authorization", "scheme": "Bearer" },
                { "header": "x-token" },
                { "cookie": "session" },
                { "query": "access_token" },
            ] },
            "forward": { "token": "strip", "permissions_header": null },
        })))
    })
}

fn sorted(words: &str) -> Vec<&str> {
    let mut words: Vec<_> = words.split(' ').collect();
    words.sort_unstable();
    words
}

#[test]
fn the_service_hears_the_verified_subject_and_permissions() {
    for protocol in BOTH {
        let token = token(json!({ "permissions": ["orders:read", "users:list"] }));
        let heard = Ask::get("/x").token(&token).send(envoy(), protocol).forwarded(envoy());
        assert_eq!(heard.one("x-auth-subject"), "user-7");
        assert_eq!(sorted(&heard.one("x-auth-permissions")), ["orders:read", "users:list"]);
        assert_eq!(
            heard.one("authorization"),
            format!("Bearer {token}"),
            "the token is kept unless told otherwise"
        );
    }
}

#[test]
fn the_permissions_of_roles_are_forwarded_too() {
    let token = token(json!({ "roles": ["clerk"], "permissions": ["users:list"] }));
    let heard = Ask::get("/x").token(&token).send(envoy(), Protocol::Http1).forwarded(envoy());
    assert_eq!(sorted(&heard.one("x-auth-permissions")), ["orders:read", "orders:write", "users:list"]);
}

/// A request that carries every spelling of the headers that the module sets.
fn impostor(path: &str) -> Ask {
    let mut ask = Ask::get(path);
    for name in [
        "x-auth-subject",
        "X-Auth-Subject",
        "x_auth_subject",
        "x-auth_subject",
        "X_Auth-Subject",
        "x-auth-permissions",
        "x_auth_permissions",
        "x-auth-tenant",
        "x_auth_tenant",
        "x-auth_tenant",
    ] {
        ask = ask.header(name, "admin").header(name, "root");
    }
    ask.header("x-auth-subject-of-another-kind", "mine")
        .header("x-auth", "mine")
        .header("xauthsubject", "mine")
}

#[test]
fn a_clients_own_identity_headers_are_replaced() {
    for protocol in BOTH {
        let ask = impostor("/x").token(&token(json!({ "permissions": ["orders:read"], "tenant": "blue" })));
        let heard = ask.send(envoy(), protocol).forwarded(envoy());
        let identity: Vec<_> = heard.headers.iter().filter(|(name, _)| folded(name)).collect();
        assert_eq!(identity.len(), 3, "{identity:?}");
        assert_eq!(heard.one("x-auth-subject"), "user-7");
        assert_eq!(heard.one("x-auth-permissions"), "orders:read");
        assert_eq!(heard.one("x-auth-tenant"), "blue");
        for other in ["x-auth-subject-of-another-kind", "x-auth", "xauthsubject"] {
            assert_eq!(heard.one(other), "mine");
        }
    }
}

#[test]
fn a_clients_own_identity_headers_are_removed_where_there_is_no_identity() {
    for protocol in BOTH {
        let heard = impostor("/public/x").send(envoy(), protocol).forwarded(envoy());
        assert!(!heard.headers.iter().any(|(name, _)| folded(name)), "{heard:?}");
        // A public route ignores tokens, good and bad: their owner is not forwarded either.
        let heard = impostor("/public/x").token(&token(json!({}))).send(envoy(), protocol).forwarded(envoy());
        assert!(!heard.headers.iter().any(|(name, _)| folded(name)), "{heard:?}");
    }
}

#[test]
fn a_claim_that_the_token_lacks_is_not_taken_from_the_client() {
    for protocol in BOTH {
        let heard = impostor("/x").token(&token(json!({}))).send(envoy(), protocol).forwarded(envoy());
        assert!(heard.all("x-auth-tenant").concat().is_empty(), "{heard:?}");
        assert!(heard.all("x_auth_tenant").is_empty() && heard.all("x-auth_tenant").is_empty(), "{heard:?}");
        assert!(heard.all("x-auth-permissions").concat().is_empty(), "{heard:?}");
    }
}

/// The name is one of the identity headers, as a CGI-like service would read it.
fn folded(name: &str) -> bool {
    ["x-auth-subject", "x-auth-permissions", "x-auth-tenant"].contains(&name.replace('_', "-").as_str())
}

#[test]
fn a_claim_that_cannot_stand_in_a_header_never_reaches_one() {
    for protocol in BOTH {
        for tenant in ["a\r\nx-auth-subject: admin", "a\nb", "a\u{0}b", "a\u{7f}"] {
            let reply = Ask::get("/x").token(&token(json!({ "tenant": tenant }))).send(envoy(), protocol);
            if reply.status == 200 {
                let heard = reply.forwarded(envoy());
                assert!(heard.all("x-auth-tenant").concat().is_empty(), "{heard:?}");
                assert_eq!(heard.one("x-auth-subject"), "user-7");
            } else {
                reply.refused(envoy(), 401, "claim_invalid");
            }
        }
    }
}

#[test]
fn a_stripped_token_does_not_reach_the_service() {
    for protocol in BOTH {
        let token = token(json!({}));
        let cases = [
            Ask::get("/s").token(&token),
            Ask::get("/s").header("x-token", &token),
            Ask::get("/s").header("cookie", format!("session={token}")),
            Ask::get(format!("/s?access_token={token}")),
        ];
        for ask in cases {
            let heard = ask.send(stripping(), protocol).forwarded(stripping());
            assert!(!format!("{heard:?}").contains("eyJ"), "{heard:?}");
            assert_eq!(heard.target, "/s");
            assert_eq!(heard.one("x-auth-subject"), "user-7");
            assert!(heard.all("x-auth-permissions").is_empty(), "a header set to null is off");
        }
    }
    stripping().assert_healthy();
}

#[test]
fn a_stripped_token_leaves_its_neighbours() {
    for protocol in BOTH {
        let token = token(json!({}));
        let cookies = Ask::get("/s").header("cookie", format!("a=1; session={token}; b=2"));
        assert_eq!(cookies.send(stripping(), protocol).forwarded(stripping()).one("cookie"), "a=1; b=2");
        for (sent, left) in [("a=1&{}&b=2", "/s?a=1&b=2"), ("{}&b=2", "/s?b=2"), ("a=1&{}", "/s?a=1")] {
            let query = sent.replace("{}", &format!("access_token={token}"));
            let heard = Ask::get(format!("/s?{query}")).send(stripping(), protocol).forwarded(stripping());
            assert_eq!(heard.target, left);
        }
    }
}

#[test]
fn method_overrides_are_stripped_unless_they_are_to_be_kept() {
    let keep = Envoy::start(Setup::new(&policy(json!({ "request": { "method_override": "keep" } }))));
    let names = ["x-http-method-override", "x-http-method", "x-method-override"];
    for protocol in BOTH {
        let mut ask = Ask::get("/x").token(&token(json!({})));
        for name in names {
            ask = ask.header(name, "DELETE");
        }
        let stripped = ask.send(envoy(), protocol).forwarded(envoy());
        let kept = ask.send(&keep, protocol).forwarded(&keep);
        for name in names {
            assert!(stripped.all(name).is_empty(), "{stripped:?}");
            assert_eq!(kept.one(name), "DELETE");
        }
    }
}
