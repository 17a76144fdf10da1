//! Mode `report`: nothing is refused, and everything that would have been refused is reported.

use api_guard_testkit::lay_over;
use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::observed::{counted, counts_to};
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::token::{HEADER, forged, now, payload, sign, sign_with, token};

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

/// A good token for [`trial`], with `claims` laid over it.
fn pass(claims: Value) -> String {
    let mut all = json!({ "iss": "here", "aud": "here", "permissions": ["tried:use"] });
    lay_over(&mut all, &claims);
    token(all)
}

/// Every way to be refused on the route `tried`, its limits aside: the request, what it is refused with, and whom its
/// token names.
fn refusals() -> Vec<(Ask, u16, &'static str, Option<&'static str>)> {
    const USER: Option<&str> = Some("user-7");
    let good = pass(json!({}));
    let get = |token: &str| Ask::get("/tried/user-7").token(token);
    let with = |claims: Value| get(&pass(claims));
    let forged = payload(json!({ "iss": "here", "aud": "here" })).to_string();
    let text = Ask::new("POST", "/tried/user-7").header("content-type", "text/plain");
    let large = Body::Sized(vec![b'x'; 2000]);
    vec![
        (get(&good).header("x-token", "x"), 400, "credentials_ambiguous", None),
        (Ask::get("/tried/user-7"), 401, "token_missing", None),
        (get("a.b.c"), 401, "token_malformed", None),
        (get(&sign(r#"{"alg":"none"}"#, "{}")), 401, "token_algorithm_refused", None),
        (get(&sign(r#"{"alg":"HS256","kid":"x"}"#, "{}")), 401, "token_key_unknown", None),
        (
            get(&sign_with(b"another secret of thirty-two bytes", HEADER, forged)),
            401,
            "token_signature_invalid",
            None,
        ),
        (with(json!({ "exp": 1000 })), 401, "token_expired", None),
        (with(json!({ "nbf": now() + 1000 })), 401, "token_not_yet_valid", None),
        (with(json!({ "iat": now() + 1000 })), 401, "token_issued_in_future", None),
        (with(json!({ "iat": now() - 90_000 })), 401, "token_too_old", None),
        (with(json!({ "sub": null })), 401, "claim_missing", None),
        (with(json!({ "sub": true })), 401, "claim_invalid", None),
        (with(json!({ "iss": "else" })), 401, "issuer_refused", None),
        (with(json!({ "aud": "else" })), 401, "audience_refused", None),
        (with(json!({ "permissions": ["X"] })), 401, "permissions_malformed", None),
        (with(json!({ "jti": "gone" })), 401, "token_revoked", None),
        (with(json!({ "permissions": [] })), 403, "permission_missing", USER),
        (Ask::get("/tried/user-8").token(&good), 403, "binding_mismatch", USER),
        (Ask::new("PUT", "/tried/user-7").token(&good), 405, "method_not_allowed", USER),
        (Ask::post("/tried/user-7").token(&good).body(large), 413, "request_too_large", USER),
        (text.token(&good).body(Body::Sized(b"x".to_vec())), 415, "unsupported_media_type", USER),
    ]
}

/// Refusals that have no route, or not this one: they go by the mode of the whole.
fn refusals_elsewhere() -> Vec<(Ask, u16, &'static str, Option<&'static str>)> {
    let good = pass(json!({}));
    vec![
        (Ask::get("/tried//x").token(&good), 400, "path_ambiguous", Some("user-7")),
        (Ask::get("/x").host("a,b").token(&good), 400, "request_malformed", Some("user-7")),
        (Ask::new("PATCH", "/tried/user-7").token(&good), 405, "method_not_allowed", Some("user-7")),
        (Ask::get("/closed").token(&good), 403, "route_denied", Some("user-7")),
        (Ask::get("/closed").token(&pass(json!({ "exp": 1000 }))), 401, "token_expired", None),
    ]
}

/// A policy that refuses all of them, with these modes of the whole and of the route `tried`.
fn trial(whole: &str, route: &str) -> Value {
    policy(json!({
        "mode": whole,
        "tokens": {
            "sources": [{ "header": "authorization", "scheme": "Bearer" }, { "header": "x-token" }],
            "issuers": ["here"], "audiences": ["here"], "token_too_old": "reject",
        },
        "request": { "max_request_size_bytes": 1024 },
        "routes": [
            {
                "name": "tried", "path": "/tried/{id}", "methods": ["GET", "POST"], "mode": route,
                "required_permissions": ["tried:use"], "bind": { "id": "sub" },
            },
            { "name": "closed", "path": "/closed", "access": "deny" },
        ],
        "revocation": { "denied": { "jti": ["gone"] } },
    }))
}

/// The request passed, its sender is who the token says, and the refusal is told everywhere but in the response.
#[track_caller]
fn assert_reported(
    envoy: &Envoy,
    protocol: Protocol,
    (ask, status, code, user): &(Ask, u16, &str, Option<&str>),
) {
    let forged = ask.clone().header("x-auth-subject", "admin").header("X_Auth_Permissions", "all:all");
    let reply = forged.send(envoy, protocol);
    let heard = reply.forwarded(envoy);
    assert!(heard.complete, "{ask:?}");
    assert_eq!(
        heard.all("x-auth-subject"),
        user.map(str::to_owned).into_iter().collect::<Vec<_>>(),
        "{ask:?}"
    );
    assert!(heard.headers.iter().all(|(_, value)| value != b"all:all"), "{heard:?}");
    for name in ["www-authenticate", "allow", "accept", "accept-post", "retry-after", "cache-control"] {
        assert!(reply.all(name).is_empty(), "{name} in {reply:?}");
    }
    let entry = envoy.access(&reply.test);
    assert_eq!(
        (&entry["status"], &entry["code"], &entry["subject"]),
        (&json!(200), &json!(code), &json!(user))
    );
    assert_eq!(entry["details"], "via_upstream");
    let event = eventually("no log line", || {
        envoy.events().into_iter().find(|event| event["request_id"] == entry["request_id"])
    });
    assert_eq!(
        (&event["event"], &event["code"], &event["status"], &event["route"]),
        (&json!("would_refuse"), &json!(code), &json!(status), &entry["route"])
    );
}

#[test]
fn every_refusal_is_reported_where_the_whole_reports() {
    let enforcing = Envoy::start(Setup::new(&trial("enforce", "enforce")));
    let reporting = Envoy::start(Setup::new(&trial("report", "report")));
    for protocol in BOTH {
        for case in refusals().iter().chain(&refusals_elsewhere()) {
            case.0.send(&enforcing, protocol).refused(&enforcing, case.1, case.2);
            assert_reported(&reporting, protocol, case);
        }
    }
    let all = u64::try_from(2 * (refusals().len() + refusals_elsewhere().len())).unwrap();
    counts_to(&enforcing, "refused", "", all);
    counts_to(&reporting, "would_refuse", "", all);
    for decision in ["refused", "allowed"] {
        assert_eq!(counted(&reporting, decision, ""), 0);
    }
    let reply = Ask::get("/tried/user-7").token(&pass(json!({}))).send(&reporting, Protocol::Http1);
    reply.forwarded(&reporting);
    assert_eq!(reporting.access(&reply.test)["code"], Value::Null);
    counts_to(&reporting, "allowed", "", 1);
    reporting.assert_healthy();
}

#[test]
fn every_refusal_of_a_route_is_reported_where_the_route_reports_and_no_other() {
    let envoy = Envoy::start(Setup::new(&trial("enforce", "report")));
    for protocol in BOTH {
        for case in &refusals() {
            assert_reported(&envoy, protocol, case);
        }
        for (ask, status, code, _) in &refusals_elsewhere() {
            ask.send(&envoy, protocol).refused(&envoy, *status, code);
        }
    }
    envoy.assert_healthy();
}

#[test]
fn a_route_may_enforce_where_the_whole_reports() {
    let envoy = Envoy::start(Setup::new(&trial("report", "enforce")));
    for protocol in BOTH {
        for (ask, status, code, _) in &refusals() {
            ask.send(&envoy, protocol).refused(&envoy, *status, code);
        }
        for case in &refusals_elsewhere() {
            assert_reported(&envoy, protocol, case);
        }
    }
    envoy.assert_healthy();
}

#[test]
fn what_is_refused_first_is_what_is_reported() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "mode": "report",
        "rate_limits": [{ "name": "address", "max_requests": 2, "window_seconds": 600, "key": ["client_ip"] }],
    }))));
    let codes: Vec<_> = (0..4)
        .map(|number| {
            let reply = Ask::get("/x").send(&envoy, BOTH[number % 2]);
            reply.forwarded(&envoy);
            let entry = envoy.access(&reply.test);
            (entry["code"].clone(), entry["limit"].clone())
        })
        .collect();
    let missing = (json!("token_missing"), Value::Null);
    let limited = (json!("rate_limited"), json!("address"));
    assert_eq!(codes, [missing.clone(), missing, limited.clone(), limited]);
    // Whoever is over the limit is known to the upstream all the same.
    let reply = Ask::get("/x").token(&token(json!({}))).send(&envoy, Protocol::Http1);
    assert_eq!(reply.forwarded(&envoy).one("x-auth-subject"), "user-7");
    assert_eq!(envoy.access(&reply.test)["code"], "rate_limited");
    assert!(reply.all("retry-after").is_empty(), "{reply:?}");
    envoy.assert_healthy();
}

