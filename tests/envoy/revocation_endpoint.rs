//! The endpoint as a client sees it: what it accepts, from whom, and that nothing of it ever reaches the service.

use std::time::Duration;

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::http1::Connection;
use crate::kind;
use crate::observed::counts_to;
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::token::{now, sign_with, token};

const ENDPOINT: &str = "/auth/revoke";
const LARGEST: usize = 16 * 1024;

fn with_endpoint(mut changes: Value) -> Value {
    changes["revocation"]["endpoint"] =
        json!({ "path": ENDPOINT, "required_permissions": ["tokens:revoke"] });
    policy(changes)
}

fn officer() -> String {
    token(json!({ "sub": "officer", "permissions": ["tokens:revoke"] }))
}

fn revoke(by: &str, body: impl ToString) -> Ask {
    Ask::post(ENDPOINT).token(by).body(Body::Sized(body.to_string().into_bytes()))
}

/// A body of exactly this size that revokes `jti`.
fn padded(jti: &str, size: usize) -> Vec<u8> {
    let mut body = json!({ "jti": jti, "expires_at": now() + 600 }).to_string().into_bytes();
    body.resize(size, b' ');
    body
}

#[test]
fn bodies_are_read_up_to_16_kib() {
    let envoy = Envoy::start(Setup::new(&with_endpoint(json!({}))));
    for protocol in BOTH {
        for (streamed, size, status) in [
            (false, LARGEST, 200),
            (true, LARGEST, 200),
            (false, LARGEST + 1, 413),
            (true, LARGEST + 1, 413),
            (false, 60_000, 413),
            (true, 60_000, 413),
        ] {
            let jti = format!("{protocol:?}-{streamed}-{size}");
            let body = padded(&jti, size);
            let body = match streamed {
                false => Body::Sized(body),
                true => Body::Streamed(body.chunks(5000).map(<[u8]>::to_vec).collect()),
            };
            let reply = Ask::post(ENDPOINT).token(&officer()).body(body).send(&envoy, protocol);
            assert_eq!(reply.status, status, "{jti}: {reply:?}");
            if status == 413 {
                reply.refused(&envoy, 413, "request_too_large");
            }
            let revoked = Ask::get("/x").token(&token(json!({ "jti": jti }))).send(&envoy, protocol);
            assert_eq!(revoked.status, if status == 200 { 401 } else { 200 }, "{jti}");
        }
    }
    assert_eq!(envoy.upstream.heard_for(ENDPOINT), 0);
    envoy.assert_healthy();
}

