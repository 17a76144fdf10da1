//! Every class of hostile request once, in one Envoy, while good clients go on beside it over both protocols.
//!
//! Each class has its own, closer tests elsewhere (`tokens`, `transport`, `forwarding`, `paths`, `bodies`, `form`,
//! `bytes`); here is what they do together: the right answer to each, 100 good requests of 100, no dead VM, no 5xx, and
//! memory that comes back to where it was. `make soak` sends the same for as long as it is told to.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::table::{fits, judge};
use crate::token::{HEADER, base64url, now, payload, sign, sign_with, token};

/// Rounds of every class before memory is looked at, and after.
const WARM_ROUNDS: usize = 2;
const ROUNDS: usize = 6;
/// How much memory may differ, KiB: Envoy's allocator keeps pages it has used.
const SLACK_KIB: u64 = 12 * 1024;

/// One class: where it stands, what is sent over which protocols, and the right answer.
pub(crate) struct Class {
    pub(crate) name: String,
    pub(crate) protocols: &'static [Protocol],
    pub(crate) ask: Ask,
    pub(crate) answer: &'static str,
}

/// A policy that reads everything that hostile requests are about.
pub(crate) fn guarded() -> Value {
    policy(json!({
        "tokens": { "sources": [
            { "header": "authorization", "scheme": "Bearer" }, { "header": "x-token" }, { "cookie": "session" },
        ] },
        "request": { "max_request_size_bytes": 1000, "allowed_methods": ["GET", "POST", "PUT", "DELETE"] },
        "routes": [
            { "path": "/public/{*rest}", "access": "public" },
            { "path": "/admin", "required_permissions": ["admin:all"] },
            { "path": "/users/{id}", "bind": { "id": "sub" } },
            { "path": "/hosted", "hosts": ["*.example.org"], "access": "public" },
            { "path": "/limited", "rate_limits": [
                { "name": "few", "max_requests": 1, "window_seconds": 86400, "key": ["claim:tenant"] },
            ] },
        ],
        "forward": { "claims": { "tenant": "x-auth-tenant" } },
        "revocation": { "endpoint": { "path": "/auth/revoke", "required_permissions": ["tokens:revoke"] } },
    }))
}