#[test]
fn too_many_failures_are_reported_and_the_next_good_token_is_still_known() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "mode": "report",
        "auth_failure_limit": { "max_failures": 2, "window_seconds": 600 },
    }))));
    let bad = Ask::get("/x").token(&forged(json!({})));
    let code = |ask: &Ask| {
        let reply = ask.send(&envoy, Protocol::Http1);
        let heard = reply.forwarded(&envoy);
        (envoy.access(&reply.test)["code"].clone(), heard.all("x-auth-subject"))
    };
    let none = Vec::<String>::new();
    for expected in ["token_signature_invalid", "token_signature_invalid", "auth_failures_limited"] {
        assert_eq!(code(&bad), (json!(expected), none.clone()));
    }
    let good = code(&Ask::get("/x").token(&token(json!({}))));
    assert_eq!(good, (json!("auth_failures_limited"), vec!["user-7".to_owned()]));
    counts_to(&envoy, "would_refuse", "auth_failures_limited", 2);
    envoy.assert_healthy();
}

#[test]
fn a_limit_that_enforces_counts_all_that_a_reporting_whole_lets_pass() {
    let limit = |name: &str, max_requests: u32, mode: Value| json!({ "name": name, "max_requests": max_requests, "window_seconds": 600, "key": ["client_ip"], "mode": mode });
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "mode": "report",
        "rate_limits": [limit("hard", 4, json!("enforce")), limit("soft", 1, Value::Null)],
    }))));
    let good = token(json!({}));
    for (ask, code) in [
        (Ask::get("/x").token(&good), Value::Null),
        (Ask::get("/x").token(&good), json!("rate_limited")),
        (Ask::get("/a//b"), json!("path_ambiguous")),
        (Ask::post("/x").header("content-type", "text/plain"), json!("unsupported_media_type")),
    ] {
        let reply = ask.send(&envoy, Protocol::Http2);
        reply.forwarded(&envoy);
        assert_eq!(envoy.access(&reply.test)["code"], code, "{ask:?}");
    }
    for ask in [Ask::get("/x").token(&good), Ask::get("/a//b")] {
        let problem = ask.send(&envoy, Protocol::Http2).refused(&envoy, 429, "rate_limited");
        assert_eq!(problem["limit"], "hard");
    }
    envoy.assert_healthy();
}

