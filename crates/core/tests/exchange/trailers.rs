//! Trailers: what no client may say in a header reaches the upstream in none of them either.

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_core::guard::Answer;
use api_guard_testkit::{Decided, Done, Watched};
use serde_json::json;

use crate::pause::{asked, world};
use crate::{World, answer, at, bearer, lines};

/// What a client may not say, and then what it may.
const FORGED: [&str; 7] = [
    "x-auth-subject",
    "X_Auth_Subject",
    "x.auth.permissions",
    "x-http-method-override",
    "x_original_url",
    "x-rewrite-url",
    "authorization",
];
const OTHERS: [&str; 4] = ["grpc-status", "x-auth-subject-2", "x-checksum", "cookie"];

fn trailers() -> Vec<(&'static str, &'static str)> {
    FORGED.into_iter().chain(OTHERS).map(|name| (name, "admin")).collect()
}

fn removed(stream: &Watched<'_>) -> Vec<String> {
    let removed = stream.host.done.iter().filter_map(|done| {
        if let Done::TrailerRemoved(name) = done {
            Some(String::from_utf8(name.clone()).unwrap())
        } else {
            None
        }
    });
    removed.collect()
}

/// Admitted requests whose trailers are still to come: they pass unread, are counted, and are held.
fn admitted(world: &World) -> Vec<(&'static str, Watched<'_>)> {
    let of = |path, more: &[(&str, &str)]| world.post(path, more).0;
    vec![
        ("passing", of("/report", &[("authorization", "none")])),
        ("passing in another protocol", {
            world.ask("GET", "/x", &[("upgrade", "websocket"), ("connection", "upgrade")], false).0
        }),
        ("counted", of("/x", &[("content-length", "5")])),
        ("counted for gRPC", world.ask("POST", "/x", &[("content-type", "application/grpc")], false).0),
        ("counted on a public route", of("/public", &[("content-length", "5"), ("authorization", "none")])),
        ("held", of("/x", &[])),
    ]
}

#[test]
fn what_no_client_may_say_is_removed_from_trailers_in_every_phase() {
    let world = World::new();
    for (phase, mut stream) in admitted(&world) {
        assert_eq!(stream.trailers_of(Some(&trailers()), at(1)), Flow::Continue, "{phase}");
        assert_eq!(removed(&stream), FORGED, "{phase}");
        assert!(stream.exchange.is_settled(), "{phase}");
    }
}

#[test]
fn the_trailers_of_a_request_that_waits_are_cleaned_before_it_goes_on() {
    let world = world();
    let mut stream = asked(&world, "POST", "/x", &[]);
    assert_eq!(stream.trailers_of(Some(&trailers()), at(700)), Flow::Pause);
    assert_eq!(removed(&stream), FORGED);
    stream.answer(1, Answer::Ready, at(1000));
    assert_eq!(stream.decided, [Decided::Allowed]);
    assert_eq!(removed(&stream), FORGED);
}

#[test]
fn trailers_that_go_nowhere_are_left_alone() {
    let world = World::new();
    for mut stream in [
        world.stream(),
        world.post("/x", &[("authorization", "none")]).0,
        world.post("/auth/revoke", &[("content-length", "0")]).0,
    ] {
        assert_eq!(stream.trailers_of(Some(&trailers()), at(1)), Flow::Pause);
        assert_eq!(removed(&stream), Vec::<String>::new());
    }
}

#[test]
fn cookies_are_removed_from_trailers_where_they_may_carry_a_token() {
    let mut tokens = crate::configuration(json!({}))["tokens"].clone();
    tokens["sources"] = json!([{ "cookie": "session" }, { "header": "x-token" }]);
    let world = World::with(json!({ "tokens": tokens }));
    let (mut stream, _) = world.post("/report", &[]);
    let sent = ["cookie", "x_token", "x-token", "authorization"].map(|name| (name, "x"));
    assert_eq!(stream.trailers_of(Some(&sent), at(1)), Flow::Continue);
    assert_eq!(removed(&stream), ["cookie", "x_token", "x-token"]);
}

#[test]
fn trailers_that_cannot_be_read_do_not_pass() {
    let world = World::new();
    for (phase, mut stream) in admitted(&world) {
        let before = stream.decided.clone();
        assert_eq!(stream.trailers_of(None, at(1)), Flow::Pause, "{phase}");
        let refused = Decided::Refused(Code::InternalFault);
        assert_eq!(stream.decided, [&before[..], &[refused]].concat(), "{phase}");
        assert_eq!(answer(&stream)["code"], "internal_fault", "{phase}");
        assert_eq!(world.counted(&stream, "api_guard_faults_total.kind.headers"), 1, "{phase}");
        assert_eq!(lines(&stream).last().unwrap()["code"], "internal_fault", "{phase}");
        assert_eq!(stream.trailers_of(Some(&[]), at(2)), Flow::Pause, "{phase}");
    }
}

#[test]
fn trailers_that_cannot_be_changed_do_not_pass() {
    let world = World::new();
    for (phase, mut stream) in admitted(&world) {
        stream.host.refuses_edits = true;
        assert_eq!(stream.trailers_of(Some(&trailers()), at(1)), Flow::Pause, "{phase}");
        assert_eq!(answer(&stream)["code"], "internal_fault", "{phase}");
        assert_eq!(world.counted(&stream, "api_guard_faults_total.kind.edit"), 1, "{phase}");
    }
    for (phase, mut stream) in admitted(&world) {
        stream.host.refuses_edits = true;
        assert_eq!(stream.trailers_of(Some(&[("x-checksum", "1")]), at(1)), Flow::Continue, "{phase}");
    }
}

#[test]
fn a_request_that_waits_is_refused_for_its_trailers_at_once() {
    let world = world();
    let mut stream = asked(&world, "POST", "/x", &[]);
    assert_eq!(stream.trailers_of(None, at(700)), Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::InternalFault)]);
    stream.answer(1, Answer::Ready, at(1000));
    assert_eq!(stream.decided.len(), 1);
}

#[test]
fn a_line_about_bad_trailers_says_whose_they_were_where_that_is_kept() {
    let world = World::new();
    let bearer = bearer("u1");
    let (mut stream, _) = world.post("/x", &[("authorization", &bearer), ("x-request-id", "r1")]);
    stream.trailers_of(None, at(1));
    let line = &lines(&stream)[0];
    assert_eq!((&line["sub"], &line["request_id"]), (&json!("u1"), &json!("r1")));
}
