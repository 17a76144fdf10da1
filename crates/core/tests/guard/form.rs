//! Step 1: what is wrong with a request's form, and how its body is treated.

use api_guard_core::denial::{Denial, FormFault};
use api_guard_core::index::RouteIndex;
use api_guard_core::verdict::{BodyPlan, Grant, LARGEST_HELD, Verdict};
use serde_json::{Value, json};

use super::{Guarded, START, request, said};

/// Requests are for public paths unless a route says otherwise.
fn guarded(rest: Value) -> Guarded {
    let mut guarded = json!({ "unmatched_routes": "public" });
    for (name, value) in rest.as_object().unwrap() {
        guarded[name] = value.clone();
    }
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
        ("/a", "DELETE", "ok", None),
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
fn a_content_type_is_asked_for_where_a_body_comes_in_a_method_that_has_one() {
    let routes = json!([{ "path": "/any", "access": "public", "content_types": [] }]);
    let allowed = json!({ "allowed_methods": ["GET", "POST", "PUT", "PATCH", "DELETE"] });
    let mut guarded = guarded(json!({ "request": allowed, "routes": routes }));
    let text = ("content-type", "text/plain");
    let one = ("content-length", "1");
    let refused = "unsupported_media_type";
    for (method, path, headers, has_body, code) in [
        ("POST", "/a", vec![text, one], true, refused),
        ("PUT", "/a", vec![text, one], true, refused),
        ("PATCH", "/a", vec![text, one], true, refused),
        ("POST", "/a", vec![one], true, refused),
        ("POST", "/a", vec![("content-type", "application/json"), one], true, "ok"),
        ("POST", "/a", vec![("content-type", "application/grpc"), one], true, "ok"),
        ("POST", "/any", vec![text, one], true, "ok"),
        ("POST", "/a", vec![text], false, "ok"),
        // HTTP/2 may leave the stream open after saying that nothing comes.
        ("POST", "/a", vec![text, ("content-length", "0")], true, "ok"),
        ("GET", "/a", vec![text, one], true, "ok"),
        ("DELETE", "/a", vec![text, one], true, "ok"),
    ] {
        let verdict = guarded.admit_with(&request(method, path, &headers), has_body, START);
        assert_eq!(said(&verdict), code, "{method} {path} {headers:?} {has_body}");
        if let Some(Denial::Form(faults)) = verdict.denial() {
            let accepted = vec!["application/json".to_owned()];
            let expected = FormFault::UnsupportedMediaType { accepted, post: method == "POST" };
            assert_eq!(faults.iter().collect::<Vec<_>>(), [&expected], "`Accept-Post` is for POST");
        }
    }
}

#[test]
fn a_body_without_a_declared_size_must_be_empty_where_its_type_is_not_accepted() {
    let route = |path: &str, more: serde_json::Value| {
        let mut route = json!({ "path": path, "access": "public" });
        more.as_object().unwrap().iter().for_each(|(name, value)| route[name] = value.clone());
        route
    };
    let mut guarded = guarded(json!({
        "request": { "max_request_size_bytes": 1000, "allowed_methods": ["GET", "POST", "PUT", "PATCH"] },
        "routes": [
            route("/any", json!({ "content_types": [] })),
            route("/stream", json!({ "body": "stream" })),
            route("/larger", json!({ "max_request_size_bytes": LARGEST_HELD + 1 })),
            route("/reporting", json!({ "mode": "report" })),
        ],
    }));
    let of = |content_type| vec![("content-type", content_type)];
    for (method, path, headers, must_be_empty, plan) in [
        ("POST", "/a", of("text/plain"), true, BodyPlan::Hold(1000)),
        ("PUT", "/a", of("text/plain"), true, BodyPlan::Hold(1000)),
        ("PATCH", "/a", vec![], true, BodyPlan::Hold(1000)),
        ("POST", "/a", of("application/x-ndjson"), true, BodyPlan::Hold(1000)),
        ("POST", "/stream", of("text/plain"), true, BodyPlan::Hold(1000)),
        ("POST", "/larger", of("text/plain"), true, BodyPlan::Hold(LARGEST_HELD + 1)),
        ("POST", "/reporting", of("text/plain"), true, BodyPlan::Count(1000)),
        ("POST", "/a", of("application/json"), false, BodyPlan::Hold(1000)),
        ("POST", "/a", of("application/grpc"), false, BodyPlan::CountMessages(1000)),
        ("POST", "/any", of("text/plain"), false, BodyPlan::Hold(1000)),
        ("GET", "/a", of("text/plain"), false, BodyPlan::Hold(1000)),
    ] {
        let verdict = guarded.admit_with(&request(method, path, &headers), true, START);
        let grant = verdict.grant().unwrap();
        let facts = verdict.trail.form;
        assert_eq!((grant.body(), facts.body, facts.must_be_empty), (plan, plan, must_be_empty), "{path}");
        assert_eq!(grant.judge_body(b""), Ok(()));
        let refused = grant.judge_body(b"x").map_err(|denial| denial.code().as_str());
        let expected = if must_be_empty { Err("unsupported_media_type") } else { Ok(()) };
        assert_eq!(refused, expected, "{method} {path} {headers:?}");
    }
}

#[test]
fn a_whole_body_is_judged_by_its_size_and_grpc_by_its_messages() {
    let mut guarded = guarded(json!({ "request": { "max_request_size_bytes": 10 } }));
    let message = |length: u8| [&[0, 0, 0, 0, length][..], &vec![7; length.into()]].concat();
    for (content_type, body, passes) in [
        ("application/json", vec![b'x'; 10], true),
        ("application/json", vec![b'x'; 11], false),
        ("application/grpc", message(10).repeat(9), true),
        ("application/grpc", [message(10), message(11)].concat(), false),
    ] {
        for length in [None, Some(body.len().to_string())] {
            let declared = length.as_deref().map(|length| ("content-length", length));
            let headers: Vec<_> = [("content-type", content_type)].into_iter().chain(declared).collect();
            let verdict = guarded.admit_with(&request("POST", "/a", &headers), true, START);
            let judged = verdict.grant().map(|grant| grant.judge_body(&body).is_ok());
            let expected =
                (passes || length.is_none() || content_type == "application/grpc").then_some(passes);
            assert_eq!(judged, expected, "{content_type} {length:?}");
        }
    }
}

#[test]
fn a_body_of_the_largest_size_passes_and_one_byte_more_does_not() {
    let mut guarded = guarded(json!({ "request": { "max_request_size_bytes": 10 } }));
    for (length, code) in [("9", "ok"), ("10", "ok"), ("11", "request_too_large"), ("x", "request_malformed")]
    {
        let verdict =
            guarded.admit_with(&request("DELETE", "/a", &[("content-length", length)]), true, START);
        assert_eq!(said(&verdict), code, "{length}");
    }
}

#[test]
fn a_body_is_held_back_only_where_its_size_is_unknown_and_it_may_be() {
    let route = |path: &str, max_bytes: u64, mode: &str| json!({ "path": path, "access": "public", "max_request_size_bytes": max_bytes, "mode": mode });
    let mut guarded = guarded(json!({
        "request": { "max_request_size_bytes": 1000 },
        "routes": [
            route("/largest", LARGEST_HELD, "enforce"),
            route("/larger", LARGEST_HELD + 1, "enforce"),
            route("/reporting", 1000, "report"),
            { "path": "/stream", "access": "public", "body": "stream", "content_types": [] },
            { "path": "/held", "access": "public", "body": "hold", "content_types": [] },
        ],
    }));
    let lines = ("content-type", "application/x-ndjson");
    let json = ("content-type", "application/json");
    let websocket = ("upgrade", "websocket");
    for (method, path, headers, has_body, plan) in [
        ("POST", "/a", vec![json], true, BodyPlan::Hold(1000)),
        ("DELETE", "/a", vec![], true, BodyPlan::Hold(1000)),
        ("POST", "/a", vec![json], false, BodyPlan::Pass),
        ("POST", "/a", vec![json, ("content-length", "0")], true, BodyPlan::Pass),
        ("POST", "/a", vec![json, ("content-length", "5")], true, BodyPlan::Count(1000)),
        ("POST", "/a", vec![("content-type", "application/grpc")], true, BodyPlan::CountMessages(1000)),
        ("POST", "/stream", vec![json], true, BodyPlan::Count(1000)),
        ("POST", "/held", vec![json], true, BodyPlan::Hold(1000)),
        ("POST", "/held", vec![lines], true, BodyPlan::Count(1000)),
        ("POST", "/held", vec![("content-type", "application/grpc+x")], true, BodyPlan::CountMessages(1000)),
        ("POST", "/stream", vec![json, ("content-length", "0")], true, BodyPlan::Pass),
        ("POST", "/largest", vec![json], true, BodyPlan::Hold(LARGEST_HELD)),
        ("POST", "/larger", vec![json], true, BodyPlan::Count(LARGEST_HELD + 1)),
        ("POST", "/reporting", vec![json], true, BodyPlan::Count(1000)),
        // What follows an upgrade belongs to the other protocol; only GET can ask for one with meaning.
        ("GET", "/a", vec![websocket], true, BodyPlan::Pass),
        ("GET", "/a", vec![], true, BodyPlan::Hold(1000)),
        ("POST", "/a", vec![json, websocket], true, BodyPlan::Hold(1000)),
    ] {
        let verdict = guarded.admit_with(&request(method, path, &headers), has_body, START);
        assert_eq!(
            (said(&verdict).as_str(), verdict.grant().map(Grant::body)),
            ("ok", Some(plan)),
            "{method} {path} {headers:?}"
        );
    }
}
