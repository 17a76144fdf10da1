//! What the benchmarks have in common: the configuration, the tokens and the requests that `make bench` has in front of
//! Envoy, so that a figure of this place can be held against one of that.
//!
//! Time stands still, as it is an argument, and the cells are in memory: what Envoy's own calls cost is not seen here.

#[path = "../../../src/block.rs"]
mod block;

use std::time::Duration;

use api_guard_core::policy::Policy;
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::algorithm::MacAlgorithm;
use api_guard_core::token::secret::Secret;
use api_guard_core::verdict::Verdict;
use api_guard_testkit::{Guarded, SECRET, sign_with};
use block::{Block, encode};
use criterion::Criterion;
use serde_json::{Value, json};

/// The moment at which everything is judged.
pub const NOW: UnixNanos = UnixNanos::from_seconds(1_790_000_000);

/// The random bytes that a process draws at its start.
pub const RANDOM: [u8; 16] = [7; 16];

/// The host that every request names.
pub const HOST: &str = "api.example.com";

/// Many more than a worker remembers.
pub const MANY_TOKENS: usize = 16_384;

const WRONG_SECRET: &str = "another-secret-than-that-of-the-benchmark";
const TOKEN_BYTES: usize = 500;

/// Long enough to tell 5 % from noise, short enough for all of them in two minutes.
pub fn settings() -> Criterion {
    Criterion::default().warm_up_time(Duration::from_millis(500)).measurement_time(Duration::from_secs(2))
}

/// A configuration's text: token, permission on the route, one limit by address and subject that is never reached,
/// subject forwarded. The members of `over` stand in place of its own.
pub fn configuration(over: Value) -> String {
    let mut configuration = json!({
        "tokens": { "keys": [{ "secret": { "env": "API_GUARD_SECRET" } }] },
        "routes": [{ "path": "/orders/{id}", "methods": ["GET"], "required_permissions": ["orders:read"] }],
        "rate_limits": [limit(4_000_000_000)],
        "forward": { "subject_header": "x-auth-subject", "permissions_header": null },
        "replies": { "rate_limit_headers": "none" },
    });
    for (name, value) in over.as_object().expect("an object") {
        configuration[name] = value.clone();
    }
    configuration.to_string()
}

/// The one limit, of so many requests a minute.
pub fn limit(max_requests: u32) -> Value {
    json!({ "name": "default", "max_requests": max_requests, "window_seconds": 60, "key": ["client_ip", "subject"] })
}

/// The path of the route of this number, without what follows.
pub fn numbered_path(number: usize) -> String {
    format!("/service-{number:05}/orders/")
}

/// So many routes.
pub fn numbered_routes(count: usize) -> Value {
    let route = |number| {
        let path = format!("{}{{id}}", numbered_path(number));
        json!({ "path": path, "methods": ["GET"], "required_permissions": ["orders:read"] })
    };
    (0..count).map(route).collect()
}

/// Reads a configuration.
pub fn parse(text: &str) -> Policy {
    api_guard_testkit::parse(text.as_bytes()).expect("a good configuration")
}

/// The key of all configurations.
pub fn secret() -> Secret {
    Secret::from_bytes(MacAlgorithm::Hs256, SECRET.as_bytes()).expect("a long secret")
}

/// A token to be minted. Each `serial` makes another one of the same size.
#[derive(Debug, Clone, Copy)]
pub struct Token {
    /// Makes its `jti`.
    pub serial: usize,
    /// What its caller may do.
    pub permission: &'static str,
    /// Seconds from [`NOW`] until it expires.
    pub expires_in: i64,
    /// Whether it is signed with the right key.
    pub genuine: bool,
    /// Its size, about.
    pub bytes: usize,
}

impl Default for Token {
    fn default() -> Self {
        Self { serial: 0, permission: "orders:read", expires_in: 3600, genuine: true, bytes: TOKEN_BYTES }
    }
}

impl Token {
    /// The token's text, padded to its size by a claim that nobody reads.
    pub fn mint(self) -> String {
        const HEADER: &[u8] = br#"{"alg":"HS256","typ":"JWT"}"#;
        let now = NOW.seconds();
        let mut claims = json!({
            "sub": "user-1",
            "iat": now - 7200,
            "exp": now.saturating_add_signed(self.expires_in),
            "permissions": [self.permission, "orders:write"],
            "jti": format!("{:016}", self.serial),
        });
        // Header, two dots and the 43 characters of the MAC are not payload; 13 bytes are `,"padding":""`.
        let payload = (self.bytes - (HEADER.len() * 4).div_ceil(3) - 45) * 3 / 4;
        claims["padding"] = "x".repeat(payload.saturating_sub(claims.to_string().len() + 13)).into();
        let secret = if self.genuine { SECRET } else { WRONG_SECRET };
        sign_with(secret.as_bytes(), HEADER, claims.to_string().as_bytes())
    }
}

/// The header block of a GET as it comes from a browser through Envoy, with a token or without.
pub fn block(path: &str, token: Option<&str>) -> Vec<u8> {
    let bearer = token.map(|token| format!("Bearer {token}"));
    let mut headers = vec![
        (":method", "GET"),
        (":path", path),
        (":authority", HOST),
        (":scheme", "https"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("accept", "application/json"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-request-id", "5b0c4c3e-8c1c-4a8e-9a39-1c8a4b7e2f11"),
    ];
    headers.extend(bearer.as_deref().map(|bearer| ("authorization", bearer)));
    let pairs: Vec<_> = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())).collect();
    encode(pairs.iter().copied())
}

/// Reads a request as the stream does.
pub fn read<'b>(policy: &Policy, block: &'b [u8]) -> Request<'b> {
    Request::read(policy.header_plan(), Block::read(block).expect("a whole block").pairs(), false)
}

/// A guard under the configuration that has `over` in place of its own members, and one client.
pub fn guarded(over: Value) -> Guarded {
    let mut guarded = Guarded::under(parse(&configuration(over)));
    guarded.process.address = Some("203.0.113.7:47302");
    guarded
}

/// Judges a request.
pub fn admit(guarded: &mut Guarded, request: &Request<'_>) -> Verdict {
    guarded.judge(request, NOW.seconds())
}

/// Revokes the token that a request carries, as its owner may.
pub fn revoke(guarded: &mut Guarded, request: &Request<'_>) {
    let verdict = admit(guarded, request);
    let caller = verdict.trail.caller().expect("a caller");
    let revoked = guarded.guard.revoke(&mut guarded.memory, caller, b"", NOW, &guarded.process, NOW);
    assert!(revoked.is_ok(), "{revoked:?}");
}
