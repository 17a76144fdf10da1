//! Key sets that an issuer publishes: what tokens hear before the first set, while it changes, and whose keys they are.

use std::time::{Duration, Instant};

use api_guard_testkit::{IssuerKey, key_set};
use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::http1::Connection;
use crate::issuer::{HOST, ISSUER, KeyServer, Says, other_authority, remote_set, signed, signed_for};
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::token::{payload, token};

/// The numbers of workers that the tests run with.
const WORKERS: [u32; 2] = [1, 4];

/// A setup with a set `login` that `server` publishes.
fn setup(server: &KeyServer, changes: Value, workers: u32) -> Setup {
    let plugin = policy(json!({ "tokens": { "key_sets": [remote_set("login", ISSUER, changes)] } }));
    Setup { clusters: vec![server.cluster("login")], concurrency: workers, ..Setup::new(&plugin) }
}

/// One connection to each worker.
fn workers(envoy: &Envoy) -> Vec<Connection> {
    envoy.to_each_worker(1).into_iter().flatten().collect()
}

/// Waits until a token passes.
#[track_caller]
fn await_pass(envoy: &Envoy, token: &str) {
    eventually("a good token does not pass", || {
        let reply = Ask::get("/x").token(token).send(envoy, Protocol::Http1);
        if reply.status != 200 {
            reply.refused(envoy, 503, "keys_unavailable");
        }
        (reply.status == 200).then_some(())
    });
}

#[test]
fn before_the_first_set_its_own_tokens_are_answered_503_and_all_others_are_judged() {
    for (number, with_tls) in WORKERS.into_iter().flat_map(|number| [(number, false), (number, true)]) {
        let server = if with_tls { KeyServer::down_with_tls() } else { KeyServer::down() };
        let envoy = Envoy::start(setup(&server, json!({}), number));
        let mut connections = workers(&envoy);
        for connection in &mut connections {
            let ask = Ask::get("/x").token(&signed(1));
            ask.send_on(connection).refused(&envoy, 503, "keys_unavailable");
            Ask::get("/x").token(&token(json!({}))).send_on(connection).forwarded(&envoy);
            // Nobody publishes the keys of an issuer that nobody names.
            let stranger = Ask::get("/x").token(&signed_for("https://other.example.com/", 1));
            stranger.send_on(connection).refused(&envoy, 401, "token_key_unknown");
        }
        let outcome =
            |name: &str| envoy.counter(&format!("api_guard_key_set_fetches_total.set.login.outcome.{name}"));
        eventually("the refused connection is not counted", || (outcome("reset") > 0).then_some(()));
        server.go_up(Says::keys(&[1]));
        await_pass(&envoy, &signed(1));
        // From now on every worker has them.
        for connection in &mut connections {
            Ask::get("/x").token(&signed(1)).send_on(connection).forwarded(&envoy);
            Ask::get("/x").token(&signed(2)).send_on(connection).refused(&envoy, 401, "token_key_unknown");
        }
        assert_eq!(server.fetches(), 1, "the whole process has fetched once");
        let head = &server.heard()[0];
        assert!(head.starts_with("GET /keys?v=1 HTTP/1.1\r\n"), "{head}");
        assert!(head.contains(&format!("host: {HOST}\r\n")), "{head}");
        // Firewalls refuse who does not say what it is, and a set that comes compressed cannot be read.
        for header in ["user-agent: api-guard/", "accept: */*\r\n", "accept-encoding: identity\r\n"] {
            assert!(head.contains(header), "{head}");
        }
        assert!(!head.contains("authorization") && !head.contains("content-length"), "{head}");
        envoy.assert_healthy();
    }
}

#[test]
fn a_server_that_is_up_is_asked_once_at_the_start() {
    for number in WORKERS {
        let server = KeyServer::up(Says::keys(&[1, 2]));
        let envoy = Envoy::start(setup(&server, json!({}), number));
        await_pass(&envoy, &signed(1));
        for connection in &mut workers(&envoy) {
            Ask::get("/x").token(&signed(2)).send_on(connection).forwarded(&envoy);
        }
        assert_eq!(server.fetches(), 1);
        envoy.assert_healthy();
    }
}

/// Whether requests with `token` pass on every worker at once.
fn all_pass(envoy: &Envoy, connections: &mut [Connection], token: &str) -> bool {
    std::thread::scope(|scope| {
        let asked: Vec<_> = connections
            .iter_mut()
            .map(|connection| scope.spawn(|| Ask::get("/x").token(token).send_on(connection)))
            .collect();
        let replies = asked.into_iter().map(|asked| asked.join().unwrap());
        replies.fold(true, |all, reply| {
            if reply.status != 200 {
                reply.refused(envoy, 401, "token_key_unknown");
            }
            all && reply.status == 200
        })
    })
}

