//! What goes wrong around the module: contended cells, a dying VM under load, a service that is gone, configurations
//! pushed without end, bodies that are cut. What is pushed away, full or missing is in `limits_kept`, `limits_table`,
//! `revocation_workers` and `configuration`; a clock that jumps is in the tests of the core.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::hostile::{self, StopAtEnd, assert_only, classes, good_traffic, hostile_round};
use crate::http1;
use crate::http2;
use crate::kind;
use crate::load::Crowd;
use crate::process::{Envoy, Pushed, eventually};
use crate::setup::{Setup, policy};
use crate::token::token;
use crate::trap::{deadly, mortal_module};

#[test]
fn two_workers_that_hammer_one_key_admit_the_limit_and_count_what_they_could_not_settle() {
    const LIMIT: u64 = 20_000;
    const REQUESTS: usize = 30_000;
    let plugin = policy(json!({
        "unmatched_routes": "public",
        "rate_limits": [
            { "name": "hammered", "max_requests": LIMIT, "window_seconds": 3600, "key": ["header:x-key"] },
        ],
    }));
    let envoy = Envoy::start(Setup { concurrency: 2, loaded: true, ..Setup::new(&plugin) });
    let mut crowds = Crowd::gather(&envoy, 2, 8);
    let [passed, limited, other] = [const { AtomicU64::new(0) }; 3];
    let judge = |status| {
        let count = match status {
            200 => &passed,
            429 => &limited,
            _ => &other,
        };
        count.fetch_add(1, Ordering::Relaxed);
    };
    std::thread::scope(|scope| {
        for crowd in &mut crowds {
            scope.spawn(move || {
                (0..REQUESTS / 2).for_each(|_| crowd.ask("one", judge));
                crowd.finish(judge);
            });
        }
    });
    let [passed, limited, other] = [passed, limited, other].map(AtomicU64::into_inner);
    let outcome =
        |name: &str| envoy.counter(&format!("api_guard_rate_limit_total.limit.hammered.outcome.{name}"));
    let counted = || ["admitted", "warned", "refused", "contended"].map(outcome);
    // The module hands its counters over in batches.
    let [admitted, warned, refused, contended] = eventually("not all is counted", || {
        let counted = counted();
        (counted.iter().sum::<u64>() == REQUESTS as u64).then_some(counted)
    });
    eprintln!("{passed} passed, {limited} limited, {contended} of them contended");
    assert_eq!(other, 0, "contention is a limit's refusal, no fault");
    assert_eq!(admitted + warned, passed);
    assert_eq!(refused + contended, limited);
    // What a worker has set aside for its own busy callers may be left over; nothing is handed out twice.
    assert!(passed <= LIMIT && passed + contended >= LIMIT - LIMIT / 64, "{passed} of {LIMIT}");
    envoy.assert_healthy();
}

#[test]
fn good_requests_fail_only_while_envoy_reloads_a_vm() {
    if !kind::runs(kind::VM_DEATH) {
        return;
    }
    let plugin = policy(json!({
        "routes": [{ "path": "/spent", "rate_limits": [
            { "name": "one", "max_requests": 1, "window_seconds": 86400, "key": ["subject"] },
        ] }],
        "revocation": { "endpoint": { "path": "/auth/revoke", "required_permissions": ["tokens:revoke"] } },
    }));
    let envoy = Envoy::start(Setup { concurrency: 2, artefact: mortal_module(), ..Setup::new(&plugin) });
    let (mine, gone) = (token(json!({})), token(json!({ "sub": "user-9" })));
    Ask::get("/spent").token(&mine).send(&envoy, Protocol::Http1).forwarded(&envoy);
    assert_eq!(Ask::new("POST", "/auth/revoke").token(&gone).send(&envoy, Protocol::Http1).status, 200);
    let (stopped, passed, failed) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stopped);
        for protocol in BOTH {
            let (envoy, mine, gone) = (&envoy, &mine, &gone);
            let (stopped, passed, failed) = (&stopped, &passed, &failed);
            scope.spawn(move || {
                while !stopped.load(Ordering::Relaxed) {
                    let (_, outcome) = Ask::get("/x").token(mine).try_send(envoy, protocol);
                    // 503 is Envoy's, while it has no VM; nothing else is an answer to a good request.
                    match outcome.map_or(503, |reply| reply.status) {
                        200 => passed.fetch_add(1, Ordering::Relaxed),
                        503 => failed.fetch_add(1, Ordering::Relaxed),
                        status => panic!("{status}"),
                    };
                    for (path, token, right) in [("/spent", mine, 429), ("/x", gone, 401)] {
                        let (_, outcome) = Ask::get(path).token(token).try_send(envoy, protocol);
                        let status = outcome.map_or(503, |reply| reply.status);
                        assert!(status == right || status == 503, "{path}: {status}");
                    }
                }
            });
        }
        for _ in 0..4 {
            drop(deadly().try_send(&envoy, Protocol::Http1));
            // Each request is a connection of its own, and so meets either worker: after many that passed in a row,
            // both are back.
            let seen = || (failed.load(Ordering::Relaxed), passed.load(Ordering::Relaxed));
            let mut last = seen();
            eventually("good requests do not pass again", || {
                let now = seen();
                if now.0 != last.0 {
                    last = now;
                }
                (now.1 >= last.1 + 60).then_some(())
            });
        }
        stopped.store(true, Ordering::Relaxed);
    });
    let (passed, failed) = (passed.into_inner(), failed.into_inner());
    eprintln!("{passed} good requests passed, {failed} failed while a VM was reloaded");
    assert!(envoy.stat("wasm.api_guard.vm_reload_success") > 0, "{:?}", envoy.stats());
    // All is over: nothing fails any more, and nothing was forgotten.
    for worker in envoy.to_each_worker(1).iter_mut().flatten() {
        let reply = Ask::get("/x").token(&mine).send_on(worker);
        reply.forwarded(&envoy);
        Ask::get("/spent").token(&mine).send_on(worker).refused(&envoy, 429, "rate_limited");
        Ask::get("/x").token(&gone).send_on(worker).refused(&envoy, 401, "token_revoked");
    }
}

