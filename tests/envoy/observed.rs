//! What operators see: access log, the log's JSON lines, metrics. And what they must never see.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::http1;
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::token::{HEADER, now, payload, sign, sign_with, token};

fn start() -> Envoy {
    Envoy::start(Setup::new(&policy(json!({
        "tokens": {
            "keys": [{ "kid": "k1", "secret": { "env": "API_GUARD_SECRET" } }],
            "sources": [{ "header": "authorization", "scheme": "Bearer" }, { "cookie": "session" }, { "query": "access_token" }],
        },
        "routes": [
            { "name": "read-order", "path": "/orders/{id}", "methods": ["GET"], "required_permissions": ["orders:read"] },
            { "path": "/reports/{*rest}", "any_permissions": ["reports:read"] },
            { "path": "/public", "access": "public" },
        ],
    }))))
}

/// A token that names the key, with these claims laid over the ordinary ones.
fn named(claims: Value) -> String {
    sign(r#"{"alg":"HS256","kid":"k1"}"#, payload(claims).to_string())
}

/// The log's line about one request.
fn event(envoy: &Envoy, request_id: &str) -> Value {
    eventually("no log line", || envoy.events().into_iter().find(|event| event["request_id"] == request_id))
}

#[test]
fn the_access_log_tells_who_and_why() {
    let envoy = start();
    for protocol in BOTH {
        let reply = Ask::get("/x").token(&token(json!({}))).send(&envoy, protocol);
        reply.forwarded(&envoy);
        let entry = envoy.access(&reply.test);
        assert_eq!(
            (&entry["status"], &entry["subject"], &entry["code"]),
            (&json!(200), &json!("user-7"), &Value::Null)
        );
        for (ask, status, code, subject, route) in [
            (Ask::get("/orders/1"), 401, "token_missing", None, Some("read-order")),
            (
                Ask::get("/orders/1").token(&token(json!({}))),
                403,
                "permission_missing",
                Some("user-7"),
                Some("read-order"),
            ),
            (
                Ask::get("/reports/a").token(&token(json!({}))),
                403,
                "permission_missing",
                Some("user-7"),
                Some("/reports/{*rest}"),
            ),
            (Ask::get("/x").token(&token(json!({ "exp": 1000 }))), 401, "token_expired", None, None),
            (Ask::get("/a//b"), 400, "path_ambiguous", None, None),
        ] {
            let reply = ask.header("x-auth-subject", "admin").send(&envoy, protocol);
            let problem = reply.refused(&envoy, status, code);
            let entry = envoy.access(&reply.test);
            assert_eq!(entry["status"], status, "{entry}");
            assert_eq!(entry["details"], json!(format!("api_guard_{code}")), "{entry}");
            assert_eq!((&entry["code"], &entry["subject"]), (&json!(code), &json!(subject)), "{entry}");
            assert!(route.is_none() || entry["route"] == json!(route), "{entry}");
            assert_eq!(problem["request_id"], entry["request_id"], "the reply names Envoy's request id");
        }
        let reply = Ask::get("/public").token(&token(json!({}))).send(&envoy, protocol);
        reply.forwarded(&envoy);
        assert_eq!(envoy.access(&reply.test)["subject"], Value::Null, "a public route ignores tokens");
    }
    envoy.assert_healthy();
}

#[test]
fn a_refusal_is_one_json_line() {
    let envoy = start();
    let ask =
        Ask::get("/orders/1?secret_filter=abc").token(&named(json!({ "sub": "us\"er\\é", "jti": "j-1" })));
    let reply = ask.send(&envoy, Protocol::Http2);
    let problem = reply.refused(&envoy, 403, "permission_missing");
    let event = event(&envoy, problem["request_id"].as_str().unwrap());
    for (name, value) in [
        ("event", json!("refused")),
        ("code", json!("permission_missing")),
        ("status", json!(403)),
        ("method", json!("GET")),
        ("path", json!("/orders/1")),
        ("route", json!("read-order")),
        ("client_ip", json!("127.0.0.1")),
        ("sub", json!("us\"er\\é")),
        ("kid", json!("k1")),
        ("jti", json!("j-1")),
    ] {
        assert_eq!(event[name], value, "{name} in {event}");
    }
    let line = envoy.written().lines().find(|line| line.contains("\"j-1\"")).unwrap().to_owned();
    assert!(line.starts_with("[warning]"), "{line}");
    assert!(!line.contains("secret_filter"), "no query: {line}");
    envoy.assert_healthy();
}

#[test]
fn a_line_is_printable_ascii_whatever_a_client_sends() {
    let envoy = start();
    // A change of direction, a control sequence of terminals, the end of a line.
    let ask = Ask::get("/a\u{202e}\u{9b}31m\u{2028}\u{1f980}").header("x-request-id", "x");
    let problem = ask.send(&envoy, Protocol::Http2).refused(&envoy, 400, "path_ambiguous");
    let event = event(&envoy, problem["request_id"].as_str().unwrap());
    assert_eq!(event["path"], "/a\u{202e}\u{9b}31m\u{2028}\u{1f980}");
    let written = envoy.written();
    let line =
        written.lines().find(|line| line.contains("path_ambiguous") && line.contains("refused")).unwrap();
    assert!(line.contains(r"/a\u202e\u009b31m\u2028\ud83e\udd80"), "{line}");
    assert!(line.bytes().all(|byte| matches!(byte, 0x20..=0x7e)), "{line}");
    envoy.assert_healthy();
}

#[test]
fn a_flood_of_warnings_about_a_limit_is_sampled() {
    let limit =
        json!({ "name": "own", "max_requests": 1, "window_seconds": 1, "key": ["client_ip", "path"] });
    let envoy =
        Envoy::start(Setup::new(&policy(json!({ "rate_limits": [limit], "unmatched_routes": "public" }))));
    let mut connection = http1::Connection::open(envoy.address()).unwrap();
    for number in 0..300 {
        let reply = Ask::get(format!("/{number}")).send_on(&mut connection);
        assert_eq!(reply.status, 200);
    }
    // Lines come in the order of their requests.
    let last = Ask::get("/a//b").send(&envoy, Protocol::Http1).refused(&envoy, 400, "path_ambiguous");
    event(&envoy, last["request_id"].as_str().unwrap());
    let warned = envoy.events().iter().filter(|event| event["event"] == "limit_warned").count();
    assert!((20..150).contains(&warned), "{warned}");
    eventually("not all are counted", || {
        (envoy.counter("api_guard_rate_limit_total.limit.own.outcome.warned") == 300).then_some(())
    });
    envoy.assert_healthy();
}

/// The fields of the contract, all of them on each line, in this order; a refusal by a limit names it.
const FIELDS: [&str; 11] =
    ["event", "code", "status", "method", "path", "route", "client_ip", "sub", "kid", "jti", "request_id"];

#[test]
fn each_line_has_the_fields_of_the_contract_and_no_other() {
    let limit = json!({ "name": "few", "max_requests": 3, "window_seconds": 600, "key": ["route"] });
    for mode in ["enforce", "report"] {
        let envoy = Envoy::start(Setup::new(&policy(json!({
            "mode": mode,
            "routes": [{ "path": "/few", "rate_limits": [limit] }],
            "revocation": { "denied": { "jti": ["gone"] } },
        }))));
        let good = token(json!({ "jti": "j" }));
        for ask in [
            Ask::get("/x"),
            Ask::get("/a//b").token(&good),
            Ask::new("PATCH", "/x").token(&good),
            Ask::post("/x").token(&good).header("content-type", "a/b"),
            Ask::get("/x").token(&token(json!({ "jti": "gone" }))),
            Ask::get("/few").token(&good),
            Ask::get("/few").token(&good),
            Ask::get("/few").token(&good),
            Ask::get("/few").token(&good),
        ] {
            ask.send(&envoy, Protocol::Http2);
        }
        let lines = eventually("not all lines are there", || {
            let written = envoy.written();
            let lines: Vec<String> =
                written.lines().filter(|line| line.contains("refuse")).map(ToOwned::to_owned).collect();
            // A report names the limit's warning as well.
            (lines.iter().filter(|line| line.contains("\"status\"")).count() == 6).then_some(lines)
        });
        for line in lines {
            let text = &line[line.find('{').unwrap()..];
            let event: Value = serde_json::from_str(text).unwrap();
            let mut places: Vec<_> = event.as_object().unwrap().keys().collect();
            places.retain(|name| *name != "limit");
            places.sort_by_key(|name| text.find(&format!("\"{name}\":")));
            assert_eq!(places, FIELDS, "{line}");
            assert_eq!(event["event"], if mode == "report" { "would_refuse" } else { "refused" });
            assert_eq!(event["limit"].is_string(), event["status"] == 429, "{line}");
            let level = if event["code"] == "token_revoked" { "[error]" } else { "[warning]" };
            assert!(line.starts_with(level), "{line}");
            assert_eq!(event["client_ip"], "127.0.0.1");
        }
    }
}

#[test]
fn an_unverified_token_says_nothing_in_the_log() {
    let envoy = start();
    let forged = sign_with(
        b"another secret of thirty-two bytes",
        HEADER,
        payload(json!({ "sub": "admin-i-claim" })).to_string(),
    );
    let problem = Ask::get("/x").token(&forged).send(&envoy, Protocol::Http1).refused(
        &envoy,
        401,
        "token_signature_invalid",
    );
    let event = event(&envoy, problem["request_id"].as_str().unwrap());
    assert_eq!(
        (&event["event"], &event["code"], &event["status"]),
        (&json!("refused"), &json!("token_signature_invalid"), &json!(401))
    );
    assert!(!envoy.written().contains("admin-i-claim"), "{event}");
}

#[test]
fn an_old_token_passes_and_is_remarked() {
    let envoy = start();
    let ask = Ask::get("/x").token(&named(json!({ "iat": now() - 25 * 3600, "jti": "old-1" })));
    ask.send(&envoy, Protocol::Http1).forwarded(&envoy);
    let line = eventually("no log line", || {
        envoy
            .written()
            .lines()
            .find(|line| line.contains("\"warned\"") && line.contains("token_too_old"))
            .map(ToOwned::to_owned)
    });
    assert!(line.starts_with("[info]"), "{line}");
    envoy.assert_healthy();
}

#[test]
fn a_flood_of_refusals_is_sampled_in_the_log_and_counted_in_full() {
    let envoy = start();
    let sent = 500;
    for _ in 0..sent {
        Ask::get("/x").send(&envoy, Protocol::Http1).refused(&envoy, 401, "token_missing");
    }
    // Another code from the same client is not drowned.
    let problem = Ask::get("/a//b").send(&envoy, Protocol::Http1).refused(&envoy, 400, "path_ambiguous");
    event(&envoy, problem["request_id"].as_str().unwrap());
    let lines = envoy.events().iter().filter(|event| event["code"] == "token_missing").count();
    assert!((1..=250).contains(&lines), "{lines} lines for {sent} refusals");
    counts_to(&envoy, "refused", "token_missing", sent);
}

/// `api_guard_requests_total` of this decision, as Prometheus shows it: of one code, or of all where `code` is empty.
pub(crate) fn counted(envoy: &Envoy, decision: &str, code: &str) -> u64 {
    let metrics = envoy.prometheus();
    let lines = metrics.lines().filter(|line| line.starts_with("api_guard_requests_total{"));
    let lines = lines.filter(|line| line.contains(&format!("decision=\"{decision}\"")));
    let lines = lines.filter(|line| code.is_empty() || line.contains(&format!("code=\"{code}\"")));
    lines.map(|line| line.rsplit(' ').next().unwrap().parse::<u64>().unwrap()).sum()
}

/// Waits until exactly so many are counted: a worker may publish its counts in batches, but loses none.
#[track_caller]
pub(crate) fn counts_to(envoy: &Envoy, decision: &str, code: &str, count: u64) {
    eventually(&format!("{count} are not counted as {decision} {code}"), || {
        let now = counted(envoy, decision, code);
        assert!(now <= count, "{now} counted as {decision} {code}, of {count}");
        (now == count).then_some(())
    });
}

#[test]
fn decisions_are_counted_by_code() {
    let envoy = start();
    for _ in 0..3 {
        Ask::get("/x").send(&envoy, Protocol::Http1).refused(&envoy, 401, "token_missing");
        Ask::get("/orders/1").token(&token(json!({}))).send(&envoy, Protocol::Http1).refused(
            &envoy,
            403,
            "permission_missing",
        );
    }
    for _ in 0..5 {
        Ask::get("/x").token(&token(json!({}))).send(&envoy, Protocol::Http1).forwarded(&envoy);
    }
    counts_to(&envoy, "refused", "token_missing", 3);
    counts_to(&envoy, "refused", "permission_missing", 3);
    counts_to(&envoy, "allowed", "", 5);
    // No label comes from a client: a flood of invented names adds no series.
    let series = |envoy: &Envoy| {
        envoy
            .stats()
            .into_iter()
            .map(|(name, _)| name)
            .filter(|name| name.contains("api_guard"))
            .collect::<BTreeSet<_>>()
    };
    let before = series(&envoy);
    for invented in 0..20 {
        let header = json!({ "alg": format!("X{invented}"), "kid": format!("kid-{invented}") }).to_string();
        Ask::new(format!("M{invented}"), format!("/p{invented}"))
            .token(&sign(header, "{}"))
            .send(&envoy, Protocol::Http2);
    }
    let added: Vec<_> = series(&envoy)
        .difference(&before)
        .filter(|name| name.contains("kid-") || name.contains("M1") || name.contains("p1"))
        .cloned()
        .collect();
    assert!(added.is_empty(), "{added:?}");
}

#[test]
fn no_token_and_no_secret_is_in_any_reply_or_log() {
    let envoy = start();
    for protocol in BOTH {
        let tokens = [
            named(json!({})),
            named(json!({ "exp": 1000 })),
            named(json!({ "iat": now() - 90_000 })),
            named(json!({ "sub": null })),
            named(json!({ "jti": 7 })),
            sign(r#"{"alg":"HS256","kid":"eyJhbGciOiJub25lIn0"}"#, payload(json!({})).to_string()),
            sign(r#"{"alg":"none"}"#, "{}"),
            sign(HEADER, "not json"),
            sign_with(b"another secret of thirty-two bytes", HEADER, "{}"),
            format!("{}x", named(json!({}))),
            format!("{} {}", named(json!({})), named(json!({}))),
            format!("{},{}", named(json!({})), named(json!({}))),
        ];
        for token in &tokens {
            // Each reply is searched when it is read; see `Reply::keeps_secrets`.
            for ask in [
                Ask::get("/orders/1").token(token),
                Ask::get("/orders/1").header("authorization", format!("Basic {token}")),
                Ask::get("/orders/1").header("cookie", format!("session={token}")),
                Ask::get("/orders/1").token(token).header("cookie", format!("session={token}")),
                Ask::new("PATCH", "/orders/1").token(token),
                Ask::post("/orders//1").token(token).body(Body::Sized(token.clone().into_bytes())),
            ] {
                let _ = ask.try_send(&envoy, protocol);
            }
            if !token.contains(' ') {
                let _ = Ask::get(format!("/orders/1?access_token={token}")).try_send(&envoy, protocol);
                let _ = Ask::get(format!("/a//b?access_token={token}")).try_send(&envoy, protocol);
            }
        }
    }
    let last = Ask::get("/a//b").send(&envoy, Protocol::Http1);
    envoy.access(&last.test);
    envoy.assert_healthy();
}

#[test]
fn what_a_client_sent_never_stands_in_a_replys_headers() {
    let envoy = start();
    let mark = "Zq7mark";
    for protocol in BOTH {
        for ask in [
            Ask::get(format!("/{mark}//x")),
            Ask::new(mark, "/x"),
            Ask::get(format!("/orders/{mark}")).token(&named(json!({ "sub": mark, "permissions": ["a:b"] }))),
            Ask::get("/x").token(&named(json!({ "permissions": [format!("{mark}\"\r\n<b>")] }))),
            Ask::get("/x").token(&sign(json!({ "alg": mark, "kid": mark }).to_string(), "{}")),
            Ask::get("/x").token(&named(json!({ "exp": mark }))),
            Ask::post("/x").header("content-type", format!("text/{mark}")),
        ] {
            let Ok(reply) = ask.try_send(&envoy, protocol).1 else { continue };
            assert!(reply.status >= 400, "{reply:?}");
            for (name, value) in &reply.headers {
                assert!(!String::from_utf8_lossy(value).contains(mark), "{name} of {reply:?}");
            }
        }
        let long = format!("{}\"<b>", "x".repeat(100));
        let reply = Ask::get("/x").token(&named(json!({ "permissions": [long] }))).send(&envoy, protocol);
        let problem = reply.refused(&envoy, 401, "permissions_malformed");
        assert!(
            !problem["detail"].as_str().unwrap().contains(&"x".repeat(65)),
            "cut at 64 characters: {problem}"
        );
    }
    envoy.assert_healthy();
}
