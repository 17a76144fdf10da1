//! What replies say about limits, and which callers share a counter.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::token::{forged, token};

fn limit(name: &str, max_requests: Value, window_seconds: u32, key: &[&str]) -> Value {
    json!({ "name": name, "max_requests": max_requests, "window_seconds": window_seconds, "key": key })
}

fn ask(path: &str, claims: Value) -> Ask {
    Ask::get(path).token(&token(claims))
}

/// How many of `asks` in turn are admitted; the others must be refused for the limit `name`.
#[track_caller]
fn admitted(envoy: &Envoy, name: &str, asks: impl IntoIterator<Item = Ask>) -> usize {
    let mut admitted = 0;
    for ask in asks {
        let reply = ask.send(envoy, Protocol::Http1);
        if reply.status == 200 {
            admitted += 1;
        } else {
            reply.refused(envoy, 429, "rate_limited");
            assert_eq!(envoy.access(&reply.test)["limit"], name, "{ask:?}");
        }
    }
    admitted
}

#[test]
fn who_waits_as_long_as_told_is_admitted() {
    let limits =
        json!([limit("brief", json!(3), 2, &["subject"]), limit("single", json!(1), 1, &["claim:single"])]);
    let envoy =
        Envoy::start(Setup { concurrency: 2, ..Setup::new(&policy(json!({ "rate_limits": limits }))) });
    std::thread::scope(|scope| {
        for caller in 0..12_u64 {
            let (envoy, single) = (&envoy, json!(format!("single-{caller}")));
            scope.spawn(move || {
                // At different moments of the window.
                std::thread::sleep(Duration::from_millis(170 * caller));
                let claims = json!({ "sub": format!("caller-{caller}"), "single": single });
                let ask = ask("/x", claims);
                for round in 0..2 {
                    let refused =
                        (0..100).map(|_| ask.send(envoy, Protocol::Http1)).find(|reply| reply.status == 429);
                    let seconds: u64 =
                        refused.expect("the limit is reached").one("retry-after").parse().unwrap();
                    assert!((1..=3).contains(&seconds), "{seconds} of a window of 2 s");
                    std::thread::sleep(Duration::from_secs(seconds));
                    let reply = ask.send(envoy, Protocol::Http1);
                    assert_eq!(
                        reply.status, 200,
                        "caller {caller}, round {round}, after {seconds} s: {reply:?}"
                    );
                }
            });
        }
    });
    envoy.assert_healthy();
}

#[test]
fn nearing_a_limit_is_told_once_for_each_window_and_key() {
    let limits = json!([limit("minute", json!(10), 3600, &["subject"])]);
    let envoy = Envoy::start(Setup::new(&policy(json!({ "rate_limits": limits }))));
    for sub in ["a", "b"] {
        let ask = ask("/x", json!({ "sub": sub }));
        let told = |envoy: &Envoy| {
            let is_told = |event: &&Value| event["event"] == "limit_warned" && event["sub"] == sub;
            envoy.events().iter().filter(is_told).cloned().collect::<Vec<_>>()
        };
        assert_eq!(admitted(&envoy, "minute", vec![ask.clone(); 7]), 7);
        // A refusal that is seen in the log, for another reason: what was written before it is there too.
        let reply = Ask::get("/a//b").send(&envoy, Protocol::Http1);
        let id = reply.refused(&envoy, 400, "path_ambiguous")["request_id"].clone();
        eventually("no log line", || {
            envoy.events().iter().any(|event| event["request_id"] == id).then_some(())
        });
        assert_eq!(told(&envoy).len(), 0, "below 80 %");
        assert_eq!(admitted(&envoy, "minute", vec![ask; 6]), 3);
        let told = eventually("nothing is told", || Some(told(&envoy)).filter(|told| !told.is_empty()));
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(
            (&told[0]["limit"], &told[0]["used"], &told[0]["max_requests"]),
            (&json!("minute"), &json!(8), &json!(10))
        );
    }
    let count =
        |outcome: &str| envoy.counter(&format!("api_guard_rate_limit_total.limit.minute.outcome.{outcome}"));
    eventually("not all is counted", || (count("refused") == 6).then_some(()));
    assert_eq!(count("warned"), 2);
    assert_eq!(count("admitted") + count("warned"), 20);
    let line = envoy.written().lines().find(|line| line.contains("limit_warned")).map(ToOwned::to_owned);
    assert!(line.unwrap().starts_with("[warning]"));
}

