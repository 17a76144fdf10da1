//! Who may fill how much of the table, and how long an entry stays in it.

use serde_json::{Value, json};

use crate::ask::{Ask, Body, Protocol};
use crate::process::{Envoy, eventually};
use crate::reply::Reply;
use crate::setup::{Setup, policy};
use crate::token::{now, token};

const ENDPOINT: &str = "/auth/revoke";

/// An Envoy of two workers whose table has this capacity.
fn envoy(capacity: u32) -> Envoy {
    let endpoint = json!({ "path": ENDPOINT, "required_permissions": ["tokens:revoke"] });
    let policy = policy(json!({
        "rate_limits": [],
        "revocation": { "endpoint": endpoint, "capacity": capacity },
    }));
    Envoy::start(Setup { concurrency: 2, ..Setup::new(&policy) })
}

fn officer() -> String {
    token(json!({ "sub": "officer", "permissions": ["tokens:revoke"] }))
}

fn log_out(envoy: &Envoy, token: &str) -> Reply {
    Ask::new("POST", ENDPOINT).token(token).send(envoy, Protocol::Http1)
}

fn revoke(envoy: &Envoy, by: &str, body: &Value) -> Reply {
    let body = Body::Sized(body.to_string().into_bytes());
    Ask::post(ENDPOINT).token(by).body(body).send(envoy, Protocol::Http1)
}

#[track_caller]
fn done(reply: &Reply) {
    assert!(reply.status == 200 && reply.text().contains(r#""revoked":true"#), "{reply:?}");
}

/// What the service's path answers to this token, from either worker.
fn meets(envoy: &Envoy, token: &str) -> String {
    let answers: Vec<_> =
        (0..6).map(|_| Ask::get("/x").token(token).send(envoy, Protocol::Http1).verdict()).collect();
    assert!(answers.iter().all(|answer| *answer == answers[0]), "{answers:?}");
    answers[0].clone()
}

#[test]
fn ordinary_callers_cannot_keep_an_officer_from_revoking() {
    let envoy = envoy(32);
    for number in 0..60 {
        let sub = format!("mallory-{number}");
        let reply = revoke(&envoy, &token(json!({ "sub": sub })), &json!({ "sub": sub, "issued_before": 1 }));
        done(&reply);
        assert_eq!(reply.text(), r#"{"revoked":true,"expires_at":null}"#);
    }
    for number in 0..30 {
        done(&log_out(&envoy, &token(json!({ "sub": format!("mallory-{number}") }))));
    }
    let victim = token(json!({ "sub": "victim", "jti": "stolen" }));
    log_out(&envoy, &victim).refused(&envoy, 503, "revocation_full");
    assert_eq!(meets(&envoy, &victim), "200");
    done(&revoke(&envoy, &officer(), &json!({ "jti": "stolen", "expires_at": now() + 3600 })));
    assert_eq!(meets(&envoy, &victim), "401 token_revoked");
    envoy.assert_healthy();
}

#[test]
fn one_subject_with_many_tokens_takes_no_more_than_its_share() {
    let envoy = envoy(64);
    let iat = now() - 500;
    let of = |number: i64| token(json!({ "sub": "mallory", "jti": number.to_string(), "iat": iat + number }));
    let mine: Vec<_> = (0..100).map(of).collect();
    for token in &mine {
        done(&log_out(&envoy, token));
    }
    for (number, token) in mine.iter().enumerate().step_by(9) {
        assert_eq!(meets(&envoy, token), "401 token_revoked", "{number}");
    }
    assert_eq!(meets(&envoy, &of(100)), "200");
    // All but the share of that one subject and the reserve is left to others.
    for number in 0..59 {
        done(&log_out(&envoy, &token(json!({ "sub": format!("user-{number}") }))));
    }
    log_out(&envoy, &token(json!({ "sub": "one-more" }))).refused(&envoy, 503, "revocation_full");
    done(&log_out(&envoy, &of(101)));
    assert_eq!(meets(&envoy, &of(100)), "401 token_revoked", "issued before the newest that was folded");
    assert_eq!(meets(&envoy, &of(102)), "200");
    envoy.assert_healthy();
}

#[test]
fn a_logout_does_not_wear_off_where_a_jti_is_used_again() {
    let envoy = envoy(64);
    let ends = now() + 4;
    let session = |exp: i64| token(json!({ "jti": "session", "iat": now() - 9, "exp": exp }));
    let (brief, long) = (session(ends), session(now() + 3600));
    assert_eq!(meets(&envoy, &long), "200");
    done(&log_out(&envoy, &brief));
    let refused = meets(&envoy, &long);
    assert!(now() < ends, "the machine was too slow for this test: raise `ends`");
    assert_eq!(refused, "401 token_revoked");
    eventually("it never expires", || {
        let reply = Ask::get("/x").token(&brief).send(&envoy, Protocol::Http1);
        (reply.verdict() == "401 token_expired").then_some(())
    });
    assert_eq!(meets(&envoy, &long), "401 token_revoked");
    envoy.assert_healthy();
}
