//! What is judged again with the answer, and what was settled before it was asked for.

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_core::guard::Answer;
use api_guard_testkit::{Decided, Done};
use serde_json::json;

use super::{asked, asked_with, is_settled, resumed, world};
use crate::{START, World, at, marks, of_next_key};

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
