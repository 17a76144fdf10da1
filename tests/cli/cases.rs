//! `api-guard test`: policy tests.

use serde_json::{Value, json};

use crate::command::{Run, SECRET, api_guard, command, run};
use crate::files::{File, config, project};

const NOW: u64 = 1_796_119_200;

fn policy() -> File {
    let routes = json!([
        { "path": "/health", "access": "public" },
        { "name": "read", "path": "/orders/{id}", "methods": ["GET"], "required_permissions": ["orders:read"] },
        { "path": "/shadow", "mode": "report", "required_permissions": ["a:b"] },
        { "path": "/office", "allow_from": ["10.0.0.0/8"], "access": "public" },
    ]);
    File::new(
        config(json!({ "routes": routes, "unmatched_routes": "deny", "forward": { "token": "strip" } }))
            .to_string(),
    )
}

fn token(permissions: &[&str]) -> Value {
    json!({ "sub": "user-7", "iat": NOW, "exp": NOW + 60, "permissions": permissions })
}

fn case(request: Value, expect: Value) -> Value {
    json!({ "time": "2026-12-01T10:00:00Z", "cases": [{ "name": "the case", "request": request, "expect": expect }] })
}

fn judge(cases: &Value, more: &[&str]) -> Run {
    let (policy, file) = (policy(), File::new(cases.to_string()));
    api_guard([&["test", "--config", policy.path(), file.path()], more].concat())
}

#[test]
fn a_case_holds_where_everything_is_as_expected() {
    for (request, expect) in [
        (
            json!({ "path": "/health" }),
            json!({ "status": 200, "code": null, "subject": null, "route": "/health" }),
        ),
        (
            json!({ "path": "https://api.example.com/orders/42?x=1", "token": token(&["orders:read"]) }),
            json!({ "status": 200, "route": "read", "subject": "user-7",
                "upstream_headers": { "X-Auth-Subject": "user-7", "authorization": null } }),
        ),
        (json!({ "path": "/orders/42" }), json!({ "status": 401, "code": "token_missing", "subject": null })),
        (
            json!({ "path": "/orders/42", "token": token(&[]) }),
            json!({ "status": 403, "code": "permission_missing", "subject": "user-7", "upstream_headers": { "x-auth-subject": null } }),
        ),
        (json!({ "path": "/orders/42", "token": "no token" }), json!({ "status": 401 })),
        (json!({ "path": "/orders/42", "token": { "sub": "a" } }), json!({ "code": "claim_missing" })),
        (
            json!({ "method": "PATCH", "path": "/orders/42" }),
            json!({ "status": 405, "code": "method_not_allowed" }),
        ),
        (
            json!({ "path": "/nowhere", "token": token(&[]) }),
            json!({ "code": "route_denied", "route": null }),
        ),
        (
            json!({ "path": "/shadow", "token": token(&[]) }),
            json!({ "status": 200, "code": "permission_missing" }),
        ),
        (json!({ "path": "/office", "client_ip": "10.1.2.3" }), json!({ "status": 200 })),
        (json!({ "path": "/office", "client_ip": "203.0.113.7" }), json!({ "code": "address_refused" })),
        (
            json!({ "method": "POST", "path": "/health", "headers": { "Content-Type": "text/plain" }, "body": "x" }),
            json!({ "status": 415 }),
        ),
        (
            json!({ "method": "POST", "path": "/health", "headers": { "content-type": "application/json" }, "body": { "a": 1 } }),
            json!({ "status": 200, "upstream_headers": { "content-length": "7" } }),
        ),
    ] {
        let run = judge(&case(request, expect), &[]);
        assert_eq!((run.code, run.out.as_str()), (0, "1 of 1 case holds\n"), "{run:?}");
    }
}

