//! `api-guard check`.

use serde_json::{Value, json};

use crate::command::{Run, api_guard};
use crate::files::{File, config, project};

const ENVOY: &str = include_str!("../../envoy.yaml");

fn check(content: impl AsRef<[u8]>, more: &[&str]) -> Run {
    let file = File::new(content);
    api_guard([&["check", file.path()], more].concat())
}

/// Severity, rule, pointer and line of everything that is found.
fn found(content: impl AsRef<[u8]>) -> Vec<(String, String, String, u64)> {
    let run = check(content, &["--json"]);
    assert!(run.code < 2, "{run:?}");
    let report = run.json();
    let text = |finding: &Value, member: &str| finding[member].as_str().expect("a text").to_owned();
    let findings = report["findings"].as_array().expect("a list").iter();
    findings
        .map(|finding| {
            assert!(finding["column"].as_u64().expect("a column") >= 1);
            let line = finding["line"].as_u64().expect("a line");
            (text(finding, "severity"), text(finding, "rule"), text(finding, "pointer"), line)
        })
        .collect()
}

/// Only rules and pointers.
fn rules(content: impl AsRef<[u8]>) -> Vec<(String, String)> {
    found(content).into_iter().map(|(_, rule, pointer, _)| (rule, pointer)).collect()
}

#[test]
fn everything_that_ships_is_clean() {
    for file in [
        "envoy.yaml",
        "examples/compose/envoy.yaml",
        "examples/api-guard.json",
        "examples/envoy/bootstrap.yaml",
        "examples/istio/wasm-plugin.yaml",
        "examples/envoy-gateway/extension-policy.yaml",
    ] {
        let path = project(file);
        let run = api_guard(["check".as_ref(), path.as_os_str(), "--strict".as_ref()]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.out.ends_with("0 errors, 0 warnings\n"), "{run:?}");
    }
}

#[test]
fn every_error_has_its_pointer_line_and_column_and_what_to_write_instead() {
    let text = r#"{
  "tokens": { "keys": [ { "secret": { "env": "API_GUARD_SECRET" } } ] },
  "request": {
    "max_request_size_bytes": 0
  },
  "routes": [ { "path": "/a", "metods": ["GET"] },
              { "path": "/b", "methods": ["get"] } ]
}"#;
    let run = check(text, &[]);
    assert_eq!(run.code, 1);
    let lines: Vec<&str> = run.out.lines().collect();
    assert_eq!(lines.len(), 4, "{}", run.out);
    let expected = [
        (":4:5: error: /request/max_request_size_bytes: 0: out of range; write", 0),
        (":6:31: error: /routes/0/metods: unknown field; write", 1),
        (":7:43: error: /routes/1/methods/0: \"get\": not a method; write", 2),
        (": 3 errors, 0 warnings", 3),
    ];
    for (part, line) in expected {
        assert!(lines[line].contains(part), "{part} is not in {}", lines[line]);
    }
}

#[test]
fn errors_in_a_manifest_have_the_line_of_the_manifest() {
    let wrong = ENVOY.replace(
        r#"{ "path": "/health", "access": "public" }"#,
        r#"{ "path": "/health", "access": "open" }"#,
    );
    let line = wrong.lines().position(|line| line.contains("\"open\"")).expect("the line") as u64 + 1;
    assert_eq!(
        found(&wrong),
        [("error".to_owned(), "configuration".to_owned(), "/routes/0/access".to_owned(), line)]
    );
    // The same bootstrap as JSON, with the configuration as an escaped text on one line.
    let plugin = r#"{"tokens":{"keys":[]}}"#;
    let bootstrap = json!({ "static_resources": { "filters": [{
        "name": "api_guard",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "failure_policy": "FAIL_RELOAD", "allow_on_headers_stop_iteration": true,
                "vm_config": { "vm_id": "a", "runtime": "envoy.wasm.runtime.v8" },
                "configuration": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": plugin },
            },
        },
    }] } });
    let run = check(serde_json::to_string_pretty(&bootstrap).expect("JSON"), &["--json"]);
    let report = run.json();
    let finding =
        report["findings"].as_array().expect("a list").iter().find(|one| one["rule"] == "configuration");
    let finding = finding.expect("the error");
    assert_eq!(finding["pointer"], "/tokens/keys");
    assert_eq!(finding["within"], "/static_resources/filters/0/typed_config/config/configuration/value");
    let text = serde_json::to_string_pretty(&bootstrap).expect("JSON");
    let line = text.lines().nth(finding["line"].as_u64().expect("a line") as usize - 1).expect("the line");
    assert!(line.contains("tokens"), "{line}");
}

