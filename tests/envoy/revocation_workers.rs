//! Revoked once, refused everywhere: by every worker on its very next request, in every spelling, and for as long as the
//! token would have lived.

use std::time::Duration;

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::http1::Connection;
use crate::kind;
use crate::process::{Envoy, Pushed, eventually};
use crate::reply::Reply;
use crate::setup::{Setup, policy};
use crate::token::{HEADER, base64url, now, payload, sign, token};
use crate::trap::{deadly, mortal_module};

const ENDPOINT: &str = "/auth/revoke";

fn with_endpoint(mut changes: Value) -> Value {
    changes["revocation"]["endpoint"] =
        json!({ "path": ENDPOINT, "required_permissions": ["tokens:revoke"] });
    policy(changes)
}

fn officer() -> String {
    token(json!({ "sub": "officer", "permissions": ["tokens:revoke"] }))
}

fn ask(token: &str) -> Ask {
    Ask::get("/x").token(token)
}

fn revoke(by: &str, body: &Value) -> Ask {
    Ask::post(ENDPOINT).token(by).body(Body::Sized(body.to_string().into_bytes()))
}

/// One connection to each worker.
fn one_to_each_worker(envoy: &Envoy) -> Vec<Connection> {
    envoy.to_each_worker(1).into_iter().flatten().collect()
}

