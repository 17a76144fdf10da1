//! A gRPC client hears gRPC: status and message in the headers of a reply that is 200 to HTTP.

use std::sync::OnceLock;

use serde_json::json;

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::http2;
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::token::token;

fn envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || {
        Setup::new(&policy(json!({
            "request": { "max_request_size_bytes": 1024 },
            "routes": [
                { "path": "/shop.Orders/Delete", "required_permissions": ["orders:delete"] },
                { "path": "/shop.Orders/Closed", "access": "deny" },
                { "path": "/read-only", "methods": ["GET"] },
            ],
        })))
    })
}

fn call(path: &str) -> Ask {
    Ask::new("POST", path)
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(Body::Sized(b"\0\0\0\0\0".to_vec()))
}

#[test]
fn refusals_are_mapped_to_grpc_statuses() {
    let good = token(json!({}));
    for protocol in BOTH {
        for (ask, status, message) in [
            (call("/shop.Orders/List"), "16", "Missing or invalid Authorization header"),
            (call("/shop.Orders/List").token(&token(json!({ "exp": 1000 }))), "16", "Token has expired"),
            (call("/shop.Orders/Delete").token(&good), "7", "Missing required permissions: orders:delete"),
            (call("/shop.Orders/Closed").token(&good), "7", ""),
            (call("/read-only").token(&good), "12", "Method POST not allowed"),
            (call("/shop.Orders/../List").token(&good), "3", ""),
            (call("/x").token(&good).token(&token(json!({ "sub": "other" }))), "3", ""),
            (
                call("/x").token(&good).body(Body::Sized(b"\0\0\0\x04\x01".repeat(2))),
                "8",
                "Request size exceeds maximum: 1024 bytes",
            ),
            (
                call("/x").token(&good).body(Body::Streamed(vec![b"\0\0\0\x04\x01".to_vec()])),
                "8",
                "Request size exceeds maximum: 1024 bytes",
            ),
        ] {
            let reply = ask.send(envoy(), protocol);
            assert_eq!(reply.status, 200, "{protocol:?} {ask:?} {reply:?}");
            assert!(
                reply.one("content-type").starts_with("application/grpc"),
                "{protocol:?} {ask:?} {reply:?}"
            );
            assert_eq!(reply.one("grpc-status"), status, "{protocol:?} {ask:?} {reply:?}");
            let heard = reply.one("grpc-message");
            assert!(!heard.contains('{') && !heard.contains("%7B"), "plain text, not JSON: {heard}");
            assert!(message.is_empty() || heard == message, "{heard}");
            assert!(reply.body.is_empty(), "{reply:?}");
            // A call that streams cannot be held back until it ends, so a part of it may have left: never all of it.
            let streams = status == "8";
            let heard = envoy().upstream.heard(&reply.test);
            assert!(heard.is_empty() || (streams && !heard[0].complete), "{ask:?}");
        }
    }
    envoy().assert_healthy();
}

#[test]
fn grpc_needs_no_place_among_the_content_types() {
    for protocol in BOTH {
        for content_type in ["application/grpc", "application/grpc+proto"] {
            let mut ask = call("/shop.Orders/List").token(&token(json!({})));
            ask.headers[0].1 = content_type.as_bytes().to_vec();
            ask.send(envoy(), protocol).forwarded(envoy());
        }
    }
}

#[test]
fn what_envoy_does_not_take_for_grpc_is_answered_in_json() {
    for protocol in BOTH {
        for content_type in [
            "application/grpc;x=1",
            "Application/gRPC",
            "application/grpc-web",
            "application/grpcx",
            "application/grpc, application/grpc",
        ] {
            let mut ask = call("/shop.Orders/List");
            ask.headers[0].1 = content_type.as_bytes().to_vec();
            ask.send(envoy(), protocol).refused(envoy(), 415, "unsupported_media_type");
            ask.method = b"DELETE".to_vec();
            ask.send(envoy(), protocol).refused(envoy(), 401, "token_missing");
        }
    }
    envoy().assert_healthy();
}

#[test]
fn a_grpc_message_holds_nothing_that_the_client_sent() {
    let mut ask = call("/read-only").token(&token(json!({})));
    ask.method = b"Zq7mark".to_vec();
    let reply = ask.send(envoy(), Protocol::Http2);
    assert_eq!(
        (reply.one("grpc-status").as_str(), reply.one("grpc-message").as_str()),
        ("12", "Method not allowed")
    );
    let malformed = token(json!({ "permissions": ["Zq7mark"] }));
    let reply = call("/x").token(&malformed).send(envoy(), Protocol::Http2);
    assert_eq!(reply.one("grpc-message"), "Invalid permission format");
    envoy().assert_healthy();
}

#[test]
fn a_call_that_streams_reaches_the_service_before_it_ends() {
    let ask = call("/shop.Orders/Watch").token(&token(json!({}))).header("x-test-id", "watch");
    let ask = ask.body(Body::Unfinished(b"\0\0\0\0\0".to_vec()));
    let mut connection = http2::Connection::open(envoy().address()).unwrap();
    connection.send(&ask.http2(), &ask.body);
    let heard = eventually("the service hears nothing", || {
        envoy().upstream.heard("watch").pop().filter(|heard| heard.body.len() == 5)
    });
    assert!(!heard.complete);
}
