//! The requests by which the compiler learns what of the library is run: the usual ones, those with a known token most often.
//! `scripts/library.sh` runs this in a library that counts its branches, and builds the one to ship by the counts. A path that
//! many requests take and that is not among these is compiled to be small, and laid apart.
#![allow(
    unsafe_code,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::as_conversions,
    clippy::undocumented_unsafe_blocks,
    missing_docs,
    unreachable_pub,
    reason = "a test fails by panicking, and plays the other side of a C ABI"
)]

#[path = "border/envoy.rs"]
mod envoy;

#[cfg(target_os = "linux")]
use std::sync::atomic::{AtomicI64, Ordering};

use api_guard_testkit::{IssuerKey, SECRET, key_set, lay_over, sign};
use serde_json::{Value, json};

use envoy::{CONTINUE, Config, pairs};

const ISSUER: &str = "https://login.example.com/";
const NEVER: u64 = 4_000_000_000;
const LONG_AGO: u64 = 1_600_000_000;

/// How often a usual kind of request comes; one with a known token comes four times as often, and a rare one an eighth as often.
const TIMES: usize = 400;

/// Stands before the C library's function, which the standard library asks for the time.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
extern "C" fn clock_gettime(clock: libc::clockid_t, time: *mut libc::timespec) -> libc::c_int {
    // When and how fast this runs must not matter to what is counted: time goes on with each look at it.
    const NOW: i64 = 1_800_000_000;
    const LOOK_NANOSECONDS: i64 = 20_000;
    static NANOSECONDS: AtomicI64 = AtomicI64::new(0);
    if clock != libc::CLOCK_REALTIME {
        // SAFETY: what the caller has asked the C library for.
        return unsafe { libc::syscall(libc::SYS_clock_gettime, clock, time) } as libc::c_int;
    }
    let since = NANOSECONDS.fetch_add(LOOK_NANOSECONDS, Ordering::Relaxed);
    // SAFETY: the caller passes a place for it.
    unsafe {
        time.write(libc::timespec { tv_sec: NOW + since / 1_000_000_000, tv_nsec: since % 1_000_000_000 })
    };
    0
}

/// Stands before the C library's function, too: where keyed tables put things must not matter either.
#[cfg(target_os = "linux")]
#[unsafe(no_mangle)]
extern "C" fn getrandom(bytes: *mut u8, size: usize, _flags: u32) -> isize {
    // SAFETY: the caller passes a place for so many bytes.
    unsafe { bytes.write_bytes(7, size) };
    size as isize
}

/// So many services have routes of their own.
const SERVICES: usize = 300;

/// So many keys has the issuer.
const KEYS: u8 = 20;

fn routes() -> Value {
    let mut routes = vec![
        json!({ "path": "/orders/{id}", "methods": ["GET", "POST"], "required_permissions": ["orders:read"] }),
        json!({ "path": "/once", "rate_limits": [{ "name": "once", "max_requests": 1, "window_seconds": 86_400, "key": ["subject"] }] }),
    ];
    routes.extend((0..SERVICES).map(|service| {
        let path = format!("/service-{service}/orders/{{id}}");
        json!({ "path": path, "methods": ["GET"], "required_permissions": ["orders:read"] })
    }));
    routes.into()
}

fn policy(rest: &Value) -> Config {
    let keys: Vec<Value> =
        (1..=KEYS).map(|number| IssuerKey::es256(number).jwk(Some(&number.to_string()))).collect();
    let mut policy = json!({
        "tokens": {
            "keys": [{ "secret": { "value": SECRET } }],
            "key_sets": [{
                "name": "login",
                "issuers": [ISSUER],
                "algorithms": ["ES256"],
                "jwks": { "inline": key_set(&keys) },
            }],
        },
        "routes": routes(),
        "rate_limits": [{ "name": "default", "max_requests": 100_000_000, "window_seconds": 60, "key": ["client_ip", "subject"] }],
    });
    lay_over(&mut policy, rest);
    Config::load("training", &policy.to_string()).expect("a good configuration")
}