#[test]
fn a_new_key_is_accepted_by_all_workers_after_one_fetch_and_no_request_is_refused() {
    for (number, with_tls) in WORKERS.into_iter().flat_map(|number| [(number, false), (number, true)]) {
        let server = if with_tls { KeyServer::down_with_tls() } else { KeyServer::down() };
        server.go_up(Says::keys(&[1]));
        let envoy = Envoy::start(setup(&server, json!({ "min_refetch_seconds": 1 }), number));
        await_pass(&envoy, &signed(1));
        let mut connections = workers(&envoy);
        // A machine that is busy for longer than a request waits has no say in this: the next rotation has.
        let rotated = (2..12).find(|key| {
            std::thread::sleep(Duration::from_millis(1100));
            let (before, begun) = (server.fetches(), Instant::now());
            server.say(Says::keys(&[1, *key]));
            let passed = all_pass(&envoy, &mut connections, &signed(*key));
            server.await_fetches(before + 1);
            let fetches = server.fetches() - before;
            // The next one is due after a second, which a busy machine may need.
            let due = 1 + usize::try_from(begun.elapsed().as_secs()).unwrap();
            assert!((1..=due).contains(&fetches), "{fetches} fetches of {due}");
            eventually("the fetch does not end", || {
                let own = Ask::get("/x").token(&signed(*key)).send(&envoy, Protocol::Http1);
                (own.status == 200).then_some(())
            });
            assert!(all_pass(&envoy, &mut connections, &signed(1)));
            passed
        });
        assert!(rotated.is_some(), "a request with a new key is always refused");
        envoy.assert_healthy();
    }
}

#[test]
fn a_request_with_a_body_waits_and_goes_on_whole() {
    let server = KeyServer::up(Says::keys(&[1]));
    let changes = json!({ "min_refetch_seconds": 1, "timeout_milliseconds": 60_000 });
    let envoy = Envoy::start(setup(&server, changes, 2));
    await_pass(&envoy, &signed(1));
    let bodies = [Body::Sized(vec![b' '; 5000]), Body::Streamed(vec![vec![b' '; 3000], vec![b' '; 2000]])];
    let requests = BOTH.into_iter().flat_map(|protocol| bodies.iter().map(move |body| (protocol, body)));
    for (key, (protocol, body)) in (2..).zip(requests) {
        // A machine that is busy for longer than a request waits has no say in this: the next try has.
        let passed = (0..5).find_map(|_| {
            std::thread::sleep(Duration::from_millis(1100));
            server.say(Says::Later);
            let fetches = server.fetches();
            let token = signed(key);
            let reply = std::thread::scope(|scope| {
                let ask = Ask::post("/x").token(&token).body(body.clone());
                let envoy = &envoy;
                let asked = scope.spawn(move || ask.send(envoy, protocol));
                server.await_fetches(fetches + 1);
                // Its body has long come, and other requests pass meanwhile.
                Ask::get("/x").token(&signed(1)).send(envoy, Protocol::Http1).forwarded(envoy);
                server.say(Says::keys(&[1, key]));
                asked.join().unwrap()
            });
            eventually("the fetch does not end", || {
                let own = Ask::get("/x").token(&token).send(&envoy, Protocol::Http1);
                (own.status == 200).then_some(())
            });
            server.say(Says::keys(&[1]));
            if reply.status != 200 {
                reply.refused(&envoy, 401, "token_key_unknown");
                return None;
            }
            Some(reply)
        });
        let heard = passed.expect("a request with a new key is always refused").forwarded(&envoy);
        assert!(heard.complete && heard.body.len() == 5000, "{heard:?}");
    }
    envoy.assert_healthy();
}

#[test]
fn a_request_waits_half_a_second_for_the_fetch_and_takes_no_fetch_with_it_when_it_ends() {
    for number in WORKERS {
        let server = KeyServer::up(Says::keys(&[1]));
        let changes = json!({ "min_refetch_seconds": 1, "timeout_milliseconds": 60_000 });
        let envoy = Envoy::start(setup(&server, changes, number));
        await_pass(&envoy, &signed(1));
        std::thread::sleep(Duration::from_millis(1100));
        server.say(Says::Later);
        // The client that has made the guard fetch is gone before the keys are there, and so is one that has waited.
        let mut gone = Connection::open(envoy.address()).unwrap();
        gone.write(&Ask::get("/x").token(&signed(2)).http1());
        server.await_fetches(2);
        drop(gone);
        let started = Instant::now();
        Ask::get("/x").token(&signed(2)).send(&envoy, Protocol::Http1).refused(
            &envoy,
            401,
            "token_key_unknown",
        );
        assert!(started.elapsed().as_millis() >= 400, "{:?}", started.elapsed());
        Ask::get("/x").token(&signed(1)).send(&envoy, Protocol::Http1).forwarded(&envoy);
        server.say(Says::keys(&[2]));
        eventually("the fetch does not end", || {
            (Ask::get("/x").token(&signed(2)).send(&envoy, Protocol::Http1).status == 200).then_some(())
        });
        assert_eq!(server.fetches(), 2);
        envoy.assert_healthy();
    }
}

