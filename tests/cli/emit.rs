//! `api-guard emit`.

pub(crate) mod fleet;
mod hosts;
mod istio;
mod key_sets;
pub(crate) mod manifests;
mod names;
mod pod;
mod started;

use serde_json::json;

use crate::command::{Run, api_guard};
use crate::files::{File, config, project};

fn emit(host: &str, config: &str, more: &[&str]) -> Run {
    api_guard([&["emit", host, "--config", config], more].concat())
}

#[test]
fn the_examples_are_what_emit_prints() {
    let config = project("examples/api-guard.json");
    let config = config.to_str().expect("a path");
    let upstream = ["--upstream", "127.0.0.1:8080", "--module", "/etc/envoy/api_guard.wasm"];
    for (host, more, file) in [
        ("envoy", &upstream[..], "examples/envoy/bootstrap.yaml"),
        ("istio", &[], "examples/istio/traffic-extension.yaml"),
        ("istio", &["--kind", "wasm-plugin"], "examples/istio/wasm-plugin.yaml"),
        ("envoy-gateway", &[], "examples/envoy-gateway/extension-policy.yaml"),
    ] {
        let run = emit(host, config, more);
        assert_eq!((run.code, about_the_configuration(host, &run)), (0, String::new()), "{run:?}");
        let example = std::fs::read_to_string(project(file)).expect("the example");
        assert!(run.out == example, "{file} is not what `api-guard emit {host}` prints");
    }
}

/// What is told of the configuration; what a host cannot promise is told of any.
fn about_the_configuration(host: &str, run: &Run) -> String {
    let of_host: &[&str] = match host {
        "envoy-gateway" => &["note: Envoy Gateway switches the filter on by route"],
        "kubernetes" => &[
            "note: without --upstream",
            "note: the module is in a ConfigMap",
            "note: the pods mount the image",
        ],
        _ => &[],
    };
    let lines = run.err.lines().filter(|line| !of_host.iter().any(|note| line.starts_with(note)));
    lines.map(|line| format!("{line}\n")).collect()
}

/// Lines of one text, without comments and indentation, that the other lacks.
fn only_in<'a>(text: &'a str, other: &str) -> Vec<&'a str> {
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with('#') && !line.is_empty());
    lines.filter(|line| !other.lines().any(|known| known.trim() == *line)).collect()
}

#[test]
fn a_bootstrap_says_what_the_shipped_one_says() {
    let shipped = project("envoy.yaml");
    let run = emit("envoy", shipped.to_str().expect("a path"), &[]);
    let shipped = std::fs::read_to_string(shipped).expect("the file");
    // Where Envoy is started from does not matter for what is emitted.
    let module = format!("code: {{ local: {{ filename: {} }} }}", project("dist/api_guard.wasm").display());
    assert_eq!(only_in(&run.out, &shipped), [module.as_str(), "type: STATIC"]);
    assert_eq!(only_in(&shipped, &run.out), ["code: { local: { filename: dist/api_guard.wasm } }"]);
}

#[test]
fn what_is_emitted_is_clean_where_the_configuration_is() {
    let odd = "{\r\n\t\"tokens\": { \"keys\": [ { \"secret\": { \"env\": \"API_GUARD_SECRET\" } } ],\r\n\t\t\"issuers\": [\"\\ud83d\\ude00 \u{e9}\u{7f} # : - {{port}}\"] },\r\n\t\"auth_failure_limit\": { \"max_failures\": 20, \"window_seconds\": 60 }\r\n}\r\n";
    let file = File::new(odd);
    for host in ["envoy", "istio", "envoy-gateway", "kubernetes"] {
        let run = emit(host, file.path(), &[]);
        assert_eq!((run.code, about_the_configuration(host, &run)), (0, String::new()), "{run:?}");
        let emitted = File::new(&run.out);
        let checked = api_guard(["check", emitted.path(), "--strict"]);
        assert_eq!(checked.code, 0, "{host}: {checked:?}");
        // It comes back as it was.
        let again = emit(host, emitted.path(), &[]);
        let twice = emit(host, File::new(&again.out).path(), &[]);
        assert_eq!(again.out, twice.out, "{host}");
        assert!(again.out.contains("{{port}}"), "{host}: {}", again.out);
    }
}

