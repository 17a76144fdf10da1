//! What cargo leaves, without the build that lays it out for shipping, is a module that serves all the same: it takes the
//! SDK's way through its callbacks.

use std::path::PathBuf;

use serde_json::json;

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::issuer::{ISSUER, KeyServer, Says, remote_set, signed};
use crate::kind;
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::token::token;

/// The module as cargo wrote it: beside what the tests themselves were built to.
fn unpacked_module() -> PathBuf {
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let path = std::env::var_os("API_GUARD_UNPACKED_WASM")
        .map_or_else(|| target.join("wasm32-wasip1/debug/api_guard.wasm"), PathBuf::from);
    assert!(path.is_file(), "no module at {}: run `make unpacked` first", path.display());
    path
}

#[test]
fn a_module_that_was_not_packed_fetches_key_sets() {
    if !kind::runs(kind::PACKING) {
        return;
    }
    let server = KeyServer::up(Says::keys(&[1]));
    let changes = json!({ "min_refetch_seconds": 1, "refresh_seconds": 2 });
    let plugin = policy(json!({ "tokens": { "key_sets": [remote_set("login", ISSUER, changes)] } }));
    let clusters = vec![server.cluster("login")];
    let envoy = Envoy::start(Setup { artefact: unpacked_module(), clusters, ..Setup::new(&plugin) });
    let await_pass = |number: u8| {
        eventually("a good token does not pass", || {
            (Ask::get("/x").token(&signed(number)).send(&envoy, Protocol::Http1).status == 200).then_some(())
        });
    };
    await_pass(1);
    // An unknown kid makes its own stream send the request, and waits for it.
    server.say(Says::keys(&[1, 2]));
    await_pass(2);
    // A stream that has ended takes with it at most the time until the next fetch.
    std::thread::sleep(std::time::Duration::from_millis(1100));
    server.say(Says::Later);
    let fetches = server.fetches();
    let mut gone = crate::http1::Connection::open(envoy.address()).unwrap();
    gone.write(&Ask::get("/x").token(&signed(3)).http1());
    server.await_fetches(fetches + 1);
    drop(gone);
    server.say(Says::keys(&[3]));
    await_pass(3);
    server.go_down();
    let failed = "api_guard_key_set_fetches_total.set.login.outcome.reset";
    eventually("a refused connection is not counted", || (envoy.counter(failed) > 0).then_some(()));
    Ask::get("/x").token(&signed(3)).send(&envoy, Protocol::Http1).forwarded(&envoy);
    envoy.assert_healthy();
}

#[test]
fn a_module_that_was_not_packed_judges_headers_bodies_and_revocations() {
    if !kind::runs(kind::PACKING) {
        return;
    }
    let plugin = policy(json!({
        "routes": [{ "path": "/orders/{id}", "required_permissions": ["orders:read"] }],
        "request": { "max_request_size_bytes": 1000 },
        "revocation": { "endpoint": { "path": "/auth/revoke", "required_permissions": ["tokens:revoke"] } },
    }));
    let envoy = Envoy::start(Setup { artefact: unpacked_module(), ..Setup::new(&plugin) });
    for protocol in BOTH {
        let reader =
            token(json!({ "sub": "reader", "jti": format!("{protocol:?}"), "permissions": ["orders:read"] }));
        let other = token(json!({ "sub": "other", "permissions": [] }));
        let status = |ask: Ask| ask.send(&envoy, protocol).status;
        assert_eq!(status(Ask::get("/orders/1")), 401);
        assert_eq!(status(Ask::get("/orders/1").token(&other)), 403);
        assert_eq!(status(Ask::get("/orders/1").token(&reader)), 200);
        let post = |size: usize, streamed: bool| {
            let body = vec![b' '; size];
            let body = if streamed { Body::Streamed(vec![body]) } else { Body::Sized(body) };
            Ask::post("/orders/1").token(&reader).body(body)
        };
        for (size, streamed, expected) in
            [(10, false, 200), (10, true, 200), (1001, false, 413), (1001, true, 413)]
        {
            assert_eq!(status(post(size, streamed)), expected, "{size} {streamed}");
        }
        assert_eq!(status(Ask::new("POST", "/auth/revoke").token(&reader)), 200);
        assert_eq!(status(Ask::get("/orders/1").token(&reader)), 401);
    }
    envoy.assert_healthy();
}