#[test]
fn a_new_window_is_told_anew() {
    let limits = json!([limit("brief", json!(4), 2, &["subject"])]);
    let envoy = Envoy::start(Setup::new(&policy(json!({ "rate_limits": limits }))));
    let (ask, start) = (ask("/x", json!({})), Instant::now());
    let told = || envoy.events().iter().filter(|event| event["event"] == "limit_warned").count();
    eventually("the second window is not told", || {
        ask.send(&envoy, Protocol::Http1);
        (told() >= 2).then_some(())
    });
    let windows = start.elapsed().as_secs() / 2 + 1;
    assert!(told() as u64 <= windows, "{} times in {windows} windows", told());
}

#[test]
fn the_claim_sets_the_tier() {
    let tiers = json!({ "claim": "account.plan", "values": { "free": 2, "pro": 6 }, "default": 1 });
    let limits = json!([limit("tiered", tiers, 3600, &["subject"])]);
    let envoy = Envoy::start(Setup::new(&policy(json!({ "rate_limits": limits }))));
    for (sub, account, tier) in [
        ("f", json!({ "plan": "free" }), 2),
        ("p", json!({ "plan": "pro" }), 6),
        ("other", json!({ "plan": "gold" }), 1),
        ("case", json!({ "plan": "PRO" }), 1),
        ("none", json!(null), 1),
        ("list", json!({ "plan": ["pro"] }), 1),
    ] {
        let ask = ask("/x", json!({ "sub": sub, "account": account }));
        assert_eq!(admitted(&envoy, "tiered", vec![ask; 8]), tier, "{sub}");
    }
    // The tier is the token's, the count the caller's.
    let with =
        |plan: &str, times: usize| vec![ask("/x", json!({ "sub": "u", "account": { "plan": plan } })); times];
    assert_eq!(admitted(&envoy, "tiered", with("pro", 3)), 3);
    assert_eq!(admitted(&envoy, "tiered", with("free", 1)), 0);
    assert_eq!(admitted(&envoy, "tiered", with("pro", 5)), 3);
    envoy.assert_healthy();
}

#[test]
fn a_routes_limit_counts_that_route_alone_and_spends_nothing_where_it_refuses() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "routes": [
            { "path": "/upload", "rate_limits": [limit("uploads", json!(2), 3600, &["subject"])] },
            { "path": "/free", "access": "public" },
        ],
        "rate_limits": [limit("all", json!(6), 3600, &["subject"])],
    }))));
    let get = |path: &str, times: usize| vec![ask(path, json!({})); times];
    assert_eq!(admitted(&envoy, "uploads", get("/upload", 5)), 2);
    assert_eq!(admitted(&envoy, "all", get("/x", 5)), 4, "three refused uploads spent nothing of the others");
    assert_eq!(admitted(&envoy, "all", vec![Ask::get("/free"); 8]), 6, "anonymous callers count apart");
    envoy.assert_healthy();
}

#[test]
fn the_key_says_who_is_one() {
    for (key, same, other) in [
        ("path", vec!["/a", "/a/", "/a?x=1", "/a"], "/b"),
        ("route", vec!["/items/1", "/items/2", "/items/3", "/items/1"], "/b"),
        ("header:x-tenant", vec!["/a", "/b", "/c", "/d"], "/x-other"),
        ("method", vec!["/a", "/b", "/c", "/d"], "/post"),
    ] {
        let envoy = Envoy::start(Setup::new(&policy(json!({
            "routes": [{ "path": "/items/{id}" }],
            "rate_limits": [limit("keyed", json!(3), 3600, &[key])],
        }))));
        let to = |path: &str| match path {
            "/post" => Ask::post(path).token(&token(json!({}))),
            "/x-other" => ask("/a", json!({})).header("x-tenant", "other"),
            _ => ask(path, json!({})).header("x-tenant", "one"),
        };
        assert_eq!(admitted(&envoy, "keyed", same.iter().map(|path| to(path))), 3, "{key}");
        assert_eq!(admitted(&envoy, "keyed", [to(other)]), 1, "{key}");
        envoy.assert_healthy();
    }
}

