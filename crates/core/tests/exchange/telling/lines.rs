//! What a line of the log says, and how many lines there are.

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_testkit::{Decided, Done};
use serde_json::json;

use super::{limits, state};
use crate::{START, World, answer, lines};

#[test]
fn what_no_client_sent_is_told_as_empty() {
    let world = World::new();
    let (stream, _) = world.get("/x", &[("authorization", "none")]);
    let line = &lines(&stream)[0];
    assert_eq!((&line["request_id"], &line["route"]), (&json!(""), &json!(null)));
    assert_eq!(answer(&stream).get("request_id"), None);
    assert_eq!(state(&stream, "api_guard.route"), None);
    assert_eq!(state(&stream, "api_guard.limit"), None);
    assert_eq!(state(&stream, "api_guard.subject"), None);
}

#[test]
fn what_a_client_sends_is_cut_in_lines() {
    let world = World::new();
    let long = "r".repeat(65);
    let (stream, _) = world.get("/x", &[("authorization", "none"), ("x-request-id", &long)]);
    assert_eq!(lines(&stream)[0]["request_id"], "r".repeat(64));
}

#[test]
fn nearing_a_limit_is_logged_once_and_passes() {
    let world = limits(json!([
        { "name": "near", "max_requests": 4, "window_seconds": 60, "key": ["client_ip"], "warn_at_percent": 75 },
    ]));
    for (number, expected) in [0, 0, 1, 0].into_iter().enumerate() {
        let (stream, _) = world.get("/public", &[]);
        assert_eq!(stream.decided, [Decided::Allowed]);
        let lines = lines(&stream);
        assert_eq!(lines.len(), expected, "{number}");
        assert!(lines.iter().all(|line| line["event"] == "limit_warned" && line["limit"] == "near"));
        assert!(lines.iter().all(|line| line["client_ip"] == "192.0.2.1" && line["path"] == "/public"));
    }
}

#[test]
fn a_flood_of_warnings_is_counted_each_and_logged_in_part() {
    let world = limits(json!([
        { "name": "own", "max_requests": 1, "window_seconds": 1, "key": ["path"], "warn_at_percent": 100 },
    ]));
    let mut logged = 0;
    for number in 0..1000 {
        let (stream, _) = world.get(&format!("/public/{number}"), &[]);
        assert_eq!(world.counted(&stream, "limit.own.outcome.warned"), 1);
        logged += lines(&stream).iter().filter(|line| line["event"] == "limit_warned").count();
    }
    assert_eq!(logged, 30);
}

#[test]
fn a_line_is_printable_ascii_whatever_a_client_sends() {
    let world = World::new();
    let sent = "a\u{7f}\u{9b}31m\u{202e}\u{2028}\u{1f980}\u{e9}";
    let path = format!("/{sent}");
    let more = [("authorization", "none"), ("x-request-id", sent)];
    let (stream, _) = world.ask(sent, &path, &more, true);
    let line = stream
        .host
        .done
        .iter()
        .find_map(|done| if let Done::Logged(line) = done { Some(line.text.clone()) } else { None });
    let line = line.unwrap();
    assert!(line.bytes().all(|byte| matches!(byte, 0x20..=0x7e)), "{line}");
    let escaped = r"a\u007f\u009b31m\u202e\u2028\ud83e\udd80\u00e9";
    assert_eq!(line.matches(escaped).count(), 3, "{line}");
    let line = &lines(&stream)[0];
    assert_eq!(
        (&line["path"], &line["method"], &line["request_id"]),
        (&json!(path), &json!(sent), &json!(sent))
    );
}

#[test]
fn an_old_token_that_passes_is_logged_as_a_warning() {
    let mut tokens = crate::configuration(json!({}))["tokens"].clone();
    tokens["max_token_age_hours"] = json!(1);
    let world = World::with(json!({ "tokens": tokens }));
    let of_age = |hours: u64| {
        let claims = json!({ "sub": "u1", "iat": START - hours * 3600, "exp": START + 3600 });
        format!("Bearer {}", api_guard_testkit::token(&claims))
    };
    let (old, flow) = world.get("/x", &[("authorization", &of_age(2))]);
    assert_eq!((flow, &old.decided[..]), (Flow::Continue, &[Decided::Allowed][..]));
    let line = &lines(&old)[0];
    assert_eq!((&line["event"], &line["code"]), (&json!("warned"), &json!("token_too_old")));
    let (young, _) = world.get("/x", &[("authorization", &of_age(0))]);
    assert_eq!(lines(&young).len(), 0);
}

#[test]
fn a_flood_of_refusals_is_answered_each_and_logged_in_part() {
    let world = World::new();
    let mut logged = 0;
    for _ in 0..100 {
        let (stream, _) = world.get("/x", &[("authorization", "none")]);
        assert_eq!(stream.decided, [Decided::Refused(Code::TokenMissing)]);
        answer(&stream);
        logged += lines(&stream).len();
    }
    assert_eq!(logged, 21);
}

#[test]
fn a_revocation_is_logged_under_the_callers_name_whatever_name_they_send() {
    let world = World::new();
    let (stream, _) = world.ask("POST", "/auth/revoke", &[("x-auth-subject", "somebody else")], true);
    assert_eq!(stream.decided, [Decided::Allowed]);
    assert!(stream.host.done.contains(&Done::Removed(b"x-auth-subject".to_vec())));
    assert_eq!(state(&stream, "api_guard.subject").as_deref(), Some("u1"));
}
