//! Bodies that are counted while they stream, and those that are none.

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_testkit::Decided;

use crate::{MOST, World, answer, at};

#[test]
fn a_request_without_a_body_is_over_with_its_headers() {
    let world = World::new();
    let (stream, flow) = world.get("/x", &[]);
    assert_eq!(flow, Flow::Continue);
    assert_eq!(stream.decided, [Decided::Allowed]);
    assert!(stream.exchange.is_over() && stream.exchange.is_settled() && !stream.exchange.wants_ticks());
}

#[test]
fn a_declared_size_over_the_limit_is_refused_with_the_headers() {
    let world = World::new();
    for (length, refused) in [("100", None), ("101", Some("request_too_large"))] {
        let (stream, flow) = world.post("/x", &[("content-length", length)]);
        assert_eq!(stream.refused(), refused);
        assert_eq!(flow == Flow::Continue, refused.is_none());
    }
}

#[test]
fn a_declared_body_goes_on_piece_by_piece() {
    let world = World::new();
    let (mut stream, flow) = world.post("/x", &[("content-length", "100")]);
    assert_eq!(flow, Flow::Continue);
    assert_eq!(stream.decided, [Decided::Allowed]);
    assert!(!stream.exchange.is_over() && !stream.exchange.wants_ticks());
    assert_eq!(stream.body(60, false, at(1)), Flow::Continue);
    assert!(!stream.exchange.is_settled());
    assert_eq!(stream.body(40, true, at(2)), Flow::Continue);
    assert!(stream.exchange.is_over());
    assert_eq!(stream.decided, [Decided::Allowed], "once");
}

#[test]
fn a_counted_body_is_cut_off_with_the_byte_that_is_too_many() {
    let world = World::new();
    for end in [false, true] {
        let (mut stream, _) = world.post("/x", &[("content-length", "100")]);
        assert_eq!(stream.body(60, false, at(1)), Flow::Continue);
        assert_eq!(stream.body(41, end, at(2)), Flow::Pause);
        assert_eq!(stream.decided, [Decided::Allowed, Decided::Refused(Code::RequestTooLarge)]);
        assert_eq!(answer(&stream)["detail"], "Request size exceeds maximum: 100 bytes");
        assert!(stream.exchange.is_over());
        assert_eq!(stream.body(1, true, at(3)), Flow::Pause);
        assert_eq!(stream.trailers(at(4)), Flow::Pause);
    }
}

#[test]
fn a_route_larger_than_a_host_buffers_is_counted_by_its_own_limit() {
    let world = World::new();
    let (mut stream, flow) = world.post("/large", &[]);
    assert_eq!(flow, Flow::Continue);
    assert_eq!(stream.body(1_999_999, false, at(1)), Flow::Continue);
    assert_eq!(stream.body(1, false, at(1)), Flow::Continue);
    assert_eq!(stream.body(1, false, at(1)), Flow::Pause);
    assert_eq!(stream.refused(), Some("request_too_large"));
}

#[test]
fn a_body_too_large_is_reported_once_and_passes_in_report_mode() {
    let world = World::new();
    let (mut stream, flow) = world.post("/report", &[]);
    assert_eq!(flow, Flow::Continue, "nothing is held back only to be reported");
    assert_eq!(stream.body(MOST, false, at(1)), Flow::Continue);
    assert_eq!(stream.decided, [Decided::Allowed]);
    for _ in 0..3 {
        assert_eq!(stream.body(1, false, at(2)), Flow::Continue);
    }
    assert_eq!(stream.decided, [Decided::Allowed, Decided::WouldRefuse(Code::RequestTooLarge)]);
    assert!(!stream.exchange.is_over());
    assert_eq!(stream.body(1, true, at(3)), Flow::Continue);
    assert!(stream.exchange.is_over());
}

#[test]
fn a_request_that_passes_only_in_report_mode_has_its_body_counted_by_nobody() {
    let world = World::new();
    let (mut stream, flow) = world.post("/report", &[("authorization", "Bearer none")]);
    assert_eq!(flow, Flow::Continue);
    assert_eq!(stream.decided, [Decided::WouldRefuse(Code::TokenMalformed)]);
    assert!(!stream.exchange.is_over());
    assert_eq!(stream.body(MOST * 5, false, at(1)), Flow::Continue);
    assert!(!stream.exchange.is_settled(), "more may come");
    assert_eq!(stream.body(0, true, at(1)), Flow::Continue);
    assert_eq!(stream.decided.len(), 1);
    assert!(stream.exchange.is_over());
}

#[test]
fn trailers_end_a_counted_body() {
    let world = World::new();
    let (mut stream, _) = world.post("/large", &[]);
    stream.body(5, false, at(1));
    assert_eq!(stream.trailers(at(2)), Flow::Continue);
    assert!(stream.exchange.is_over());
    assert_eq!(stream.decided, [Decided::Allowed]);
}

#[test]
fn trailers_end_a_body_that_nobody_counts() {
    let world = World::new();
    let (mut stream, _) = world.post("/report", &[("authorization", "Bearer none")]);
    assert_eq!(stream.trailers(at(2)), Flow::Continue);
    assert!(stream.exchange.is_over());
}

#[test]
fn what_follows_an_upgrade_is_no_body() {
    let world = World::new();
    let (mut stream, flow) = world.ask("GET", "/x", &[("upgrade", "websocket")], false);
    assert_eq!(flow, Flow::Continue);
    assert_eq!(stream.body(MOST * 5, false, at(1)), Flow::Continue);
    assert_eq!(stream.decided, [Decided::Allowed]);
}

#[test]
fn a_body_of_a_refused_request_stays_where_it_is() {
    let world = World::new();
    let (mut stream, flow) = world.post("/x", &[("authorization", "none")]);
    assert_eq!(flow, Flow::Pause);
    assert_eq!(stream.refused(), Some("token_missing"));
    assert!(stream.exchange.is_over());
    assert_eq!(stream.body(1, false, at(1)), Flow::Pause);
    assert_eq!(stream.body(2, true, at(1)), Flow::Pause);
    assert_eq!(stream.trailers(at(1)), Flow::Pause);
    assert_eq!(stream.response(), Flow::Continue, "its answer goes on");
}
