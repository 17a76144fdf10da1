//! How large a request may be, with and without a declared size.

use std::sync::OnceLock;
use std::time::Duration;

use serde_json::json;

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::http1;
use crate::observed::{counted, counts_to};
use crate::process::Envoy;
use crate::reply::Reply;
use crate::setup::{Setup, policy};
use crate::table::judge;
use crate::token::token;

fn setup(allow_on_headers_stop_iteration: bool) -> Setup {
    let policy = policy(json!({
        "request": { "max_request_size_bytes": 1024 },
        "routes": [
            { "path": "/public", "access": "public" },
            { "path": "/large", "max_request_size_bytes": 3_145_728 },
            { "path": "/image", "methods": ["POST"], "content_types": ["image/png"], "max_request_size_bytes": 2048 },
        ],
    }));
    Setup { allow_on_headers_stop_iteration, ..Setup::new(&policy) }
}

/// As shipped.
fn stopping() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || setup(true))
}

/// Without the option that the shipped configuration sets.
fn passing() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || setup(false))
}

fn post(path: &str, body: Body) -> Ask {
    Ask::post(path).token(&token(json!({}))).body(body)
}

fn streamed(sizes: &[usize]) -> Body {
    Body::Streamed(sizes.iter().map(|size| vec![b'x'; *size]).collect())
}

#[test]
fn a_declared_size_over_the_limit_is_refused_before_the_body() {
    for envoy in [stopping(), passing()] {
        let declared = |length: &str| post("/x", Body::Declared(length.to_owned()));
        judge(
            envoy,
            &BOTH,
            [
                ("one too many", post("/x", Body::Sized(vec![b'x'; 1025])), "413 request_too_large"),
                ("never sent", declared("1025"), "413 request_too_large"),
                ("past 32 bits", declared("4294967296"), "413 request_too_large"),
                ("past 32 bits by a little", declared("4294967297"), "413 request_too_large"),
                ("all of 63 bits", declared("9223372036854775807"), "413 request_too_large"),
                ("public", Ask::post("/public").body(Body::Sized(vec![b'x'; 1025])), "413 request_too_large"),
                ("no token", Ask::post("/x").body(Body::Sized(vec![b'x'; 1025])), "413 request_too_large"),
                (
                    "a route's own limit",
                    Ask::post("/image").header("x", "y").body(Body::Declared("2049".to_owned())),
                    "415|413",
                ),
            ],
        );
        // Envoy may judge the length itself, but nothing may be forwarded.
        judge(
            envoy,
            &BOTH,
            [
                ("all of 64 bits", declared("18446744073709551615"), "413 request_too_large|400|cut"),
                ("past 64 bits", declared("18446744073709551616"), "413|400|cut"),
                ("negative", declared("-1"), "413|400|cut"),
                ("signed", declared("+5"), "413|400|cut"),
                ("hexadecimal", declared("0x5"), "413|400|cut"),
            ],
        );
        judge(
            envoy,
            &[Protocol::Http1],
            [("all of 64 bits", declared("18446744073709551615"), "413 request_too_large")],
        );
        let problem = declared("1025").send(envoy, Protocol::Http1).refused(envoy, 413, "request_too_large");
        assert_eq!(problem["detail"], "Request size exceeds maximum: 1024 bytes");
    }
}

#[test]
fn a_body_within_the_limit_passes_whole() {
    for envoy in [stopping(), passing()] {
        for protocol in BOTH {
            for body in [
                Body::Sized(b"{}".to_vec()),
                Body::Sized(vec![b'x'; 1024]),
                streamed(&[2]),
                streamed(&[1, 1, 1]),
                streamed(&[512, 512]),
                Body::Streamed(Vec::new()),
            ] {
                let sent = match &body {
                    Body::Sized(bytes) => bytes.clone(),
                    Body::Streamed(pieces) => pieces.concat(),
                    _ => Vec::new(),
                };
                for ask in [post("/x", body.clone()), Ask::post("/public").body(body)] {
                    let heard = ask.send(envoy, protocol).forwarded(envoy);
                    assert_eq!((heard.body, heard.complete), (sent.clone(), true), "{protocol:?} {ask:?}");
                }
            }
        }
    }
}

#[test]
fn a_body_that_grows_past_the_limit_is_refused_before_the_service_hears_of_it() {
    for path in ["/x", "/public"] {
        judge(
            stopping(),
            &BOTH,
            [
                ("at once", post(path, streamed(&[1025])), "413 request_too_large"),
                ("in the second piece", post(path, streamed(&[600, 600])), "413 request_too_large"),
                (
                    "byte by byte",
                    post(path, Body::Streamed(vec![b"x".to_vec(); 1025])),
                    "413 request_too_large",
                ),
                ("by far", post(path, streamed(&[16_000, 16_000])), "413 request_too_large"),
            ],
        );
    }
    let mut get = post("/x", streamed(&[600, 600]));
    get.method = b"GET".to_vec();
    judge(stopping(), &BOTH, [("whatever the method", get, "413 request_too_large")]);
}

