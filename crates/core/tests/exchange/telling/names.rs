//! Who is named to the upstream, to access logs and to later filters.

use api_guard_testkit::{Done, Watched};
use serde_json::json;

use super::state;
use crate::{World, at, lines};

#[test]
fn an_address_that_an_internal_client_names_is_not_believed() {
    let world = World::with(json!({ "client_ip": { "from": "x-envoy-external-address" } }));
    let named = ("x-envoy-external-address", "198.51.100.7");
    let address = |more: &[(&str, &str)]| {
        let (stream, _) = world.get("/x", &[&[("authorization", "none")], more].concat());
        lines(&stream)[0]["client_ip"].clone()
    };
    assert_eq!(address(&[named]), "198.51.100.7");
    assert_eq!(address(&[]), "192.0.2.1");
    for internal in ["true", "false", ""] {
        assert_eq!(address(&[named, ("x-envoy-internal", internal)]), "192.0.2.1", "{internal:?}");
        assert_eq!(address(&[("x-envoy-internal", internal), named]), "192.0.2.1", "{internal:?}");
    }
}

#[test]
fn the_upstream_hears_who_was_verified_before_the_request_goes_on() {
    let world = World::new();
    let (stream, _) = world.get("/x", &[("x-auth-subject", "somebody else")]);
    assert!(stream.host.done.contains(&Done::Set("x-auth-subject".to_owned(), b"u1".to_vec())));
    let (stream, _) = world.get("/x", &[]);
    assert!(stream.host.done.contains(&Done::Added("x-auth-subject".to_owned(), b"u1".to_vec())));
}

#[test]
fn no_access_log_shows_what_a_refused_client_says_of_itself() {
    let world = World::new();
    let edits = |stream: &Watched<'_>| {
        let is_edit = |done: &&Done| matches!(done, Done::Set(..) | Done::Added(..) | Done::Removed(_));
        stream.host.done.iter().filter(is_edit).cloned().collect::<Vec<_>>()
    };
    let removed = |name: &str| Done::Removed(name.as_bytes().to_vec());
    let (stream, _) = world.get(
        "/x",
        &[("authorization", "none"), ("x-auth-subject", "mine"), ("x_auth_permissions", "all:all")],
    );
    assert_eq!(stream.refused(), Some("token_missing"));
    assert_eq!(edits(&stream), [removed("x-auth-subject"), removed("x_auth_permissions")]);
    let (stream, _) = world.get("/x", &[("authorization", "none")]);
    assert_eq!(edits(&stream), [], "most refusals need no edit");
    let mut unread = world.stream();
    let none: Option<Vec<(&[u8], &[u8])>> = None;
    unread.raw_headers(none, true, at(0));
    assert_eq!(edits(&unread), [removed("x-auth-subject"), removed("x-auth-permissions")]);
}

#[test]
fn the_subject_of_admitted_requests_is_filter_state_only_where_that_is_asked_for() {
    for (written, of_admitted) in [(json!({}), None), (json!({ "filter_state": "all" }), Some("u1"))] {
        let world = World::with(json!({
            "forward": written,
            "rate_limits": [{ "name": "one", "max_requests": 1, "window_seconds": 60, "key": ["subject"] }],
        }));
        let subjects = |stream: &Watched<'_>| {
            let named = |done: &&Done| matches!(done, Done::FilterState("api_guard.subject", _));
            stream.host.done.iter().filter(named).count()
        };
        let (admitted, _) = world.get("/x", &[]);
        assert_eq!(state(&admitted, "api_guard.subject").as_deref(), of_admitted);
        let (refused, _) = world.get("/x", &[]);
        assert_eq!(refused.refused(), Some("rate_limited"));
        assert_eq!(state(&refused, "api_guard.subject").as_deref(), Some("u1"));
        assert_eq!(subjects(&refused), 1, "it is written once");
    }
}

#[test]
fn a_revoked_token_in_use_is_an_error_and_names_nobody_to_later_filters() {
    let world = World::new();
    world.ask("POST", "/auth/revoke", &[], true);
    let (stream, _) = world.get("/x", &[]);
    assert_eq!(stream.refused(), Some("token_revoked"));
    let level = stream
        .host
        .done
        .iter()
        .find_map(|done| if let Done::Logged(line) = done { Some(line.level.as_str()) } else { None });
    assert_eq!(level, Some("ERROR"));
    assert_eq!(lines(&stream)[0]["sub"], "u1");
    assert_eq!(state(&stream, "api_guard.subject"), None);
}
