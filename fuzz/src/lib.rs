//! What the fuzz targets have in common: a guard with everything on, and tokens signed with its secret, so that the
//! code behind the MAC is reached. An oracle that finds something wrong panics, which is what the engine looks for.

use std::net::IpAddr;

use api_guard_core::denial::Denial;
use api_guard_core::effect;
use api_guard_core::effect::forward::{Edit, each_edit};
use api_guard_core::guard::Guard;
use api_guard_core::request::Request;
use api_guard_core::verdict::{Decision, Trail, Verdict};
use api_guard_testkit::{Guarded, parse};
use serde_json::json;

/// What a client says, and no policy or token of ours: no header of a reply may repeat it.
pub const MARK: &str = "Zq7mark";

/// The moment at which everything is judged, Unix seconds.
pub const NOW: u64 = 1_790_000_000;

/// Everything on that reads something of a request, and no limit that is ever reached.
pub const POLICY: &str = r#"{
    "tokens": {
        "keys": [{ "secret": { "env": "SECRET" } }, { "kid": "two", "secret": { "env": "SECRET" } }],
        "sources": [{ "header": "authorization", "scheme": "Bearer" }, { "header": "x-token" }, { "cookie": "session" }, { "query": "access_token" }]
    },
    "request": { "cors_preflight": "forward", "path_case": "insensitive" },
    "routes": [
        { "path": "/public/{*rest}", "access": "public", "skip_limits": ["*"] },
        { "path": "/orders/{id}", "required_permissions": ["orders:read"], "hosts": ["*.example.com", "api.example.org"] },
        { "path": "/users/{id}", "bind": { "id": "sub" } },
        { "path": "/denied", "access": "deny" },
        { "path": "/feed/{id}", "access": "optional" },
        { "path": "/feed/{id}:hide", "access": "optional", "require": [{ "claim": "groups", "any": ["staff", 7] }] },
        { "path": "/projects/{id}", "access": "public", "allow_in_path": ["encoded_slash", "semicolon", "encoded_unreserved"], "deny_from": ["10.0.0.0/8"] },
        { "path": "/projects/{id}/secrets", "required_permissions": ["projects:admin"] },
        { "path": "/projects/closed", "access": "deny" },
        { "path": "/tenants/{id}", "bind": { "id": "tenant" }, "bind_unless": ["tenants:admin"], "require": [{ "claim": "tenant", "equals_header": "x-tenant" }] },
        { "path": "/upload", "methods": ["POST"], "content_types": ["image/png"], "max_request_size_bytes": 10 }
    ],
    "roles": { "claim": "realm_access.roles", "grants": { "clerk": ["orders:read"] } },
    "rate_limits": [
        { "name": "wide", "max_requests": 4000000000, "window_seconds": 60, "key": ["client_ip", "subject", "path", "method", "header:x-tenant", "claim:tenant"], "except_addresses": ["10.0.0.0/8", "2001:db8::/64"] }
    ],
    "client_ip": { "from": "x-envoy-external-address" },
    "revocation": { "endpoint": { "path": "/auth/revoke", "required_permissions": ["tokens:revoke"] }, "capacity": 8 },
    "forward": { "claims": { "tenant": "x-auth-tenant" }, "token": "strip" }
}"#;

/// A guard under [`POLICY`].
pub fn guarded() -> Guarded {
    Guarded::under(parse(POLICY.as_bytes()).expect("a good policy"))
}

/// The verdict on these headers, whose effects are whole.
pub fn judge(guarded: &mut Guarded, headers: &[(&[u8], &[u8])], has_body: bool, now: u64) -> Verdict {
    let plan = guarded.guard.policy().header_plan();
    let request = Request::read(plan, headers.iter().copied(), has_body);
    let verdict = guarded.judge(&request, now);
    check_effects(&guarded.guard, &request, &verdict);
    verdict
}

