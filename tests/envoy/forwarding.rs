//! What the service behind Envoy is told: the verified identity, and nothing that a client invented.

use std::io::{Read, Write};
use std::sync::OnceLock;

use serde_json::json;

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::http1;
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::token::token;
use crate::upstream::Heard;

fn envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || {
        Setup::new(&policy(json!({
            "routes": [{ "path": "/public/{*rest}", "access": "public" }],
            "roles": { "claim": "roles", "grants": { "clerk": ["orders:read", "orders:write"] } },
            "forward": { "claims": { "tenant": "x-auth-tenant" } },
        })))
    })
}

/// All sources, with the token removed.
fn stripping() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || {
        Setup::new(&policy(json!({
            "tokens": { "sources": [
                { "header": "authorization", "scheme": "Bearer" },
                { "header": "x-token" },
                { "cookie": "session" },
                { "query": "access_token" },
            ] },
            "forward": { "token": "strip", "permissions_header": null },
        })))
    })
}

fn sorted(words: &str) -> Vec<&str> {
    let mut words: Vec<_> = words.split(' ').collect();
    words.sort_unstable();
    words
}

#[test]
fn the_service_hears_the_verified_subject_and_permissions() {
    for protocol in BOTH {
        let token = token(json!({ "permissions": ["orders:read", "users:list"] }));
        let heard = Ask::get("/x").token(&token).send(envoy(), protocol).forwarded(envoy());
        assert_eq!(heard.one("x-auth-subject"), "user-7");
        assert_eq!(sorted(&heard.one("x-auth-permissions")), ["orders:read", "users:list"]);
        assert_eq!(
            heard.one("authorization"),
            format!("Bearer {token}"),
            "the token is kept unless told otherwise"
        );
    }
}

#[test]
fn the_permissions_of_roles_are_forwarded_too() {
    let token = token(json!({ "roles": ["clerk"], "permissions": ["users:list"] }));
    let heard = Ask::get("/x").token(&token).send(envoy(), Protocol::Http1).forwarded(envoy());
    assert_eq!(sorted(&heard.one("x-auth-permissions")), ["orders:read", "orders:write", "users:list"]);
}

/// A request that carries every spelling of the headers that the module sets.
fn impostor(path: &str) -> Ask {
    let mut ask = Ask::get(path);
    for name in [
        "x-auth-subject",
        "X-Auth-Subject",
        "x_auth_subject",
        "x-auth_subject",
        "X_Auth-Subject",
        "x-auth-permissions",
        "x_auth_permissions",
        "x-auth-tenant",
        "x_auth_tenant",
        "x-auth_tenant",
        "x.auth.subject",
        "x.auth_permissions",
        "x~auth~tenant",
    ] {
        ask = ask.header(name, "admin").header(name, "root");
    }
    ask.header("x-auth-subject-of-another-kind", "mine")
        .header("x-auth", "mine")
        .header("xauthsubject", "mine")
}

#[test]
fn a_clients_own_identity_headers_are_replaced() {
    for protocol in BOTH {
        let ask = impostor("/x").token(&token(json!({ "permissions": ["orders:read"], "tenant": "blue" })));
        let heard = ask.send(envoy(), protocol).forwarded(envoy());
        let identity: Vec<_> = heard.headers.iter().filter(|(name, _)| folded(name)).collect();
        assert_eq!(identity.len(), 3, "{identity:?}");
        assert_eq!(heard.one("x-auth-subject"), "user-7");
        assert_eq!(heard.one("x-auth-permissions"), "orders:read");
        assert_eq!(heard.one("x-auth-tenant"), "blue");
        for other in ["x-auth-subject-of-another-kind", "x-auth", "xauthsubject"] {
            assert_eq!(heard.one(other), "mine");
        }
    }
}

#[test]
fn a_clients_own_identity_headers_are_removed_where_there_is_no_identity() {
    for protocol in BOTH {
        let heard = impostor("/public/x").send(envoy(), protocol).forwarded(envoy());
        assert!(!heard.headers.iter().any(|(name, _)| folded(name)), "{heard:?}");
        // A public route ignores tokens, good and bad: their owner is not forwarded either.
        let heard = impostor("/public/x").token(&token(json!({}))).send(envoy(), protocol).forwarded(envoy());
        assert!(!heard.headers.iter().any(|(name, _)| folded(name)), "{heard:?}");
    }
}

#[test]
fn a_claim_that_the_token_lacks_is_not_taken_from_the_client() {
    for protocol in BOTH {
        let heard = impostor("/x").token(&token(json!({}))).send(envoy(), protocol).forwarded(envoy());
        assert!(heard.all("x-auth-tenant").concat().is_empty(), "{heard:?}");
        assert!(heard.all("x_auth_tenant").is_empty() && heard.all("x-auth_tenant").is_empty(), "{heard:?}");
        assert!(heard.all("x-auth-permissions").concat().is_empty(), "{heard:?}");
    }
}

