//! The token of a request that goes on later than its headers came is judged once more.

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_testkit::{Decided, Done, Watched, token};
use serde_json::{Value, json};

use crate::{START, World, answer, at, bearer, lines};

/// A request of unknown size that is held, by the owner of a token.
fn held<'w>(world: &'w World, path: &str, bearer: &str) -> Watched<'w> {
    let (mut stream, flow) = world.post(path, &[("authorization", bearer)]);
    assert_eq!((flow, &stream.decided[..]), (Flow::Pause, &[][..]));
    stream.host.received = Some(10);
    stream
}

/// How a held request goes on: its body ends, or trailers end it, or the host turns out to deliver nothing.
const ENDS: [fn(&mut Watched<'_>, u64); 3] = [
    |stream, milliseconds| {
        let flow = stream.body(5, true, at(milliseconds));
        assert_eq!(flow == Flow::Continue, stream.refused().is_none());
    },
    |stream, milliseconds| {
        stream.body(5, false, at(milliseconds));
        let flow = stream.trailers(at(milliseconds));
        assert_eq!(flow == Flow::Continue, stream.refused().is_none());
    },
    |stream, milliseconds| {
        stream.host.received = Some(11);
        stream.tick(at(milliseconds));
        assert_eq!(stream.host.done.contains(&Done::Resumed), stream.refused().is_none());
    },
];

fn of(claims: &Value) -> String {
    format!("Bearer {}", token(claims))
}

/// The owner of a token logs out.
fn log_out(world: &World, bearer: &str) {
    let (stream, _) = world.ask("POST", "/auth/revoke", &[("authorization", bearer)], true);
    assert_eq!(answer(&stream)["revoked"], true);
}

#[test]
fn a_held_request_whose_token_is_still_good_goes_on() {
    for end in ENDS {
        let world = World::new();
        let mut stream = held(&world, "/x", &bearer("u1"));
        log_out(&world, &bearer("u2"));
        end(&mut stream, 14_000);
        assert_eq!(stream.decided, [Decided::Allowed]);
    }
}

#[test]
fn a_held_request_whose_token_was_revoked_meanwhile_is_refused_like_any_other() {
    for end in ENDS {
        let world = World::new();
        let mut stream = held(&world, "/x", &bearer("u1"));
        log_out(&world, &bearer("u1"));
        end(&mut stream, 1);
        assert_eq!(stream.decided, [Decided::Refused(Code::TokenRevoked)]);
        assert_eq!(answer(&stream)["detail"], "Token has been revoked");
        assert_eq!(stream.host.filter_state("api_guard.code").as_deref(), Some("token_revoked"));
        let [line] = &lines(&stream)[..] else { panic!("{:?}", lines(&stream)) };
        assert_eq!((&line["event"], &line["code"]), (&json!("refused"), &json!("token_revoked")));
        assert_eq!((&line["sub"], &line["jti"]), (&json!("u1"), &json!("u1-1")));
        assert!(stream.exchange.is_over() && !stream.goes_on());
    }
}

#[test]
fn a_held_request_is_judged_by_the_time_at_which_it_goes_on() {
    for (claims, code) in [
        (json!({ "sub": "u1", "exp": START + 6 }), Code::TokenExpired),
        (json!({ "sub": "u1", "exp": START + 6, "iat": START, "jti": "a" }), Code::TokenExpired),
    ] {
        for end in ENDS {
            for (milliseconds, decided) in [(5_999, Decided::Allowed), (6_000, Decided::Refused(code))] {
                let world = World::new();
                let mut stream = held(&world, "/x", &of(&claims));
                end(&mut stream, milliseconds);
                assert_eq!(stream.decided, [decided], "{claims} after {milliseconds}");
            }
        }
    }
}

#[test]
fn a_clock_that_goes_back_meanwhile_makes_a_token_early() {
    let world = World::new();
    for (claims, code) in [
        (json!({ "sub": "u1", "exp": START + 600, "nbf": START }), Code::TokenNotYetValid),
        (json!({ "sub": "u1", "exp": START + 600, "iat": START + 60 }), Code::TokenIssuedInFuture),
    ] {
        let mut stream = held(&world, "/x", &of(&claims));
        assert_eq!(stream.body(1, true, at(0).minus_seconds(1)), Flow::Pause);
        assert_eq!(stream.decided, [Decided::Refused(code)]);
    }
}

#[test]
fn a_token_that_became_too_old_meanwhile_is_refused_where_these_are() {
    let tokens = |too_old: &str| {
        let mut world = crate::configuration(json!({}));
        world["tokens"]["token_too_old"] = json!(too_old);
        world["tokens"].clone()
    };
    let old = of(&json!({ "sub": "u1", "exp": START + 600, "iat": START - 24 * 3600 + 5 }));
    for (too_old, decided) in [("reject", Decided::Refused(Code::TokenTooOld)), ("warn", Decided::Allowed)] {
        let world = World::with(json!({ "tokens": tokens(too_old) }));
        let mut stream = held(&world, "/x", &old);
        stream.body(1, true, at(6_000));
        assert_eq!(stream.decided, [decided]);
    }
}

#[test]
fn a_key_that_ended_meanwhile_verifies_nothing_any_more() {
    let mut tokens = crate::configuration(json!({}))["tokens"].clone();
    tokens["keys"][0]["not_after"] = json!("2026-09-21T14:13:25Z");
    let world = World::with(json!({ "tokens": tokens }));
    for (milliseconds, decided) in
        [(4_999, Decided::Allowed), (5_000, Decided::Refused(Code::TokenKeyUnknown))]
    {
        let mut stream = held(&world, "/x", &bearer("u1"));
        stream.body(1, true, at(milliseconds));
        assert_eq!(stream.decided, [decided]);
    }
}

#[test]
fn a_held_request_without_a_token_has_nothing_to_judge_again() {
    for end in ENDS {
        let world = World::new();
        let mut stream = held(&world, "/public", &bearer("u1"));
        log_out(&world, &bearer("u1"));
        end(&mut stream, 14_000);
        assert_eq!(stream.decided, [Decided::Allowed]);
    }
}

#[test]
fn a_held_request_that_cannot_be_judged_again_is_refused() {
    let world = World::new();
    held(&world, "/x", &bearer("u1")).body(1, true, at(0));
    let mut stream = held(&world, "/x", &bearer("u1"));
    world.process.broken.set(true);
    assert_eq!(stream.trailers(at(1)), Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::InternalFault)]);
    assert_eq!(world.counted(&stream, "api_guard_faults_total.kind.shared_data"), 1);
}

