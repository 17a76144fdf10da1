//! Every class of hostile request, in one Envoy, while good clients go on beside it over both protocols.
//!
//! Each class has its own, closer tests elsewhere (`tokens`, `transport`, `forwarding`, `paths`, `bodies`, `form`,
//! `bytes`, `grpc`, `held_bodies`, `revocation_table`, `limits_table`); here is what they do together: the right answer to
//! each, 100 good requests of 100, nothing forged at the service, no dead VM, no 5xx but for want of room, and memory that
//! comes back to where it was. `make soak` sends the same for as long as it is told to.
//!
//! A class is one request, from `tokens`, `headers`, `paths` or `bodies`; or a scene, which takes several, from
//! `revocations`, `streams` or `floods`. A scene takes subjects and `jti`s of its own each time, and less than a second.
//! Scenes that take longer are in `lasting`, and go on beside the others, all at once. Those that fill a table are in
//! `tables`, and have an Envoy of their own.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::ask::{Ask, BOTH, Body};
use crate::observed::counted;
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::token::token;

mod bodies;
mod class;
mod floods;
mod headers;
mod lasting;
mod parked;
mod paths;
mod revocations;
mod streams;
mod tables;
mod tokens;

pub(crate) use class::{Class, hostile_crowd, hostile_round};
use class::{fresh, number, over, scene};
pub(crate) use lasting::lasting;
pub(crate) use tables::{crowded, crowding};

/// Rounds of every class before memory is looked at, and after.
const WARM_ROUNDS: usize = 2;
const ROUNDS: usize = 6;
/// The first fills the tables, the second finds them full.
const CROWDED_ROUNDS: usize = 2;
/// How much memory may differ, KiB: Envoy's allocator keeps pages it has used.
const SLACK_KIB: u64 = 12 * 1024;
/// What hostile requests say where a client is not believed. The service must never hear it.
const FORGED: &str = "Zq7-forged";
/// How many bytes of bodies are held back at a time.
const ROOM: usize = 1 << 20;

/// An Envoy that reads everything that hostile requests are about.
pub(crate) fn setup() -> Setup {
    let policy = policy(json!({
        "tokens": {
            "sources": [
                { "header": "authorization", "scheme": "Bearer" }, { "header": "x-token" }, { "cookie": "session" },
            ],
            "max_token_age_hours": 1,
            "token_too_old": "reject",
        },
        "request": {
            "max_request_size_bytes": 1000,
            "max_held_bytes": ROOM,
            "allowed_methods": ["GET", "POST", "PUT", "DELETE"],
        },
        "client_ip": { "from": "x-envoy-external-address" },
        "limiter_capacity": 64,
        "routes": [
            { "path": "/public/{*rest}", "access": "public" },
            { "path": "/admin", "required_permissions": ["admin:all"] },
            { "path": "/users/{id}", "bind": { "id": "sub" } },
            { "path": "/hosted", "hosts": ["*.example.org"], "access": "public" },
            { "path": "/limited", "rate_limits": [
                { "name": "few", "max_requests": 1, "window_seconds": 86400, "key": ["claim:tenant"] },
            ] },
            { "path": "/addressed", "access": "public", "rate_limits": [
                { "name": "address", "max_requests": 1, "window_seconds": 86400, "key": ["client_ip"] },
            ] },
            { "path": "/made-up/{*rest}", "access": "public", "rate_limits": [
                { "name": "path", "max_requests": 1, "window_seconds": 600, "key": ["path"] },
            ] },
            { "path": "/honest", "rate_limits": [
                { "name": "subject", "max_requests": 1, "window_seconds": 1, "key": ["subject"] },
            ] },
            { "path": "/upload", "access": "public", "max_request_size_bytes": ROOM },
        ],
        "forward": { "claims": { "tenant": "x-auth-tenant" } },
        "revocation": { "endpoint": { "path": "/auth/revoke", "required_permissions": ["tokens:revoke"] } },
    }));
    Setup {
        concurrency: 2,
        delayed_close_seconds: 0.02,
        trailers: true,
        manager: json!({
            "upgrade_configs": [{ "upgrade_type": "websocket" }],
            "internal_address_config": { "cidr_ranges": [{ "address_prefix": "127.0.0.0", "prefix_len": 8 }] },
        }),
        ..Setup::new(&policy)
    }
}

/// All classes. Their tokens are valid for an hour.
pub(crate) fn classes() -> Vec<Class> {
    let all = [
        tokens::classes,
        headers::classes,
        paths::classes,
        bodies::classes,
        revocations::classes,
        streams::classes,
        floods::classes,
    ];
    all.into_iter().flat_map(|classes| classes()).collect()
}

