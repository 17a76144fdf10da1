//! Key sets that outlast what fetched them: a VM that dies, a configuration that is replaced, an issuer that changes from
//! a secret to a key set.

use std::sync::atomic::{AtomicU64, Ordering};

use api_guard_testkit::{IssuerKey, key_set};
use serde_json::{Value, json};

use crate::ask::{Ask, Protocol};
use crate::issuer::{ISSUER, KeyServer, Says, remote_set, signed};
use crate::kind;
use crate::process::{Envoy, Pushed, eventually};
use crate::rotation::Traffic;
use crate::setup::{Setup, policy};
use crate::token::{payload, token};
use crate::trap::{deadly, mortal_module};

/// The beginning of the log line of a request for which there were no keys. Access logs come late, log lines at once.
const UNAVAILABLE: &str = r#"{"event":"refused","code":"keys_unavailable""#;

fn await_pass(envoy: &Envoy, token: &str) {
    eventually("a good token does not pass", || {
        (Ask::get("/x").token(token).send(envoy, Protocol::Http1).status == 200).then_some(())
    });
}

/// Each is a connection of its own, so all workers are met.
fn await_pass_by_all(envoy: &Envoy, token: &str) {
    let mut in_a_row = 0;
    eventually("not all workers let a good token pass", || {
        let (_, outcome) = Ask::get("/x").token(token).try_send(envoy, Protocol::Http1);
        in_a_row = if outcome.is_ok_and(|reply| reply.status == 200) { in_a_row + 1 } else { 0 };
        (in_a_row == 40).then_some(())
    });
}

#[test]
fn a_vm_that_is_made_anew_starts_with_the_last_set_though_the_issuer_is_down() {
    if !kind::runs(kind::VM_DEATH) {
        return;
    }
    for workers in [1, 4] {
        let server = KeyServer::up(Says::keys(&[1]));
        let changes = json!({ "refresh_seconds": 1 });
        let plugin = policy(json!({ "tokens": { "key_sets": [remote_set("login", ISSUER, changes)] } }));
        let envoy = Envoy::start(Setup {
            clusters: vec![server.cluster("login")],
            concurrency: workers,
            artefact: mortal_module(),
            ..Setup::new(&plugin)
        });
        let good = signed(1);
        await_pass(&envoy, &good);
        server.go_down();
        // Before the first set there were some.
        let unavailable = || envoy.written().matches(UNAVAILABLE).count();
        let before = unavailable();
        let lost = AtomicU64::new(0);
        for death in 1..=4 {
            drop(deadly().try_send(&envoy, Protocol::Http1));
            // 503 with an empty body is Envoy's, while it has no VM. The module's own would be a problem document.
            let pass = || {
                let (_, outcome) = Ask::get("/x").token(&good).try_send(&envoy, Protocol::Http1);
                outcome.is_ok_and(|reply| {
                    assert!(
                        reply.status == 200 || (reply.status == 503 && reply.body.is_empty()),
                        "{reply:?}"
                    );
                    lost.fetch_add(u64::from(reply.status == 503), Ordering::Relaxed);
                    reply.status == 200
                })
            };
            // Each is a connection of its own, so both kinds of workers are met.
            let mut in_a_row = 0;
            eventually(&format!("good requests do not pass after death {death}"), || {
                in_a_row = if pass() { in_a_row + 1 } else { 0 };
                (in_a_row == 40).then_some(())
            });
        }
        eprintln!("{workers} workers: {lost:?} requests without a VM");
        assert!(envoy.stat("wasm.api_guard.vm_reload_success") > 0, "{:?}", envoy.stats());
        assert_eq!(unavailable(), before, "{}", envoy.written());
        // The new VMs go on fetching.
        server.go_up(Says::keys(&[1, 2]));
        await_pass(&envoy, &signed(2));
    }
}

#[test]
fn a_pushed_configuration_starts_with_the_last_set_though_the_issuer_is_down() {
    for workers in [1, 4] {
        let server = KeyServer::up(Says::keys(&[1]));
        let plugin = |capacity: u32| {
            policy(json!({
                "tokens": { "key_sets": [remote_set("login", ISSUER, json!({ "refresh_seconds": 1 }))] },
                "limiter_capacity": capacity,
            }))
        };
        let envoy = Envoy::start(Setup {
            clusters: vec![server.cluster("login")],
            concurrency: workers,
            replaceable: true,
            ..Setup::new(&plugin(1024))
        });
        let good = signed(1);
        await_pass(&envoy, &good);
        server.go_down();
        Traffic::during(&envoy, |traffic| {
            traffic.send(&[&good]);
            for capacity in [2048, 4096, 1024] {
                assert_eq!(envoy.push(&plugin(capacity).to_string()), Pushed::Accepted);
                traffic.go_on();
                envoy.drained();
            }
        });
        server.go_up(Says::keys(&[1, 2]));
        await_pass(&envoy, &signed(2));
        envoy.assert_healthy();
    }
}

