//! What comes of a request while its judgement waits: its body, its end, its trailers.

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_core::guard::Answer;
use api_guard_testkit::{Decided, Done};
use serde_json::json;

use crate::pause::{CAME, asked, resumed, world};
use crate::{START, World, answer, at, lines, marks};

#[test]
fn a_body_that_grows_too_large_meanwhile_is_refused_at_once() {
    for more in [&[][..], &[("content-length", "100")]] {
        let world = world();
        let mut stream = asked(&world, "POST", "/x", more);
        for so_far in [60, 100] {
            assert_eq!(stream.body(so_far, false, at(700)), Flow::Pause);
            assert_eq!(stream.decided, [], "all of it so far, not this much more");
        }
        assert_eq!(stream.body(101, false, at(701)), Flow::Pause);
        assert_eq!(stream.decided, [Decided::Refused(Code::RequestTooLarge)]);
        assert_eq!(answer(&stream)["detail"], "Request size exceeds maximum: 100 bytes");
        assert_eq!(lines(&stream)[0]["code"], "request_too_large");
        assert!(stream.exchange.is_over());
        stream.answer(1, Answer::Ready, at(1000));
        assert_eq!(resumed(&stream), 0);
    }
}

#[test]
fn what_was_spent_and_looked_up_is_counted_though_it_is_refused_while_it_waits() {
    let world = World::asking(json!({ "rate_limits": [
        { "name": "early", "max_requests": 2, "window_seconds": 60, "key": ["client_ip"] },
    ] }));
    let mut stream = asked(&world, "POST", "/x", &[]);
    stream.body(101, false, at(700));
    assert_eq!(world.counted(&stream, "limit.early.outcome.admitted"), 1);
    assert_eq!(world.counted(&stream, "api_guard_token_cache_total.outcome.miss"), 1);
    stream.response();
    assert_eq!(marks(&stream), [], "it was never admitted");
}

#[test]
fn a_declared_body_that_came_meanwhile_counts() {
    for (later, refused) in [(40, None), (41, Some("request_too_large"))] {
        let world = world();
        let mut stream = asked(&world, "POST", "/x", &[("content-length", "100")]);
        stream.body(20, false, at(700));
        assert_eq!(stream.body(60, false, at(700)), Flow::Pause);
        stream.answer(1, Answer::Ready, at(1000));
        assert_eq!(stream.decided, [Decided::Allowed]);
        assert_eq!(resumed(&stream), 1);
        assert!(!stream.exchange.is_settled());
        let flow = stream.body(later, true, at(1001));
        assert_eq!((flow == Flow::Continue, stream.refused()), (refused.is_none(), refused));
        assert!(stream.exchange.is_over());
    }
}

#[test]
fn a_body_of_unknown_size_goes_on_being_held_after_the_answer() {
    for size in [100, 101] {
        let world = world();
        let mut stream = asked(&world, "POST", "/x", &[]);
        stream.body(60, false, at(700));
        stream.answer(1, Answer::Ready, at(1000));
        assert_eq!((stream.decided.len(), resumed(&stream)), (0, 0), "not yet judged to its end");
        assert!(!stream.exchange.is_settled());
        stream.host.received = Some(5000);
        stream.tick(at(1000));
        assert_eq!(resumed(&stream), 0, "its body was delivered: holding works");
        assert_eq!(stream.body(99, false, at(1001)), Flow::Pause);
        let flow = stream.body(size, true, at(1002));
        assert_eq!(flow == Flow::Continue, size <= 100);
        let expected = if size <= 100 { Decided::Allowed } else { Decided::Refused(Code::RequestTooLarge) };
        assert_eq!(stream.decided, [expected]);
        assert_eq!(resumed(&stream), 0, "the host is asking, and gets its answer");
    }
}

#[test]
fn a_body_that_has_not_begun_is_held_and_watched_after_the_answer() {
    let world = world();
    let mut stream = asked(&world, "POST", "/x", &[]);
    stream.host.received = Some(10);
    stream.answer(1, Answer::Ready, at(1000));
    assert_eq!(stream.decided, []);
    assert!(stream.exchange.wants_ticks());
    stream.host.received = Some(11);
    stream.tick(at(1100));
    assert_eq!(stream.decided, [Decided::Allowed]);
    assert_eq!(resumed(&stream), 1);
    assert_eq!(stream.body(101, true, at(1200)), Flow::Pause);
    assert_eq!(stream.refused(), Some("request_too_large"));
}

#[test]
fn a_body_that_the_host_received_and_did_not_deliver_is_not_waited_for_after_the_answer() {
    let world = world();
    let mut stream = asked(&world, "POST", "/x", &[]);
    stream.host.received = Some(11);
    stream.answer(1, Answer::Ready, at(1000));
    assert_eq!(stream.decided, []);
    stream.tick(at(1001));
    assert_eq!(stream.decided, [Decided::Allowed]);
    assert_eq!(resumed(&stream), 1);
}

#[test]
fn the_hosts_own_answer_to_a_body_too_large_is_replaced_though_the_request_waits() {
    let world = world();
    let mut stream = asked(&world, "POST", "/x", &[]);
    stream.host.is_answered = true;
    assert_eq!(stream.body(101, true, at(700)), Flow::Pause);
    assert_eq!(stream.decided, []);
    assert!(!stream.exchange.wants_ticks());
    stream.answer(1, Answer::Ready, at(1000));
    stream.tick(at(5000));
    assert_eq!(stream.decided, []);
    assert_eq!(stream.response(), Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::RequestTooLarge)]);
    assert_eq!(answer(&stream)["detail"], "Request size exceeds maximum: 100 bytes");
    assert_eq!(world.counted(&stream, "api_guard_token_cache_total.outcome.miss"), 1);
    assert!(stream.exchange.is_over());
}

