//! How long is an answer waited for, whatever the clock does, and what do late or wrong answers change?

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_core::guard::Answer;
use api_guard_core::time::UnixNanos;
use api_guard_testkit::Decided;
use serde_json::json;

use super::{CAME, asked, asked_with, is_settled, world};
use crate::{START, at};

#[test]
fn nobody_waits_for_an_answer_longer_than_half_a_second() {
    let world = world();
    let mut stream = asked(&world, "GET", "/x", &[]);
    let last = CAME + 500;
    // The key has come meanwhile; that it never does is the case of the next test.
    stream.tick(at(last - 1));
    assert_eq!(stream.decided, []);
    stream.tick(at(last));
    assert_eq!(stream.decided, [Decided::Allowed], "judged as it is now, asked or not");
    is_settled(&mut stream);
}

#[test]
fn an_answer_that_never_comes_is_none() {
    let world = world();
    let mut stream = asked_with(&world, "GET", "/x", &[], &of_unknown_key());
    stream.tick(at(CAME + 499));
    assert_eq!(stream.decided, []);
    stream.tick(at(CAME + 500));
    assert_eq!(stream.decided, [Decided::Refused(Code::TokenKeyUnknown)]);
    is_settled(&mut stream);
}

/// Of a key that never comes.
fn of_unknown_key() -> String {
    let claims = json!({ "sub": "u1", "exp": START + 3600 });
    format!(
        "Bearer {}",
        api_guard_testkit::sign(br#"{"alg":"HS256","kid":"x"}"#, claims.to_string().as_bytes())
    )
}

#[test]
fn a_clock_that_goes_back_makes_nobody_wait_for_long() {
    let world = world();
    let mut stream = asked(&world, "GET", "/x", &[]);
    let hour_before = |milliseconds| at(milliseconds).minus_seconds(3600);
    stream.tick(hour_before(700));
    stream.tick(hour_before(1199));
    assert_eq!(stream.decided, []);
    stream.tick(hour_before(1200));
    assert_eq!(stream.decided, [Decided::Refused(Code::TokenKeyUnknown)]);
}

#[test]
fn a_clock_that_leaps_or_falls_to_zero_ends_the_wait() {
    let world = world();
    let mut stream = asked(&world, "GET", "/x", &[]);
    stream.tick(at(3_600_000));
    assert_eq!(stream.refused(), Some("token_expired"));
    let mut stream = asked(&world, "GET", "/x", &[]);
    stream.tick(UnixNanos::from_nanos(u64::MAX));
    assert_eq!(stream.refused(), Some("token_key_unknown"));
    let mut stream = asked(&world, "GET", "/x", &[]);
    stream.tick(UnixNanos::from_nanos(0));
    assert_eq!(stream.decided, []);
    stream.tick(at(1000));
    assert_eq!(stream.decided, [Decided::Allowed]);
}

#[test]
fn a_late_answer_and_a_second_one_change_nothing() {
    let world = world();
    let mut late = asked_with(&world, "GET", "/x", &[], &of_unknown_key());
    late.tick(at(CAME + 500));
    assert_eq!(late.refused(), Some("token_key_unknown"));
    is_settled(&mut late);
    let mut twice = asked(&world, "GET", "/x", &[]);
    twice.answer(1, Answer::Unavailable, at(700));
    twice.answer(1, Answer::Ready, at(1000));
    assert_eq!(twice.decided, [Decided::Refused(Code::TokenKeyUnknown)]);
    is_settled(&mut twice);
}

#[test]
fn an_answer_to_another_question_changes_nothing() {
    let world = world();
    let mut stream = asked(&world, "GET", "/x", &[]);
    for number in [0, 2, u32::MAX] {
        stream.answer(number, Answer::Unavailable, at(700));
    }
    assert_eq!(stream.decided, []);
    assert!(stream.exchange.wants_ticks());
    stream.answer(1, Answer::Ready, at(1000));
    assert_eq!(stream.decided, [Decided::Allowed]);
}

#[test]
fn a_stream_that_has_gone_takes_its_question_along() {
    let world = world();
    drop(asked(&world, "GET", "/x", &[]));
    // Another stream is not answered by it, and the worker serves as before.
    let mut other = asked(&world, "GET", "/x", &[]);
    other.answer(1, Answer::Ready, at(1000));
    assert_eq!(other.decided, [Decided::Allowed]);
    // A stream that was answered meanwhile, since its body grew too large, has gone as well.
    let mut answered = asked(&world, "POST", "/x", &[]);
    assert_eq!(answered.body(101, true, at(700)), Flow::Pause);
    assert_eq!(answered.refused(), Some("request_too_large"));
    is_settled(&mut answered);
}
