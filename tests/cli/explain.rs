//! `api-guard explain`.

use serde_json::{Value, json};

use crate::command::{Run, SECRET, api_guard, command, run};
use crate::files::{File, config, project};

fn minted(more: &[&str]) -> String {
    api_guard(["mint", "--sub", "user-7", "--permission", "orders:read"].iter().chain(more)).line().to_owned()
}

fn guarded() -> Value {
    config(json!({
        "request": { "allowed_methods": ["GET", "POST", "DELETE"] },
        "routes": [
            { "path": "/health", "access": "public" },
            { "name": "read-order", "path": "/orders/{id}", "methods": ["GET"], "required_permissions": ["orders:read"] },
            { "path": "/orders/{id}", "methods": ["DELETE"], "any_permissions": ["orders:delete", "orders:admin"] },
            { "path": "/users/{id}", "bind": { "id": "sub" } },
            { "path": "/closed", "access": "deny" },
            { "path": "/trial", "mode": "report", "required_permissions": ["trial:run"] },
        ],
        "rate_limits": [
            { "name": "address", "max_requests": 5, "window_seconds": 60, "key": ["client_ip"] },
            { "name": "caller", "max_requests": 3, "window_seconds": 60, "key": ["subject"] },
        ],
        "revocation": { "endpoint": {} },
    }))
}

fn explain(file: &File, more: &[&str]) -> Run {
    api_guard([&["explain", "--config", file.path()], more].concat())
}

#[test]
fn the_deciding_rule_and_step_are_named() {
    let file = File::new(guarded().to_string());
    let token = minted(&[]);
    let token = token.as_str();
    let other = minted(&["--claim", "x=1"]);
    for (arguments, code, rule, step) in [
        (&["--path", "/health"][..], None, "/routes/0", None),
        (&["--path", "/orders/1", "--token", token], None, "/routes/1", None),
        (&["--path", "/elsewhere", "--token", token], None, "/unmatched_routes", None),
        (&["--path", "/orders/1"], Some("token_missing"), "/routes/1", Some("token")),
        (&["--path", "/orders/1", "--token", "x.y.z"], Some("token_malformed"), "/tokens", Some("token")),
        (
            &["--path", "/orders/1", "--method", "DELETE", "--token", token],
            Some("permission_missing"),
            "/routes/2/any_permissions",
            Some("permission"),
        ),
        (
            &["--path", "/users/8", "--token", token],
            Some("binding_mismatch"),
            "/routes/3/bind",
            Some("permission"),
        ),
        (&["--path", "/users/user-7", "--token", token], None, "/routes/3", None),
        (&["--path", "/closed", "--token", token], Some("route_denied"), "/routes/4", Some("permission")),
        (&["--path", "/a/../b"], Some("path_ambiguous"), "holds for every request", Some("form")),
        (
            &["--path", "/orders/1", "--method", "PATCH"],
            Some("method_not_allowed"),
            "/request/allowed_methods",
            Some("form"),
        ),
        (
            &["--path", "/orders", "--method", "POST", "--body", "x", "--header", "content-type:text/plain"],
            Some("unsupported_media_type"),
            "/request/content_types",
            Some("form"),
        ),
        (
            &["--path", "/orders/1", "--token", token, "--repeat", "4"],
            Some("rate_limited"),
            "/rate_limits/1",
            Some("limits after the token"),
        ),
        (
            &["--path", "/health", "--repeat", "6"],
            Some("rate_limited"),
            "/rate_limits/0",
            Some("limits before the token"),
        ),
        (
            &["--path", "/orders/1", "--token", token, "--header", &format!("authorization: Bearer {other}")],
            Some("credentials_ambiguous"),
            "/tokens/sources",
            Some("token"),
        ),
    ] {
        let run = explain(&file, &[arguments, &["--json"]].concat());
        let report = run.json();
        assert_eq!(report["code"].as_str(), code, "{arguments:?}: {report:#}");
        assert_eq!(report["rule"], rule, "{arguments:?}");
        assert_eq!(run.code, i32::from(code.is_some()), "{arguments:?}");
        assert_eq!(report["decision"], if code.is_some() { "refused" } else { "allowed" });
        assert_eq!(report["reply"]["body"]["code"].as_str(), code, "{arguments:?}");
        let steps = report["steps"].as_array().expect("steps");
        assert_eq!(steps.len(), 7);
        let refused: Vec<&str> = steps
            .iter()
            .filter(|step| step["state"] == "refused")
            .map(|step| step["step"].as_str().expect("a name"))
            .collect();
        assert_eq!(refused, step.into_iter().collect::<Vec<_>>(), "{arguments:?}");
        // What comes after the deciding step is never reached.
        let after: Vec<&str> = steps
            .iter()
            .skip_while(|step| step["state"] != "refused")
            .skip(1)
            .map(|step| step["state"].as_str().expect("a state"))
            .collect();
        assert!(after.iter().all(|state| *state == "not reached"), "{arguments:?}: {after:?}");
    }
}

