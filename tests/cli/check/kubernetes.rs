//! What `check` says of resources of Kubernetes.

use super::{assert_silent, assert_told, rules};

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
}
