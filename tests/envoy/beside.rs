//! What stands beside the guard in Envoy and decides with it what clients hear and whom it takes them for: filters before
//! it, and where the manager finds the client's address.

use serde_json::{Value, json};

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::token::token;

const ORIGIN: &str = "https://app.example.com";

fn filter(name: &str, kind: &str) -> Value {
    let kind = format!("type.googleapis.com/envoy.extensions.filters.http.{kind}");
    json!({ "name": name, "typed_config": { "@type": kind } })
}

/// Whoever comes from one address may ask twice.
fn twice() -> Value {
    policy(json!({
        "rate_limits": [{ "name": "two", "max_requests": 2, "window_seconds": 3600, "key": ["client_ip"] }],
    }))
}

#[test]
fn a_page_may_read_refusals_where_cors_comes_first() {
    let cors = "envoy.filters.http.cors";
    let allowed = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy",
        "allow_origin_string_match": [{ "exact": ORIGIN }],
        "allow_methods": "GET, POST",
        "allow_headers": "authorization, content-type",
    });
    let envoy = Envoy::start(Setup {
        before: vec![filter(cors, "cors.v3.Cors")],
        manager: json!({ "route_config": { "virtual_hosts": [{
            "name": "all",
            "domains": ["*"],
            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "upstream" } }],
            "typed_per_filter_config": { cors: allowed },
        }] } }),
        ..Setup::new(&twice())
    });
    let preflight = Ask::new("OPTIONS", "/x")
        .header("origin", ORIGIN)
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization");
    for protocol in BOTH {
        let reply = preflight.send(&envoy, protocol);
        assert_eq!(reply.status, 200, "{reply:?}");
        assert_eq!(reply.one("access-control-allow-origin"), ORIGIN);
        assert!(envoy.upstream.heard(&reply.test).is_empty(), "Envoy answers it itself");
    }
    let get = Ask::get("/x").header("origin", ORIGIN);
    let good = get.clone().token(&token(json!({})));
    for (ask, status) in [(&get, 401), (&good, 200), (&good, 429)] {
        let reply = ask.send(&envoy, Protocol::Http1);
        assert_eq!(reply.status, status, "preflights spend nothing: {reply:?}");
        assert_eq!(reply.one("access-control-allow-origin"), ORIGIN, "{reply:?}");
    }
    envoy.assert_healthy();
}

#[test]
fn grpc_web_is_judged_as_grpc_and_told_in_its_way_where_its_filter_comes_first() {
    let envoy = Envoy::start(Setup {
        before: vec![filter("envoy.filters.http.grpc_web", "grpc_web.v3.GrpcWeb")],
        ..Setup::new(&policy(json!({
            "request": { "max_request_size_bytes": 8 },
            "routes": [{ "path": "/shop.Orders/Delete", "required_permissions": ["orders:delete"] }],
        })))
    });
    let call = |path: &str, message: usize| {
        let prefix = u32::try_from(message).unwrap().to_be_bytes();
        let body = [&[0][..], &prefix, &vec![7; message]].concat();
        Ask::new("POST", path).header("content-type", "application/grpc-web+proto").body(Body::Sized(body))
    };
    let good = token(json!({}));
    for protocol in BOTH {
        // Envoy's filter makes the status of gRPC from that of HTTP, and has none for 413.
        for (ask, http, grpc, message) in [
            (call("/x", 8), 401, "16", "Missing or invalid Authorization header"),
            (
                call("/shop.Orders/Delete", 8).token(&good),
                403,
                "7",
                "Missing required permissions: orders:delete",
            ),
            (call("/x", 9).token(&good), 413, "2", "Request size exceeds maximum: 8 bytes"),
        ] {
            let reply = ask.send(&envoy, protocol);
            let heard = (reply.status, reply.one("grpc-status"), reply.one("grpc-message"));
            assert_eq!(heard, (http, grpc.to_owned(), message.to_owned()), "{protocol:?} {ask:?} {reply:?}");
        }
        let heard = call("/x", 8).token(&good).send(&envoy, protocol);
        let heard = envoy.upstream.heard(&heard.test).pop().unwrap();
        assert_eq!(heard.one("content-type"), "application/grpc");
    }
    envoy.assert_healthy();
}

/// How many of three requests from each of these are admitted.
fn admitted(envoy: &Envoy, header: &str, addresses: [&str; 2]) -> [usize; 2] {
    addresses.map(|address| {
        let ask = Ask::get("/x").header(header, address).token(&token(json!({})));
        (0..3).filter(|_| ask.send(envoy, Protocol::Http1).status == 200).count()
    })
}

#[test]
fn an_address_may_come_from_a_header_that_a_proxy_in_front_writes() {
    let detection = json!([{
        "name": "envoy.http.original_ip_detection.custom_header",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.http.original_ip_detection.custom_header.v3.CustomHeaderConfig",
            "header_name": "cf-connecting-ip",
        },
    }]);
    for from in ["source_address", "x-envoy-external-address"] {
        let mut plugin = twice();
        plugin["client_ip"] = json!({ "from": from });
        let envoy = Envoy::start(Setup {
            use_remote_address: false,
            manager: json!({ "original_ip_detection_extensions": detection }),
            ..Setup::new(&plugin)
        });
        let addresses = ["203.0.113.7", "2001:db8::7"];
        assert_eq!(admitted(&envoy, "cf-connecting-ip", addresses), [2, 2], "{from}");
        envoy.assert_healthy();
    }
}

/// Azure's Application Gateway writes ports there, unless it is told not to.
#[test]
fn clients_whose_proxy_writes_ports_into_x_forwarded_for_are_counted_as_the_proxy() {
    let envoy = Envoy::start(Setup { trusted_hops: 1, ..Setup::new(&twice()) });
    let with_ports = ["203.0.113.7:45671", "203.0.113.8:45672"];
    assert_eq!(admitted(&envoy, "x-forwarded-for", with_ports), [2, 0]);
    assert_eq!(admitted(&envoy, "x-forwarded-for", ["203.0.113.7", "203.0.113.8"]), [2, 2]);
    envoy.assert_healthy();
}

#[test]
fn https_ends_at_the_proxy_that_envoy_trusts() {
    let https_only = policy(json!({ "request": { "https_only": true } }));
    let ask = Ask::get("/x").token(&token(json!({}))).header("x-forwarded-for", "203.0.113.7");
    let said = |envoy: &Envoy, proto: &str| {
        ask.clone().header("x-forwarded-proto", proto).send(envoy, Protocol::Http1).verdict()
    };
    let edge = Envoy::start(Setup::new(&https_only));
    assert_eq!(said(&edge, "https"), "403 https_required", "whoever connects may write it");
    let behind = Envoy::start(Setup { trusted_hops: 1, ..Setup::new(&https_only) });
    assert_eq!(said(&behind, "https"), "200");
    assert_eq!(said(&behind, "http"), "403 https_required");
}
