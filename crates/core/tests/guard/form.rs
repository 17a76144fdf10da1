//! Step 1: what is wrong with a request's form, and how its body is treated.

mod body;

use api_guard_core::denial::{Denial, FormFault};
use api_guard_core::index::RouteIndex;
use api_guard_core::verdict::{BodyPlan, Grant, Verdict};
use api_guard_testkit::lay_over;
use serde_json::{Value, json};

use super::{Guarded, START, request, said};

/// Requests are for public paths unless a route says otherwise.
fn guarded(rest: Value) -> Guarded {
    let mut guarded = json!({ "unmatched_routes": "public" });
    lay_over(&mut guarded, &rest);
    Guarded::new(json!({}), guarded)
}

/// The codes of all that is wrong with the form.
fn faults(verdict: &Verdict) -> Vec<&'static str> {
    match verdict.refusal() {
        Some(Denial::Form(faults)) => faults.iter().map(|fault| fault.code().as_str()).collect(),
        None => vec![],
        Some(other) => panic!("{other:?}"),
    }
}

fn allowed(verdict: &Verdict) -> Vec<String> {
    let Some(Denial::Form(faults)) = verdict.refusal() else { panic!("{:?}", verdict.refusal()) };
    match faults.iter().next() {
        Some(FormFault::MethodNotAllowed { allowed, .. }) => allowed.clone(),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_that_is_not_even_for_a_path_is_told_so_once() {
    let mut guarded = guarded(json!({ "request": { "https_only": true } }));
    let without_path = |method| [(":method", method), (":authority", "localhost")];
    // CONNECT has none (RFC 9110 section 9.3.6), and is not allowed.
    for (method, expected) in [
        ("GET", vec!["request_malformed", "https_required"]),
        ("CONNECT", vec!["https_required", "method_not_allowed"]),
    ] {
        assert_eq!(faults(&guarded.admit(&without_path(method), START)), expected, "{method}");
    }
    let pathless = [without_path("GET").as_slice(), &[("x-forwarded-proto", "HTTPS")]].concat();
    assert_eq!(faults(&guarded.admit(&pathless, START)), ["request_malformed"]);
}

#[test]
fn a_query_parameter_cannot_override_the_method() {
    let mut guarded = guarded(json!({ "request": { "allowed_methods": ["GET", "HEAD", "POST", "PUT"] } }));
    for (method, path, expected) in [
        ("POST", "/a?_method=DELETE", vec!["request_malformed"]),
        ("PUT", "/a?b=c&%5fmethod=DELETE", vec!["request_malformed"]),
        ("PATCH", "/a?_method", vec!["request_malformed", "method_not_allowed"]),
        ("POST", "/a/..?_method", vec!["path_ambiguous", "request_malformed"]),
        ("GET", "/a?_method=DELETE", vec![]),
        ("HEAD", "/a?_method=DELETE", vec![]),
        ("POST", "/a?method=DELETE", vec![]),
        ("POST", "/_method", vec![]),
        ("POST", "/a?", vec![]),
    ] {
        assert_eq!(faults(&guarded.admit(&request(method, path, &[]), START)), expected, "{method} {path}");
    }
    let mut keeping = self::guarded(json!({ "request": { "method_override": "keep" } }));
    assert_eq!(faults(&keeping.admit(&request("POST", "/a?_method=DELETE", &[]), START)), [""; 0]);
}

#[test]
fn only_what_envoy_takes_for_grpc_needs_no_place_in_content_types() {
    let mut guarded = guarded(json!({}));
    for (content_type, expected) in [
        ("application/grpc", vec![]),
        ("application/grpc+proto", vec![]),
        ("application/grpc;x=1", vec!["unsupported_media_type"]),
        ("Application/gRPC", vec!["unsupported_media_type"]),
        ("application/grpc-web", vec!["unsupported_media_type"]),
    ] {
        let headers = request("POST", "/a", &[("content-type", content_type), ("content-length", "1")]);
        assert_eq!(faults(&guarded.admit_with(&headers, true, START)), expected, "{content_type}");
    }
    let mut listed = self::guarded(json!({ "request": { "content_types": ["application/grpc"] } }));
    let headers = request("POST", "/a", &[("content-type", "application/grpc;x=1")]);
    let verdict = listed.admit_with(&headers, true, START);
    assert!(matches!(verdict.grant().map(Grant::body), Some(BodyPlan::Hold(_))), "{verdict:?}");
}

#[test]
fn a_405_says_what_the_path_allows_or_else_what_is_allowed_at_all() {
    let mut guarded = guarded(json!({
        "request": { "allowed_methods": ["PUT", "GET", "POST", "DELETE"] },
        "routes": [{ "path": "/a", "methods": ["POST", "GET"], "access": "public" }],
    }));
    for (method, path, expected) in [
        ("DELETE", "/a", vec!["GET", "POST"]),
        ("PATCH", "/a", vec!["GET", "POST"]),
        ("HEAD", "/a", vec!["GET", "POST"]),
        ("PATCH", "/b", vec!["DELETE", "GET", "POST", "PUT"]),
        ("", "/b", vec!["DELETE", "GET", "POST", "PUT"]),
    ] {
        assert_eq!(allowed(&guarded.admit(&request(method, path, &[]), START)), expected, "{method} {path}");
    }
    for (method, path) in [("GET", "/a"), ("POST", "/a"), ("DELETE", "/b")] {
        assert_eq!(said(&guarded.admit(&request(method, path, &[]), START)), "ok", "{method} {path}");
    }
}

#[test]
fn each_request_is_judged_by_its_own_host_whichever_came_before() {
    let mut guarded = guarded(json!({ "routes": [
        { "name": "one", "path": "/a", "hosts": ["one.example"], "access": "public" },
        { "name": "below", "path": "/a", "hosts": ["*.example.org"], "access": "public" },
    ] }));
    let long = format!("{}.example.org", ["a".repeat(60).as_str(); 4].join("."));
    let hosts = [
        ("one.example", Ok(Some("one"))),
        ("ONE.example.:80", Ok(Some("one"))),
        ("x.example.org", Ok(Some("below"))),
        (&long, Err("request_malformed")),
        ("two.example", Ok(None)),
        ("", Err("request_malformed")),
        ("a b", Err("request_malformed")),
    ];
    for before in &hosts {
        for (host, expected) in [before, before].into_iter().chain(&hosts) {
            let headers = [(":method", "GET"), (":path", "/a"), (":authority", *host)];
            let verdict = guarded.admit(&headers, START);
            let label = guarded.guard.policy().route_label(verdict.trail.form.route);
            let code = faults(&verdict).first().copied();
            assert_eq!(code.map_or(Ok(label), Err), *expected, "{host} after {}", before.0);
        }
    }
}

#[test]
fn a_wrong_method_is_only_reported_where_all_routes_of_the_path_only_report() {
    let route =
        |path: &str, method: &str, mode: &str| json!({ "path": path, "methods": [method], "mode": mode });
    let mut guarded = guarded(json!({ "routes": [
        route("/reporting", "GET", "report"), route("/reporting", "PUT", "report"),
        route("/divided", "GET", "report"), route("/divided", "PUT", "enforce"),
    ] }));
    for (method, path, expected) in [
        ("DELETE", "/reporting", "ok"),
        ("DELETE", "/divided", "method_not_allowed"),
        // What no path allows is for the configuration as a whole to refuse.
        ("PATCH", "/reporting", "method_not_allowed"),
    ] {
        let verdict = guarded.admit(&request(method, path, &[]), START);
        assert_eq!(said(&verdict), expected, "{method} {path}");
        assert_eq!(faults(&verdict), ["method_not_allowed"], "{method} {path}");
    }
    let mut reporting = self::guarded(json!({ "mode": "report" }));
    let verdict = reporting.admit(&request("PATCH", "/", &[]), START);
    assert_eq!((said(&verdict).as_str(), faults(&verdict)), ("ok", vec!["method_not_allowed"]));
}

#[test]
fn a_preflight_is_one_for_the_route_that_it_asks_for() {
    let routes = json!([
        { "path": "/a", "methods": ["GET"] },
        { "path": "/a", "methods": ["POST"] },
        { "path": "/closed", "methods": ["PUT"], "access": "deny" },
    ]);
    let preflight = |method| [("origin", "https://app.example"), ("access-control-request-method", method)];
    let mut forwarding = guarded(
        json!({ "request": { "cors_preflight": "forward" }, "routes": routes, "unmatched_routes": "authenticated" }),
    );
    for (path, asked, code, route) in [
        ("/a", "POST", "ok", Some(1)),
        ("/a", "GET", "ok", Some(0)),
        // It is the upstream that says no.
        ("/a", "DELETE", "ok", Some(0)),
        ("/elsewhere", "DELETE", "ok", None),
        ("/closed", "PUT", "token_missing", Some(2)),
    ] {
        let verdict = forwarding.admit(&request("OPTIONS", path, &preflight(asked)), START);
        assert_eq!(
            (said(&verdict).as_str(), verdict.trail.form.route.map(RouteIndex::get)),
            (code, route),
            "{path} {asked}"
        );
    }
    // What only looks like one is a request like any other.
    for (method, headers, code) in [
        ("OPTIONS", &preflight("GET")[..1], "method_not_allowed"),
        ("OPTIONS", &preflight("GET")[1..], "method_not_allowed"),
        ("GET", &preflight("GET")[..], "token_missing"),
    ] {
        assert_eq!(
            said(&forwarding.admit(&request(method, "/a", headers), START)),
            code,
            "{method} {headers:?}"
        );
    }
    let mut rejecting = guarded(json!({
        "request": { "allowed_methods": ["GET", "OPTIONS"] }, "unmatched_routes": "authenticated",
    }));
    let verdict = rejecting.admit(&request("OPTIONS", "/a", &preflight("GET")), START);
    assert_eq!(said(&verdict), "token_missing");
}

#[test]
fn a_preflight_for_a_method_without_a_route_is_refused_where_all_is_that_has_none() {
    let routes = json!([{ "path": "/a", "methods": ["GET"], "access": "public" }]);
    let shut =
        json!({ "request": { "cors_preflight": "forward" }, "routes": routes, "unmatched_routes": "deny" });
    let mut guarded = guarded(shut);
    for (asked, code) in [("GET", "ok"), ("PATCH", "token_missing")] {
        let asks = [("origin", "https://app.example"), ("access-control-request-method", asked)];
        assert_eq!(said(&guarded.admit(&request("OPTIONS", "/a", &asks), START)), code, "{asked}");
    }
}

#[test]
fn a_preflight_for_a_method_without_a_route_opens_nothing_that_a_route_shuts() {
    let limit = json!({ "name": "one", "max_requests": 1, "window_seconds": 60, "key": ["client_ip"] });
    let routes = json!([
        { "path": "/{*all}", "hosts": ["shut.example.com"], "access": "deny" },
        { "path": "/half", "methods": ["GET"], "access": "public" },
        { "path": "/half", "methods": ["POST"], "access": "deny" },
        { "path": "/inside", "methods": ["GET"], "access": "public" },
        { "path": "/inside", "methods": ["POST"], "allow_from": ["10.0.0.0/8"] },
        { "path": "/limited", "rate_limits": [limit] },
    ]);
    let mut guarded = guarded(json!({ "request": { "cors_preflight": "forward" }, "routes": routes }));
    let mut judge = |host, path, asked, address| {
        guarded.process.address = Some(address);
        let asks = [
            (":method", "OPTIONS"),
            (":path", path),
            (":authority", host),
            ("origin", "https://app.example"),
            ("access-control-request-method", asked),
        ];
        let verdict = guarded.admit(&asks, START);
        (said(&verdict), verdict.trail.form.route.map(RouteIndex::get))
    };
    for (host, path, address, code, route) in [
        ("shut.example.com", "/a", "10.0.0.1:1", "token_missing", 0),
        // One that refuses it goes first, and the order of the methods decides among the others.
        ("a", "/half", "10.0.0.1:1", "token_missing", 2),
        ("a", "/inside", "192.0.2.1:1", "address_refused", 4),
        ("a", "/inside", "10.0.0.1:1", "ok", 3),
        ("a", "/limited", "10.0.0.1:1", "ok", 5),
        ("a", "/limited", "10.0.0.1:1", "rate_limited", 5),
    ] {
        let asked = if code == "rate_limited" { "no such method" } else { "PATCH" };
        assert_eq!(
            judge(host, path, asked, address),
            (code.to_owned(), Some(route)),
            "{host} {path} {address}"
        );
    }
}
