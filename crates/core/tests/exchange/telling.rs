//! What is told of a stream: one count, one line, filter state, and limits in its response.

mod lines;
mod names;

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_testkit::{Decided, Done, Watched};
use serde_json::{Value, json};

use crate::{START, World, answer, at, bearer, lines, marks};

fn limits(limits: Value) -> World {
    World::with(json!({ "rate_limits": limits, "replies": { "rate_limit_headers": "both" } }))
}

fn wide() -> World {
    limits(json!([
        { "name": "wide", "max_requests": 9, "window_seconds": 60, "key": ["client_ip"] },
        { "name": "narrow", "max_requests": 4, "window_seconds": 60, "key": ["subject"] },
    ]))
}

fn state(stream: &Watched<'_>, name: &str) -> Option<String> {
    stream.host.filter_state(name)
}

#[test]
fn every_refusal_is_told_to_log_metrics_and_later_filters() {
    let world = limits(json!([
        { "name": "narrow", "max_requests": 1, "window_seconds": 60, "key": ["subject"], "warn_at_percent": 100 },
    ]));
    let ids = [("x-request-id", "r1")];
    let (stream, _) = world.get("/x?secret", &ids);
    assert_eq!(stream.decided, [Decided::Allowed]);
    assert_eq!(state(&stream, "api_guard.code"), None);
    assert!(lines(&stream).iter().all(|line| line["event"] == "limit_warned"));
    assert_eq!(state(&stream, "api_guard.subject"), None, "its header names the subject");
    let (stream, flow) = world.get("/large?secret", &ids);
    assert_eq!(flow, Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::RateLimited)]);
    for (name, value) in [
        ("api_guard.code", "rate_limited"),
        ("api_guard.route", "/large"),
        ("api_guard.limit", "narrow"),
        ("api_guard.subject", "u1"),
    ] {
        assert_eq!(state(&stream, name).as_deref(), Some(value), "{name}");
    }
    assert_eq!(world.counted(&stream, "api_guard_rate_limit_total.limit.narrow.outcome.refused"), 1);
    assert_eq!(answer(&stream)["request_id"], "r1");
    assert_eq!(
        lines(&stream),
        [json!({
            "event": "refused", "code": "rate_limited", "status": 429, "method": "GET", "path": "/large",
            "route": "/large", "client_ip": "192.0.2.1", "sub": "u1", "kid": null, "jti": "u1-1",
            "request_id": "r1", "limit": "narrow",
        })]
    );
}

#[test]
fn what_is_refused_late_is_told_as_what_is_refused_at_once() {
    let world = World::with(json!({ "client_ip": { "from": "x-envoy-external-address" } }));
    let more = [("x-request-id", "r1"), ("x-envoy-external-address", "198.51.100.7")];
    let post = |more: &[(&str, &str)]| world.ask("POST", "/public?a=b", more, false).0;
    let json = [&more[..], &[("content-type", "application/json")]].concat();
    let mut late = post(&json);
    late.body(101, false, at(1));
    let at_once = post(&[&json[..], &[("content-length", "101")]].concat());
    assert_eq!(lines(&late), lines(&at_once));
    assert_eq!(lines(&late)[0]["client_ip"], "198.51.100.7");
    assert_eq!(answer(&late), answer(&at_once));
    assert_eq!(answer(&late)["request_id"], "r1");
    for name in ["api_guard.code", "api_guard.route", "api_guard.limit"] {
        assert_eq!(state(&late, name), state(&at_once, name), "{name}");
    }
    assert_eq!(state(&late, "api_guard.route").as_deref(), Some("the public one"));
    let mut call = post(&[&more[..], &[("content-type", "application/grpc"), ("te", "trailers")]].concat());
    call.bytes(&[0, 0, 0, 0, 101], false, at(1));
    assert_eq!(lines(&call), lines(&at_once));
    let is_exhausted = |done: &Done| matches!(done, Done::Replied(reply, true) if reply.grpc_status == 8);
    assert!(call.host.done.iter().any(is_exhausted));
}

#[test]
fn a_reply_is_one_for_grpc_where_the_request_was() {
    let world = World::new();
    for (content_type, expected) in [
        ("application/grpc", true),
        ("application/grpc+proto", true),
        ("application/grpc;x=1", false),
        ("Application/gRPC", false),
        ("application/json", false),
    ] {
        // A GET needs no content type of those that are accepted.
        let more = [("content-type", content_type), ("authorization", "none")];
        let (stream, _) = world.ask("GET", "/x", &more, false);
        let reply = stream.host.done.iter().find_map(|done| {
            if let Done::Replied(reply, is_grpc) = done { Some((reply.grpc_status, *is_grpc)) } else { None }
        });
        assert_eq!(reply, Some((16, expected)));
    }
}

