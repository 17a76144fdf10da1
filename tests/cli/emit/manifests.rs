//! Every manifest is what a cluster accepts: by the schemas of the real CustomResourceDefinitions, read strictly.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::emit;
use crate::files::{File, config, project};

/// The documents of a manifest.
pub(crate) fn documents(text: &str) -> Vec<Value> {
    let all = serde_yaml_ng::Deserializer::from_str(text);
    all.map(|one| Value::deserialize(one).expect("YAML")).filter(|one| !one.is_null()).collect()
}

/// The documents by their kinds, of which there is one each.
pub(super) fn by_kind(text: &str) -> BTreeMap<String, Value> {
    let name = |one: &Value| one["kind"].as_str().expect("a kind").to_owned();
    documents(text).into_iter().map(|one| (name(&one), one)).collect()
}

/// Fields that a schema does not name are refused, as `kubectl --validate=strict` does.
fn strict(schema: &mut Value) {
    if let Some(object) = schema.as_object_mut() {
        let is_open = object.contains_key("x-kubernetes-preserve-unknown-fields");
        let is_object = object.get("type") == Some(&json!("object"));
        if is_object && !is_open && !object.contains_key("additionalProperties") {
            object.insert("additionalProperties".to_owned(), json!(false));
        }
        object.values_mut().for_each(strict);
    } else if let Some(list) = schema.as_array_mut() {
        list.iter_mut().for_each(strict);
    }
}

/// What is wrong with an object; nothing where its kind has no schema here.
fn errors(crds: &Path, object: &Value) -> Vec<String> {
    let kind = object["kind"].as_str().expect("a kind");
    let Ok(text) = std::fs::read_to_string(crds.join(format!("{kind}.json"))) else { return Vec::new() };
    let definition: Value = serde_json::from_str(&text).expect("JSON");
    let (group, version) =
        object["apiVersion"].as_str().expect("a version").split_once('/').expect("a group");
    assert_eq!(definition["group"], group, "{kind}");
    let mut schema = definition["versions"][version].clone();
    assert!(schema.is_object(), "{kind} has no {version}");
    strict(&mut schema);
    // A resource's own fields, of which these schemas say nothing.
    for (name, of) in [("apiVersion", "string"), ("kind", "string"), ("metadata", "object")] {
        schema["properties"][name] = json!({ "type": of });
    }
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    validator.iter_errors(object).map(|error| format!("{kind} {}: {error}", error.instance_path())).collect()
}

/// The folder of the schemas, `API_GUARD_CRDS` or `../shared/crds` beside the project; `None`, which is said, where there is
/// none.
pub(crate) fn crds() -> Option<PathBuf> {
    let named = std::env::var_os("API_GUARD_CRDS").map(PathBuf::from);
    let folder = named.unwrap_or_else(|| project("../shared/crds"));
    if !folder.is_dir() {
        api_guard_testkit::skip("API_GUARD_CRDS names no folder with CustomResourceDefinitions");
        return None;
    }
    Some(folder)
}

/// Asserts that all objects are accepted.
pub(crate) fn assert_accepted(crds: &Path, manifest: &str) {
    let objects = documents(manifest);
    let wrong: Vec<String> = objects.iter().flat_map(|object| errors(crds, object)).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn a_cluster_accepts_every_manifest() {
    let Some(crds) = crds() else { return };
    let digest = "0123456789abcdef".repeat(4);
    let by_digest = format!("registry.example.com/api-guard@sha256:{digest}");
    let plain = config(json!({})).to_string();
    let full = std::fs::read_to_string(project("examples/api-guard.json")).expect("the example");
    let keyless =
        json!({ "tokens": { "keys": [{ "secret": { "value": "a-secret-of-at-least-thirty-two-bytes" } }] } });
    let named = ["--name", "shop", "--namespace", "shop-prod", "--secret", "shop.secrets"];
    for configuration in [plain, full, keyless.to_string()] {
        let file = File::new(&configuration);
        for (host, options) in [
            ("istio", &[][..]),
            ("istio", &named),
            ("istio", &["--kind", "wasm-plugin"]),
            ("istio", &["--kind", "wasm-plugin", "--target", "Gateway/shop", "--sha256", &digest]),
            ("istio", &["--target", "Gateway/shop", "--image", &by_digest, "--pull-secret", "registry"]),
            ("istio", &["--target", "GatewayClass/istio-waypoint"]),
            ("istio", &["--target", "gateway.networking.k8s.io/gateway-name=eg,tier=front"]),
            ("istio", &["--module", "/var/local/api_guard.wasm"]),
            ("istio", &["--image", "https://example.com/api_guard.wasm", "--sha256", &digest]),
            ("envoy-gateway", &[]),
            ("envoy-gateway", &named),
            ("envoy-gateway", &["--target", "Gateway/eg/https", "--image", &by_digest]),
            ("envoy-gateway", &["--target", "HTTPRoute/orders", "--pull-secret", "registry"]),
            ("envoy-gateway", &["--target", "GRPCRoute/orders", "--sha256", &digest]),
            ("envoy-gateway", &["--target", "tier=front", "--image", "https://example.com/api_guard.wasm"]),
            ("envoy-gateway", &["--native"]),
            ("envoy-gateway", &["--native", "--module", "/opt/libapi_guard.so"]),
            ("kubernetes", &[]),
            ("kubernetes", &named),
            ("kubernetes", &["--image", &by_digest, "--pull-secret", "registry"]),
            ("kubernetes", &["--native", "--image", &by_digest, "--upstream", "https://orders:8443"]),
        ] {
            let run = emit(host, file.path(), options);
            assert_eq!(run.code, 0, "{options:?}: {run:?}");
            assert_accepted(&crds, &run.out);
        }
    }
}

#[test]
fn the_schemas_are_read_strictly() {
    let Some(crds) = crds() else { return };
    let run = emit("istio", project("examples/api-guard.json").to_str().expect("a path"), &[]);
    for (old, new) in [
        ("failStrategy: FAIL_RELOAD", "failStrategy: FAIL_SOFTLY"),
        ("pluginName: api_guard", "allowOnHeadersStopIteration: true"),
        ("operation: MERGE", "operation: MIX"),
    ] {
        let wrong = run.out.replacen(old, new, 1);
        assert_ne!(wrong, run.out);
        let found: Vec<String> = documents(&wrong).iter().flat_map(|object| errors(&crds, object)).collect();
        assert!(!found.is_empty(), "{new}");
    }
}
