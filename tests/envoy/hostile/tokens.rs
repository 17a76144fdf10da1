//! Tokens that are none, or not quite.

use serde_json::{Value, json};

use super::{Class, over};
use crate::ask::{Ask, BOTH};
use crate::token::{HEADER, base64url, now, payload, sign, sign_with, token};

pub(super) fn classes() -> Vec<Class> {
    let plain = payload(json!({})).to_string();
    let ask = |token: String| Ask::get("/x").token(&token);
    let under = |header: &str| ask(sign(header, &plain));
    let claiming = |claims: Value| ask(token(claims));
    let stating = |text: &str| {
        ask(sign(
            HEADER,
            text.replace("NOW", &now().to_string()).replace("LATER", &(now() + 3600).to_string()),
        ))
    };
    let good = token(json!({}));
    let (signed, mac) = good.rsplit_once('.').unwrap();
    let first = if mac.starts_with('A') { "B" } else { "A" };
    let nested = format!(r#"{{"sub":"a","iat":NOW,"exp":LATER,"x":{}}}"#, "[".repeat(2500));
    let rows = vec![
        ("no algorithm", ask(format!("{}.{}.", base64url(r#"{"alg":"none"}"#), base64url(&plain))), "401"),
        ("alg none, signed", under(r#"{"alg":"none"}"#), "401 token_algorithm_refused"),
        ("alg in small letters", under(r#"{"alg":"hs256"}"#), "401 token_algorithm_refused"),
        ("RS256 signed with the secret", under(r#"{"alg":"RS256"}"#), "401 token_algorithm_refused"),
        ("crit", under(r#"{"alg":"HS256","crit":[]}"#), "401"),
        ("b64", under(r#"{"alg":"HS256","b64":false}"#), "401"),
        ("another kind of JWT", under(r#"{"alg":"HS256","typ":"logout+jwt"}"#), "401"),
        ("kid as a path", under(r#"{"alg":"HS256","kid":"../../dev/null"}"#), "401 token_key_unknown"),
        ("kid as a query", under(r#"{"alg":"HS256","kid":"' OR 1=1 --"}"#), "401 token_key_unknown"),
        (
            "its own key",
            under(r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AA"},"jku":"http://evil"}"#),
            "401|200",
        ),
        ("five parts", ask("a.b.c.d.e".to_owned()), "401 token_malformed"),
        ("two parts", ask(signed.to_owned()), "401 token_malformed"),
        ("a header that is a list", under(r#"["HS256"]"#), "401 token_malformed"),
        ("spare bits", ask(respelt(&good)), "401"),
        ("padding", ask(format!("{good}=")), "401 token_malformed"),
        ("a space within", ask(format!("{signed} .{mac}")), "401|400 credentials_ambiguous"),
        ("one bit of the MAC", ask(format!("{signed}.{first}{}", &mac[1..])), "401 token_signature_invalid"),
        ("half a MAC", ask(format!("{signed}.{}", base64url([7; 16]))), "401 token_signature_invalid"),
        ("another secret", ask(sign_with(&[b'x'; 32], HEADER, &plain)), "401 token_signature_invalid"),
        ("exp twice", stating(r#"{"sub":"a","iat":NOW,"exp":1,"\u0065xp":LATER}"#), "401"),
        ("exp as text", claiming(json!({ "exp": "1800000000" })), "401 claim_invalid"),
        ("exp in milliseconds", claiming(json!({ "exp": now() * 1000 })), "401 claim_invalid"),
        ("exp now", claiming(json!({ "exp": now() })), "401 token_expired"),
        ("exp in a fraction, past", claiming(json!({ "exp": 1000.5 })), "401 token_expired"),
        ("no exp", claiming(json!({ "exp": null })), "401 claim_missing"),
        ("a line end in sub", claiming(json!({ "sub": "a\r\nx-evil: 1" })), "401 claim_invalid"),
        (
            "a number among permissions",
            claiming(json!({ "permissions": ["read:x", 1] })),
            "401 permissions_malformed",
        ),
        (
            "capitals in permissions",
            claiming(json!({ "permissions": ["ADMIN:all"] })),
            "401 permissions_malformed",
        ),
        ("too long", claiming(json!({ "x": "y".repeat(20_000) })), "401 token_malformed"),
        ("deep", stating(&nested), "401"),
    ];
    over(&BOTH, rows)
}

/// The token with another last character of its MAC, which differs only in the two unused bits.
fn respelt(token: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = token.split_at(token.len() - 1);
    let value = ALPHABET.find(last).unwrap();
    format!("{rest}{}", &ALPHABET[value + 1..value + 2])
}
