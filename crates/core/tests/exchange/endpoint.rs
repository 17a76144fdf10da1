//! The revocation endpoint: with a body, without one, with one too large, and on hosts that deliver none.

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_testkit::{Decided, Done, Watched};
use serde_json::json;

use crate::{START, World, answer, at, bearer, lines, marks};

const ENDPOINT: &str = "/auth/revoke";

/// What a GET by the owner of the token meets with.
fn meets(world: &World) -> Option<&'static str> {
    world.get("/x", &[]).0.refused()
}

fn posted<'w>(world: &'w World, more: &[(&str, &str)]) -> Watched<'w> {
    let (stream, flow) = world.post(ENDPOINT, more);
    assert_eq!(flow, Flow::Pause, "nothing of it goes to the upstream");
    stream
}

fn revoked(stream: &Watched<'_>) {
    assert_eq!(stream.decided, [Decided::Allowed]);
    assert_eq!(answer(stream), json!({ "revoked": true, "expires_at": START + 3600 }));
    assert_eq!(stream.host.filter_state("api_guard.code"), None);
    assert!(stream.exchange.is_over() && !stream.goes_on());
}

#[test]
fn without_a_body_it_revokes_the_callers_own_token() {
    let world = World::new();
    assert_eq!(meets(&world), None);
    let (stream, flow) = world.ask("POST", ENDPOINT, &[], true);
    assert_eq!(flow, Flow::Pause);
    revoked(&stream);
    assert_eq!(world.counted(&stream, "api_guard_revocations_total.outcome.revoked"), 1);
    assert_eq!(meets(&world), Some("token_revoked"));
}

#[test]
fn a_body_is_read_when_it_has_ended() {
    let world = World::new();
    for more in [&[][..], &[("content-length", "10")]] {
        let mut stream = posted(&world, more);
        assert_eq!(stream.body(4, false, at(1)), Flow::Pause);
        assert_eq!(stream.decided, []);
        assert!(!stream.exchange.is_settled());
        stream.host.body = br#"{"jti":"a","expires_at":1790003600}"#.to_vec();
        assert_eq!(stream.body(10, true, at(2)), Flow::Pause);
        assert_eq!(stream.decided, [Decided::Refused(Code::PermissionMissing)], "of somebody's token");
        assert_eq!(world.counted(&stream, "api_guard_revocations_total.outcome.forbidden"), 1);
        assert!(stream.exchange.is_over());
    }
    let mut stream = posted(&world, &[]);
    stream.host.body = b" ".to_vec();
    assert_eq!(stream.body(1, true, at(2)), Flow::Pause);
    revoked(&stream);
    assert_eq!(meets(&world), Some("token_revoked"));
}

#[test]
fn trailers_end_its_body() {
    let world = World::new();
    let mut stream = posted(&world, &[]);
    stream.host.body = b" ".to_vec();
    stream.body(1, false, at(1));
    assert_eq!(stream.trailers(at(2)), Flow::Pause);
    revoked(&stream);
}

#[test]
fn a_body_that_makes_no_sense_is_the_callers_mistake() {
    let world = World::new();
    let mut stream = posted(&world, &[]);
    stream.host.body = b"{}".to_vec();
    assert_eq!(stream.body(2, true, at(1)), Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::RequestMalformed)]);
    assert_eq!(world.counted(&stream, "api_guard_revocations_total.outcome.invalid"), 1);
    assert_eq!(lines(&stream).len(), 1);
    assert_eq!(meets(&world), None);
}

#[test]
fn no_more_of_a_body_is_read_than_may_be() {
    let world = World::new();
    let mut stream = posted(&world, &[("content-length", "2")]);
    // A host that has more than it says.
    stream.host.body = vec![b' '; 20_000];
    assert_eq!(stream.body(2, true, at(1)), Flow::Pause);
    revoked(&stream);
}

#[test]
fn a_body_too_large_is_refused_whether_or_not_its_size_is_declared() {
    let world = World::new();
    for more in [&[][..], &[("content-length", "100")]] {
        for end in [false, true] {
            let mut stream = posted(&world, more);
            assert_eq!(stream.body(100, false, at(1)), Flow::Pause);
            assert_eq!(stream.decided, []);
            assert_eq!(stream.body(101, end, at(2)), Flow::Pause);
            assert_eq!(stream.decided, [Decided::Refused(Code::RequestTooLarge)]);
            assert_eq!(answer(&stream)["detail"], "Request size exceeds maximum: 100 bytes");
            assert!(stream.exchange.is_over());
        }
    }
    let mut stream = posted(&world, &[]);
    stream.host.is_answered = true;
    assert_eq!(stream.body(101, true, at(2)), Flow::Pause);
    assert_eq!(stream.decided, []);
    assert_eq!(stream.response(), Flow::Pause);
    assert_eq!(stream.refused(), Some("request_too_large"));
    assert_eq!(meets(&world), None, "nothing was revoked");
}

