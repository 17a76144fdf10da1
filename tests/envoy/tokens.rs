//! Which tokens are genuine and in force?

use std::sync::OnceLock;

use ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Protocol};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::table::judge;
use crate::token::{HEADER, base64url, now, payload, sign, sign_with, token};

const HTTP1: [Protocol; 1] = [Protocol::Http1];

fn envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || Setup::new(&policy(json!({}))))
}

fn ask(token: &str) -> Ask {
    Ask::get("/x").token(token)
}

/// A request with an ordinary payload under this header.
fn under(header: impl AsRef<[u8]>) -> Ask {
    ask(&sign(header, payload(json!({})).to_string()))
}

/// A request with claims laid over the ordinary ones.
fn claiming(claims: Value) -> Ask {
    ask(&token(claims))
}

/// A request whose payload is exactly this text, `NOW` and `LATER` being moments.
fn stating(text: &str) -> Ask {
    ask(&sign(HEADER, text.replace("NOW", &now().to_string()).replace("LATER", &(now() + 3600).to_string())))
}

#[test]
fn a_good_token_is_good_over_both_protocols_and_again() {
    let good = token(json!({}));
    judge(envoy(), &BOTH, [("once", ask(&good), "200"), ("from the cache", ask(&good), "200")]);
}

#[test]
fn the_header_must_name_the_keys_algorithm_and_nothing_else() {
    let alg = |alg: Value| under(json!({ "alg": alg }).to_string());
    let unsigned =
        |header: &str| format!("{}.{}", base64url(header), base64url(payload(json!({})).to_string()));
    judge(
        envoy(),
        &HTTP1,
        [
            ("no typ", under(r#"{"alg":"HS256"}"#), "200"),
            ("typ in any letter case", under(r#"{"alg":"HS256","typ":"jwt"}"#), "200"),
            ("an access token", under(r#"{"alg":"HS256","typ":"AT+jwt"}"#), "200"),
            (
                "white space and a foreign name",
                under("{ \"alg\" : \"HS256\",\r\n \"cty\":\"x\" }"),
                "200|401",
            ),
            ("alg none, signed", alg(json!("none")), "401 token_algorithm_refused"),
            (
                "alg none, unsigned",
                ask(&(unsigned(r#"{"alg":"none"}"#) + ".")),
                "401 token_algorithm_refused|401 token_malformed",
            ),
            ("alg None", alg(json!("nOnE")), "401 token_algorithm_refused"),
            ("alg in small letters", alg(json!("hs256")), "401 token_algorithm_refused"),
            ("a public-key algorithm", alg(json!("RS256")), "401 token_algorithm_refused"),
            ("a longer MAC", alg(json!("HS512")), "401 token_algorithm_refused"),
            ("an algorithm that is no text", alg(json!(256)), "401"),
            ("no algorithm", under(r#"{"typ":"JWT"}"#), "401"),
            ("two algorithms", under(r#"{"alg":"none","alg":"HS256"}"#), "401"),
            ("critical extensions", under(r#"{"alg":"HS256","crit":["exp"],"exp":1}"#), "401"),
            ("no critical extensions", under(r#"{"alg":"HS256","crit":[]}"#), "401"),
            ("null critical extensions", under(r#"{"alg":"HS256","crit":null}"#), "401"),
            ("an unencoded payload", under(r#"{"alg":"HS256","b64":false}"#), "401"),
            ("another kind of JWT", under(r#"{"alg":"HS256","typ":"logout+jwt"}"#), "401"),
            ("an encryption", under(r#"{"alg":"HS256","enc":"A128GCM"}"#), "401|200"),
            ("a key brought along", under(r#"{"alg":"HS256","jwk":{"kty":"oct","k":"AAAA"}}"#), "401|200"),
            ("a key's address", under(r#"{"alg":"HS256","jku":"http://127.0.0.1:1/"}"#), "401|200"),
            ("an unknown kid", under(r#"{"alg":"HS256","kid":"2026-11"}"#), "401 token_key_unknown"),
            (
                "a kid that is a path",
                under(r#"{"alg":"HS256","kid":"../../dev/null"}"#),
                "401 token_key_unknown",
            ),
            ("a kid that is no text", under(r#"{"alg":"HS256","kid":7}"#), "401"),
            ("a list", under(r#"["HS256"]"#), "401 token_malformed"),
            ("a text", under(r#""HS256""#), "401 token_malformed"),
            ("no JSON", under("alg=HS256"), "401 token_malformed"),
            ("not UTF-8", under(b"{\"alg\":\"HS256\",\"x\":\"\xFF\"}"), "401"),
            ("a tail", under(r#"{"alg":"HS256"}{}"#), "401 token_malformed"),
        ],
    );
}

#[test]
fn only_the_compact_form_is_read() {
    let good = token(json!({}));
    let parts: Vec<&str> = good.split('.').collect();
    let [header, payload, mac] = parts[..] else { panic!("{good}") };
    // The MAC's last character carries two spare bits, which are zero: any other value is another spelling of it.
    let last = mac.as_bytes()[mac.len() - 1];
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let index = alphabet.iter().position(|byte| *byte == last).unwrap();
    let respelt = format!("{}{}", &good[..good.len() - 1], alphabet[index + 1] as char);
    let mut flipped = good.clone().into_bytes();
    let middle = good.len() - 20;
    flipped[middle] = if flipped[middle] == b'A' { b'B' } else { b'A' };
    let flipped = String::from_utf8(flipped).unwrap();
    let whole = Base64UrlSafeNoPadding::decode_to_vec(mac, None).unwrap();
    let cut_mac = format!("{header}.{payload}.{}", base64url(&whole[..16]));
    let another = sign_with(b"another secret of thirty-two bytes", HEADER, "{}");
    let another_mac = another.rsplit('.').next().unwrap();
    judge(
        envoy(),
        &HTTP1,
        [
            ("two parts", ask(&format!("{header}.{payload}")), "401 token_malformed"),
            ("one part", ask(header), "401 token_malformed"),
            ("four parts", ask(&format!("{good}.x")), "401 token_malformed"),
            ("five parts", ask(&format!("{header}.x.{payload}.y.{mac}")), "401 token_malformed"),
            ("no header", ask(&format!(".{payload}.{mac}")), "401 token_malformed"),
            ("no payload", ask(&format!("{header}..{mac}")), "401 token_malformed"),
            ("no signature", ask(&format!("{header}.{payload}.")), "401"),
            ("padding", ask(&format!("{good}=")), "401 token_malformed"),
            ("a plus", ask(&format!("{header}+.{payload}.{mac}")), "401 token_malformed"),
            ("a percent sign", ask(&format!("{header}.{payload}.{}%41", &mac[..40])), "401 token_malformed"),
            ("a zero-width space", ask(&format!("{header}.{payload}\u{200b}.{mac}")), "401 token_malformed"),
            ("a quotation", ask(&format!("\"{good}\"")), "401 token_malformed"),
            ("spare bits", ask(&respelt), "401"),
            ("one character changed", ask(&flipped), "401 token_signature_invalid"),
            ("a MAC cut to half", ask(&cut_mac), "401 token_signature_invalid"),
            (
                "the MAC of another token",
                ask(&format!("{header}.{payload}.{another_mac}")),
                "401 token_signature_invalid",
            ),
            (
                "another secret",
                ask(&sign_with(b"another secret of thirty-two bytes", HEADER, "{}")),
                "401 token_signature_invalid",
            ),
            ("an empty secret", ask(&sign_with(b"", HEADER, "{}")), "401 token_signature_invalid"),
        ],
    );
    let json_form = json!({ "protected": header, "payload": payload, "signature": mac }).to_string();
    judge(envoy(), &HTTP1, [("JSON", ask(&json_form), "401|400 credentials_ambiguous")]);
}

#[test]
fn nothing_in_the_claims_matters_before_the_signature_holds() {
    let forged = |claims: Value| {
        ask(&sign_with(b"another secret of thirty-two bytes", HEADER, payload(claims).to_string()))
    };
    judge(
        envoy(),
        &HTTP1,
        [
            ("expired", forged(json!({ "exp": 1 })), "401 token_signature_invalid"),
            ("without claims", forged(json!({ "exp": null, "sub": null })), "401 token_signature_invalid"),
            ("broken permissions", forged(json!({ "permissions": 1 })), "401 token_signature_invalid"),
        ],
    );
}

#[test]
fn times_are_kept_to_the_second_and_below() {
    let now = now();
    judge(
        envoy(),
        &HTTP1,
        [
            ("a fraction ahead", claiming(json!({ "exp": now as f64 + 600.5 })), "200"),
            ("expired long ago", claiming(json!({ "exp": 1000 })), "401 token_expired"),
            ("expired long ago, in a fraction", claiming(json!({ "exp": 1000.0 })), "401 token_expired"),
            ("expires now", claiming(json!({ "exp": now })), "401 token_expired"),
            ("expired a moment ago", claiming(json!({ "exp": now as f64 - 0.5 })), "401 token_expired"),
            ("not yet valid", claiming(json!({ "nbf": now + 50 })), "401 token_not_yet_valid"),
            ("valid since", claiming(json!({ "nbf": now - 1 })), "200"),
            ("issued a little ahead", claiming(json!({ "iat": now + 30 })), "200"),
            ("issued far ahead", claiming(json!({ "iat": now + 300 })), "401 token_issued_in_future"),
            ("issued long ago", claiming(json!({ "iat": now - 25 * 3600 })), "200"),
        ],
    );
    for name in ["exp", "nbf", "iat"] {
        for value in [
            json!((now + 60).to_string()),
            json!([now]),
            json!(true),
            json!(-1),
            json!(-1.5),
            json!((now + 60) * 1000),
            json!(1e300),
            json!({}),
        ] {
            judge(
                envoy(),
                &HTTP1,
                [(format!("{name} {value}"), claiming(json!({ name: value })), "401 claim_invalid")],
            );
        }
        let null = payload(json!({ name: "X" })).to_string().replace("\"X\"", "null");
        judge(envoy(), &HTTP1, [(format!("{name} null"), ask(&sign(HEADER, null)), "401 claim_invalid")]);
    }
}

#[test]
fn claims_that_are_required_are_required() {
    for (claims, missing) in [
        (json!({ "exp": null }), "exp"),
        (json!({ "iat": null }), "iat"),
        (json!({ "sub": null }), "sub"),
        (json!({ "sub": null, "exp": null }), "sub, exp"),
    ] {
        let problem = claiming(claims).send(envoy(), Protocol::Http1).refused(envoy(), 401, "claim_missing");
        assert_eq!(problem["detail"], json!(format!("Token missing required claims: {missing}")));
    }
}

#[test]
fn a_subject_is_a_short_text_without_control_characters_or_an_integer() {
    let sub = |sub: Value| claiming(json!({ "sub": sub }));
    judge(
        envoy(),
        &HTTP1,
        [
            ("256 bytes", sub(json!("a".repeat(256))), "200"),
            ("257 bytes", sub(json!("a".repeat(257))), "401 claim_invalid"),
            ("256 characters of two bytes", sub(json!("é".repeat(256))), "401 claim_invalid"),
            ("empty", sub(json!("")), "401 claim_invalid"),
            ("a space at its end", sub(json!("a ")), "401 claim_invalid"),
            ("an integer", sub(json!(7)), "200"),
            ("a negative integer", sub(json!(-7)), "401 claim_invalid"),
            ("a fraction", sub(json!(7.0)), "401 claim_invalid"),
            ("a list", sub(json!(["user-7"])), "401 claim_invalid"),
            ("a line end", sub(json!("a\r\nx-evil: 1")), "401 claim_invalid"),
            ("a NUL", sub(json!("a\u{0}")), "401 claim_invalid"),
            ("a DEL", sub(json!("a\u{7f}")), "401 claim_invalid"),
            ("letters beyond ASCII", sub(json!("Zoë")), "200"),
        ],
    );
}

#[test]
fn one_bad_permission_refuses_the_token() {
    let permissions = |permissions: Value| claiming(json!({ "permissions": permissions }));
    judge(
        envoy(),
        &HTTP1,
        [
            ("a number among them", permissions(json!(["read:x", 1])), "401 permissions_malformed"),
            ("a number", permissions(json!(1)), "401 permissions_malformed"),
            ("an object", permissions(json!({ "orders:read": true })), "401 permissions_malformed"),
            ("capitals", permissions(json!(["orders:READ"])), "401 permissions_malformed"),
            ("no colon", permissions(json!(["orders"])), "401 permissions_malformed"),
            ("a star", permissions(json!(["orders:*"])), "401 permissions_malformed"),
            (
                "two words in one",
                permissions(json!(["orders:read orders:write"])),
                "401 permissions_malformed",
            ),
            ("an empty one", permissions(json!([""])), "401 permissions_malformed"),
            ("a line end", permissions(json!(["orders:read\n"])), "401 permissions_malformed"),
        ],
    );
    let null = payload(json!({ "permissions": "X" })).to_string().replace("\"X\"", "null");
    judge(envoy(), &HTTP1, [("null", ask(&sign(HEADER, null)), "200")]);
    let reply = permissions(json!(["read:x", "READ:x"])).send(envoy(), Protocol::Http1);
    let problem = reply.refused(envoy(), 401, "permissions_malformed");
    assert_eq!(problem["detail"], "Invalid permission format: READ:x");
}

#[test]
fn a_name_stands_once_in_the_claims() {
    judge(
        envoy(),
        &HTTP1,
        [
            ("control", stating(r#"{"sub":"a","iat":NOW,"exp":LATER}"#), "200"),
            ("exp twice", stating(r#"{"sub":"a","iat":NOW,"exp":1,"exp":LATER}"#), "401"),
            ("exp twice, once escaped", stating(r#"{"sub":"a","iat":NOW,"exp":1,"\u0065xp":LATER}"#), "401"),
            ("sub twice", stating(r#"{"sub":"a","sub":"b","iat":NOW,"exp":LATER}"#), "401"),
            (
                "permissions twice",
                stating(r#"{"sub":"a","permissions":[],"permissions":["a:b"],"iat":NOW,"exp":LATER}"#),
                "401",
            ),
            ("a list of claims", stating(r#"["a",NOW,LATER]"#), "401"),
            ("a tail", stating(r#"{"sub":"a","iat":NOW,"exp":LATER}x"#), "401"),
            ("nothing", stating(""), "401"),
            ("half", stating(r#"{"sub":"a","iat":NOW,"exp":LATER"#), "401"),
        ],
    );
    let mut invalid = payload(json!({ "x": "?" })).to_string().into_bytes();
    let mark = invalid.iter().position(|byte| *byte == b'?').unwrap();
    invalid[mark] = 0xFF;
    judge(envoy(), &HTTP1, [("not UTF-8", ask(&sign(HEADER, invalid)), "401")]);
}

#[test]
fn a_tokens_size_and_depth_are_bounded() {
    judge(
        envoy(),
        &HTTP1,
        [
            ("below the limit", claiming(json!({ "x": "y".repeat(5000) })), "200"),
            ("over the limit", claiming(json!({ "x": "y".repeat(6500) })), "401 token_malformed"),
            ("far over the limit", claiming(json!({ "x": "y".repeat(40_000) })), "401 token_malformed"),
        ],
    );
    let roomy = Envoy::start(Setup::new(&policy(json!({ "tokens": { "max_token_bytes": 60_000 } }))));
    let nested = |depth: usize| {
        let nest = format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        stating(&format!(r#"{{"sub":"a","iat":NOW,"exp":LATER,"x":{nest}}}"#))
    };
    let within = |claim: &str, open: &str, close: &str| {
        let (opened, closed) = (open.repeat(125), close.repeat(125));
        // A great many entries at the bottom: they must not be read once for each list around them.
        let nest = format!("{opened}[{}0]{closed}", "0,".repeat(15_000));
        stating(&format!(r#"{{"sub":"a","iat":NOW,"exp":LATER,"{claim}":{nest}}}"#))
    };
    judge(
        &roomy,
        &HTTP1,
        [
            ("a long token", claiming(json!({ "x": "y".repeat(40_000) })), "200"),
            ("a little nested", nested(20), "200"),
            ("deeply nested", nested(10_000), "401"),
            ("as deeply as is read", nested(126), "200"),
            ("one more", nested(127), "401 token_malformed"),
            ("as deeply, in claims that are looked into", within("aud", "[", "]"), "401 claim_invalid"),
            ("in permissions", within("permissions", r#"{"a":"#, "}"), "401 permissions_malformed"),
            ("half of it", stating(&format!(r#"{{"x":{}"#, "[".repeat(20_000))), "401"),
        ],
    );
}

#[test]
fn the_texts_of_refused_tokens_are_the_promised_ones() {
    let detail = |ask: Ask, code: &str| {
        ask.send(envoy(), Protocol::Http1).refused(envoy(), 401, code)["detail"].clone()
    };
    assert_eq!(detail(Ask::get("/x"), "token_missing"), "Missing or invalid Authorization header");
    assert_eq!(detail(claiming(json!({ "exp": 1000 })), "token_expired"), "Token has expired");
    for (ask, code) in [
        (ask("a.b.c"), "token_malformed"),
        (under(r#"{"alg":"HS512"}"#), "token_algorithm_refused"),
        (under(r#"{"alg":"HS256","kid":"<script>"}"#), "token_key_unknown"),
        (ask(&sign_with(b"another secret of thirty-two bytes", HEADER, "{}")), "token_signature_invalid"),
    ] {
        let detail = detail(ask, code);
        let text = detail.as_str().unwrap();
        assert!(text.starts_with("Invalid token: ") && !text.contains("script"), "{text}");
    }
}