#[test]
fn the_list_that_refuses_an_issuer_or_an_audience_is_named() {
    let key = |kid: &str, more: Value| {
        let mut key = json!({ "kid": kid, "secret": { "env": "API_GUARD_SECRET" } });
        key.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        key
    };
    let own = || key("own", json!({ "issuers": ["https://b"], "audiences": ["b"] }));
    let file = |keys: Value| {
        let tokens = json!({ "keys": keys, "issuers": ["https://a"], "audiences": ["a"] });
        File::new(config(json!({ "tokens": tokens })).to_string())
    };
    let shared = file(json!([key("all", json!({})), own()]));
    let bound = file(json!([own()]));
    let other = key("other", json!({ "issuers": ["https://a"] }));
    let two = file(json!([other, own()]));
    let unnamed = |iss: &str| minted(&["--claim", &format!("iss={iss}"), "--claim", "aud=a"]);
    let run = explain(&two, &["--path", "/", "--token", &unnamed("https://c"), "--json"]);
    assert_eq!(run.json()["rule"], "the issuers of all /tokens/keys", "{}", run.out);
    let run = explain(&bound, &["--path", "/", "--token", &unnamed("https://c"), "--json"]);
    assert_eq!(run.json()["rule"], "/tokens/keys/0/issuers", "{}", run.out);
    for (file, kid, iss, aud, rule) in [
        (&shared, "all", "https://c", "a", "/tokens/issuers"),
        (&shared, "all", "https://a", "c", "/tokens/audiences"),
        (&shared, "own", "https://b", "c", "/tokens/keys/1/audiences"),
        (&shared, "own", "https://a", "b", "/tokens/keys/1/issuers"),
        (&shared, "all", "https://b", "a", "/tokens/keys/0/issuers"),
        (&bound, "own", "https://a", "b", "/tokens/keys/0/issuers"),
        (&two, "own", "https://c", "b", "/tokens/keys/1/issuers"),
    ] {
        let (iss_claim, aud_claim) = (format!("iss={iss}"), format!("aud={aud}"));
        let token = minted(&["--kid", kid, "--claim", &iss_claim, "--claim", &aud_claim]);
        let run = explain(file, &["--path", "/", "--token", &token, "--json"]);
        assert_eq!(run.json()["rule"], rule, "{kid} {iss} {aud}: {}", run.out);
    }
}

#[test]
fn what_a_token_lacks_is_told_with_its_pointer() {
    let claim = r"https://shop\.example/kind";
    let tokens = json!({
        "keys": [{ "secret": { "env": "API_GUARD_SECRET" } }],
        "subject_claim": "user_id",
        "required_values": { claim: ["access"], "token_type": ["access", "service"] },
    });
    let routes = json!([{ "path": "/feed", "access": "optional" }, { "path": "/users/{id}", "bind": { "id": "user_id" }, "bind_unless": ["users:admin"] }]);
    let file = File::new(config(json!({ "tokens": tokens, "routes": routes })).to_string());
    let token = |more: &[&str]| {
        let claims: Vec<&str> = more.iter().flat_map(|claim| ["--claim", claim]).collect();
        minted(&[&claims[..], &["--permission", "users:admin"]].concat())
    };
    let good = ["user_id=7", "token_type=access", "https://shop.example/kind=access"];
    for (path, claims, rule) in [
        ("/a", &good[1..], "/tokens/required_claims"),
        ("/a", &good[..2], r"/tokens/required_values/https:~1~1shop\.example~1kind"),
        ("/feed", &[good[0], good[2], "token_type=refresh"], "/tokens/required_values/token_type"),
    ] {
        let run = explain(&file, &["--path", path, "--token", &token(claims), "--json"]);
        assert_eq!((run.code, &run.json()["rule"]), (1, &json!(rule)), "{claims:?}: {}", run.out);
    }
    for (path, parts) in [
        ("/feed", &["subject \"7\"", "/routes/0 asks for nothing"][..]),
        ("/users/8", &["{id} must be the claim user_id (/routes/1/bind)", "(/routes/1/bind_unless)"]),
    ] {
        let run = explain(&file, &["--path", path, "--token", &token(&good)]);
        assert_eq!(run.code, 0, "{}", run.out);
        for part in parts {
            assert!(run.out.contains(part), "{part:?} is not in\n{}", run.out);
        }
    }
}