#[test]
fn a_length_of_zero_that_is_not_true_is_too_large() {
    let world = World::new();
    let mut stream = posted(&world, &[("content-length", "0")]);
    assert_eq!(stream.body(1, true, at(1)), Flow::Pause);
    assert_eq!(stream.refused(), Some("request_too_large"));
    let mut stream = posted(&world, &[("content-length", "0")]);
    assert_eq!(stream.body(0, true, at(1)), Flow::Pause);
    revoked(&stream);
}

#[test]
fn a_body_that_is_not_delivered_is_a_fault_that_says_what_to_change() {
    let world = World::new();
    let mut stream = posted(&world, &[("content-length", "10"), ("x-request-id", "r1")]);
    assert!(stream.exchange.wants_ticks());
    stream.tick(at(5_000));
    assert_eq!(stream.decided, [], "nothing has come yet");
    stream.host.received = Some(10);
    stream.tick(at(5_100));
    in_vain(&world, &stream);
    assert!(!stream.exchange.wants_ticks());
    // What is known of the host now spares later ones the wait for a sign.
    let mut later = posted(&world, &[("content-length", "10"), ("x-request-id", "r1")]);
    assert!(later.exchange.wants_ticks());
    later.tick(at(100));
    in_vain(&world, &later);
}

fn in_vain(world: &World, stream: &Watched<'_>) {
    assert_eq!(stream.decided, [Decided::Refused(Code::InternalFault)]);
    assert_eq!(answer(stream)["request_id"], "r1");
    assert_eq!(world.counted(stream, "api_guard_faults_total.kind.body"), 1);
    for (name, value) in
        [("api_guard.code", "internal_fault"), ("api_guard.route", ENDPOINT), ("api_guard.subject", "u1")]
    {
        assert_eq!(stream.host.filter_state(name).as_deref(), Some(value), "{name}");
    }
    let [advice, refused] = &lines(stream)[..] else { panic!("{:?}", lines(stream)) };
    assert_eq!(
        advice,
        "api-guard: the revocation endpoint reads no bodies without allow_on_headers_stop_iteration: true"
    );
    assert_eq!((&refused["code"], &refused["route"]), (&json!("internal_fault"), &json!(ENDPOINT)));
    let levels = stream
        .host
        .done
        .iter()
        .filter_map(|done| if let Done::Logged(line) = done { Some(line.level.as_str()) } else { None });
    assert_eq!(levels.collect::<Vec<_>>(), ["ERROR", "WARN"]);
}

#[test]
fn a_body_has_ten_seconds_from_the_headers_on_however_much_of_it_comes() {
    let world = World::new();
    for more in [&[][..], &[("content-length", "90")]] {
        for comes in [false, true] {
            let mut stream = posted(&world, more);
            for so_far in (1..90).filter(|_| comes) {
                assert_eq!(stream.body(so_far, false, at(so_far * 100)), Flow::Pause);
                stream.tick(at(so_far * 100));
            }
            stream.tick(at(9_999));
            assert_eq!(stream.decided, []);
            stream.tick(at(10_000));
            assert_eq!(stream.decided, [Decided::Refused(Code::BodyTimeout)]);
            assert_eq!(answer(&stream)["detail"], "Request body did not arrive in time");
            assert_eq!(world.counted(&stream, "api_guard_revocations_total.outcome.fault"), 0);
            assert!(stream.exchange.is_over());
            stream.host.body = b" ".to_vec();
            assert_eq!(stream.body(90, true, at(10_001)), Flow::Pause);
            assert_eq!(meets(&world), None, "nothing was revoked");
        }
    }
}

#[test]
fn a_slow_body_is_just_slow_once_part_of_it_was_delivered() {
    let world = World::new();
    let mut stream = posted(&world, &[]);
    stream.body(1, false, at(1));
    stream.host.received = Some(500);
    stream.tick(at(9_998));
    assert_eq!(stream.decided, []);
    stream.host.body = b" ".to_vec();
    assert_eq!(stream.body(1, true, at(9_999)), Flow::Pause);
    revoked(&stream);
}

