//! Limits across the workers of one Envoy.

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Protocol};
use crate::process::{Envoy, Pushed, eventually};
use crate::setup::{Setup, policy};
use crate::token::{forged, token};

fn limit(name: &str, max_requests: u32, key: &[&str]) -> Value {
    json!({ "name": name, "max_requests": max_requests, "window_seconds": 60, "key": key })
}

fn ask(claims: Value) -> Ask {
    Ask::get("/x").token(&token(claims))
}

#[test]
fn all_workers_together_admit_exactly_the_limit() {
    for concurrency in [2, 4] {
        let limits = json!([limit("one", 60, &["client_ip", "subject"])]);
        let envoy =
            Envoy::start(Setup { concurrency, ..Setup::new(&policy(json!({ "rate_limits": limits }))) });
        let ask = ask(json!({}));
        let admitted = |requests: usize| {
            (0..requests).filter(|_| ask.send(&envoy, Protocol::Http1).status == 200).count()
        };
        let at_once: usize = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..8).map(|_| scope.spawn(|| admitted(15))).collect();
            clients.into_iter().map(|client| client.join().unwrap()).sum()
        });
        // Where workers were in each other's way a request may have been refused: its slot is still there.
        assert_eq!(at_once + admitted(30), 60, "{concurrency} workers");
        envoy.assert_healthy();
    }
}

#[test]
fn a_throttled_caller_does_not_spend_what_others_share() {
    let limits = json!([limit("tenant", 5, &["claim:tenant"]), limit("caller", 3, &["subject"])]);
    let envoy = Envoy::start(Setup::new(&policy(json!({ "rate_limits": limits }))));
    let of = |sub: &str| ask(json!({ "sub": sub, "tenant": "blue" })).send(&envoy, Protocol::Http1);
    for number in 0..6 {
        let reply = of("a");
        assert_eq!(reply.status, if number < 3 { 200 } else { 429 }, "{number}");
    }
    assert_eq!([of("b").status, of("b").status], [200, 200]);
    let reply = of("c");
    assert!(
        reply.refused(&envoy, 429, "rate_limited")["detail"].as_str().unwrap().contains("5/5"),
        "{reply:?}"
    );
    assert_eq!(envoy.access(&reply.test)["limit"], "tenant");
}

#[test]
fn replies_name_the_tightest_limit_in_the_chosen_headers() {
    for (choice, draft, legacy) in
        [("draft", true, false), ("legacy", false, true), ("both", true, true), ("none", false, false)]
    {
        let envoy = Envoy::start(Setup::new(&policy(json!({
            "replies": { "rate_limit_headers": choice },
            "rate_limits": [limit("wide", 100, &["client_ip"]), limit("tight", 2, &["subject"])],
        }))));
        for protocol in BOTH {
            let ask = ask(json!({ "sub": format!("{protocol:?}") }));
            for (left, status) in [(1, 200), (0, 200), (0, 429)] {
                let reply = ask.send(&envoy, protocol);
                assert_eq!(reply.status, status, "{reply:?}");
                assert_eq!(reply.all("retry-after").len(), usize::from(status == 429), "{reply:?}");
                assert_eq!(reply.all("ratelimit").len(), usize::from(draft), "{choice} {reply:?}");
                assert_eq!(reply.all("x-ratelimit-limit").len(), usize::from(legacy), "{choice} {reply:?}");
                if draft {
                    assert_eq!(reply.one("ratelimit-policy"), r#""tight";q=2;w=60"#);
                    assert!(
                        reply.one("ratelimit").starts_with(&format!(r#""tight";r={left};t="#)),
                        "{reply:?}"
                    );
                }
                if legacy {
                    assert_eq!(
                        (reply.one("x-ratelimit-limit"), reply.one("x-ratelimit-remaining")),
                        ("2".to_owned(), left.to_string())
                    );
                    assert!(reply.one("x-ratelimit-reset").parse::<u64>().is_ok(), "{reply:?}");
                }
            }
        }
    }
}

#[test]
fn failed_authentications_are_limited_by_themselves() {
    let limits = json!({ "auth_failure_limit": { "max_failures": 3, "window_seconds": 60 } });
    let envoy = Envoy::start(Setup::new(&policy(limits)));
    for _ in 0..10 {
        ask(json!({})).send(&envoy, Protocol::Http1).forwarded(&envoy);
    }
    // Somebody of ours signed these.
    for _ in 0..10 {
        ask(json!({ "exp": 1000 })).send(&envoy, Protocol::Http1).refused(&envoy, 401, "token_expired");
    }
    ask(json!({})).send(&envoy, Protocol::Http1).forwarded(&envoy);
    let forged = Ask::get("/x").token(&forged(json!({})));
    for protocol in [Protocol::Http1, Protocol::Http2, Protocol::Http1] {
        forged.send(&envoy, protocol).refused(&envoy, 401, "token_signature_invalid");
    }
    let reply = forged.send(&envoy, Protocol::Http1);
    reply.refused(&envoy, 429, "auth_failures_limited");
    assert!(reply.one("retry-after").parse::<u64>().unwrap() >= 1);
}

#[test]
fn a_spent_slot_comes_back_after_the_window() {
    let limits = json!([{ "name": "brief", "max_requests": 2, "window_seconds": 2, "key": ["subject"] }]);
    let envoy = Envoy::start(Setup::new(&policy(json!({ "rate_limits": limits }))));
    let ask = ask(json!({}));
    eventually("the limit is never reached", || {
        (ask.send(&envoy, Protocol::Http1).status == 429).then_some(())
    });
    eventually("the slot never comes back", || {
        (ask.send(&envoy, Protocol::Http1).status == 200).then_some(())
    });
}

#[test]
fn a_push_forgives_nothing() {
    let limited = |path: &str| {
        policy(json!({
            "routes": [{ "path": path, "access": "public" }],
            "rate_limits": [limit("one", 2, &["subject"])],
        }))
    };
    let envoy = Envoy::start(Setup { replaceable: true, concurrency: 2, ..Setup::new(&limited("/a")) });
    let ask = ask(json!({}));
    assert_eq!([0; 3].map(|_| ask.send(&envoy, Protocol::Http1).status), [200, 200, 429]);
    assert_eq!(envoy.push(&limited("/b").to_string()), Pushed::Accepted);
    eventually("the push has no effect", || {
        (Ask::get("/b").send(&envoy, Protocol::Http1).status != 401).then_some(())
    });
    assert_eq!(ask.send(&envoy, Protocol::Http1).status, 429);
}