#[test]
fn a_limit_that_does_not_apply_is_told_with_its_reason() {
    let limit = |name: &str, key: &str| json!({ "name": name, "max_requests": 1, "window_seconds": 60, "key": [key] });
    let mut late = limit("caller", "subject");
    late["except_addresses"] = json!(["10.0.0.0/8"]);
    let file = File::new(
        config(json!({
            "request": { "cors_preflight": "forward" },
            "routes": [{ "path": "/health", "access": "public", "skip_limits": ["*"] }, { "path": "/a", "skip_limits": ["address"] }],
            "rate_limits": [limit("address", "client_ip"), late],
        }))
        .to_string(),
    );
    let told = |arguments: &[&str], parts: &[&str]| {
        let run = explain(&file, arguments);
        assert_eq!(run.code, 0, "{}", run.out);
        for part in parts {
            assert!(run.out.contains(part), "{part:?} is not in\n{}", run.out);
        }
        run.out
    };
    let out = told(
        &["--path", "/health", "--repeat", "9"],
        &[
            "limits before the token skipped      address does not apply to this route (/routes/0/skip_limits)",
            "limits after the token  skipped      caller does not apply to this route (/routes/0/skip_limits)",
        ],
    );
    assert!(!out.contains("ratelimit"), "{out}");
    let token = minted(&[]);
    let out = told(
        &["--path", "/a", "--token", &token, "--client-ip", "10.0.0.1", "--repeat", "9"],
        &[
            "address does not apply to this route (/routes/1/skip_limits)",
            "limits after the token  skipped      caller does not count this address (/rate_limits/1/except_addresses)",
        ],
    );
    assert!(!out.contains("ratelimit"), "{out}");
    let out = told(&["--path", "/a", "--token", &token], &["caller admits, and warns: 1 of 1 requests"]);
    assert!(out.contains("ratelimit: \"caller\"") && !out.contains("except_addresses"), "{out}");
    let preflight = ["--method", "OPTIONS", "--path", "/b", "--header", "origin:https://a.example"];
    let asks = ["--header", "access-control-request-method:GET"];
    told(
        &[&preflight[..], &asks].concat(),
        &["for each client_ip, preflights apart", "a preflight needs no token (/request/cors_preflight)"],
    );
}

#[test]
fn each_new_step_of_a_route_is_told_with_its_pointer() {
    let routes = json!([
        { "path": "/inside", "access": "optional", "allow_from": ["127.0.0.0/8"], "deny_from": ["10.0.0.0/8"] },
        { "path": "/users/{id}", "bind": { "id": "sub" }, "bind_unless": ["users:admin"], "require": [
            { "claim": "level", "is": [3, "gold"] }, { "claim": "groups", "any": ["a"] },
            { "claim": "groups", "all": ["a", "b"] }, { "claim": "tenant", "equals_header": "x-tenant" } ] },
    ]);
    let file = File::new(config(json!({ "routes": routes })).to_string());
    let told = |arguments: &[&str], code: i32, parts: &[&str]| {
        let run = explain(&file, arguments);
        assert_eq!(run.code, code, "{}", run.out);
        for part in parts {
            assert!(run.out.contains(part), "{part:?} is not in\n{}", run.out);
        }
    };
    told(
        &["--path", "/inside"],
        0,
        &[
            "2 addresses               passed       only from 127.0.0.0/8 (/routes/0/allow_from)",
            "not from 10.0.0.0/8 (/routes/0/deny_from)",
            "no token is sent, and /routes/0 does without one",
            "/routes/0 asks for nothing",
        ],
    );
    told(
        &["--path", "/inside", "--client-ip", "10.0.0.1"],
        1,
        &["403 address_refused", "decided by /routes/0"],
    );
    told(
        &["--path", "/users/user-7", "--token", &minted(&[])],
        1,
        &[
            "403 condition_failed",
            "decided by /routes/1/require",
            "unless the caller has users:admin (/routes/1/bind_unless)",
            "the claim level must be 3 or \"gold\" (/routes/1/require/0)",
            "the claim groups must have \"a\" (/routes/1/require/1)",
            "the claim groups must have \"a\" and \"b\" (/routes/1/require/2)",
            "the claim tenant must be the header x-tenant, which stands once (/routes/1/require/3)",
        ],
    );
    told(
        &["--path", "/inside?_method=PUT", "--method", "POST"],
        1,
        &["400 request_malformed", "decided by /request/method_override"],
    );
}

