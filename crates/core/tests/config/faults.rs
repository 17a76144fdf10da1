//! Each way in which a setting can be wrong is an error at that setting, and at no other.

use api_guard_testkit::lay_over;
use serde_json::{Value, json};

use super::{errors, with};

#[test]
fn each_fault_is_reported_at_its_place_and_nowhere_else() {
    let limit = |changes: Value| {
        let mut limit = json!({ "name": "a", "max_requests": 1, "window_seconds": 1 });
        lay_over(&mut limit, &changes);
        json!({ "rate_limits": [limit] })
    };
    let route = |changes: Value| {
        let mut route = json!({ "path": "/a/{id}" });
        lay_over(&mut route, &changes);
        json!({ "routes": [route] })
    };
    let key = |key: Value| json!({ "tokens": { "keys": [key] } });
    let secret = json!({ "env": "SECRET" });
    for (changes, at) in [
        (json!({ "mod": "report" }), "/mod"),
        (json!({ "mode": "off" }), "/mode"),
        (json!({ "tokens": { "keys": [] } }), "/tokens/keys"),
        (json!({ "tokens": { "keys": null } }), "/tokens/keys"),
        (key(json!({})), "/tokens/keys/0/secret"),
        (key(json!({ "secret": { "env": "UNSET" } })), "/tokens/keys/0/secret/env"),
        (key(json!({ "secret": { "env": "SHORT" } })), "/tokens/keys/0/secret/env"),
        (key(json!({ "secret": { "env": "a b" } })), "/tokens/keys/0/secret/env"),
        (key(json!({ "secret": { "value": "short" } })), "/tokens/keys/0/secret/value"),
        (key(json!({ "secret": { "base64url": "***" } })), "/tokens/keys/0/secret/base64url"),
        (key(json!({ "secret": { "base64url": "c2hvcnQ" } })), "/tokens/keys/0/secret/base64url"),
        (key(json!({ "secret": { "env": "SECRET", "encoding": "hex" } })), "/tokens/keys/0/secret/encoding"),
        (key(json!({ "secret": { "env": "SECRET", "encoding": null } })), "/tokens/keys/0/secret/encoding"),
        (key(json!({ "secret": { "encoding": "text" } })), "/tokens/keys/0/secret"),
        (key(json!({ "secret": { "env": "SECRET", "value": "b" } })), "/tokens/keys/0/secret"),
        (
            key(json!({ "secret": { "base64url": "c2hvcnQ", "encoding": "base64" } })),
            "/tokens/keys/0/secret/encoding",
        ),
        (
            key(json!({ "secret": { "value": "c2hvcnQ=", "encoding": "base64" } })),
            "/tokens/keys/0/secret/value",
        ),
        (
            key(json!({ "secret": { "value": "no base64", "encoding": "base64" } })),
            "/tokens/keys/0/secret/value",
        ),
        (key(json!({ "secret": { "env": "SHORT", "encoding": "base64" } })), "/tokens/keys/0/secret/env"),
        (key(json!({ "secret": secret, "algorithm": "HS512" })), "/tokens/keys/0/secret/env"),
        (key(json!({ "secret": secret, "algorithm": "hs256" })), "/tokens/keys/0/algorithm"),
        (key(json!({ "secret": secret, "algorithm": "none" })), "/tokens/keys/0/algorithm"),
        (key(json!({ "secret": secret, "issuers": [""] })), "/tokens/keys/0/issuers/0"),
        (key(json!({ "secret": secret, "issuers": ["a", "a"] })), "/tokens/keys/0/issuers/1"),
        (key(json!({ "secret": secret, "issuers": "a" })), "/tokens/keys/0/issuers"),
        (key(json!({ "secret": secret, "audiences": [""] })), "/tokens/keys/0/audiences/0"),
        (json!({ "revocation": { "denied": { "sub": [""] } } }), "/revocation/denied/sub/0"),
        (json!({ "revocation": { "denied": { "sub": ["a", "b", "a"] } } }), "/revocation/denied/sub/2"),
        (json!({ "revocation": { "denied": { "sub": [1] } } }), "/revocation/denied/sub/0"),
        (json!({ "revocation": { "denied": { "sub": [{ "iss": "a" }] } } }), "/revocation/denied/sub/0/sub"),
        (json!({ "revocation": { "denied": { "sub": [{ "sub": "a" }] } } }), "/revocation/denied/sub/0/iss"),
        (
            json!({ "revocation": { "denied": { "sub": [{ "iss": "a", "sub": "b" }, "b", { "iss": "a", "sub": "b" }] } } }),
            "/revocation/denied/sub/2",
        ),
        (key(json!({ "secret": secret, "kid": "" })), "/tokens/keys/0/kid"),
        (key(json!({ "secret": secret, "kid": "a\nb" })), "/tokens/keys/0/kid"),
        (key(json!({ "secret": secret, "not_before": "soon" })), "/tokens/keys/0/not_before"),
        (
            key(
                json!({ "secret": secret, "not_before": "2026-02-01T00:00:00Z", "not_after": "2026-01-01T00:00:00Z" }),
            ),
            "/tokens/keys/0/not_after",
        ),
        (
            json!({ "tokens": { "keys": [{ "kid": "a", "secret": secret }, { "kid": "a", "secret": secret }] } }),
            "/tokens/keys/1/kid",
        ),
        (
            json!({ "revocation": { "denied": { "sub_issued_before": { "milliseconds": 1_790_000_000_000_u64 } } } }),
            "/revocation/denied/sub_issued_before/milliseconds",
        ),
        (json!({ "tokens": { "sources": [] } }), "/tokens/sources"),
        (json!({ "tokens": { "sources": [{}] } }), "/tokens/sources/0"),
        (json!({ "tokens": { "sources": [{ "cookie": "a", "query": "b" }] } }), "/tokens/sources/0"),
        (json!({ "tokens": { "sources": [{ "cookie": "a", "scheme": "Bearer" }] } }), "/tokens/sources/0"),
        (json!({ "tokens": { "sources": [{ "header": "x-a" }, { "header": "X-A" }] } }), "/tokens/sources/1"),
        (
            json!({ "tokens": { "sources": [{ "websocket_protocol": "bearer," }] } }),
            "/tokens/sources/0/websocket_protocol",
        ),
        (
            json!({ "tokens": { "sources": [{ "websocket_protocol": "a", "scheme": "Bearer" }] } }),
            "/tokens/sources/0",
        ),
        (
            json!({ "tokens": { "sources": [{ "websocket_protocol": "a", "cookie": "b" }] } }),
            "/tokens/sources/0",
        ),
        (
            json!({ "tokens": { "sources": [{ "websocket_protocol": "a" }, { "websocket_protocol": "b" }] } }),
            "/tokens/sources/1",
        ),
        (
            json!({ "tokens": { "sources": [{ "websocket_protocol": "a" }, { "header": "Sec-WebSocket-Protocol" }] } }),
            "/tokens/sources/1",
        ),
        (json!({ "tokens": { "required_claims": ["sub", "sub"] } }), "/tokens/required_claims/1"),
        (json!({ "tokens": { "required_claims": [""] } }), "/tokens/required_claims/0"),
        (json!({ "tokens": { "subject_claim": "a..b" } }), "/tokens/subject_claim"),
        (json!({ "tokens": { "subject_claim": null } }), "/tokens/subject_claim"),
        (json!({ "tokens": { "required_values": ["a"] } }), "/tokens/required_values"),
        (json!({ "tokens": { "required_values": { "a": "b" } } }), "/tokens/required_values/a"),
        (json!({ "tokens": { "required_values": { "a": [] } } }), "/tokens/required_values/a"),
        (json!({ "tokens": { "required_values": { "a": [1.5] } } }), "/tokens/required_values/a/0"),
        (json!({ "tokens": { "required_values": { "a": [1e3] } } }), "/tokens/required_values/a/0"),
        (json!({ "tokens": { "required_values": { "a": [null] } } }), "/tokens/required_values/a/0"),
        (json!({ "tokens": { "required_values": { "a": ["b", 1, "b"] } } }), "/tokens/required_values/a/2"),
        (json!({ "tokens": { "required_values": { "": ["b"] } } }), "/tokens/required_values/"),
        (json!({ "tokens": { "permissions_claim": [] } }), "/tokens/permissions_claim"),
        (json!({ "tokens": { "permissions_claim": 1 } }), "/tokens/permissions_claim"),
        (json!({ "tokens": { "permissions_claim": ["a", "a"] } }), "/tokens/permissions_claim/1"),
        (json!({ "tokens": { "permissions_claim": ["a", "b."] } }), "/tokens/permissions_claim/1"),
        (json!({ "roles": { "claim": [], "grants": { "a": ["a:b"] } } }), "/roles/claim"),
        (json!({ "tokens": { "issuers": [""] } }), "/tokens/issuers/0"),
        (json!({ "tokens": { "max_token_bytes": 0 } }), "/tokens/max_token_bytes"),
        (json!({ "tokens": { "max_token_age_hours": 0 } }), "/tokens/max_token_age_hours"),
        (json!({ "tokens": { "clock_skew_seconds": -1 } }), "/tokens/clock_skew_seconds"),
        (json!({ "tokens": { "permission_format": "regex" } }), "/tokens/permission_format"),
        (json!({ "tokens": { "permissions_claim": "a..b" } }), "/tokens/permissions_claim"),
        (json!({ "request": { "allowed_methods": [] } }), "/request/allowed_methods"),
        (json!({ "request": { "allowed_methods": ["get"] } }), "/request/allowed_methods/0"),
        (json!({ "request": { "allowed_methods": ["CONNECT"] } }), "/request/allowed_methods/0"),
        (json!({ "request": { "allowed_methods": ["*"] } }), "/request/allowed_methods/0"),
        (json!({ "request": { "allowed_methods": ["GET|POST"] } }), "/request/allowed_methods/0"),
        (json!({ "request": { "content_types": ["json"] } }), "/request/content_types/0"),
        (json!({ "request": { "content_types": ["a/b; c=d"] } }), "/request/content_types/0"),
        (json!({ "request": { "max_request_size_bytes": 0 } }), "/request/max_request_size_bytes"),
        (json!({ "request": { "max_request_size_bytes": "1" } }), "/request/max_request_size_bytes"),
        (json!({ "request": { "https_only": 1 } }), "/request/https_only"),
        (json!({ "routes": {} }), "/routes"),
        (json!({ "routes": [{}] }), "/routes/0/path"),
        (json!({ "routes": [{ "path": "a" }] }), "/routes/0/path"),
        (json!({ "routes": [{ "path": "/a/../b" }] }), "/routes/0/path"),
        (json!({ "routes": [{ "path": "/{*rest}/b" }] }), "/routes/0/path"),
        (json!({ "routes": [{ "path": "/a", "metods": [] }] }), "/routes/0/metods"),
        (route(json!({ "methods": [] })), "/routes/0/methods"),
        (route(json!({ "methods": ["PATCH"] })), "/routes/0/methods/0"),
        (route(json!({ "hosts": [] })), "/routes/0/hosts"),
        (route(json!({ "hosts": ["a:80"] })), "/routes/0/hosts/0"),
        (route(json!({ "required_permissions": [] })), "/routes/0/required_permissions"),
        (route(json!({ "required_permissions": ["Read"] })), "/routes/0/required_permissions/0"),
        (route(json!({ "any_permissions": [] })), "/routes/0/any_permissions"),
        (route(json!({ "access": "public", "bind": { "id": "sub" } })), "/routes/0/bind"),
        (
            route(json!({ "access": "public", "required_permissions": ["a:b"] })),
            "/routes/0/required_permissions",
        ),
        (route(json!({ "access": "deny", "any_permissions": ["a:b"] })), "/routes/0/any_permissions"),
        (route(json!({ "bind": { "other": "sub" } })), "/routes/0/bind/other"),
        (route(json!({ "max_request_size_bytes": 0 })), "/routes/0/max_request_size_bytes"),
        (json!({ "routes": [{ "path": "/a" }, { "path": "/a/", "methods": ["PUT"] }] }), "/routes/1"),
        (json!({ "routes": [{ "path": "/a/{x}" }, { "path": "/a/{y}" }] }), "/routes/1"),
        (json!({ "unmatched_routes": "open" }), "/unmatched_routes"),
        (json!({ "roles": {} }), "/roles/grants"),
        (json!({ "roles": { "grants": { "a": [] } } }), "/roles/grants/a"),
        (json!({ "roles": { "grants": { "a/b": ["x"] } } }), "/roles/grants/a~1b/0"),
        (json!({ "rate_limits": [{}] }), "/rate_limits/0/name"),
        (limit(json!({ "max_requests": 0 })), "/rate_limits/0/max_requests"),
        (limit(json!({ "max_requests": "many" })), "/rate_limits/0/max_requests"),
        (limit(json!({ "window_seconds": 0 })), "/rate_limits/0/window_seconds"),
        (limit(json!({ "warn_at_percent": 0 })), "/rate_limits/0/warn_at_percent"),
        (limit(json!({ "warn_at_percent": 101 })), "/rate_limits/0/warn_at_percent"),
        (limit(json!({ "key": [] })), "/rate_limits/0/key"),
        (limit(json!({ "key": ["ip"] })), "/rate_limits/0/key/0"),
        (limit(json!({ "key": ["path", "path"] })), "/rate_limits/0/key/1"),
        (limit(json!({ "key": ["header:a b"] })), "/rate_limits/0/key/0"),
        (limit(json!({ "name": "a b" })), "/rate_limits/0/name"),
        (limit(json!({ "name": "auth-failures" })), "/rate_limits/0/name"),
        (
            limit(json!({ "max_requests": { "claim": "plan", "values": {}, "default": 1 } })),
            "/rate_limits/0/max_requests/values",
        ),
        (
            limit(json!({ "max_requests": { "claim": "plan", "values": { "a": 0 }, "default": 1 } })),
            "/rate_limits/0/max_requests/values/a",
        ),
        (
            limit(json!({ "max_requests": { "claim": "plan", "values": { "a": 1 } } })),
            "/rate_limits/0/max_requests/default",
        ),
        (
            route(json!({ "rate_limits": [{ "name": "default", "max_requests": 1, "window_seconds": 1 }] })),
            "/routes/0/rate_limits/0/name",
        ),
        (json!({ "auth_failure_limit": {} }), "/auth_failure_limit/max_failures"),
        (json!({ "request": { "rewrite_headers": "remove" } }), "/request/rewrite_headers"),
        (json!({ "forward": { "permissions_header": "x.auth_subject" } }), "/forward/permissions_header"),
        (json!({ "forward": { "subject_header": "x_envoy_internal" } }), "/forward/subject_header"),
        (
            json!({ "tokens": { "sources": [{ "header": "x-token" }] }, "forward": { "subject_header": "x_token" } }),
            "/forward/subject_header",
        ),
        (json!({ "client_ip": { "ipv6_prefix": 0 } }), "/client_ip/ipv6_prefix"),
        (json!({ "client_ip": { "ipv6_prefix": 129 } }), "/client_ip/ipv6_prefix"),
        (json!({ "client_ip": { "from": "x-forwarded-for" } }), "/client_ip/from"),
        (json!({ "limiter_capacity": 0 }), "/limiter_capacity"),
        (json!({ "limiter_capacity": 16_777_217 }), "/limiter_capacity"),
        (json!({ "revocation": { "capacity": 0 } }), "/revocation/capacity"),
        (json!({ "revocation": { "denied": { "jti": [""] } } }), "/revocation/denied/jti/0"),
        (json!({ "revocation": { "endpoint": { "path": "/{id}" } } }), "/revocation/endpoint/path"),
        (
            json!({
                "routes": [{ "path": "/auth/revoke", "hosts": ["a.example.com"] }],
                "revocation": { "endpoint": {} },
            }),
            "/revocation/endpoint/path",
        ),
        (
            json!({ "revocation": { "endpoint": { "required_permissions": [] } } }),
            "/revocation/endpoint/required_permissions",
        ),
        (
            json!({ "revocation": { "endpoint": {} }, "routes": [{ "path": "/auth/revoke" }] }),
            "/revocation/endpoint/path",
        ),
        (
            json!({ "revocation": { "endpoint": {} }, "request": { "allowed_methods": ["GET"] } }),
            "/revocation/endpoint",
        ),
        (json!({ "forward": { "subject_header": "a b" } }), "/forward/subject_header"),
        (json!({ "forward": { "subject_header": "authorization" } }), "/forward/subject_header"),
        (json!({ "forward": { "subject_header": "host" } }), "/forward/subject_header"),
        (json!({ "forward": { "permissions_header": "X-Auth-Subject" } }), "/forward/permissions_header"),
        (json!({ "forward": { "claims": { "a": "x_auth_subject" } } }), "/forward/claims/a"),
        (json!({ "forward": { "issuer_header": "X_Auth_Subject" } }), "/forward/issuer_header"),
        (json!({ "forward": { "token": "hide" } }), "/forward/token"),
        (json!({ "replies": { "rate_limit_headers": "all" } }), "/replies/rate_limit_headers"),
        (json!({ "replies": { "realm": "" } }), "/replies/realm"),
        (json!({ "replies": { "realm": "a\"b" } }), "/replies/realm"),
        (json!({ "replies": { "realm": "x".repeat(65) } }), "/replies/realm"),
        (json!({ "replies": { "realm": null } }), "/replies/realm"),
        (json!({ "replies": { "resource_metadata": "http://a" } }), "/replies/resource_metadata"),
        (json!({ "replies": { "resource_metadata": "https://a/\"" } }), "/replies/resource_metadata"),
    ] {
        let found = errors(&with(changes.clone()));
        assert!(found.iter().any(|(place, _)| place == at), "{changes} should be wrong at {at}: {found:?}");
        for (place, text) in found {
            assert!(
                place.starts_with(at)
                    || at.starts_with("/rate_limits/0")
                    || at == "/auth_failure_limit/max_failures",
                "{changes}: {text}"
            );
        }
    }
}