#[test]
fn what_is_legal_but_dangerous_in_a_configuration_is_warned_of() {
    let limit = |name: &str, max: u64, window: u64, key: &[&str]| json!({ "name": name, "max_requests": max, "window_seconds": window, "key": key });
    let routes = |routes: Value| json!({ "routes": routes });
    let secret = |secret: Value| json!({ "tokens": { "keys": [{ "secret": secret }] } });
    let strong = "dQ8kRz1vYw5mXc7nBt3hJp9fLs2gKa4e";
    for (changes, rule, pointer) in [
        (json!({ "mode": "report" }), "report-mode", "/mode"),
        (routes(json!([{ "path": "/a", "mode": "report" }])), "report-mode", "/routes/0/mode"),
        (json!({ "unmatched_routes": "public" }), "unmatched-public", "/unmatched_routes"),
        (json!({ "request": { "method_override": "keep" } }), "method-override", "/request/method_override"),
        (json!({ "request": { "rewrite_headers": "keep" } }), "rewrite-headers", "/request/rewrite_headers"),
        (json!({ "client_ip": { "ipv6_prefix": 128 } }), "ipv6-prefix", "/client_ip/ipv6_prefix"),
        (json!({ "rate_limits": [] }), "no-limits", "/rate_limits"),
        (
            json!({ "tokens": { "sources": [{ "query": "access_token" }] } }),
            "query-token",
            "/tokens/sources/0/query",
        ),
        (json!({ "tokens": { "required_claims": ["sub"] } }), "no-expiry", "/tokens/required_claims"),
        (json!({ "tokens": { "clock_skew_seconds": 3600 } }), "large-skew", "/tokens/clock_skew_seconds"),
        (secret(json!({ "value": strong })), "inline-secret", "/tokens/keys/0/secret/value"),
        (
            json!({ "tokens": { "keys": [
                { "kid": "a", "secret": { "value": strong } }, { "kid": "b", "secret": { "value": strong } } ] } }),
            "repeated-secret",
            "/tokens/keys/1/secret/value",
        ),
        (
            secret(json!({ "value": "your-256-bit-secret-your-256-bit-secret" })),
            "weak-secret",
            "/tokens/keys/0/secret/value",
        ),
        (
            secret(json!({ "base64url": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA" })),
            "weak-secret",
            "/tokens/keys/0/secret/base64url",
        ),
        (
            json!({ "rate_limits": [limit("a", 9, 9, &["header:x-tenant"])] }),
            "header-key",
            "/rate_limits/0/key/0",
        ),
        // In any 60 seconds at most 50 come: 100 are never reached.
        (
            json!({ "rate_limits": [limit("burst", 100, 60, &["subject"]), limit("hour", 50, 3600, &["subject"])] }),
            "longer-window-lower-limit",
            "/rate_limits/0/max_requests",
        ),
        // 10 a second are 600 a minute.
        (
            json!({ "rate_limits": [limit("second", 10, 1, &["subject"]), limit("minute", 600, 60, &["subject"])] }),
            "useless-limit",
            "/rate_limits/1/max_requests",
        ),
        // One address sends at least as many requests as any single subject at that address.
        (
            json!({ "rate_limits": [limit("both", 9, 9, &["subject", "client_ip"]), limit("one", 9, 9, &["client_ip"])] }),
            "useless-limit",
            "/rate_limits/0/max_requests",
        ),
        (
            json!({ "routes": [{ "path": "/a", "rate_limits": [limit("own", 200, 60, &["client_ip", "subject"])] }] }),
            "useless-limit",
            "/routes/0/rate_limits/0/max_requests",
        ),
        (
            routes(json!([{ "path": "/a/{*rest}" }, { "path": "/a/{x}" }, { "path": "/a/{x}/{*more}" }])),
            "route-hidden",
            "/routes/0/path",
        ),
        (
            routes(json!([{ "path": "/admin/{*rest}", "required_permissions": ["admin:all"] },
                          { "path": "/admin/{page}" }])),
            "route-hidden",
            "/routes/0/path",
        ),
        (
            routes(json!([{ "path": "/admin/{*rest}", "required_permissions": ["admin:all"] },
                          { "path": "/admin/{page}", "access": "public" }])),
            "route-hidden",
            "/routes/0/path",
        ),
        (
            routes(
                json!([{ "path": "/a/{*rest}", "methods": ["GET", "POST"] }, { "path": "/a/{x}", "methods": ["GET"] }]),
            ),
            "route-hidden",
            "/routes/0/path",
        ),
    ] {
        let text = config(changes.clone()).to_string();
        let rules = rules(&text);
        assert!(
            rules.iter().any(|(found, at)| found == rule && at == pointer),
            "{changes} should give {rule} at {pointer}: {rules:?}"
        );
        assert_eq!(check(&text, &[]).code, 0, "{changes}");
        assert_eq!(check(&text, &["--strict"]).code, 1, "{changes}");
    }
}

#[test]
fn what_is_as_it_should_be_is_not_warned_of() {
    let limit = |name: &str, max: u64, window: u64, key: &[&str]| json!({ "name": name, "max_requests": max, "window_seconds": window, "key": key });
    for changes in [
        json!({}),
        json!({ "routes": [{ "path": "/orders/{id}" }, { "path": "/orders/search", "methods": ["POST"] },
                           { "path": "/orders/{id}/items" }, { "path": "/{*rest}", "access": "deny" }] }),
        json!({ "routes": [{ "path": "/a", "methods": ["GET"] }, { "path": "/a", "methods": ["POST"] },
                           { "path": "/a", "methods": ["GET"], "hosts": ["*.example.org"] }] }),
        json!({ "rate_limits": [limit("burst", 10, 1, &["subject"]), limit("hour", 1000, 3600, &["subject"])] }),
        json!({ "rate_limits": [limit("address", 1000, 60, &["client_ip"]), limit("caller", 100, 60, &["subject"])] }),
        json!({ "rate_limits": [limit("all", 1000, 60, &["client_ip"])],
                "routes": [{ "path": "/a", "rate_limits": [limit("own", 10, 60, &["client_ip"])] }] }),
    ] {
        assert_eq!(rules(config(changes.clone()).to_string()), [], "{changes}");
    }
}

#[test]
fn what_envoy_must_be_told_is_known() {
    let manager = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
    let plugin = format!("{manager}/http_filters/0/typed_config/config");
    let list = "capability_restriction_config: { allowed_capabilities: { proxy_on_configure: {} } }\n                        root_id: api_guard";
    for (old, new, severity, rule, pointer) in [
        (
            "use_remote_address: true",
            "skip_xff_append: true",
            "warning",
            "forged-address",
            format!("{manager}/use_remote_address"),
        ),
        (
            "normalize_path: true",
            "normalize_path: false",
            "warning",
            "path-options",
            format!("{manager}/normalize_path"),
        ),
        ("merge_slashes: true", "", "warning", "path-options", format!("{manager}/merge_slashes")),
        (
            "action: REJECT_REQUEST",
            "action: UNESCAPE_AND_FORWARD",
            "warning",
            "path-options",
            format!("{manager}/path_with_escaped_slashes_action"),
        ),
        (
            "failure_policy: FAIL_RELOAD",
            "failure_policy: FAIL_OPEN",
            "error",
            "fail-open",
            format!("{plugin}/failure_policy"),
        ),
        (
            "failure_policy: FAIL_RELOAD",
            "fail_open: true",
            "error",
            "fail-open",
            format!("{plugin}/fail_open"),
        ),
        (
            "failure_policy: FAIL_RELOAD",
            "failOpen: true",
            "error",
            "fail-open",
            format!("{plugin}/fail_open"),
        ),
        ("failure_policy: FAIL_RELOAD", "", "warning", "no-reload", format!("{plugin}/failure_policy")),
        ("vm_id: api_guard", "", "warning", "no-vm-id", format!("{plugin}/vm_config/vm_id")),
        (
            "allow_on_headers_stop_iteration: true",
            "",
            "warning",
            "headers-stop",
            format!("{plugin}/allow_on_headers_stop_iteration"),
        ),
        (
            "host_env_keys: [API_GUARD_SECRET]",
            "host_env_keys: [OTHER]",
            "error",
            "variable-not-listed",
            format!("{plugin}/vm_config/environment_variables"),
        ),
        (
            "host_env_keys: [API_GUARD_SECRET]",
            "key_values: { API_GUARD_SECRET: dQ8kRz1vYw5mXc7nBt3hJp9fLs2gKa4e }",
            "warning",
            "inline-secret",
            format!("{plugin}/vm_config/environment_variables"),
        ),
        (
            "root_id: api_guard",
            list,
            "error",
            "capabilities",
            format!("{plugin}/capability_restriction_config/allowed_capabilities"),
        ),
        (
            "- name: api_guard\n",
            "- name: api_guard\n                    disabled: true\n",
            "warning",
            "switched-off",
            format!("{manager}/http_filters/0/disabled"),
        ),
        (
            "route: { cluster: upstream }",
            "route: { cluster: upstream }\n                          typed_per_filter_config: { api_guard: { disabled: true } }",
            "warning",
            "switched-off",
            format!("{manager}/route_config/virtual_hosts/0/routes/0/typed_per_filter_config/api_guard"),
        ),
    ] {
        assert!(ENVOY.contains(old), "{old}");
        let changed = ENVOY.replacen(old, new, 1);
        let found = found(&changed);
        assert!(
            found.iter().any(|(level, name, at, line)| level == severity
                && name == rule
                && *at == pointer
                && *line > 1),
            "{new:?} should give {rule} at {pointer}: {found:?}"
        );
        let is_error = severity == "error";
        assert_eq!(check(&changed, &[]).code, i32::from(is_error), "{new}");
        assert_eq!(check(&changed, &["--strict"]).code, 1, "{new}");
    }
}

#[test]
fn https_only_without_use_remote_address_believes_the_client() {
    let changed = ENVOY
        .replace("use_remote_address: true", "")
        .replace("\"revocation\": {", "\"request\": { \"https_only\": true }, \"revocation\": {");
    let run = check(changed, &[]);
    assert!(run.out.contains("https_only believes whoever says https"), "{run:?}");
}

#[test]
fn a_struct_is_an_error_and_its_content_is_checked_all_the_same() {
    let start = ENVOY.find("                          value: |").expect("the value");
    let end = ENVOY.find("                  - name: envoy.filters.http.router").expect("the router");
    let value = "                          value: { tokens: { keys: [ { secret: { env: API_GUARD_SECRET } } ] }, mode: reprot }\n";
    let changed = format!("{}{value}{}", &ENVOY[..start], &ENVOY[end..]).replacen(
        "google.protobuf.StringValue",
        "google.protobuf.Struct",
        1,
    );
    let rules = rules(changed);
    assert_eq!(rules.len(), 2, "{rules:?}");
    assert_eq!(rules[0].0, "struct");
    assert_eq!(rules[1], ("configuration".to_owned(), "/mode".to_owned()));
}

#[test]
fn every_filter_of_a_file_is_checked() {
    let start = ENVOY.find("    - name: api\n").expect("the listener");
    let end = ENVOY.find("    # The guarded API").expect("its end");
    let listener = &ENVOY[start..end];
    let twice = ENVOY.replacen(
        listener,
        &format!(
            "{}{}",
            listener.replace("\"/health\"", "\"health\""),
            listener.replace("\"GET\"", "\"get\"")
        ),
        1,
    );
    let pointers: Vec<String> = rules(twice).into_iter().map(|(_, pointer)| pointer).collect();
    assert_eq!(pointers, ["/routes/0/path", "/routes/1/methods/0"]);
}

#[test]
fn other_modules_are_left_alone() {
    let other = "                  - name: other\n                    typed_config:\n                      \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n                      config: { name: other, fail_open: true, configuration: { \"@type\": type.googleapis.com/google.protobuf.StringValue, value: x } }\n                  - name: api_guard\n";
    assert_eq!(rules(ENVOY.replacen("                  - name: api_guard\n", other, 1)), []);
    let none = check("static_resources: {}\n", &[]);
    assert_eq!(none.code, 1);
    assert!(none.out.contains("no api-guard filter"), "{none:?}");
}

#[test]
fn what_istio_and_envoy_gateway_must_be_told_is_known() {
    let istio = include_str!("../../examples/istio/wasm-plugin.yaml");
    let gateway = include_str!("../../examples/envoy-gateway/extension-policy.yaml");
    for (file, old, new, rule, pointer) in [
        (istio, "failStrategy: FAIL_RELOAD", "failStrategy: FAIL_OPEN", "fail-open", "/spec/failStrategy"),
        (istio, "failStrategy: FAIL_RELOAD", "", "no-reload", "/spec/failStrategy"),
        (
            istio,
            "valueFrom: HOST",
            "value: dQ8kRz1vYw5mXc7nBt3hJp9fLs2gKa4e",
            "inline-secret",
            "/spec/vmConfig/env",
        ),
        (istio, "- name: API_GUARD_SECRET", "- name: OTHER", "variable-not-listed", "/spec/vmConfig/env"),
        (istio, "\"access\": \"public\"", "\"access\": \"open\"", "configuration", "/routes/0/access"),
        (gateway, "\n      failOpen: false", "\n      failOpen: true", "fail-open", "/spec/wasm/0/failOpen"),
        (
            gateway,
            "hostKeys: [API_GUARD_SECRET]",
            "hostKeys: []",
            "variable-not-listed",
            "/spec/wasm/0/env/hostKeys",
        ),
        (gateway, "\"access\": \"public\"", "\"access\": \"open\"", "configuration", "/routes/0/access"),
    ] {
        assert!(file.contains(old), "{old}");
        let rules = rules(file.replacen(old, new, 1));
        assert!(rules.iter().any(|(found, at)| found == rule && at == pointer), "{new}: {rules:?}");
    }
    let text = istio.replacen("  pluginConfig:\n", "  pluginConfig: |\n", 1);
    assert_eq!(rules(text), [("no-configuration".to_owned(), "/spec/pluginConfig".to_owned())]);
}

#[test]
fn a_file_that_cannot_be_read_is_wrong_usage_and_one_that_makes_no_sense_is_an_error() {
    assert_eq!(api_guard(["check", "/nowhere/at-all.json"]).code, 2);
    assert_eq!(api_guard(["check"]).code, 2);
    for (content, part) in [
        (&b"{\"tokens\": }"[..], ":1:12: error"),
        (b"a: [1", "error"),
        (b"", "error"),
        (b"{\"a\": \"\xff\"}", ":1:8: error"),
        (b"{\"tokens\": {}, \"tokens\": {}}", ":1:16: error: /tokens: this name appears more than once"),
    ] {
        let run = check(content, &[]);
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.out.contains(part), "{part}: {run:?}");
    }
}

#[test]
fn no_secret_is_shown() {
    let secret = "hunter2-hunter2-hunter2-hunter2-hunter2";
    let text = config(json!({ "tokens": { "keys": [{ "secret": { "value": secret } }] } })).to_string();
    let in_manifest = ENVOY.replace(
        "host_env_keys: [API_GUARD_SECRET]",
        &format!("key_values: {{ API_GUARD_SECRET: {secret} }}"),
    );
    for content in [text, in_manifest] {
        for more in [&[][..], &["--json"]] {
            let run = check(&content, more);
            assert!(!format!("{run:?}").contains("hunter2"), "{run:?}");
        }
    }
}

#[test]
fn the_documents_list_every_rule_and_no_other() {
    use std::collections::BTreeSet;
    let mut rules = BTreeSet::from(["configuration".to_owned(), "syntax".to_owned(), "no-filter".to_owned()]);
    for entry in std::fs::read_dir(project("src/bin/api-guard/check")).expect("the rules") {
        let source = std::fs::read_to_string(entry.expect("a file").path()).expect("a source");
        for call in [".error(", ".warn(", ".add("] {
            let named = source
                .split(call)
                .skip(1)
                .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
            rules.extend(named.map(str::to_owned));
        }
    }
    let page = include_str!("../../docs/command.md");
    let table = page
        .split("## What `check` warns of")
        .nth(1)
        .expect("the table")
        .split("## ")
        .next()
        .expect("its end");
    let rows = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    let listed: BTreeSet<String> =
        rows.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect();
    assert_eq!(listed, rules);
}