/// What a well-behaved client sends; the answer is 200.
pub(crate) fn good() -> Vec<Ask> {
    let mine = token(json!({ "permissions": ["orders:read", "admin:all"], "tenant": "good" }));
    vec![
        Ask::get("/x").token(&mine),
        Ask::get("/admin").token(&mine),
        Ask::get("/users/user-7").token(&mine),
        Ask::get("/public/a%20b/"),
        Ask::post("/x").token(&mine).body(Body::Sized(br#"{"a":1}"#.to_vec())),
        Ask::get("/x").header("cookie", format!("a=1; session={mine}")),
    ]
}

/// Good requests over both protocols until `stopped`; how many there were, and each that had another answer than 200.
pub(crate) fn good_traffic(envoy: &Envoy, stopped: &AtomicBool, sent: &AtomicU64) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut made, mut asks) = (Instant::now(), good());
    while !stopped.load(Ordering::Relaxed) {
        // Their tokens are good for an hour.
        if made.elapsed() > Duration::from_secs(1200) {
            (made, asks) = (Instant::now(), good());
        }
        for (number, ask) in asks.iter().enumerate() {
            let protocol = BOTH[number % 2];
            let (_, outcome) = ask.try_send(envoy, protocol);
            sent.fetch_add(1, Ordering::Relaxed);
            if !outcome.as_ref().is_ok_and(|reply| reply.status == 200) {
                wrong.push(format!("{ask:?} over {protocol:?}: {outcome:?}"));
            }
        }
    }
    wrong
}

/// Every reply of 5xx was for want of room: for bodies (`busy`), or in the table of revocations (`revocation_full`).
#[track_caller]
pub(crate) fn assert_only(envoy: &Envoy, code: &str) {
    eventually("a 5xx that is not for want of room", || {
        (envoy.stat("http.ingress.downstream_rq_5xx") == counted(envoy, "refused", code)).then_some(())
    });
}

/// Nothing that a client forged has reached the service, and wherever a token is needed its subject has, once.
#[track_caller]
fn assert_nothing_forged(envoy: &Envoy) {
    const PUBLIC: [&str; 5] = ["/public/", "/hosted", "/addressed", "/made-up/", "/upload"];
    for heard in envoy.upstream.all() {
        let mut fields = heard.headers.iter().chain(&heard.trailers);
        let says = |text: &[u8]| text.windows(FORGED.len()).any(|part| part == FORGED.as_bytes());
        assert!(!fields.any(|(_, value)| says(value)), "{heard:?}");
        let is_public = PUBLIC.iter().any(|path| heard.target.starts_with(path));
        assert_eq!(heard.all("x-auth-subject").len(), usize::from(!is_public), "{heard:?}");
    }
}

/// What the module logged is printable ASCII, whatever was sent.
#[track_caller]
fn assert_log_is_ascii(envoy: &Envoy) {
    let written = envoy.written();
    let mut lines = written.lines().filter(|line| line.contains("\"event\":")).peekable();
    assert!(lines.peek().is_some());
    for line in lines {
        assert!(line.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{}", line.escape_debug());
    }
}

#[test]
fn every_class_gets_its_answer_while_all_good_requests_pass() {
    let envoy = Envoy::start(setup());
    let (classes, lasting) = (classes(), lasting());
    let (stopped, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stopped);
        let clients = [(); 2].map(|()| scope.spawn(|| good_traffic(&envoy, &stopped, &sent)));
        for class in &classes {
            class.judge_whole(&envoy);
        }
        let beside = scope.spawn(|| hostile_crowd(&envoy, &lasting));
        let mut total = 0;
        let mut judge = |(sent, wrong): (u64, Vec<String>)| {
            assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
            total += sent;
        };
        let mut rounds = |rounds| (0..rounds).for_each(|_| judge(hostile_round(&envoy, &classes)));
        rounds(WARM_ROUNDS);
        let before = envoy.resident_kib();
        rounds(ROUNDS);
        let after = envoy.resident_kib();
        judge(beside.join().unwrap());
        stopped.store(true, Ordering::Relaxed);
        for client in clients {
            let wrong = client.join().unwrap();
            assert!(wrong.is_empty(), "{} good requests failed:\n{}", wrong.len(), wrong.join("\n"));
        }
        let good = sent.load(Ordering::Relaxed);
        eprintln!(
            "{} classes, {total} hostile ones sent, {good} good requests, {before} KiB, then {after} KiB",
            classes.len() + lasting.len()
        );
        assert!(good > total / 10, "{good} good requests beside {total}");
        assert!(after <= before + SLACK_KIB, "{before} KiB became {after}");
    });
    assert_only(&envoy, "busy");
    assert_nothing_forged(&envoy);
    assert_log_is_ascii(&envoy);
    envoy.assert_healthy();
}

#[test]
fn whoever_fills_a_table_crowds_out_no_good_caller() {
    let (envoy, classes) = (Envoy::start(crowded()), crowding());
    for _ in 0..CROWDED_ROUNDS {
        let (_, wrong) = hostile_round(&envoy, &classes);
        assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    }
    assert_only(&envoy, "revocation_full");
    envoy.assert_healthy();
}

/// Stops the clients even if a test fails, which could not end otherwise.
pub(crate) struct StopAtEnd<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
