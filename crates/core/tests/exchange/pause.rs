//! A request whose token names a key that is still unknown: it is held until somebody answers whether there are newer
//! keys. Its key is known from a second after the start on; its headers come 600 ms after the start.

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_core::guard::{Answer, Question};
use api_guard_core::time::UnixNanos;
use api_guard_testkit::{Decided, Done, Watched, request};
use serde_json::json;

use crate::{START, World, answer, at, lines, marks, of_next_key};

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
fn limits_before_the_token_are_spent_once_and_counted_once() {
    let world = World::asking(json!({ "rate_limits": [
        { "name": "early", "max_requests": 2, "window_seconds": 60, "key": ["client_ip"] },
        { "name": "late", "max_requests": 9, "window_seconds": 60, "key": ["subject"] },
    ] }));
    let mut stream = asked(&world, "GET", "/x", &[]);
    assert_eq!(world.counted(&stream, "limit.early.outcome.admitted"), 0, "when it is decided");
    stream.answer(1, Answer::Ready, at(1000));
    assert_eq!(stream.decided, [Decided::Allowed]);
    for limit in ["early", "late"] {
        assert_eq!(world.counted(&stream, &format!("limit.{limit}.outcome.admitted")), 1);
    }
    assert_eq!(world.counted(&stream, "api_guard_token_cache_total.outcome.miss"), 1);
    assert_eq!(world.counted(&stream, "api_guard_key_used_total.kid.next"), 1);
    assert_eq!(stream.response(), Flow::Continue);
    assert!(marks(&stream).iter().any(|(_, value)| value.contains(r#""early";r=1"#)), "{:?}", marks(&stream));
    let (second, _) = world.get("/x", &[]);
    assert_eq!(second.decided, [Decided::Allowed]);
    let (third, _) = world.get("/x", &[]);
    assert_eq!(third.refused(), Some("rate_limited"));
}

#[test]
fn a_failed_authentication_is_counted_once_and_only_when_it_has_failed() {
    let world = World::asking(json!({ "auth_failure_limit": { "max_failures": 1, "window_seconds": 60 } }));
    let mut first = asked(&world, "GET", "/x", &[]);
    let mut second = asked(&world, "GET", "/x", &[]);
    first.answer(1, Answer::Unavailable, at(700));
    assert_eq!(first.refused(), Some("token_key_unknown"));
    let (third, _) = world.get("/x", &[]);
    assert_eq!(third.refused(), Some("auth_failures_limited"));
    assert_eq!(world.counted(&third, "limit.auth-failures.outcome.refused"), 1);
    // What was judged before it was held is not judged again.
    second.answer(1, Answer::Ready, at(1000));
    assert_eq!(second.decided, [Decided::Allowed]);
}

#[test]
fn a_token_revoked_meanwhile_is_refused() {
    let world = world();
    let mut stream = asked(&world, "GET", "/x", &[]);
    let officer = json!({ "sub": "officer", "exp": START + 3600, "permissions": ["tokens:revoke"] });
    let officer = format!("Bearer {}", api_guard_testkit::token(&officer));
    let (mut revocation, _) = world.post("/auth/revoke", &[("authorization", &officer)]);
    revocation.host.body = json!({ "jti": "u1-next", "expires_at": START + 3600 }).to_string().into_bytes();
    revocation.body(1, true, at(650));
    assert_eq!(revocation.decided, [Decided::Allowed]);
    stream.answer(1, Answer::Ready, at(1000));
    assert_eq!(stream.decided, [Decided::Refused(Code::TokenRevoked)]);
    assert_eq!(stream.host.filter_state("api_guard.subject"), None);
    is_settled(&mut stream);
}

#[test]
fn a_token_whose_time_runs_out_meanwhile_has_expired() {
    let world = world();
    for (exp, expected) in [(START + 1, Some("token_expired")), (START + 2, None)] {
        let mut stream =
            asked_with(&world, "GET", "/x", &[], &of_next_key(&json!({ "sub": "u1", "exp": exp })));
        stream.answer(1, Answer::Ready, at(1000));
        assert_eq!(stream.refused(), expected);
        assert_eq!(resumed(&stream), usize::from(expected.is_none()));
    }
}

#[test]
fn permissions_are_judged_with_the_answer() {
    let world = World::asking(json!({ "routes": [
        { "path": "/orders", "required_permissions": ["orders:read"] },
        { "path": "/denied", "access": "deny" },
    ] }));
    for (path, code) in [("/orders", Code::PermissionMissing), ("/denied", Code::RouteDenied)] {
        let mut stream = asked(&world, "GET", path, &[]);
        stream.answer(1, Answer::Ready, at(1000));
        assert_eq!(stream.decided, [Decided::Refused(code)]);
        assert_eq!(stream.host.filter_state("api_guard.subject").as_deref(), Some("u1"));
        assert_eq!(stream.host.filter_state("api_guard.route").as_deref(), Some(path));
    }
}

#[test]
fn the_upstream_hears_who_it_is_after_the_answer() {
    let world = world();
    let mut stream = asked(&world, "GET", "/x", &[("x-auth-subject", "mine")]);
    stream.answer(1, Answer::Ready, at(1000));
    let set = Done::Set("x-auth-subject".to_owned(), b"u1".to_vec());
    let edited = stream.host.done.iter().position(|done| *done == set);
    assert!(edited.is_some() && edited < stream.host.done.iter().position(|done| *done == Done::Resumed));
}

#[test]
fn an_edit_that_fails_after_the_answer_is_a_fault() {
    let world = world();
    let mut stream = asked(&world, "GET", "/x", &[]);
    stream.host.refuses_edits = true;
    stream.answer(1, Answer::Ready, at(1000));
    assert_eq!(stream.decided, [Decided::Refused(Code::InternalFault)]);
    assert_eq!(resumed(&stream), 0);
    is_settled(&mut stream);
}

#[test]
fn shared_cells_that_fail_meanwhile_are_a_fault() {
    let world = world();
    let mut stream = asked(&world, "GET", "/x", &[]);
    world.process.broken.set(true);
    stream.answer(1, Answer::Ready, at(1000));
    assert_eq!(stream.decided, [Decided::Refused(Code::InternalFault)]);
    assert_eq!(resumed(&stream), 0);
}

#[test]
fn in_report_mode_it_waits_too_and_passes_whatever_the_answer() {
    let world = world();
    for (answer, milliseconds, expected) in [
        (Answer::Ready, 1000, Decided::Allowed),
        (Answer::Unavailable, 700, Decided::WouldRefuse(Code::TokenKeyUnknown)),
    ] {
        let mut stream = asked(&world, "GET", "/report", &[("x-auth-subject", "mine")]);
        stream.answer(1, answer, at(milliseconds));
        assert_eq!(stream.decided, [expected]);
        assert_eq!(resumed(&stream), 1);
        assert!(stream.host.replies().next().is_none());
        let identified = stream.host.filter_state("api_guard.subject");
        assert_eq!(identified, None, "an admitted caller is named by a header, and here nobody was verified");
        is_settled(&mut stream);
    }
}

#[test]
fn what_a_limit_reported_before_the_wait_is_reported_after_it() {
    let world = World::asking(json!({ "rate_limits": [
        { "name": "shy", "max_requests": 1, "window_seconds": 60, "key": ["client_ip"], "mode": "report" },
    ] }));
    for expected in [Decided::Allowed, Decided::WouldRefuse(Code::RateLimited)] {
        let mut stream = asked(&world, "GET", "/x", &[]);
        stream.answer(1, Answer::Ready, at(1000));
        assert_eq!(stream.decided, [expected]);
        assert_eq!(resumed(&stream), 1);
    }
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
