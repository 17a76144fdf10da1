//! What only a library in Envoy's own process can do wrong: panics, functions that Envoy lacks, library files that are
//! replaced, and what they leave to each other.

use std::path::{Path, PathBuf};

use jwt_simple::prelude::{Claims, Duration, PS256KeyPair, RS256KeyPair, RSAKeyPairLike};
use serde_json::json;

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::http1;
use crate::kind::{self, Kind};
use crate::observed::counts_to;
use crate::process::{Envoy, Pushed, eventually};
use crate::setup::{Setup, policy};
use crate::token::{token, with_another_signature};

/// A copy of the library under another file name, as a new version of it has.
fn copy(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("libapi_guard_{name}.so"));
    let mut library = std::fs::read(Kind::Native.artefact()).unwrap();
    change(&mut library);
    // Another test's Envoy may have the old file mapped.
    let fresh = path.with_extension(std::process::id().to_string());
    std::fs::write(&fresh, library).unwrap();
    std::fs::rename(&fresh, &path).unwrap();
    path
}

/// The library in which a header makes a hook panic.
fn panicking_library() -> PathBuf {
    let target = std::env::current_exe().unwrap().ancestors().nth(3).unwrap().to_owned();
    let path = std::env::var_os("API_GUARD_PANICKING_LIBRARY")
        .map_or_else(|| target.join("panicking/libapi_guard_native.so"), PathBuf::from);
    assert!(path.is_file(), "no library at {}: run `make panicking` first", path.display());
    path
}

#[test]
fn a_panic_refuses_its_request_and_nothing_else() {
    if !kind::runs(kind::LIBRARY) {
        return;
    }
    let plugin = policy(json!({ "mode": "report", "routes": [{ "path": "/health", "access": "public" }] }));
    let envoy = Envoy::start(Setup { artefact: panicking_library(), ..Setup::new(&plugin) });
    let deadly = |ask: Ask| ask.header("x-api-guard-panic", "the header's value");
    for (round, protocol) in (1..).zip(BOTH) {
        for body in [Body::None, Body::Sized(b"{}".to_vec())] {
            let method = if matches!(body, Body::None) { "GET" } else { "POST" };
            let reply = deadly(Ask::new(method, "/health").body(body)).send(&envoy, protocol);
            assert_eq!(reply.verdict(), "500 internal_fault");
            assert!(envoy.upstream.heard(&reply.test).is_empty());
            let access = envoy.access(&reply.test);
            assert_eq!(
                (&access["code"], &access["details"]),
                (&json!("internal_fault"), &json!("api_guard_internal_fault"))
            );
        }
        let grpc =
            Ask::new("POST", "/a.B/c").header("content-type", "application/grpc").header("te", "trailers");
        let reply = deadly(grpc).send(&envoy, protocol);
        assert_eq!(reply.one("grpc-status"), "13", "{reply:?}");
        counts_to(&envoy, "refused", "internal_fault", round * 3);
        Ask::get("/health").send(&envoy, protocol).forwarded(&envoy);
    }
    assert_eq!(envoy.counter("api_guard_faults_total.kind.panic"), 6);
    assert_eq!(envoy.upstream.heard_for("/a.B/c"), 0);
    let written = envoy.written();
    assert!(written.contains("a panic at crates/envoy-native/src/stream.rs"), "{written}");
    assert!(!written.contains("the header's value"), "{written}");
}

#[test]
fn a_function_that_envoy_lacks_fails_the_load_and_is_named() {
    if !kind::runs(kind::LIBRARY) {
        return;
    }
    let (known, unknown) = (
        "envoy_dynamic_module_callback_is_validation_mode",
        "envoy_dynamic_module_callback_is_validation_door",
    );
    let artefact = copy("lacking", |library| {
        let at = library.windows(known.len()).position(|name| name == known.as_bytes()).unwrap();
        library[at..at + known.len()].copy_from_slice(unknown.as_bytes());
    });
    let log = Envoy::refuses(&Setup { artefact, ..Setup::new(&policy(json!({}))) });
    assert!(log.contains(unknown), "{log}");
}