fn claims(jti: &str, exp: u64) -> Value {
    json!({ "sub": "user-17", "jti": jti, "iat": LONG_AGO - 600, "exp": exp, "permissions": ["orders:read", "tokens:revoke"] })
}

fn token(jti: &str, exp: u64) -> String {
    sign(br#"{"alg":"HS256","typ":"JWT"}"#, claims(jti, exp).to_string().as_bytes())
}

fn public_token(jti: &str) -> String {
    let mut claims = claims(jti, NEVER);
    claims["iss"] = ISSUER.into();
    IssuerKey::es256(1).token(Some("1"), &claims)
}

/// One request without a body as Envoy passes it on, and its response if it is admitted; the status of the answer otherwise.
fn run(config: &Config, method: &str, path: &str, token: &str) -> Option<u32> {
    send(config, method, path, token, "")
}

/// The same with a body, if it is not empty.
fn send(config: &Config, method: &str, path: &str, token: &str, body: &str) -> Option<u32> {
    let authorization = format!("Bearer {token}");
    let mut headers = vec![
        (":authority", "api.example.com"),
        (":path", path),
        (":method", method),
        (":scheme", "https"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("accept", "application/json"),
        ("authorization", &authorization),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-envoy-external-address", "203.0.113.7"),
        ("x-request-id", "5b0c4c3e-8c1c-4a8e-9a39-1c8a4b7e2f11"),
    ];
    let length = body.len().to_string();
    let has_body = !body.is_empty();
    if has_body {
        headers.extend([("content-type", "application/json"), ("content-length", &length)]);
    }
    let headers: Vec<(&[u8], &[u8])> =
        headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    let stream = config.stream();
    let mut flow = stream.headers(Some(pairs(&headers)), !has_body);
    if has_body && stream.replies().is_empty() {
        flow = stream.body(&[body.as_bytes()], true);
    }
    if let [answer] = stream.replies().as_slice() {
        return Some(answer.status);
    }
    assert_eq!(flow, CONTINUE);
    stream.response(Some(pairs(&[(b":status", b"200"), (b"content-type", b"application/json")])));
    None
}

#[test]
fn usual_requests_are_answered_as_they_should() {
    let policies = [
        json!({}),
        json!({
            "forward": { "permissions_header": null },
            "replies": { "rate_limit_headers": "none" },
            "client_ip": { "from": "x-envoy-external-address" },
        }),
        json!({ "revocation": { "endpoint": { "path": "/auth/revoke", "required_permissions": ["tokens:revoke"] } } }),
    ];
    for (number, policy_rest) in policies.iter().enumerate() {
        let config = policy(policy_rest);
        let path = |time: usize| format!("/orders/{time}?expand=lines");
        let (known, public, late) = (token("known", NEVER), public_token("public"), token("late", LONG_AGO));
        let forged = format!("{known}A");
        // The first one ever has the unit of this limit, which a new configuration keeps.
        assert_eq!(run(&config, "GET", "/once", &known), (number > 0).then_some(429));
        if policy_rest.get("revocation").is_some() {
            for number in 0..64 {
                let entry = json!({ "jti": format!("revoked-{number}"), "expires_at": NEVER }).to_string();
                assert_eq!(send(&config, "POST", "/auth/revoke", &known, &entry), Some(200));
            }
        }
        for time in 0..TIMES {
            for _ in 0..4 {
                assert_eq!(run(&config, "GET", &path(time), &known), None);
            }
            assert_eq!(run(&config, "GET", &path(time), &public), None);
            assert_eq!(run(&config, "GET", &path(time), &token(&format!("{number}-{time}"), NEVER)), None);
            assert_eq!(send(&config, "POST", &path(time), &known, r#"{"quantity": 123}"#), None);
            assert_eq!(run(&config, "GET", &format!("/service-{}/orders/17", time % SERVICES), &known), None);
            assert_eq!(run(&config, "GET", "/once", &known), Some(429));
            assert_eq!(run(&config, "GET", &path(time), &late), Some(401));
            if time % 8 == 0 {
                assert_eq!(run(&config, "GET", &path(time), &forged), Some(401));
                assert_eq!(run(&config, "DELETE", &path(time), &known), Some(405));
            }
        }
    }
}
