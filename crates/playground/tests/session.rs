//! What a page asks, and what it hears.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test that cannot go on fails")]

use api_guard_playground::session::Session;
use serde_json::{Value, json};

const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";

fn ask(session: &mut Session, act: &str, more: &Value) -> Value {
    let mut state = json!({
        "configuration": r#"{"tokens": {"keys": [{"secret": {"env": "S"}}]}, "rate_limits": [{"name": "two", "max_requests": 2, "window_seconds": 60, "key": ["subject"]}]}"#,
        "method": "GET", "url": "/a", "claims": r#"{"sub": "a", "iat": 1800000000, "exp": 1800003600}"#, "secret": SECRET,
    });
    for (name, value) in more.as_object().unwrap() {
        state[name] = value.clone();
    }
    let question = json!({ "act": act, "state": state, "now": 1_800_000_000_500_u64, "random": "0123456789abcdef0123456789abcdef" });
    serde_json::from_str(&session.ask(question.to_string().as_bytes())).unwrap()
}

fn code(answer: &Value) -> Value {
    answer["explained"]["code"].clone()
}

#[test]
fn a_request_that_is_tried_spends_nothing() {
    let mut session = Session::default();
    for _ in 0..5 {
        assert_eq!(ask(&mut session, "try", &json!({}))["limits"][0]["used"], 1);
    }
    assert_eq!(code(&ask(&mut session, "send", &json!({}))), Value::Null);
    assert_eq!(code(&ask(&mut session, "send", &json!({}))), Value::Null);
    assert_eq!(ask(&mut session, "try", &json!({}))["explained"]["code"], "rate_limited");
    assert_eq!(ask(&mut session, "send", &json!({}))["explained"]["code"], "rate_limited");
    assert_eq!(code(&ask(&mut session, "reset", &json!({}))), Value::Null);
}

#[test]
fn another_configuration_goes_on_with_what_was_counted_and_a_bad_one_forgets_nothing() {
    let mut session = Session::default();
    ask(&mut session, "send", &json!({}));
    ask(&mut session, "send", &json!({}));
    for bad in ["", "{", "[1", "tokens: {", "\u{feff}", "null", "a: b"] {
        let answer = ask(&mut session, "send", &json!({ "configuration": bad }));
        assert!(
            answer["explained"].is_null() && answer["problems"]["list"][0]["severity"] == "error",
            "{bad}: {answer}"
        );
    }
    let other = r#"{"tokens": {"keys": [{"secret": {"env": "S"}}]}, "limiter_capacity": 16, "rate_limits": [{"name": "two", "max_requests": 2, "window_seconds": 60, "key": ["subject"]}]}"#;
    ask(&mut session, "try", &json!({ "configuration": other }));
    assert_eq!(code(&ask(&mut session, "try", &json!({}))), "rate_limited");
    let more = other.replace("\"limiter_capacity\": 16, ", "\"mode\": \"enforce\", ");
    assert_eq!(code(&ask(&mut session, "send", &json!({ "configuration": more }))), "rate_limited");
}

#[test]
fn claims_are_signed_with_the_first_secret_and_a_pasted_token_goes_before_them() {
    let mut session = Session::default();
    assert_eq!(code(&ask(&mut session, "try", &json!({ "token": "x" }))), "token_malformed");
    assert_eq!(code(&ask(&mut session, "try", &json!({ "claims": "" }))), "token_missing");
    let answer = ask(&mut session, "try", &json!({ "secret": "" }));
    assert!(answer["wrong"]["secret"].is_string() && answer["explained"].is_null(), "{answer}");
    let answer = ask(&mut session, "try", &json!({ "secret": "", "claims": "" }));
    assert_eq!(code(&answer), "token_missing");
    let answer = ask(&mut session, "try", &json!({ "secret": "short" }));
    let problems = answer["problems"]["list"].as_array().unwrap();
    assert!(problems.iter().any(|problem| problem["pointer"] == "/tokens/keys/0/secret/env"), "{answer}");
}

#[test]
fn without_a_secret_the_page_stands_for_the_issuer() {
    let configuration = r#"{"tokens": {"key_sets": [{"name": "login", "issuers": ["https://a"], "jwks": {"cluster": "a", "path": "/j", "authority": "a"}}]}}"#;
    let claims = r#"{"iss": "https://a", "sub": "a", "iat": 1800000000, "exp": 1800003600}"#;
    let mut session = Session::default();
    let answer = ask(&mut session, "try", &json!({ "configuration": configuration, "claims": claims }));
    assert_eq!(code(&answer), Value::Null, "{answer}");
    assert_eq!(answer["fetches"][0], "login");
    let token = answer["made"].clone();
    let pasted =
        ask(&mut session, "try", &json!({ "configuration": configuration, "claims": "", "token": token }));
    assert_eq!(code(&pasted), "keys_unavailable", "{pasted}");
    let garbage =
        ask(&mut session, "try", &json!({ "configuration": configuration, "claims": claims, "keySet": "{" }));
    assert!(garbage["wrong"]["keySet"].is_string(), "{garbage}");
    let rsa = configuration.replace(r#""jwks""#, r#""algorithms": ["RS256"], "jwks""#);
    let refused = ask(&mut session, "try", &json!({ "configuration": rsa, "claims": claims }));
    assert!(refused["wrong"]["claims"].as_str().unwrap().contains("ES256"), "{refused}");
}

#[test]
fn every_textbox_that_cannot_be_read_is_named() {
    let mut session = Session::default();
    let wrong = json!({ "time": "now", "address": "here", "headers": "x", "claims": "[]" });
    let answer = ask(&mut session, "try", &wrong);
    let names: Vec<&String> = answer["wrong"].as_object().unwrap().keys().collect();
    assert_eq!(names, ["address", "claims", "headers", "time"]);
    assert!(session.ask(b"garbage").contains("fault"));
}

#[test]
fn a_grpc_client_hears_a_status_of_grpc() {
    let mut session = Session::default();
    let more = json!({ "claims": "", "method": "POST", "headers": "content-type: application/grpc" });
    let answer = ask(&mut session, "try", &more);
    assert_eq!(answer["grpc"], json!([16, "Missing or invalid Authorization header"]), "{answer}");
    assert_eq!(ask(&mut session, "try", &json!({ "claims": "" }))["grpc"], Value::Null);
}

#[test]
fn a_manifest_stands_for_the_configuration_in_it() {
    let manifest = "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata: {name: api-guard}\nspec:\n  pluginConfig:\n    tokens:\n      keys: [{secret: {env: S}}]\n      nothing: 1\n";
    let answer = ask(&mut Session::default(), "try", &json!({ "configuration": manifest }));
    assert_eq!(answer["problems"]["list"][0]["line"], 8, "{answer}");
    let good = manifest.replace("      nothing: 1\n", "");
    let answer = ask(&mut Session::default(), "try", &json!({ "configuration": good }));
    assert_eq!(code(&answer), Value::Null, "{answer}");
    assert!(answer["explained"].is_object());
}