/// The name is one of the identity headers, as a CGI-like service would read it.
fn folded(name: &str) -> bool {
    ["x-auth-subject", "x-auth-permissions", "x-auth-tenant"]
        .contains(&name.replace(['_', '.', '~'], "-").as_str())
}

#[test]
fn a_claim_that_cannot_stand_in_a_header_never_reaches_one() {
    for protocol in BOTH {
        for tenant in ["a\r\nx-auth-subject: admin", "a\nb", "a\u{0}b", "a\u{7f}"] {
            let reply = Ask::get("/x").token(&token(json!({ "tenant": tenant }))).send(envoy(), protocol);
            if reply.status == 200 {
                let heard = reply.forwarded(envoy());
                assert!(heard.all("x-auth-tenant").concat().is_empty(), "{heard:?}");
                assert_eq!(heard.one("x-auth-subject"), "user-7");
            } else {
                reply.refused(envoy(), 401, "claim_invalid");
            }
        }
    }
}

/// Whether the text stands in what the service heard, its target included.
fn says(heard: &Heard, text: &str) -> bool {
    let values = heard.headers.iter().map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    values.chain([heard.target.clone()]).any(|value| value.contains(text))
}

#[test]
fn a_stripped_token_does_not_reach_the_service() {
    for protocol in BOTH {
        let token = token(json!({}));
        let cases = [
            Ask::get("/s").token(&token),
            Ask::get("/s").header("x-token", &token),
            Ask::get("/s").header("cookie", format!("session={token}")),
            Ask::get(format!("/s?access_token={token}")),
        ];
        for ask in cases {
            let heard = ask.send(stripping(), protocol).forwarded(stripping());
            assert!(!says(&heard, "eyJ"), "{heard:?}");
            assert_eq!(heard.target, "/s");
            assert_eq!(heard.one("x-auth-subject"), "user-7");
            assert!(heard.all("x-auth-permissions").is_empty(), "a header set to null is off");
        }
        let other = Ask::get("/s").token(&token).header("x_token", &token).header("x.token", &token);
        let heard = other.send(stripping(), protocol).forwarded(stripping());
        assert!(!says(&heard, "eyJ"), "{heard:?}");
    }
    stripping().assert_healthy();
}

#[test]
fn a_stripped_token_leaves_its_neighbours() {
    for protocol in BOTH {
        let token = token(json!({}));
        let cookies = Ask::get("/s").header("cookie", format!("a=1; session={token}; b=2"));
        assert_eq!(cookies.send(stripping(), protocol).forwarded(stripping()).one("cookie"), "a=1; b=2");
        for (sent, left) in [("a=1&{}&b=2", "/s?a=1&b=2"), ("{}&b=2", "/s?b=2"), ("a=1&{}", "/s?a=1")] {
            let query = sent.replace("{}", &format!("access_token={token}"));
            let heard = Ask::get(format!("/s?{query}")).send(stripping(), protocol).forwarded(stripping());
            assert_eq!(heard.target, left);
        }
    }
}

/// As `envoy`, where trailers are passed on and clients may ask for another protocol.
fn open() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || Setup {
        trailers: true,
        manager: json!({ "upgrade_configs": [{ "upgrade_type": "websocket" }] }),
        ..Setup::new(&policy(json!({
            "routes": [
                { "path": "/public/{*rest}", "access": "public" },
                { "path": "/tried/{*rest}", "mode": "report" },
            ],
        })))
    })
}

#[test]
fn trailers_cannot_tell_what_headers_cannot() {
    const FORGED: [&str; 7] = [
        "x-auth-subject",
        "x_auth_subject",
        "X.Auth.Permissions",
        "x-http-method-override",
        "x-original-url",
        "x_rewrite_url",
        "authorization",
    ];
    let trailers = || {
        let forged = FORGED.iter().flat_map(|name| [(*name, "admin"), (*name, "root")]);
        forged.chain([("x-checksum", "1"), ("x-auth-subjects", "mine")]).collect()
    };
    let body = || Body::Trailed(b"{}".to_vec(), trailers());
    let json = ("content-type", "application/json");
    for protocol in BOTH {
        for (path, content_type) in [
            ("/x", json),
            ("/x", ("content-type", "application/grpc")),
            ("/public/x", json),
            ("/tried/x", json),
        ] {
            let mut ask = Ask::new("POST", path).header(content_type.0, content_type.1).body(body());
            if path == "/x" {
                ask = ask.token(&token(json!({})));
            }
            let heard = ask.send(open(), protocol).forwarded(open());
            assert_eq!(heard.body, b"{}", "{protocol:?} {path}");
            let names: Vec<_> = heard.trailers.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["x-checksum", "x-auth-subjects"], "{protocol:?} {path}");
        }
    }
    open().assert_healthy();
}

