//! No token, secret or key material is ever in a reply, a log, a metric or an error, nor is a piece of one.
//!
//! Beside these tests, every reply that any test reads and everything that every Envoy writes is searched for the
//! secret and for the beginning of a token (`Reply::keeps_secrets`, `Envoy::assert_healthy`).

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Body};
use crate::process::{Envoy, Pushed};
use crate::setup::{Setup, policy};
use crate::token::{HEADER, SECRET, base64url, now, payload, sign, sign_with, token};

const OTHER: &str = "another-secret-of-thirty-two-bytes-or-more";
/// Length of a piece that gives something away.
const PIECE: usize = 12;

/// Pieces of secrets, in every spelling that a configuration has for them, and of the given tokens.
fn pieces(tokens: &[String]) -> Vec<String> {
    let mut whole: Vec<String> =
        [SECRET, OTHER].iter().flat_map(|secret| [(*secret).to_owned(), base64url(secret)]).collect();
    whole.extend(tokens.iter().flat_map(|token| token.split('.')).map(str::to_owned));
    let windows = |text: &String| -> Vec<String> {
        text.as_bytes().windows(PIECE).map(|piece| String::from_utf8_lossy(piece).into_owned()).collect()
    };
    whole.iter().flat_map(windows).collect()
}

#[track_caller]
fn assert_free_of(pieces: &[String], text: &str) {
    for piece in pieces {
        assert!(!text.contains(piece), "{piece} in {text}");
    }
}

fn hostile_tokens() -> Vec<String> {
    let body = payload(json!({ "jti": "j-1" })).to_string();
    vec![
        token(json!({})),
        token(json!({ "exp": 1000 })),
        token(json!({ "sub": true })),
        token(json!({ "permissions": ["a:b", "not one"] })),
        token(json!({ "sub": "gone" })),
        sign(r#"{"alg":"HS256","kid":"unknown"}"#, &body),
        sign(r#"{"alg":"HS512"}"#, &body),
        sign_with(OTHER.as_bytes(), HEADER, &body),
        sign(HEADER, "{"),
        // Whoever takes the wrong line for the token shows it as a claim or a key.
        sign(json!({ "alg": SECRET, "kid": OTHER }).to_string(), &body),
    ]
}

#[test]
fn nothing_of_a_token_or_a_secret_is_told_in_either_mode() {
    for mode in ["enforce", "report"] {
        let plugin = policy(json!({
            "mode": mode,
            "tokens": { "sources": [
                { "header": "authorization", "scheme": "Bearer" }, { "header": "x-token" },
                { "cookie": "session" }, { "query": "access_token" },
            ] },
            "routes": [{ "path": "/few", "rate_limits": [
                { "name": "few", "max_requests": 1, "window_seconds": 600, "key": ["client_ip"] },
            ] }],
            "revocation": { "denied": { "sub": ["gone"] }, "endpoint": {} },
            "forward": { "token": "strip" },
        }));
        let envoy = Envoy::start(Setup::new(&plugin));
        let tokens = hostile_tokens();
        let secrets = pieces(&tokens);
        let officer = token(json!({ "sub": "officer", "permissions": ["tokens:revoke"] }));
        let mut replies = String::new();
        for protocol in BOTH {
            for token in &tokens {
                let body = json!({ "token": token }).to_string();
                let revoke = |body: String| {
                    Ask::post("/auth/revoke").token(&officer).body(Body::Sized(body.into_bytes()))
                };
                for ask in [
                    Ask::get("/x").token(token),
                    Ask::get("/few").token(token),
                    Ask::get("/x").header("x-token", token),
                    Ask::get("/x").header("cookie", format!("a=b; session={token}")),
                    Ask::get(format!("/x?access_token={token}")),
                    Ask::get(format!("/a//b?access_token={token}")),
                    Ask::get("/x").token(token).header("x-token", token),
                    Ask::get("/x").header("authorization", format!("Basic {token}")),
                    Ask::new("PATCH", "/x").token(token),
                    Ask::post("/x").token(token).header("content-type", "application/grpc"),
                    revoke(body.clone()),
                    revoke(body[..body.len() - 1].to_owned()),
                    revoke(body.replace("token", "tokens")),
                    revoke(json!({ "jti": [token], "expires_at": token }).to_string()),
                    revoke(token.clone()),
                ] {
                    if let Ok(reply) = ask.try_send(&envoy, protocol).1
                        && reply.body != crate::upstream::BODY
                    {
                        replies.push_str(&format!("{reply:?}\n"));
                    }
                }
            }
        }
        let last = Ask::get("/a//b").send(&envoy, BOTH[0]);
        envoy.access(&last.test);
        assert_free_of(&secrets, &replies);
        assert_free_of(&secrets, &envoy.written());
        assert_free_of(&secrets, &envoy.prometheus());
        envoy.assert_healthy();
    }
}

#[test]
fn a_configuration_that_is_refused_shows_no_secret_wherever_it_stands() {
    let plain = |key: Value| json!({ "tokens": { "keys": [key] } }).to_string();
    let short: String = SECRET.chars().take(31).collect();
    let envoy = Envoy::start(Setup { replaceable: true, ..Setup::new(&policy(json!({}))) });
    for plugin in [
        plain(json!({ "secret": { "value": short } })),
        plain(json!({ "secret": { "base64url": format!("{}=", base64url(SECRET)) } })),
        plain(json!({ "secret": { "base64url": base64url(&short) } })),
        plain(json!({ "secret": { "value": SECRET, "base64url": base64url(SECRET) } })),
        plain(json!({ "secret": SECRET })),
        plain(json!({ "secret": [SECRET] })),
        plain(json!({ "secret": { SECRET: 1 } })),
        plain(json!({ "secret": { "env": SECRET } })),
        plain(json!({ "kid": 7, "secret": { "value": SECRET }, "not_before": "yesterday" })),
        plain(json!({ "secret": { "value": SECRET } })).replace("]}}", "]}"),
        plain(json!({ "secret": { "value": SECRET } })).replace("}}]", "},}]"),
        json!({ "tokens": { "keys": [{ "secret": { "value": SECRET } }, { "secret": { "value": SECRET } }] }, "mode": "x" })
            .to_string(),
    ] {
        assert_eq!(envoy.push(&plugin), Pushed::Rejected, "{plugin}");
    }
    assert!(envoy.written().contains("/tokens/keys/0/secret"), "{}", envoy.written());
    assert_free_of(&pieces(&[]), &envoy.written());
    Ask::get("/x").token(&token(json!({ "iat": now() }))).send(&envoy, BOTH[0]).forwarded(&envoy);
    envoy.assert_healthy();
}
