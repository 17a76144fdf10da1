//! How tokens travel, and what a client says about itself.

use serde_json::json;

use super::{Class, FORGED, over};
use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::token::token;

/// Names that a service may take for a header about which a client is not believed.
const NAMES: [&str; 8] = [
    "x-auth-subject",
    "x_auth_subject",
    "x.auth.subject",
    "x~auth~subject",
    "X-Auth_Permissions",
    "x.auth-tenant",
    "x-http-method-override",
    "x_original_url",
];

fn impostor(path: &str) -> Ask {
    NAMES.iter().fold(Ask::get(path), |ask, name| ask.header(name, FORGED))
}

fn trailed(path: &str) -> Ask {
    Ask::post(path).body(Body::Trailed(b"{}".to_vec(), NAMES.map(|name| (name, FORGED)).to_vec()))
}

pub(super) fn classes() -> Vec<Class> {
    let (good, other) = (token(json!({})), token(json!({ "jti": "other" })));
    let bearer = format!("Bearer {good}");
    let get = || Ask::get("/x");
    let connection = |value: &str| get().token(&good).header("connection", value);
    let rows = vec![
        ("two headers", get().token(&good).token(&other), "400 credentials_ambiguous"),
        (
            "two in one",
            get().header("authorization", format!("{bearer}, Bearer {other}")),
            "400 credentials_ambiguous",
        ),
        (
            "two of another header",
            get().header("x-token", &good).header("x-token", "x"),
            "400 credentials_ambiguous",
        ),
        (
            "header and cookie",
            get().token(&good).header("cookie", format!("session={other}")),
            "400 credentials_ambiguous",
        ),
        (
            "two cookies",
            get().header("cookie", format!("session={good}; session=x")),
            "400 credentials_ambiguous",
        ),
        ("small letters and spaces", get().header("authorization", format!("bearer   {good}")), "200"),
        ("a tab", get().header("authorization", format!("Bearer\t{good}")), "401"),
        ("another scheme", get().header("authorization", "Basic dTpw"), "401"),
        ("nothing after it", get().header("authorization", "Bearer"), "401"),
        ("spaces around", get().header("authorization", format!(" {bearer} ")), "200"),
        ("upper bytes", get().header("authorization", b"Bearer \x80\xff"), "401"),
        ("no token", get(), "401 token_missing"),
        ("identity claimed on a public path", Ask::get("/public/a").header("x_auth_subject", FORGED), "200"),
        (
            "identity claimed twice",
            get().token(&good).header("x-auth-subject", FORGED).header("x-auth-subject", FORGED),
            "200",
        ),
        ("identity claimed in other spellings", impostor("/x").token(&good), "200"),
        ("the same on a public path", impostor("/public/a"), "200"),
        ("the same without a token", impostor("/x"), "401 token_missing"),
        ("identity claimed behind a body", trailed("/x").token(&good), "200"),
        ("the same on a public path", trailed("/public/a"), "200"),
        (
            "another address",
            get().token(&good).header("x-original-url", FORGED).header("x_rewrite.url", FORGED),
            "200",
        ),
        ("another method", get().token(&good).header("x-http-method-override", FORGED), "200"),
        ("another path", get().header("x-envoy-original-path", "/public/a"), "401 token_missing"),
        ("a host with a comma", get().host("a,b").token(&good), "400|404|cut"),
        ("a host with a user", get().host("a@b").token(&good), "400|404|cut"),
        ("the bare domain of a wildcard", Ask::get("/hosted").host("example.org"), "401"),
        ("a longer domain", Ask::get("/hosted").host("x.badexample.org"), "401"),
        ("a host in capitals", Ask::get("/hosted").host("A.Example.ORG.:8080"), "200"),
    ];
    let http1 = vec![
        (
            "a token that the connection takes",
            get().token(&good).header("connection", "authorization"),
            "401 token_missing",
        ),
        ("identity that the connection takes", connection("x-auth-subject"), "200"),
        ("the same in other spellings", connection("X_Auth.Subject, close, x~auth~permissions"), "200"),
    ];
    let http2 = vec![
        ("no host", get().host("").token(&good), "400|404|cut"),
        ("a line end in a header", get().token(&good).header("u", b"a\r\nb: c"), "400|cut"),
    ];
    [over(&BOTH, rows), over(&[Protocol::Http1], http1), over(&[Protocol::Http2], http2)]
        .into_iter()
        .flatten()
        .collect()
}