/// The verdict under [`POLICY`], by whose limits it is checked too.
pub fn judge_by_policy(
    guarded: &mut Guarded,
    headers: &[(&[u8], &[u8])],
    has_body: bool,
    now: u64,
) -> Verdict {
    let verdict = judge(guarded, headers, has_body, now);
    let request = Request::read(guarded.guard.policy().header_plan(), headers.iter().copied(), has_body);
    let address = guarded.guard.client_address(&request, &guarded.process);
    check_limits(&guarded.guard, &request, &verdict, address);
    verdict
}

/// A request that passes was counted by the one limit, unless its route skips that or its address is excepted.
fn check_limits(guard: &Guard, request: &Request<'_>, verdict: &Verdict, address: Option<IpAddr>) {
    let Trail { limits, excepted, form, .. } = &verdict.trail;
    let skips = guard.policy().route_label(form.route) == Some("/public/{*rest}");
    // The policy's prefix does not cut an address out of its network.
    let is_excepted = address.is_some_and(|address| match address {
        IpAddr::V4(address) => address.octets()[0] == 10,
        IpAddr::V6(address) => address.segments()[..4] == [0x2001, 0xdb8, 0, 0],
    });
    let expected = if skips {
        (0, 0)
    } else if is_excepted {
        (0, 1)
    } else {
        (1, 0)
    };
    let told = (limits.len(), excepted.len());
    assert!(told == (0, 0) || told == expected, "{told:?} for {expected:?}");
    assert!(verdict.denial().is_some() || told == expected, "{told:?} for {expected:?}");
    assert!(!form.preflight || request.method == b"OPTIONS", "{:?}", request.method);
    assert!(!form.preflight || verdict.trail.caller().is_none());
}

/// The verdict on a GET of `path` with a token.
pub fn get(guarded: &mut Guarded, path: &[u8], token: &str, now: u64) -> Verdict {
    let bearer = format!("Bearer {token}");
    let headers: [(&[u8], &[u8]); 4] = [
        (b":method", b"GET"),
        (b":path", path),
        (b":authority", b"api.example.com"),
        (b"authorization", bearer.as_bytes()),
    ];
    judge(guarded, &headers, false, now)
}

/// Replies and forwarded headers are whole, whatever the client sent.
pub fn check_effects(guard: &Guard, request: &Request<'_>, verdict: &Verdict) {
    let grant = match &verdict.decision {
        Decision::Admit(grant) => grant,
        Decision::Refuse(denial) => return check_reply(guard, denial, request.request_id),
    };
    let edited = each_edit(guard.policy(), grant, request, |edit| {
        // What the client wrote around its own token stays as it came: Envoy lets no control characters in.
        if let Edit::Set(name, value) | Edit::Add(name, value) = edit
            && name.starts_with("x-auth-")
        {
            assert!(!value.iter().any(|byte| byte.is_ascii_control()), "{name} is forwarded as {value:?}");
        }
        Ok::<(), ()>(())
    });
    assert_eq!(edited, Ok(()));
}

/// A refusal has a status of the contract, headers without control characters and without what the client says, and a body
/// that is JSON.
pub fn check_reply(guard: &Guard, denial: &Denial, request_id: Option<&[u8]>) {
    let reply = effect::refuse(guard.policy(), denial, request_id);
    assert!([400, 401, 403, 405, 408, 413, 415, 429, 500, 503].contains(&reply.status), "{reply:?}");
    assert!(!reply.grpc_message.contains(MARK), "{reply:?}");
    for (name, value) in &reply.headers {
        assert!(!value.contains(MARK), "{name}: {value:?}");
        assert!(value.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{name}: {value:?}");
    }
    let body: serde_json::Value = serde_json::from_str(&reply.body).expect("a body that is JSON");
    assert_eq!(body["status"], reply.status, "{reply:?}");
    assert_eq!(body["code"], denial.code().as_str(), "{reply:?}");
}

/// A good token of this subject.
pub fn token(sub: &str, permissions: &[&str]) -> String {
    api_guard_testkit::token(&json!({
        "sub": sub,
        "iat": NOW - 10,
        "exp": NOW + 1000,
        "jti": format!("{sub}-1"),
        "permissions": permissions,
    }))
}
