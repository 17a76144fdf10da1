//! Tokens as other issuers make them: claims named by URLs, users with numbers, secrets in base64, a key for each issuer.

use jwt_simple::prelude::{HS512Key, MACLike};
use serde_json::{Value, json};

use crate::ask::{Ask, Body, Protocol};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::table::judge;
use crate::token::{HEADER, SECRET, base64url, now, payload, sign_with, token};

const HTTP1: [Protocol; 1] = [Protocol::Http1];

fn ask(path: &str, token: &str) -> Ask {
    Ask::get(path).token(token)
}

#[test]
fn a_claim_that_is_named_by_a_url_gives_roles_bindings_and_headers() {
    let claim = |name: &str| format!(r"https://hasura\.io/jwt/claims.{name}");
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "roles": { "claim": claim("x-hasura-allowed-roles"), "grants": { "editor": ["orders:read"] } },
        "routes": [
            { "path": "/orders/{id}", "required_permissions": ["orders:read"] },
            { "path": "/users/{id}", "bind": { "id": claim("x-hasura-user-id") } },
        ],
        "forward": { "claims": { claim("x-hasura-user-id"): "x-user" } },
    }))));
    let hasura = |roles: Value| {
        token(json!({
            "https://hasura.io/jwt/claims": { "x-hasura-allowed-roles": roles, "x-hasura-user-id": "42" },
        }))
    };
    judge(
        &envoy,
        &HTTP1,
        [
            ("a role that grants it", ask("/orders/1", &hasura(json!(["editor"]))), "200"),
            ("another role", ask("/orders/1", &hasura(json!(["viewer"]))), "403 permission_missing"),
            ("no role", ask("/orders/1", &token(json!({}))), "403 permission_missing"),
            ("their own path", ask("/users/42", &hasura(json!([]))), "200"),
            ("somebody else's", ask("/users/43", &hasura(json!([]))), "403 binding_mismatch"),
        ],
    );
    let heard = ask("/x", &hasura(json!([]))).send(&envoy, Protocol::Http1).forwarded(&envoy);
    assert_eq!(heard.one("x-user"), "42");
}

#[test]
fn who_the_caller_is_and_what_a_token_is_for_stand_in_the_claims_that_are_named() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "tokens": { "subject_claim": "user_id", "required_values": { "token_type": ["access"] } },
        "rate_limits": [{ "name": "own", "max_requests": 2, "window_seconds": 3600, "key": ["subject"] }],
    }))));
    let of = |user: Value, kind: &str| token(json!({ "sub": null, "user_id": user, "token_type": kind }));
    let heard = ask("/x", &of(json!(7), "access")).send(&envoy, Protocol::Http1).forwarded(&envoy);
    assert_eq!(heard.one("x-auth-subject"), "7");
    judge(
        &envoy,
        &HTTP1,
        [
            ("a refresh token", ask("/x", &of(json!(9), "refresh")), "401 claim_invalid"),
            ("a fraction", ask("/x", &of(json!(7.0), "access")), "401 claim_invalid"),
            ("no user", ask("/x", &token(json!({ "token_type": "access" }))), "401 claim_missing"),
            ("another user", ask("/x", &of(json!(8), "access")), "200"),
            ("the same user as a text", ask("/x", &of(json!("7"), "access")), "200"),
            ("who has used up the limit", ask("/x", &of(json!(7), "access")), "429 rate_limited"),
            ("and the other has not", ask("/x", &of(json!(8), "access")), "200"),
        ],
    );
}