#[test]
fn a_body_that_the_host_does_not_hand_over_is_a_fault() {
    let world = World::new();
    let mut stream = posted(&world, &[]);
    stream.host.refuses_body = true;
    assert_eq!(stream.body(1, true, at(1)), Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::InternalFault)]);
    assert_eq!(world.counted(&stream, "api_guard_faults_total.kind.body"), 1);
    assert_eq!(meets(&world), None);
}

#[test]
fn shared_cells_that_fail_are_a_fault_and_revoke_nothing() {
    let world = World::new();
    // The first cannot be judged again, and there is no telling whether there is room for the second.
    for size in [0, 1] {
        let mut stream = posted(&world, &[]);
        world.process.broken.set(true);
        assert_eq!(stream.body(size, true, at(1)), Flow::Pause);
        assert_eq!(stream.decided, [Decided::Refused(Code::InternalFault)]);
        let failed = world.counted(&stream, "api_guard_revocations_total.outcome.fault");
        assert_eq!(failed, usize::from(size == 0));
        assert_eq!(world.counted(&stream, "api_guard_faults_total.kind.shared_data"), 1);
        world.process.broken.set(false);
        assert_eq!(meets(&world), None);
    }
}

#[test]
fn cells_that_stay_contended_are_a_fault() {
    let world = World::new();
    let mut stream = posted(&world, &[]);
    world.process.contended.set(true);
    assert_eq!(stream.body(0, true, at(1)), Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::InternalFault)]);
    assert_eq!(world.counted(&stream, "api_guard_faults_total.kind.contended"), 1);
    assert_eq!(world.counted(&stream, "api_guard_revocations_total.outcome.fault"), 1);
}

#[test]
fn who_is_not_let_in_is_refused_with_the_headers() {
    let world = World::new();
    let (stream, flow) = world.ask("POST", ENDPOINT, &[("authorization", "none")], true);
    assert_eq!(flow, Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::TokenMissing)]);
    assert_eq!(world.counted(&stream, "api_guard_revocations_total.outcome.revoked"), 0);
}

#[test]
fn a_full_list_is_answered_with_503() {
    let world = World::with(json!({ "revocation": { "endpoint": {}, "capacity": 1 } }));
    let mut last = None;
    // How many really fit is the table's affair.
    for number in 0..100 {
        let bearer = crate::bearer(&format!("u{number}"));
        let (stream, _) = world.ask("POST", ENDPOINT, &[("authorization", &bearer)], true);
        last = stream.refused();
        if last.is_some() {
            assert_eq!(stream.decided, [Decided::Refused(Code::RevocationFull)]);
            assert_eq!(world.counted(&stream, "api_guard_revocations_total.outcome.full"), 1);
            break;
        }
    }
    assert_eq!(last, Some("revocation_full"));
}

#[test]
fn what_a_limit_only_reports_revokes_and_is_counted_as_that() {
    let world = World::with(json!({ "rate_limits": [
        { "name": "shy", "max_requests": 1, "window_seconds": 60, "key": ["client_ip"], "mode": "report" },
    ] }));
    assert_eq!(meets(&world), None);
    let (stream, flow) = world.ask("POST", ENDPOINT, &[], true);
    assert_eq!((flow, &stream.decided[..]), (Flow::Pause, &[Decided::WouldRefuse(Code::RateLimited)][..]));
    assert_eq!(answer(&stream)["revoked"], true);
    assert_eq!(meets(&world), Some("token_revoked"));
}

#[test]
fn its_answers_tell_of_limits_as_others_do() {
    let world = World::with(json!({ "rate_limits": [
        { "name": "wide", "max_requests": 9, "window_seconds": 60, "key": ["client_ip"] },
    ] }));
    let (mut stream, _) = world.ask("POST", ENDPOINT, &[], true);
    revoked(&stream);
    let told = |stream: &Watched<'_>| {
        let headers = &stream.host.replies().next().unwrap().headers;
        headers.iter().any(|(name, value)| *name == "ratelimit" && value.starts_with(r#""wide";r=8"#))
    };
    assert!(told(&stream));
    assert_eq!(stream.response(), Flow::Continue);
    assert_eq!(marks(&stream), [], "the answer has them already");
    // What it refuses was not admitted.
    let (mut stream, _) = world.ask("POST", ENDPOINT, &[("authorization", &bearer("u2"))], false);
    stream.host.body = b"{}".to_vec();
    assert_eq!(stream.body(2, true, at(1)), Flow::Pause);
    assert_eq!(stream.refused(), Some("unsupported_media_type"));
    assert_eq!((stream.response(), told(&stream), marks(&stream)), (Flow::Continue, false, vec![]));
}
