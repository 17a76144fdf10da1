//! What is asked of a body, and how it is treated.

use api_guard_core::denial::{Denial, FormFault};
use api_guard_core::verdict::{BodyPlan, Grant, LARGEST_HELD};
use serde_json::json;

use super::super::{START, request, said};
use super::guarded;

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