#[test]
fn what_a_grpc_client_hears_is_told() {
    let file = File::new(config(json!({})).to_string());
    let call =
        ["--path", "/shop.Orders/List", "--method", "POST", "--header", "content-type:application/grpc"];
    let run = explain(&file, &call);
    let heard = "  grpc-status: 16\n  grpc-message: Missing or invalid Authorization header\n";
    assert!(run.code == 1 && run.out.ends_with(heard), "{run:?}");
    let report = explain(&file, &[&call[..], &["--json"]].concat()).json();
    let grpc = json!({ "status": 16, "message": "Missing or invalid Authorization header" });
    assert_eq!(report["reply"]["grpc"], grpc);
    let other = ["--path", "/shop.Orders/List", "--json"];
    assert_eq!(explain(&file, &other).json()["reply"].get("grpc"), None);
}

#[test]
fn a_manifest_of_json_may_escape_any_character() {
    let manifest = |path: &str| {
        let configuration = config(json!({ "routes": [{ "path": path, "access": "public" }] })).to_string();
        json!({
            "apiVersion": "extensions.istio.io/v1alpha1",
            "kind": "WasmPlugin",
            "metadata": { "name": "api-guard" },
            "spec": { "url": "oci://a/api-guard", "pluginConfig": serde_json::from_str::<serde_json::Value>(&configuration).unwrap() }
        })
        .to_string()
        .replace('😀', "\\ud83d\\ude00")
    };
    let file = File::new(manifest("/😀"));
    let run = explain(&file, &["--path", "/%F0%9F%98%80"]);
    assert!(run.code == 0 && run.out.contains("/😀"), "{run:?}");
}

#[test]
fn what_is_done_with_a_body_is_told_with_its_pointer() {
    let routes = json!([
        { "path": "/chat", "body": "stream" },
        { "path": "/image", "content_types": ["image/png"], "max_request_size_bytes": 9 },
        { "path": "/trial", "mode": "report" },
    ]);
    let file = File::new(config(json!({ "routes": routes, "revocation": { "endpoint": {} } })).to_string());
    let told = |path: &str, content_type: &str, body: &str, more: &[&str], code: i32, parts: &[&str]| {
        let content_type = format!("content-type:{content_type}");
        let token = minted(&[]);
        let mut arguments = vec!["--path", path, "--method", "POST", "--token", &token, "--body", body];
        arguments.extend(["--header", &content_type]);
        let run = explain(&file, &[&arguments[..], more].concat());
        assert_eq!(run.code, code, "{}", run.out);
        for part in parts {
            assert!(run.out.contains(part), "{part:?} is not in\n{}", run.out);
        }
    };
    let chunked = ["--header", "transfer-encoding:chunked"];
    let of_request = "at most 1048576 bytes (/request/max_request_size_bytes)";
    told("/a", "application/json", "{}", &[], 0, &["the body streams: ", of_request]);
    told("/a", "application/json", "{}", &chunked, 0, &["the body is held until it has ended: ", of_request]);
    told("/a", "application/grpc", "", &chunked, 0, &["1048576 bytes for each gRPC message (/request/max"]);
    told(
        "/chat",
        "application/json",
        "{}",
        &chunked,
        0,
        &["the body streams (/routes/0/body): ", of_request],
    );
    told("/a", "text/plain", "", &chunked, 0, &["/request/content_types does not have: it must be empty"]);
    let refused = [
        "415 unsupported_media_type",
        "decided by /routes/1/content_types",
        "Content-Type must be image/png",
    ];
    told("/image", "text/plain", "x", &chunked, 1, &refused);
    let refused = [
        "413 request_too_large",
        "decided by /routes/1/max_request_size_bytes",
        "at most 9 bytes (/routes/1/",
    ];
    told("/image", "image/png", "1234567890", &chunked, 1, &refused);
    let reported = ["would be 415 unsupported_media_type", "1 form                    would refuse"];
    told("/trial", "text/plain", "x", &chunked, 0, &reported);
    told("/auth/revoke", "text/plain", "", &chunked, 0, &["\"revoked\":true"]);
    let refused = ["415 unsupported_media_type", "decided by /revocation/endpoint"];
    told("/auth/revoke", "text/plain", "x", &chunked, 1, &refused);
}