#[test]
fn an_admitted_response_tells_once_of_the_limit_with_least_left() {
    let world = wide();
    let (mut stream, _) = world.get("/x", &[]);
    assert!(stream.exchange.is_settled() && !stream.exchange.is_over());
    assert_eq!(stream.response(), Flow::Continue);
    let expected = [
        ("ratelimit-policy", r#""narrow";q=4;w=60"#),
        ("ratelimit", r#""narrow";r=3;t=20"#),
        ("x-ratelimit-limit", "4"),
        ("x-ratelimit-remaining", "3"),
        ("x-ratelimit-reset", "20"),
    ];
    let names: Vec<_> = marks(&stream).iter().map(|(name, _)| *name).collect();
    assert_eq!(names, expected.map(|(name, _)| name));
    for (name, value) in [expected[0], expected[2], expected[3]] {
        assert!(marks(&stream).contains(&(name, value.to_owned())), "{:?}", marks(&stream));
    }
    assert!(stream.exchange.is_over());
    assert_eq!(stream.response(), Flow::Continue);
    assert_eq!(marks(&stream).len(), 5, "a second response is not marked");
}

#[test]
fn a_limit_that_only_reports_is_not_told_and_hides_no_other() {
    let limit = |name, most, mode: Value| json!({ "name": name, "max_requests": most, "window_seconds": 60, "key": ["subject"], "mode": mode });
    let shy = limit("shy", 1, json!("report"));
    let world = limits(json!([shy, limit("wide", 9, json!("enforce"))]));
    for left in ["8", "7"] {
        let (mut stream, _) = world.get("/x", &[]);
        stream.response();
        assert!(marks(&stream).contains(&("x-ratelimit-limit", "9".to_owned())), "{:?}", marks(&stream));
        assert!(marks(&stream).contains(&("x-ratelimit-remaining", left.to_owned())), "{:?}", marks(&stream));
    }
    let world = limits(json!([shy]));
    let (mut alone, _) = world.get("/x", &[]);
    assert_eq!((alone.response(), marks(&alone)), (Flow::Continue, vec![]));
    // On a route that reports, a limit without a mode of its own holds nobody back either.
    let world = limits(json!([limit("plain", 9, Value::Null)]));
    let (mut reporting, _) = world.get("/report", &[]);
    assert_eq!((reporting.response(), marks(&reporting)), (Flow::Continue, vec![]));
    let world = limits(json!([limit("plain", 9, Value::Null), limit("strict", 5, json!("enforce"))]));
    let (mut reporting, _) = world.get("/report", &[]);
    reporting.response();
    assert!(marks(&reporting).contains(&("x-ratelimit-limit", "5".to_owned())), "{:?}", marks(&reporting));
}

#[test]
fn no_refusal_but_that_of_a_limit_tells_of_limits_however_late_it_is() {
    let world = wide();
    let (declared, _) = world.post("/x", &[("content-length", "5")]);
    let (streamed, _) = world.post("/stream", &[]);
    let (held, _) = world.post("/x", &[]);
    for mut late in [declared, streamed, held] {
        late.body(101, true, at(1));
        assert_eq!(late.refused(), Some("request_too_large"));
        assert!(late.exchange.is_over());
        assert_eq!((late.response(), marks(&late)), (Flow::Continue, vec![]));
    }
    let (mut early, _) = world.get("/x", &[("authorization", "none")]);
    assert_eq!((early.response(), marks(&early)), (Flow::Continue, vec![]));
}

#[test]
fn limits_are_counted_whatever_becomes_of_the_request() {
    let world = wide();
    for (token, cache) in
        [("Bearer a.b.c", "miss"), (bearer("u1").as_str(), "miss"), (bearer("u1").as_str(), "hit")]
    {
        let (stream, _) = world.get("/x", &[("authorization", token)]);
        assert_eq!(world.counted(&stream, "api_guard_rate_limit_total.limit.wide.outcome.admitted"), 1);
        assert_eq!(world.counted(&stream, &format!("api_guard_token_cache_total.outcome.{cache}")), 1);
        let verified = usize::from(token == bearer("u1"));
        assert_eq!(world.counted(&stream, "api_guard_key_used_total.kid.none"), verified);
        assert_eq!(world.counted(&stream, "limit.narrow.outcome.admitted"), verified);
    }
}

#[test]
fn a_grpc_message_holds_nothing_that_the_client_sent() {
    let world = World::new();
    let grpc = ("content-type", "application/grpc");
    let message = |stream: &Watched<'_>| stream.host.replies().next().unwrap().grpc_message.clone();
    let malformed =
        api_guard_testkit::token(&json!({ "sub": "u1", "exp": START + 60, "permissions": ["MARK"] }));
    let malformed = format!("Bearer {malformed}");
    for (method, authorization, expected) in [
        ("MARK", "none", "Method not allowed"),
        ("TRACE", "none", "Method TRACE not allowed"),
        ("POST", malformed.as_str(), "Invalid permission format"),
        ("POST", "none", "Missing or invalid Authorization header"),
    ] {
        let (stream, _) = world.ask(method, "/x", &[grpc, ("authorization", authorization)], false);
        assert_eq!(message(&stream), expected);
        let reply = stream.host.replies().next().unwrap();
        assert!(!reply.headers.iter().any(|(_, value)| value.contains("MARK")), "{reply:?}");
        let in_body = reply.body.contains("MARK");
        assert_eq!(in_body, method == "MARK" || authorization == malformed, "the body may say it");
    }
}

#[test]
fn what_would_be_refused_is_told_and_passes_in_report_mode() {
    let world = World::new();
    let (stream, flow) = world.get("/report", &[("authorization", "none"), ("x-auth-subject", "mine")]);
    assert_eq!(flow, Flow::Continue);
    assert_eq!(stream.decided, [Decided::WouldRefuse(Code::TokenMissing)]);
    assert_eq!(state(&stream, "api_guard.code").as_deref(), Some("token_missing"));
    assert_eq!(state(&stream, "api_guard.route").as_deref(), Some("/report"));
    assert_eq!(lines(&stream)[0]["event"], "would_refuse");
    assert!(stream.host.done.contains(&Done::Removed(b"x-auth-subject".to_vec())));
}
