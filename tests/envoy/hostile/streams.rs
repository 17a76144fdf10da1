//! Calls of gRPC and upgrades: answers that are no problem documents.

use serde_json::json;

use super::{Class, FORGED, scene};
use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::process::Envoy;
use crate::token::token;

pub(super) fn classes() -> Vec<Class> {
    vec![
        scene("a method of its own over gRPC", &[Protocol::Http2], unknown_method, "12 Method not allowed"),
        scene(
            "permissions of its own over gRPC",
            &BOTH,
            malformed_permissions,
            "16 Invalid permission format",
        ),
        scene("an upgrade that the connection robs of its identity", &[Protocol::Http1], upgrade, "101|200"),
    ]
}

/// Status and message of gRPC, or what holds the client's text.
fn call(envoy: &Envoy, protocol: Protocol, method: &str, token: &str) -> String {
    let ask = Ask::new(method, "/x").token(token).header("content-type", "application/grpc");
    let reply = match ask.header("te", "trailers").body(Body::Sized(vec![0; 5])).try_send(envoy, protocol) {
        (_, Ok(reply)) => reply,
        (_, Err(cut)) => return format!("{cut:?}"),
    };
    if format!("{reply:?}").contains(FORGED) {
        return format!("{reply:?}");
    }
    format!("{} {}", reply.all("grpc-status").concat(), reply.all("grpc-message").concat())
}

fn unknown_method(envoy: &Envoy, protocol: Protocol) -> String {
    call(envoy, protocol, FORGED, &token(json!({})))
}

fn malformed_permissions(envoy: &Envoy, protocol: Protocol) -> String {
    call(envoy, protocol, "POST", &token(json!({ "permissions": [FORGED] })))
}

fn upgrade(envoy: &Envoy, protocol: Protocol) -> String {
    let ask = Ask::get("/x").token(&token(json!({}))).header("upgrade", "websocket");
    let ask = ask.header("connection", "Upgrade, X_Auth.Subject, x-auth-permissions");
    let (_, outcome) = ask.header("x-auth-subject", FORGED).try_send(envoy, protocol);
    outcome.map_or_else(|cut| format!("{cut:?}"), |reply| reply.verdict())
}
