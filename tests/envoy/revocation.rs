//! A revoked token is refused from the next request on, by every worker.

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::process::{Envoy, Pushed, eventually};
use crate::reply::Reply;
use crate::setup::{Setup, policy};
use crate::table::judge;
use crate::token::{now, payload, sign, token};

const HTTP1: [Protocol; 1] = [Protocol::Http1];

fn setup() -> Setup {
    let policy = policy(json!({
        "revocation": { "endpoint": { "path": "/auth/revoke", "required_permissions": ["tokens:revoke"] } },
    }));
    Setup { concurrency: 2, ..Setup::new(&policy) }
}

fn ask(token: &str) -> Ask {
    Ask::get("/x").token(token)
}

/// Asks the endpoint, as the owner of `by`.
fn revoke(envoy: &Envoy, protocol: Protocol, by: &str, body: &Value) -> Reply {
    let ask = Ask::post("/auth/revoke").token(by).body(Body::Sized(body.to_string().into_bytes()));
    ask.send(envoy, protocol)
}

/// The endpoint has done it; it never forwards.
#[track_caller]
fn done(envoy: &Envoy, reply: &Reply) -> Value {
    assert_eq!(reply.status, 200, "{reply:?}");
    assert!(envoy.upstream.heard(&reply.test).is_empty());
    assert_eq!(reply.one("cache-control"), "no-store");
    let answer: Value = serde_json::from_slice(&reply.body).unwrap();
    assert_eq!(answer["revoked"], true, "{reply:?}");
    answer
}

#[test]
fn logging_out_ends_the_token_for_every_worker() {
    let envoy = Envoy::start(setup());
    for protocol in BOTH {
        let expires_at = now() + 1000;
        let mine = token(json!({ "exp": expires_at, "jti": format!("{protocol:?}") }));
        ask(&mine).send(&envoy, protocol).forwarded(&envoy);
        let reply = Ask::new("POST", "/auth/revoke").token(&mine).send(&envoy, protocol);
        assert_eq!(done(&envoy, &reply)["expires_at"], expires_at);
        for _ in 0..20 {
            let problem = ask(&mine).send(&envoy, protocol).refused(&envoy, 401, "token_revoked");
            assert_eq!(problem["detail"], "Token has been revoked");
        }
        judge(
            &envoy,
            &BOTH,
            [
                (
                    "spelt otherwise",
                    Ask::get("/x").header("authorization", format!("bearer   {mine}")),
                    "401 token_revoked",
                ),
                ("another of the same owner", ask(&token(json!({ "jti": "another" }))), "200"),
            ],
        );
    }
    let line = eventually("no log line", || {
        envoy.written().lines().find(|line| line.contains("token_revoked")).map(ToOwned::to_owned)
    });
    assert!(line.starts_with("[error]"), "{line}");
}

#[test]
fn other_tokens_need_the_permission_unless_they_are_ones_own() {
    let envoy = Envoy::start(setup());
    let officer = token(json!({ "sub": "officer", "permissions": ["tokens:revoke"] }));
    let user = token(json!({}));
    for protocol in BOTH {
        let theirs = token(json!({ "sub": "user-8", "jti": format!("theirs-{protocol:?}") }));
        let same = token(json!({ "jti": format!("same-{protocol:?}") }));
        revoke(&envoy, protocol, &user, &json!({ "token": theirs })).refused(
            &envoy,
            403,
            "permission_missing",
        );
        ask(&theirs).send(&envoy, protocol).forwarded(&envoy);
        done(&envoy, &revoke(&envoy, protocol, &user, &json!({ "token": same })));
        ask(&same).send(&envoy, protocol).refused(&envoy, 401, "token_revoked");
        done(&envoy, &revoke(&envoy, protocol, &officer, &json!({ "token": theirs })));
        ask(&theirs).send(&envoy, protocol).refused(&envoy, 401, "token_revoked");

        let jti = format!("by-jti-{protocol:?}");
        let body = json!({ "jti": jti, "expires_at": now() + 3600 });
        revoke(&envoy, protocol, &user, &body).refused(&envoy, 403, "permission_missing");
        done(&envoy, &revoke(&envoy, protocol, &officer, &body));
        ask(&token(json!({ "sub": "user-9", "jti": jti }))).send(&envoy, protocol).refused(
            &envoy,
            401,
            "token_revoked",
        );

        let sub = format!("sub-{protocol:?}");
        done(
            &envoy,
            &revoke(&envoy, protocol, &officer, &json!({ "sub": sub, "issued_before": now() - 10 })),
        );
        judge(
            &envoy,
            &[protocol],
            [
                (
                    "issued before",
                    ask(&token(json!({ "sub": sub, "iat": now() - 100 }))),
                    "401 token_revoked",
                ),
                ("issued after", ask(&token(json!({ "sub": sub }))), "200"),
            ],
        );
    }
}

