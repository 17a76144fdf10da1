//! Three Envoys that share limits and revocations through a real store, with modules or libraries, or both.

use api_guard_testkit::lay_over;
use serde_json::{Value, json};

use crate::ask::{Ask, Body, Protocol};
use crate::kind::Kind;
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::store::Store;
use crate::token::token;

const SECRET: &str = "a secret of the fleet, of more than 32 bytes";

/// An Envoy of the fleet. `changes`: laid over its configuration.
fn envoy(store: &Store, changes: Value) -> Envoy {
    envoy_of(Kind::under_test(), 1, store, changes)
}

/// An Envoy of the fleet that loads a kind of its own, and has so many workers.
fn envoy_of(kind: Kind, concurrency: u32, store: &Store, changes: Value) -> Envoy {
    let mut plugin = json!({ "fleet": { "cluster": "store", "secret": { "env": "API_GUARD_FLEET_SECRET" }, "timeout_milliseconds": 1000 } });
    lay_over(&mut plugin, &changes);
    let mut setup =
        Setup { clusters: vec![store.cluster()], concurrency, ..Setup::of(kind, &policy(plugin)) };
    setup.environment.push(("API_GUARD_FLEET_SECRET", SECRET.to_owned()));
    setup.environment.push(("API_GUARD_REDIS_PASSWORD", "a password".to_owned()));
    Envoy::start(setup)
}

fn limit(max_requests: u32, changes: Value) -> Value {
    let mut limit = json!({ "name": "all", "max_requests": max_requests, "window_seconds": 60, "key": ["subject"], "scope": "fleet" });
    lay_over(&mut limit, &changes);
    json!({ "rate_limits": [limit] })
}

fn status(envoy: &Envoy, token: &str) -> u16 {
    Ask::get("/x").token(token).send(envoy, Protocol::Http1).status
}

fn calls(envoy: &Envoy, purpose: &str, result: &str) -> u64 {
    envoy.counter(&format!("api_guard_fleet_calls_total.use.{purpose}.result.{result}"))
}

/// Waits until the Envoys have heard of each other.
fn await_nodes(envoys: &[Envoy]) {
    for envoy in envoys {
        eventually("an Envoy does not count the others", || {
            let count = u64::try_from(envoys.len()).unwrap();
            (envoy.counter("api_guard_fleet_nodes") == count).then_some(())
        });
    }
}

#[test]
fn three_envoys_admit_what_one_limit_says() {
    let Some(store) = Store::up() else { return };
    admit_what_one_limit_says(&[(); 3].map(|()| envoy(&store, limit(60, json!({})))));
}

/// Asks Envoys in turn that share a limit of 60.
fn admit_what_one_limit_says(envoys: &[Envoy]) {
    let token = token(json!({}));
    let mut admitted = 0;
    for round in 0..60 {
        for envoy in envoys {
            let status = status(envoy, &token);
            assert!(status == 200 || status == 429, "{status} in round {round}");
            admitted += u32::from(status == 200);
        }
    }
    assert!((51..=60).contains(&admitted), "{admitted} of 60");
    for envoy in envoys {
        assert!(calls(envoy, "limit", "ok") > 0);
        envoy.assert_healthy();
    }
}

#[test]
fn modules_and_a_library_share_a_limit_and_revocations() {
    if !Kind::Module.is_built() || !Kind::Native.is_built() {
        println!("SKIPPED: make build native");
        return;
    }
    let Some(store) = Store::up() else { return };
    let kinds = [(Kind::Module, 1), (Kind::Native, 2), (Kind::Module, 1)];
    let mut shared = limit(60, json!({}));
    shared["revocation"] = json!({ "endpoint": {}, "fleet": {} });
    let envoys = kinds.map(|(kind, workers)| envoy_of(kind, workers, &store, shared.clone()));
    await_nodes(&envoys);
    // By the library, and by a module.
    for (number, by) in [1, 0].into_iter().enumerate() {
        let revoked = token(json!({ "sub": format!("caller {number}"), "jti": number.to_string() }));
        assert_eq!(status(&envoys[by], &revoked), 200);
        let reply =
            Ask::post("/auth/revoke").token(&revoked).body(Body::None).send(&envoys[by], Protocol::Http1);
        assert_eq!(reply.status, 200, "{reply:?}");
        for envoy in &envoys {
            eventually("an Envoy does not learn of it", || (status(envoy, &revoked) == 401).then_some(()));
        }
    }
    admit_what_one_limit_says(&envoys);
}