#[test]
fn a_revoked_token_revokes_nothing_more() {
    for by_trailers in [false, true] {
        let world = World::new();
        let officer =
            of(&json!({ "sub": "admin", "exp": START + 600, "jti": "a", "permissions": ["tokens:revoke"] }));
        let mut parked = held(&world, "/auth/revoke", &officer);
        log_out(&world, &officer);
        parked.host.body = json!({ "sub": "u1", "issued_before": START + 5000 }).to_string().into_bytes();
        if by_trailers {
            parked.body(40, false, at(1));
            assert_eq!(parked.trailers(at(1)), Flow::Pause);
        } else {
            assert_eq!(parked.body(40, true, at(1)), Flow::Pause);
        }
        assert_eq!(parked.decided, [Decided::Refused(Code::TokenRevoked)]);
        for outcome in ["revoked", "invalid", "forbidden", "fault"] {
            let name = format!("api_guard_revocations_total.outcome.{outcome}");
            assert_eq!(world.counted(&parked, &name), 0, "{outcome}");
        }
        assert_eq!(world.get("/x", &[]).0.refused(), None);
    }
}

#[test]
fn a_token_that_has_expired_revokes_nothing_more() {
    let world = World::new();
    let short = of(&json!({ "sub": "u1", "exp": START + 6, "jti": "short" }));
    let mut parked = held(&world, "/auth/revoke", &short);
    parked.host.body = json!({ "sub": "u1", "issued_before": START + 5000 }).to_string().into_bytes();
    assert_eq!(parked.body(40, true, at(6_000)), Flow::Pause);
    assert_eq!(parked.decided, [Decided::Refused(Code::TokenExpired)]);
    assert_eq!(world.get("/x", &[]).0.refused(), None);
}

#[test]
fn a_late_body_reaches_no_token_that_was_issued_since_its_headers() {
    let world = World::new();
    let issued = |milliseconds: u64| {
        let iat = START + milliseconds / 1000;
        of(&json!({ "sub": "u1", "exp": iat + 600, "iat": iat, "jti": format!("at {iat}") }))
    };
    let mut parked = held(&world, "/auth/revoke", &issued(0));
    parked.host.body = json!({ "sub": "u1", "issued_before": 253_402_300_799_u64 }).to_string().into_bytes();
    assert_eq!(parked.body(40, true, at(9_000)), Flow::Pause);
    assert_eq!(answer(&parked)["revoked"], true);
    for (milliseconds, refused) in [(60_000, Some("token_revoked")), (61_000, None)] {
        let mut stream = world.stream();
        let fresh = issued(milliseconds);
        let headers = api_guard_testkit::request("GET", "/x", &[("authorization", &fresh)]);
        stream.headers(&headers, true, at(70_000));
        assert_eq!(stream.refused(), refused, "{milliseconds}");
    }
}