#[test]
fn each_request_is_counted_once_also_with_a_limit_on_trial() {
    let limit = json!({ "name": "tried", "max_requests": 1, "window_seconds": 600, "key": ["subject"], "mode": "report" });
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "rate_limits": [limit],
        "request": { "max_request_size_bytes": 1024 },
        "revocation": { "endpoint": {} },
    }))));
    let good = token(json!({}));
    let streamed = |size| Ask::post("/x").token(&good).body(Body::Streamed(vec![vec![b'x'; size]; 2]));
    Ask::get("/x").token(&good).send(&envoy, Protocol::Http1).forwarded(&envoy);
    streamed(10).send(&envoy, Protocol::Http1).forwarded(&envoy);
    let refused = streamed(1000).send(&envoy, Protocol::Http1);
    refused.refused(&envoy, 413, "request_too_large");
    assert_eq!(envoy.access(&refused.test)["limit"], Value::Null, "the limit has not refused it");
    let logout = Ask::new("POST", "/auth/revoke").token(&good).send(&envoy, Protocol::Http1);
    assert_eq!(logout.status, 200);
    assert_eq!(envoy.access(&logout.test)["code"], "rate_limited");
    counts_to(&envoy, "allowed", "", 1);
    counts_to(&envoy, "would_refuse", "", 2);
    counts_to(&envoy, "refused", "", 1);
    envoy.assert_healthy();
}
