//! Which calls to Envoy does a request cost? The built module runs against a host that keeps a list.
//!
//! A host call that returns bytes, and a request-header edit, cost more than everything that the module computes; a
//! callback that the module exports costs even when unused. So the lists are held here, and one more is seen in review.
//! Behaviour is not tested here but in a real Envoy.
//!
//! The module is `API_GUARD_WASM`, else `dist/api_guard.wasm`; without one the tests say so and pass.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    missing_docs,
    unreachable_pub,
    reason = "test code: a fault in it should stop the test"
)]

use std::io::Write;
use std::path::PathBuf;

use fake_envoy::{Ending, Exchange, FakeEnvoy, Headers, headers};
use jwt_simple::prelude::{Claims, Duration, HS256Key, MACLike, UnixTimeStamp};

const NOW: u64 = 1_800_000_000;
const SECRET: &str = "a-secret-of-forty-bytes-for-these-tests!";

/// Token, permission on the route, one limit by address and subject, subject forwarded: what `make bench` measures.
const POLICY: &str = r#"{
    "tokens": {"keys": [{"secret": {"env": "API_GUARD_SECRET"}}]},
    "routes": [{"path": "/orders/{id}", "methods": ["GET"], "required_permissions": ["orders:read"]}],
    "rate_limits": [{"name": "default", "max_requests": 100, "window_seconds": 60, "key": ["client_ip", "subject"]}],
    "forward": {"subject_header": "x-auth-subject", "permissions_header": null},
    "replies": {"rate_limit_headers": "none"}
}"#;

fn module() -> Option<PathBuf> {
    let built = std::env::var_os("API_GUARD_WASM").map(PathBuf::from);
    let path = built.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("dist/api_guard.wasm"));
    let found = path.is_file();
    if !found {
        // Not by eprintln!, which the test harness hides where the test passes.
        let _ = writeln!(std::io::stderr(), "SKIPPED: no module at {}: make build", path.display());
    }
    found.then_some(path)
}

fn start(policy: &str) -> Option<FakeEnvoy> {
    Some(FakeEnvoy::start(&module()?, policy, &[&format!("API_GUARD_SECRET={SECRET}")], NOW))
}

fn token(jti: &str, permission: &str) -> String {
    let custom = serde_json::json!({ "permissions": [permission] });
    let mut claims =
        Claims::with_custom_claims(custom, Duration::from_hours(1)).with_subject("user-1").with_jwt_id(jti);
    claims.issued_at = Some(UnixTimeStamp::from_secs(NOW - 30));
    claims.invalid_before = None;
    claims.expires_at = Some(UnixTimeStamp::from_secs(NOW + 3600));
    HS256Key::from_bytes(SECRET.as_bytes()).authenticate(claims).unwrap()
}

