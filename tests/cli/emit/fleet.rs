//! The cluster of the store that a fleet shares.

use serde_json::{Value, json};

use super::started::{bytes_through, envoy};
use super::{emit, only_in};
use crate::command::api_guard;
use crate::files::{File, config, project};

/// A configuration with a fleet.
pub(crate) fn fleet() -> Value {
    config(json!({
        "fleet": {
            "cluster": "api-guard-redis",
            "secret": { "env": "API_GUARD_FLEET_SECRET" },
            "password": { "env": "API_GUARD_REDIS_PASSWORD" },
        },
        "rate_limits": [{ "name": "all", "max_requests": 100, "window_seconds": 60, "key": ["client_ip"], "scope": "fleet" }],
        "revocation": { "endpoint": {}, "fleet": {} },
    }))
}

#[test]
fn the_bootstrap_of_a_fleet_has_the_cluster_that_speaks_the_store_s_protocol() {
    let file = File::new(fleet().to_string());
    let run = emit("envoy", file.path(), &["--redis", "rediss://cache.example.com:6380"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    for part in [
        "    - name: api-guard-redis\n      type: LOGICAL_DNS\n      dns_lookup_family: ALL\n",
        "TcpConnectionPoolProto",
        "address: cache.example.com, port_value: 6380",
        "sni: cache.example.com",
        "{ san_type: DNS, matcher: { exact: cache.example.com } }",
        "host_env_keys: [API_GUARD_SECRET, API_GUARD_FLEET_SECRET, API_GUARD_REDIS_PASSWORD]",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    let checked = api_guard(["check", File::new(&run.out).path(), "--strict"]);
    assert_eq!(checked.code, 0, "{checked:?}");

    let run = emit("envoy", file.path(), &["--redis", "127.0.0.1:7000"]);
    assert!(run.out.contains("type: STATIC") && run.out.contains("port_value: 7000"), "{}", run.out);
    assert!(!run.out.contains("UpstreamTlsContext") && run.err.is_empty(), "{run:?}");
    // In the clear over a network: said.
    let run = emit("envoy", file.path(), &["--redis", "redis://redis"]);
    assert!(run.code == 0 && run.err.contains("in the clear"), "{run:?}");
}

#[test]
fn where_the_store_is_must_be_said_for_a_fleet_and_for_nothing_else() {
    let (with, without) = (File::new(fleet().to_string()), File::new(config(json!({})).to_string()));
    let run = emit("envoy", with.path(), &[]);
    assert!(run.code == 2 && run.err.contains("--redis redis://"), "{run:?}");
    let run = emit("envoy", without.path(), &["--redis", "redis://redis"]);
    assert!(run.code == 2 && run.err.contains("no fleet"), "{run:?}");
    let run = emit("envoy", with.path(), &["--redis", "redis://guard:hunter2@redis"]);
    assert!(run.code == 2 && run.err.contains("fleet.password") && !run.err.contains("hunter2"), "{run:?}");
    let run = emit("envoy", with.path(), &["--redis", "redis://redis/3"]);
    assert!(run.code == 2 && run.err.contains("fleet.prefix"), "{run:?}");
    let mut same = fleet();
    same["fleet"]["cluster"] = json!("upstream");
    let run = emit("envoy", File::new(same.to_string()).path(), &["--redis", "redis://redis"]);
    assert!(run.code == 2 && run.err.contains("fleet.cluster"), "{run:?}");
    for host in ["istio", "envoy-gateway"] {
        let run = emit(host, with.path(), &[]);
        assert!(run.code == 0 && run.err.contains("note: /fleet/cluster"), "{run:?}");
        assert!(run.out.contains("API_GUARD_FLEET_SECRET"), "{}", run.out);
        let run = emit(host, with.path(), &["--redis", "redis://redis"]);
        assert!(run.code == 2 && run.err.contains("no clusters"), "{run:?}");
    }
}

#[test]
fn a_library_is_given_the_cluster_and_the_secrets_of_a_fleet_as_a_module_is() {
    let file = File::new(fleet().to_string());
    let image = ["--image", "registry.example.com/api-guard:1", "--upstream", "https://orders:8443"];
    for (host, more) in [("envoy", &[][..]), ("kubernetes", &image)] {
        let more = [&["--native", "--redis", "rediss://cache.example.com"], more].concat();
        let run = emit(host, file.path(), &more);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.out.contains("TcpConnectionPoolProto") && !run.err.contains("/fleet"), "{run:?}");
        // It has Envoy's own environment, which a Deployment fills.
        assert!(host == "envoy" || run.out.contains("API_GUARD_FLEET_SECRET"), "{}", run.out);
        let checked = api_guard(["check", File::new(&run.out).path(), "--json"]).json();
        let findings = checked["findings"].as_array().expect("a list").iter();
        let rules: Vec<_> = findings.filter_map(|finding| finding["rule"].as_str()).collect();
        assert!(rules.iter().all(|rule| !rule.starts_with("fleet") && *rule != "configuration"), "{rules:?}");
    }
    let run = emit("envoy-gateway", file.path(), &["--native"]);
    assert!(run.code == 0 && run.err.contains("note: /fleet/cluster"), "{run:?}");
}

#[test]
fn the_fleet_that_ships_is_what_emit_writes_but_for_its_surroundings() {
    let file = project("examples/compose/fleet.yaml");
    let text = std::fs::read_to_string(&file).expect("the file");
    let run = emit(
        "envoy",
        file.to_str().expect("a path"),
        &[
            "--redis",
            "redis://store:6379",
            "--upstream",
            "upstream:8080",
            "--admin-address",
            "0.0.0.0",
            "--module",
            "/etc/envoy/api_guard.wasm",
        ],
    );
    assert_eq!(run.code, 0, "{run:?}");
    // What only Compose resolves has addresses of one family; the proxy in front says who the client is.
    assert_eq!(only_in(&run.out, &text), [""; 0]);
    assert_eq!(only_in(&text, &run.out), ["xff_num_trusted_hops: 1", "type: STRICT_DNS"]);
    let checked = api_guard(["check", file.to_str().expect("a path"), "--json"]).json();
    let rules = checked["findings"].as_array().expect("a list").iter().map(|finding| finding["rule"].clone());
    assert_eq!(rules.collect::<Vec<_>>(), ["fleet-plain"], "Compose's own network is not checked");
}

#[test]
fn what_goes_through_the_emitted_cluster_reaches_a_real_store() {
    let Some(envoy) = envoy() else { return };
    let Some(store) = api_guard_testkit::Redis::start(&[]) else { return };
    let port = store.port;
    for redis in [format!("127.0.0.1:{port}"), format!("redis://localhost:{port}")] {
        let file = File::new(fleet().to_string());
        let emitted = emit("envoy", file.path(), &["--redis", &redis]);
        assert_eq!(emitted.code, 0, "{emitted:?}");
        let said = bytes_through(&envoy, &emitted.out, "api-guard-redis", b"PING\r\nQUIT\r\n");
        assert!(said.ends_with("+PONG\r\n+OK\r\n"), "{redis}: {said}");
    }
}

#[test]
fn the_store_and_a_key_set_have_clusters_of_their_own() {
    let mut shared = fleet();
    shared["tokens"]["key_sets"] = json!([{
        "name": "a", "issuers": ["https://a"],
        "jwks": { "cluster": "api-guard-redis", "path": "/j", "authority": "login.example.com" },
    }]);
    let file = File::new(shared.to_string());
    let run = emit("envoy", file.path(), &["--redis", "rediss://store.example.com"]);
    assert!(
        run.code == 1 && run.out.is_empty() && run.err.contains("/fleet/cluster: \"api-guard-redis\""),
        "{run:?}"
    );
    let report = api_guard(["check", file.path(), "--json"]).json();
    let findings = report["findings"].as_array().expect("a list");
    let found = findings.iter().find(|finding| finding["rule"] == "jwks-shared-cluster").expect("a finding");
    assert_eq!(found["pointer"], "/fleet/cluster");
}
