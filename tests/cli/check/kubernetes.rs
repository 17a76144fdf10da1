//! What `check` says of resources of Kubernetes.

use super::{assert_silent, assert_told, check, rules};
use crate::command::api_guard;
use crate::files::File;

#[test]
fn what_istio_and_envoy_gateway_must_be_told_is_known() {
    let istio = include_str!("../../../examples/istio/wasm-plugin.yaml");
    let gateway = include_str!("../../../examples/envoy-gateway/extension-policy.yaml");
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
fn what_other_resources_do_behind_the_guard_is_warned_of() {
    let gateway = include_str!("../../../examples/envoy-gateway/extension-policy.yaml");
    let istio = include_str!("../../../examples/istio/wasm-plugin.yaml");
    let hosted = |file: &str| {
        let file = file.replacen(
            "\"path\": \"/health\"",
            "\"path\": \"/health\", \"hosts\": [\"api.example.com\"]",
            1,
        );
        assert!(file.contains("hosts"));
        file
    };
    let route = "---\nkind: HTTPRoute\napiVersion: v1\nspec:\n  rules:\n    - filters:\n        - urlRewrite:\n            path: { replacePrefixMatch: / }\n            hostname: a\n";
    let service = "---\nkind: VirtualService\napiVersion: v1\nspec:\n  http:\n    - rewrite:\n        uri: /\n        authority: a\n";
    let route_at = "/spec/rules/0/filters/0/urlRewrite";
    let service_at = "/spec/http/0/rewrite";
    for (file, resource, path, host) in [
        (gateway, route, format!("{route_at}/path"), format!("{route_at}/hostname")),
        (istio, service, format!("{service_at}/uri"), format!("{service_at}/authority")),
    ] {
        let line = |pointer: &str| pointer.rsplit('/').next().expect("a name").to_owned();
        let told = ("warning", path.as_str(), &*line(&path), "let the service take the paths");
        assert_told(&format!("{file}{resource}"), "path-rewrite", told);
        assert_silent(&format!("{file}{resource}"), "host-rewrite");
        let told = ("warning", host.as_str(), &*line(&host), "remove this, or hosts");
        assert_told(&format!("{}{resource}", hosted(file)), "host-rewrite", told);
        assert_silent(file, "path-rewrite");
    }
    let policy =
        "---\nkind: ClientTrafficPolicy\napiVersion: v1\nspec:\n  http1:\n    enableTrailers: true\n";
    let told = ("warning", "/spec/http1/enableTrailers", "enableTrailers", "remove this");
    assert_told(&format!("{gateway}{policy}"), "trailers", told);
    assert_silent(&format!("{gateway}{}", policy.replace("true", "false")), "trailers");
    let allowing = changed(
        gateway,
        "\"path\": \"/orders/{id}\"",
        "\"path\": \"/orders/{id}\", \"allow_in_path\": [\"encoded_slash\"]",
    );
    let policy = "---\nkind: ClientTrafficPolicy\napiVersion: v1\nspec:\n  path:\n    escapedSlashesAction: RejectRequest\n";
    let told = ("warning", "/spec/path/escapedSlashesAction", "escapedSlashesAction", "write KeepUnchanged");
    assert_told(&format!("{allowing}{policy}"), "path-options", told);
    assert_silent(&format!("{gateway}{policy}"), "path-options");
    assert_silent(&format!("{allowing}{}", policy.replace("RejectRequest", "KeepUnchanged")), "path-options");
}

const TRAFFIC: &str = include_str!("../../../examples/istio/traffic-extension.yaml");
const GATEWAY: &str = include_str!("../../../examples/envoy-gateway/extension-policy.yaml");

/// The text with one place changed.
fn changed(text: &str, old: &str, new: &str) -> String {
    assert!(text.contains(old), "{old}");
    text.replacen(old, new, 1)
}

#[test]
fn fail_open_is_an_error_in_every_resource() {
    let plugin = include_str!("../../../examples/istio/wasm-plugin.yaml");
    let of_filter = "/spec/configPatches/1/patch/value/typed_config/config";
    let patch = "path: failure_policy\n        value: FAIL_RELOAD";
    let open = "path: failure_policy\n        value: FAIL_OPEN";
    for (content, pointer, line) in [
        (
            changed(TRAFFIC, "failStrategy: FAIL_RELOAD", "failStrategy: FAIL_OPEN"),
            "/spec/wasm/failStrategy",
            "failStrategy",
        ),
        (
            changed(plugin, "failStrategy: FAIL_RELOAD", "failStrategy: FAIL_OPEN"),
            "/spec/failStrategy",
            "failStrategy",
        ),
        (
            changed(TRAFFIC, "failure_policy: FAIL_RELOAD", "failure_policy: FAIL_OPEN"),
            &format!("{of_filter}/failure_policy"),
            "failure_policy",
        ),
        (
            changed(TRAFFIC, "root_id: api_guard", "failOpen: true"),
            &format!("{of_filter}/fail_open"),
            "failOpen",
        ),
        (changed(GATEWAY, "failOpen: false", "failOpen: true"), "/spec/wasm/0/failOpen", "failOpen"),
        (changed(GATEWAY, patch, open), "/spec/jsonPatches/1/operation/value", "value: FAIL_OPEN"),
        (
            changed(GATEWAY, patch, "path: typed_config/config/fail_open\n        value: true"),
            "/spec/jsonPatches/1/operation/value",
            "value: true",
        ),
        (
            changed(GATEWAY, patch, "path: config\n        value: { failure_policy: FAIL_OPEN }"),
            "/spec/jsonPatches/1/operation/value/failure_policy",
            "value: {",
        ),
    ] {
        assert_told(&content, "fail-open", ("error", pointer, line, "write"));
    }
}

#[test]
fn an_open_filter_is_found_in_a_typed_struct_and_in_a_merged_patch() {
    let head = "apiVersion: networking.istio.io/v1alpha3\nkind: EnvoyFilter\nmetadata: { name: a }\nspec:\n  configPatches:\n";
    let added = "    - applyTo: EXTENSION_CONFIG\n      patch:\n        operation: ADD\n        value:\n          name: api_guard\n          typed_config:\n            \"@type\": type.googleapis.com/udpa.type.v1.TypedStruct\n            type_url: type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n            value:\n              config:\n                failure_policy: FAIL_OPEN\n                vm_config: { vm_id: a, runtime: envoy.wasm.runtime.v8 }\n";
    let told = (
        "error",
        "/spec/configPatches/0/patch/value/typed_config/value/config/failure_policy",
        "failure_policy",
        "write FAIL_RELOAD",
    );
    assert_told(&format!("{head}{added}"), "fail-open", told);
    let merged = "    - applyTo: HTTP_FILTER\n      match: { listener: { filterChain: { filter: { name: a, subFilter: { name: istio-system.api-guard } } } } }\n      patch:\n        operation: MERGE\n        value:\n          typed_config:\n            \"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm\n            config:\n              failure_policy: FAIL_OPEN\n";
    let at = "/spec/configPatches/0/patch/value/typed_config/config/failure_policy";
    assert_told(&format!("{head}{merged}"), "fail-open", ("error", at, "failure_policy", "write"));
    // Beside the resource that it opens, too.
    assert!(
        rules(format!("{TRAFFIC}---\n{head}{merged}")).contains(&("fail-open".to_owned(), at.to_owned()))
    );
    // What is merged is no filter of its own.
    assert_eq!(rules(format!("{head}{}", merged.replace("FAIL_OPEN", "FAIL_RELOAD"))), []);
}

#[test]
fn a_patch_that_takes_the_guard_away_is_an_error() {
    let filter = changed(TRAFFIC, "operation: REPLACE", "operation: REMOVE");
    let told = ("error", "/spec/configPatches/0/patch/operation", "operation: REMOVE", "remove the patch");
    assert_told(&filter, "guard-removed", told);
    let policy = "apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: EnvoyPatchPolicy\nspec:\n  jsonPatches:\n    - operation:\n        op: remove\n        jsonPath: \"..http_filters[?(@.name=='envoy.filters.http.wasm/envoyextensionpolicy/default/api-guard/wasm/0')]\"\n";
    assert_told(
        policy,
        "guard-removed",
        ("error", "/spec/jsonPatches/0/operation", "- operation", "remove the patch"),
    );
}

#[test]
fn what_one_resource_cannot_say_another_does() {
    let endpoint = "\"revocation\": { \"endpoint\": {} }, \"unmatched_routes\": \"deny\"";
    let with_endpoint = |text: &str| text.replace("\"unmatched_routes\": \"deny\"", endpoint);
    for text in [TRAFFIC, GATEWAY] {
        assert_silent(&with_endpoint(text), "headers-stop");
        let alone = with_endpoint(text.split("\n---\n").next().expect("the first"));
        let all = rules(&alone);
        assert!(all.iter().any(|(rule, _)| rule == "headers-stop"), "{all:?}");
    }
    let filter = changed(
        TRAFFIC,
        "              allow_on_headers_stop_iteration: true",
        "              allow_on_headers_stop_iteration: false",
    );
    assert!(rules(with_endpoint(&filter)).iter().any(|(rule, _)| rule == "headers-stop"));
}

/// A ConfigMap that has this text.
fn config_map(name: &str, text: &str) -> String {
    let lines: String = text.lines().map(|line| format!("    {line}\n")).collect();
    format!(
        "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: a\ndata:\n  other: |\n    not: ours\n  {name}: |\n{lines}"
    )
}

#[test]
fn a_config_map_is_read_for_what_it_holds() {
    let bootstrap = include_str!("../../../envoy.yaml");
    let configuration = include_str!("../../../examples/api-guard.json");
    for (text, old, new, rule, pointer) in [
        (
            bootstrap,
            "failure_policy: FAIL_RELOAD",
            "failure_policy: FAIL_OPEN",
            "fail-open",
            "/failure_policy",
        ),
        (bootstrap, "\"access\": \"public\"", "\"access\": \"open\"", "configuration", "/routes/0/access"),
        (
            TRAFFIC,
            "failStrategy: FAIL_RELOAD",
            "failStrategy: FAIL_OPEN",
            "fail-open",
            "/spec/wasm/failStrategy",
        ),
        (GATEWAY, "failOpen: false", "failOpen: true", "fail-open", "/spec/wasm/0/failOpen"),
        (
            configuration,
            "\"access\": \"public\"",
            "\"access\": \"open\"",
            "configuration",
            "/routes/0/access",
        ),
    ] {
        assert_eq!(rules(config_map("a.yaml", text)), [], "{text}");
        let map = config_map("a.yaml", &changed(text, old, new));
        let report = check(&map, &["--json"]).json();
        let findings = report["findings"].as_array().expect("a list");
        let found: Vec<_> = findings.iter().filter(|finding| finding["rule"] == rule).collect();
        let [finding] = found[..] else { panic!("{findings:?}") };
        let told = finding["pointer"].as_str().expect("a pointer");
        assert!(told.ends_with(pointer), "{finding}");
        assert!(finding["within"].as_str().expect("a pointer").starts_with("/data/a.yaml"), "{finding}");
        let line = map.lines().nth(finding["line"].as_u64().expect("a line") as usize - 1).expect("the line");
        let name = pointer.rsplit('/').next().expect("a name");
        assert!(line.contains(name), "{line:?}: {finding}");
    }
    let slip = config_map("api-guard.json", "{ \"tokens\": { \"keys\": ] }");
    assert_eq!(rules(slip), [("configuration".to_owned(), String::new())]);
    assert_eq!(rules(config_map("b", "c: d")), [("no-filter".to_owned(), String::new())]);
}

#[test]
fn the_configuration_in_a_config_map_is_taken_by_other_commands() {
    let map = File::new(config_map("api-guard.json", include_str!("../../../examples/api-guard.json")));
    let run = api_guard(["explain", "--config", map.path(), "--path", "/health"]);
    assert_eq!(run.code, 0, "{run:?}");
}
