//! Key sets: who asks for them, and whose tokens pass when they have come.

use api_guard_testkit::{IssuerKey, key_set};
use serde_json::{Value, json};

use crate::envoy::{self, CONTINUE, Config, STOP};
use crate::{eventually, load, refused, request, values};

const ISSUER: &str = "https://login.example.com/";
const HEADERS: [(&[u8], &[u8]); 2] = [(b":status", b"200"), (b"x-envoy-upstream-service-time", b"1")];

fn tokens(cluster: &str) -> Value {
    json!({ "tokens": { "key_sets": [{
        "name": "login",
        "issuers": [ISSUER],
        "audiences": ["api"],
        "algorithms": ["ES256"],
        "jwks": { "cluster": cluster, "authority": "login.example.com", "path": "/keys" },
    }] } })
}

fn bearer(number: u8) -> String {
    let claims = json!({ "iss": ISSUER, "aud": "api", "sub": "s", "jti": "s", "iat": 1_790_000_000, "exp": 4_000_000_000_u64, "permissions": [] });
    format!("Bearer {}", IssuerKey::es256(number).token(Some(&number.to_string()), &claims))
}

fn ask(config: &Config, number: u8) -> (envoy::Stream, u32) {
    let stream = config.stream();
    let flow = stream.headers(Some(request("GET", "/x", &[("authorization", &bearer(number))])), true);
    (stream, flow)
}

/// Runs what is scheduled until the library has sent so many requests.
fn await_fetches(config: &Config, count: usize) {
    eventually("no request for the keys", || {
        envoy::run_scheduled();
        config.fetches().len() >= count
    });
}

fn set(numbers: &[u8]) -> Vec<u8> {
    let jwks: Vec<Value> =
        numbers.iter().map(|number| IssuerKey::es256(*number).jwk(Some(&number.to_string()))).collect();
    key_set(&jwks).to_string().into_bytes()
}

#[test]
fn a_key_set_is_fetched_by_the_main_thread_and_in_force_on_all() {
    let config = load("key-sets", tokens("login"));
    let (stream, flow) = ask(&config, 1);
    assert_eq!(flow, STOP);
    refused(&stream, 503, "keys_unavailable");
    await_fetches(&config, 1);
    let (cluster, headers) = config.fetches()[0].clone();
    assert_eq!(cluster, b"login");
    assert_eq!(values(&headers, ":path"), ["/keys"]);
    assert_eq!(values(&headers, ":authority"), ["login.example.com"]);
    // Firewalls refuse who does not say what it is, and a key set must not come compressed.
    assert!(
        values(&headers, "user-agent").iter().all(|agent| agent.starts_with("api-guard/")),
        "{headers:?}"
    );
    assert_eq!(values(&headers, "accept-encoding"), ["identity"]);

    // It comes in pieces.
    let body = set(&[1]);
    let (first, second) = body.split_at(10);
    config.end_fetch(0, 0, &HEADERS, &[first, second]);
    config.end_fetch(0, 0, &HEADERS, &[b"{}"]);
    config.end_fetch(77, 0, &HEADERS, &[b"{}"]);
    let (stream, flow) = ask(&config, 1);
    assert_eq!(flow, CONTINUE, "{:?}", stream.replies());
    let shared = crate::workers::Shared(&config);
    std::thread::scope(|scope| {
        scope.spawn(|| assert_eq!(ask(shared.config(), 1).1, CONTINUE));
    });
    assert_eq!(config.counter("api_guard_key_set_fetches_total.set.login.outcome.ok"), 1);
}

#[test]
fn whatever_ends_a_request_for_keys_leaves_no_key_and_no_panic() {
    let body = set(&[1]);
    let made_up: [(&[u8], &[u8]); 1] = [(b":status", b"503")];
    let late: [(&[u8], &[u8]); 1] = [(b":status", b"504")];
    let not_found: [(&[u8], &[u8]); 1] = [(b":status", b"404")];
    let no_status: [(&[u8], &[u8]); 1] = [(b":status", b"\xff")];
    let long = vec![b' '; 10_000_000];
    type Case<'c> = (u32, &'c [(&'c [u8], &'c [u8])], &'c [&'c [u8]], &'c str);
    let cases: [Case<'_>; 8] = [
        (1, &[], &[], "reset"),
        (2, &HEADERS, &[&body], "reset"),
        (0, &[], &[&body], "reset"),
        (0, &made_up, &[&body], "reset"),
        (0, &late, &[], "timeout"),
        (0, &not_found, &[&body], "status"),
        (0, &no_status, &[&body], "reset"),
        (0, &HEADERS, &[&long, &body], "too_large"),
    ];
    for (number, (result, headers, body, outcome)) in cases.into_iter().enumerate() {
        let config = load(&format!("key-set-failures-{number}"), tokens("login"));
        await_fetches(&config, 1);
        config.end_fetch(0, result, headers, body);
        let counter = format!("api_guard_key_set_fetches_total.set.login.outcome.{outcome}");
        let (stream, flow) = ask(&config, 1);
        assert_eq!(flow, STOP);
        refused(&stream, 503, "keys_unavailable");
        assert_eq!(config.counter(&counter), 1, "{number}");
    }
}

#[test]
fn a_cluster_that_envoy_does_not_have_counts_as_a_failed_fetch() {
    let config = load("key-set-cluster", tokens("missing"));
    eventually("the failure is not counted", || {
        envoy::run_scheduled();
        assert_eq!(ask(&config, 1).1, STOP);
        config.counter("api_guard_key_set_fetches_total.set.login.outcome.reset") > 0
    });
    assert!(config.fetches().is_empty());
}
