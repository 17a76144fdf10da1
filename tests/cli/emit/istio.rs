//! What the resources of Istio and Envoy Gateway say together.

use serde_json::{Value, json};

use super::emit;
use super::manifests::by_kind;
use crate::command::api_guard;
use crate::files::{File, config, project};

fn example() -> String {
    project("examples/api-guard.json").to_str().expect("a path").to_owned()
}

/// What is applied to a kind of object by the patch of this operation.
fn patch<'v>(filter: &'v Value, applied_to: &str) -> Option<&'v Value> {
    let patches = filter["spec"]["configPatches"].as_array().expect("patches");
    patches.iter().find(|patch| patch["applyTo"] == applied_to)
}

#[test]
fn an_envoy_filter_says_what_the_resource_cannot() {
    for (options, kind, resource) in [
        (&[][..], "TrafficExtension", "trafficextension"),
        (&["--kind", "wasm-plugin"], "WasmPlugin", "wasmplugin"),
    ] {
        let objects = by_kind(&emit("istio", &example(), options).out);
        assert_eq!(objects.len(), 2);
        let spec = &objects[kind]["spec"];
        let loads = if kind == "WasmPlugin" { spec } else { &spec["wasm"] };
        assert_eq!((&loads["failStrategy"], &spec["phase"]), (&json!("FAIL_RELOAD"), &json!("AUTHN")));
        let filter = &objects["EnvoyFilter"];
        let replaced = patch(filter, "HTTP_FILTER").expect("the filter");
        let place = &replaced["match"]["listener"]["filterChain"]["filter"]["subFilter"]["name"];
        assert_eq!(*place, format!("extensions.istio.io/{resource}/istio-system.api-guard"));
        let added = &patch(filter, "EXTENSION_CONFIG").expect("its configuration")["patch"]["value"];
        assert_eq!(replaced["patch"]["operation"], "REPLACE");
        assert_eq!(replaced["patch"]["value"]["name"], added["name"]);
        let plugin = &added["typed_config"]["config"];
        assert_eq!(plugin["allow_on_headers_stop_iteration"], true);
        assert_eq!(
            (&plugin["failure_policy"], &plugin["vm_config"]["vm_id"]),
            (&json!("FAIL_RELOAD"), &json!("api_guard"))
        );
        assert_eq!(
            plugin["vm_config"]["environment_variables"]["host_env_keys"],
            json!(["API_GUARD_SECRET"])
        );
        // Both have the same configuration.
        let text = plugin["configuration"]["value"].as_str().expect("the configuration");
        let values: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(values, loads["pluginConfig"]);
        let stats = &patch(filter, "BOOTSTRAP").expect("the bootstrap")["patch"]["value"]["stats_config"];
        let (tags, shipped) = (stats["stats_tags"].as_array().expect("tags"), shipped_tags());
        // The last is for the count of all requests, which Istio's own bootstrap leaves without its label.
        let (last, tags) = tags.split_last().expect("tags");
        assert_eq!((json!(tags), &last["tag_name"]), (shipped, &json!("envoy.http_conn_manager_prefix")));
    }
}

/// The labels of the shipped bootstrap.
fn shipped_tags() -> Value {
    let text = std::fs::read_to_string(project("envoy.yaml")).expect("the bootstrap");
    super::manifests::documents(&text)[0]["stats_config"]["stats_tags"].clone()
}

#[test]
fn a_pull_secret_reaches_no_envoy_filter_and_it_is_said() {
    let run = emit("istio", &example(), &["--pull-secret", "registry"]);
    let objects = by_kind(&run.out);
    assert_eq!(objects["TrafficExtension"]["spec"]["wasm"]["imagePullSecret"], "registry");
    assert!(patch(&objects["EnvoyFilter"], "HTTP_FILTER").is_none());
    assert!(patch(&objects["EnvoyFilter"], "BOOTSTRAP").is_some());
    assert!(run.err.contains("pull secrets"), "{run:?}");
    // A file in the proxy needs none.
    let run = emit("istio", &example(), &["--pull-secret", "registry", "--module", "/m.wasm"]);
    let objects = by_kind(&run.out);
    assert_eq!(objects["TrafficExtension"]["spec"]["wasm"]["url"], "file:///m.wasm");
    let added = &patch(&objects["EnvoyFilter"], "EXTENSION_CONFIG").expect("the filter")["patch"]["value"];
    assert_eq!(
        added["typed_config"]["config"]["vm_config"]["code"],
        json!({ "local": { "filename": "/m.wasm" } })
    );
}