#[test]
fn what_one_envoy_revokes_all_refuse_and_neither_restart_forgets() {
    let Some(store) = Store::up() else { return };
    let shared = || json!({ "revocation": { "endpoint": {}, "fleet": {} } });
    let mut envoys = vec![envoy(&store, shared()), envoy(&store, shared())];
    let revoked = token(json!({ "jti": "one" }));
    let good = token(json!({ "jti": "two" }));
    let reply = Ask::post("/auth/revoke").token(&revoked).body(Body::None).send(&envoys[0], Protocol::Http1);
    assert_eq!(reply.status, 200, "{reply:?}");
    assert_eq!(status(&envoys[0], &revoked), 401);
    eventually("the other Envoy does not learn of it", || {
        (status(&envoys[1], &revoked) == 401).then_some(())
    });
    // An Envoy that starts answers nobody before it knows.
    envoys.push(envoy(&store, shared()));
    assert_eq!(status(&envoys[2], &revoked), 401);
    // A store that lost everything is told again, and an Envoy that starts then knows too.
    store.command(&["FLUSHALL"]);
    eventually("the store is not told again", || (store.command(&["DBSIZE"]) != ":0\r\n").then_some(()));
    eventually("an Envoy that starts does not know", || {
        let newcomer = envoy(&store, shared());
        assert_eq!(status(&newcomer, &good), 200);
        (status(&newcomer, &revoked) == 401).then_some(())
    });
    for envoy in &envoys {
        assert_eq!(status(envoy, &good), 200);
        envoy.assert_healthy();
    }
}

#[test]
fn without_a_store_each_limit_does_what_it_is_to_do() {
    std::thread::scope(|scope| {
        for (when, admitted, refused) in [("share", 10, 429), ("alone", 30, 429), ("refuse", 0, 503)] {
            scope.spawn(move || without_a_store(when, admitted, refused));
        }
    });
}

/// The first Envoy of three admits so many of 40 requests, and answers the others so, while the store is down.
fn without_a_store(when: &str, admitted: usize, refused: u16) {
    let Some(store) = Store::up() else { return };
    let envoys = [(); 3].map(|()| envoy(&store, limit(30, json!({ "when_unreachable": when }))));
    let is_reached = |yes: u64| envoys[0].counter("api_guard_fleet_reachable") == yes;
    await_nodes(&envoys);
    store.kill();
    eventually("the store is still reached", || is_reached(0).then_some(()));
    let token = token(json!({}));
    let statuses: Vec<u16> = (0..40).map(|_| status(&envoys[0], &token)).collect();
    let passed = statuses.iter().filter(|status| **status == 200).count();
    assert_eq!(passed, admitted, "{when}: {statuses:?}");
    assert!(statuses[admitted..].iter().all(|status| *status == refused), "{when}: {statuses:?}");
    store.start(&[]);
    eventually("the store is not reached again", || is_reached(1).then_some(()));
    envoys.iter().for_each(Envoy::assert_healthy);
}

#[test]
fn a_store_that_wants_a_password_gets_it_and_a_wrong_one_is_said() {
    let Some(store) = Store::up() else { return };
    store.kill();
    store.start(&["--requirepass", "a password"]);
    let with = |name: &str| {
        let fleet = json!({ "cluster": "store", "secret": { "env": "API_GUARD_FLEET_SECRET" }, "password": { "env": name } });
        let mut changes = limit(3, json!({}));
        changes["fleet"] = fleet;
        envoy(&store, changes)
    };
    let right = with("API_GUARD_REDIS_PASSWORD");
    let token = token(json!({}));
    eventually("the store is not reached", || {
        (right.counter("api_guard_fleet_reachable") == 1).then_some(())
    });
    let statuses: Vec<u16> = (0..5).map(|_| status(&right, &token)).collect();
    assert_eq!(statuses, [200, 200, 200, 429, 429]);
    right.assert_healthy();
    let wrong = with("API_GUARD_SECRET");
    eventually("no call is denied", || (calls(&wrong, "heartbeat", "denied") > 0).then_some(()));
    eventually("nothing is said of it", || wrong.written().contains(r#""event":"fleet""#).then_some(()));
}
