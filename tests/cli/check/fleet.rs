//! What `check` says of a fleet, and of the cluster that leads to its store.

use serde_json::json;

use super::{assert_silent, check, told};
use crate::command::api_guard;
use crate::emit::fleet::fleet;
use crate::files::File;

/// What emit writes for a store there.
fn emitted(redis: &str) -> String {
    let mut configuration = fleet();
    configuration["auth_failure_limit"] = json!({ "max_failures": 20, "window_seconds": 60 });
    let file = File::new(configuration.to_string());
    let run = api_guard([
        "emit",
        "envoy",
        "--config",
        file.path(),
        "--upstream",
        "127.0.0.1:8080",
        "--redis",
        redis,
    ]);
    assert_eq!(run.code, 0, "{run:?}");
    run.out
}

const TLS: &str = "rediss://cache.example.com";
const CLUSTER: &str = "/static_resources/clusters/1";

/// Whether this rule is told at this pointer, as bad as this.
fn tells(text: &str, severity: &str, rule: &str, pointer: &str, word: &str) {
    let all = told(text);
    let is_it = all.iter().any(|told| {
        told.severity == severity
            && told.rule == rule
            && told.pointer == pointer
            && told.message.contains(word)
    });
    assert!(is_it, "{rule} {pointer}: {all:?}");
}

#[test]
fn the_cluster_of_a_fleet_must_be_there_and_pass_bytes_on() {
    for good in [TLS, "127.0.0.1:6379", "redis://localhost:6379"] {
        let good = emitted(good);
        assert_eq!(check(&good, &["--strict"]).code, 0, "{:?}", told(&good));
    }
    let missing = emitted(TLS).replace("    - name: api-guard-redis\n", "    - name: other\n");
    tells(&missing, "error", "fleet-cluster-missing", "/fleet/cluster", "--redis");
    let dynamic =
        format!("{missing}dynamic_resources: {{ cds_config: {{ path_config_source: {{ path: a }} }} }}\n");
    assert_silent(&dynamic, "fleet-cluster-missing");
    assert_silent(&fleet().to_string(), "fleet-cluster-missing");
    let (before, pool) = emitted(TLS)
        .split_once("      upstream_config:\n")
        .map(|(a, b)| (a.to_owned(), b.to_owned()))
        .unwrap();
    let (_, after) = pool.split_once("TcpConnectionPoolProto\n").unwrap();
    tells(&[&before, after].concat(), "error", "fleet-cluster-http", CLUSTER, "upstream_config");
    let other = emitted(TLS).replace("tcp.v3.TcpConnectionPoolProto", "http.v3.HttpConnectionPoolProto");
    tells(&other, "error", "fleet-cluster-http", &format!("{CLUSTER}/upstream_config"), "upstream_config");
}

#[test]
fn the_way_to_the_store_is_not_in_the_clear_unless_it_stays_on_the_machine() {
    tells(&emitted("redis://redis:6379"), "warning", "fleet-plain", CLUSTER, "rediss://");
    assert_silent(&emitted("redis://[::1]"), "fleet-plain");
    let anybody = emitted(TLS);
    let at = anybody.rfind("          common_tls_context:").unwrap();
    tells(&anybody[..at], "warning", "fleet-no-ca", &format!("{CLUSTER}/transport_socket"), "trusted_ca");
    let names = "              match_typed_subject_alt_names:\n                - { san_type: DNS";
    let any = emitted(TLS).replacen(names, "              match_typed_subject_alt_names: []\n    #", 1);
    tells(
        &any,
        "warning",
        "fleet-any-host",
        &format!("{CLUSTER}/transport_socket"),
        "match_typed_subject_alt_names",
    );
    assert_silent(&emitted("rediss://10.0.0.9"), "fleet-any-host");
    let names = "              match_typed_subject_alt_names:";
    let old =
        emitted(TLS).replacen(names, &format!("              allow_expired_certificate: true\n{names}"), 1);
    tells(
        &old,
        "warning",
        "fleet-expired-certificate",
        &format!("{CLUSTER}/transport_socket"),
        "allow_expired_certificate",
    );
    assert_silent(&emitted(TLS), "fleet-expired-certificate");
}

