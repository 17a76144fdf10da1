//! The endpoint in the hands of a caller who wants to revoke what is not theirs, or to fill the table.
//!
//! What is revoked here stays in the table for little more than an hour.

use serde_json::{Value, json};

use super::parked::Parked;
use super::{Class, fresh, scene};
use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::process::Envoy;
use crate::reply::{Cut, Reply};
use crate::token::{now, token};

pub(super) const ENDPOINT: &str = "/auth/revoke";

pub(super) fn classes() -> Vec<Class> {
    vec![
        scene("a revocation of nothing", &BOTH, of_nothing, "200"),
        scene("a revocation far into the future", &BOTH, far_ahead, "401 token_revoked"),
        scene("a revocation of a byte at a time", &BOTH, dripped, "401 token_revoked"),
        scene("a revocation that was parked by somebody revoked since", &BOTH, parked, "401 token_revoked"),
        scene("a held request of somebody revoked since", &BOTH, held, "401 token_revoked"),
    ]
}

/// A token of a subject that is nobody else's.
pub(super) fn brief(sub: &str) -> String {
    token(json!({ "sub": sub, "jti": fresh("jti"), "exp": now() + 120 }))
}

pub(super) fn revoke(by: &str, body: &Value) -> Ask {
    Ask::post(ENDPOINT).token(by).body(Body::Sized(body.to_string().into_bytes()))
}

pub(super) fn verdict(outcome: Result<Reply, Cut>) -> String {
    outcome.map_or_else(|cut| format!("{cut:?}"), |reply| reply.verdict())
}

/// What the service's path answers to this token.
pub(super) fn meets(envoy: &Envoy, protocol: Protocol, token: &str) -> String {
    verdict(Ask::get("/x").token(token).try_send(envoy, protocol).1)
}

pub(super) fn log_out(envoy: &Envoy, protocol: Protocol, token: &str) -> String {
    verdict(Ask::new("POST", ENDPOINT).token(token).try_send(envoy, protocol).1)
}

/// It is answered like any other, keeps no entry, and its sender's tokens stay good.
fn of_nothing(envoy: &Envoy, protocol: Protocol) -> String {
    let mine = token(json!({ "sub": "nothing" }));
    let reply =
        match revoke(&mine, &json!({ "sub": "nothing", "issued_before": 1 })).try_send(envoy, protocol) {
            (_, Ok(reply)) => reply,
            (_, Err(cut)) => return format!("{cut:?}"),
        };
    match reply.text().as_str() {
        r#"{"revoked":true,"expires_at":null}"# => meets(envoy, protocol, &mine),
        other => format!("{} {other}", reply.status),
    }
}

/// It reaches one's own tokens so far, and none that is issued in a year.
fn far_ahead(envoy: &Envoy, protocol: Protocol) -> String {
    let sub = fresh("own");
    let mine = brief(&sub);
    let ask = revoke(&mine, &json!({ "sub": sub, "issued_before": now() + 31_536_000 }));
    let reply = match ask.try_send(envoy, protocol) {
        (_, Ok(reply)) => reply,
        (_, Err(cut)) => return format!("{cut:?}"),
    };
    let answer: Value = serde_json::from_slice(&reply.body).unwrap_or_default();
    match answer["expires_at"].as_i64() {
        Some(end) if end < now() + 31_536_000 => meets(envoy, protocol, &mine),
        _ => format!("{} {}", reply.status, reply.text()),
    }
}

/// It holds once its last byte has come, and nothing of it before.
fn dripped(envoy: &Envoy, protocol: Protocol) -> String {
    let sub = fresh("dripped");
    let (mine, other) = (brief(&sub), brief(&sub));
    let body = json!({ "token": other }).to_string();
    let (last, most) = body.as_bytes().split_last().unwrap();
    let mut parked = match Parked::new(envoy, protocol, Ask::post(ENDPOINT).token(&mine)) {
        Ok(parked) => parked,
        Err(cut) => return format!("{cut:?}"),
    };
    most.chunks(8).for_each(|piece| parked.push(piece));
    let before = meets(envoy, protocol, &other);
    let reply = verdict(parked.finish(&[*last]));
    if (before.as_str(), reply.as_str()) == ("200", "200") {
        meets(envoy, protocol, &other)
    } else {
        format!("{before}, then {reply}")
    }
}

/// The thief's request hears that its token is revoked, and the owner's new token passes.
fn parked(envoy: &Envoy, protocol: Protocol) -> String {
    let sub = fresh("victim");
    let (stolen, new) = (brief(&sub), brief(&sub));
    let body = json!({ "sub": sub, "issued_before": now() + 5000 }).to_string();
    let parked = match Parked::new(envoy, protocol, Ask::post(ENDPOINT).token(&stolen)) {
        Ok(parked) => parked,
        Err(cut) => return format!("{cut:?}"),
    };
    let out = log_out(envoy, protocol, &stolen);
    let reply = verdict(parked.finish(body.as_bytes()));
    let owner = meets(envoy, protocol, &new);
    if (out.as_str(), owner.as_str()) == ("200", "200") { reply } else { format!("{out}, {reply}, {owner}") }
}

/// The service hears nothing of it.
fn held(envoy: &Envoy, protocol: Protocol) -> String {
    let mine = brief(&fresh("held"));
    let mut parked = match Parked::new(envoy, protocol, Ask::post("/x").token(&mine)) {
        Ok(parked) => parked,
        Err(cut) => return format!("{cut:?}"),
    };
    parked.push(b"{");
    let (test, out) = (parked.test.clone(), log_out(envoy, protocol, &mine));
    let reply = verdict(parked.finish(b"}"));
    let is_silent = envoy.upstream.heard(&test).is_empty();
    if out == "200" && is_silent { reply } else { format!("{out}, {reply}, heard: {}", !is_silent) }
}
