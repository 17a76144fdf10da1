//! What was spent and what was revoked outlives a pushed configuration and the death of a VM.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ask::{Ask, Protocol};
use crate::kind;
use crate::process::{Envoy, Pushed, eventually};
use crate::setup::{Setup, policy};
use crate::token::token;
use crate::trap::{deadly, mortal_module};

fn ask(claims: Value) -> Ask {
    Ask::get("/x").token(&token(claims))
}

/// Pushes, and waits until every worker has it, which a public path of its own tells.
fn push(envoy: &Envoy, number: u32, mut changed: Value) {
    let path = format!("/push-{number}");
    changed["routes"] = json!([{ "path": path, "access": "public" }]);
    assert_eq!(envoy.push(&policy(changed).to_string()), Pushed::Accepted);
    eventually("the push has no effect", || {
        let mut connections = envoy.to_each_worker(1);
        let mut workers = connections.iter_mut().flatten();
        workers.all(|worker| Ask::get(&path).send_on(worker).status != 401).then_some(())
    });
}

#[test]
fn changed_numbers_keep_what_was_spent() {
    let limited = |max_requests: u32, window_seconds: u32, mut other: Value| {
        other["rate_limits"] = json!([
            { "name": "one", "max_requests": max_requests, "window_seconds": window_seconds, "key": ["subject"] },
        ]);
        other
    };
    let setup = Setup::new(&policy(limited(3, 600, json!({}))));
    let envoy = Envoy::start(Setup { replaceable: true, concurrency: 2, ..setup });
    let ask = ask(json!({}));
    let admitted = || (0..10).filter(|_| ask.send(&envoy, Protocol::Http1).status == 200).count();
    assert_eq!(admitted(), 3);
    push(&envoy, 1, limited(5, 600, json!({})));
    assert_eq!(admitted(), 2, "a wider limit admits the difference");
    push(&envoy, 2, limited(4, 600, json!({})));
    assert_eq!(admitted(), 0, "a tighter one nothing");
    push(&envoy, 3, limited(7, 900, json!({})));
    assert_eq!(admitted(), 2, "another window takes along what was spent");
    push(&envoy, 4, limited(7, 300, json!({})));
    assert_eq!(admitted(), 0);
    let others =
        json!({ "request": { "max_request_size_bytes": 1000 }, "limiter_capacity": 100, "mode": "enforce" });
    push(&envoy, 5, limited(7, 300, others));
    assert_eq!(admitted(), 0, "other settings change nothing");
    envoy.assert_healthy();
}

#[test]
fn the_death_of_a_vm_forgives_nothing() {
    if !kind::runs(kind::VM_DEATH) {
        return;
    }
    let many = 1000;
    let plugin = policy(json!({
        "routes": [
            { "path": "/health", "access": "public" },
            { "path": "/many", "rate_limits": [
                { "name": "many", "max_requests": many, "window_seconds": 3600, "key": ["subject"] },
            ] },
            { "path": "/few", "rate_limits": [
                { "name": "few", "max_requests": 7, "window_seconds": 3600, "key": ["subject"] },
            ] },
        ],
        "revocation": { "endpoint": { "path": "/auth/revoke", "required_permissions": ["tokens:revoke"] } },
    }));
    let envoy = Envoy::start(Setup { concurrency: 2, artefact: mortal_module(), ..Setup::new(&plugin) });
    let mine = token(json!({}));
    let revoked = token(json!({ "jti": "over" }));
    let spend = |path: &str, times: usize| {
        let mut connections = envoy.to_each_worker(1);
        let mut workers: Vec<_> = connections.iter_mut().flatten().collect();
        let ask = Ask::get(path).token(&mine);
        let last = workers.len();
        (0..times).filter(|time| ask.send_on(workers[time % last]).status == 200).count()
    };
    assert_eq!(spend("/few", 3), 3);
    assert_eq!(spend("/many", 501), 501);
    let logout = Ask::new("POST", "/auth/revoke").token(&revoked).send(&envoy, Protocol::Http1);
    assert_eq!(logout.status, 200, "{logout:?}");
    for victim in 0..2 {
        let mut connections = envoy.to_each_worker(1);
        let reply = deadly().send_on(&mut connections[victim][0]);
        assert_eq!(reply.status, 503, "{reply:?}");
        assert_eq!(envoy.access(&reply.test)["details"], "wasm_fail_stream");
        comes_back(&envoy, victim);
    }
    assert_eq!(spend("/few", 10), 4, "what was left of seven");
    let left = spend("/many", many);
    // A lease that died with its worker is lost to everybody, never handed out again.
    assert!(left <= many - 501 && left >= many - 501 - 2 * (many / 128), "{left} of the other 499");
    for worker in envoy.to_each_worker(1).iter_mut().flatten() {
        Ask::get("/health").token(&revoked).send_on(worker).forwarded(&envoy);
        Ask::get("/few").token(&revoked).send_on(worker).refused(&envoy, 401, "token_revoked");
    }
    assert!(envoy.stat("wasm.api_guard.vm_reload_success") >= 2, "{:?}", envoy.stats());
}

/// While Envoy reloads one worker's VM, that worker's good requests get 503, and the other's pass. Then all pass again.
fn comes_back(envoy: &Envoy, victim: usize) {
    let good = Ask::get("/health");
    let (start, mut back) = (Instant::now(), 0);
    while back < 20 {
        let mut connections = envoy.to_each_worker(1);
        for (worker, connection) in connections.iter_mut().flatten().enumerate() {
            let reply = good.send_on(connection);
            match reply.status {
                200 => back += usize::from(worker == victim),
                503 => {
                    assert!(
                        worker == victim && back == 0,
                        "worker {worker} after {back} good replies: {reply:?}"
                    );
                    assert!(envoy.upstream.heard(&reply.test).is_empty());
                }
                _ => panic!("{reply:?}"),
            }
        }
        assert!(start.elapsed() < Duration::from_secs(60), "the VM does not come back");
        std::thread::sleep(Duration::from_millis(10));
    }
}