#[test]
fn a_fetch_that_a_push_cancels_is_made_anew_at_once() {
    for workers in [1, 4] {
        let server = KeyServer::up(Says::Later);
        // Whoever waits for the lease of a fetch that nobody makes waits longer than these tests do.
        let plugin = |capacity: u32| {
            policy(json!({
                "tokens": { "key_sets": [remote_set("login", ISSUER, json!({ "timeout_milliseconds": 60_000 }))] },
                "limiter_capacity": capacity,
            }))
        };
        let envoy = Envoy::start(Setup {
            clusters: vec![server.cluster("login")],
            concurrency: workers,
            replaceable: true,
            filter_alone: true,
            ..Setup::new(&plugin(1024))
        });
        server.await_fetches(1);
        assert_eq!(envoy.push(&plugin(2048).to_string()), Pushed::Accepted);
        server.await_fetches(2);
        server.say(Says::keys(&[1]));
        await_pass(&envoy, &signed(1));
        assert_eq!(server.fetches(), 2, "by one worker of the new configuration");
        envoy.assert_healthy();
    }
}

#[test]
fn a_fetch_that_was_on_its_way_when_its_vm_died_or_its_configuration_went_is_made_anew() {
    if !kind::runs(kind::VM_DEATH) {
        return;
    }
    for workers in [1, 4] {
        let server = KeyServer::up(Says::Later);
        let plugin = |capacity: u32| {
            policy(json!({
                "tokens": { "key_sets": [remote_set("login", ISSUER, json!({ "timeout_milliseconds": 1000 }))] },
                "limiter_capacity": capacity,
            }))
        };
        let envoy = Envoy::start(Setup {
            clusters: vec![server.cluster("login")],
            concurrency: workers,
            artefact: mortal_module(),
            replaceable: true,
            ..Setup::new(&plugin(1024))
        });
        server.await_fetches(1);
        drop(deadly().try_send(&envoy, Protocol::Http1));
        assert_eq!(envoy.push(&plugin(2048).to_string()), Pushed::Accepted);
        envoy.drained();
        server.say(Says::keys(&[1]));
        await_pass(&envoy, &signed(1));
        let fetches = server.fetches();
        server.say(Says::keys(&[2]));
        await_pass_by_all(&envoy, &signed(1));
        assert_eq!(server.fetches(), fetches, "what one has fetched all have");
    }
}

#[test]
fn an_issuer_moves_from_a_secret_to_a_key_set_without_a_refused_request() {
    let key = IssuerKey::rs256();
    let server = KeyServer::up(Says::body(key_set(&[key.jwk(Some("2026"))]).to_string()));
    let secret = json!({ "secret": { "env": "API_GUARD_SECRET" }, "issuers": [ISSUER] });
    let set = remote_set("login", ISSUER, json!({}));
    let plugin = |keys: &[&Value], sets: &[&Value]| json!({ "tokens": { "keys": keys, "key_sets": sets }, "rate_limits": [] });
    let envoy = Envoy::start(Setup {
        clusters: vec![server.cluster("login")],
        concurrency: 2,
        replaceable: true,
        ..Setup::new(&plugin(&[&secret], &[]))
    });
    let old = token(json!({ "iss": ISSUER }));
    let new = key.token(Some("2026"), &payload(json!({ "iss": ISSUER })));
    Traffic::during(&envoy, |traffic| {
        traffic.send(&[&old]);
        // 1. The guard takes both.
        assert_eq!(envoy.push(&plugin(&[&secret], &[&set]).to_string()), Pushed::Accepted);
        traffic.go_on();
        envoy.drained();
        await_pass(&envoy, &new);
        // 2. The issuer changes over; old tokens live on until they expire.
        traffic.send(&[&old, &new]);
        traffic.send(&[&new]);
        // 3. The guard forgets the secret.
        assert_eq!(envoy.push(&plugin(&[], &[&set]).to_string()), Pushed::Accepted);
        traffic.go_on();
        envoy.drained();
        traffic.go_on();
    });
    Ask::get("/x").token(&old).send(&envoy, Protocol::Http1).refused(&envoy, 401, "token_algorithm_refused");
    assert_eq!(server.fetches(), 1, "the configuration that came last has asked for nothing");
    envoy.assert_healthy();
}
