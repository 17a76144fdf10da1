use super::*;

/// Each error of shape as it is printed.
fn errors(text: &str) -> Vec<String> {
    let mut document = Document::read(text.as_bytes());
    document.report(Vec::new());
    document.errors.iter().map(ConfigError::to_string).collect()
}

fn no_keys() -> Problem {
    Problem {
        at: Pointer::root().field("tokens").field("keys"),
        problem: "no keys".to_owned(),
        instead: "write one".to_owned(),
    }
}

fn pointers(text: &str) -> Vec<String> {
    let mut document = Document::read(text.as_bytes());
    document.report(Vec::new());
    document.errors.iter().map(|error| error.at.to_string()).collect()
}

#[test]
fn every_error_of_shape_is_found_at_once_and_at_its_place() {
    let text = r#"{
        "mod": "report",
        "mode": "reprot",
        "tokens": {
            "issuers": "https://a.example",
            "keys": [{ "secret": { "env": "A" } }, { "secret": { "env": "B" }, "kyd": "k" }, { "kid": 7 }],
            "clock_skew_seconds": -1,
            "max_token_bytes": 8e3
        },
        "routes": { "path": "/a" },
        "roles": { "grants": { "clerk": ["a:b", 3, "c:d", null] } },
        "rate_limits": [{ "max_requests": { "claim": "plan", "values": { "free": "many" } } }],
        "replies": { "detail": "full", "rate_limit_headers": { "draft": true } }
    }"#;
    assert_eq!(
        pointers(text),
        [
            "/mod",
            "/mode",
            "/rate_limits/0/max_requests/values/free",
            "/replies/rate_limit_headers",
            "/roles/grants/clerk/1",
            "/roles/grants/clerk/3",
            "/routes",
            "/tokens/clock_skew_seconds",
            "/tokens/issuers",
            "/tokens/keys/1/kyd",
            "/tokens/keys/2/kid",
            "/tokens/max_token_bytes",
        ]
    );
}