#[test]
fn no_report_shows_a_token_that_the_service_accepts() {
    let of = |forward: &str| File::new(config(json!({ "forward": { "token": forward } })).to_string());
    let (keep, strip) = (of("keep"), of("strip"));
    let cases = File::new(
        case(
            json!({ "path": "/", "token": token(&[]) }),
            json!({ "upstream_headers": { "authorization": null } }),
        )
        .to_string(),
    );
    for arguments in [
        &["test", "--config", keep.path(), cases.path()][..],
        &["test", "--config", keep.path(), cases.path(), "--format", "junit"],
        &["diff", strip.path(), keep.path(), cases.path()],
    ] {
        let run = api_guard(arguments);
        assert_eq!(run.code, 1, "{run:?}");
        let told = run.out.replace("&lt;", "<").replace("&gt;", ">");
        assert!(told.contains("Bearer <token>") && !told.contains("eyJ"), "{run:?}");
    }
}

#[test]
fn what_differs_is_told_with_its_place_and_its_reason() {
    let run = judge(
        &case(json!({ "path": "/orders/42", "token": token(&[]) }), json!({ "status": 200, "subject": "a" })),
        &[],
    );
    assert_eq!(run.code, 1);
    for part in [
        ":1:11: differs the case",
        "status: 200 expected, 403 found",
        "subject: \"a\" expected, \"user-7\" found",
        "because: Missing required permissions: orders:read",
        "0 of 1 case holds",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
}

#[test]
fn each_case_comes_to_a_guard_that_has_counted_nothing() {
    let limited = File::new(
        config(json!({ "rate_limits": [{ "name": "a", "max_requests": 1, "window_seconds": 60 }] }))
            .to_string(),
    );
    let request = json!({ "request": { "path": "/a" }, "expect": { "code": "token_missing" } });
    let cases = File::new(json!({ "cases": [request, request, request] }).to_string());
    let run = api_guard(["test", "--config", limited.path(), cases.path()]);
    assert_eq!(run.out, "3 of 3 cases hold\n");
}

#[test]
fn what_is_misspelt_or_expects_nothing_is_an_error_with_its_place() {
    let good = json!({ "path": "/health" });
    for (cases, part) in [
        (json!({}), "no cases"),
        (json!({ "cases": [] }), "no cases"),
        (json!({ "cases": [{ "request": good }] }), "expects nothing"),
        (json!({ "cases": [{ "request": good, "expect": {} }] }), "expects nothing"),
        (json!({ "cases": [{ "expect": { "status": 200 } }] }), "without \"request\""),
        (json!({ "cases": [{ "request": {}, "expect": { "status": 200 } }] }), "without \"path\""),
        (case(good.clone(), json!({ "statsu": 200 })), "did you mean \"status\"?"),
        (case(good.clone(), json!({ "status": "200" })), "status is a number"),
        (case(good.clone(), json!({ "code": 7 })), "code is a text"),
        (case(good.clone(), json!({ "status": 999 })), "999 is no status of a decision; did you mean 503?"),
        (case(good.clone(), json!({ "status": 402 })), "write one of 200, 400, 401, 403,"),
        (case(good.clone(), json!({ "code": "token_mising" })), "did you mean \"token_missing\"?"),
        (case(good.clone(), json!({ "code": "" })), "or null where nothing is refused"),
        (case(good.clone(), json!({ "upstream_headers": {} })), "upstream_headers is an object"),
        (case(json!({ "path": "/", "tokn": "a" }), json!({ "status": 200 })), "did you mean \"token\"?"),
        (case(json!({ "path": "/", "client_ip": "nobody" }), json!({ "status": 200 })), "not an address"),
        (json!({ "time": "now", "cases": [] }), "RFC 3339"),
        (json!({ "case": [] }), "did you mean \"cases\"?"),
        (json!([]), "must be an object"),
    ] {
        let run = judge(&cases, &[]);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{cases}: {run:?}");
        assert!(run.err.contains(part) && run.err.contains(":1:"), "{part}: {run:?}");
    }
    let policy = policy();
    assert_eq!(api_guard(["test", "--config", policy.path(), "/nowhere"]).code, 2);
    assert_eq!(api_guard(["test", "--config", policy.path()]).code, 2);
}

#[test]
fn claims_are_signed_as_they_stand() {
    let cases = |claims: &str, expect: &str| {
        format!(
            r#"{{ "time": "2026-12-01T10:00:00Z", "cases": [{{ "request": {{ "path": "/shadow", "token": {{ {claims}, "iat": {NOW}, "exp": {} }} }}, "expect": {{ {expect} }} }}] }}"#,
            NOW + 60
        )
    };
    for (claims, expect) in [
        // Past 64 bits, where a floating point number would stand for it.
        (r#""sub": 12345678901234567890123"#, r#""subject": "12345678901234567890123""#),
        (r#""sub": 7.0"#, r#""code": "claim_invalid""#),
        (r#""sub": "a", "sub": "b""#, r#""code": "claim_invalid""#),
        // JSON writes characters beyond 16 bits so.
        (r#""sub": "\ud83d\ude00""#, r#""subject": "😀""#),
        (r#""sub": "😀""#, r#""subject": "\uD83D\uDE00""#),
    ] {
        let (policy, file) = (policy(), File::new(cases(claims, expect)));
        let run = api_guard(["test", "--config", policy.path(), file.path()]);
        assert_eq!((run.code, run.out.as_str()), (0, "1 of 1 case holds\n"), "{claims}: {run:?}");
    }
}

#[test]
fn times_are_those_of_the_file_or_of_the_case() {
    let request = json!({ "path": "/orders/1", "token": token(&["orders:read"]) });
    let cases = json!({ "time": "2026-12-01T10:00:00Z", "cases": [
        { "request": request, "expect": { "status": 200 } },
        { "time": "2026-12-01T12:00:59+02:00", "request": request, "expect": { "status": 200 } },
        { "time": "2026-12-01T10:01:00Z", "request": request, "expect": { "code": "token_expired" } },
        { "time": "2026-12-01T09:00:00Z", "request": request, "expect": { "code": "token_issued_in_future" } },
    ] });
    let run = judge(&cases, &[]);
    assert_eq!(run.out, "4 of 4 cases hold\n", "{run:?}");
}

#[test]
fn a_junit_report_has_every_case() {
    let cases = json!({ "cases": [
        { "name": "good & <well>", "request": { "path": "/health" }, "expect": { "status": 200 } },
        { "request": { "path": "/health" }, "expect": { "status": 401 } },
    ] });
    let run = judge(&cases, &["--format", "junit"]);
    assert_eq!(run.code, 1);
    for part in [
        "<?xml version=\"1.0\"",
        "tests=\"2\"",
        "failures=\"1\"",
        "name=\"good &amp; &lt;well&gt;\"",
        "name=\"2: GET /health\"",
        "status: 401 expected, 200 found",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
}

#[test]
fn the_examples_cases_hold_with_any_secret_and_with_none() {
    let (policy, cases) = (project("examples/api-guard.json"), project("examples/cases.yaml"));
    let arguments = ["test".as_ref(), "--config".as_ref(), policy.as_os_str(), cases.as_os_str()];
    let with = run(command().args(arguments));
    let without = run(command().env_remove("API_GUARD_SECRET").args(arguments));
    for run in [with, without] {
        assert_eq!((run.code, run.out.as_str()), (0, "5 of 5 cases hold\n"), "{run:?}");
    }
    let short = run(command().env("API_GUARD_SECRET", "short").args(arguments));
    assert_eq!(short.code, 1, "{short:?}");
    assert!(!short.err.contains(SECRET));
}

#[test]
fn explain_takes_a_time_and_a_url() {
    let policy = policy();
    let token = api_guard(["mint", "--sub", "user-7", "--permission", "orders:read", "--ttl", "1h"]);
    let path = [
        "explain",
        "--config",
        policy.path(),
        "--path",
        "https://api.example.com/orders/42",
        "--token",
        token.line(),
    ];
    assert_eq!(api_guard(path).code, 0);
    let later = api_guard([&path[..], &["--time", "2200-01-01T00:00:00Z"]].concat());
    assert_eq!(later.code, 1);
    assert!(later.out.contains("token_expired"), "{later:?}");
    assert_eq!(api_guard([&path[..], &["--time", "soon"]].concat()).code, 2);
}
