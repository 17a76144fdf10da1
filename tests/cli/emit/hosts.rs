//! What Istio and Envoy Gateway make of the emitted resources, told to a real Envoy as they tell it.

use std::time::{Duration, Instant};

use api_guard_testkit::free_ports;
use serde_json::{Value, json};

use super::emit;
use super::manifests::by_kind;
use super::started::{Running, envoy, reply, start, status};
use crate::files::{File, config, project};

/// A proxy with one HTTP filter before the router, and one route.
struct Proxy {
    api: u16,
    admin: u16,
    _running: (Running, File),
}

impl Proxy {
    /// `filter`: the filter. `route`: what its route has besides. `stats`: the bootstrap's `stats_config`.
    fn start(envoy: &str, filter: &Value, route: &Value, stats: &Value) -> Self {
        let [api, admin] = free_ports();
        let address = |port: u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
        let mut served = json!({ "match": { "prefix": "/orders" }, "direct_response": { "status": 200 } });
        served["typed_per_filter_config"] = route.clone();
        let manager = json!({
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "outbound_0.0.0.0_8080;",
            "use_remote_address": true,
            "http_filters": [filter, { "name": "router", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } }],
            "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [served] }] },
        });
        let bootstrap = json!({
            "admin": { "address": address(admin) },
            "stats_config": stats,
            "static_resources": { "listeners": [{
                "address": address(api),
                "filter_chains": [{ "filters": [{ "name": "manager", "typed_config": manager }] }],
            }] },
        });
        Self { api, admin, _running: start(envoy, &bootstrap.to_string(), admin) }
    }

    fn status(&self, path: &str) -> u16 {
        reply(self.api, path, "").as_deref().and_then(status).expect("an answer")
    }

    /// Waits until the metrics have this text; they come a little later than the answers that they count.
    fn counts(&self, part: &str) {
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            let metrics = reply(self.admin, "/stats/prometheus", "").expect("metrics");
            if metrics.contains(part) {
                return;
            }
            assert!(Instant::now() < until, "no {part} in {metrics}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn example() -> String {
    project("examples/api-guard.json").to_str().expect("a path").to_owned()
}

#[test]
fn the_envoy_filter_guards_and_its_metrics_have_the_labels_and_names_of_every_alert() {
    let Some(envoy) = envoy() else { return };
    let module = project("dist/api_guard.wasm");
    let run = emit("istio", &example(), &["--module", module.to_str().expect("a path")]);
    let patches =
        by_kind(&run.out)["EnvoyFilter"]["spec"]["configPatches"].as_array().expect("patches").clone();
    let value = |applied_to: &str| {
        let patch = patches.iter().find(|patch| patch["applyTo"] == applied_to).expect("the patch");
        patch["patch"]["value"].clone()
    };
    // What Istio's own bootstrap lets through, with which the patch is merged.
    let mut stats = value("BOOTSTRAP")["stats_config"].clone();
    let patterns = stats["stats_matcher"]["inclusion_list"]["patterns"].as_array_mut().expect("patterns");
    patterns.extend(
        ["cluster_manager", "listener_manager", "server", "cluster.xds-grpc", "wasm"]
            .map(|name| json!({ "prefix": name })),
    );
    stats["use_all_default_tags"] = json!(false);
    let proxy = Proxy::start(&envoy, &value("EXTENSION_CONFIG"), &json!({}), &stats);
    // Every request is judged, whatever the proxy has routes for.
    assert_eq!(
        (proxy.status("/orders/1"), proxy.status("/internal/1"), proxy.status("/health")),
        (401, 401, 404)
    );
    proxy.counts("api_guard_requests_total{decision=\"refused\",code=\"token_missing\"} 2");
    proxy.counts("envoy_http_downstream_rq_total{envoy_http_conn_manager_prefix=\"outbound_0.0.0.0_8080\"} ");
}

/// The filter that Envoy Gateway makes of a policy.
fn filter_of(policy: &Value) -> Value {
    let (metadata, wasm) = (&policy["metadata"], &policy["spec"]["wasm"][0]);
    let name = format!(
        "envoyextensionpolicy/{}/{}/wasm/0",
        metadata["namespace"].as_str().expect("a namespace"),
        metadata["name"].as_str().expect("a name")
    );
    json!({
        "name": format!("envoy.filters.http.wasm/{name}"),
        "disabled": true,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": wasm["name"],
                "root_id": wasm["rootID"],
                "fail_open": wasm["failOpen"],
                "vm_config": {
                    "vm_id": name,
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": { "local": { "filename": project("dist/api_guard.wasm") } },
                    "environment_variables": { "host_env_keys": wasm["env"]["hostKeys"] },
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": wasm["config"].to_string(),
                },
            },
        },
    })
}

#[test]
fn envoy_gateways_filter_takes_the_patches_and_sees_no_request_without_a_route() {
    let Some(envoy) = envoy() else { return };
    let objects = by_kind(&emit("envoy-gateway", &example(), &[]).out);
    let mut filter = filter_of(&objects["EnvoyExtensionPolicy"]);
    let name = filter["name"].as_str().expect("a name").to_owned();
    let patches = objects["EnvoyPatchPolicy"]["spec"]["jsonPatches"].as_array().expect("patches").clone();
    for patch in &patches {
        let operation = &patch["operation"];
        assert_eq!(operation["jsonPath"], format!("..http_filters[?(@.name=='{name}')].typed_config.config"));
        filter["typed_config"]["config"][operation["path"].as_str().expect("a path")] =
            operation["value"].clone();
    }
    let tags: Vec<Value> = objects["EnvoyProxy"]["spec"]["bootstrap"]["jsonPatches"]
        .as_array()
        .expect("patches")
        .iter()
        .map(|patch| patch["value"].clone())
        .collect();
    let enabled =
        json!({ &name: { "@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {} } });
    let proxy = Proxy::start(&envoy, &filter, &enabled, &json!({ "stats_tags": tags }));
    assert_eq!(proxy.status("/orders/1"), 401);
    // The example denies this path, and is not asked.
    assert_eq!(proxy.status("/internal/1"), 404);
    proxy.counts("api_guard_requests_total{decision=\"refused\",code=\"token_missing\"} 1");
}

#[test]
fn what_a_host_does_with_encoded_slashes_is_told_where_a_route_lets_them_pass() {
    let plain = config(json!({ "routes": [{ "path": "/projects/{id}" }] }));
    let mut allowing = plain.clone();
    allowing["routes"][0]["allow_in_path"] = json!(["encoded_slash"]);
    for (host, told) in
        [("istio", "DECODE_AND_MERGE_SLASHES"), ("envoy-gateway", "escapedSlashesAction: KeepUnchanged")]
    {
        let run = emit(host, File::new(allowing.to_string()).path(), &[]);
        assert!(run.code == 0 && run.err.contains(told), "{run:?}");
        let run = emit(host, File::new(plain.to_string()).path(), &[]);
        assert!(run.code == 0 && !run.err.contains(told), "{run:?}");
    }
}
