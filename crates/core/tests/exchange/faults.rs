//! What goes wrong on our side or the host's refuses, and is told.

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_core::fault::Fault;
use api_guard_testkit::{Decided, Done, Watched, bytes};
use serde_json::json;

use crate::{World, answer, at, lines, send};

fn faulty(world: &World, stream: &Watched<'_>, kind: &str) {
    assert_eq!(stream.decided, [Decided::Refused(Code::InternalFault)]);
    assert_eq!(answer(stream)["code"], "internal_fault");
    assert_eq!(world.counted(stream, &format!("api_guard_faults_total.kind.{kind}")), 1);
    assert_eq!(stream.host.filter_state("api_guard.code").as_deref(), Some("internal_fault"));
    assert_eq!(lines(stream).len(), 1);
    assert!(stream.exchange.is_over());
}

#[test]
fn headers_that_the_host_does_not_give_are_a_fault() {
    let world = World::new();
    let mut stream = world.stream();
    let none: Option<Vec<(&[u8], &[u8])>> = None;
    assert_eq!(stream.raw_headers(none, true, at(0)), Flow::Pause);
    faulty(&world, &stream, "headers");
    let line = &lines(&stream)[0];
    assert_eq!(
        (&line["method"], &line["route"], &line["client_ip"]),
        (&json!(""), &json!(null), &json!(null))
    );
}

#[test]
fn an_edit_that_fails_is_a_fault_and_nothing_is_counted_as_allowed() {
    let world = World::with(json!({ "rate_limits": [
        { "name": "wide", "max_requests": 9, "window_seconds": 60, "key": ["client_ip"] },
    ] }));
    for (method, end) in [("GET", true), ("POST", false)] {
        let mut stream = world.stream();
        stream.host.refuses_edits = true;
        let flow = send(&mut stream, method, "/x", &[("content-type", "application/json")], end);
        assert_eq!(flow, Flow::Pause);
        faulty(&world, &stream, "edit");
        assert_eq!(stream.body(1, true, at(1)), Flow::Pause);
        assert_eq!(stream.response(), Flow::Continue);
        assert_eq!(crate::marks(&stream), [], "an early refusal tells of no limit");
        assert_eq!(stream.host.filter_state("api_guard.subject").as_deref(), Some("u1"));
    }
}

#[test]
fn a_fault_that_the_adapter_found_refuses_in_every_phase() {
    let world = World::with(json!({ "rate_limits": [
        { "name": "wide", "max_requests": 9, "window_seconds": 60, "key": ["client_ip"] },
    ] }));
    // Nothing has come; the body is held; it is counted; everything has passed.
    for (path, end) in [(None, true), (Some("/x"), false), (Some("/stream"), false), (Some("/x"), true)] {
        let mut stream = world.stream();
        if let Some(path) = path {
            send(
                &mut stream,
                if end { "GET" } else { "POST" },
                path,
                &[("content-type", "application/json")],
                end,
            );
        }
        let before = stream.host.done.len();
        let flow = stream.exchange.on_fault(&world.engine, Fault::Panic, &mut stream.host, at(1));
        assert_eq!(flow, Flow::Pause);
        let replies: Vec<_> = stream.host.replies().collect();
        assert_eq!(replies.len(), 1, "{path:?}: {:?}", &stream.host.done[before..]);
        assert_eq!(replies[0].status, 500);
        assert_eq!(world.counted(&stream, "api_guard_faults_total.kind.panic"), 1);
        assert!(stream.exchange.is_over());
        assert_eq!(crate::marks(&stream), []);
    }
}

#[test]
fn a_request_without_edits_does_not_mind() {
    let world = World::new();
    let mut stream = world.stream();
    stream.host.refuses_edits = true;
    let headers = api_guard_testkit::request("GET", "/public", &[]);
    assert_eq!(stream.headers(&headers, true, at(0)), Flow::Continue);
}

#[test]
fn shared_cells_that_fail_refuse_even_in_report_mode() {
    let world = World::new();
    let (stream, _) = world.get("/x", &[]);
    assert_eq!(stream.refused(), None);
    world.process.broken.set(true);
    for path in ["/x", "/report"] {
        let (stream, flow) = world.get(path, &[]);
        assert_eq!(flow, Flow::Pause);
        faulty(&world, &stream, "shared_data");
        assert_eq!(stream.host.filter_state("api_guard.subject"), None);
    }
    world.process.broken.set(false);
    assert_eq!(world.get("/x", &[]).1, Flow::Continue);
}

#[test]
fn tables_that_cannot_be_joined_refuse_until_they_can() {
    let world = World::new();
    world.process.broken.set(true);
    assert_eq!(world.engine.open(&world.stream().host), Err(Fault::SharedData));
    let more = [("x-request-id", "r-1"), ("content-type", "application/grpc")];
    let (stream, flow) = world.get("/public", &more);
    assert_eq!(flow, Flow::Pause);
    faulty(&world, &stream, "shared_data");
    // The request was read: it is told which one it was, and in gRPC.
    assert_eq!(answer(&stream)["request_id"], "r-1");
    let line = lines(&stream).pop().unwrap();
    assert_eq!((&line["path"], &line["method"]), (&json!("/public"), &json!("GET")), "{line}");
    assert!(stream.host.done.iter().any(|done| matches!(done, Done::Replied(_, true))));
    world.process.broken.set(false);
    world.process.has_no_random.set(true);
    assert_eq!(world.engine.open(&world.stream().host), Err(Fault::SharedData));
    faulty(&world, &world.get("/public", &[]).0, "shared_data");
    world.process.has_no_random.set(false);
    assert_eq!(world.engine.open(&world.stream().host), Ok(()));
    // From here on nothing of it is asked again.
    world.process.has_no_random.set(true);
    assert_eq!(world.get("/x", &[]).1, Flow::Continue);
}

#[test]
fn headers_of_any_bytes_are_judged() {
    let world = World::new();
    let mut stream = world.stream();
    let headers: [(&[u8], &[u8]); 3] = [(b":method", b"\xff"), (b":path", b"/a b"), (b"", b"\xff")];
    assert_eq!(stream.raw_headers(Some(headers), true, at(0)), Flow::Pause);
    assert_eq!(stream.refused(), Some("path_ambiguous"));
    let mut stream = world.stream();
    assert_eq!(stream.raw_headers(Some(bytes(&[])), true, at(0)), Flow::Pause);
    assert_eq!(stream.refused(), Some("request_malformed"));
}
