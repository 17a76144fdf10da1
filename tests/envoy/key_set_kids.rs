//! Kids that a key set does not have: how many fetches they cause, and what else they cost.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use api_guard_testkit::IssuerKey;
use serde_json::json;

use crate::ask::{Ask, Protocol};
use crate::http1::{Connection, all_at_once};
use crate::issuer::{ISSUER, KeyServer, Says, remote_set, signed};
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::token::{base64url, payload};

/// A token that names this kid. Nobody gets as far as its signature.
fn unknown(kid: &str) -> String {
    let header = json!({ "alg": "ES256", "kid": kid }).to_string();
    let claims = payload(json!({ "iss": ISSUER })).to_string();
    format!("{}.{}.{}", base64url(header), base64url(claims), base64url([7; 64]))
}

#[test]
fn ten_thousand_unknown_kids_cause_at_most_one_fetch_in_the_time_that_lies_between_two() {
    const KIDS: usize = 10_000;
    const REST: Duration = Duration::from_secs(10);
    for (workers, answers) in [(1, true), (4, false)] {
        let server = KeyServer::up(Says::keys(&[1]));
        let changes = json!({ "min_refetch_seconds": REST.as_secs(), "timeout_milliseconds": 60_000 });
        let plugin = policy(json!({ "tokens": { "key_sets": [remote_set("login", ISSUER, changes)] } }));
        let clusters = vec![server.cluster("login")];
        let envoy = Envoy::start(Setup { clusters, concurrency: workers, ..Setup::new(&plugin) });
        let passes = || Ask::get("/x").token(&signed(1)).send(&envoy, Protocol::Http1).status == 200;
        eventually("a good token does not pass", || passes().then_some(()));
        std::thread::sleep(REST);
        let before = server.fetches();
        if !answers {
            server.say(Says::Later);
        }
        let mut connections: Vec<Connection> = envoy.to_each_worker(4).into_iter().flatten().collect();
        let each = KIDS / connections.len();
        let waited = AtomicU64::new(0);
        let started = Instant::now();
        std::thread::scope(|scope| {
            for (client, connection) in connections.iter_mut().enumerate() {
                let (envoy, waited) = (&envoy, &waited);
                scope.spawn(move || {
                    for number in 0..each {
                        // While the fetch goes on each of them waits for it: then a few are enough.
                        if !answers && number == 8 {
                            return;
                        }
                        let began = Instant::now();
                        let ask = Ask::get("/x").token(&unknown(&format!("{client}-{number}")));
                        ask.send_on(connection).refused(envoy, 401, "token_key_unknown");
                        if began.elapsed() > Duration::from_millis(400) {
                            waited.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
        });
        // As often as the configuration allows in the time that this machine has taken for it, and at least once.
        let most = 1 + usize::try_from(started.elapsed().as_secs() / REST.as_secs()).unwrap();
        let fetches = server.fetches() - before;
        eprintln!("{workers} workers: {fetches} fetches in {:?}, {waited:?} waited", started.elapsed());
        assert!((1..=most).contains(&fetches), "{fetches} of {most}");
        if !answers {
            assert!(waited.into_inner() > 0);
            assert_eq!(fetches, 1, "one that has not ended is the only one");
        }
        assert!(passes(), "a good token");
        envoy.assert_healthy();
    }
}

#[test]
fn nothing_that_a_token_says_makes_the_guard_fetch_from_elsewhere() {
    let server = KeyServer::up(Says::keys(&[1]));
    let other = KeyServer::up(Says::keys(&[2]));
    let changes = json!({ "min_refetch_seconds": 1, "refresh_seconds": 1 });
    let plugin = policy(json!({ "tokens": { "key_sets": [remote_set("login", ISSUER, changes)] } }));
    // Envoy could reach the other one.
    let clusters = vec![server.cluster("login"), other.cluster("other")];
    let envoy = Envoy::start(Setup { clusters, ..Setup::new(&plugin) });
    let claims = payload(json!({ "iss": ISSUER }));
    let token = |kid: &str, number: u8| {
        let url = format!("http://{}/keys", other.address());
        let key = IssuerKey::es256(number);
        let header = json!({
            "alg": "ES256", "kid": kid, "jku": url, "x5u": url, "jwk": key.jwk(None), "x5c": ["AQAB"],
        });
        key.token_with(&header, &claims)
    };
    eventually("a good token does not pass", || {
        (Ask::get("/x").token(&token("1", 1)).send(&envoy, Protocol::Http1).status == 200).then_some(())
    });
    let fetches = server.fetches();
    while server.fetches() < fetches + 3 {
        for (token, code) in [
            (token("2", 2), "token_key_unknown"),
            (token("other", 2), "token_key_unknown"),
            (token("1", 2), "token_signature_invalid"),
        ] {
            Ask::get("/x").token(&token).send(&envoy, Protocol::Http1).refused(&envoy, 401, code);
        }
    }
    assert_eq!(other.fetches(), 0);
    envoy.assert_healthy();
}

#[test]
fn unknown_kids_make_no_series_and_cost_no_memory() {
    let server = KeyServer::up(Says::keys(&[1]));
    let changes = json!({ "min_refetch_seconds": 1, "refresh_seconds": 1 });
    let plugin = policy(json!({ "tokens": { "key_sets": [remote_set("login", ISSUER, changes)] } }));
    let envoy =
        Envoy::start(Setup { clusters: vec![server.cluster("login")], loaded: true, ..Setup::new(&plugin) });
    let mut connection = Connection::open(envoy.address()).unwrap();
    let mut flood = |round: usize| {
        for number in 0..4_000 {
            let ask = Ask::get("/x").token(&unknown(&format!("{round}.{number}")));
            connection.exchange(&ask.http1(), false).unwrap();
        }
        (envoy.resident_kib(), envoy.stats().len())
    };
    flood(0);
    let before = flood(1);
    let after = (2..4).map(&mut flood).last().unwrap();
    assert_eq!(before.1, after.1, "metrics");
    assert!(after.0 <= before.0 + 4 * 1024, "{before:?} KiB became {after:?}");
    envoy.assert_healthy();
}

#[test]
fn any_number_of_requests_may_wait_for_one_fetch() {
    let server = KeyServer::up(Says::keys(&[1]));
    let changes = json!({ "min_refetch_seconds": 1, "timeout_milliseconds": 60_000 });
    let plugin = policy(json!({ "tokens": { "key_sets": [remote_set("login", ISSUER, changes)] } }));
    let envoy = Envoy::start(Setup { clusters: vec![server.cluster("login")], ..Setup::new(&plugin) });
    let passes = || Ask::get("/x").token(&signed(1)).send(&envoy, Protocol::Http1).status == 200;
    eventually("a good token does not pass", || passes().then_some(()));
    server.say(Says::Later);
    std::thread::sleep(Duration::from_millis(1100));
    let request = Ask::get("/x").token(&unknown("nobody")).http1();
    for reply in all_at_once(envoy.address(), &request, 1500) {
        assert_eq!(reply.verdict(), "401 token_key_unknown");
    }
    assert!(passes());
    envoy.assert_healthy();
}
