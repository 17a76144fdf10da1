//! A key is replaced under traffic as `docs/operations.md` says, and no request with a good token fails.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use serde_json::{Value, json};

use crate::ask::{Ask, Protocol};
use crate::http1;
use crate::kind::Kind;
use crate::process::{Envoy, Pushed, eventually};
use crate::setup::{Setup, policy};
use crate::token::{SECRET, payload, sign_with};

const NEW_SECRET: &str = "the-secret-that-comes-next-is-as-long-as-the-old";

/// Clients that never pause: what they send, and what went wrong.
#[derive(Default)]
pub(crate) struct Traffic {
    tokens: Mutex<Vec<String>>,
    failures: Mutex<Vec<String>>,
    /// Rounds of each client: so many times it has sent every token.
    rounds: [AtomicU32; 3],
    stopped: AtomicBool,
}

/// Stops the clients also when a test fails: it could not end otherwise.
struct Stop<'a>(&'a Traffic);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.stopped.store(true, Ordering::Relaxed);
    }
}

impl Traffic {
    /// Changes what is sent, and waits until nothing else is under way.
    #[track_caller]
    pub(crate) fn send(&self, tokens: &[&String]) {
        *self.tokens.lock().unwrap() = tokens.iter().map(|token| (*token).clone()).collect();
        self.go_on();
    }

    /// Waits until every client has sent everything twice: once at least from beginning to end.
    #[track_caller]
    pub(crate) fn go_on(&self) {
        let before: Vec<_> = self.rounds.iter().map(|rounds| rounds.load(Ordering::Relaxed)).collect();
        eventually("a client does not go on", || {
            let mut both = self.rounds.iter().zip(&before);
            both.all(|(rounds, before)| rounds.load(Ordering::Relaxed) >= before + 2).then_some(())
        });
        let failures = self.failures.lock().unwrap();
        assert!(failures.is_empty(), "{failures:?}");
    }

    /// Runs the clients while `call` does what it does, none of whose requests may fail.
    pub(crate) fn during(envoy: &Envoy, call: impl FnOnce(&Self)) {
        let traffic = Self::default();
        std::thread::scope(|scope| {
            let _stop = Stop(&traffic);
            for number in 0..traffic.rounds.len() {
                let traffic = &traffic;
                scope.spawn(move || traffic.client(number, envoy));
            }
            call(&traffic);
        });
        let failures = traffic.failures.into_inner().unwrap();
        assert!(failures.is_empty(), "{failures:?}");
    }