#[test]
fn what_cannot_be_revoked_changes_nothing() {
    let envoy = Envoy::start(setup());
    let officer = token(json!({ "sub": "officer", "permissions": ["tokens:revoke"] }));
    for protocol in BOTH {
        for broken in ["a.b.c".to_owned(), sign(r#"{"alg":"none"}"#, "{}"), format!("{}x", token(json!({})))]
        {
            let reply = revoke(&envoy, protocol, &officer, &json!({ "token": broken }));
            assert_eq!(reply.status, 400, "{reply:?}");
            assert!(reply.text().contains("Cannot revoke invalid token"), "{reply:?}");
        }
        for body in [
            json!({}),
            json!([]),
            json!({ "token": 7 }),
            json!({ "jti": "a" }),
            json!({ "jti": "a", "expires_at": now() + 9, "x": 1 }),
        ] {
            assert_eq!(revoke(&envoy, protocol, &officer, &body).status, 400, "{body}");
        }
        Ask::post("/auth/revoke").send(&envoy, protocol).refused(&envoy, 401, "token_missing");
        ask(&officer).send(&envoy, protocol).forwarded(&envoy);
    }
    envoy.assert_healthy();
}

#[test]
fn a_push_brings_no_token_back() {
    let envoy = Envoy::start(Setup { replaceable: true, ..setup() });
    let mine = token(json!({}));
    done(&envoy, &Ask::new("POST", "/auth/revoke").token(&mine).send(&envoy, Protocol::Http1));
    let without = policy(json!({ "routes": [{ "path": "/public", "access": "public" }] }));
    assert_eq!(envoy.push(&without.to_string()), Pushed::Accepted);
    eventually("the push has no effect", || {
        (Ask::get("/public").send(&envoy, Protocol::Http1).status == 200).then_some(())
    });
    ask(&mine).send(&envoy, Protocol::Http1).refused(&envoy, 401, "token_revoked");
}

#[test]
fn tokens_can_be_denied_by_configuration() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "tokens": { "keys": [
            { "kid": "good", "secret": { "env": "API_GUARD_SECRET" } },
            { "kid": "lost", "secret": { "value": "a-lost-secret-of-more-than-thirty-two-bytes" } },
        ] },
        "revocation": { "denied": {
            "jti": ["denied-1"], "sub": ["user-8"], "kid": ["lost"], "sub_issued_before": { "user-9": now() - 50 },
        } },
    }))));
    let lost = crate::token::sign_with(
        b"a-lost-secret-of-more-than-thirty-two-bytes",
        r#"{"alg":"HS256","kid":"lost"}"#,
        payload(json!({})).to_string(),
    );
    judge(
        &envoy,
        &HTTP1,
        [
            ("nothing denied", ask(&token(json!({ "jti": "denied-2" }))), "200"),
            ("the jti", ask(&token(json!({ "jti": "denied-1" }))), "401 token_revoked"),
            ("the subject", ask(&token(json!({ "sub": "user-8" }))), "401 token_revoked"),
            ("the key", ask(&lost), "401 token_revoked"),
            (
                "the subject's older tokens",
                ask(&token(json!({ "sub": "user-9", "iat": now() - 100 }))),
                "401 token_revoked",
            ),
            ("but not the newer", ask(&token(json!({ "sub": "user-9" }))), "200"),
            (
                "the endpoint is off by default",
                Ask::new("POST", "/auth/revoke").token(&token(json!({}))),
                "200",
            ),
        ],
    );
}
