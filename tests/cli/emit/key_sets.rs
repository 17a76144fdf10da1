//! The clusters over which key sets are fetched.

use std::process::Command;

use serde_json::json;

use super::emit;
use super::started::envoy;
use crate::command::{SECRET, api_guard};
use crate::files::File;

/// A configuration with a set for each of these authorities, the first of which two sets share.
fn fetching(authorities: &[&str]) -> serde_json::Value {
    let set = |(index, authority): (usize, &&str)| {
        json!({
            "name": format!("set-{index}"),
            "issuers": [format!("https://issuer-{index}.example.com")],
            "jwks": { "cluster": format!("idp {authority}"), "path": "/jwks.json", "authority": authority },
        })
    };
    let mut sets: Vec<_> = authorities.iter().enumerate().map(set).collect();
    let mut second = sets[0].clone();
    second["name"] = json!("second");
    second["issuers"] = json!(["https://second.example.com"]);
    sets.push(second);
    json!({
        "tokens": { "key_sets": sets },
        "forward": { "issuer_header": "x-auth-issuer" },
        "auth_failure_limit": { "max_failures": 20, "window_seconds": 60 },
    })
}

#[test]
fn every_key_set_that_is_fetched_gets_its_cluster() {
    let authorities =
        ["login.example.com", "idp.example.com:8443", "10.0.0.1", "[2001:db8::1]:444", "localhost:9000"];
    let mut configuration = fetching(&authorities);
    // Names are a cluster's own affair.
    configuration["tokens"]["key_sets"][0]["jwks"]["cluster"] = json!("a:b#c'\"{{port}}");
    configuration["tokens"]["key_sets"][5]["jwks"]["cluster"] = json!("a:b#c'\"{{port}}");
    for set in configuration["tokens"]["key_sets"].as_array_mut().expect("a list") {
        let cluster = set["jwks"]["cluster"].as_str().expect("a text").replace(' ', "-");
        set["jwks"]["cluster"] = json!(cluster);
    }
    let file = File::new(configuration.to_string());
    let run = emit("envoy", file.path(), &["--upstream", "127.0.0.1:8080"]);
    assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
    assert_eq!(run.out.matches("UpstreamTlsContext").count(), 4, "{}", run.out);
    assert_eq!(run.out.matches("sni: ").count(), 2);
    for part in [
        "# [!] Where the keys of set-0, second are fetched.",
        "address: login.example.com, port_value: 443",
        "address: idp.example.com, port_value: 8443",
        "exact: idp.example.com",
        "san_type: IP_ADDRESS, matcher: { exact: 10.0.0.1 }",
        "address: \"2001:db8::1\", port_value: 444",
        "address: localhost, port_value: 9000",
        "dns_lookup_family: ALL",
        "trusted_ca: { filename: /etc/ssl/certs/ca-certificates.crt }",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    let emitted = File::new(&run.out);
    let checked = api_guard(["check", emitted.path(), "--strict"]);
    assert_eq!(checked.code, 0, "{checked:?}");
    assert_validates(&run.out);
    for host in ["istio", "envoy-gateway"] {
        let run = emit(host, file.path(), &[]);
        assert!(run.out.contains("are fetched from idp.example.com:8443 over the cluster"), "{run:?}");
        let checked = api_guard(["check", File::new(&run.out).path(), "--strict"]);
        assert_eq!(checked.code, 0, "{checked:?}");
    }
}

#[test]
fn keys_that_the_api_itself_publishes_need_no_cluster_of_their_own() {
    let mut configuration = fetching(&["127.0.0.1:8080"]);
    for index in [0, 1] {
        configuration["tokens"]["key_sets"][index]["jwks"]["cluster"] = json!("upstream");
    }
    let run = emit("envoy", File::new(configuration.to_string()).path(), &["--upstream", "127.0.0.1:8080"]);
    assert_eq!((run.code, run.out.matches("- name: upstream").count()), (0, 1), "{run:?}");
    assert_validates(&run.out);
}

#[test]
fn names_that_yaml_would_not_read_as_text_are_quoted() {
    let mut configuration = fetching(&["login.example.com", "a.example.com", "b.example.com"]);
    for (index, name) in [(0, "true"), (1, "1e5"), (2, "0x1f"), (3, "true")] {
        configuration["tokens"]["key_sets"][index]["jwks"]["cluster"] = json!(name);
    }
    configuration["tokens"]["keys"] = json!([{ "secret": { "env": "null" } }]);
    let file = File::new(configuration.to_string());
    let run = emit("envoy", file.path(), &["--upstream", "127.0.0.1:8080"]);
    for part in ["host_env_keys: [\"null\"]", "name: \"true\"", "name: \"1e5\"", "name: \"0x1f\""] {
        assert!(run.out.contains(part), "{part}: {run:?}");
    }
    assert_validates(&run.out);
    for (host, parts) in [
        ("kubernetes", &["- name: \"null\"", "key: \"null\""][..]),
        ("istio", &["- name: \"null\"", "key: \"null\"", "host_env_keys: [\"null\"]"]),
        ("envoy-gateway", &["- name: \"null\"", "key: \"null\"", "hostKeys: [\"null\"]"]),
    ] {
        let run = emit(host, file.path(), &[]);
        assert!(parts.iter().all(|part| run.out.contains(part)), "{host}: {run:?}");
    }
}

#[test]
fn key_sets_of_one_cluster_have_one_host() {
    let mut configuration = fetching(&["login.example.com"]);
    let wrong = "/tokens/key_sets/1/jwks/authority";
    for index in [0, 1] {
        configuration["tokens"]["key_sets"][index]["jwks"]["cluster"] = json!("idp");
    }
    configuration["tokens"]["key_sets"][1]["jwks"]["authority"] = json!("LOGIN.example.com:443");
    assert_eq!(emit("envoy", File::new(configuration.to_string()).path(), &[]).code, 0);
    configuration["tokens"]["key_sets"][1]["jwks"]["authority"] = json!("other.example.com");
    let file = File::new(configuration.to_string());
    for host in ["envoy", "kubernetes", "istio", "envoy-gateway"] {
        let run = emit(host, file.path(), &[]);
        assert_eq!((run.code, run.out.as_str()), (1, ""), "{host}: {run:?}");
        assert!(run.err.contains(wrong) && run.err.contains("other.example.com"), "{host}: {run:?}");
    }
    let report = api_guard(["check", file.path(), "--json"]);
    let finding = &report.json()["findings"][0];
    assert_eq!((report.code, &finding["rule"]), (0, &json!("jwks-shared-cluster")), "{report:?}");
    assert_eq!((&finding["pointer"], &finding["severity"]), (&json!(wrong), &json!("warning")));
}

#[test]
fn keys_that_come_from_the_guarded_api_are_told() {
    let mut configuration = fetching(&["login.example.com"]);
    for index in [0, 1] {
        configuration["tokens"]["key_sets"][index]["jwks"]["cluster"] = json!("upstream");
    }
    let file = File::new(configuration.to_string());
    for (options, url) in [
        (&[][..], "http://127.0.0.1:10001"),
        (&["--upstream", "http://login.example.com:8080"], "http://login.example.com:8080"),
    ] {
        let run = emit("envoy", file.path(), options);
        let told = format!("the keys come from {url} and not from login.example.com");
        assert!(run.code == 0 && run.err.matches(&told).count() == 2, "{run:?}");
    }
    let run = emit("envoy", file.path(), &["--upstream", "https://login.example.com"]);
    assert!(run.code == 0 && run.err.is_empty(), "{run:?}");
}

/// Envoy takes the bootstrap, if there are an Envoy and a module.
fn assert_validates(bootstrap: &str) {
    let Some(envoy) = envoy() else { return };
    let bootstrap = File::with_ending(bootstrap, ".yaml");
    let validated = Command::new(envoy)
        .args(["--mode", "validate", "-c", bootstrap.path(), "--log-level", "error"])
        .env("API_GUARD_SECRET", SECRET)
        .env("null", SECRET)
        .output()
        .expect("Envoy");
    assert!(validated.status.success(), "{}", String::from_utf8_lossy(&validated.stderr));
}
