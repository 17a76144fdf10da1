//! Events in an order that no host should have: nothing goes on that was not judged.

use api_guard_core::exchange::Flow;
use api_guard_core::guard::Answer;
use api_guard_testkit::{Decided, Watched, request};

use crate::{World, at, bearer};

fn again(stream: &mut Watched<'_>) -> Flow {
    let bearer = bearer("u1");
    stream.headers(&request("GET", "/x", &[("authorization", &bearer)]), true, at(9))
}

/// Whatever comes now, nothing comes of it.
fn is_stuck(stream: &mut Watched<'_>) {
    let done = stream.host.done.len();
    assert_eq!(stream.body(1, false, at(10)), Flow::Pause);
    assert_eq!(again(stream), Flow::Pause);
    assert_eq!(stream.trailers(at(10)), Flow::Pause);
    assert_eq!(stream.body(1, true, at(10)), Flow::Pause);
    stream.tick(at(600_000));
    stream.answer(1, Answer::Ready, at(600_000));
    assert_eq!(stream.response(), Flow::Continue);
    assert_eq!(stream.host.done.len(), done);
}

#[test]
fn headers_come_once_and_whatever_came_a_second_time_stops() {
    let world = World::asking(serde_json::json!({}));
    for (path, more) in [
        ("/x", &[][..]),
        ("/x", &[("content-length", "5")]),
        ("/auth/revoke", &[]),
        ("/report", &[("authorization", "Bearer none")]),
        ("/x", &[("authorization", "Bearer none")]),
        ("/x", &[("authorization", &crate::of_next_key(&serde_json::json!({ "sub": "u1", "exp": 9 })))]),
    ] {
        let (mut stream, _) = world.post(path, more);
        let decided = stream.decided.len();
        assert_eq!(again(&mut stream), Flow::Pause, "{path}");
        assert_eq!(stream.decided.len(), decided, "what was judged is not judged anew");
        is_stuck(&mut stream);
    }
    let (mut stream, _) = world.get("/x", &[]);
    assert_eq!(again(&mut stream), Flow::Pause);
    is_stuck(&mut stream);
}

#[test]
fn a_body_before_its_headers_belongs_to_no_request() {
    let world = World::new();
    let mut stream = world.stream();
    assert_eq!(stream.body(1, false, at(0)), Flow::Pause);
    is_stuck(&mut stream);
}

#[test]
fn trailers_before_their_headers_belong_to_no_request() {
    let world = World::new();
    let mut stream = world.stream();
    assert_eq!(stream.trailers(at(0)), Flow::Pause);
    is_stuck(&mut stream);
}

#[test]
fn a_stream_without_headers_waits_for_nothing() {
    let world = World::new();
    let mut stream = world.stream();
    assert!(!stream.exchange.is_settled() && !stream.exchange.wants_ticks());
    stream.tick(at(600_000));
    stream.answer(0, Answer::Ready, at(600_000));
    assert_eq!(stream.response(), Flow::Continue);
    assert_eq!(stream.host.done, []);
    assert_eq!(again(&mut stream), Flow::Continue, "its headers are still to come");
}

#[test]
fn a_response_may_come_before_the_body_has_ended() {
    let world = World::new();
    let (mut stream, _) = world.post("/x", &[("content-length", "5")]);
    assert_eq!(stream.response(), Flow::Continue);
    assert_eq!(stream.body(5, true, at(1)), Flow::Continue);
    assert_eq!(stream.decided, [Decided::Allowed]);
    let (mut stream, _) = world.post("/x", &[]);
    assert_eq!(stream.response(), Flow::Continue, "the host's own answer");
    assert_eq!(stream.body(5, true, at(1)), Flow::Continue);
}

#[test]
fn what_is_not_awaited_is_not_heard() {
    let world = World::new();
    let (mut stream, _) = world.post("/x", &[]);
    for number in [0, 1, u32::MAX] {
        stream.answer(number, Answer::Ready, at(1));
    }
    assert_eq!(stream.decided, []);
    assert_eq!(stream.body(5, true, at(1)), Flow::Continue);
}

#[test]
fn trailers_behind_the_end_belong_to_no_request() {
    let world = World::new();
    let (by_headers, _) = world.get("/x", &[]);
    let (mut by_body, _) = world.post("/x", &[("content-length", "1")]);
    assert_eq!(by_body.body(1, true, at(1)), Flow::Continue);
    for mut stream in [by_headers, by_body] {
        let _ = stream.response();
        assert!(stream.exchange.is_over());
        assert_eq!(stream.trailers_of(Some(&[("x-auth-subject", "a")]), at(2)), Flow::Pause);
    }
}
