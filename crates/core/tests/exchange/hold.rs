//! Bodies that are held back, on hosts that deliver them meanwhile and on hosts that do not.

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_testkit::{Decided, Done, Watched};
use serde_json::json;

use crate::{MOST, World, answer, at, marks, send};

/// A request of unknown size, held. What the host has received so far is its headers: 10 bytes, if it can tell.
fn held_after(world: &World, received: Option<u64>) -> Watched<'_> {
    let mut stream = world.stream();
    stream.host.received = received;
    let flow = send(&mut stream, "POST", "/x", &[("content-type", "application/json")], false);
    assert_eq!(flow, Flow::Pause);
    assert_eq!(stream.decided, []);
    assert!(!stream.exchange.is_settled() && !stream.exchange.is_over());
    stream
}

fn held(world: &World) -> Watched<'_> {
    held_after(world, Some(10))
}

fn resumed(stream: &Watched<'_>) -> bool {
    stream.host.done.contains(&Done::Resumed)
}

#[test]
fn a_body_of_unknown_size_is_held_until_it_has_ended() {
    let world = World::new();
    let mut stream = held(&world);
    for (so_far, milliseconds) in [(40, 1), (80, 2), (MOST, 3)] {
        assert_eq!(stream.body(so_far, false, at(milliseconds)), Flow::Pause);
        assert_eq!(stream.decided, [], "all of it so far, not this much more");
    }
    assert_eq!(stream.body(MOST, true, at(4)), Flow::Continue);
    assert_eq!(stream.decided, [Decided::Allowed]);
    assert!(stream.exchange.is_over() && !resumed(&stream));
}

#[test]
fn a_held_body_that_grows_too_large_is_refused_before_anybody_hears_of_it() {
    let world = World::new();
    for end in [false, true] {
        let mut stream = held(&world);
        stream.body(60, false, at(1));
        assert_eq!(stream.body(MOST + 1, end, at(2)), Flow::Pause);
        assert_eq!(stream.decided, [Decided::Refused(Code::RequestTooLarge)], "never allowed");
        assert_eq!(answer(&stream)["code"], "request_too_large");
        assert!(stream.exchange.is_over());
        stream.tick(at(60_000));
        assert_eq!(stream.body(MOST + 2, true, at(60_000)), Flow::Pause);
    }
}

#[test]
fn trailers_end_a_held_body() {
    let world = World::new();
    for pieces in [0, 2] {
        let mut stream = held(&world);
        for so_far in 1..=pieces {
            stream.body(so_far, false, at(1));
        }
        assert_eq!(stream.trailers(at(2)), Flow::Continue);
        assert_eq!(stream.decided, [Decided::Allowed]);
        assert!(stream.exchange.is_over());
    }
}

#[test]
fn the_first_answer_counts_so_ours_takes_the_place_of_the_hosts() {
    let world = World::new();
    let mut stream = held(&world);
    stream.host.is_answered = true;
    assert_eq!(stream.body(MOST + 1, false, at(1)), Flow::Pause);
    assert_eq!(stream.decided, [], "the host's answer is on its way");
    assert!(!stream.exchange.is_settled() && !stream.exchange.wants_ticks());
    assert_eq!(stream.body(MOST + 2, true, at(2)), Flow::Pause);
    assert_eq!(stream.trailers(at(2)), Flow::Pause);
    stream.tick(at(60_000));
    assert_eq!(stream.decided, []);
    assert_eq!(stream.response(), Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::RequestTooLarge)]);
    assert_eq!(answer(&stream)["detail"], "Request size exceeds maximum: 100 bytes");
    assert!(stream.exchange.is_over());
    assert_eq!(stream.response(), Flow::Continue, "our own answer goes on");
}

#[test]
fn a_body_within_the_limit_passes_though_the_host_has_answered_for_another_reason() {
    let world = World::new();
    let mut stream = held(&world);
    stream.host.is_answered = true;
    assert_eq!(stream.body(MOST, true, at(1)), Flow::Continue);
    assert_eq!(stream.decided, [Decided::Allowed]);
}

#[test]
fn a_delivered_body_shows_that_holding_works_here() {
    let world = World::new();
    let mut first = held(&world);
    first.body(1, false, at(1));
    first.tick(at(14_000));
    assert_eq!(first.decided, [], "a slow client is just slow");
    let mut second = held(&world);
    second.host.received = Some(5000);
    second.tick(at(14_000));
    assert_eq!(second.decided, []);
}

#[test]
fn what_one_stream_learns_of_holding_holds_for_those_that_wait() {
    let world = World::new();
    let mut waiting = held(&world);
    held(&world).body(1, false, at(1));
    waiting.host.received = Some(5000);
    waiting.tick(at(14_000));
    assert!(!resumed(&waiting) && waiting.exchange.wants_ticks());
    assert_eq!(waiting.body(5000, false, at(14_001)), Flow::Pause);
    assert_eq!(waiting.refused(), Some("request_too_large"));
}

