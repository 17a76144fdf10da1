//! Which way do requests take through the module? Runs it in an interpreter, where it reports its steps.

use std::collections::HashMap;

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use fake_envoy::{Ending, Exchange, FakeEnvoy, Headers, Step, headers};

use crate::steps;

/// The functions and branches of a run.
#[derive(Debug, Default)]
pub(crate) struct Profile {
    entered: Vec<u32>,
    branches: HashMap<u32, Ways>,
}

/// How often a branch was taken, and how often it was not.
#[derive(Debug, Default, Clone, Copy)]
struct Ways {
    taken: u32,
    passed: u32,
}

/// A branch gets a hint if it goes one way at least this many times as often as the other.
const NEARLY_ALWAYS: u32 = 8;

const NOW: u64 = 1_800_000_000;
const SECRET: &[u8] = b"a-secret-of-forty-bytes-for-the-profile!";

const ORDER: &str = "/orders/17?expand=lines";

/// The same requests run under each policy. The policies differ in the source of the client's address, and in whether
/// responses have headers about limits.
const POLICIES: [&str; 3] = [
    r#""mode": "enforce""#,
    r#""forward": {"permissions_header": null}, "replies": {"rate_limit_headers": "none"}, "client_ip": {"from": "x-envoy-external-address"}"#,
    r#""revocation": {"endpoint": {"path": "/auth/revoke", "required_permissions": ["tokens:revoke"]}}"#,
];

impl Profile {
    /// Runs `module`: mostly requests with a known token, and some others.
    pub(crate) fn of(module: &[u8]) -> Result<Self, String> {
        let module = steps::reporting(module)?;
        let mut profile = Self::default();
        for policy in POLICIES {
            profile.watch(&module, policy);
        }
        Ok(profile)
    }

    /// The functions, in the order in which they were first entered.
    pub(crate) fn entered(&self) -> &[u32] {
        &self.entered
    }

    /// Whether the branch of this number is taken, if it nearly always or nearly never is.
    pub(crate) fn goes(&self, branch: u32) -> Option<bool> {
        let Ways { taken, passed } = self.branches.get(&branch).copied()?;
        let is_rare = |rare: u32, other: u32| rare.saturating_mul(NEARLY_ALWAYS) <= other;
        (is_rare(taken, passed) || is_rare(passed, taken)).then_some(taken > passed)
    }

    fn watch(&mut self, module: &[u8], policy: &str) {
        let policy = format!(
            r#"{{"tokens": {{"keys": [{{"secret": {{"env": "API_GUARD_SECRET"}}}}]}},
            "routes": [{{"path": "/orders/{{id}}", "methods": ["GET", "POST"], "required_permissions": ["orders:read"]}},
                       {{"path": "/once", "rate_limits": [{{"name": "once", "max_requests": 1, "window_seconds": 60, "key": ["subject"]}}]}}],
            "rate_limits": [{{"name": "default", "max_requests": 10000, "window_seconds": 60, "key": ["client_ip", "subject"]}}],
            {policy}}}"#
        );
        let environment = [format!("API_GUARD_SECRET={}", String::from_utf8_lossy(SECRET))];
        let mut envoy = FakeEnvoy::load(module, &policy, &environment.each_ref().map(String::as_str), NOW);
        // The steps of reading the configuration do not count.
        envoy.take_steps();
        let known = token("known", 3600);
        let get = |token: &str| request("GET", ORDER, token, &[]);
        let post = |token: &str| {
            request("POST", ORDER, token, &[("content-type", "application/json"), ("content-length", "17")])
        };
        // Fills the caches.
        for _ in 0..3 {
            allowed(&envoy.request(get(&known)));
        }
        let first = envoy.take_steps();
        for number in 0..2 {
            for _ in 0..8 {
                allowed(&envoy.request(get(&known)));
            }
            self.note(&envoy.take_steps());
            allowed(&envoy.request(get(&token(&number.to_string(), 3600))));
            allowed(&envoy.exchange(post(&known), Ending::WithBody(17)));
        }
        for refused in [token("late", -60), format!("{known}A"), String::new()] {
            envoy.request(get(&refused));
        }
        // The second is over the limit.
        for _ in 0..2 {
            envoy.request(request("GET", "/once", &known, &[]));
        }
        envoy.tick();
        self.note(&envoy.take_steps());
        self.note(&first);
    }

    /// Adds the steps that a module has reported.
    pub(crate) fn note(&mut self, steps: &[Step]) {
        for step in steps {
            match *step {
                Step::Entered(function) if !self.entered.contains(&function) => self.entered.push(function),
                Step::Entered(_) => {}
                Step::Branched(branch, is_taken) => {
                    let ways = self.branches.entry(branch).or_default();
                    let way = if is_taken { &mut ways.taken } else { &mut ways.passed };
                    *way = way.saturating_add(1);
                }
            }
        }
    }
}

/// Checks that a request was allowed: a profile of refusals would arrange the module for those.
#[expect(clippy::panic, reason = "the build must stop")]
fn allowed(exchange: &Exchange) {
    if let Some(reply) = &exchange.reply {
        panic!("the module refuses a request of the profile: {reply:?}");
    }
}

/// A typical request, as Envoy passes it to the module.
fn request(method: &str, path: &str, token: &str, more: &[(&str, &str)]) -> Headers {
    let authorization = format!("Bearer {token}");
    let usual = [
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
    headers(&[&usual, more].concat())
}

/// A token like those of `api-guard mint`, which expires in `ttl` seconds.
fn token(jti: &str, ttl: i64) -> String {
    let encode = |bytes: &[u8]| BASE64_URL_SAFE_NO_PAD.encode(bytes);
    let header = encode(br#"{"alg":"HS256","typ":"JWT"}"#);
    let claims = format!(
        r#"{{"iat":{},"exp":{},"sub":"user-1","jti":"b1946ac92492d2347c6235b4d261{jti:0>4}","permissions":["orders:read","orders:write"]}}"#,
        NOW.saturating_sub(120),
        NOW.saturating_add_signed(ttl),
    );
    let signed = format!("{header}.{}", encode(claims.as_bytes()));
    let mac = hmac_sha256::HMAC::mac(signed.as_bytes(), SECRET);
    format!("{signed}.{}", encode(&mac))
}
