//! What limits leave alone: health checks, addresses of one's own, and preflights as browsers send them.

use serde_json::json;

use crate::ask::{Ask, BOTH, Protocol};
use crate::http1;
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::token::token;

/// What Chrome sends before a POST with a token, byte for byte.
const PREFLIGHT: &str = "OPTIONS /orders HTTP/1.1\r\n\
    Host: api.example.com\r\n\
    Connection: keep-alive\r\n\
    Accept: */*\r\n\
    Access-Control-Request-Method: POST\r\n\
    Access-Control-Request-Headers: authorization,content-type\r\n\
    Origin: https://app.example.com\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36\r\n\
    Sec-Fetch-Mode: cors\r\n\
    Sec-Fetch-Site: same-site\r\n\
    Sec-Fetch-Dest: empty\r\n\
    Referer: https://app.example.com/\r\n\
    Accept-Encoding: gzip, deflate, br, zstd\r\n\
    Accept-Language: en-US,en;q=0.9\r\n\r\n";

/// The same over HTTP/2.
fn preflight() -> Ask {
    let (_, headers) = PREFLIGHT.split_once("api.example.com\r\nConnection: keep-alive\r\n").unwrap();
    let lines = headers.trim_end().lines().filter_map(|line| line.split_once(": "));
    lines.fold(Ask::new("OPTIONS", "/orders"), |ask, (name, value)| ask.header(&name.to_lowercase(), value))
}

#[test]
fn a_browser_s_preflights_take_nothing_from_its_requests() {
    let envoy = Envoy::start(Setup::new(&policy(json!({
        "request": { "cors_preflight": "forward" },
        "rate_limits": [{ "name": "two", "max_requests": 2, "window_seconds": 600, "key": ["client_ip"] }],
    }))));
    let mut connection = http1::Connection::open(envoy.address()).unwrap();
    let first = connection.exchange(PREFLIGHT.as_bytes(), false).unwrap();
    let second = preflight().send(&envoy, Protocol::Http2);
    for (reply, left) in [(&first, 1), (&second, 0)] {
        assert_eq!(reply.status, 200, "{reply:?}");
        assert!(reply.one("ratelimit").starts_with(&format!("\"two\";r={left};")), "{reply:?}");
    }
    assert_eq!(
        connection.exchange(PREFLIGHT.as_bytes(), false).unwrap().status,
        429,
        "they have the same number"
    );
    let get = Ask::get("/orders").token(&token(json!({})));
    let said = [200, 200, 429].map(|_| get.send(&envoy, Protocol::Http1).status);
    assert_eq!(said, [200, 200, 429]);
    envoy.assert_healthy();
}

#[test]
fn neither_health_checks_nor_excepted_addresses_are_counted_or_told_of_limits() {
    let setup = Setup::new(&policy(json!({
        "routes": [{ "path": "/health", "access": "public", "skip_limits": ["default"] }],
        "unmatched_routes": "public",
        "rate_limits": [
            { "name": "default", "max_requests": 2, "window_seconds": 600, "key": ["client_ip"], "except_addresses": ["10.0.0.0/8", "2001:db8::7"] },
        ],
    })));
    let envoy = Envoy::start(Setup { trusted_hops: 1, ..setup });
    let of = |path: &str, address: &str| Ask::get(path).header("x-forwarded-for", address);
    for protocol in BOTH {
        for (path, address) in
            [("/health", "203.0.113.1"), ("/", "10.1.2.3"), ("/", "2001:db8::7"), ("/health", "2001:db8::8")]
        {
            for _ in 0..4 {
                let reply = of(path, address).send(&envoy, protocol);
                assert_eq!(reply.status, 200, "{path} {address}: {reply:?}");
                assert_eq!(
                    reply.all("ratelimit").len() + reply.all("ratelimit-policy").len(),
                    0,
                    "{reply:?}"
                );
            }
        }
    }
    for address in ["203.0.113.1", "2001:db8::8"] {
        let said = [200, 200, 429].map(|_| of("/", address).send(&envoy, Protocol::Http1).status);
        assert_eq!(said, [200, 200, 429], "{address}");
    }
    assert_eq!(of("/health", "203.0.113.1").send(&envoy, Protocol::Http2).status, 200);
    envoy.assert_healthy();
}
