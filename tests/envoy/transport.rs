//! How a token travels: where it is looked for, and what happens when it is there twice.

use std::sync::OnceLock;

use serde_json::json;

use crate::ask::{Ask, BOTH, Protocol};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::table::judge;
use crate::token::token;

/// The default source: `Authorization: Bearer`.
fn envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || Setup::new(&policy(json!({}))))
}

/// Every kind of source.
fn sources() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || {
        Setup::new(&policy(json!({ "tokens": { "sources": [
            { "header": "authorization", "scheme": "Bearer" },
            { "header": "x-token" },
            { "cookie": "session" },
            { "query": "access_token" },
        ] } })))
    })
}

fn authorization(value: impl AsRef<[u8]>) -> Ask {
    Ask::get("/x").header("authorization", value)
}

#[test]
fn the_scheme_is_bearer_in_any_letter_case() {
    let good = token(json!({}));
    judge(
        envoy(),
        &BOTH,
        [
            ("as usual", authorization(format!("Bearer {good}")), "200"),
            ("small letters", authorization(format!("bearer {good}")), "200"),
            ("capitals", authorization(format!("BEARER {good}")), "200"),
            ("several spaces", authorization(format!("Bearer   {good}")), "200"),
            ("spaces around", authorization(format!(" Bearer {good} ")), "200"),
            ("a tab", authorization(format!("Bearer\t{good}")), "401"),
            ("nothing between", authorization(format!("Bearer{good}")), "401"),
            ("a longer word", authorization(format!("BearerX {good}")), "401"),
            ("another scheme", authorization("Basic dXNlcjpwYXNz"), "401"),
            ("another scheme with a good token", authorization(format!("Basic {good}")), "401"),
            ("the token alone", authorization(&good), "401"),
            ("the scheme alone", authorization("Bearer"), "401"),
            ("the scheme and a space", authorization("Bearer "), "401"),
            ("nothing", authorization(""), "401"),
            ("no header", Ask::get("/x"), "401 token_missing"),
            (
                "a source that is not configured",
                Ask::get(format!("/x?access_token={good}")).header("x-token", &good),
                "401 token_missing",
            ),
        ],
    );
}

#[test]
fn two_credentials_are_one_too_many() {
    let (one, two) = (token(json!({ "jti": "1" })), token(json!({ "jti": "2" })));
    judge(
        envoy(),
        &BOTH,
        [
            (
                "two headers",
                authorization(format!("Bearer {one}")).header("authorization", format!("Bearer {two}")),
                "400 credentials_ambiguous",
            ),
            (
                "the same twice",
                authorization(format!("Bearer {one}")).header("authorization", format!("Bearer {one}")),
                "200",
            ),
            (
                "the second bad",
                authorization(format!("Bearer {one}")).header("authorization", "Bearer x"),
                "400 credentials_ambiguous",
            ),
            (
                "two in one line",
                authorization(format!("Bearer {one}, Bearer {two}")),
                "400 credentials_ambiguous",
            ),
            (
                "another scheme before",
                authorization("Basic eA==").header("authorization", format!("Bearer {one}")),
                "400 credentials_ambiguous|401",
            ),
        ],
    );
}

#[test]
fn each_configured_source_is_read() {
    let good = token(json!({}));
    judge(
        sources(),
        &BOTH,
        [
            ("authorization", Ask::get("/x").token(&good), "200"),
            ("another header", Ask::get("/x").header("x-token", &good), "200"),
            ("a cookie", Ask::get("/x").header("cookie", format!("session={good}")), "200"),
            (
                "a cookie among others",
                Ask::get("/x").header("cookie", format!("a=1; session={good}; b=2")),
                "200",
            ),
            ("a parameter", Ask::get(format!("/x?access_token={good}")), "200"),
            ("a parameter among others", Ask::get(format!("/x?a=1&access_token={good}&b")), "200"),
            (
                "a cookie with a longer name",
                Ask::get("/x").header("cookie", format!("xsession={good}")),
                "401 token_missing",
            ),
            (
                "a parameter with a longer name",
                Ask::get(format!("/x?xaccess_token={good}")),
                "401 token_missing",
            ),
            ("none", Ask::get("/x?a=1").header("cookie", "a=1"), "401 token_missing"),
            ("an empty parameter", Ask::get("/x?access_token="), "401"),
        ],
    );
}

#[test]
fn two_sources_are_ambiguous_however_they_are_spread() {
    let (good, other) = (token(json!({ "jti": "1" })), token(json!({ "jti": "2" })));
    let query = format!("/x?access_token={good}");
    judge(
        sources(),
        &BOTH,
        [
            (
                "x-token twice",
                Ask::get("/x").header("x-token", &good).header("x-token", &other),
                "400 credentials_ambiguous",
            ),
            (
                "two cookies in one line",
                Ask::get("/x").header("cookie", format!("session={good}; session={other}")),
                "400 credentials_ambiguous",
            ),
            (
                "two cookie lines",
                Ask::get("/x")
                    .header("cookie", format!("session={good}"))
                    .header("cookie", format!("session={other}")),
                "400 credentials_ambiguous",
            ),
            (
                "a parameter twice",
                Ask::get(format!("{query}&access_token={other}")),
                "400 credentials_ambiguous",
            ),
            (
                "header and cookie",
                Ask::get("/x").token(&good).header("cookie", format!("session={other}")),
                "400 credentials_ambiguous",
            ),
            ("header and parameter", Ask::get(&query).token(&other), "400 credentials_ambiguous"),
            (
                "two headers of different names",
                Ask::get("/x").token(&good).header("x-token", &other),
                "400 credentials_ambiguous",
            ),
            (
                "cookie and parameter",
                Ask::get(&query).header("cookie", format!("session={other}")),
                "400 credentials_ambiguous",
            ),
            (
                "the same everywhere",
                Ask::get(format!("{query}&access_token={good}"))
                    .token(&good)
                    .header("x-token", &good)
                    .header("cookie", format!("session={good}; session={good}")),
                "200",
            ),
        ],
    );
}

#[test]
fn what_envoy_takes_away_is_not_there() {
    let good = token(json!({}));
    judge(
        envoy(),
        &[Protocol::Http1],
        [(
            "a connection header",
            Ask::get("/x").token(&good).header("connection", "authorization"),
            "401 token_missing",
        )],
    );
}

#[test]
fn a_bare_carriage_return_hides_nothing() {
    let good = token(json!({}));
    let (front, back) = good.split_at(good.len() / 2);
    // Envoy removes it over HTTP/1: what is verified is what the service would see, too.
    let reply = authorization(format!("Bearer {front}\r{back}")).send(envoy(), Protocol::Http1);
    match reply.status {
        200 => assert_eq!(reply.forwarded(envoy()).one("authorization"), format!("Bearer {good}")),
        status => assert!(status == 400 || status == 401, "{reply:?}"),
    }
    envoy().assert_healthy();
}