/// Tokens.
fn tokens() -> Vec<(String, Ask, &'static str)> {
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
    let rows: Vec<(&str, Ask, &'static str)> = vec![
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
    rows.into_iter().map(|(name, ask, answer)| (format!("4 {name}"), ask, answer)).collect()
}

/// The token with another last character of its MAC, which differs only in the two unused bits.
fn respelt(token: &str) -> String {
    const ALPHABET: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (rest, last) = token.split_at(token.len() - 1);
    let value = ALPHABET.find(last).unwrap();
    format!("{rest}{}", &ALPHABET[value + 1..value + 2])
}

/// How tokens travel; headers and identity.
fn headers() -> Vec<(String, Ask, &'static str)> {
    let good = token(json!({}));
    let bearer = format!("Bearer {good}");
    let get = || Ask::get("/x");
    let rows: Vec<(&str, Ask, &'static str)> = vec![
        ("5 two headers", get().token(&good).token("x"), "400 credentials_ambiguous"),
        (
            "5 two in one",
            get().header("authorization", format!("{bearer}, Bearer x")),
            "400 credentials_ambiguous",
        ),
        ("5 the same twice", get().token(&good).token(&good), "200"),
        ("5 the same twice in one", get().header("authorization", format!("{bearer}, {bearer}")), "200"),
        (
            "5 beside another scheme",
            get().header("authorization", format!("{bearer}, Basic x")),
            "400 credentials_ambiguous",
        ),
        (
            "5 two of another header",
            get().header("x-token", &good).header("x-token", "x"),
            "400 credentials_ambiguous",
        ),
        (
            "5 header and cookie",
            get().token(&good).header("cookie", "session=x"),
            "400 credentials_ambiguous",
        ),
        (
            "5 two cookies",
            get().header("cookie", format!("session={good}; session=x")),
            "400 credentials_ambiguous",
        ),
        ("5 small letters and spaces", get().header("authorization", format!("bearer   {good}")), "200"),
        ("5 a tab", get().header("authorization", format!("Bearer\t{good}")), "401"),
        ("5 another scheme", get().header("authorization", "Basic dTpw"), "401"),
        ("5 nothing after it", get().header("authorization", "Bearer"), "401"),
        ("5 spaces around", get().header("authorization", format!(" {bearer} ")), "200"),
        ("5 upper bytes", get().header("authorization", b"Bearer \x80\xff"), "401"),
        ("5 no token", get(), "401 token_missing"),
        (
            "6 identity claimed on a public path",
            Ask::get("/public/a").header("x_auth_subject", "admin"),
            "200",
        ),
        (
            "6 identity claimed twice",
            get().token(&good).header("x-auth-subject", "a").header("x-auth-subject", "b"),
            "200",
        ),
        ("6 another method", get().token(&good).header("x-http-method-override", "DELETE"), "200"),
        ("6 another path", get().header("x-envoy-original-path", "/public/a"), "401 token_missing"),
        ("6 a host with a comma", get().host("a,b").token(&good), "400|404|cut"),
        ("6 a host with a user", get().host("a@b").token(&good), "400|404|cut"),
        ("6 the bare domain of a wildcard", Ask::get("/hosted").host("example.org"), "401"),
        ("6 a longer domain", Ask::get("/hosted").host("x.badexample.org"), "401"),
        ("6 a host in capitals", Ask::get("/hosted").host("A.Example.ORG.:8080"), "200"),
    ];
    rows.into_iter().map(|(name, ask, answer)| (name.to_owned(), ask, answer)).collect()
}

/// Paths and methods.
fn paths() -> Vec<(String, Ask, &'static str)> {
    let ambiguous = [
        "/public/%2e%2e/admin",
        "/public/../admin",
        "/public/..;/admin",
        "/public//admin",
        "//public/a",
        "/public%5c..%5cadmin",
        "/public\\admin",
        "/public/a%2fb",
        "/admin;x=1",
        "/%61dmin",
        "/%2561dmin",
        "/public/a%zz",
        "/admin%00.json",
        "/public/%c0%ae%c0%ae/x",
        "/public/%0d%0a",
        "/public/a%3bb",
    ];
    let mut rows: Vec<_> = ambiguous
        .into_iter()
        .map(|path| (format!("7 {path}"), Ask::get(path), "400 path_ambiguous"))
        .collect();
    let good = token(json!({}));
    let more: Vec<(&str, Ask, &'static str)> = vec![
        ("7 a longer segment", Ask::get("/admins").token(&good), "200"),
        ("7 without the permission", Ask::get("/admin").token(&good), "403 permission_missing"),
        ("7 dots in the query", Ask::get("/public/a?x=/../..;//%00"), "200"),
        ("7 somebody else's", Ask::get("/users/user-8").token(&good), "403 binding_mismatch"),
        ("7 one's own, encoded", Ask::get("/users/user-7?x=%2e").token(&good), "200"),
        ("7 OPTIONS", Ask::new("OPTIONS", "/x").header("origin", "http://a"), "405 method_not_allowed"),
        ("7 PATCH", Ask::new("PATCH", "/x").token(&good), "405 method_not_allowed"),
        ("7 TRACE", Ask::new("TRACE", "/x").token(&good), "405 method_not_allowed|400|cut"),
    ];
    rows.extend(more.into_iter().map(|(name, ask, answer)| (name.to_owned(), ask, answer)));
    rows
}

/// Bodies and content types; replies that could repeat what was sent; limits.
fn bodies() -> Vec<(String, Ask, &'static str)> {
    let good = token(json!({}));
    let post = || Ask::post("/x").token(&good);
    let typed = |kind: &str| {
        Ask::new("POST", "/x").token(&good).header("content-type", kind).body(Body::Sized(b"{}".to_vec()))
    };
    let rows: Vec<(&str, Ask, &'static str)> = vec![
        (
            "8 a size of 64 bits",
            post().body(Body::Declared("18446744073709551615".to_owned())),
            "413 request_too_large|cut",
        ),
        (
            "8 a size past 32 bits",
            post().body(Body::Declared("4294967297".to_owned())),
            "413 request_too_large",
        ),
        ("8 a size that is none", post().body(Body::Declared("0x5".to_owned())), "400|cut"),
        (
            "8 too large without a size",
            post().body(Body::Streamed(vec![vec![b'x'; 600]; 2])),
            "413 request_too_large",
        ),
        ("8 within, without a size", post().body(Body::Streamed(vec![b"{".to_vec(), b"}".to_vec()])), "200"),
        ("8 a type in the parameters", typed("text/plain; application/json"), "415 unsupported_media_type"),
        ("8 a longer type", typed("application/jsonp"), "415 unsupported_media_type"),
        (
            "8 two types",
            typed("text/plain").header("content-type", "application/json"),
            "415 unsupported_media_type",
        ),
        (
            "8 no type",
            Ask::new("POST", "/x").token(&good).body(Body::Sized(b"{}".to_vec())),
            "415 unsupported_media_type",
        ),
        ("8 letter case and parameters", typed("Application/JSON; charset=utf-8"), "200"),
        (
            "8 a revocation that repeats a name",
            Ask::post("/auth/revoke")
                .token(&good)
                .body(Body::Sized(br#"{"token":"a","\u0074oken":"b"}"#.to_vec())),
            "400 request_malformed",
        ),
        (
            "8 a revocation of somebody else",
            Ask::post("/auth/revoke")
                .token(&good)
                .body(Body::Sized(br#"{"sub":"user-8","issued_before":1}"#.to_vec())),
            "403 permission_missing",
        ),
        (
            "8 a revocation without a token",
            Ask::post("/auth/revoke").body(Body::Sized(b"{".to_vec())),
            "401 token_missing",
        ),
        ("9 markup", Ask::get("/x").token("<script>.\"'.\\"), "401|400 credentials_ambiguous"),
        (
            "9 quotes in a kid",
            Ask::get("/x").token(&sign(r#"{"alg":"HS256","kid":"\"\r\n\u0000"}"#, "{}")),
            "401 token_key_unknown",
        ),
        (
            "10 another's quota with a forged token",
            Ask::get("/limited").token(&sign_with(&[b'x'; 32], HEADER, r#"{"tenant":"good"}"#)),
            "401 token_signature_invalid",
        ),
    ];
    rows.into_iter().map(|(name, ask, answer)| (name.to_owned(), ask, answer)).collect()
}

/// Requests that only one protocol can express.
fn of_one_protocol() -> Vec<Class> {
    let class = |name: &str, protocol: &'static [Protocol; 1], ask: Ask, answer| Class {
        name: name.to_owned(),
        protocols: protocol,
        ask,
        answer,
    };
    const HTTP1: &[Protocol; 1] = &[Protocol::Http1];
    const HTTP2: &[Protocol; 1] = &[Protocol::Http2];
    let good = token(json!({}));
    let mut pathless = Ask::new("CONNECT", "").host("a:443");
    pathless.path = None;
    vec![
        class(
            "5 a header that the connection takes",
            HTTP1,
            Ask::get("/x").token(&good).header("connection", "authorization"),
            "401 token_missing",
        ),
        class("7 a full address", HTTP1, Ask::get("http://api.example.com/public/../admin"), "400"),
        class("7 CONNECT", HTTP2, pathless, "400|404|405|cut"),
        class(
            "7 a method in small letters",
            HTTP2,
            Ask::new("get", "/x").token(&good),
            "405 method_not_allowed",
        ),
        class("7 raw bytes", HTTP2, Ask::get(b"/public/\xC3\xA9"), "400|cut"),
        class("6 no host", HTTP2, Ask::get("/x").host("").token(&good), "400|404|cut"),
        class(
            "12 a line end in a header",
            HTTP2,
            Ask::get("/x").token(&good).header("u", b"a\r\nb: c"),
            "400|cut",
        ),
    ]
}

/// All classes. Their tokens are valid for an hour.
pub(crate) fn classes() -> Vec<Class> {
    let both = [tokens(), headers(), paths(), bodies()].concat();
    let both = both.into_iter().map(|(name, ask, answer)| Class { name, protocols: &BOTH, ask, answer });
    both.chain(of_one_protocol()).collect()
}

/// What a well-behaved client sends; the answer is 200.
pub(crate) fn good() -> Vec<Ask> {
    let mine = token(json!({ "permissions": ["orders:read", "admin:all"], "tenant": "good" }));
    vec![
        Ask::get("/x").token(&mine),
        Ask::get("/admin").token(&mine),
        Ask::get("/users/user-7").token(&mine),
        Ask::get("/public/a%20b/"),
        Ask::post("/x").token(&mine).body(Body::Sized(br#"{"a":1}"#.to_vec())),
        Ask::get("/x").header("cookie", format!("a=1; session={mine}")),
    ]
}

/// Good requests over both protocols until `stopped`; how many there were, and each that had another answer than 200.
pub(crate) fn good_traffic(envoy: &Envoy, stopped: &AtomicBool, sent: &AtomicU64) -> Vec<String> {
    let mut wrong = Vec::new();
    let (mut made, mut asks) = (Instant::now(), good());
    while !stopped.load(Ordering::Relaxed) {
        // Their tokens are good for an hour.
        if made.elapsed() > Duration::from_secs(1200) {
            (made, asks) = (Instant::now(), good());
        }
        for (number, ask) in asks.iter().enumerate() {
            let protocol = BOTH[number % 2];
            let (_, outcome) = ask.try_send(envoy, protocol);
            sent.fetch_add(1, Ordering::Relaxed);
            if !outcome.as_ref().is_ok_and(|reply| reply.status == 200) {
                wrong.push(format!("{ask:?} over {protocol:?}: {outcome:?}"));
            }
        }
    }
    wrong
}

/// Sends every class once; how many requests that were, and each with another answer than the right one.
pub(crate) fn hostile_round(envoy: &Envoy, classes: &[Class]) -> (u64, Vec<String>) {
    let (mut sent, mut wrong) = (0, Vec::new());
    for class in classes {
        for protocol in class.protocols {
            let (_, outcome) = class.ask.try_send(envoy, *protocol);
            let verdict = outcome.as_ref().map_or_else(|cut| format!("{cut:?}"), |reply| reply.verdict());
            sent += 1;
            if !fits(&verdict, class.answer) {
                wrong.push(format!("{} over {protocol:?}: {verdict}, not {}", class.name, class.answer));
            }
        }
    }
    (sent, wrong)
}

#[test]
fn every_class_gets_its_answer_while_all_good_requests_pass() {
    let envoy = Envoy::start(Setup { concurrency: 2, delayed_close_seconds: 0.02, ..Setup::new(&guarded()) });
    let classes = classes();
    let (stopped, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let _stop = StopAtEnd(&stopped);
        let clients = [(); 2].map(|()| scope.spawn(|| good_traffic(&envoy, &stopped, &sent)));
        // Whole: a refusal has body and headers of the contract, and nothing of it was forwarded.
        for class in &classes {
            judge(&envoy, class.protocols, [(&class.name, class.ask.clone(), class.answer)]);
        }
        let mut total = 0;
        let mut round = || {
            let (sent, wrong) = hostile_round(&envoy, &classes);
            assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
            total += sent;
        };
        (0..WARM_ROUNDS).for_each(|_| round());
        let before = envoy.resident_kib();
        (0..ROUNDS).for_each(|_| round());
        let after = envoy.resident_kib();
        stopped.store(true, Ordering::Relaxed);
        for client in clients {
            let wrong = client.join().unwrap();
            assert!(wrong.is_empty(), "{} good requests failed:\n{}", wrong.len(), wrong.join("\n"));
        }
        let good = sent.load(Ordering::Relaxed);
        eprintln!(
            "{} classes, {total} hostile requests, {good} good ones, {before} KiB, then {after} KiB",
            classes.len()
        );
        assert!(good > total / 10, "{good} good requests beside {total}");
        assert!(after <= before + SLACK_KIB, "{before} KiB became {after}");
    });
    assert_eq!(envoy.stat("http.ingress.downstream_rq_5xx"), 0);
    envoy.assert_healthy();
}

/// Stops the clients even if a test fails, which could not end otherwise.
pub(crate) struct StopAtEnd<'a>(pub(crate) &'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
