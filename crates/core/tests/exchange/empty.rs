//! An empty body is none, however a client sends it; the first byte of another one shows its type.

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_core::guard::Answer;
use api_guard_testkit::{Decided, Watched};
use serde_json::json;

use crate::{MOST, START, World, answer, at, bearer, of_next_key, send};

/// The ways in which a client may say nothing of a type, or something else than the route accepts.
const TYPES: [&[(&str, &str)]; 2] = [&[], &[("content-type", "text/plain")]];

/// A post without a declared length, and without an accepted type; and how it is ended.
fn post<'w>(world: &'w World, path: &str, more: &[(&str, &str)]) -> (Watched<'w>, Flow) {
    world.ask("POST", path, more, false)
}

#[test]
fn a_body_that_turns_out_empty_is_none_and_has_no_type() {
    for more in TYPES {
        for path in ["/x", "/public", "/large", "/stream"] {
            let world = World::new();
            let (mut ended, flow) = post(&world, path, more);
            assert_eq!(flow, Flow::Pause);
            assert_eq!(ended.decided, []);
            assert_eq!(ended.body(0, true, at(1)), Flow::Continue, "{path}");
            assert_eq!(ended.decided, [Decided::Allowed]);
            assert!(ended.exchange.is_over());
            let (mut in_pieces, _) = post(&world, path, more);
            assert_eq!(in_pieces.body(0, false, at(1)), Flow::Pause);
            assert_eq!(in_pieces.body(0, true, at(1)), Flow::Continue, "{path}");
            let (mut with_trailers, _) = post(&world, path, more);
            assert_eq!(with_trailers.trailers(at(1)), Flow::Continue, "{path}");
        }
    }
}

#[test]
fn the_first_byte_shows_a_type_that_is_not_accepted() {
    for more in TYPES {
        for path in ["/x", "/public", "/large", "/stream"] {
            for end in [false, true] {
                let world = World::new();
                let (mut stream, _) = post(&world, path, more);
                assert_eq!(stream.body(0, false, at(1)), Flow::Pause);
                assert_eq!(stream.body(1, end, at(2)), Flow::Pause, "{path}");
                assert_eq!(stream.decided, [Decided::Refused(Code::UnsupportedMediaType)], "{path}");
                assert_eq!(answer(&stream)["errors"], json!(["Content-Type must be application/json"]));
                assert!(stream.exchange.is_over());
            }
        }
    }
}

#[test]
fn a_body_that_never_begins_is_refused_for_its_time() {
    let world = World::new();
    let (mut stream, _) = post(&world, "/x", TYPES[1]);
    stream.tick(at(14_999));
    assert_eq!(stream.decided, []);
    stream.tick(at(15_000));
    assert_eq!(stream.refused(), Some("body_timeout"));
}

#[test]
fn where_a_length_is_declared_the_type_is_judged_at_once() {
    let world = World::new();
    for more in TYPES {
        let declared = |length| [more, &[("content-length", length)]].concat();
        let (stream, _) = post(&world, "/x", &declared("1"));
        assert_eq!(stream.refused(), Some("unsupported_media_type"));
        let (mut empty, flow) = post(&world, "/x", &declared("0"));
        assert_eq!(flow, Flow::Continue);
        assert_eq!(empty.body(0, true, at(1)), Flow::Continue);
        assert_eq!(empty.decided, [Decided::Allowed]);
    }
}

#[test]
fn a_wrong_type_in_report_mode_holds_nothing_back_and_is_reported_once() {
    let world = World::new();
    let (mut stream, flow) = post(&world, "/report", TYPES[1]);
    assert_eq!(flow, Flow::Continue);
    assert_eq!(stream.body(0, false, at(1)), Flow::Continue);
    assert_eq!(stream.decided, [Decided::Allowed]);
    for _ in 0..2 {
        assert_eq!(stream.body(MOST + 1, false, at(1)), Flow::Continue);
    }
    assert_eq!(stream.decided, [Decided::Allowed, Decided::WouldRefuse(Code::UnsupportedMediaType)]);
}

#[test]
fn a_logout_needs_neither_a_body_nor_its_type() {
    for more in TYPES {
        let world = World::new();
        let (mut stream, flow) = post(&world, "/auth/revoke", more);
        assert_eq!((flow, stream.body(0, true, at(1))), (Flow::Pause, Flow::Pause));
        assert_eq!(stream.decided, [Decided::Allowed]);
        assert_eq!(answer(&stream)["revoked"], true);
        let (after, _) = world.get("/x", &[]);
        assert_eq!(after.refused(), Some("token_revoked"));
        let other = bearer("u2");
        let (mut typed, _) = post(&world, "/auth/revoke", &[more, &[("authorization", &other)]].concat());
        typed.body(2, true, at(1));
        assert_eq!(typed.refused(), Some("unsupported_media_type"));
    }
}

#[test]
fn where_holding_fails_a_type_is_judged_when_something_has_come() {
    let world = World::new();
    let mut stream = world.stream();
    stream.host.received = Some(10);
    send(&mut stream, "POST", "/x", TYPES[1], false);
    stream.tick(at(100));
    assert_eq!(stream.decided, []);
    stream.host.received = Some(11);
    stream.tick(at(200));
    assert_eq!(stream.decided, [Decided::Refused(Code::UnsupportedMediaType)], "never allowed");
    // Now it is known that holding fails, so later ones are not held: an empty body passes, another is cut off.
    let (mut empty, flow) = post(&world, "/x", TYPES[1]);
    assert_eq!((flow, empty.body(0, true, at(300))), (Flow::Continue, Flow::Continue));
    assert_eq!(empty.decided, [Decided::Allowed]);
    let (mut other, flow) = post(&world, "/x", TYPES[1]);
    assert_eq!((flow, other.body(1, true, at(300))), (Flow::Continue, Flow::Pause));
    assert_eq!(other.decided, [Decided::Allowed, Decided::Refused(Code::UnsupportedMediaType)]);
}

#[test]
fn a_type_is_judged_while_the_judgement_waits_for_an_answer() {
    let unknown = of_next_key(&json!({ "sub": "u1", "exp": START + 3600 }));
    for more in TYPES {
        let world = World::asking(json!({}));
        let headers = [more, &[("authorization", unknown.as_str())]].concat();
        let (mut stream, _) = post(&world, "/x", &headers);
        assert_eq!(stream.body(0, false, at(1)), Flow::Pause);
        assert_eq!(stream.body(1, false, at(2)), Flow::Pause);
        assert_eq!(stream.decided, [Decided::Refused(Code::UnsupportedMediaType)]);
        let (mut empty, _) = post(&world, "/x", &headers);
        empty.body(0, true, at(1));
        empty.answer(1, Answer::Ready, at(1000));
        assert_eq!(empty.decided, [Decided::Allowed]);
        assert!(empty.goes_on());
    }
}