#[test]
fn a_key_that_has_left_the_set_verifies_nothing_though_its_tokens_were_remembered() {
    for number in WORKERS {
        let server = KeyServer::up(Says::keys(&[1, 2]));
        let envoy = Envoy::start(setup(&server, json!({ "min_refetch_seconds": 1 }), number));
        await_pass(&envoy, &signed(1));
        let (old, kept) = (signed(1), signed(2));
        let mut connections = workers(&envoy);
        for connection in &mut connections {
            for token in [&old, &kept, &old, &kept] {
                Ask::get("/x").token(token).send_on(connection).forwarded(&envoy);
            }
        }
        server.say(Says::keys(&[2]));
        std::thread::sleep(Duration::from_millis(1100));
        let unknown = Ask::get("/x").token(&signed(3)).send(&envoy, Protocol::Http1);
        unknown.refused(&envoy, 401, "token_key_unknown");
        // The unknown kid has waited for the fetch, unless that took longer than anybody waits.
        eventually("the fetch does not end", || {
            let name = "api_guard_key_set_fetches_total.set.login.outcome.ok";
            (envoy.counter(name) == 2).then_some(())
        });
        for connection in &mut connections {
            Ask::get("/x").token(&old).send_on(connection).refused(&envoy, 401, "token_key_unknown");
            Ask::get("/x").token(&kept).send_on(connection).forwarded(&envoy);
        }
        envoy.assert_healthy();
    }
}

#[test]
fn a_key_vouches_for_its_own_issuer_alone_though_another_has_the_same_kid() {
    let issuers = ["https://one.example.com/", "https://two.example.com/"];
    let jwk = |number: u8| IssuerKey::es256(number).jwk(Some("same"));
    let servers = [1, 2].map(|number| KeyServer::up(Says::body(key_set(&[jwk(number)]).to_string())));
    let sets = [remote_set("one", issuers[0], json!({})), remote_set("two", issuers[1], json!({}))];
    let plugin = policy(json!({ "tokens": { "key_sets": sets } }));
    let clusters = vec![servers[0].cluster("one"), servers[1].cluster("two")];
    let envoy = Envoy::start(Setup { clusters, concurrency: 2, ..Setup::new(&plugin) });
    let token = |issuer: &str, number: u8| {
        let claims = payload(json!({ "iss": issuer }));
        IssuerKey::es256(number).token(Some("same"), &claims)
    };
    await_pass(&envoy, &token(issuers[0], 1));
    await_pass(&envoy, &token(issuers[1], 2));
    for connection in &mut workers(&envoy) {
        for (issuer, number, good) in
            [(issuers[0], 1, true), (issuers[0], 2, false), (issuers[1], 1, false), (issuers[1], 2, true)]
        {
            let reply = Ask::get("/x").token(&token(issuer, number)).send_on(connection);
            if good {
                reply.forwarded(&envoy);
            } else {
                reply.refused(&envoy, 401, "token_signature_invalid");
            }
        }
    }
    assert_eq!(servers.map(|server| server.fetches()), [1, 1]);
    envoy.assert_healthy();
}

#[test]
fn a_server_that_the_authority_does_not_vouch_for_brings_no_keys() {
    let server = KeyServer::down_with_tls();
    server.go_up(Says::keys(&[1]));
    let cluster = server.cluster_trusting("login", Some(&other_authority()));
    let envoy = Envoy::start(Setup { clusters: vec![cluster], ..setup(&server, json!({}), 1) });
    let outcome = "api_guard_key_set_fetches_total.set.login.outcome.reset";
    eventually("the failed handshake is not counted", || (envoy.counter(outcome) > 1).then_some(()));
    Ask::get("/x").token(&signed(1)).send(&envoy, Protocol::Http1).refused(&envoy, 503, "keys_unavailable");
    Ask::get("/x").token(&token(json!({}))).send(&envoy, Protocol::Http1).forwarded(&envoy);
    assert_eq!(server.fetches(), 0);
    envoy.assert_healthy();
}

#[test]
fn a_cluster_that_envoy_does_not_have_costs_its_own_set_alone() {
    let server = KeyServer::up(Says::keys(&[1]));
    let sets = [
        remote_set("login", ISSUER, json!({})),
        remote_set("nowhere", "https://other.example.com/", json!({})),
    ];
    let plugin = policy(json!({ "tokens": { "key_sets": sets } }));
    let envoy = Envoy::start(Setup { clusters: vec![server.cluster("login")], ..Setup::new(&plugin) });
    await_pass(&envoy, &signed(1));
    let outcome = "api_guard_key_set_fetches_total.set.nowhere.outcome.reset";
    eventually("what cannot be sent is not counted", || (envoy.counter(outcome) > 0).then_some(()));
    let other = signed_for("https://other.example.com/", 1);
    Ask::get("/x").token(&other).send(&envoy, Protocol::Http1).refused(&envoy, 503, "keys_unavailable");
    envoy.assert_healthy();
}