#[test]
fn people_are_told_the_same() {
    let file = File::new(guarded().to_string());
    let run = explain(&file, &["--path", "/orders/1", "--token", &minted(&[])]);
    assert_eq!(run.code, 0);
    for part in [
        "allowed GET /orders/1\ndecided by /routes/1\n",
        "1 form                    passed       route read-order",
        "4 token                   passed       verifies with /tokens/keys/0",
        "caller admits: 1 of 3 requests in 60 seconds for each subject (/rate_limits/1)",
        "needs orders:read (/routes/1/required_permissions)",
        "x-auth-subject: user-7",
        "ratelimit: \"caller\";r=2;t=",
    ] {
        assert!(run.out.contains(part), "{part:?} is not in\n{}", run.out);
    }
    let run = explain(&file, &["--path", "/orders/1", "--method", "PATCH"]);
    assert_eq!(run.code, 1);
    for part in [
        "refused 405 method_not_allowed PATCH /orders/1",
        "Method PATCH not allowed",
        "allow: DELETE, GET",
        "not reached",
    ] {
        assert!(run.out.contains(part), "{part:?} is not in\n{}", run.out);
    }
    assert!(!run.out.contains('\x1b'), "no colour but on a terminal");
}

#[test]
fn report_mode_lets_pass_and_says_what_would_have_been() {
    let file = File::new(guarded().to_string());
    let run = explain(&file, &["--path", "/trial", "--token", &minted(&[]), "--json"]);
    let report = run.json();
    assert_eq!((run.code, &report["decision"]), (0, &json!("would_refuse")), "{report:#}");
    assert_eq!(report["code"], "permission_missing");
    assert_eq!(report["steps"][6]["state"], "would refuse");
    let limit = config(json!({ "rate_limits": [
        { "name": "trial", "max_requests": 1, "window_seconds": 60, "key": ["client_ip"], "mode": "report" } ] }));
    let file = File::new(limit.to_string());
    let run = explain(&file, &["--path", "/a", "--token", &minted(&[]), "--repeat", "2", "--json"]);
    let report = run.json();
    assert_eq!((run.code, &report["decision"]), (0, &json!("would_refuse")), "{report:#}");
    assert_eq!(report["steps"][2]["state"], "would refuse");
    assert_eq!(report["steps"][3]["state"], "passed");
}

#[test]
fn what_enforces_refuses_in_report_mode_too_and_both_steps_are_told() {
    let limit = config(json!({ "mode": "report", "rate_limits": [
        { "name": "hard", "max_requests": 1, "window_seconds": 60, "key": ["subject"], "mode": "enforce" } ] }));
    let file = File::new(limit.to_string());
    let arguments = ["--path", "/a", "--method", "PATCH", "--token", &minted(&[]), "--json"];
    let states = |report: &Value| -> Vec<String> {
        let steps = report["steps"].as_array().expect("steps").iter();
        steps.map(|step| step["state"].as_str().expect("a state").to_owned()).collect()
    };
    let run = explain(&file, &arguments);
    assert_eq!((run.code, &run.json()["code"]), (0, &json!("method_not_allowed")), "{run:?}");
    assert_eq!(
        states(&run.json()),
        ["would refuse", "not reached", "not reached", "passed", "passed", "passed", "not reached"]
    );
    let run = explain(&file, &[&arguments[..], &["--repeat", "2"]].concat());
    assert_eq!((run.code, &run.json()["code"]), (1, &json!("rate_limited")), "{run:?}");
    let states = states(&run.json());
    assert_eq!((states[0].as_str(), states[5].as_str()), ("would refuse", "refused"));
}

#[test]
fn a_token_goes_where_the_configuration_looks_for_it() {
    for source in [
        json!({ "header": "X-Token" }),
        json!({ "header": "authorization", "scheme": "Token" }),
        json!({ "cookie": "session" }),
        json!({ "query": "access_token" }),
    ] {
        let file = File::new(config(json!({ "tokens": { "sources": [source] } })).to_string());
        for path in ["/a", "/a?b=c"] {
            let run = explain(&file, &["--path", path, "--token", &minted(&[])]);
            assert_eq!(run.code, 0, "{source}: {run:?}");
        }
    }
}

