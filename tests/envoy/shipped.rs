//! The configurations that ship beside `envoy.yaml` say what it says.

const SHIPPED: &str = include_str!("../../envoy.yaml");
const OF_COMPOSE: &str = include_str!("../../examples/compose/envoy.yaml");
const LIBRARY_OF_COMPOSE: &str = include_str!("../../examples/compose/envoy-native.yaml");
const UPSTREAM_OF_COMPOSE: &str = include_str!("../../examples/compose/upstream.yaml");

/// Lines of one text, comments aside, that the other has not.
fn only_in<'a>(text: &'a str, other: &str) -> Vec<&'a str> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.filter(|line| !other.lines().any(|known| known.trim() == *line)).collect()
}

#[test]
fn compose_runs_what_the_shipped_configuration_has() {
    assert_eq!(
        only_in(OF_COMPOSE, SHIPPED),
        [
            "address: { socket_address: { address: 0.0.0.0, port_value: 9901 } }",
            "code: { local: { filename: /etc/envoy/api_guard.wasm } }",
            "type: STRICT_DNS",
            "- endpoint: { address: { socket_address: { address: upstream, port_value: 8080 } } }",
        ]
    );
    assert_eq!(
        only_in(UPSTREAM_OF_COMPOSE, SHIPPED),
        ["address: { socket_address: { address: 0.0.0.0, port_value: 8080 } }"]
    );
    assert_eq!(
        only_in(SHIPPED, &format!("{OF_COMPOSE}\n{UPSTREAM_OF_COMPOSE}")),
        [
            "address: { socket_address: { address: 127.0.0.1, port_value: 9901 } }",
            "code: { local: { filename: dist/api_guard.wasm } }",
            "address: { socket_address: { address: 127.0.0.1, port_value: 10001 } }",
            "- endpoint: { address: { socket_address: { address: 127.0.0.1, port_value: 10001 } } }",
        ]
    );
}

#[test]
fn compose_runs_the_same_with_the_library() {
    let of_module = OF_COMPOSE.replace("wasmcustom", "dynamicmodulescustom");
    assert_eq!(
        only_in(LIBRARY_OF_COMPOSE, &of_module),
        [
            "layered_runtime:",
            "layers:",
            "static_layer:",
            "envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix: true",
            "\"@type\": type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter",
            "dynamic_module_config:",
            "do_not_close: true",
            "module: { local: { filename: /etc/envoy/libapi_guard.so } }",
            "filter_name: api_guard",
            "filter_config:",
        ]
    );
    assert_eq!(
        only_in(&of_module, LIBRARY_OF_COMPOSE),
        [
            "\"@type\": type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config:",
            "name: api_guard",
            "root_id: api_guard",
            "failure_policy: FAIL_RELOAD",
            "reload_config: { backoff: { base_interval: 0.1s } }",
            "allow_on_headers_stop_iteration: true",
            "vm_config:",
            "vm_id: api_guard",
            "runtime: envoy.wasm.runtime.v8",
            "code: { local: { filename: /etc/envoy/api_guard.wasm } }",
            "environment_variables: { host_env_keys: [API_GUARD_SECRET] }",
            "configuration:",
        ]
    );
}
