//! What the fuzz targets have in common: a guard with everything on, and tokens signed with its secret, so that the
//! code behind the MAC is reached. An oracle that finds something wrong panics, which is what the engine looks for.

use api_guard_core::cells::MemoryCells;
use api_guard_core::config::{Environment, Policy};
use api_guard_core::denial::Denial;
use api_guard_core::effect;
use api_guard_core::effect::forward::{Edit, each_edit};
use api_guard_core::guard::{Guard, Proxy, Verdict, Worker};
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::keys::Secret;
use ct_codecs::{Base64UrlSafeNoPadding, Encoder};

/// The moment at which everything is judged, Unix seconds.
pub const NOW: u64 = 1_790_000_000;

/// The secret of all configurations.
pub const SECRET: &[u8] = b"a-secret-of-the-fuzzers-that-is-long-enough";

/// Everything on that reads something of a request, and no limit that is ever reached.
pub const POLICY: &str = r#"{
    "tokens": {
        "keys": [{ "secret": { "env": "SECRET" } }, { "kid": "two", "secret": { "env": "SECRET" } }],
        "sources": [{ "header": "authorization", "scheme": "Bearer" }, { "header": "x-token" }, { "cookie": "session" }, { "query": "access_token" }]
    },
    "request": { "cors_preflight": "forward" },
    "routes": [
        { "path": "/public/{*rest}", "access": "public" },
        { "path": "/orders/{id}", "required_permissions": ["orders:read"], "hosts": ["*.example.com", "api.example.org"] },
        { "path": "/users/{id}", "bind": { "id": "sub" } },
        { "path": "/denied", "access": "deny" },
        { "path": "/upload", "methods": ["POST"], "content_types": ["image/png"], "max_request_size_bytes": 10 }
    ],
    "roles": { "claim": "realm_access.roles", "grants": { "clerk": ["orders:read"] } },
    "rate_limits": [
        { "name": "wide", "max_requests": 4000000000, "window_seconds": 60, "key": ["client_ip", "subject", "path", "method", "header:x-tenant", "claim:tenant"] }
    ],
    "client_ip": { "from": "x-envoy-external-address" },
    "revocation": { "endpoint": { "path": "/auth/revoke", "required_permissions": ["tokens:revoke"] }, "capacity": 8 },
    "forward": { "claims": { "tenant": "x-auth-tenant" }, "token": "strip" }
}"#;

/// Reads a configuration whose secrets are all [`SECRET`].
pub fn parse(text: &[u8]) -> Result<Policy, String> {
    let environment = Environment { lookup: &|_| Some(SECRET.to_vec()), must_be_set: true };
    Policy::parse(text, &environment).map_err(|errors| errors.to_string())
}

/// A proxy with cells in memory and one client.
pub struct Client<'c>(pub &'c MemoryCells);

impl Proxy for Client<'_> {
    type Cells = MemoryCells;
    type Address = Vec<u8>;

    fn cells(&self) -> &MemoryCells {
        self.0
    }

    fn source_address(&self) -> Option<Vec<u8>> {
        Some(b"192.0.2.1:4711".as_slice().into())
    }
}

/// A guard, its cells and its one worker.
pub struct World {
    pub guard: Guard,
    pub cells: MemoryCells,
    pub worker: Worker,
}

impl World {
    /// Under [`POLICY`].
    pub fn new() -> Self {
        Self::under(parse(POLICY.as_bytes()).expect("a good policy"))
    }

    /// Under a policy that was parsed.
    pub fn under(policy: Policy) -> Self {
        let cells = MemoryCells::new();
        let worker = Worker::open(&policy, &cells, [7; 16]).expect("fresh cells");
        Self { guard: Guard::new(policy), cells, worker }
    }

    /// The verdict on these headers.
    pub fn judge(&mut self, headers: &[(&[u8], &[u8])], has_body: bool, now: u64) -> Verdict {
        let request = Request::read(self.guard.policy().header_plan(), headers.iter().copied(), has_body);
        let now = UnixNanos::from_seconds(now);
        let verdict = self.guard.admit(&mut self.worker, &request, &Client(&self.cells), now);
        check_effects(&self.guard, &request, &verdict);
        verdict
    }

    /// The verdict on a GET of `path` with a token.
    pub fn get(&mut self, path: &[u8], token: &str, now: u64) -> Verdict {
        let bearer = format!("Bearer {token}");
        let headers: [(&[u8], &[u8]); 4] = [
            (b":method", b"GET"),
            (b":path", path),
            (b":authority", b"api.example.com"),
            (b"authorization", bearer.as_bytes()),
        ];
        self.judge(&headers, false, now)
    }
}

impl Default for World {
    fn default() -> Self {
        Self::new()
    }
}

/// Replies and forwarded headers are whole, whatever the client sent.
pub fn check_effects(guard: &Guard, request: &Request<'_>, verdict: &Verdict) {
    if let Some(denial) = &verdict.denial {
        check_reply(guard, denial, request.request_id);
        return;
    }
    let judged = each_edit(guard.policy(), verdict, request, |edit| {
        // What the client wrote around its own token stays as it came: Envoy lets no control characters in.
        if let Edit::Set(name, value) | Edit::Add(name, value) = edit
            && name.starts_with("x-auth-")
        {
            assert!(!value.iter().any(|byte| byte.is_ascii_control()), "{name} is forwarded as {value:?}");
        }
        Ok::<(), ()>(())
    });
    assert_eq!(judged, Ok(()));
}

/// A refusal has a status of the contract, headers without control characters, and a body that is JSON.
pub fn check_reply(guard: &Guard, denial: &Denial, request_id: Option<&[u8]>) {
    let reply = effect::refuse(guard.policy(), denial, request_id);
    assert!([400, 401, 403, 405, 413, 415, 429, 500, 503].contains(&reply.status), "{reply:?}");
    for (name, value) in &reply.headers {
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{name}: {value:?}");
    }
    let body: serde_json::Value = serde_json::from_str(&reply.body).expect("a body that is JSON");
    assert_eq!(body["status"], reply.status, "{reply:?}");
    assert_eq!(body["code"], denial.code().as_str(), "{reply:?}");
}

/// A token of exactly these bytes with a true MAC.
pub fn sign(header: &[u8], payload: &[u8]) -> String {
    let encode = |part: &[u8]| Base64UrlSafeNoPadding::encode_to_string(part).expect("memory");
    let input = format!("{}.{}", encode(header), encode(payload));
    let mac = Secret::from_bytes(SECRET).expect("a long secret").mac(input.as_bytes());
    format!("{input}.{}", encode(&mac))
}

/// A good token of this subject.
pub fn token(sub: &str, permissions: &str) -> String {
    let (iat, exp) = (NOW - 10, NOW + 1000);
    let payload =
        format!(r#"{{"sub":"{sub}","iat":{iat},"exp":{exp},"jti":"{sub}-1","permissions":[{permissions}]}}"#);
    sign(br#"{"alg":"HS256"}"#, payload.as_bytes())
}
