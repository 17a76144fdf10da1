//! Bodies that stream although their size is not declared: by their type, or because the route says so.

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_testkit::Decided;
use serde_json::json;

use crate::{MOST, World, at};

const STREAMING: [&str; 6] = [
    "application/x-ndjson",
    "Application/X-NDJSON; charset=utf-8",
    "application/grpc-web",
    "application/grpc-web-text+proto",
    "application/connect+proto",
    "application/connect+json",
];
const OTHERS: [&str; 5] =
    ["application/json", "application/connect", "application/ndjson", "application/grpc;x=1", "text/plain"];

#[test]
fn a_streaming_type_goes_on_as_it_comes_and_its_sum_is_counted() {
    let world = World::with(json!({ "request": { "content_types": [], "max_request_size_bytes": MOST } }));
    for content_type in STREAMING {
        let (mut stream, flow) = world.ask("POST", "/x", &[("content-type", content_type)], false);
        assert_eq!(flow, Flow::Continue, "{content_type}");
        assert_eq!(stream.decided, [Decided::Allowed]);
        assert_eq!(stream.body(60, false, at(1)), Flow::Continue);
        assert_eq!(stream.body(40, false, at(1)), Flow::Continue);
        assert!(!stream.exchange.wants_ticks(), "it may take as long as it likes");
        assert_eq!(stream.body(1, false, at(86_400_000)), Flow::Pause, "{content_type}");
        assert_eq!(stream.decided, [Decided::Allowed, Decided::Refused(Code::RequestTooLarge)]);
    }
    for content_type in OTHERS {
        let (stream, flow) = world.ask("POST", "/x", &[("content-type", content_type)], false);
        assert_eq!(flow, Flow::Pause, "{content_type}");
        assert_eq!(stream.decided, []);
    }
}

#[test]
fn a_streaming_type_needs_its_place_among_the_content_types() {
    let world = World::new();
    for content_type in STREAMING {
        let (mut stream, flow) = world.ask("POST", "/x", &[("content-type", content_type)], false);
        assert_eq!(flow, Flow::Pause);
        stream.body(1, false, at(1));
        assert_eq!(stream.refused(), Some("unsupported_media_type"), "{content_type}");
    }
}

#[test]
fn a_route_may_let_any_body_stream() {
    let world = World::new();
    let (mut stream, flow) = world.post("/stream", &[]);
    assert_eq!(flow, Flow::Continue);
    assert_eq!(stream.decided, [Decided::Allowed]);
    assert_eq!(stream.body(MOST, false, at(1)), Flow::Continue);
    assert_eq!(stream.body(1, true, at(2)), Flow::Pause);
    assert_eq!(stream.refused(), Some("request_too_large"));
    let (mut get, flow) = world.ask("GET", "/stream", &[], false);
    assert_eq!((flow, get.body(1, true, at(1))), (Flow::Continue, Flow::Continue), "whatever the method");
}

#[test]
fn what_streams_needs_no_room() {
    let request = json!({ "content_types": [], "max_request_size_bytes": MOST, "max_held_bytes": 1 });
    let world = World::with(json!({ "request": request }));
    for (path, content_type) in [("/stream", "text/plain"), ("/x", "application/x-ndjson")] {
        let (mut stream, _) = world.ask("POST", path, &[("content-type", content_type)], false);
        assert_eq!(stream.body(MOST, true, at(1)), Flow::Continue, "{path}");
    }
    let (mut held, _) = world.post("/x", &[]);
    held.body(2, false, at(1));
    assert_eq!(held.refused(), Some("busy"));
}
