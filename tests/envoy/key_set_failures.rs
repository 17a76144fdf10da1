//! Key sets whose server fails: whatever it does, the last set stays in force, until it is stale.

use std::collections::BTreeMap;

use api_guard_testkit::{IssuerKey, key_set};
use serde_json::json;

use crate::ask::Ask;
use crate::http1::Connection;
use crate::issuer::{ISSUER, KeyServer, Says, remote_set, signed, signed_for};
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::token::token;

/// Each way to fail, by a name, with the outcome under which it is counted.
fn failures() -> BTreeMap<&'static str, (Says, &'static str)> {
    let keys = r#"{"keys":[]}"#;
    let chunked = |end: &str| {
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n{{\"key\r\n{end}").into_bytes()
    };
    let many: Vec<_> = (0..101).map(|_| IssuerKey::es256(1).jwk(None)).collect();
    // A set of one key, as gzip makes of it (RFC 1952) without compressing it (RFC 1951 section 3.2.4).
    let gzip = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03\x01\x0b\x00\xf4\xff{\"keys\":[]}\x00\x00\x00\x00\x0b\x00\x00\x00";
    let huge = vec![b' '; 10 << 20];
    BTreeMap::from([
        ("error-500", (Says::with("500 Internal Server Error", "", keys), "status")),
        // Its own, and not Envoy's in place of a server that does not answer.
        ("error-503", (Says::with("503 Service Unavailable", "", keys), "status")),
        ("error-504", (Says::with("504 Gateway Timeout", "", keys), "status")),
        ("moved", (Says::with("302 Found", "location: http://127.0.0.1:1/\r\n", ""), "status")),
        ("created", (Says::with("201 Created", "", keys), "status")),
        ("no-content", (Says::with("204 No Content", "", ""), "status")),
        ("hang", (Says::Later, "timeout")),
        ("hang-in-the-body", (Says::Silence(chunked("")), "timeout")),
        ("hang-in-the-head", (Says::Silence(b"HTTP/1.1 200 OK\r\ncontent-".to_vec()), "timeout")),
        ("reset", (Says::Reset, "reset")),
        ("nothing", (Says::Bytes(Vec::new()), "reset")),
        ("cut", (Says::Bytes(chunked("")), "reset")),
        ("no-http", (Says::Bytes(b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()), "reset")),
        ("truncated", (Says::body(r#"{"keys":[{"kty":"EC","crv":"P-256""#), "malformed")),
        ("empty", (Says::body(""), "malformed")),
        ("html", (Says::body("<!doctype html><title>Sign in</title>"), "malformed")),
        ("gzip", (Says::with("200 OK", "content-encoding: gzip\r\n", gzip), "malformed")),
        ("no-keys", (Says::body(keys), "unusable")),
        ("enc-only", (Says::body(r#"{"keys":[{"kty":"oct","k":"AQAB"}]}"#), "unusable")),
        ("huge", (Says::body(&huge), "too_large")),
        ("many", (Says::body(key_set(&many).to_string()), "too_large")),
    ])
}

fn issuer(name: &str) -> String {
    format!("https://{name}.example.com/")
}

/// A set for each way to fail, each with a server of its own; all of them good at first.
fn whatever_fails_leaves_the_last_set_in_force(workers: u32, with_tls: bool) {
    let failures = failures();
    let changes = json!({ "refresh_seconds": 1, "timeout_milliseconds": 500 });
    let servers: BTreeMap<_, _> = failures
        .keys()
        .map(|name| {
            let server = if with_tls { KeyServer::down_with_tls() } else { KeyServer::down() };
            server.go_up(Says::keys(&[1]));
            (*name, server)
        })
        .collect();
    let sets: Vec<_> = failures.keys().map(|name| remote_set(name, &issuer(name), changes.clone())).collect();
    let plugin = policy(json!({ "tokens": { "key_sets": sets } }));
    let clusters = servers.iter().map(|(name, server)| server.cluster(name)).collect();
    let envoy = Envoy::start(Setup { clusters, concurrency: workers, ..Setup::new(&plugin) });
    let mut connections: Vec<Connection> = envoy.to_each_worker(1).into_iter().flatten().collect();
    let tokens: BTreeMap<_, _> = failures.keys().map(|name| (*name, signed_for(&issuer(name), 1))).collect();
    let count = |name: &str, outcome: &str| {
        envoy.counter(&format!("api_guard_key_set_fetches_total.set.{name}.outcome.{outcome}"))
    };
    for name in failures.keys() {
        eventually(&format!("{name} is not fetched"), || (count(name, "ok") > 0).then_some(()));
    }
    let mut all_pass = |when: &str| {
        for (name, token) in &tokens {
            for connection in &mut connections {
                let reply = Ask::get("/x").token(token).send_on(connection);
                assert_eq!(reply.status, 200, "{name} {when}: {reply:?}");
            }
        }
    };
    all_pass("before");
    for (name, (says, _)) in &failures {
        servers[name].say(says.clone());
    }
    for (name, (_, outcome)) in &failures {
        eventually(&format!("{name} is not counted as {outcome}"), || {
            all_pass("meanwhile");
            (count(name, outcome) > 1).then_some(())
        });
        for other in ["ok", "status", "timeout", "reset", "malformed", "too_large", "unusable"] {
            // The kind of failure is always the same.
            let is_right = other == "ok" || other == *outcome || count(name, other) == 0;
            assert!(is_right, "{name} is counted as {other}");
        }
    }
    all_pass("after");
    for name in failures.keys() {
        eventually(&format!("the key of {name} is not shown"), || {
            (envoy.counter(&format!("api_guard_key_set_keys.set.{name}")) == 1).then_some(())
        });
    }
    envoy.assert_healthy();
}

#[test]
fn whatever_a_server_does_the_last_set_stays_in_force() {
    whatever_fails_leaves_the_last_set_in_force(1, false);
}

#[test]
fn whatever_a_server_does_over_tls_the_last_set_stays_in_force_on_every_worker() {
    whatever_fails_leaves_the_last_set_in_force(4, true);
}

#[test]
fn a_set_that_nobody_could_renew_in_time_is_answered_503_until_it_is_there_again() {
    for workers in [1, 4] {
        let server = KeyServer::up(Says::keys(&[1]));
        let changes = json!({ "refresh_seconds": 1, "max_stale_seconds": 2 });
        let plugin = policy(json!({ "tokens": { "key_sets": [remote_set("login", ISSUER, changes)] } }));
        let clusters = vec![server.cluster("login")];
        let envoy = Envoy::start(Setup { clusters, concurrency: workers, ..Setup::new(&plugin) });
        let mut connections: Vec<Connection> = envoy.to_each_worker(1).into_iter().flatten().collect();
        // One token, which is remembered.
        let (good, own) = (signed(1), token(json!({})));
        let mut await_all = |status: u16| {
            for connection in &mut connections {
                eventually(&format!("the token does not become {status}"), || {
                    let reply = Ask::get("/x").token(&good).send_on(connection);
                    if reply.status != 200 {
                        reply.refused(&envoy, 503, "keys_unavailable");
                    }
                    (reply.status == status).then_some(())
                });
                Ask::get("/x").token(&own).send_on(connection).forwarded(&envoy);
            }
        };
        await_all(200);
        server.go_down();
        await_all(503);
        server.go_up(Says::keys(&[1]));
        await_all(200);
        envoy.assert_healthy();
    }
}

#[test]
fn each_change_is_logged_once() {
    let server = KeyServer::up(Says::keys(&[1]));
    let plugin = policy(json!({ "tokens": { "key_sets": [
        remote_set("login", ISSUER, json!({ "refresh_seconds": 1 })),
    ] } }));
    let envoy = Envoy::start(Setup { clusters: vec![server.cluster("login")], ..Setup::new(&plugin) });
    let count = |outcome: &str| {
        envoy.counter(&format!("api_guard_key_set_fetches_total.set.login.outcome.{outcome}"))
    };
    let twice = |outcome: &str, says: Says| {
        let before = count(outcome);
        server.say(says);
        // The first of them may have been under way.
        eventually("it is not fetched", || (count(outcome) >= before + 3).then_some(()));
    };
    twice("ok", Says::keys(&[1]));
    twice("status", Says::with("500 Oh", "", ""));
    let oct = r#"{"keys":[{"kty":"oct","k":"AQAB"},{"kty":"EC","crv":"P-256","kid":"7","x":"axfR8uEsQkf4vOblY6RA8ncDfYEt6zOg9KE5RdiYwpY","y":"T-NC4v4af5uO5-tKfA-eFivOM1drMV7Oy7ZAaDe_UfU"}]}"#;
    twice("ok", Says::body(oct));
    let lines: Vec<_> = envoy
        .events()
        .into_iter()
        .filter(|event| event["event"] == "key_set")
        .map(|event| {
            assert_eq!(event["set"], "login");
            ["outcome", "status", "keys", "skipped"].map(|name| event[name].clone())
        })
        .collect();
    let line = |outcome: &str, status: Option<u16>, keys: u32, skipped: u32| {
        [json!(outcome), json!(status), json!(keys), json!(skipped)]
    };
    assert_eq!(lines, [line("ok", None, 1, 0), line("status", Some(500), 1, 0), line("ok", None, 1, 1)]);
    let error =
        envoy.written().lines().any(|line| line.starts_with("[error]") && line.contains(r#""skipped":1"#));
    assert!(error, "who publishes a secret is told so: {}", envoy.written());
    envoy.assert_healthy();
}