#[track_caller]
fn done(reply: &Reply) {
    assert!(reply.status == 200 && reply.text().contains(r#""revoked":true"#), "{reply:?}");
}

#[test]
fn every_worker_refuses_on_its_very_next_request() {
    let envoy = Envoy::start(Setup { concurrency: 4, ..Setup::new(&with_endpoint(json!({}))) });
    let mut workers = one_to_each_worker(&envoy);
    let officer = officer();
    for by in 0..workers.len() {
        let name = |what: &str| format!("{what}-{by}");
        let cases = [
            ("own", None),
            ("token", Some(json!({}))),
            ("jti", Some(json!({ "jti": name("jti"), "expires_at": now() + 3600 }))),
            ("sub", Some(json!({ "sub": name("sub"), "issued_before": now() + 60 }))),
        ];
        for (what, body) in cases {
            let mine = token(json!({ "sub": name(what), "jti": name(what) }));
            let spared = token(json!({ "sub": name("spared"), "jti": name("spared") }));
            for worker in &mut workers {
                // Twice, so that it is in the worker's cache of good tokens.
                for good in [&mine, &mine, &spared] {
                    ask(good).send_on(worker).forwarded(&envoy);
                }
            }
            let request = match body {
                None => Ask::new("POST", ENDPOINT).token(&mine),
                Some(body) if what == "token" => {
                    assert_eq!(body, json!({}));
                    revoke(&officer, &json!({ "token": mine }))
                }
                Some(body) => revoke(&officer, &body),
            };
            done(&request.send_on(&mut workers[by]));
            for worker in &mut workers {
                ask(&mine).send_on(worker).refused(&envoy, 401, "token_revoked");
                ask(&spared).send_on(worker).forwarded(&envoy);
            }
            // Revoking twice is no error, and the revoked caller can do it no longer.
            if what == "jti" {
                let again = json!({ "jti": name("jti"), "expires_at": now() + 3600 });
                done(&revoke(&officer, &again).send_on(&mut workers[(by + 1) % 4]));
            }
            let logout = Ask::new("POST", ENDPOINT).token(&mine).send_on(&mut workers[by]);
            logout.refused(&envoy, 401, "token_revoked");
        }
    }
    assert_eq!(envoy.upstream.heard_for(ENDPOINT), 0);
    envoy.assert_healthy();
}

#[test]
fn no_other_spelling_brings_a_revoked_token_back() {
    let envoy = Envoy::start(Setup {
        concurrency: 2,
        ..Setup::new(&with_endpoint(json!({ "tokens": { "sources": [
            { "header": "authorization", "scheme": "Bearer" },
            { "header": "x-token" },
            { "cookie": "session" },
            { "query": "access_token" },
        ] } })))
    });
    let claims = payload(json!({ "jti": "once" })).to_string();
    let mine = sign(HEADER, &claims);
    ask(&mine).send(&envoy, Protocol::Http1).forwarded(&envoy);
    done(&Ask::new("POST", ENDPOINT).token(&mine).send(&envoy, Protocol::Http1));
    let line = |value: String| Ask::get("/x").header("authorization", value);
    let parts: Vec<&str> = mine.split('.').collect();
    // The last character of a signature of 32 bytes carries two bits that mean nothing.
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet.find(&mine[mine.len() - 1..]).unwrap();
    let spare = (1..4).map(|bits| format!("{}{}", &mine[..mine.len() - 1], &alphabet[last ^ bits..][..1]));
    let same = [
        ("as it was", ask(&mine)),
        ("another letter case", line(format!("bEARER {mine}"))),
        ("several spaces", line(format!("Bearer    {mine}"))),
        ("spaces around", line(format!("  Bearer {mine}  "))),
        ("another header", Ask::get("/x").header("x-token", &mine)),
        ("a cookie", Ask::get("/x").header("cookie", format!("a=b; session={mine}"))),
        ("the query", Ask::get(format!("/x?access_token={mine}"))),
        ("another method", Ask::post("/x").token(&mine)),
        ("the endpoint itself", Ask::new("POST", ENDPOINT).token(&mine)),
    ];
    let mut other: Vec<(&str, Ask)> = vec![
        ("padded", ask(&format!("{mine}="))),
        ("standard alphabet", ask(&mine.replace('-', "+").replace('_', "/"))),
        ("a dot more", ask(&format!("{mine}."))),
        ("a dot less", ask(mine.trim_end_matches(|last| last != '.'))),
        ("a space inside", ask(&format!("{} {}", &mine[..20], &mine[20..]))),
        ("a tab after the scheme", line(format!("Bearer\t{mine}"))),
        ("no scheme", line(mine.clone())),
        ("quoted", ask(&format!("\"{mine}\""))),
        ("twice", ask(&mine).header("authorization", format!("Bearer {mine}"))),
        ("in two places", ask(&mine).header("cookie", format!("session={mine}"))),
        ("with a good one", line(format!("Bearer {mine},Bearer {}", token(json!({}))))),
        ("encoded once more", ask(&base64url(&mine))),
        ("percent-encoded in the query", Ask::get(format!("/x?access_token={}", mine.replace('.', "%2E")))),
        ("header in capitals", ask(&format!("{}.{}.{}", parts[0].to_uppercase(), parts[1], parts[2]))),
        ("JSON form", ask(&format!("{{\"payload\":\"{}\"}}", parts[1]))),
    ];
    other.extend(spare.map(|token| ("spare bits", ask(&token))));
    for protocol in BOTH {
        for (name, ask) in &same {
            let reply = ask.send(&envoy, protocol);
            assert_eq!(reply.verdict(), "401 token_revoked", "{name} over {protocol:?}");
            assert!(envoy.upstream.heard(&reply.test).is_empty(), "{name}");
        }
        for (name, ask) in &other {
            // HTTP/2 may also end such a request without a reply.
            let (test, outcome) = ask.try_send(&envoy, protocol);
            if let Ok(reply) = outcome {
                assert!(reply.status == 401 || reply.status == 400, "{name} over {protocol:?}: {reply:?}");
            }
            assert!(envoy.upstream.heard(&test).is_empty(), "{name} over {protocol:?}");
        }
    }
    // A bare CR is taken out by Envoy's HTTP/1: what the filter sees is the token as it was.
    let (test, outcome) =
        line(format!("Bearer {}\r{}", &mine[..30], &mine[30..])).try_send(&envoy, Protocol::Http1);
    assert!(outcome.is_ok_and(|reply| reply.status == 401 || reply.status == 400));
    assert!(envoy.upstream.heard(&test).is_empty());
    assert_eq!(envoy.upstream.heard_for(ENDPOINT), 0);
}

#[test]
fn a_revoked_jti_is_revoked_in_every_token() {
    let envoy = Envoy::start(Setup { concurrency: 2, ..Setup::new(&with_endpoint(json!({}))) });
    let claims = payload(json!({ "jti": "once" })).to_string();
    let spellings = [
        sign(HEADER, &claims),
        sign(r#"{"typ":"JWT","alg":"HS256"}"#, &claims),
        sign(r#"{ "alg": "HS256" }"#, &claims),
        sign(HEADER, format!(" {claims}")),
        sign(HEADER, payload(json!({ "jti": "once", "sub": "somebody" })).to_string()),
        sign(HEADER, claims.replace("once", "on\\u0063e")),
    ];
    for token in &spellings {
        ask(token).send(&envoy, Protocol::Http1).forwarded(&envoy);
    }
    let body = json!({ "jti": "once", "expires_at": now() + 3600 });
    done(&revoke(&officer(), &body).send(&envoy, Protocol::Http1));
    for worker in &mut one_to_each_worker(&envoy) {
        for token in &spellings {
            ask(token).send_on(worker).refused(&envoy, 401, "token_revoked");
        }
        for other in ["Once", "once ", "onc"] {
            ask(&token(json!({ "jti": other }))).send_on(worker).forwarded(&envoy);
        }
    }
    envoy.assert_healthy();
}

#[test]
fn revocations_outlive_pushes_and_the_death_of_vms() {
    let plugin = |number: u32| {
        let path = format!("/push-{number}");
        with_endpoint(json!({ "routes": [{ "path": path, "access": "public" }] }))
    };
    let mut setup = Setup { concurrency: 4, replaceable: true, ..Setup::new(&plugin(0)) };
    let has_vms = kind::runs(kind::VM_DEATH);
    if has_vms {
        setup.artefact = mortal_module();
    }
    let envoy = Envoy::start(setup);
    let officer = officer();
    let gone: Vec<String> = ["token", "jti", "sub"]
        .map(|what| token(json!({ "sub": format!("sub-{what}"), "jti": what, "iat": now() - 100 })))
        .into();
    for body in [
        json!({ "token": gone[0] }),
        json!({ "jti": "jti", "expires_at": now() + 3600 }),
        json!({ "sub": "sub-sub", "issued_before": now() - 50 }),
    ] {
        done(&revoke(&officer, &body).send(&envoy, Protocol::Http1));
    }
    let spared = token(json!({ "sub": "sub-sub", "jti": "newer" }));
    let all_refused = |when: &str| {
        for (number, worker) in one_to_each_worker(&envoy).iter_mut().enumerate() {
            for token in &gone {
                let reply = ask(token).send_on(worker);
                assert_eq!(reply.verdict(), "401 token_revoked", "{when}, worker {number}");
                assert!(envoy.upstream.heard(&reply.test).is_empty());
            }
            ask(&spared).send_on(worker).forwarded(&envoy);
        }
    };
    all_refused("at once");
    for number in 1..3 {
        assert_eq!(envoy.push(&plugin(number).to_string()), Pushed::Accepted);
        eventually("the push has no effect", || {
            let reached =
                |worker: &mut Connection| Ask::get(format!("/push-{number}")).send_on(worker).status == 200;
            one_to_each_worker(&envoy).iter_mut().all(reached).then_some(())
        });
        all_refused("after a push");
    }
    for victim in if has_vms { 0..4 } else { 0..0 } {
        let reply = deadly().send_on(&mut one_to_each_worker(&envoy)[victim]);
        assert_eq!(reply.status, 503, "{reply:?}");
        eventually("the VM does not come back", || {
            let mut workers = one_to_each_worker(&envoy);
            // Whatever state the VM is in, nothing that is revoked passes.
            for token in &gone {
                let reply = ask(token).send_on(&mut workers[victim]);
                assert!(reply.status == 401 || reply.status == 503, "{reply:?}");
            }
            (Ask::get("/push-2").send_on(&mut workers[victim]).status == 200).then_some(())
        });
        all_refused("after the death of a VM");
    }
    // The VMs that came back go on hearing of new revocations.
    done(&Ask::new("POST", ENDPOINT).token(&spared).send(&envoy, Protocol::Http1));
    for worker in &mut one_to_each_worker(&envoy) {
        ask(&spared).send_on(worker).refused(&envoy, 401, "token_revoked");
    }
}

#[test]
fn a_full_table_says_so_loses_nothing_and_is_free_again_in_time() {
    // Three for callers without the permissions, and one that is kept for those who hold them.
    let capacity = 4;
    let plugin = with_endpoint(json!({ "revocation": { "capacity": capacity } }));
    let envoy = Envoy::start(Setup { concurrency: 2, ..Setup::new(&plugin) });
    let logout = |token: &str| Ask::new("POST", ENDPOINT).token(token).send(&envoy, Protocol::Http1);
    let for_long: Vec<_> = (0..2).map(|number| token(json!({ "sub": format!("long-{number}") }))).collect();
    let ends = now() + 4;
    let brief = token(json!({ "sub": "brief", "exp": ends }));
    let late = token(json!({ "sub": "late" }));
    for token in for_long.iter().chain([&brief]) {
        done(&logout(token));
    }
    let full = logout(&late);
    assert!(now() < ends, "the machine was too slow for this test: raise `ends`");
    for protocol in BOTH {
        let full = Ask::new("POST", ENDPOINT).token(&late).send(&envoy, protocol);
        if now() < ends {
            full.refused(&envoy, 503, "revocation_full");
        }
    }
    full.refused(&envoy, 503, "revocation_full");
    ask(&late).send(&envoy, Protocol::Http1).forwarded(&envoy);
    let all_refused = || {
        for worker in &mut one_to_each_worker(&envoy) {
            for token in &for_long {
                ask(token).send_on(worker).refused(&envoy, 401, "token_revoked");
            }
        }
    };
    all_refused();
    // What is revoked already takes no second slot.
    done(&revoke(&officer(), &json!({ "token": for_long[0] })).send(&envoy, Protocol::Http1));
    let free = eventually("no slot comes free", || Some(logout(&late)).filter(|reply| reply.status != 503));
    assert!(now() >= ends, "a live entry was dropped");
    done(&free);
    ask(&late).send(&envoy, Protocol::Http1).refused(&envoy, 401, "token_revoked");
    ask(&brief).send(&envoy, Protocol::Http1).refused(&envoy, 401, "token_expired");
    all_refused();
    let fresh = token(json!({ "sub": "fresh" }));
    logout(&fresh).refused(&envoy, 503, "revocation_full");
    eventually("not counted", || {
        let count = |outcome: &str| envoy.counter(&format!("api_guard_revocations_total.outcome.{outcome}"));
        (count("full") >= 2 && count("revoked") >= 4).then_some(())
    });
    envoy.assert_healthy();
}

#[test]
fn a_place_is_kept_until_the_skew_after_the_expiry() {
    let plugin =
        with_endpoint(json!({ "tokens": { "clock_skew_seconds": 3 }, "revocation": { "capacity": 1 } }));
    let envoy = Envoy::start(Setup { concurrency: 2, ..Setup::new(&plugin) });
    let ends = now() + 1;
    let mine = token(json!({ "exp": ends }));
    let reply = Ask::new("POST", ENDPOINT).token(&mine).send(&envoy, Protocol::Http1);
    done(&reply);
    let refusals = eventually("it never expires", || {
        let problem = ask(&mine).send(&envoy, Protocol::Http1).verdict();
        std::thread::sleep(Duration::from_millis(20));
        (problem != "401 token_revoked").then_some(problem)
    });
    assert_eq!(refusals, "401 token_expired", "from revoked to expired, never alive between");
    assert!(now() >= ends + 3);
}