#[test]
fn a_body_that_was_received_and_not_delivered_shows_that_holding_fails_here() {
    let world = World::new();
    let mut stream = held(&world);
    stream.tick(at(100));
    assert_eq!(stream.decided, [], "nothing has come yet");
    stream.host.received = Some(11);
    stream.tick(at(200));
    assert!(resumed(&stream) && stream.goes_on());
    assert_eq!(stream.decided, [Decided::Allowed]);
    assert!(!stream.exchange.wants_ticks() && !stream.exchange.is_settled());
    // From here on it is counted, piece by piece.
    assert_eq!(stream.body(60, false, at(300)), Flow::Continue);
    assert_eq!(stream.body(40, false, at(400)), Flow::Continue);
    assert_eq!(stream.body(1, true, at(500)), Flow::Pause);
    assert_eq!(stream.decided, [Decided::Allowed, Decided::Refused(Code::RequestTooLarge)]);
}

#[test]
fn where_holding_fails_later_bodies_are_counted_at_once() {
    let world = World::new();
    let mut first = held(&world);
    let mut waiting = held(&world);
    first.host.received = Some(11);
    first.tick(at(100));
    let (mut later, flow) = world.post("/x", &[]);
    assert_eq!(flow, Flow::Continue);
    assert_eq!(later.decided, [Decided::Allowed]);
    assert_eq!(later.body(MOST, true, at(100)), Flow::Continue);
    waiting.tick(at(100));
    assert!(resumed(&waiting), "whoever waits is released with the next tick");
}

/// The one answer to a body that does not come.
fn overdue(stream: &Watched<'_>) {
    assert_eq!(stream.decided, [Decided::Refused(Code::BodyTimeout)]);
    assert_eq!(answer(stream)["status"], 408);
    assert_eq!(answer(stream)["detail"], "Request body did not arrive in time");
    assert!(!resumed(stream) && stream.exchange.is_over() && !stream.exchange.wants_ticks());
}

#[test]
fn a_body_that_never_begins_is_refused_after_fifteen_seconds() {
    // Whether or not it is known that holding works, and whether or not the host can tell what it received.
    for (works, received) in [(true, Some(10)), (false, Some(10)), (false, None)] {
        let world = World::new();
        if works {
            held(&world).body(1, true, at(0));
        }
        let mut stream = held_after(&world, received);
        for milliseconds in [5_000, 14_999] {
            stream.tick(at(milliseconds));
            assert_eq!(stream.decided, []);
        }
        stream.tick(at(15_000));
        overdue(&stream);
    }
}

#[test]
fn a_body_that_stops_coming_is_refused_fifteen_seconds_after_its_last_byte() {
    let world = World::new();
    let mut stream = held(&world);
    for (so_far, milliseconds) in [(1, 14_000), (2, 28_000), (2, 30_000)] {
        assert_eq!(stream.body(so_far, false, at(milliseconds)), Flow::Pause);
        stream.tick(at(milliseconds));
    }
    stream.tick(at(42_999));
    assert_eq!(stream.decided, []);
    stream.tick(at(43_000));
    overdue(&stream);
    assert_eq!(stream.body(3, true, at(43_001)), Flow::Pause);
}

#[test]
fn a_host_that_begins_to_tell_what_it_received_shows_nothing() {
    let world = World::new();
    let mut stream = held_after(&world, None);
    stream.host.received = Some(5000);
    stream.tick(at(14_999));
    assert_eq!(stream.decided, []);
    stream.tick(at(15_000));
    overdue(&stream);
}

#[test]
fn a_request_that_waits_is_looked_at_only_when_its_time_has_come() {
    let world = World::new();
    let mut stream = held(&world);
    assert!(stream.exchange.is_due(at(0)), "it is to show whether holding works");
    stream.body(1, false, at(1_000));
    assert!(!stream.exchange.is_due(at(15_999)));
    assert!(stream.exchange.is_due(at(16_000)));
}

#[test]
fn a_clock_that_goes_back_begins_the_wait_anew() {
    let world = World::new();
    let mut stream = held(&world);
    let hour_before = |milliseconds| at(milliseconds).minus_seconds(3600);
    stream.tick(hour_before(100));
    assert_eq!(stream.decided, []);
    stream.tick(hour_before(15_099));
    assert_eq!(stream.decided, []);
    stream.tick(hour_before(15_100));
    overdue(&stream);
}

#[test]
fn a_clock_that_leaps_ends_the_wait() {
    let world = World::new();
    for now in [at(15_000), api_guard_core::time::UnixNanos::from_nanos(u64::MAX)] {
        let mut stream = held(&world);
        stream.tick(now);
        overdue(&stream);
    }
}

#[test]
fn a_held_request_that_passes_in_report_mode_of_a_limit_is_counted_as_that() {
    let world = World::with(json!({ "rate_limits": [
        { "name": "shy", "max_requests": 1, "window_seconds": 60, "key": ["client_ip"], "mode": "report" },
    ] }));
    let mut first = held(&world);
    first.body(1, true, at(1));
    assert_eq!(first.decided, [Decided::Allowed]);
    let mut second = held(&world);
    second.body(1, false, at(1));
    assert_eq!(second.decided, []);
    second.body(1, true, at(2));
    assert_eq!(second.decided, [Decided::WouldRefuse(Code::RateLimited)]);
    let mut third = held(&world);
    third.body(MOST + 1, true, at(2));
    assert_eq!(third.decided, [Decided::Refused(Code::RequestTooLarge)]);
    assert_eq!(marks(&third), []);
}