#[test]
fn an_upgrade_cannot_have_the_identity_removed_on_its_way() {
    let upgrade = |path: &str, connection: &str| {
        let ask = Ask::get(path).header("upgrade", "websocket").header("connection", connection);
        let mut client = http1::Connection::open(open().address()).unwrap();
        let reply = ask.token(&token(json!({}))).send_on(&mut client);
        assert_eq!(reply.status, 101, "{reply:?}");
        let mut stream = client.into_stream();
        stream.write_all(b"hello").unwrap();
        let mut echo = [0; 5];
        stream.read_exact(&mut echo).unwrap();
        assert_eq!(&echo, b"hello");
        let heard = open().upstream.heard(&reply.test).pop().unwrap();
        assert_eq!(heard.one("upgrade"), "websocket");
        heard
    };
    for (sent, heard) in [
        ("Upgrade", "Upgrade"),
        ("keep-alive, Upgrade", "keep-alive, Upgrade"),
        ("Upgrade, x-auth-subject", "Upgrade"),
        ("Upgrade,X_Auth.Subject, x-other", "Upgrade, x-other"),
        ("Upgrade\r\nconnection: x-auth-subject", "Upgrade"),
    ] {
        let service = upgrade("/x", sent);
        assert_eq!(service.one("connection"), heard, "{sent:?}");
        assert_eq!(service.one("x-auth-subject"), "user-7");
        assert_eq!(upgrade("/public/x", sent).one("connection"), heard, "{sent:?}");
    }
    open().assert_healthy();
}

#[test]
fn headers_that_name_another_path_are_stripped_unless_they_are_to_be_kept() {
    let keep = Envoy::start(Setup::new(&policy(json!({ "request": { "rewrite_headers": "keep" } }))));
    let names = ["x-original-url", "x-rewrite-url", "x_original_url", "x.rewrite.url"];
    for protocol in BOTH {
        let mut ask = Ask::get("/x").token(&token(json!({})));
        for name in names {
            ask = ask.header(name, "/admin");
        }
        let stripped = ask.send(envoy(), protocol).forwarded(envoy());
        let kept = ask.send(&keep, protocol).forwarded(&keep);
        for name in names {
            assert!(stripped.all(name).is_empty(), "{stripped:?}");
            assert_eq!(kept.one(name), "/admin");
        }
    }
}

#[test]
fn an_internal_client_cannot_choose_its_address() {
    let ranges = [
        json!({ "cidr_ranges": [{ "address_prefix": "127.0.0.0", "prefix_len": 8 }] }),
        json!({ "unix_sockets": true }),
    ];
    for internal in ranges {
        let envoy = Envoy::start(Setup {
            manager: json!({ "internal_address_config": internal }),
            ..Setup::new(&policy(json!({
                "client_ip": { "from": "x-envoy-external-address" },
                "rate_limits": [{ "name": "ip", "max_requests": 2, "window_seconds": 600, "key": ["client_ip"] }],
                "unmatched_routes": "public",
            })))
        });
        for (number, expected) in [200, 200, 429, 429].into_iter().enumerate() {
            let ask = Ask::get("/x").header("x-envoy-external-address", format!("203.0.113.{number}"));
            let reply = ask.header("x-envoy-internal", "false").send(&envoy, Protocol::Http1);
            assert_eq!(reply.status, expected, "{internal} {number}");
        }
        let refused =
            eventually("no log line", || envoy.events().into_iter().find(|event| event["status"] == 429));
        assert_eq!(refused["client_ip"], "127.0.0.1");
        envoy.assert_healthy();
    }
}

#[test]
fn method_overrides_are_stripped_unless_they_are_to_be_kept() {
    let keep = Envoy::start(Setup::new(&policy(json!({ "request": { "method_override": "keep" } }))));
    let names = ["x-http-method-override", "x-http-method", "x-method-override"];
    for protocol in BOTH {
        let mut ask = Ask::get("/x").token(&token(json!({})));
        for name in names {
            ask = ask.header(name, "DELETE");
        }
        let stripped = ask.send(envoy(), protocol).forwarded(envoy());
        let kept = ask.send(&keep, protocol).forwarded(&keep);
        for name in names {
            assert!(stripped.all(name).is_empty(), "{stripped:?}");
            assert_eq!(kept.one(name), "DELETE");
        }
    }
}

#[test]
fn envoy_routes_by_the_caller_that_was_verified_and_not_by_the_one_that_a_client_names() {
    let of = |subject: &str| json!({ "prefix": "/", "headers": [{ "name": "x-auth-subject", "string_match": { "exact": subject } }] });
    let routes = json!([
        { "match": of("tenant"), "direct_response": { "status": 202 } },
        { "match": { "prefix": "/" }, "route": { "cluster": "upstream" } },
    ]);
    let envoy = Envoy::start(Setup {
        manager: json!({ "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": routes }] } }),
        ..Setup::new(&policy(json!({})))
    });
    for protocol in BOTH {
        let forged = Ask::get("/x").token(&token(json!({}))).header("x-auth-subject", "tenant");
        forged.send(&envoy, protocol).forwarded(&envoy);
        let genuine = Ask::get("/x").token(&token(json!({ "sub": "tenant" })));
        assert_eq!(genuine.send(&envoy, protocol).status, 202);
    }
}