    fn client(&self, number: usize, envoy: &Envoy) {
        let mut kept = None;
        while !self.stopped.load(Ordering::Relaxed) {
            let tokens = self.tokens.lock().unwrap().clone();
            for token in &tokens {
                let ask = Ask::get("/x").token(token);
                let verdict = match number {
                    0 => ask.send(envoy, Protocol::Http1).verdict(),
                    1 => ask.send(envoy, Protocol::Http2).verdict(),
                    _ => send_on_kept(&mut kept, &ask, envoy),
                };
                if verdict != "200" {
                    self.failures.lock().unwrap().push(verdict);
                }
            }
            self.rounds[number].fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sends on a connection that is kept for as long as Envoy keeps it.
fn send_on_kept(kept: &mut Option<http1::Connection>, ask: &Ask, envoy: &Envoy) -> String {
    for _ in 0..2 {
        let mut connection = match kept.take() {
            Some(connection) => connection,
            None => http1::Connection::open(envoy.address()).unwrap(),
        };
        // Envoy may close a connection that waits; the next one is new.
        if let Ok(reply) = connection.exchange(&ask.http1(), false) {
            if reply.all("connection").iter().all(|value| value != "close") {
                *kept = Some(connection);
            }
            return reply.verdict();
        }
    }
    "two connections closed in a row".to_owned()
}

fn token_of(kid: Option<&str>, secret: &str) -> String {
    let header = kid.map_or_else(|| json!({ "alg": "HS256" }), |kid| json!({ "alg": "HS256", "kid": kid }));
    sign_with(secret.as_bytes(), header.to_string(), payload(json!({})).to_string())
}

fn config(keys: &[&Value]) -> String {
    policy(json!({ "tokens": { "keys": keys } })).to_string()
}

/// Rotates from `old` to `new`, with traffic throughout. The environment gets the new secret with the first push.
fn rotate(old: &Value, old_token: &String, new: &Value, new_token: &String, refusal: &str) {
    let plugin: Value = serde_json::from_str(&config(&[old])).unwrap();
    let both = [("API_GUARD_SECRET", SECRET), ("API_GUARD_NEW_SECRET", NEW_SECRET)];
    let mut setup = Setup { replaceable: true, concurrency: 2, ..Setup::new(&plugin) };
    if setup.kind == Kind::Native {
        // A library reads Envoy's own environment, which holds the new secret since Envoy was started.
        setup.environment = both.map(|(name, value)| (name, value.to_owned())).into();
    }
    let envoy = Envoy::start(setup);
    Traffic::during(&envoy, |traffic| {
        traffic.send(&[old_token]);
        Ask::get("/x").token(new_token).send(&envoy, Protocol::Http1).refused(
            &envoy,
            401,
            "token_key_unknown",
        );

        // 1. Envoy takes both keys, and no connection is left that knows the old one alone.
        envoy.change_environment(&both);
        assert_eq!(envoy.push(&config(&[new, old])), Pushed::Accepted);
        traffic.go_on();
        envoy.drained();

        // 2. The issuer changes over; old tokens live on until they expire.
        traffic.send(&[old_token, new_token]);
        traffic.send(&[new_token]);

        // 3. Envoy forgets the old key.
        assert_eq!(envoy.push(&config(&[new])), Pushed::Accepted);
        traffic.go_on();
        envoy.drained();
        traffic.go_on();
    });
    Ask::get("/x").token(old_token).send(&envoy, Protocol::Http1).refused(&envoy, 401, refusal);
    let used = |kid: &Value| {
        let kid = kid["kid"].as_str().unwrap_or("none");
        envoy.prometheus().lines().any(|line| {
            line.starts_with(&format!("api_guard_key_used_total{{kid=\"{kid}\"}} ")) && !line.ends_with(" 0")
        })
    };
    assert!(used(old) && used(new), "{}", envoy.prometheus());
    envoy.assert_healthy();
}

#[test]
fn a_key_with_a_kid_is_replaced_without_a_failed_request() {
    rotate(
        &json!({ "kid": "2026-08", "secret": { "env": "API_GUARD_SECRET" } }),
        &token_of(Some("2026-08"), SECRET),
        &json!({ "kid": "2026-11", "secret": { "env": "API_GUARD_NEW_SECRET" } }),
        &token_of(Some("2026-11"), NEW_SECRET),
        "token_key_unknown",
    );
}

#[test]
fn a_key_without_a_kid_is_replaced_by_one_with_a_kid() {
    rotate(
        &json!({ "secret": { "env": "API_GUARD_SECRET" } }),
        &token_of(None, SECRET),
        &json!({ "kid": "2026-11", "secret": { "env": "API_GUARD_NEW_SECRET" } }),
        &token_of(Some("2026-11"), NEW_SECRET),
        "token_signature_invalid",
    );
}

#[test]
fn a_kept_connection_keeps_the_configuration_it_began_with_until_it_is_drained() {
    let open = |path: &str| policy(json!({ "routes": [{ "path": path, "access": "public" }] }));
    let envoy = Envoy::start(Setup { replaceable: true, ..Setup::new(&open("/a")) });
    let mut kept = http1::Connection::open(envoy.address()).unwrap();
    let mut status = |path: &str| kept.exchange(&Ask::get(path).http1(), false).map(|reply| reply.status);
    assert_eq!(status("/a"), Ok(200));
    assert_eq!(envoy.push(&open("/b").to_string()), Pushed::Accepted);
    eventually("the push has no effect", || {
        (Ask::get("/b").send(&envoy, Protocol::Http1).status == 200).then_some(())
    });
    // Either it is still of the old configuration, or it is closed: never of both.
    assert!(matches!(status("/a"), Ok(200) | Err(_)));
    envoy.drained();
    assert!(status("/a").is_err(), "the connection outlives the drain time");
}
