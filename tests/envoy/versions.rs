//! Everything once, for `make test-versions`, which runs this on each Envoy that the module and the library are made for.

use serde_json::json;

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::observed::counts_to;
use crate::process::{Envoy, Pushed, eventually};
use crate::setup::{Setup, policy};
use crate::token::token;

#[test]
fn everything_once() {
    let plugin = |name: &str| {
        policy(json!({
            "routes": [
                { "path": format!("/{name}"), "access": "public" },
                { "path": "/orders/{id}", "required_permissions": ["orders:read"], "name": "orders" },
                { "path": "/few", "rate_limits": [
                    { "name": "few", "max_requests": 2, "window_seconds": 600, "key": ["subject"] },
                ] },
            ],
            "request": { "max_request_size_bytes": 1000 },
            "revocation": { "endpoint": { "path": "/auth/revoke", "required_permissions": ["tokens:revoke"] } },
        }))
    };
    let envoy = Envoy::start(Setup { replaceable: true, concurrency: 2, ..Setup::new(&plugin("first")) });
    let refused = |ask: Ask, protocol, status, code| ask.send(&envoy, protocol).refused(&envoy, status, code);
    for (round, protocol) in (1..).zip(BOTH) {
        let sub = format!("user-{round}");
        let mine = token(json!({ "sub": sub, "jti": sub, "permissions": ["orders:read"] }));
        let heard = Ask::get("/orders/1").token(&mine).header("x-auth-subject", "forged");
        let heard = heard.send(&envoy, protocol).forwarded(&envoy);
        let subjects = heard.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("x-auth-subject"));
        assert_eq!(subjects.map(|(_, value)| value.clone()).collect::<Vec<_>>(), [sub.clone().into_bytes()]);
        refused(Ask::get("/orders/1"), protocol, 401, "token_missing");
        refused(
            Ask::get("/orders/1").token(&token(json!({ "permissions": [] }))),
            protocol,
            403,
            "permission_missing",
        );
        // Bodies: held and passed on, declared and streamed past the limit.
        let post = |body: Body| Ask::post("/x").token(&mine).body(body);
        let whole = post(Body::Streamed(vec![vec![b'x'; 400], vec![b'y'; 400]])).send(&envoy, protocol);
        assert_eq!(whole.forwarded(&envoy).body.len(), 800);
        refused(post(Body::Sized(vec![b'x'; 1001])), protocol, 413, "request_too_large");
        refused(post(Body::Streamed(vec![vec![b'x'; 600]; 2])), protocol, 413, "request_too_large");
        // Limits, and what responses tell of them.
        for left in ["1", "0"] {
            let reply = Ask::get("/few").token(&mine).send(&envoy, protocol);
            assert!(reply.one("ratelimit").contains(&format!("r={left}")), "{reply:?}");
        }
        refused(Ask::get("/few").token(&mine), protocol, 429, "rate_limited");
        // gRPC.
        let call =
            Ask::new("POST", "/a.B/C").header("content-type", "application/grpc").header("te", "trailers");
        let reply = call.send(&envoy, protocol);
        assert_eq!(reply.one("grpc-status"), "16", "{reply:?}");
        // Revocation, with a body that is read.
        let officer = token(json!({ "sub": "officer", "permissions": ["tokens:revoke"] }));
        let body = json!({ "token": mine }).to_string();
        let revoke = Ask::post("/auth/revoke").token(&officer).body(Body::Sized(body.into_bytes()));
        assert_eq!(revoke.send(&envoy, protocol).status, 200);
        refused(Ask::get("/orders/1").token(&mine), protocol, 401, "token_revoked");
        counts_to(&envoy, "refused", "token_revoked", round);
    }
    // What others see: access log, log line with the client's address, metrics by their names in Prometheus.
    let reply =
        Ask::get("/orders/1").token(&token(json!({ "permissions": [] }))).send(&envoy, Protocol::Http1);
    let access = envoy.access(&reply.test);
    assert_eq!(
        [&access["code"], &access["route"], &access["subject"], &access["details"]],
        ["permission_missing", "orders", "user-7", "api_guard_permission_missing"]
    );
    eventually("no line is logged", || {
        envoy.events().into_iter().find(|line| line["client_ip"] == "127.0.0.1")
    });
    let named = "api_guard_requests_total{decision=\"refused\",code=\"token_revoked\"} 2";
    eventually("no metric of that name", || envoy.prometheus().contains(named).then_some(()));
    // A push that is wrong changes nothing, and one that is right serves.
    assert_eq!(envoy.push("{}"), Pushed::Rejected);
    Ask::get("/first").send(&envoy, Protocol::Http1).forwarded(&envoy);
    assert_eq!(envoy.push(&plugin("second").to_string()), Pushed::Accepted);
    eventually("the push has no effect", || {
        (Ask::get("/second").send(&envoy, Protocol::Http1).status == 200).then_some(())
    });
    let spent = token(json!({ "sub": "user-1", "jti": "another" }));
    Ask::get("/few").token(&spent).send(&envoy, Protocol::Http1).refused(&envoy, 429, "rate_limited");
    envoy.assert_healthy();
}
