//! The configurations that ship beside `envoy.yaml` say what it says.

const SHIPPED: &str = include_str!("../../envoy.yaml");
const OF_COMPOSE: &str = include_str!("../../examples/compose/envoy.yaml");
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