#[test]
fn an_address_is_the_one_that_envoy_vouches_for() {
    for from in ["source_address", "x-envoy-external-address"] {
        let plugin = policy(json!({
            "unmatched_routes": "public",
            "client_ip": { "ipv6_prefix": 64, "from": from },
            "rate_limits": [limit("address", json!(2), 3600, &["client_ip"])],
        }));
        // One trusted proxy in front: the last entry of x-forwarded-for is the client.
        let envoy = Envoy::start(Setup { trusted_hops: 1, ..Setup::new(&plugin) });
        let of = |address: &str| Ask::get("/x").header("x-forwarded-for", address);
        for (same, other) in [
            (["2001:db8:1:2::a", "2001:db8:1:2:ffff::b", "2001:db8:1:2::c"], "2001:db8:1:3::a"),
            (["198.51.100.7", "203.0.113.9, 198.51.100.7", "::ffff:198.51.100.7"], "198.51.100.8"),
        ] {
            assert_eq!(admitted(&envoy, "address", same.map(of)), 2, "{from} {same:?}");
            assert_eq!(admitted(&envoy, "address", [of(other)]), 1, "{from} {other}");
        }
        // What a client claims to be is not what it is.
        let claim = |number: u32| {
            of("192.0.2.1").header("x-envoy-external-address", format!("192.0.2.{}", 10 + number))
        };
        assert_eq!(admitted(&envoy, "address", (0..5).map(claim)), 2, "{from}");
        envoy.assert_healthy();
    }
}

#[test]
fn failures_are_counted_for_the_address_that_fails() {
    let plugin = policy(json!({
        "routes": [{ "path": "/health", "access": "public" }],
        "auth_failure_limit": { "max_failures": 3, "window_seconds": 3600 },
    }));
    let envoy = Envoy::start(Setup { trusted_hops: 1, concurrency: 2, ..Setup::new(&plugin) });
    let of = |ask: Ask, address: &str| ask.header("x-forwarded-for", address).send(&envoy, Protocol::Http1);
    for signed in [json!({ "exp": 1000 }), json!({ "iat": 90_000_000_000_u64 }), json!({ "sub": "" })] {
        assert_eq!(of(ask("/x", signed), "192.0.2.1").status, 401);
    }
    for bad in ["a.b.c", &forged(json!({ "exp": 1000 })), &format!("{}x", token(json!({})))] {
        assert_eq!(of(Ask::get("/x").token(bad), "192.0.2.1").status, 401);
    }
    of(Ask::get("/x").token("a.b.c"), "192.0.2.1").refused(&envoy, 429, "auth_failures_limited");
    of(Ask::get("/health"), "192.0.2.1").forwarded(&envoy);
    of(Ask::get("/x").token("a.b.c"), "192.0.2.2").refused(&envoy, 401, "token_malformed");
    of(ask("/x", json!({})), "192.0.2.2").forwarded(&envoy);
    let name = "api_guard_requests_total.decision.refused.code.auth_failures_limited";
    eventually("the refusal is not counted", || (envoy.counter(name) == 1).then_some(()));
    envoy.assert_healthy();
}

#[test]
fn only_what_was_admitted_and_what_a_limit_refused_tell_of_limits() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "request": { "max_request_size_bytes": 10 },
        "routes": [{ "path": "/stream", "body": "stream" }],
        "revocation": { "endpoint": {} },
        "rate_limits": [limit("wide", json!(1000), 60, &["client_ip"])],
    }))));
    let good = token(json!({}));
    let post = |path: &str, body| Ask::post(path).token(&good).body(body);
    let chunks = |size| Body::Streamed(vec![vec![b'1'; size]; 2]);
    let text = || Ask::new("POST", "/x").token(&good).header("content-type", "text/plain").body(chunks(4));
    for protocol in BOTH {
        for (name, ask, verdict, told) in [
            ("passed", post("/x", chunks(4)), "200", 1),
            ("streamed", post("/stream", chunks(4)), "200", 1),
            ("no token", Ask::get("/x"), "401 token_missing", 0),
            ("a held body", post("/x", chunks(9)), "413 request_too_large", 0),
            ("a streamed body", post("/stream", chunks(9)), "413 request_too_large", 0),
            ("its first byte", text(), "415 unsupported_media_type", 0),
            (
                "nothing to revoke",
                post("/auth/revoke", Body::Sized(b"{}".to_vec())),
                "400 request_malformed",
                0,
            ),
            (
                "a logout",
                Ask::new("POST", "/auth/revoke").token(&token(json!({ "jti": format!("{protocol:?}") }))),
                "200",
                1,
            ),
            ("no object", post("/auth/revoke", chunks(4)), "400 request_malformed", 0),
        ] {
            let reply = ask.send(&envoy, protocol);
            let headers = [reply.all("ratelimit").len(), reply.all("ratelimit-policy").len()];
            assert_eq!(
                (reply.verdict().as_str(), headers),
                (verdict, [told; 2]),
                "{name} {protocol:?} {reply:?}"
            );
        }
    }
    envoy.assert_healthy();
}
