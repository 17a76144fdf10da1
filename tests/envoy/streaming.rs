//! Requests that reach the service before they have ended: by their type, or because their route says so.

use std::sync::OnceLock;

use serde_json::json;

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::http2;
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::token::token;

/// The most of a body, and of a gRPC message, bytes.
const MOST: usize = 1024;

fn envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || {
        Setup::new(&policy(json!({
            "request": { "max_request_size_bytes": MOST, "content_types": [] },
            "routes": [{ "path": "/stream", "body": "stream" }],
        })))
    })
}

/// A request that stays open, and its first piece.
fn open(path: &str, content_type: &str, test: &str, piece: &[u8]) -> (http2::Connection, u32) {
    let ask = Ask::new("POST", path).token(&token(json!({}))).header("content-type", content_type);
    let ask = ask.header("x-test-id", test).body(Body::Unfinished(piece.to_vec()));
    let mut connection = http2::Connection::open(envoy().address()).unwrap();
    let id = connection.send(&ask.http2(), &ask.body);
    (connection, id)
}

fn hears(test: &str, bytes: usize) {
    eventually("the service does not hear of it", || {
        envoy().upstream.heard(test).pop().filter(|heard| heard.body.len() == bytes)
    });
}

/// A gRPC message of this many bytes, with its prefix.
fn message(length: usize) -> Vec<u8> {
    let prefix = u32::try_from(length).unwrap().to_be_bytes();
    [&[0][..], &prefix, &vec![7; length]].concat()
}

#[test]
fn what_streams_reaches_the_service_before_it_ends_and_is_cut_where_it_is_too_large() {
    for (number, (path, content_type)) in [
        ("/x", "application/connect+proto"),
        ("/x", "application/x-ndjson"),
        ("/x", "application/grpc-web+proto"),
        ("/stream", "application/json"),
        ("/stream", "text/plain"),
    ]
    .into_iter()
    .enumerate()
    {
        let test = format!("streams-{number}");
        let (mut connection, id) = open(path, content_type, &test, &[b'x'; MOST]);
        hears(&test, MOST);
        let reply = connection.finish(id, b"y").unwrap();
        assert_eq!(reply.verdict(), "413 request_too_large", "{content_type}");
        assert!(!envoy().upstream.heard(&test)[0].complete, "{content_type}");
    }
    let (mut connection, id) = open("/x", "application/json", "held", b"{");
    assert_eq!(connection.finish(id, b"}").unwrap().status, 200);
    envoy().assert_healthy();
}

#[test]
fn a_chat_over_grpc_goes_on_far_beyond_the_limit_of_a_message() {
    let (mut connection, id) = open("/chat", "application/grpc", "chat", &message(MOST));
    // Pieces that are no messages: each prefix is cut somewhere else. Below what a peer grants from the start.
    let talk = message(MOST).repeat(50);
    for piece in talk.chunks(997) {
        connection.push(id, piece);
    }
    hears("chat", 51 * (MOST + 5));
    assert!(!envoy().upstream.heard("chat")[0].complete);
    assert_eq!(connection.finish(id, &message(0)).unwrap().status, 200);
    for protocol in BOTH {
        let many = Body::Streamed(vec![message(3).repeat(2000)]);
        let ask =
            Ask::new("POST", "/x").token(&token(json!({}))).header("content-type", "application/grpc+proto");
        let heard = ask.body(many).send(envoy(), protocol).forwarded(envoy());
        assert_eq!((heard.body.len(), heard.complete), (16_000, true), "{protocol:?}");
        let declared = Body::Sized(message(MOST).repeat(2));
        let ask = Ask::new("POST", "/x").token(&token(json!({}))).header("content-type", "application/grpc");
        ask.body(declared).send(envoy(), protocol).forwarded(envoy());
    }
    envoy().assert_healthy();
}

#[test]
fn a_grpc_message_over_the_limit_exhausts_the_call() {
    let long = message(MOST + 1);
    for cut in 1..=5 {
        let test = format!("long-{cut}");
        let begun = [message(20), long[..cut - 1].to_vec()].concat();
        let (mut connection, id) = open("/chat", "application/grpc", &test, &begun);
        hears(&test, begun.len());
        connection.push(id, &long[cut - 1..5]);
        let reply = connection.read(id).unwrap();
        assert_eq!(reply.status, 200);
        assert_eq!(reply.one("grpc-status"), "8", "{reply:?}");
        assert_eq!(reply.one("grpc-message"), "Request size exceeds maximum: 1024 bytes");
        assert!(!envoy().upstream.heard(&test)[0].complete);
        assert_eq!(envoy().upstream.heard(&test)[0].body.len(), begun.len(), "nothing of it went on");
    }
    for body in [Body::Sized(long.clone()), Body::Streamed(vec![long.clone()])] {
        let ask = Ask::new("POST", "/x").token(&token(json!({}))).header("content-type", "application/grpc");
        assert_eq!(ask.body(body).send(envoy(), Protocol::Http2).one("grpc-status"), "8");
    }
    envoy().assert_healthy();
}