/// A request as a browser behind Envoy sends it.
fn order(token: &str) -> Headers {
    headers(&[
        (":method", "GET"),
        (":path", "/orders/17?expand=lines"),
        (":authority", "api.example.com"),
        (":scheme", "https"),
        ("user-agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("accept", "application/json"),
        ("authorization", &format!("Bearer {token}")),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-request-id", "5b0c4c3e-8c1c-4a8e-9a39-1c8a4b7e2f11"),
    ])
}

/// Shows (with `--nocapture`) what was computed before each call: where the next saving is.
fn report(what: &str, exchange: &Exchange) {
    println!("{what}: fuel before each host call");
    let mut before = 0;
    let ends = exchange.calls.iter().map(String::as_str).chain(["the end"]);
    for (call, fuel) in ends.zip(&exchange.fuel) {
        println!("{:>9} {call}", fuel - before);
        before = *fuel;
    }
}

/// Request-header edits: the first of a request makes Envoy pick the route again.
fn edits(exchange: &Exchange) -> Vec<&String> {
    let edits = [
        "proxy_add_header_map",
        "proxy_replace_header_map",
        "proxy_remove_header_map",
        "proxy_set_header_map",
    ];
    exchange.calls.iter().filter(|call| edits.iter().any(|name| call.starts_with(name))).collect()
}

/// The same request until everything that is remembered is: what a client's third request costs.
fn settled(envoy: &mut FakeEnvoy, request: &Headers) -> Exchange {
    envoy.request(request.clone());
    envoy.request(request.clone());
    let exchange = envoy.request(request.clone());
    assert_eq!(exchange.reply, None, "refused; log: {:?}", envoy.log());
    exchange
}

#[test]
fn an_allowed_request_with_a_known_token_costs_these_host_calls() {
    let Some(mut envoy) = start(POLICY) else { return };
    let exchange = settled(&mut envoy, &order(&token("a", "orders:read")));
    let subject = exchange.request.iter().filter(|(name, _)| name == b"x-auth-subject").collect::<Vec<_>>();
    assert_eq!(subject, [&(b"x-auth-subject".to_vec(), b"user-1".to_vec())]);
    report("an allowed request, known token", &exchange);
    report("an allowed request, new token", &envoy.request(order(&token("b", "orders:read"))));
    let expected = [
        "proxy_get_current_time_nanoseconds",
        "proxy_get_header_map_pairs",
        "proxy_get_shared_data", // the revocations' stamp: no bytes
        "proxy_get_property source.address",
        "proxy_get_shared_data", // the limit's cell
        "proxy_set_shared_data",
        "proxy_add_header_map_value x-auth-subject",
    ];
    assert_eq!(exchange.calls, expected, "one call more, or less, is a decision: say why in the commit");
}

#[test]
fn a_new_token_costs_no_host_call_more_than_a_known_one() {
    let Some(mut envoy) = start(POLICY) else { return };
    let known = settled(&mut envoy, &order(&token("a", "orders:read")));
    let new = envoy.request(order(&token("b", "orders:read")));
    assert_eq!(new.reply, None);
    assert_eq!(new.calls, known.calls);
}

#[test]
fn a_request_without_a_genuine_token_never_touches_shared_data() {
    let Some(mut envoy) = start(POLICY) else { return };
    let mut forged = token("a", "orders:read");
    forged.truncate(forged.len() - 4);
    forged.push_str("AAAA");
    for bearer in [forged.as_str(), "", "not-a-token"] {
        let exchange = envoy.request(order(bearer));
        let reply = exchange.reply.as_ref().unwrap();
        assert_eq!(reply.status, 401, "{reply:?}");
        assert!(!exchange.calls.iter().any(|call| call.contains("shared_data")), "{:#?}", exchange.calls);
    }
}

#[test]
fn a_request_over_the_limit_is_refused_without_an_edit() {
    let Some(mut envoy) = start(POLICY) else { return };
    let request = order(&token("a", "orders:read"));
    for _ in 0..100 {
        assert_eq!(envoy.request(request.clone()).reply, None);
    }
    let exchange = envoy.request(request);
    assert_eq!(exchange.reply.as_ref().map(|reply| reply.status), Some(429), "{:?}", envoy.log());
    assert!(edits(&exchange).is_empty(), "{:#?}", exchange.calls);
}

/// A request with a body, for the same route.
fn post(token: &str) -> Headers {
    let mut post = order(token);
    post[0].1 = b"POST".to_vec();
    [post, headers(&[("content-type", "application/json"), ("content-length", "17")])].concat()
}

/// The policy, for GET and POST, that tells clients of limits as `told` says.
fn posting(told: &str) -> String {
    POLICY.replace(r#"["GET"]"#, r#"["GET", "POST"]"#).replace(r#""none""#, &format!("{told:?}"))
}

#[test]
fn requests_that_wait_cost_a_tick_nothing() {
    for told in ["none", "draft"] {
        let Some(mut envoy) = start(&posting(told)) else { return };
        let order = order(&token("a", "orders:read"));
        envoy.exchange(order.clone(), Ending::WithHeaders);
        envoy.tick();
        let idle = envoy.tick();
        // Whose body may still come is held; whose length is 0 has gone on.
        let whole = [order, headers(&[("content-length", "0")])].concat();
        for _ in 0..50 {
            assert_eq!(envoy.exchange(whole.clone(), Ending::Waiting).reply, None);
        }
        // Hands over what was counted.
        envoy.tick();
        let waiting = envoy.tick();
        assert_eq!((waiting.calls, waiting.fuel), (idle.calls, idle.fuel), "limits told: {told}");
    }
}

#[test]
fn held_requests_cost_a_tick_no_host_call_until_their_time_has_come() {
    let Some(mut envoy) = start(&posting("none")) else { return };
    let mut held = post(&token("a", "orders:read"));
    held.retain(|(name, _)| name != b"content-length");
    // The first shows that this host delivers bodies of held requests.
    assert_eq!(envoy.exchange(held.clone(), Ending::WithBody(10)).reply, None);
    envoy.tick();
    let idle = envoy.tick();
    for _ in 0..50 {
        assert_eq!(envoy.exchange(held.clone(), Ending::Waiting).reply, None);
    }
    // Hands over what was counted.
    envoy.tick();
    let waiting = envoy.tick();
    assert_eq!(waiting.calls, idle.calls);
    println!("50 held requests cost a tick {:?} of {:?}", waiting.fuel.last(), idle.fuel.last());
}

#[test]
fn a_request_that_ends_early_leaves_nothing() {
    let Some(mut envoy) =
        start(&posting("draft").replace(r#""max_requests": 100"#, r#""max_requests": 1000000"#))
    else {
        return;
    };
    let token = token("a", "orders:read");
    let mut cut = |times: u32| {
        for _ in 0..times {
            assert_eq!(envoy.exchange(post(&token), Ending::Cut).reply, None);
        }
        envoy.pages()
    };
    let pages = cut(300);
    assert_eq!(cut(1500), pages);
}

#[test]
fn the_module_exports_no_callback_that_it_does_not_need() {
    let Some(envoy) = start(POLICY) else { return };
    let needed = [
        "_initialize",
        "proxy_abi_version_0_2_1",
        "proxy_on_memory_allocate",
        "proxy_on_context_create",
        "proxy_on_vm_start",
        "proxy_on_configure",
        "proxy_on_tick",
        // The end of a fetch of a key set.
        "proxy_on_http_call_response",
        // Streams end when Envoy says so: finding them by the tick costs each of those that wait.
        "proxy_on_delete",
        "proxy_on_request_headers",
        "proxy_on_request_body",
        // A held body may end with trailers, which Envoy would else let through.
        "proxy_on_request_trailers",
        "proxy_on_response_headers",
    ];
    let more: Vec<String> =
        envoy.exports().into_iter().filter(|name| !needed.contains(&name.as_str())).collect();
    assert!(more.is_empty(), "each costs every request 0.3 to 0.5 us: {more:?}");
}

#[test]
fn no_headers_that_envoy_passes_on_trap_the_module() {
    let Some(mut envoy) = start(POLICY) else { return };
    let good = order(&token("a", "orders:read"));
    let byte_above_ascii = (b"user-agent".to_vec(), b"caf\xe9 \xff".to_vec());
    let mut connect = good.clone();
    connect.retain(|(name, _)| name != b":path");
    for request in [
        Vec::new(), // what the connection manager rejects itself
        connect,    // CONNECT has no path
        vec![(b":path".to_vec(), b"/\xff".to_vec()), (b":method".to_vec(), b"\xff".to_vec())],
        [good.clone(), vec![byte_above_ascii.clone()]].concat(),
        [good.clone(), vec![(b"authorization".to_vec(), b"\xff\0".to_vec())]].concat(),
        [good.clone(), vec![byte_above_ascii; 100]].concat(),
    ] {
        envoy.request(request);
    }
    assert_eq!(envoy.request(good).reply, None, "the module serves on");
}