#[test]
fn a_token_is_explained_with_its_scheme_before_it_too() {
    let file = File::new(guarded().to_string());
    for scheme in ["Bearer", "bearer"] {
        let token = format!("{scheme} {}", minted(&[]));
        assert_eq!(explain(&file, &["--path", "/orders/1", "--token", &token]).code, 0);
    }
}

#[test]
fn the_client_address_and_headers_count() {
    let only_https = config(
        json!({ "request": { "https_only": true }, "routes": [{ "path": "/", "access": "public", "hosts": ["*.example.org"] }] }),
    );
    let file = File::new(only_https.to_string());
    let host = ["--path", "/", "--header", "Host: api.example.org"];
    assert_eq!(explain(&file, &[&host[..], &["--header", "x-forwarded-proto:https"]].concat()).code, 0);
    // A URL tells its scheme, unless the header does.
    for (url, header, code) in [
        ("HTTPS://a.example.org/", "x:y", 0),
        ("http://a.example.org/", "x:y", 1),
        ("http://a.example.org/", "x-forwarded-proto:https", 0),
        ("https://a.example.org/", "x-forwarded-proto:http", 1),
    ] {
        let run = explain(&file, &["--path", url, "--header", header]);
        assert_eq!(run.code, code, "{url} {header}: {run:?}");
    }
    let run = explain(&file, &[&host[..], &["--json"]].concat());
    assert_eq!(
        (run.code, &run.json()["code"], &run.json()["rule"]),
        (1, &json!("https_required"), &json!("/request/https_only"))
    );
    let run = explain(
        &file,
        &["--path", "/", "--client-ip", "2001:db8::1", "--header", "x-forwarded-proto:https", "--json"],
    );
    assert_eq!(run.json()["code"], "token_missing");
}