#[test]
fn an_error_says_what_to_write_instead() {
    for (text, error) in [
        (
            r#"{"client_ip":{"form":1}}"#,
            r#"/client_ip/form: unknown field; write "ipv6_prefix" or "from", or remove it"#,
        ),
        (r#"{"mode":"reprot"}"#, r#"/mode: "reprot": wrong type or value; write "enforce" or "report""#),
        (
            r#"{"unmatched_routes":"open"}"#,
            r#"/unmatched_routes: "open": wrong type or value; write one of "public", "authenticated", "deny""#,
        ),
        (
            r#"{"limiter_capacity":-5}"#,
            "/limiter_capacity: -5: wrong type or value; write a whole number, 0 or more",
        ),
        (
            r#"{"limiter_capacity":1.5}"#,
            "/limiter_capacity: 1.5: wrong type or value; write a whole number, 0 or more",
        ),
        (
            r#"{"limiter_capacity":null}"#,
            "/limiter_capacity: null: wrong type or value; write a whole number, 0 or more",
        ),
        (
            r#"{"request":{"https_only":"yes"}}"#,
            r#"/request/https_only: "yes": wrong type or value; write true or false"#,
        ),
        (
            r#"{"request":{"content_types":"a/b"}}"#,
            r#"/request/content_types: "a/b": wrong type or value; write a list"#,
        ),
        (r#"{"forward":{"claims":["a"]}}"#, "/forward/claims: wrong type or value; write an object"),
        (
            r#"{"forward":{"subject_header":1}}"#,
            "/forward/subject_header: 1: wrong type or value; write a string",
        ),
        (r#"{"tokens":3}"#, "/tokens: wrong type or value; write an object"),
        (
            r#"{"rate_limits":[{"max_requests":"9"}]}"#,
            r#"/rate_limits/0/max_requests: "9": wrong type or value; write a whole number or {"claim": ..., "values": {...}, "default": ...}"#,
        ),
        (
            r#"{"mode":"report","mode":"report"}"#,
            "/mode: this name appears more than once in its object; keep one of them",
        ),
    ] {
        assert_eq!(errors(text), [error], "{text}");
    }
}

#[test]
fn a_list_is_no_object_and_an_object_is_no_name() {
    for (text, pointer) in [
        ("[]", ""),
        (r#"{"replies":[]}"#, "/replies"),
        (r#"{"replies":["full"]}"#, "/replies"),
        (r#"{"routes":[["name"]]}"#, "/routes/0"),
        (r#"{"mode":{"report":null}}"#, "/mode"),
        (r#"{"rate_limits":[{"max_requests":[]}]}"#, "/rate_limits/0/max_requests"),
    ] {
        assert_eq!(pointers(text), [pointer], "{text}");
    }
}

#[test]
fn null_stands_for_what_is_optional_and_for_nothing_else() {
    let text = r#"{
        "roles": null, "auth_failure_limit": null, "revocation": { "endpoint": null },
        "routes": [{ "name": null, "path": null, "hosts": null, "methods": null, "mode": null }],
        "forward": { "subject_header": null, "permissions_header": null, "claims": { "tenant": null } },
        "rate_limits": [{ "warn_at_percent": null }],
        "tokens": { "keys": [{ "kid": null, "secret": null }] }
    }"#;
    assert_eq!(errors(text), [""; 0]);
    let text = r#"{ "mode": null, "tokens": null, "routes": null, "routes2": null, "revocation": { "denied": null } }"#;
    assert_eq!(pointers(text), ["/mode", "/revocation/denied", "/routes", "/routes2", "/tokens"]);
    assert_eq!(pointers("null"), [""]);
}

#[test]
fn a_secret_has_one_form() {
    let instead = r#"write {"env": "NAME"}, {"value": "..."} or {"base64url": "..."}"#;
    for secret in [
        r#""plain-text-SECRET""#,
        "{}",
        r#"{"env":"A","value":"plain-text-SECRET"}"#,
        r#"{"plain-text-SECRET":"x"}"#,
        r#"["plain-text-SECRET"]"#,
        "12345",
    ] {
        let text = format!(r#"{{"tokens":{{"keys":[{{"secret":{{"env":"A"}}}},{{"secret":{secret}}}]}}}}"#);
        assert_eq!(
            errors(&text),
            [format!("/tokens/keys/1/secret: wrong type or value; {instead}")],
            "{secret}"
        );
    }
    let text = r#"{"tokens":{"keys":[{"secret":{"env":7}}]}}"#;
    assert_eq!(errors(text), ["/tokens/keys/0/secret/env: wrong type or value; write a string"]);
}

#[test]
fn a_secret_in_a_wrong_place_is_not_shown() {
    for text in [
        r#""plain-text-SECRET""#,
        r#"{"secret":"plain-text-SECRET"}"#,
        r#"{"tokens":"plain-text-SECRET"}"#,
        r#"{"tokens":{"secret":"plain-text-SECRET"}}"#,
        r#"{"tokens":{"keys":"plain-text-SECRET"}}"#,
        r#"{"tokens":{"keys":["plain-text-SECRET"]}}"#,
        r#"{"tokens":{"keys":{"value":"plain-text-SECRET"}}}"#,
        r#"{"tokens":{"keys":[{"value":"plain-text-SECRET"}]}}"#,
        r#"{"tokens":{"keys":[{"kid":{"value":"plain-text-SECRET"}}]}}"#,
        r#"{"tokens":{"keys":[{"secret":{"value":["plain-text-SECRET"]}}]}}"#,
        r#"{"mode":["plain-text-SECRET"]}"#,
    ] {
        let errors = errors(text);
        assert!(!errors.is_empty() && !errors.concat().contains("SECRET"), "{errors:?}");
    }
}

#[test]
fn what_is_wrong_with_values_is_reported_at_the_places_of_the_document_as_written() {
    let text = r#"{"routes":[1,{"name":"a"},"x",{"name":"b"}]}"#;
    let mut document = Document::read(text.as_bytes());
    let problem = |index| Problem {
        at: Pointer::root().field("routes").index(index).field("name"),
        problem: "bad".to_owned(),
        instead: "better".to_owned(),
    };
    document.report((0..4).map(problem).collect());
    let printed: Vec<String> = document.errors.iter().map(ConfigError::to_string).collect();
    assert_eq!(
        printed,
        [
            "/routes/0: 1: wrong type or value; write an object",
            r#"/routes/1/name: "a": bad; better"#,
            r#"/routes/2: "x": wrong type or value; write an object"#,
            r#"/routes/3/name: "b": bad; better"#,
        ]
    );
}

#[test]
fn what_has_the_wrong_shape_is_not_reported_again() {
    let mut document = Document::read(br#"{"tokens":{"keys":7}}"#);
    document.report(vec![no_keys()]);
    assert_eq!(document.errors.len(), 1);
}

#[test]
fn a_document_with_too_many_errors_is_given_up_without_inventing_others() {
    let text = format!(r#"{{"routes":[{}0]}}"#, "0,".repeat(250));
    let mut document = Document::read(text.as_bytes());
    document.report(vec![no_keys()]);
    assert_eq!(document.errors.len(), MOST_ERRORS);
    assert_eq!(document.errors.last().unwrap().at.to_string(), "/routes/99");
}

#[test]
fn what_is_no_json_is_one_error() {
    assert_eq!(pointers("{"), [""]);
    assert_eq!(pointers(""), [""]);
    assert_eq!(pointers("{}{}"), [""]);
}
