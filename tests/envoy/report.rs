//! Mode `report`: nothing is refused, and everything that would have been is told.

use serde_json::json;

use crate::ask::{Ask, BOTH, Body};
use crate::observed::{counted, counts_to};
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::token::token;

#[test]
fn what_would_be_refused_is_forwarded_counted_and_named() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "mode": "report",
        "routes": [
            { "name": "closed", "path": "/closed", "access": "deny" },
            { "path": "/orders", "methods": ["GET", "POST"], "required_permissions": ["orders:read"] },
        ],
        "request": { "max_request_size_bytes": 1024 },
    }))));
    let good = token(json!({}));
    for protocol in BOTH {
        for (ask, code) in [
            (Ask::get("/x"), "token_missing"),
            (Ask::get("/x").token("a.b.c"), "token_malformed"),
            (Ask::get("/x").token(&token(json!({ "exp": 1000 }))), "token_expired"),
            (Ask::get("/orders").token(&good), "permission_missing"),
            (Ask::get("/closed").token(&good), "route_denied"),
            (Ask::new("PATCH", "/x").token(&good), "method_not_allowed"),
            (Ask::get("/a//b").token(&good), "path_ambiguous"),
            (Ask::post("/x").token(&good).body(Body::Sized(vec![b'x'; 2000])), "request_too_large"),
            (
                Ask::post("/x").token(&good).body(Body::Streamed(vec![vec![b'x'; 600]; 2])),
                "request_too_large",
            ),
        ] {
            let reply = ask.clone().header("x-auth-subject", "admin").send(&envoy, protocol);
            let heard = reply.forwarded(&envoy);
            assert!(heard.complete, "{ask:?}");
            assert!(!heard.all("x-auth-subject").contains(&"admin".to_owned()), "{heard:?}");
            assert_eq!(envoy.access(&reply.test)["code"], json!(code), "{ask:?}");
            assert_eq!(envoy.access(&reply.test)["status"], 200);
        }
        let reply = Ask::get("/x").token(&good).send(&envoy, protocol);
        assert_eq!(reply.forwarded(&envoy).one("x-auth-subject"), "user-7");
        assert_eq!(envoy.access(&reply.test)["code"], json!(null));
    }
    for (code, count) in
        [("token_missing", 2), ("permission_missing", 2), ("path_ambiguous", 2), ("request_too_large", 4)]
    {
        counts_to(&envoy, "would_refuse", code, count);
    }
    counts_to(&envoy, "would_refuse", "", 18);
    assert_eq!(counted(&envoy, "refused", ""), 0);
    envoy.assert_healthy();
}

#[test]
fn a_single_route_may_report_only() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "routes": [{ "path": "/new", "required_permissions": ["new:use"], "mode": "report" }],
    }))));
    for protocol in BOTH {
        let reply = Ask::get("/new").token(&token(json!({}))).send(&envoy, protocol);
        reply.forwarded(&envoy);
        assert_eq!(envoy.access(&reply.test)["code"], "permission_missing");
        Ask::get("/old").send(&envoy, protocol).refused(&envoy, 401, "token_missing");
    }
}

#[test]
fn a_single_limit_may_report_only() {
    let limit = |name: &str, max_requests: u32, mode: &str| json!({ "name": name, "max_requests": max_requests, "window_seconds": 600, "key": ["subject"], "mode": mode });
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "rate_limits": [limit("tried", 2, "report"), limit("kept", 4, "enforce")],
    }))));
    let ask = Ask::get("/x").token(&token(json!({})));
    for number in 0..6 {
        let reply = ask.send(&envoy, BOTH[number % 2]);
        let entry = envoy.access(&reply.test);
        let expected = match number {
            0 | 1 => (200, json!(null), json!(null)),
            2 | 3 => (200, json!("rate_limited"), json!("tried")),
            _ => (429, json!("rate_limited"), json!("kept")),
        };
        assert_eq!((reply.status, entry["code"].clone(), entry["limit"].clone()), expected, "{number}");
    }
    counts_to(&envoy, "would_refuse", "rate_limited", 2);
    counts_to(&envoy, "refused", "rate_limited", 2);
    counts_to(&envoy, "allowed", "", 2);
    let told = eventually("no log line", || {
        let events = envoy.events();
        let told: Vec<_> = events.into_iter().filter(|event| event["event"] == "would_refuse").collect();
        (told.len() == 2).then_some(told)
    });
    assert!(told.iter().all(|event| event["limit"] == "tried" && event["status"] == 429), "{told:?}");
    envoy.assert_healthy();
}