#[test]
fn a_body_that_ended_meanwhile_goes_on_with_the_answer() {
    for more in [&[][..], &[("content-length", "60")]] {
        for by_trailers in [false, true] {
            let world = world();
            let mut stream = asked(&world, "POST", "/x", more);
            assert_eq!(stream.body(60, !by_trailers, at(700)), Flow::Pause);
            if by_trailers {
                assert_eq!(stream.trailers(at(701)), Flow::Pause);
            }
            assert_eq!(stream.decided, []);
            stream.answer(1, Answer::Ready, at(1000));
            assert_eq!(stream.decided, [Decided::Allowed]);
            assert_eq!(resumed(&stream), 1);
            assert!(stream.exchange.is_over(), "nothing more is to come");
        }
    }
}

#[test]
fn an_empty_body_that_ended_meanwhile_goes_on_with_the_answer() {
    for by_trailers in [false, true] {
        let world = world();
        let mut stream = asked(&world, "POST", "/x", &[]);
        let flow = if by_trailers { stream.trailers(at(700)) } else { stream.body(0, true, at(700)) };
        assert_eq!(flow, Flow::Pause);
        stream.answer(1, Answer::Ready, at(1000));
        assert_eq!(stream.decided, [Decided::Allowed]);
        assert_eq!(resumed(&stream), 1);
        assert!(stream.exchange.is_over());
    }
}

#[test]
fn a_body_that_is_refused_with_the_answer_stays_where_it_is() {
    let world = world();
    let mut stream = asked(&world, "POST", "/x", &[]);
    stream.body(60, true, at(700));
    stream.answer(1, Answer::Unavailable, at(800));
    assert_eq!(stream.decided, [Decided::Refused(Code::TokenKeyUnknown)]);
    assert_eq!(stream.body(70, true, at(900)), Flow::Pause);
    assert_eq!(stream.trailers(at(900)), Flow::Pause);
}

#[test]
fn a_body_that_goes_on_coming_does_not_lengthen_the_wait() {
    let world = world();
    let mut stream = asked(&world, "POST", "/x", &[("content-length", "100")]);
    for so_far in 1..5 {
        let now = at(CAME + so_far * 100);
        assert_eq!(stream.body(so_far, false, now), Flow::Pause);
        stream.tick(now);
        assert_eq!(stream.decided, []);
    }
    stream.tick(at(CAME + 500));
    assert_eq!(stream.decided, [Decided::Allowed], "the key has come meanwhile");
}

#[test]
fn in_report_mode_a_body_too_large_is_reported_after_the_answer() {
    let world = world();
    for (answer, milliseconds, expected) in [
        (Answer::Ready, 1000, &[Decided::Allowed, Decided::WouldRefuse(Code::RequestTooLarge)][..]),
        (Answer::Unavailable, 700, &[Decided::WouldRefuse(Code::TokenKeyUnknown)]),
    ] {
        let mut stream = asked(&world, "POST", "/report", &[]);
        assert_eq!(stream.body(101, false, at(650)), Flow::Pause);
        assert_eq!(stream.decided, []);
        stream.answer(1, answer, at(milliseconds));
        assert_eq!(stream.decided, expected);
        assert_eq!(resumed(&stream), 1);
        assert_eq!(stream.body(500, true, at(1001)), Flow::Continue);
        assert_eq!(stream.decided, expected);
        assert!(stream.exchange.is_over());
    }
}

#[test]
fn a_revocation_waits_with_its_body() {
    let world = world();
    for (ends_before, by_trailers) in [(true, false), (true, true), (false, false)] {
        let mut stream = asked(&world, "POST", "/auth/revoke", &[]);
        stream.host.body = json!({ "jti": "a", "expires_at": START + 9 }).to_string().into_bytes();
        assert_eq!(stream.body(30, ends_before && !by_trailers, at(700)), Flow::Pause);
        if by_trailers {
            assert_eq!(stream.trailers(at(701)), Flow::Pause);
        }
        assert_eq!(stream.decided, []);
        stream.answer(1, Answer::Ready, at(1000));
        if !ends_before {
            assert_eq!(stream.decided, []);
            assert_eq!(stream.body(31, true, at(1001)), Flow::Pause);
        }
        assert_eq!(stream.decided, [Decided::Refused(Code::PermissionMissing)], "of somebody's token");
        assert_eq!(resumed(&stream), 0, "nothing of it goes to the upstream");
    }
}

#[test]
fn a_revocation_without_a_body_is_carried_out_with_the_answer() {
    let world = world();
    let mut stream = world.stream();
    let next = crate::pause::next();
    let headers = api_guard_testkit::request("POST", "/auth/revoke", &[("authorization", &next)]);
    assert_eq!(stream.headers(&headers, true, at(CAME)), Flow::Pause);
    assert!(matches!(stream.host.done[..], [Done::Asked(1, _)]));
    stream.answer(1, Answer::Ready, at(1000));
    assert_eq!(stream.decided, [Decided::Allowed]);
    assert_eq!(answer(&stream)["revoked"], true);
    assert_eq!(resumed(&stream), 0);
    assert!(stream.exchange.is_over());
}
