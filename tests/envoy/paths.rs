//! A path that another component could read differently is refused, with Envoy's own path options off.

use std::sync::OnceLock;

use serde_json::json;

use crate::ask::{Ask, BOTH, Protocol};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::table::judge;
use crate::vectors;

/// Everything below `/public` is public, nothing else: a path that is read in two ways shows.
pub(crate) fn envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || {
        let policy = policy(json!({ "routes": [{ "path": "/public/{*rest}", "access": "public" }] }));
        Setup { delayed_close_seconds: 0.02, ..Setup::new(&policy) }
    })
}

/// Paths that a component behind Envoy may read differently.
const AMBIGUOUS: &[&str] = &[
    "/public/../admin",
    "/public/..",
    "/public/.",
    "/public/./x",
    "/public/%2e%2e/admin",
    "/public/%2E%2e/x",
    "/public/.%2e/x",
    "/public/%2e/x",
    "/public/..;/admin",
    "/public/..;x=1/admin",
    "/public/%2e%2e;/x",
    "/public/%2e%2e%3b/x",
    "/public//admin",
    "//public/x",
    "/public/x//",
    "/public/x%2fadmin",
    "/public%2Fadmin",
    "/public/..%2fadmin",
    "/public/x%5cadmin",
    "/public/..%5C..%5Cadmin",
    "/public/a\\b",
    "/public\\..\\admin",
    "/public/a;x=1",
    "/public;x/a",
    "/public/;",
    "/public/a%3bx",
    "/public/a%3Bx",
    "/public/%61dmin",
    "/public/%7Euser",
    "/public/a%2Db",
    "/public/%30",
    "/%70ublic/x",
    "/public/%252e%252e/admin",
    "/public/%25%32%65",
    "/public/%252fadmin",
    "/public/%2561dmin",
    "/public/%255c",
    "/public/a%253bx",
    "/public/%2500",
    "/public/a%zz",
    "/public/a%",
    "/public/a%4",
    "/public/%%41",
    "/public/%u0041",
    "/public/a%00.json",
    "/public/a%0d%0ab",
    "/public/a%0a",
    "/public/a%1f",
    "/public/a%7f",
    "/public/%09",
    "/public/%c0%ae%c0%ae/",
    "/public/%c0%af",
    "/public/%ff",
    "/public/%80",
    "/public/%ed%a0%80",
    "/public/%f5%80%80%80",
    "/public/%C3",
    "/public/..?x=1",
];

#[test]
fn a_path_with_two_meanings_is_refused() {
    judge(envoy(), &BOTH, AMBIGUOUS.iter().map(|path| (path, Ask::get(path), "400 path_ambiguous")));
}

#[test]
fn what_envoy_makes_of_a_path_is_judged_as_it_is_forwarded() {
    let policy = policy(json!({ "routes": [{ "path": "/public/{*rest}", "access": "public" }] }));
    let envoy = Envoy::start(Setup { normalize_paths: true, ..Setup::new(&policy) });
    for protocol in BOTH {
        for path in AMBIGUOUS {
            let (test, outcome) = Ask::get(path).try_send(&envoy, protocol);
            let status = outcome.map_or(400, |reply| reply.status);
            assert!([200, 400, 401].contains(&status), "{path}: {status}");
            for heard in envoy.upstream.heard(&test) {
                let plain = heard.target.split('?').next().unwrap();
                assert!(plain.starts_with("/public/") && vectors::ordinary(plain), "{path} became {heard:?}");
            }
        }
    }
    envoy.assert_healthy();
}

#[test]
fn an_ordinary_path_passes() {
    let paths = [
        "/public/a",
        "/public/a/b/c",
        "/public/a/",
        "/public/a%20b",
        "/public/%C3%A9",
        "/public/%e2%82%ac",
        "/public/a%40b",
        "/public/a@b",
        "/public/a:b",
        "/public/a+b,c=d!$&'()*",
        "/public/...",
        "/public/.well-known",
        "/public/a..b",
        "/public/..a",
        "/public/-._~",
        "/public/a?x=../..//;%00%zz%2e%2e\\",
        "/public/a?",
        "/public/a??",
    ];
    judge(envoy(), &BOTH, paths.map(|path| (path, Ask::get(path), "200")));
}

#[test]
fn a_route_allows_in_its_parameters_what_is_refused_elsewhere() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "unmatched_routes": "deny",
        "routes": [
            { "path": "/projects/{id}", "access": "public",
              "allow_in_path": ["encoded_slash", "semicolon", "encoded_unreserved"] },
            { "path": "/projects/{id}/issues", "access": "public" },
            { "path": "/plain/{id}", "access": "public" },
        ],
    }))));
    let get = |path: &'static str, expected: &'static str| (path, Ask::get(path), expected);
    judge(
        &envoy,
        &BOTH,
        [
            get("/projects/group%2Fproj", "200"),
            get("/projects/a;b=c", "200"),
            get("/projects/%7Euser", "200"),
            get("/projects/group%2Fissues", "400 path_ambiguous"),
            get("/projects/a;/issues", "400 path_ambiguous"),
            get("/projects/..%2Fplain", "400 path_ambiguous"),
            get("/projects/%2e%2e", "400 path_ambiguous"),
            get("/projects/a%5Cb", "400 path_ambiguous"),
            get("/plain/a%2Fb", "400 path_ambiguous"),
        ],
    );
}

#[test]
fn raw_bytes_in_a_path_are_refused_over_http2() {
    let paths: [&[u8]; 6] = [
        b"/public/\x80",
        b"/public/\xC3\xA9",
        b"/public/\xFF",
        b"/public/a\x7Fb",
        b"/public/a b",
        b"/public/\xC0\xAE\xC0\xAE/x",
    ];
    judge(
        envoy(),
        &[Protocol::Http2],
        paths.map(|path| (String::from_utf8_lossy(path).into_owned(), Ask::get(path), "400|cut")),
    );
    // Over HTTP/1 it is Envoy that answers, whatever it says.
    let raw = Ask::get(b"/public/\xC3\xA9").try_send(envoy(), Protocol::Http1);
    assert!(raw.1.is_ok_and(|reply| reply.status == 400));
}

#[test]
fn a_request_without_a_path_is_refused() {
    let mut nothing = Ask::get("/public/a");
    nothing.path = None;
    let mut connect = Ask::new("CONNECT", "/public/a").host("public:443");
    connect.path = None;
    judge(
        envoy(),
        &[Protocol::Http2],
        [
            ("no :path", nothing, "400|cut"),
            ("CONNECT", connect, "400|404|405|cut"),
            ("an empty :path", Ask::get(""), "400|cut"),
            ("no slash", Ask::get("public/a"), "400|404|cut"),
            ("a star", Ask::new("OPTIONS", "*"), "400|404|405|cut"),
            ("a full address", Ask::get("http://public/public/a"), "400|404|cut"),
        ],
    );
    judge(
        envoy(),
        &[Protocol::Http1],
        [
            ("CONNECT", Ask::new("CONNECT", "public:443"), "400|404|405|cut"),
            ("a star", Ask::new("OPTIONS", "*"), "400|404|405|cut"),
            ("a full address", Ask::get("http://public/public/a"), "200"),
            ("a full address without a path", Ask::get("http://public"), "401"),
            ("an ambiguous path in a full address", Ask::get("http://public/public/../a"), "400"),
        ],
    );
}