#[test]
fn a_body_that_grows_past_the_limit_is_cut_where_envoy_may_not_wait() {
    for protocol in BOTH {
        for sizes in [&[1025][..], &[600, 600], &[16_000, 16_000]] {
            let (test, outcome) = post("/x", streamed(sizes)).try_send(passing(), protocol);
            if let Ok(reply) = outcome {
                assert_eq!(reply.verdict(), "413 request_too_large");
            }
            for heard in passing().upstream.heard(&test) {
                assert!(
                    !heard.complete && heard.body.len() <= 1024,
                    "{protocol:?} {sizes:?} {}",
                    heard.body.len()
                );
            }
        }
    }
    passing().assert_healthy();
}

#[test]
fn a_refusal_is_a_refusal_whether_or_not_a_body_follows() {
    for envoy in [stopping(), passing()] {
        let without_token = |body: Body| Ask::post("/x").body(body);
        judge(
            envoy,
            &BOTH,
            [
                ("a body", without_token(Body::Sized(b"{}".to_vec())), "401 token_missing"),
                ("a streamed body", without_token(streamed(&[10, 10])), "401 token_missing"),
                (
                    "a body that is still to come",
                    without_token(Body::Declared("10".to_owned())),
                    "401 token_missing",
                ),
            ],
        );
    }
}

#[test]
fn a_route_may_have_a_larger_limit_than_envoy_buffers() {
    for envoy in [stopping(), passing()] {
        for body in [Body::Sized(vec![b'x'; 2_097_152]), streamed(&[65_536; 32])] {
            let heard = post("/large", body).send(envoy, Protocol::Http1).forwarded(envoy);
            assert_eq!((heard.body.len(), heard.complete), (2_097_152, true));
        }
        judge(
            envoy,
            &[Protocol::Http1],
            [(
                "declared over it",
                post("/large", Body::Declared("3145729".to_owned())),
                "413 request_too_large",
            )],
        );
        let (test, outcome) = post("/large", streamed(&[65_536; 49])).try_send(envoy, Protocol::Http1);
        assert!(outcome.is_err() || outcome.is_ok_and(|reply| reply.status == 413));
        assert!(envoy.upstream.heard(&test).iter().all(|heard| !heard.complete));
    }
}

#[test]
fn a_slow_client_is_refused_before_the_service_hears_of_it_all_the_same() {
    let envoy = Envoy::start(setup(true));
    post("/x", streamed(&[2])).send(&envoy, Protocol::Http1).forwarded(&envoy);
    refuses_beside_slow_clients(&envoy);
}

#[test]
fn slow_clients_that_come_first_change_nothing_for_later_ones() {
    refuses_beside_slow_clients(&Envoy::start(setup(true)));
}

/// Opens requests whose bodies are long in coming, and refuses them and others that are too large. `envoy` is not a
/// shared one: what its first bodies do must not decide about later ones, nor be decided by another test's.
fn refuses_beside_slow_clients(envoy: &Envoy) {
    let mut slow = Vec::new();
    for number in 0..5 {
        let ask = post("/x", Body::Unfinished(Vec::new())).header("x-test-id", format!("slow-{number}"));
        let mut connection = http1::Connection::open(envoy.address()).unwrap();
        connection.write(&ask.http1());
        slow.push(connection);
    }
    // Long enough for any patience a filter may have with a body.
    std::thread::sleep(Duration::from_millis(1500));
    judge(envoy, &BOTH, [("beside slow ones", post("/x", streamed(&[600, 600])), "413 request_too_large")]);
    for (number, mut connection) in slow.into_iter().enumerate() {
        let rest = [b"800\r\n", &[b'x'; 0x800][..], b"\r\n0\r\n\r\n"].concat();
        let reply = connection.exchange(&rest, false);
        assert!(reply.is_ok_and(|reply| reply.verdict() == "413 request_too_large"), "slow-{number}");
        assert!(envoy.upstream.heard(&format!("slow-{number}")).is_empty(), "slow-{number}");
    }
}

#[test]
fn a_body_too_large_for_the_limit_and_for_envoys_buffer_gets_one_answer_and_it_is_ours() {
    // The default limit is what Envoy buffers by default: whether it is the filter or Envoy that first finds a body
    // too large depends on the pieces in which it comes.
    let envoy = Envoy::start(Setup { concurrency: 2, ..Setup::new(&policy(json!({}))) });
    for round in 0..30 {
        for size in [1_048_577, 3_000_000] {
            let reply = post("/x", streamed(&[size])).send(&envoy, Protocol::Http1);
            let problem = reply.refused(&envoy, 413, "request_too_large");
            assert_eq!(problem["detail"], "Request size exceeds maximum: 1048576 bytes", "{round}");
            assert!(envoy.upstream.heard(&reply.test).is_empty(), "{round}");
        }
    }
    counts_to(&envoy, "refused", "request_too_large", 60);
    assert_eq!(counted(&envoy, "allowed", ""), 0);
    envoy.assert_healthy();
}

#[test]
fn a_slow_body_within_the_limit_passes() {
    for envoy in [stopping(), passing()] {
        let ask = post("/x", Body::Unfinished(b"{".to_vec())).header("x-test-id", "slow-and-small");
        let mut connection = http1::Connection::open(envoy.address()).unwrap();
        connection.write(&ask.http1());
        std::thread::sleep(Duration::from_millis(700));
        let reply = connection.exchange(b"1\r\n}\r\n0\r\n\r\n", false).unwrap();
        let heard = Reply { test: "slow-and-small".to_owned(), ..reply }.forwarded(envoy);
        assert_eq!(heard.body, b"{}");
    }
}