#[test]
fn the_revocation_endpoint_answers_as_in_envoy() {
    let file = File::new(guarded().to_string());
    let token = minted(&[]);
    let to_endpoint = ["--path", "/auth/revoke", "--method", "POST", "--token", &token, "--json"];
    let run = explain(&file, &to_endpoint);
    assert_eq!((run.code, &run.json()["reply"]["body"]["revoked"]), (0, &json!(true)), "{run:?}");
    let body = ["--header", "content-type:application/json", "--body", r#"{"token":"x.y.z"}"#];
    let run = explain(&file, &[&to_endpoint[..], &body].concat());
    assert_eq!((run.code, &run.json()["reply"]["status"]), (1, &json!(400)), "{run:?}");
    assert_eq!(run.json()["errors"], json!(["Cannot revoke invalid token"]));
}

#[test]
fn wrong_usage_and_a_wrong_configuration_are_no_decision() {
    let file = File::new(guarded().to_string());
    for arguments in [
        &["explain"][..],
        &["explain", "--config", "/nowhere", "--path", "/"],
        &["explain", "--config", file.path()],
        &["explain", "--config", file.path(), "--path", "/", "--header", "nothing"],
        &["explain", "--config", file.path(), "--path", "/", "--client-ip", "somewhere"],
        &["explain", "--config", file.path(), "--path", "/", "--repeat", "0"],
    ] {
        let run = api_guard(arguments);
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{run:?}");
    }
    let wrong = File::new(r#"{"tokens":{"keys":[]},"mod":1}"#);
    let run = explain(&wrong, &["--path", "/"]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.contains("/mod") && run.err.contains("/tokens/keys"), "{run:?}");
}

#[test]
fn secrets_come_from_the_environment_and_are_never_shown() {
    let file = File::new(guarded().to_string());
    let token = minted(&[]);
    for json in [&[][..], &["--json"]] {
        let run = explain(&file, &[&["--path", "/orders/1", "--token", &token][..], json].concat());
        assert!(!format!("{run:?}").contains(SECRET));
    }
    let unset = |arguments: &[&str]| {
        run(command()
            .env_remove("API_GUARD_SECRET")
            .args(["explain", "--config", file.path()])
            .args(arguments))
    };
    assert_eq!(unset(&["--path", "/health"]).code, 0);
    let run = unset(&["--path", "/orders/1", "--json"]);
    assert_eq!((run.code, &run.json()["code"]), (1, &json!("token_missing")));
    let bearer = format!("authorization: Bearer {token}");
    for sent in [["--token", &token], ["--header", &bearer]] {
        let run = unset(&[&["--path", "/orders/1"], &sent[..]].concat());
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{run:?}");
        assert!(run.err.contains("/tokens/keys/0/secret/env"), "{run:?}");
    }
    // Whoever is on a public path is not asked for a token.
    assert_eq!(unset(&["--path", "/health", "--header", &bearer]).code, 0);
}

#[test]
fn a_secret_that_is_not_set_is_told_wherever_the_token_is_sent() {
    for (source, at) in [
        (json!({ "cookie": "session" }), ["--header", "cookie: session=a.b.c"]),
        (json!({ "header": "x-token" }), ["--header", "x-token: a.b.c"]),
        (json!({ "query": "access_token" }), ["--path", "/a?access_token=a.b.c"]),
    ] {
        let file = File::new(config(json!({ "tokens": { "sources": [source] } })).to_string());
        let mut command = command();
        let command = command.env_remove("API_GUARD_SECRET").args(["explain", "--config", file.path()]);
        let path = if at[0] == "--path" { &[][..] } else { &["--path", "/a"] };
        let run = run(command.args(at).args(path));
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{source}: {run:?}");
        assert!(run.err.contains("API_GUARD_SECRET is not set"), "{source}: {run:?}");
    }
}

#[test]
fn a_manifest_serves_as_a_configuration() {
    for file in
        ["envoy.yaml", "examples/envoy-gateway/extension-policy.yaml", "examples/istio/wasm-plugin.yaml"]
    {
        let path = project(file);
        let path = path.to_str().expect("a path");
        let run = api_guard(["explain", "--config", path, "--path", "/health", "--json"]);
        assert_eq!((run.code, &run.json()["route"]), (0, &json!("/health")), "{file}");
    }
}

#[test]
fn a_secret_that_is_not_set_is_told_in_words_for_a_shell() {
    let file = File::new(
        config(json!({ "tokens": { "keys": [{ "secret": { "env": "NOBODYS_SECRET" } }] } })).to_string(),
    );
    let run = api_guard(["explain", "--config", file.path(), "--path", "/", "--token", "a"]);
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("/tokens/keys/0/secret") && run.err.contains("export NOBODYS_SECRET="),
        "{run:?}"
    );
    assert!(!run.err.contains("Envoy"), "{run:?}");
}

#[test]
fn a_public_key_that_is_not_set_is_no_secret_to_be_made() {
    let key = json!({ "algorithm": "ES256", "public_key": { "env": "NOBODYS_KEY" } });
    let file = File::new(config(json!({ "tokens": { "keys": [key] } })).to_string());
    let run = explain(&file, &["--path", "/", "--token", "a"]);
    assert_eq!(run.code, 1);
    assert!(
        run.err.contains("/tokens/keys/0/public_key/env: the variable NOBODYS_KEY is not set"),
        "{run:?}"
    );
    assert!(run.err.contains("export NOBODYS_KEY=\"$(cat public.pem)\""), "{run:?}");
    assert!(run.err.contains("-pubout") && !run.err.contains("keygen"), "{run:?}");
}

#[test]
fn a_limit_of_a_fleet_is_judged_as_if_the_store_had_answered_and_told_as_shared() {
    let mut configuration = crate::emit::fleet::fleet();
    configuration["fleet"]["nodes"] = json!(3);
    configuration["rate_limits"][0]["max_requests"] = json!(6);
    configuration["rate_limits"][0]["when_unreachable"] = json!("refuse");
    let file = File::new(configuration.to_string());
    let token = minted(&[]);
    let arguments =
        ["explain", "--config", file.path(), "--path", "/x", "--token", token.as_str(), "--repeat"];
    let explain = |repeat: &str| {
        // The variables that are for the store need not be set.
        api_guard([&arguments[..], &[repeat]].concat())
    };
    let run = explain("6");
    assert!(run.code == 0 && run.out.contains("6 of 6 requests"), "{run:?}");
    assert!(run.out.contains("for each client_ip, shared by the fleet (/rate_limits/0)"), "{run:?}");
    let run = explain("7");
    assert!(run.code == 1 && run.out.contains("rate_limited"), "{run:?}");
}
