//! A request whose token names a key that is still unknown: it is held until somebody answers whether there are newer
//! keys. Its key is known from a second after the start on; its headers come 600 ms after the start.

mod outcome;
mod time;

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_core::guard::{Answer, Question};
use api_guard_testkit::{Decided, Done, Watched, request};
use serde_json::json;

use crate::{START, World, answer, at, lines, of_next_key};

/// Headers of a GET by the owner of a token of the next key.
pub(crate) const CAME: u64 = 600;

pub(crate) fn world() -> World {
    World::asking(json!({}))
}

pub(crate) fn next() -> String {
    of_next_key(&json!({ "sub": "u1", "exp": START + 3600, "jti": "u1-next" }))
}

/// A stream that has asked.
pub(crate) fn asked<'w>(world: &'w World, method: &str, path: &str, more: &[(&str, &str)]) -> Watched<'w> {
    asked_with(world, method, path, more, &next())
}

fn asked_with<'w>(
    world: &'w World,
    method: &str,
    path: &str,
    more: &[(&str, &str)],
    bearer: &str,
) -> Watched<'w> {
    let mut stream = world.stream();
    let headers = [
        &request(method, path, &[("authorization", bearer), ("content-type", "application/json")])[..],
        more,
    ]
    .concat();
    assert_eq!(stream.headers(&headers, method == "GET", at(CAME)), Flow::Pause);
    assert_eq!(stream.host.done.last(), Some(&Done::Asked(1, Question::Keys)));
    assert_eq!(stream.decided, []);
    assert!(stream.exchange.wants_ticks() && !stream.exchange.is_settled());
    stream
}

pub(crate) fn resumed(stream: &Watched<'_>) -> usize {
    stream.host.done.iter().filter(|done| **done == Done::Resumed).count()
}

/// Nothing that comes later changes anything.
fn is_settled(stream: &mut Watched<'_>) {
    assert!(stream.exchange.is_settled() && !stream.exchange.wants_ticks());
    let done = stream.host.done.len();
    for number in [0, 1, 2] {
        stream.answer(number, Answer::Ready, at(5000));
        stream.answer(number, Answer::Unavailable, at(5000));
    }
    stream.tick(at(600_000));
    assert_eq!(stream.host.done.len(), done);
}

#[test]
fn an_answer_in_time_has_the_request_judged_again_and_resumed_once() {
    let world = world();
    let mut stream = asked(&world, "GET", "/x", &[]);
    assert_eq!(stream.host.done.len(), 1, "nothing but the question");
    stream.tick(at(1000));
    assert_eq!(stream.host.done.len(), 1);
    stream.answer(1, Answer::Ready, at(1000));
    assert_eq!(stream.decided, [Decided::Allowed]);
    assert_eq!(resumed(&stream), 1);
    assert_eq!(stream.host.done.last(), Some(&Done::Resumed), "when everything else is done");
    assert!(stream.exchange.is_over());
    is_settled(&mut stream);
}

#[test]
fn an_answer_that_the_keys_are_there_is_not_taken_for_the_key_itself() {
    let world = world();
    let mut stream = asked(&world, "GET", "/x", &[]);
    stream.answer(1, Answer::Ready, at(999));
    assert_eq!(stream.decided, [Decided::Refused(Code::TokenKeyUnknown)]);
    is_settled(&mut stream);
}

#[test]
fn without_an_answer_the_key_stays_unknown() {
    let world = world();
    let mut stream = asked(&world, "GET", "/x?a=b", &[("x-request-id", "r1")]);
    stream.answer(1, Answer::Unavailable, at(700));
    assert_eq!(stream.decided, [Decided::Refused(Code::TokenKeyUnknown)]);
    assert_eq!(resumed(&stream), 0);
    let answer = answer(&stream);
    assert_eq!((&answer["status"], &answer["code"]), (&json!(401), &json!("token_key_unknown")));
    assert_eq!(answer["request_id"], "r1");
    let line = &lines(&stream)[0];
    assert_eq!(
        (&line["method"], &line["path"], &line["client_ip"]),
        (&json!("GET"), &json!("/x"), &json!("192.0.2.1"))
    );
    is_settled(&mut stream);
}

#[test]
fn where_nobody_can_be_asked_the_request_is_refused_at_once() {
    let world = world();
    let mut stream = world.stream();
    stream.host.cannot_ask = true;
    let next = next();
    let headers = request("GET", "/x", &[("authorization", &next)]);
    assert_eq!(stream.headers(&headers, true, at(CAME)), Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::TokenKeyUnknown)]);
    assert!(stream.exchange.is_over());
}

#[test]
fn where_nobody_can_be_asked_report_mode_lets_pass_without_pausing() {
    let world = world();
    let mut stream = world.stream();
    stream.host.cannot_ask = true;
    let next = next();
    let headers = request("GET", "/report", &[("authorization", &next)]);
    assert_eq!(stream.headers(&headers, true, at(CAME)), Flow::Continue);
    assert_eq!(stream.decided, [Decided::WouldRefuse(Code::TokenKeyUnknown)]);
    assert_eq!(resumed(&stream), 0);
}

#[test]
fn a_policy_that_does_not_ask_refuses_at_once() {
    let world = World::new();
    let (stream, flow) = world.get("/x", &[("authorization", &next())]);
    assert_eq!(flow, Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::TokenKeyUnknown)]);
}

#[test]
fn other_faults_of_a_token_ask_nobody() {
    let world = world();
    for bearer in ["none", "Bearer a.b.c"] {
        let (stream, _) = world.get("/x", &[("authorization", bearer)]);
        assert!(stream.refused().is_some());
    }
    let (public, flow) = world.get("/public", &[("authorization", &next())]);
    assert_eq!(flow, Flow::Continue, "where tokens are ignored nobody is asked");
    assert_eq!(public.decided, [Decided::Allowed]);
}

#[test]
fn every_stream_waits_for_itself() {
    let world = world();
    let mut streams: Vec<_> = (0..3).map(|_| asked(&world, "GET", "/x", &[])).collect();
    streams[1].answer(1, Answer::Ready, at(1000));
    let decided: Vec<usize> = streams.iter().map(|stream| stream.decided.len()).collect();
    assert_eq!(decided, [0, 1, 0]);
}

#[test]
fn a_remembered_token_asks_nobody() {
    let world = world();
    let mut stream = asked(&world, "GET", "/x", &[]);
    stream.answer(1, Answer::Ready, at(1000));
    let mut second = world.stream();
    let next = next();
    let headers: Vec<(&str, &str)> = request("GET", "/x", &[("authorization", &next)]);
    assert_eq!(second.headers(&headers, true, at(1001)), Flow::Continue);
    assert_eq!(world.counted(&second, "api_guard_token_cache_total.outcome.hit"), 1);
}