#[test]
fn the_target_is_that_of_both_resources() {
    for (target, namespace, expected) in [
        ("istio=gateway,tier=front", "istio-system", json!({ "istio": "gateway", "tier": "front" })),
        (
            "Gateway/shop",
            "default",
            json!([{ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "shop" }]),
        ),
    ] {
        let objects = by_kind(&emit("istio", &example(), &["--target", target]).out);
        let (extension, filter) = (&objects["TrafficExtension"], &objects["EnvoyFilter"]);
        assert_eq!(
            (&extension["metadata"], &filter["metadata"]["namespace"]),
            (&filter["metadata"], &json!(namespace))
        );
        if expected.is_array() {
            assert_eq!(
                (&extension["spec"]["targetRefs"], &filter["spec"]["targetRefs"]),
                (&expected, &expected)
            );
        } else {
            assert_eq!(extension["spec"]["selector"]["matchLabels"], expected);
            assert_eq!(filter["spec"]["workloadSelector"]["labels"], expected);
        }
    }
}

#[test]
fn an_envoy_patch_policy_says_what_the_extension_policy_cannot() {
    let options = ["--name", "shop", "--namespace", "prod", "--target", "Gateway/front/https"];
    let objects = by_kind(&emit("envoy-gateway", &example(), &options).out);
    assert_eq!(
        objects["EnvoyExtensionPolicy"]["spec"]["targetRefs"],
        json!([{ "group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "front", "sectionName": "https" }])
    );
    let policy = &objects["EnvoyPatchPolicy"]["spec"];
    assert_eq!(policy["targetRef"]["name"], "front");
    let patches = policy["jsonPatches"].as_array().expect("patches");
    let expected = [
        ("allow_on_headers_stop_iteration", json!(true)),
        ("failure_policy", json!("FAIL_RELOAD")),
        ("reload_config", json!({ "backoff": { "base_interval": "0.1s" } })),
    ];
    assert_eq!(patches.len(), expected.len());
    for (patch, (path, value)) in patches.iter().zip(expected) {
        let operation = &patch["operation"];
        assert_eq!(
            (&patch["name"], &operation["path"], &operation["value"]),
            (&json!("prod/front/https"), &json!(path), &value)
        );
        let query = operation["jsonPath"].as_str().expect("a path");
        assert!(
            query.contains("@.name=='envoy.filters.http.wasm/envoyextensionpolicy/prod/shop/wasm/0'"),
            "{query}"
        );
    }
    let proxy = &objects["EnvoyProxy"]["spec"];
    let env = &proxy["provider"]["kubernetes"]["envoyDeployment"]["container"]["env"];
    let secret = json!({ "secretKeyRef": { "name": "shop", "key": "API_GUARD_SECRET" } });
    assert_eq!(*env, json!([{ "name": "API_GUARD_SECRET", "valueFrom": secret }]));
    let tags: Vec<&Value> = proxy["bootstrap"]["jsonPatches"]
        .as_array()
        .expect("patches")
        .iter()
        .map(|one| &one["value"])
        .collect();
    assert_eq!(json!(tags), shipped_tags());
}

#[test]
fn the_library_is_written_where_the_host_loads_it() {
    let objects = by_kind(&emit("envoy-gateway", &example(), &["--native"]).out);
    assert_eq!(objects.len(), 2);
    let filter = &objects["EnvoyExtensionPolicy"]["spec"]["dynamicModule"][0];
    let library = &objects["EnvoyProxy"]["spec"]["dynamicModules"][0];
    assert_eq!((&filter["name"], &filter["filterName"]), (&library["name"], &json!("api_guard")));
    assert_eq!(library["doNotClose"], true);
    let refused = emit("istio", &example(), &["--native"]);
    assert!(refused.code == 2 && refused.err.contains("--native"), "{refused:?}");
}

#[test]
fn what_a_host_cannot_promise_is_told() {
    let file = File::new(config(json!({})).to_string());
    let told = |host: &str, options: &[&str]| emit(host, file.path(), options).err;
    assert!(told("envoy-gateway", &[]).contains("requests that match no HTTPRoute never reach it"));
    assert!(
        told("envoy-gateway", &["--target", "HTTPRoute/a"]).contains("the listener http of the Gateway eg")
    );
    let image = told("kubernetes", &["--image", "registry.example.com/a:1"]);
    assert!(image.contains("demo API") && image.contains("ImageVolume"), "{image}");
    // What is printed is checked clean all the same.
    for host in ["istio", "envoy-gateway"] {
        let emitted = File::new(emit(host, &example(), &[]).out);
        assert_eq!(api_guard(["check", "--strict", emitted.path()]).code, 0, "{host}");
    }
}

#[test]
fn names_of_digits_stay_names() {
    let run = emit("istio", &example(), &["--name", "5", "--namespace", "1", "--secret", "7"]);
    assert!(run.out.contains("secretKeyRef: { name: \"7\", key: API_GUARD_SECRET }"), "{run:?}");
    let objects = by_kind(&run.out);
    let filter = &objects["EnvoyFilter"];
    assert_eq!((&filter["metadata"]["name"], &filter["metadata"]["namespace"]), (&json!("5"), &json!("1")));
    for applied_to in ["HTTP_FILTER", "EXTENSION_CONFIG"] {
        let value = &patch(filter, applied_to).expect("a patch")["patch"]["value"];
        assert_eq!(value["name"], "1.5", "{applied_to}");
    }
}
