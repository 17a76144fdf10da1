//! The border to Envoy: what the library does with everything that Envoy lends it and takes from it. Made to be run with
//! AddressSanitizer (`make sanitize`) as well as without.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::undocumented_unsafe_blocks,
    clippy::disallowed_methods,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and plays the other side of a C ABI"
)]

mod envoy;
mod fleet;
mod key_sets;
mod memory;
mod workers;

use std::time::{Duration, Instant};

use api_guard_testkit::{SECRET, lay_over, sign};
use serde_json::{Value, json};

use envoy::{CONTINUE, Config, STOP, STOP_WITHOUT_BUFFERING, Stream, pairs};

fn policy(rest: Value) -> String {
    let mut policy = json!({
        "tokens": { "keys": [{ "secret": { "value": SECRET } }] },
        "request": { "max_request_size_bytes": 100 },
        "routes": [{ "path": "/public", "access": "public" }, { "path": "/stream", "body": "stream" }],
        "rate_limits": [],
        "revocation": { "endpoint": { "path": "/auth/revoke" } },
    });
    lay_over(&mut policy, &rest);
    policy.to_string()
}

fn load(filter_name: &str, rest: Value) -> Config {
    Config::load(filter_name, &policy(rest)).expect("a good configuration")
}

fn bearer(sub: &str) -> String {
    let claims = json!({ "sub": sub, "jti": sub, "iat": 1_790_000_000, "exp": 4_000_000_000_u64, "permissions": ["tokens:revoke"] });
    format!("Bearer {}", sign(br#"{"alg":"HS256"}"#, claims.to_string().as_bytes()))
}

fn request(method: &str, path: &str, more: &[(&str, &str)]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let own = [(":method", method), (":path", path), (":authority", "api"), ("x-request-id", "r")];
    own.iter()
        .chain(more)
        .map(|(name, value)| (name.as_bytes().to_vec(), value.as_bytes().to_vec()))
        .collect()
}

fn values(headers: &[(Vec<u8>, Vec<u8>)], name: &str) -> Vec<String> {
    let found = headers.iter().filter(|(known, _)| known == name.as_bytes());
    found.map(|(_, value)| String::from_utf8(value.clone()).unwrap()).collect()
}

fn eventually(complaint: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < Duration::from_secs(60), "{complaint}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[track_caller]
fn refused(stream: &Stream, status: u32, code: &str) {
    let replies = stream.replies();
    assert_eq!(replies.len(), 1, "{replies:?}");
    assert_eq!(
        (replies[0].status, replies[0].details.as_slice()),
        (status, format!("api_guard_{code}").as_bytes())
    );
    assert!(String::from_utf8(replies[0].body.clone()).unwrap().contains(code));
    // Nothing of it goes on from here, whatever comes.
    assert_eq!(stream.body(&[b"x"], false), STOP_WITHOUT_BUFFERING);
    assert_eq!(stream.trailers(Some(pairs(&[]))), STOP);
    assert_eq!((stream.replies().len(), stream.continued()), (1, 0));
}

#[test]
fn the_library_says_which_abi_it_was_made_for() {
    assert_eq!(envoy::version(), "v0.2.0");
}

#[test]
fn edits_do_not_disturb_what_is_still_read() {
    let config = load("edits", json!({ "forward": { "token": "strip" } }));
    let bearer = bearer("somebody");
    for _ in 0..3 {
        let stream = config.stream();
        let headers = request(
            "GET",
            "/x",
            &[
                ("authorization", &bearer),
                ("x-auth-subject", "forged"),
                ("x_auth_subject", "forged"),
                ("connection", "x-auth-subject, keep-alive"),
                ("x-auth-permissions", "everything"),
            ],
        );
        assert_eq!(stream.headers(Some(headers), true), CONTINUE);
        let sent = stream.request_headers();
        assert_eq!(values(&sent, "x-auth-subject"), ["somebody"]);
        assert_eq!(values(&sent, "x-auth-permissions"), ["tokens:revoke"]);
        assert_eq!(values(&sent, "connection"), ["keep-alive"]);
        assert!(values(&sent, "x_auth_subject").is_empty() && values(&sent, "authorization").is_empty());
        assert_eq!(stream.rerouted(), 1, "Envoy chose a route by what the client had written");
        assert!(stream.replies().is_empty());
    }
    assert_eq!(config.counter("api_guard_requests_total.decision.allowed.code.ok"), 3);
}

#[test]
fn an_answer_may_run_other_hooks_and_end_the_stream() {
    let config = load("answers", json!({}));
    for (reenters, ends) in [(false, false), (true, false), (false, true), (true, true)] {
        let stream = config.stream();
        stream.when_answered(reenters, ends);
        let headers = request("GET", "/x", &[("x-auth-subject", "forged"), ("te", "trailers")]);
        assert_eq!(stream.headers(Some(headers), true), STOP);
        refused(&stream, 401, "token_missing");
        assert_eq!(stream.rerouted(), 0);
        assert!(values(&stream.request_headers(), "x-auth-subject").is_empty(), "no log shows it");
        assert_eq!(stream.filter_state("wasm.api_guard.code").as_deref(), Some(&b"token_missing"[..]));
        assert_eq!(stream.response(Some(pairs(&[(b":status", b"401")]))), if ends { STOP } else { CONTINUE });
    }
    assert_eq!(config.counter("api_guard_requests_total.decision.refused.code.token_missing"), 4);
}

#[test]
fn a_grpc_client_hears_the_status_of_its_refusal() {
    let config = load("grpc", json!({}));
    let grpc = [("content-type", "application/grpc")];
    // Envoy tells the client of gRPC by what it was before other filters, and leaves our type to others.
    for (path, more, grpc_status, kind) in
        [("/a.B/c", &grpc[..], Some("16"), "text/plain"), ("/a.B/c", &[], None, "application/problem+json")]
    {
        let stream = config.stream();
        assert_eq!(stream.headers(Some(request("POST", path, more)), false), STOP);
        let replies = stream.replies();
        assert_eq!(values(&replies[0].headers, "grpc-status").first().map(String::as_str), grpc_status);
        assert_eq!(values(&replies[0].headers, "content-type"), [kind]);
    }
}

#[test]
fn what_envoy_does_not_hand_over_refuses() {
    let config = load("faults", json!({}));
    let stream = config.stream();
    assert_eq!(stream.headers(None, true), STOP);
    refused(&stream, 500, "internal_fault");
    let bearer = bearer("somebody");
    let headers = || Some(request("GET", "/x", &[("authorization", &bearer)]));
    let stream = config.stream();
    stream.refuse(false, true);
    assert_eq!(stream.headers(headers(), true), STOP);
    refused(&stream, 500, "internal_fault");
    let stream = config.stream();
    let post =
        request("POST", "/auth/revoke", &[("authorization", &bearer), ("content-type", "application/json")]);
    assert_eq!(stream.headers(Some(post), false), STOP);
    stream.refuse(true, false);
    assert_eq!(stream.body(&[b"{}"], true), STOP_WITHOUT_BUFFERING);
    refused(&stream, 500, "internal_fault");
    for kind in ["headers", "edit", "body"] {
        assert_eq!(config.counter(&format!("api_guard_faults_total.kind.{kind}")), 1, "{kind}");
    }
    let stream = config.stream();
    stream.set_peer(None);
    assert_eq!(stream.headers(headers(), true), CONTINUE, "a peer may have no address");
}

#[test]
fn a_held_body_is_counted_whole_and_passes_or_is_refused() {
    let config = load("bodies", json!({}));
    let bearer = bearer("somebody");
    let begin = || {
        let stream = config.stream();
        let more = [("authorization", bearer.as_str()), ("content-type", "application/json")];
        assert_eq!(stream.headers(Some(request("POST", "/x", &more)), false), STOP);
        stream
    };
    let stream = begin();
    assert_eq!(stream.body(&[&[b'a'; 30], b"", &[b'b'; 20]], false), STOP);
    assert_eq!(stream.body(&[&[b'c'; 50]], true), CONTINUE);
    let stream = begin();
    assert_eq!(stream.body(&[&[b'a'; 60]], false), STOP);
    assert_eq!(stream.trailers(Some(pairs(&[(b"x-auth-subject", b"forged"), (b"x", b"y")]))), CONTINUE);
    assert_eq!(stream.request_trailers(), pairs(&[(b"x", b"y")]));
    let stream = begin();
    assert_eq!(stream.body(&[&[b'a'; 60]], false), STOP);
    assert_eq!(stream.body(&[&[b'a'; 41]], false), STOP_WITHOUT_BUFFERING);
    refused(&stream, 413, "request_too_large");
    // Envoy's own buffer was smaller, and its answer is on its way: ours takes its place.
    let stream = begin();
    assert_eq!(stream.body(&[&[b'a'; 60]], false), STOP);
    stream.answer_by_envoy(b"request_payload_too_large");
    assert_eq!(stream.body(&[&[b'a'; 41]], false), STOP_WITHOUT_BUFFERING);
    assert!(stream.replies().is_empty());
    assert_eq!(stream.response(Some(pairs(&[(b":status", b"413")]))), STOP);
    assert_eq!(stream.replies().len(), 1);
}

#[test]
fn a_revocation_reads_its_body_from_all_its_pieces() {
    let config = load("revocations", json!({}));
    let (officer, victim) = (bearer("officer"), bearer("victim"));
    let body = format!(r#"{{"token":"{}"}}"#, victim.trim_start_matches("Bearer "));
    let config_of_bodies = load("revocations", json!({ "request": { "max_request_size_bytes": 10_000 } }));
    let stream = config_of_bodies.stream();
    let more = [("authorization", officer.as_str()), ("content-type", "application/json")];
    assert_eq!(stream.headers(Some(request("POST", "/auth/revoke", &more)), false), STOP);
    let (first, rest) = body.as_bytes().split_at(7);
    let (second, third) = rest.split_at(70);
    assert_eq!(stream.body(&[first, second], false), STOP);
    assert_eq!(stream.body(&[third], true), STOP_WITHOUT_BUFFERING);
    let replies = stream.replies();
    assert_eq!(replies[0].status, 200, "{:?}", String::from_utf8_lossy(&replies[0].body));
    let stream = config.stream();
    assert_eq!(stream.headers(Some(request("GET", "/x", &[("authorization", &victim)])), true), STOP);
    refused(&stream, 401, "token_revoked");
}

#[test]
fn filters_of_one_name_share_tables_and_no_others() {
    let limit = json!({ "rate_limits": [
        { "name": "few", "max_requests": 2, "window_seconds": 600, "key": ["subject"] },
    ] });
    let bearer = bearer("somebody");
    let ask = |config: &Config| {
        let stream = config.stream();
        let flow = stream.headers(Some(request("GET", "/x", &[("authorization", &bearer)])), true);
        let _ = stream.response(Some(pairs(&[(b":status", b"200")])));
        (flow, values(&stream.response_headers(), "ratelimit").len())
    };
    let (one, same, other) = (load("one", limit.clone()), load("one", limit.clone()), load("other", limit));
    assert_eq!([ask(&one).0, ask(&same).0, ask(&one).0], [CONTINUE, CONTINUE, STOP]);
    assert_eq!(ask(&other), (CONTINUE, 1));
    drop((one, same));
    let limit = json!({ "rate_limits": [
        { "name": "few", "max_requests": 2, "window_seconds": 600, "key": ["subject"] },
    ] });
    assert_eq!(ask(&load("one", limit)).0, STOP, "they outlive their configurations");
}

#[test]
fn a_stream_that_waits_is_reminded_and_one_that_has_ended_is_not() {
    let config = load("ticks", json!({}));
    let bearer = bearer("somebody");
    let more = [("authorization", bearer.as_str()), ("content-type", "application/json")];
    let waiting = config.stream();
    assert_eq!(waiting.headers(Some(request("POST", "/x", &more)), false), STOP);
    assert_eq!(waiting.body(&[b"{"], false), STOP);
    // The gauge is shown by the configuration's reminder, through the next stream where Envoy knows no other way.
    eventually("nobody is reminded", || {
        envoy::run_scheduled();
        let ask = config.stream();
        ask.headers(Some(request("GET", "/public", &[])), true);
        config.gauge("api_guard_held_bytes") == 1
    });
    assert!(waiting.replies().is_empty(), "it still has time");
    waiting.end();
    eventually("what was held is not given back", || {
        envoy::run_scheduled();
        let ask = config.stream();
        ask.headers(Some(request("GET", "/public", &[])), true);
        config.gauge("api_guard_held_bytes") == 0
    });
}

#[test]
fn what_is_no_configuration_is_refused_in_words() {
    for text in
        ["", "{", "[]", "{}", "\u{0}", r#"{"tokens":{"keys":[{"secret":{"env":"NOT_SET_ANYWHERE"}}]}}"#]
    {
        assert!(Config::load("bad", text).is_none(), "{text}");
    }
    let log = envoy::take_log();
    assert!(log.iter().any(|(level, line)| *level == 4 && line.contains("NOT_SET_ANYWHERE")), "{log:?}");
}

#[cfg(feature = "panic-on-demand")]
#[test]
fn a_panic_is_caught_and_refuses() {
    let config = load("panics", json!({ "mode": "report" }));
    for (reenters, ends) in [(false, false), (true, true)] {
        let stream = config.stream();
        stream.when_answered(reenters, ends);
        let headers = request("GET", "/public", &[("x-api-guard-panic", "1")]);
        assert_eq!(stream.headers(Some(headers), true), STOP);
        refused(&stream, 500, "internal_fault");
    }
    assert_eq!(config.counter("api_guard_faults_total.kind.panic"), 2);
    let stream = config.stream();
    assert_eq!(stream.headers(Some(request("GET", "/public", &[])), true), CONTINUE);
}