#[test]
fn the_endpoint_is_checked_like_any_route() {
    let plugin = with_endpoint(json!({
        "rate_limits": [{ "name": "few", "max_requests": 40, "window_seconds": 3600, "key": ["subject"] }],
    }));
    let envoy = Envoy::start(Setup::new(&plugin));
    let good = token(json!({}));
    let stranger = sign_with(b"another secret of thirty-two bytes", r#"{"alg":"HS256"}"#, "{}");
    for protocol in BOTH {
        for (name, ask, verdict) in [
            ("no token", Ask::new("POST", ENDPOINT), "401 token_missing"),
            (
                "expired",
                Ask::new("POST", ENDPOINT).token(&token(json!({ "exp": 1000 }))),
                "401 token_expired",
            ),
            ("forged", Ask::new("POST", ENDPOINT).token(&stranger), "401 token_signature_invalid"),
            ("an empty object", revoke(&good, "{}"), "400"),
            (
                "another type",
                Ask::new("POST", ENDPOINT)
                    .token(&good)
                    .header("content-type", "text/plain")
                    .body(Body::Sized(b"{}".to_vec())),
                "415 unsupported_media_type",
            ),
            ("a dodged path", Ask::new("POST", "/auth//revoke").token(&good), "400 path_ambiguous"),
            ("not JSON", revoke(&good, "{"), "400"),
            ("an unknown field", revoke(&good, json!({ "token": good, "force": true })), "400"),
            ("a field twice", revoke(&good, r#"{"token":"a","token":"b"}"#), "400"),
            (
                "two requests in one",
                revoke(&good, json!({ "token": good, "jti": "a", "expires_at": 1 })),
                "400",
            ),
            ("a list", revoke(&good, json!([good])), "400"),
            ("half a request", revoke(&good, json!({ "jti": "a" })), "400"),
            ("a token that does not verify", revoke(&good, json!({ "token": stranger })), "400"),
            ("an expired token", revoke(&good, json!({ "token": token(json!({ "exp": 1000 })) })), "400"),
            (
                "not UTF-8",
                Ask::post(ENDPOINT).token(&good).body(Body::Sized(b"{\"token\":\"\xff\"}".to_vec())),
                "400",
            ),
            (
                "a stranger's jti",
                revoke(&good, json!({ "jti": "a", "expires_at": now() + 60 })),
                "403 permission_missing",
            ),
            (
                "a stranger",
                revoke(&good, json!({ "sub": "user-8", "issued_before": now() })),
                "403 permission_missing",
            ),
            ("a stranger's token", revoke(&good, json!({ "token": officer() })), "403 permission_missing"),
        ] {
            let reply = ask.send(&envoy, protocol);
            assert!(reply.verdict().starts_with(verdict), "{name} over {protocol:?}: {reply:?}");
            assert!(envoy.upstream.heard(&reply.test).is_empty(), "{name}");
            let problem: Value = serde_json::from_slice(&reply.body).unwrap();
            if name.contains("does not verify") || name == "an expired token" {
                assert_eq!(problem["detail"], "Cannot revoke invalid token", "{name}");
            }
        }
    }
    // Nothing of that revoked anything.
    Ask::get("/x").token(&good).send(&envoy, Protocol::Http1).forwarded(&envoy);
    // One's own tokens need no permission: all of them until now.
    let old = token(json!({ "iat": now() - 100 }));
    let mine = revoke(&good, json!({ "sub": "user-7", "issued_before": now() - 50 }));
    assert_eq!(mine.send(&envoy, Protocol::Http1).status, 200);
    Ask::get("/x").token(&old).send(&envoy, Protocol::Http1).refused(&envoy, 401, "token_revoked");
    let limited =
        (0..40).map(|_| Ask::new("POST", ENDPOINT).token(&good)).map(|ask| ask.send(&envoy, Protocol::Http1));
    let replies: Vec<_> = limited.map(|reply| reply.verdict()).collect();
    assert!(
        replies
            .iter()
            .all(|verdict| ["200", "401 token_revoked", "429 rate_limited"].contains(&verdict.as_str()))
    );
    assert_eq!(envoy.upstream.heard_for(ENDPOINT), 0);
    envoy.assert_healthy();
}

#[test]
fn the_endpoint_counts_against_the_callers_limits() {
    let plugin = with_endpoint(json!({
        "rate_limits": [{ "name": "few", "max_requests": 3, "window_seconds": 3600, "key": ["subject"] }],
    }));
    let envoy = Envoy::start(Setup::new(&plugin));
    let officer = officer();
    let ask =
        |number: u32| revoke(&officer, json!({ "jti": format!("j{number}"), "expires_at": now() + 600 }));
    for number in 0..3 {
        let reply = ask(number).send(&envoy, Protocol::Http1);
        assert_eq!(reply.status, 200, "{reply:?}");
    }
    ask(3).send(&envoy, Protocol::Http1).refused(&envoy, 429, "rate_limited");
    Ask::get("/x").token(&token(json!({ "jti": "j3" }))).send(&envoy, Protocol::Http1).forwarded(&envoy);
}

#[test]
fn without_the_option_that_delivers_bodies_the_endpoint_logs_out_and_forwards_nothing() {
    if !kind::runs(kind::UNDELIVERED_BODIES) {
        return;
    }
    for allow_on_headers_stop_iteration in [true, false] {
        let setup = Setup { allow_on_headers_stop_iteration, ..Setup::new(&with_endpoint(json!({}))) };
        let envoy = Envoy::start(setup);
        for protocol in BOTH {
            let mine = token(json!({ "jti": format!("{protocol:?}") }));
            let reply = Ask::new("POST", ENDPOINT).token(&mine).send(&envoy, protocol);
            assert_eq!(reply.status, 200, "{reply:?}");
            Ask::get("/x").token(&mine).send(&envoy, protocol).refused(&envoy, 401, "token_revoked");
            let other = format!("other-{protocol:?}");
            let reply =
                revoke(&officer(), json!({ "jti": other, "expires_at": now() + 600 })).send(&envoy, protocol);
            assert_eq!(reply.status, if allow_on_headers_stop_iteration { 200 } else { 500 }, "{reply:?}");
            if !allow_on_headers_stop_iteration {
                // Refused by the tick, and told like any other refusal.
                let access = envoy.access(&reply.test);
                assert_eq!((&access["code"], &access["route"]), (&json!("internal_fault"), &json!(ENDPOINT)));
            }
            let later = Ask::get("/x").token(&token(json!({ "jti": other }))).send(&envoy, protocol);
            assert_eq!(
                later.status,
                if allow_on_headers_stop_iteration { 401 } else { 200 },
                "as it was told"
            );
            Ask::post(ENDPOINT).send(&envoy, protocol).refused(&envoy, 401, "token_missing");
        }
        assert_eq!(envoy.upstream.heard_for(ENDPOINT), 0);
        envoy.assert_healthy();
    }
}

#[test]
fn a_body_that_is_long_in_coming_is_read_all_the_same() {
    // The first body of a worker is the one from which the filter learns whether bodies come at all.
    let envoy = Envoy::start(Setup::new(&with_endpoint(json!({}))));
    for streamed in [false, true] {
        let jti = format!("slow-{streamed}");
        let body = json!({ "jti": jti, "expires_at": now() + 600 }).to_string();
        let ask = Ask::post(ENDPOINT).token(&officer()).body(if streamed {
            Body::Unfinished(Vec::new())
        } else {
            Body::Declared(body.len().to_string())
        });
        let mut connection = Connection::open(envoy.address()).unwrap();
        connection.write(&ask.http1());
        std::thread::sleep(Duration::from_millis(700));
        let rest = if streamed { format!("{:x}\r\n{body}\r\n0\r\n\r\n", body.len()) } else { body };
        let reply = connection.exchange(rest.as_bytes(), false).unwrap();
        assert_eq!(reply.status, 200, "{reply:?}");
        let revoked = Ask::get("/x").token(&token(json!({ "jti": jti }))).send(&envoy, Protocol::Http1);
        revoked.refused(&envoy, 401, "token_revoked");
    }
    envoy.assert_healthy();
}

#[test]
fn in_report_mode_the_endpoint_is_as_strict_as_ever() {
    let envoy = Envoy::start(Setup::new(&with_endpoint(json!({ "mode": "report" }))));
    for protocol in BOTH {
        let mine = token(json!({ "jti": format!("{protocol:?}") }));
        Ask::new("POST", ENDPOINT).send(&envoy, protocol).refused(&envoy, 401, "token_missing");
        Ask::new("POST", ENDPOINT).token("a.b.c").send(&envoy, protocol).refused(
            &envoy,
            401,
            "token_malformed",
        );
        revoke(&mine, json!({ "jti": "a", "expires_at": now() + 60 })).send(&envoy, protocol).refused(
            &envoy,
            403,
            "permission_missing",
        );
        let long = Ask::post(ENDPOINT).token(&officer()).body(Body::Sized(padded("long", LARGEST + 1)));
        long.send(&envoy, protocol).refused(&envoy, 413, "request_too_large");
        let reply = Ask::new("POST", ENDPOINT).token(&mine).send(&envoy, protocol);
        assert_eq!(reply.status, 200, "{reply:?}");
        Ask::new("POST", ENDPOINT).token(&mine).send(&envoy, protocol).refused(&envoy, 401, "token_revoked");
        // Elsewhere the revoked token passes, is told of, and is nobody's identity.
        let reply = Ask::get("/x").token(&mine).send(&envoy, protocol);
        let heard = reply.forwarded(&envoy);
        assert!(heard.all("x-auth-subject").is_empty(), "{heard:?}");
        assert_eq!(envoy.access(&reply.test)["code"], "token_revoked");
    }
    counts_to(&envoy, "would_refuse", "token_revoked", 2);
    assert_eq!(envoy.upstream.heard_for(ENDPOINT), 0);
    envoy.assert_healthy();
}
