//! What cargo leaves, without the build that lays it out for shipping, is a module that serves all the same: it takes the
//! SDK's way through its callbacks.

use std::path::PathBuf;

use serde_json::json;

use crate::ask::{Ask, BOTH, Body};
use crate::kind;
use crate::process::Envoy;
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