#[test]
fn requests_are_judged_though_the_service_is_gone() {
    let envoy = Envoy::start(Setup { service_gone: true, ..Setup::new(&policy(json!({}))) });
    for protocol in BOTH {
        for body in
            [Body::None, Body::Sized(b"{}".to_vec()), Body::Streamed(vec![b"{".to_vec(), b"}".to_vec()])]
        {
            let kind = if matches!(body, Body::None) { Ask::get("/x") } else { Ask::post("/x") };
            let ask = kind.body(body);
            ask.send(&envoy, protocol).refused(&envoy, 401, "token_missing");
            let reply = ask.token(&token(json!({}))).send(&envoy, protocol);
            assert_eq!(reply.status, 503, "{reply:?}");
            let details = envoy.access(&reply.test)["details"].to_string();
            assert!(details.contains("upstream_reset"), "it is Envoy's own answer: {details}");
        }
    }
    envoy.assert_healthy();
}

/// 40 pushes, or as many as `API_GUARD_PUSHES` says (200 by `make soak`).
#[test]
fn pushes_under_load_misjudge_nothing_and_cost_no_memory() {
    let pushes = std::env::var("API_GUARD_PUSHES").ok().filter(|text| !text.is_empty());
    let pushes: usize = pushes.map_or(40, |text| text.parse().expect("a number in API_GUARD_PUSHES"));
    let other = |number: usize| {
        let mut plugin: Value = serde_json::from_str(&hostile::setup().plugin).unwrap();
        plugin["limiter_capacity"] = json!(65_536);
        plugin["request"]["max_request_size_bytes"] = json!(1000 + number % 2);
        plugin.to_string()
    };
    let envoy = Envoy::start(Setup { replaceable: true, ..hostile::setup() });
    let classes = classes();
    let (stopped, good, hostile) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let mut memory = Vec::new();
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stopped);
        let friend = scope.spawn(|| good_traffic(&envoy, &stopped, &good));
        let foe = scope.spawn(|| {
            let mut wrong = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let (sent, failed) = hostile_round(&envoy, &classes);
                hostile.fetch_add(sent, Ordering::Relaxed);
                wrong.extend(failed);
            }
            wrong
        });
        for number in 0..pushes {
            assert_eq!(envoy.push(&other(number)), Pushed::Accepted);
            if number % 10 == 9 {
                envoy.drained();
                memory.push(envoy.resident_kib());
            }
        }
        stopped.store(true, Ordering::Relaxed);
        let wrong = [friend.join().unwrap(), foe.join().unwrap()].concat();
        assert!(wrong.is_empty(), "{} misjudged:\n{}", wrong.len(), wrong.join("\n"));
    });
    eprintln!(
        "{pushes} pushes, {good:?} good and {hostile:?} hostile requests, KiB after each ten: {memory:?}"
    );
    let (first, last) = (memory[0], memory[memory.len() - 1]);
    assert!(last <= first + 24 * 1024, "{memory:?}");
    assert_only(&envoy, "busy");
    envoy.assert_healthy();
}

#[test]
fn bodies_that_are_cut_leave_nothing_behind() {
    let plugin = policy(json!({
        "request": { "max_request_size_bytes": 100_000 },
        "revocation": { "endpoint": { "path": "/auth/revoke", "required_permissions": ["tokens:revoke"] } },
    }));
    let envoy = Envoy::start(Setup { concurrency: 2, ..Setup::new(&plugin) });
    let good = token(json!({ "permissions": ["tokens:revoke"] }));
    let half = br#"{"sub":"user-7","issued_before":99999"#;
    let cut = |round: usize| {
        for path in ["/x", "/auth/revoke"] {
            for body in [Body::Unfinished(half.to_vec()), Body::Declared("50000".to_owned())] {
                let ask = Ask::post(path).token(&good).body(body);
                if round.is_multiple_of(2) {
                    let mut connection = http1::Connection::open(envoy.address()).unwrap();
                    connection.write(&ask.http1());
                } else {
                    let mut connection = http2::Connection::open(envoy.address()).unwrap();
                    connection.send(&ask.http2(), &ask.body);
                }
                // And here the connection is gone.
            }
        }
    };
    // A few at a time: a proxy that is slow to see them go would have room for all of them at once, and keep it.
    let cut_rounds = |rounds: usize| {
        for first in (0..rounds).step_by(10) {
            (first..first + 10).for_each(cut);
            eventually("connections are left", || {
                (envoy.stat("http.ingress.downstream_cx_active") == 0).then_some(())
            });
        }
    };
    cut_rounds(100);
    let before = envoy.resident_kib();
    cut_rounds(300);
    let after = envoy.resident_kib();
    assert!(after <= before + 12 * 1024, "{before} KiB became {after}");
    // Half a revocation revokes nothing.
    for protocol in BOTH {
        Ask::post("/x").token(&good).send(&envoy, protocol).forwarded(&envoy);
    }
    envoy.assert_healthy();
}
