//! What the upstream gets of a request's own headers.

use api_guard_core::exchange::Flow;
use api_guard_testkit::{Done, Watched};
use serde_json::{Value, json};

use crate::World;

fn removed(stream: &Watched<'_>) -> Vec<String> {
    let removed = stream.host.done.iter().filter_map(|done| {
        if let Done::Removed(name) = done { Some(String::from_utf8(name.clone()).unwrap()) } else { None }
    });
    removed.collect()
}

fn set(stream: &Watched<'_>, wanted: &str) -> Option<String> {
    stream.host.done.iter().find_map(|done| {
        if let Done::Set(name, value) = done
            && name == wanted
        {
            return Some(String::from_utf8(value.clone()).unwrap());
        }
        None
    })
}

fn with_sources(sources: Value, forward: Value) -> World {
    let mut tokens = crate::configuration(json!({}))["tokens"].clone();
    tokens["sources"] = sources;
    World::with(json!({ "tokens": tokens, "forward": forward }))
}

#[test]
fn a_client_s_own_identity_is_removed_in_every_spelling_on_every_route() {
    let world = World::new();
    let sent = ["x_auth_subject", "x.auth.subject", "x_auth.subject", "x~auth~subject", "x_auth_permissions"];
    let headers = sent.map(|name| (name, "admin"));
    for path in ["/x", "/public", "/report"] {
        let (stream, flow) = world.get(path, &headers);
        assert_eq!(flow, Flow::Continue);
        assert_eq!(removed(&stream), sent, "{path}");
    }
}

#[test]
fn headers_that_name_another_path_are_removed_unless_they_are_to_be_kept() {
    let sent = ["x-original-url", "x-rewrite-url", "x_original_url", "x.rewrite_url"];
    let headers = [&sent.map(|name| (name, "/admin"))[..], &[("x-original-uri", "/admin")]].concat();
    let world = World::new();
    assert_eq!(removed(&world.get("/public", &headers).0), sent);
    let world = World::with(json!({ "request": { "rewrite_headers": "keep" } }));
    assert_eq!(removed(&world.get("/public", &headers).0), Vec::<String>::new());
}

#[test]
fn another_spelling_of_a_token_s_header_is_no_credential_and_goes_with_the_token() {
    let sources = json!([{ "header": "x-token" }, { "header": "x-authorization", "scheme": "Bearer" }]);
    let token = crate::bearer("u1").replace("Bearer ", "");
    let headers = [
        ("x-token", token.as_str()),
        ("x_token", "another"),
        ("x.token", "another"),
        ("x_authorization", "Basic another"),
        ("x-authorization", "Basic another"),
    ];
    for (forward, expected) in
        [("strip", vec!["x_token", "x.token", "x_authorization", "x-token"]), ("keep", vec![])]
    {
        let world = with_sources(sources.clone(), json!({ "token": forward }));
        let (stream, flow) = world.get("/x", &headers);
        assert_eq!((flow, stream.refused()), (Flow::Continue, None), "{forward}");
        assert_eq!(removed(&stream), expected, "{forward}");
        let (stream, _) = world.get("/x", &[("x_token", &token)]);
        assert_eq!(stream.refused(), Some("token_missing"));
    }
}

#[test]
fn connection_cannot_have_the_identity_removed_behind_us() {
    let world = World::new();
    let upgrade = |lines: &[&'static str]| {
        let mut headers = vec![("upgrade", "websocket")];
        headers.extend(lines.iter().map(|line| ("connection", *line)));
        let (stream, flow) = world.get("/x", &headers);
        assert_eq!(flow, Flow::Continue, "{lines:?}");
        (set(&stream, "connection"), removed(&stream))
    };
    for (lines, left) in [
        (&["Upgrade, x-auth-subject"][..], Some("Upgrade")),
        (&["Upgrade,X-Auth-Subject"], Some("Upgrade")),
        (&["x_auth.subject , keep-alive,Upgrade"], Some("keep-alive, Upgrade")),
        (&["Upgrade", "x-auth-permissions"], Some("Upgrade")),
        (&["upgrade", "x-other, authorization"], Some("upgrade, x-other")),
        (&["Upgrade, , x-original-url,"], Some("Upgrade")),
        (&["Upgrade,\n\nx-auth-subject\r\n"], Some("Upgrade")),
        (&["Upgrade"], None),
        (&["keep-alive, Upgrade", "te, x-other"], None),
        (&[""], None),
    ] {
        let (set, removed) = upgrade(lines);
        assert_eq!(set.as_deref(), left, "{lines:?}");
        assert_eq!(removed, Vec::<String>::new(), "{lines:?}");
    }
    assert_eq!(upgrade(&["x-auth-subject"]), (None, vec!["connection".to_owned()]));
}

#[test]
fn connection_is_cleaned_on_public_and_reported_requests_too() {
    let world = World::new();
    for path in ["/public", "/report"] {
        let headers = [("connection", "upgrade, x-auth-subject"), ("authorization", "none")];
        let (stream, _) = world.get(path, &headers);
        assert_eq!(set(&stream, "connection").as_deref(), Some("upgrade"), "{path}");
    }
}