#[test]
fn a_secret_is_read_from_base64_in_a_variable_and_signs_by_the_longest_hash() {
    let bytes: Vec<u8> = (0..64).map(|number| number * 4 + 3).collect();
    let text = base64url(&bytes).replace('-', "+").replace('_', "/");
    assert!(text.contains('+') && text.contains('/'));
    let key =
        json!({ "algorithm": "HS512", "secret": { "value": format!("{text}==\n"), "encoding": "base64" } });
    let envoy = Envoy::start(Setup::new(&policy(json!({ "tokens": { "keys": [key] } }))));
    let made = |header: &str, secret: &[u8]| {
        let signed = format!("{}.{}", base64url(header), base64url(payload(json!({})).to_string()));
        let tag = HS512Key::from_bytes(secret).authentication_tag(signed.as_bytes());
        format!("{signed}.{}", base64url(tag))
    };
    let header = r#"{"alg":"HS512"}"#;
    let short = sign_with(&bytes, r#"{"alg":"HS512"}"#, payload(json!({})).to_string());
    judge(
        &envoy,
        &HTTP1,
        [
            ("by the bytes", ask("/x", &made(header, &bytes)), "200"),
            ("by the text", ask("/x", &made(header, text.as_bytes())), "401 token_signature_invalid"),
            ("by a shorter hash", ask("/x", &short), "401 token_signature_invalid"),
            (
                "that says so",
                ask("/x", &sign_with(&bytes, HEADER, payload(json!({})).to_string())),
                "401 token_algorithm_refused",
            ),
        ],
    );
}

#[test]
fn a_key_vouches_for_its_issuer_and_the_same_subject_of_two_is_two_callers() {
    let (a, b) = (SECRET, "another-secret-that-nobody-may-ever-see-in-a-reply");
    let key = |kid: &str, secret: &str| json!({ "kid": kid, "secret": { "value": secret }, "issuers": [format!("https://{kid}")] });
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "tokens": { "keys": [key("a", a), key("b", b)] },
        "rate_limits": [{ "name": "own", "max_requests": 1, "window_seconds": 3600, "key": ["subject"] }],
        "forward": { "issuer_header": "x-auth-issuer" },
    }))));
    let of = |secret: &str, kid: &str, issuer: &str| {
        let header = json!({ "alg": "HS256", "kid": kid }).to_string();
        sign_with(secret.as_bytes(), header, payload(json!({ "iss": issuer })).to_string())
    };
    let heard = ask("/x", &of(a, "a", "https://a")).send(&envoy, Protocol::Http1).forwarded(&envoy);
    assert_eq!(heard.one("x-auth-issuer"), "https://a");
    judge(
        &envoy,
        &HTTP1,
        [
            ("in the name of another", ask("/x", &of(a, "a", "https://b")), "401 issuer_refused"),
            ("in the name of nobody", ask("/x", &of(a, "a", "https://c")), "401 issuer_refused"),
            ("without a name", ask("/x", &token(json!({}))), "401 issuer_refused"),
            ("a namesake", ask("/x", &of(b, "b", "https://b")), "200"),
            ("the first once more", ask("/x", &of(a, "a", "https://a")), "429 rate_limited"),
        ],
    );
}

#[test]
fn a_revocation_may_mean_the_subject_of_one_issuer() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "tokens": { "issuers": ["https://a", "https://b"] },
        "revocation": { "endpoint": {} },
    }))));
    let of = |issuer: &str, sub: &str, permissions: Value| {
        token(json!({ "iss": issuer, "sub": sub, "permissions": permissions }))
    };
    let user = |issuer: &str| of(issuer, "user-7", json!([]));
    let revoke = |by: &str, issuer: &str| {
        let body = json!({ "iss": issuer, "sub": "user-7", "issued_before": now() + 1 }).to_string();
        let ask = Ask::post("/auth/revoke").token(by).body(Body::Sized(body.into_bytes()));
        ask.send(&envoy, Protocol::Http1).status
    };
    let get = |token: &str| ask("/x", token).send(&envoy, Protocol::Http1).status;
    let (a, b) = (user("https://a"), user("https://b"));
    let officer = of("https://a", "officer", json!(["tokens:revoke"]));
    assert_eq!((revoke(&a, "https://b"), get(&b)), (403, 200), "somebody at another issuer");
    assert_eq!((revoke(&officer, "https://b"), get(&b), get(&a)), (200, 401, 200));
    assert_eq!((revoke(&a, "https://a"), get(&a)), (200, 401), "their own");
    envoy.assert_healthy();
}

#[test]
fn one_credential_sent_twice_is_one_and_a_websocket_carries_it_among_its_protocols() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "tokens": { "sources": [
            { "header": "authorization", "scheme": "Bearer" },
            { "cookie": "session" },
            { "websocket_protocol": "bearer" },
        ] },
    }))));
    let (one, other) = (token(json!({})), token(json!({ "sub": "user-8", "iat": now() - 1 })));
    let cookies = |first: &str, second: &str| {
        Ask::get("/x").header("cookie", format!("session={first}; session={second}"))
    };
    let protocols = |list: String| Ask::get("/x").header("sec-websocket-protocol", list);
    judge(
        &envoy,
        &HTTP1,
        [
            ("a cookie twice", cookies(&one, &one), "200"),
            ("two cookies", cookies(&one, &other), "400 credentials_ambiguous"),
            ("a header and a cookie", cookies(&one, &one).token(&one), "200"),
            ("another header", cookies(&one, &one).token(&other), "400 credentials_ambiguous"),
            ("no token among the protocols", protocols("chat, bearer".to_owned()), "401 token_missing"),
        ],
    );
    let heard = protocols(format!("chat, bearer, {one}")).send(&envoy, Protocol::Http1).forwarded(&envoy);
    assert_eq!(heard.one("x-auth-subject"), "user-7");
    assert_eq!(heard.one("sec-websocket-protocol"), "chat, bearer");
}

#[test]
fn a_challenge_names_the_realm_and_the_metadata_of_the_resource() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "replies": { "realm": "orders", "resource_metadata": "https://api.example/metadata" },
    }))));
    let reply = Ask::get("/x").send(&envoy, Protocol::Http1);
    assert_eq!(
        reply.one("www-authenticate"),
        r#"Bearer realm="orders", resource_metadata="https://api.example/metadata""#
    );
}