#[test]
fn a_new_library_file_goes_on_with_what_was_spent_and_revoked() {
    if !kind::runs(kind::LIBRARY) {
        return;
    }
    let plugin = |number: u32| {
        policy(json!({
            "routes": [{ "path": format!("/push-{number}"), "access": "public" }],
            "rate_limits": [
                { "name": "one", "max_requests": 3, "window_seconds": 600, "key": ["subject"] },
            ],
            "revocation": { "endpoint": { "path": "/auth/revoke" } },
        }))
    };
    let setup =
        Setup { artefact: copy("old", |_| ()), replaceable: true, concurrency: 2, ..Setup::new(&plugin(0)) };
    let envoy = Envoy::start(setup);
    let (mine, gone) = (token(json!({ "sub": "mine" })), token(json!({ "sub": "gone" })));
    let ask = |token: &str| Ask::get("/x").token(token).send(&envoy, Protocol::Http1);
    let logout = Ask::new("POST", "/auth/revoke").token(&gone).send(&envoy, Protocol::Http1);
    assert_eq!(logout.status, 200, "{logout:?}");
    assert_eq!((ask(&mine).status, ask(&mine).status), (200, 200));
    let push = |number: u32, change: &dyn Fn(&mut Setup)| {
        envoy.change_setup(change);
        assert_eq!(envoy.push(&plugin(number).to_string()), Pushed::Accepted);
        eventually("the push has no effect", || {
            let path = format!("/push-{number}");
            let mut connections = envoy.to_each_worker(1);
            let mut workers = connections.iter_mut().flatten();
            workers.all(|worker| Ask::get(&path).send_on(worker).status != 401).then_some(())
        });
    };
    push(1, &|setup| setup.artefact = copy("new", |_| ()));
    assert_eq!((ask(&mine).status, ask(&mine).status), (200, 429), "one was left");
    ask(&gone).refused(&envoy, 401, "token_revoked");
    // Filters of another name have tables of their own.
    push(2, &|setup| setup.shared_name = "another");
    assert_eq!((ask(&mine).status, ask(&gone).status), (200, 200));
    push(3, &|setup| setup.shared_name = "api_guard");
    assert_eq!((ask(&mine).status, ask(&gone).status), (429, 401));
    envoy.assert_healthy();
}

#[test]
fn an_envoy_that_holds_requests_ends_as_it_should() {
    if !kind::runs(kind::LIBRARY) {
        return;
    }
    let envoy = Envoy::start(Setup { concurrency: 2, ..Setup::new(&policy(json!({}))) });
    let ask = Ask::post("/x").token(&token(json!({}))).body(Body::Unfinished(b"{".to_vec()));
    let held: Vec<http1::Connection> = (0..40)
        .map(|_| {
            let mut connection = http1::Connection::open(envoy.address()).unwrap();
            connection.write(&ask.http1());
            connection
        })
        .collect();
    eventually("the bodies are not held", || (envoy.counter("api_guard_held_bytes") > 0).then_some(()));
    let status = envoy.quit();
    assert!(status.success(), "{status}");
    drop(held);
}

#[test]
fn a_configuration_may_be_a_struct() {
    // A Struct reaches a module as protobuf.
    if !kind::runs(kind::LIBRARY) {
        return;
    }
    let plugin = policy(json!({
        "rate_limits": [{ "name": "one", "max_requests": 1, "window_seconds": 600, "key": ["subject"] }],
    }));
    let envoy = Envoy::start(Setup { as_struct: true, ..Setup::new(&plugin) });
    let ask = Ask::get("/x").token(&token(json!({})));
    ask.send(&envoy, Protocol::Http1).forwarded(&envoy);
    ask.send(&envoy, Protocol::Http1).refused(&envoy, 429, "rate_limited");
    envoy.assert_healthy();
}

#[test]
fn a_library_verifies_what_envoy_would_not() {
    if !kind::runs(kind::LIBRARY) {
        return;
    }
    let keys: serde_json::Value = serde_json::from_str(include_str!("../issuer_keys/jwks.json")).unwrap();
    let of = |algorithm: &str| json!({ "algorithm": algorithm, "public_key": { "jwk": keys["keys"][0] } });
    let envoy = Envoy::start(Setup::new(&policy(json!({ "tokens": { "keys": [of("PS256")] } }))));
    let pem = include_str!("../issuer_keys/rsa.pem");
    let claims = Claims::create(Duration::from_hours(1)).with_subject("user-1");
    let token = PS256KeyPair::from_pem(pem).unwrap().sign(claims.clone()).unwrap();
    let of_another = RS256KeyPair::from_pem(pem).unwrap().sign(claims).unwrap();
    for protocol in BOTH {
        for _ in 0..2 {
            Ask::get("/x").token(&token).send(&envoy, protocol).forwarded(&envoy);
        }
        let reply = Ask::get("/x").token(&with_another_signature(&token)).send(&envoy, protocol);
        reply.refused(&envoy, 401, "token_signature_invalid");
        let reply = Ask::get("/x").token(&of_another).send(&envoy, protocol);
        reply.refused(&envoy, 401, "token_algorithm_refused");
    }
    envoy.assert_healthy();
}
