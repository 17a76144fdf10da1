//! An empty body is none, however a client sends it: it needs no type, at the revocation endpoint neither.

use std::sync::OnceLock;

use serde_json::json;

use crate::ask::{Ask, BOTH, Body};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::table::judge;
use crate::token::token;

fn envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || {
        Setup::new(&policy(json!({
            "request": { "max_request_size_bytes": 1024 },
            "routes": [
                { "path": "/stream", "body": "stream" },
                { "path": "/large", "max_request_size_bytes": 3_145_728 },
            ],
            "revocation": { "endpoint": {} },
        })))
    })
}

/// The ways to send nothing: no body at all; a length of none; over HTTP/2 a DATA frame without bytes that ends the stream,
/// over HTTP/1 the last chunk alone; the same behind another frame without bytes; and trailers.
fn nothing() -> Vec<(&'static str, Body)> {
    vec![
        ("no body", Body::None),
        ("a length of none", Body::Sized(Vec::new())),
        ("an empty last piece", Body::Streamed(Vec::new())),
        ("trailers alone", Body::Trailed(Vec::new(), vec![("x-checksum", "1")])),
    ]
}

#[test]
fn a_request_without_content_passes_whatever_its_client_and_its_type() {
    for path in ["/x", "/stream", "/large"] {
        for method in ["POST", "PUT"] {
            for (name, body) in nothing() {
                for content_type in [None, Some("text/plain"), Some("application/json")] {
                    for protocol in BOTH {
                        // The client writes an empty piece as the last chunk, and would end there.
                        if matches!(body, Body::Trailed(..)) && protocol == crate::ask::Protocol::Http1 {
                            continue;
                        }
                        let mut ask = Ask::new(method, path).token(&token(json!({}))).body(body.clone());
                        if let Some(content_type) = content_type {
                            ask = ask.header("content-type", content_type);
                        }
                        let heard = ask.send(envoy(), protocol).forwarded(envoy());
                        let shown = format!("{name} {protocol:?} {ask:?}");
                        assert_eq!((heard.body.len(), heard.complete), (0, true), "{shown}");
                    }
                }
            }
        }
    }
    envoy().assert_healthy();
}

#[test]
fn the_first_byte_of_another_type_is_refused_before_the_service_hears_of_it() {
    for path in ["/x", "/stream", "/large"] {
        let post = |pieces: &[&[u8]]| {
            let pieces = pieces.iter().map(|piece| piece.to_vec()).collect();
            Ask::new("POST", path).token(&token(json!({}))).body(Body::Streamed(pieces))
        };
        let text = |pieces| post(pieces).header("content-type", "text/plain");
        judge(
            envoy(),
            &BOTH,
            [
                ("no type", post(&[b"x"]), "415 unsupported_media_type"),
                ("another type", text(&[b"x"]), "415 unsupported_media_type"),
                ("in pieces", text(&[b"x", b"y", b"z"]), "415 unsupported_media_type"),
                ("more than may come", text(&[&[b'x'; 16_000]]), "415 unsupported_media_type"),
            ],
        );
    }
    envoy().assert_healthy();
}

#[test]
fn a_logout_needs_neither_a_body_nor_its_type() {
    for protocol in BOTH {
        for (name, body) in nothing().into_iter().take(3) {
            for content_type in [None, Some("text/plain")] {
                let own = token(json!({ "jti": format!("{protocol:?}-{name}-{content_type:?}") }));
                let mut ask = Ask::new("POST", "/auth/revoke").token(&own).body(body.clone());
                if let Some(content_type) = content_type {
                    ask = ask.header("content-type", content_type);
                }
                let reply = ask.send(envoy(), protocol);
                assert_eq!(reply.status, 200, "{name} {protocol:?} {ask:?} {reply:?}");
                assert!(reply.text().contains("\"revoked\":true"), "{reply:?}");
                Ask::get("/x").token(&own).send(envoy(), protocol).refused(envoy(), 401, "token_revoked");
            }
        }
        let typed = Ask::new("POST", "/auth/revoke").token(&token(json!({})));
        let typed = typed.header("content-type", "text/plain").body(Body::Streamed(vec![b"{}".to_vec()]));
        typed.send(envoy(), protocol).refused(envoy(), 415, "unsupported_media_type");
    }
    envoy().assert_healthy();
}