#[test]
fn the_module_must_see_the_variables_of_a_fleet_and_may_call_its_store() {
    for variable in ["API_GUARD_FLEET_SECRET", "API_GUARD_REDIS_PASSWORD"] {
        let hidden = emitted(TLS).replacen(&format!(", {variable}"), "", 2);
        tells(
            &hidden,
            "error",
            "variable-not-listed",
            "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config/http_filters/0/typed_config/config/vm_config/environment_variables",
            variable,
        );
    }
    let restricted = emitted(TLS).replacen(
        "                        vm_config:\n",
        "                        capability_restriction_config: { allowed_capabilities: { proxy_log: {} } }\n                        vm_config:\n",
        1,
    );
    let all = told(&restricted);
    let found = all.iter().find(|told| told.rule == "capabilities").expect("a finding");
    assert!(found.message.contains("proxy_http_call"), "{}", found.message);
}

#[test]
fn secrets_of_a_fleet_are_not_in_the_file_and_no_others() {
    let mut inline = fleet();
    inline["fleet"]["secret"] = json!({ "value": "Zq3_x-8YbR1tLm6VwK0hDf5sGj2nPc7uEiOa9Xr4TzM" });
    inline["fleet"]["password"] = json!({ "value": "hunter2" });
    inline["tokens"]["keys"][0]["secret"] = json!({ "value": "Zq3_x-8YbR1tLm6VwK0hDf5sGj2nPc7uEiOa9Xr4TzM" });
    let text = inline.to_string();
    for pointer in ["/fleet/secret/value", "/fleet/password/value"] {
        tells(&text, "warning", "inline-secret", pointer, "/config_dump");
    }
    tells(&text, "warning", "repeated-secret", "/fleet/secret/value", "/tokens/keys/0");
    let mut named = fleet();
    named["fleet"]["secret"] = json!({ "env": "API_GUARD_SECRET" });
    tells(&named.to_string(), "warning", "repeated-secret", "/fleet/secret/env", "/tokens/keys/0");
    let run = check(&text, &[]);
    assert!(!run.out.contains("hunter2") && !run.out.contains("Zq3_x"), "{run:?}");
    let file = File::new(&text);
    let mut other = inline.clone();
    other["fleet"]["password"] = json!({ "value": "hunter3" });
    let run = api_guard(["diff", file.path(), File::new(other.to_string()).path()]);
    assert!(run.code == 1 && run.out.contains("/fleet/password"), "{run:?}");
    assert!(!run.out.contains("hunter") && !run.out.contains("Zq3_x"), "{run:?}");
}

#[test]
fn what_lacks_its_section_is_an_error_with_what_to_write() {
    let mut none = fleet();
    none["fleet"] = json!(null);
    let text = none.to_string();
    tells(&text, "error", "configuration", "/rate_limits/0/scope", "section fleet");
    tells(&text, "error", "configuration", "/revocation/fleet", "section fleet");
    let mut empty = fleet();
    empty["fleet"] = json!({});
    let text = empty.to_string();
    tells(&text, "error", "configuration", "/fleet/cluster", "api-guard-redis");
    tells(&text, "error", "configuration", "/fleet/secret", "api-guard keygen");
}

#[test]
fn a_fleet_by_which_nothing_is_shared_is_told() {
    let mut alone = fleet();
    alone["rate_limits"][0]["scope"] = json!("envoy");
    alone["revocation"]["fleet"] = json!(null);
    alone["routes"] = json!([]);
    tells(&alone.to_string(), "warning", "fleet-unused", "/fleet", "\"scope\": \"fleet\"");
    let own = json!({ "name": "own", "max_requests": 9, "window_seconds": 9, "scope": "fleet" });
    for (pointer, shared) in [
        ("/rate_limits/0/scope", json!("fleet")),
        ("/routes", json!([{ "path": "/a", "rate_limits": [own] }])),
        ("/revocation/fleet", json!({})),
        ("/fleet", json!(null)),
    ] {
        let mut used = alone.clone();
        *used.pointer_mut(pointer).unwrap() = shared;
        assert_silent(&used.to_string(), "fleet-unused");
    }
}
