//! The form of a request: method, https, content type, preflight; and the order in which statuses win.

use std::sync::OnceLock;

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::table::judge;
use crate::token::token;

fn envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || {
        Setup::new(&policy(json!({
            "routes": [
                { "path": "/upload", "methods": ["POST"], "content_types": ["image/png", "image/jpeg"] },
                { "path": "/raw", "content_types": [] },
            ],
        })))
    })
}

fn post(content_type: &[u8]) -> Ask {
    let mut ask = Ask::post("/x").token(&token(json!({})));
    ask.headers[0].1 = content_type.to_vec();
    ask
}

fn without_type(method: &str, body: Body) -> Ask {
    Ask::new(method, "/x").token(&token(json!({}))).body(body)
}

#[test]
fn only_allowed_methods_pass() {
    let method = |method: &str| Ask::new(method, "/x").token(&token(json!({})));
    judge(
        envoy(),
        &BOTH,
        [
            ("GET", method("GET"), "200"),
            ("POST without a body", method("POST"), "200"),
            ("PUT without a body", method("PUT"), "200"),
            ("DELETE", method("DELETE"), "200"),
            ("OPTIONS", method("OPTIONS"), "405 method_not_allowed"),
            ("PATCH", method("PATCH"), "405 method_not_allowed"),
            ("TRACE", method("TRACE"), "405 method_not_allowed"),
        ],
    );
    judge(
        envoy(),
        &[Protocol::Http2],
        [
            ("small letters", method("get"), "405 method_not_allowed"),
            ("mixed letters", method("Get"), "405 method_not_allowed"),
            ("another word", method("FOO"), "405 method_not_allowed"),
            ("a longer word", method("GETS"), "405 method_not_allowed"),
            ("signs", method("!#$%&'*+-.^_`|~"), "405 method_not_allowed"),
        ],
    );
    let head = method("HEAD").send(envoy(), Protocol::Http1);
    assert_eq!((head.status, head.body.len()), (405, 0), "{head:?}");
    for method in ["get", "FOO", "G<script>", &"M".repeat(100)] {
        let (_, outcome) = Ask::new(method, "/x").try_send(envoy(), Protocol::Http2);
        let Ok(reply) = outcome else { continue };
        if reply.verdict() == "405 method_not_allowed" {
            assert_eq!(reply.list("allow"), ["DELETE", "GET", "POST", "PUT"]);
            assert!(!format!("{:?}", reply.headers).contains(method), "a client's bytes in a reply's header");
            assert!(!reply.text().contains(&"M".repeat(65)), "a client's text is cut at 64 characters");
        }
    }
}

#[test]
fn a_body_must_be_of_an_allowed_type() {
    judge(
        envoy(),
        &BOTH,
        [
            ("the type", post(b"application/json"), "200"),
            ("with a parameter", post(b"application/json; charset=utf-8"), "200"),
            ("in capitals", post(b"Application/JSON"), "200"),
            ("another", post(b"text/plain"), "415 unsupported_media_type"),
            ("in a parameter", post(b"text/plain; application/json"), "415 unsupported_media_type"),
            ("a longer type", post(b"application/jsonp"), "415 unsupported_media_type"),
            ("a longer type before", post(b"xapplication/json"), "415 unsupported_media_type"),
            ("a suffix", post(b"application/problem+json"), "415 unsupported_media_type"),
            ("a type alone", post(b"application"), "415 unsupported_media_type"),
            ("nothing", post(b""), "415 unsupported_media_type"),
            ("no type", without_type("POST", Body::Sized(b"{}".to_vec())), "415 unsupported_media_type"),
            (
                "no type, streamed",
                without_type("POST", Body::Streamed(vec![b"{}".to_vec()])),
                "415 unsupported_media_type",
            ),
            (
                "no type on a PUT",
                without_type("PUT", Body::Sized(b"{}".to_vec())),
                "415 unsupported_media_type",
            ),
            ("a length of none", without_type("POST", Body::Sized(Vec::new())), "200"),
            (
                "two types",
                post(b"application/json").header("content-type", "text/plain"),
                "415 unsupported_media_type",
            ),
            (
                "two types, the other way",
                post(b"text/plain").header("content-type", "application/json"),
                "415 unsupported_media_type",
            ),
            ("bytes", post(b"application/json\xFF"), "415 unsupported_media_type"),
            ("a DELETE's body has any type", without_type("DELETE", Body::Sized(b"x".to_vec())), "200"),
        ],
    );
}

