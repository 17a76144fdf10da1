//! No byte that a client can send kills the VM: a panic would take the plugin down for every client of the worker.

use std::sync::OnceLock;

use serde_json::json;

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::http1;
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::token::token;

/// A policy with every feature that reads something from a request.
fn envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || {
        let policy = policy(json!({
            "tokens": { "sources": [
                { "header": "authorization", "scheme": "Bearer" }, { "header": "x-token" }, { "cookie": "session" }, { "query": "access_token" },
            ] },
            "request": { "cors_preflight": "forward", "https_only": false },
            "routes": [
                { "path": "/public/{*rest}", "access": "public" },
                { "path": "/hosts", "hosts": ["*.example.com"] },
                { "path": "/users/{id}", "bind": { "id": "sub" } },
            ],
            "rate_limits": [{ "name": "wide", "max_requests": 1_000_000, "window_seconds": 60, "key": ["client_ip", "subject", "header:x-tenant", "path", "method"] }],
            "forward": { "claims": { "tenant": "x-auth-tenant" }, "token": "strip" },
            "revocation": { "endpoint": { "path": "/auth/revoke", "required_permissions": ["tokens:revoke"] } },
        }));
        Setup { delayed_close_seconds: 0.02, ..Setup::new(&policy) }
    })
}

/// Headers that the module reads, that Envoy reads, and that nobody reads.
const NAMES: [&str; 22] = [
    "authorization",
    "x-token",
    "cookie",
    "content-type",
    "content-length",
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-request-id",
    "x-http-method-override",
    "origin",
    "access-control-request-method",
    "user-agent",
    "x-auth-subject",
    "x_auth_subject",
    "x-tenant",
    "x-envoy-external-address",
    "accept",
    "referer",
    "te",
    "expect",
    "x-envoy-original-path",
    "u",
];

#[test]
fn no_byte_in_any_header_kills_the_vm() {
    let good = token(json!({}));
    for protocol in BOTH {
        for name in NAMES {
            // All upper bytes at once, then some alone: first, last, continuation and start bytes.
            let mut values: Vec<Vec<u8>> = vec![(0x80..=0xFF).collect()];
            values.extend([0x80, 0xBF, 0xC0, 0xE2, 0xF5, 0xFF].map(|byte| vec![byte]));
            for value in values {
                for path in ["/x", "/public/x", "/users/user-7"] {
                    let mut ask = Ask::get(path).header(name, &value);
                    if name != "authorization" {
                        ask = ask.token(&good);
                    }
                    let (_, outcome) = ask.try_send(envoy(), protocol);
                    assert!(
                        outcome.as_ref().is_ok_and(|reply| reply.status < 500) || outcome.is_err(),
                        "{name} {value:?} {outcome:?}"
                    );
                }
            }
        }
    }
    envoy().assert_healthy();
    Ask::get("/users/user-7").token(&good).send(envoy(), Protocol::Http1).forwarded(envoy());
}

#[test]
fn every_upper_byte_in_an_unrelated_header_is_forwarded_as_it_came() {
    let good = token(json!({}));
    for protocol in BOTH {
        for byte in 0x80..=0xFF_u8 {
            let heard = Ask::get("/x")
                .token(&good)
                .header("u", [b'a', byte])
                .send(envoy(), protocol)
                .forwarded(envoy());
            assert!(heard.headers.contains(&("u".to_owned(), vec![b'a', byte])), "{heard:?}");
        }
    }
    envoy().assert_healthy();
}

#[test]
fn no_byte_beside_a_token_kills_the_vm() {
    let good = token(json!({}));
    for protocol in BOTH {
        for byte in 0x80..=0xFF_u8 {
            let with = |front: &[u8], back: &[u8]| [front, &[byte], back].concat();
            let asks = [
                Ask::get("/x").header("authorization", with(b"Bearer ", good.as_bytes())),
                Ask::get("/x").header("authorization", with(format!("Bearer {good}").as_bytes(), b"")),
                Ask::get("/x").header("authorization", with(b"Bear", b"er x")),
                Ask::get("/x").header("cookie", with(b"session=", good.as_bytes())),
                Ask::get("/x").header("x-token", with(b"", good.as_bytes())),
            ];
            for ask in asks {
                let reply = ask.send(envoy(), protocol);
                assert_eq!(reply.status, 401, "{ask:?}");
            }
        }
    }
    envoy().assert_healthy();
}

#[test]
fn no_byte_in_a_pseudo_header_kills_the_vm() {
    for byte in 0..=0xFF_u8 {
        let mut odd_method = Ask::get("/x");
        odd_method.method = vec![b'G', byte];
        let asks = [
            Ask::get([b"/public/a", &[byte][..]].concat()),
            Ask::get([b"/public/a?", &[byte][..]].concat()),
            Ask::get("/hosts").host([b"a", &[byte][..], b".example.com"].concat()),
            odd_method,
        ];
        for ask in asks {
            let (_, outcome) = ask.try_send(envoy(), Protocol::Http2);
            assert!(
                outcome.as_ref().is_ok_and(|reply| reply.status < 500) || outcome.is_err(),
                "{ask:?} {outcome:?}"
            );
        }
    }
    envoy().assert_healthy();
}

#[test]
fn no_byte_in_a_revocation_kills_the_vm() {
    let good = token(json!({ "permissions": ["tokens:revoke"] }));
    for protocol in BOTH {
        for body in [
            &b"\xFF"[..],
            b"{\"token\":\"\xFF\"}",
            b"{\"jti\":\"\xC0\xAE\"}",
            b"[]",
            b"{",
            b"null",
            b"\x00",
            b"{\"token\":7}",
        ] {
            let ask = Ask::post("/auth/revoke").token(&good).body(Body::Sized(body.to_vec()));
            let reply = ask.send(envoy(), protocol);
            assert!(reply.status == 400 || reply.status == 415, "{body:?} {reply:?} {}", reply.text());
        }
    }
    envoy().assert_healthy();
}

#[test]
fn broken_requests_on_the_wire_kill_nothing() {
    for request in [
        &b"GET\r\n\r\n"[..],
        b"GET /public/a HTTP/1.1\r\n\r\n",
        b"GET /public/a HTTP/1.0\r\n\r\n",
        b"GET /public/a HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n",
        b"GET /public/a HTTP/1.1\r\nhost: a\r\n: x\r\n\r\n",
        b"GET /public/a HTTP/1.1\r\nhost: a\r\nx\xFF: y\r\n\r\n",
        b"GET /public/a HTTP/1.1\r\nhost: a\r\nauthorization: Bearer a\r\n b\r\n\r\n",
        b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
        b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
        b"GET /x HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\n",
        b"\x00\x00\x00\r\n\r\n",
    ] {
        let outcome = http1::Connection::open(envoy().address()).unwrap().exchange(request, false);
        assert!(outcome.as_ref().map_or(true, |reply| reply.status < 500), "{request:?} {outcome:?}");
    }
    envoy().assert_healthy();
}