#[test]
fn options_choose_module_ports_upstream_and_image() {
    let file = File::new(config(json!({})).to_string());
    let options =
        ["--module", "/m.wasm", "--port", "8443", "--admin-port", "9000", "--upstream", "orders.internal:81"];
    let run = emit("envoy", file.path(), &options);
    for part in [
        "filename: /m.wasm",
        "port_value: 8443",
        "port_value: 9000",
        "address: orders.internal, port_value: 81",
        "type: LOGICAL_DNS",
        "dns_lookup_family: ALL",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    assert!(!run.out.contains("demo_upstream"));
    let options =
        ["--admin-address", "::", "--upstream", "https://orders.example.com", "--upstream-ca", "/ca.pem"];
    let run = emit("envoy", file.path(), &options);
    for part in [
        "address: \"::\", port_value: 9901",
        "address: orders.example.com, port_value: 443",
        "sni: orders.example.com",
        "trusted_ca: { filename: /ca.pem }",
        "{ san_type: DNS, matcher: { exact: orders.example.com } }",
        "host_rewrite_literal: orders.example.com",
    ] {
        assert!(run.out.contains(part), "{part}: {}", run.out);
    }
    for host in ["istio", "envoy-gateway"] {
        let run = emit(host, file.path(), &["--image", "registry.example.org/guard:7"]);
        assert!(run.out.contains("registry.example.org/guard:7"), "{}", run.out);
        // The file says who sets it.
        assert!(run.out.contains("allow_on_headers_stop_iteration: true"), "{}", run.out);
    }
}

#[test]
fn a_port_that_something_else_has_is_refused() {
    let file = File::new(config(json!({})).to_string());
    for host in ["envoy", "kubernetes"] {
        for (options, part) in [
            (&["--port", "9901"][..], "--port and --admin-port are both 9901; write two"),
            (&["--port", "8443", "--admin-port", "8443"], "are both 8443"),
            (&["--port", "10001"], "--port 10001: the demo API is there"),
            (&["--admin-port", "10001"], "--admin-port 10001: the demo API is there"),
            (&["--port", "0"], "--port"),
            (&["--admin-port", "0"], "--admin-port"),
        ] {
            let run = emit(host, file.path(), options);
            assert_eq!((run.code, run.out.as_str()), (2, ""), "{host} {options:?}: {run:?}");
            assert!(run.err.contains(part), "{host} {options:?}: {run:?}");
        }
        let run = emit(host, file.path(), &["--port", "10001", "--upstream", "orders:8080"]);
        assert_eq!(run.code, 0, "{run:?}");
    }
}

#[test]
fn a_port_of_another_address_is_free() {
    let file = File::new(config(json!({})).to_string());
    let own = ["--address", "192.0.2.5"];
    for options in [
        &["--port", "8080", "--upstream", "http://127.0.0.1:8080"][..],
        &["--port", "8080", "--upstream", "http://localhost:8080"],
        &["--port", "9901"],
        &["--port", "10001"],
    ] {
        let run = emit("envoy", file.path(), &[&own, options].concat());
        assert_eq!(run.code, 0, "{options:?}: {run:?}");
    }
    for (options, part) in [
        (&["--port", "80", "--upstream", "http://192.0.2.5"][..], "this is Envoy itself"),
        (&["--port", "9901", "--admin-address", "192.0.2.5"], "are both 9901"),
        (&["--port", "9901", "--admin-address", "::"], "are both 9901"),
        (&["--admin-port", "10001"], "--admin-port 10001: the demo API is there"),
    ] {
        let run = emit("envoy", file.path(), &[&own, options].concat());
        assert_eq!((run.code, run.out.as_str()), (2, ""), "{options:?}: {run:?}");
        assert!(run.err.contains(part), "{options:?}: {run:?}");
    }
}

#[test]
fn what_check_would_say_is_said_on_the_way() {
    let file = File::new(
        config(json!({ "revocation": { "endpoint": {} }, "unmatched_routes": "public" })).to_string(),
    );
    let run = emit("istio", file.path(), &["--pull-secret", "registry"]);
    assert_eq!(run.code, 0);
    assert!(
        run.err.contains("note: /unmatched_routes") && run.err.contains("/pluginConfig/revocation/endpoint"),
        "{run:?}"
    );
    // The EnvoyFilter and the EnvoyPatchPolicy say what the others cannot; what both of two objects say is told once.
    for host in ["istio", "envoy-gateway"] {
        let run = emit(host, file.path(), &[]);
        assert_eq!(run.err.matches("/unmatched_routes").count(), 1, "{run:?}");
        assert!(!run.err.contains("revocation endpoint"), "{run:?}");
    }
}

#[test]
fn a_wrong_configuration_gives_no_manifest() {
    let wrong = File::new(r#"{"tokens":{"keys":[]}}"#);
    let run = emit("envoy", wrong.path(), &[]);
    assert_eq!((run.code, run.out.as_str()), (1, ""));
    assert!(run.err.contains("/tokens/keys"), "{run:?}");
    let good = File::new(config(json!({})).to_string());
    for arguments in [
        &["emit", "envoy"][..],
        &["emit", "nginx", "--config", good.path()],
        &["emit", "envoy", "--config", "/nowhere"],
        &["emit", "envoy", "--config", good.path(), "--upstream", "nowhere"],
        &["emit", "istio", "--config", good.path(), "--module", "a b"],
        &["emit", "envoy", "--config", good.path(), "--module", "a\nb"],
        &["emit", "envoy", "--config", good.path(), "--module", ""],
        &["emit", "envoy", "--config", good.path(), "--port", "70000"],
        &["emit", "envoy", "--config", good.path(), "--upstream", "http://a:1/path"],
        &["emit", "envoy", "--config", good.path(), "--admin-address", "localhost"],
    ] {
        assert_eq!(api_guard(arguments).code, 2, "{arguments:?}");
    }
}