#[test]
fn a_refused_type_hears_which_types_there_are() {
    for protocol in BOTH {
        let reply = post(b"text/plain").send(envoy(), protocol);
        let problem = reply.refused(envoy(), 415, "unsupported_media_type");
        assert_eq!(problem["detail"], "Content-Type must be application/json");
        assert_eq!(
            (reply.one("accept"), reply.one("accept-post")),
            ("application/json".to_owned(), "application/json".to_owned())
        );
        let mut put = post(b"text/plain");
        put.method = b"PUT".to_vec();
        let reply = put.send(envoy(), protocol);
        reply.refused(envoy(), 415, "unsupported_media_type");
        assert_eq!(reply.all("accept-post").len(), 0, "{reply:?}");
        let mut upload = post(b"application/json");
        upload.path = Some(b"/upload".to_vec());
        let reply = upload.send(envoy(), protocol);
        reply.refused(envoy(), 415, "unsupported_media_type");
        assert_eq!(reply.list("accept"), ["image/jpeg", "image/png"]);
        assert_eq!(reply.list("accept-post"), ["image/jpeg", "image/png"]);
    }
}

#[test]
fn a_route_has_its_own_types() {
    let to = |path: &str, content_type: &[u8]| {
        let mut ask = post(content_type);
        ask.path = Some(path.as_bytes().to_vec());
        ask
    };
    judge(
        envoy(),
        &BOTH,
        [
            ("one of the route's", to("/upload", b"image/png"), "200"),
            ("the other", to("/upload", b"image/jpeg"), "200"),
            ("the general one", to("/upload", b"application/json"), "415 unsupported_media_type"),
            ("any", to("/raw", b"text/plain"), "200"),
            (
                "none where any will do",
                Ask::new("POST", "/raw").token(&token(json!({}))).body(Body::Sized(b"x".to_vec())),
                "200",
            ),
        ],
    );
}

#[test]
fn all_faults_of_the_form_are_named_and_the_first_gives_the_status() {
    let envoy = Envoy::start(Setup::new(&policy(
        json!({ "request": { "https_only": true, "max_request_size_bytes": 1024 } }),
    )));
    let plain = Envoy::start(Setup::new(&policy(
        json!({ "request": { "max_request_size_bytes": 1024, "allowed_methods": ["GET", "PUT"] } }),
    )));
    let large = |method: &str, path: &str, content_type: &str| {
        Ask::new(method, path).header("content-type", content_type).body(Body::Declared("1025".to_owned()))
    };
    for protocol in BOTH {
        let errors = |envoy: &Envoy, ask: Ask, status: u16, code: &str| {
            let problem = ask.send(envoy, protocol).refused(envoy, status, code);
            problem["errors"]
                .as_array()
                .unwrap()
                .iter()
                .map(|error| error.as_str().unwrap().to_owned())
                .collect::<Vec<_>>()
        };
        let method = "Method PATCH not allowed";
        let content_type = "Content-Type must be application/json";
        let size = "Request size exceeds maximum: 1024 bytes";
        let all = errors(&envoy, large("PATCH", "/a//b", "text/plain"), 400, "path_ambiguous");
        assert_eq!(all.len(), 5, "{all:?}");
        assert_eq!(
            (all[2].as_str(), all[3].as_str(), all[4].as_str()),
            (method, content_type, size),
            "in the statuses' order"
        );
        let all = errors(&envoy, large("PATCH", "/a/b", "text/plain"), 403, "https_required");
        assert_eq!(all.len(), 4, "{all:?}");
        assert_eq!(
            errors(&plain, large("PATCH", "/a/b", "text/plain"), 405, "method_not_allowed"),
            [method, content_type, size]
        );
        assert_eq!(
            errors(&plain, large("PUT", "/a/b", "text/plain"), 415, "unsupported_media_type"),
            [content_type, size]
        );
        assert_eq!(
            errors(&plain, large("PUT", "/a/b", "application/json"), 413, "request_too_large"),
            [size]
        );
        assert_eq!(
            errors(&plain, Ask::get("/a/b"), 401, "token_missing"),
            ["Missing or invalid Authorization header"],
            "what is wrong beside the form is not looked for"
        );
        // A bad form is refused before the token is looked at.
        let two = Ask::new("PATCH", "/a").token("x.y.z");
        assert_eq!(errors(&plain, two, 405, "method_not_allowed"), [method]);
    }
}

