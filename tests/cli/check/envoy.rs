//! What `check` says of an Envoy configuration.

use super::{ENVOY, assert_silent, assert_told, check, found, rules, told};
use crate::files::project;

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
fn encoded_slashes_reach_the_guard_where_a_route_allows_them() {
    let allowing = ENVOY.replace(
        "\"path\": \"/users/{id}\",",
        "\"path\": \"/users/{id}\", \"allow_in_path\": [\"encoded_slash\"],",
    );
    let told = |text: &str| check(text, &[]).out;
    assert!(told(&allowing).contains("write KEEP_UNCHANGED"), "{}", told(&allowing));
    for kept in ["KEEP_UNCHANGED", "IMPLEMENTATION_SPECIFIC_DEFAULT"] {
        assert!(!told(&allowing.replace("REJECT_REQUEST", kept)).contains("path-options"));
        assert!(told(&ENVOY.replace("REJECT_REQUEST", kept)).contains("write REJECT_REQUEST"));
    }
    assert!(
        told(&allowing.replace("REJECT_REQUEST", "UNESCAPE_AND_FORWARD")).contains("write KEEP_UNCHANGED")
    );
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
fn other_modules_are_left_alone() {
    let other = "                  - name: other\n                    typed_config:\n                      \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n                      config: { name: other, fail_open: true, configuration: { \"@type\": type.googleapis.com/google.protobuf.StringValue, value: x } }\n                  - name: api_guard\n";
    assert_eq!(rules(ENVOY.replacen("                  - name: api_guard\n", other, 1)), []);
    let none = check("static_resources: {}\n", &[]);
    assert_eq!(none.code, 1);
    assert!(none.out.contains("no api-guard filter"), "{none:?}");
}

#[test]
fn addresses_that_clients_choose_open_what_goes_by_addresses() {
    let forged = ENVOY.replace("use_remote_address: true", "skip_xff_append: true");
    let pointer = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/use_remote_address";
    let believed = "except_addresses believe what they write";
    for (before, setting) in [
        (r#""access": "public""#, r#", "allow_from": ["10.0.0.0/8"]"#),
        (r#""access": "public""#, r#", "deny_from": ["10.0.0.0/8"]"#),
        (
            r#""unmatched_routes": "deny","#,
            r#""rate_limits": [{ "name": "a", "max_requests": 9, "window_seconds": 9, "except_addresses": ["10.0.0.0/8"] }],"#,
        ),
    ] {
        let run = check(forged.replacen(before, &format!("{before}{setting}"), 1), &[]);
        assert!(run.out.contains(pointer) && run.out.contains(believed), "{setting}: {run:?}");
    }
    assert!(!check(&forged, &[]).out.contains(believed));
}

#[test]
fn metrics_without_labels_are_told_in_a_whole_bootstrap() {
    let (before, rest) = ENVOY.split_once("stats_config:").expect("labels");
    let (tags, after) = rest.split_once("\n\n").expect("an end");
    let none = format!("{before}\n{after}");
    let told = ("warning", "/stats_config/stats_tags", "", "decision, code, limit");
    assert_told(&none, "metric-labels", told);
    let lacking = ENVOY.replacen("tag_name: kid", "tag_name: key", 1);
    let told = ("warning", "/stats_config/stats_tags", "", "without the labels kid,");
    assert_told(&lacking, "metric-labels", told);
    // Labels of what the configuration does not have are not missed, nor any in a file that has no bootstrap.
    assert!(tags.contains("tag_name: use"));
    assert_silent(&ENVOY.replacen("tag_name: use", "tag_name: usage", 1), "metric-labels");
    // The library's metrics have another prefix.
    let library = project("examples/compose/envoy-native.yaml");
    let library = std::fs::read_to_string(library).expect("the bootstrap");
    assert_silent(&library, "metric-labels");
    let other = library.replace("'^dynamicmodulescustom", "'^wasmcustom");
    assert_told(&other, "metric-labels", ("warning", "/stats_config/stats_tags", "", "dynamicmodulescustom"));
}

#[test]
fn a_filter_without_a_module_is_told() {
    let library = project("examples/compose/envoy-native.yaml");
    let library = std::fs::read_to_string(library).expect("the bootstrap");
    for (text, old, below, file) in [
        (ENVOY, "code: { local: { filename: ", "/vm_config/code", "api_guard.wasm"),
        (&library, "module: { local: { filename: ", "/dynamic_module_config/module", "libapi_guard.so"),
    ] {
        let line = text.lines().find(|line| line.contains(old)).expect("the module");
        for less in ["", "local: {}"] {
            let name = old.split_once(':').expect("a name").0;
            let new = format!("{}{name}: {{ {less} }}", " ".repeat(line.len() - line.trim_start().len()));
            let found = told(text.replacen(line, &new, 1));
            let found = found.iter().find(|told| told.rule == "no-module").expect("a finding");
            assert!(found.severity == "error" && found.pointer.ends_with(below), "{found:?}");
            assert!(found.message.contains(file), "{found:?}");
        }
        assert_silent(text, "no-module");
    }
}