#[test]
fn https_is_what_envoy_says_not_the_client() {
    let https_only =
        json!({ "request": { "https_only": true }, "routes": [{ "path": "/public", "access": "public" }] });
    let edge = Envoy::start(Setup::new(&policy(https_only.clone())));
    let claims = |proto: &str| Ask::get("/x").token(&token(json!({}))).header("x-forwarded-proto", proto);
    judge(
        &edge,
        &BOTH,
        [
            ("plain", Ask::get("/x").token(&token(json!({}))), "403 https_required"),
            ("plain and public", Ask::get("/public"), "403 https_required"),
            ("plain, and a lie", claims("https"), "403 https_required"),
        ],
    );
    let behind = Envoy::start(Setup { use_remote_address: false, ..Setup::new(&policy(https_only)) });
    judge(
        &behind,
        &BOTH,
        [
            ("the proxy in front had https", claims("https"), "200"),
            ("the proxy in front had http", claims("http"), "403 https_required"),
            ("nothing said", Ask::get("/x").token(&token(json!({}))), "403 https_required"),
        ],
    );
    judge(
        &behind,
        &[Protocol::Http1],
        [("two things said", claims("https").header("x-forwarded-proto", "http"), "403 https_required|400")],
    );
}

#[test]
fn a_true_preflight_passes_where_it_is_to_be_forwarded() {
    let forwarding = Envoy::start(Setup::new(&policy(json!({
        "request": { "cors_preflight": "forward" },
        "unmatched_routes": "authenticated",
        "routes": [{ "path": "/orders", "methods": ["PUT"] }],
    }))));
    let options = |path: &str| Ask::new("OPTIONS", path);
    let preflight = |path: &str| {
        options(path).header("origin", "https://app.example").header("access-control-request-method", "PUT")
    };
    judge(
        &forwarding,
        &BOTH,
        [
            ("a preflight", preflight("/x"), "200"),
            ("a preflight for a route", preflight("/orders"), "200"),
            (
                "no origin",
                options("/x").header("access-control-request-method", "PUT"),
                "405 method_not_allowed",
            ),
            ("no method", options("/x").header("origin", "https://app.example"), "405 method_not_allowed"),
            ("neither", options("/x"), "405 method_not_allowed"),
            ("neither, with a token", options("/x").token(&token(json!({}))), "405 method_not_allowed"),
            (
                "another method",
                Ask::get("/x")
                    .header("origin", "https://app.example")
                    .header("access-control-request-method", "PUT"),
                "401 token_missing",
            ),
            ("an ambiguous path", preflight("/a//b"), "400 path_ambiguous"),
        ],
    );
    judge(envoy(), &BOTH, [("a preflight, by default", preflight("/x"), "405 method_not_allowed")]);
    let heard = preflight("/x")
        .header("x-auth-subject", "admin")
        .send(&forwarding, Protocol::Http1)
        .forwarded(&forwarding);
    assert!(heard.all("x-auth-subject").is_empty(), "{heard:?}");
}

#[test]
fn replies_can_do_without_text() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "replies": { "detail": "code" },
        "routes": [{ "path": "/orders", "required_permissions": ["orders:read"] }],
    }))));
    let good = token(json!({}));
    for protocol in BOTH {
        for (ask, status, code, words) in [
            (Ask::get("/x"), 401, "token_missing", "Authorization"),
            (Ask::get("/x").token(&token(json!({ "exp": 1000 }))), 401, "token_expired", "expired\""),
            (Ask::get("/orders").token(&good), 403, "permission_missing", "permissions"),
            (Ask::new("PATCH", "/x"), 405, "method_not_allowed", "PATCH"),
        ] {
            let reply = ask.send(&envoy, protocol);
            let problem: Value = serde_json::from_slice(&reply.body).unwrap();
            assert_eq!(
                (reply.status, &problem["code"], &problem["status"]),
                (status, &json!(code), &json!(status))
            );
            assert!(problem["request_id"].as_str().is_some_and(|id| !id.is_empty()), "{problem}");
            assert!(
                !reply.text().contains(&format!(" {words}")) && !reply.text().contains("has expired"),
                "{problem}"
            );
            assert!(envoy.upstream.heard(&reply.test).is_empty());
        }
    }
}
