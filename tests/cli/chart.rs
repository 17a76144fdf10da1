//! The Helm chart: rendered by a real helm, it gives the objects that `emit kubernetes` prints.

use std::collections::BTreeMap;
use std::process::Command;

use serde_json::Value;

use crate::command::{Run, api_guard, run};
use crate::emit::manifests::{assert_accepted, crds, documents};
use crate::files::{File, project};

const IMAGE: &str = "registry.example.com/api-guard:0.1.0";

/// A helm; `None`, which is said, where none can be had.
fn helm() -> Option<String> {
    let output = Command::new("python3").arg(project("tests/chart/helm.py")).output();
    let path = output
        .ok()
        .filter(|output| output.status.success())
        .and_then(|output| String::from_utf8(output.stdout).ok());
    if path.is_none() {
        api_guard_testkit::skip("no helm: set HELM_BIN");
    }
    path.map(|path| path.trim().to_owned())
}

/// Runs helm on the chart, with the example as its configuration.
fn on_chart(helm: &str, call: &[&str], options: &[&str]) -> Run {
    let mut command = Command::new(helm);
    let config = format!("config={}", project("examples/api-guard.json").display());
    command.args(call).arg(project("charts/api-guard")).args(["--set-file", &config]).args(options);
    run(&mut command)
}

fn template(helm: &str, options: &[&str]) -> Run {
    let options = [&["--api-versions", "monitoring.coreos.com/v1"], options].concat();
    on_chart(helm, &["template", "api-guard"], &options)
}

/// The objects by kind and name.
fn objects(manifest: &str) -> BTreeMap<(String, String), Value> {
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let key = |one: &Value| (text(&one["kind"]), text(&one["metadata"]["name"]));
    documents(manifest).into_iter().map(|one| (key(&one), one)).collect()
}

#[test]
fn the_chart_and_emit_give_the_same_objects() {
    let Some(helm) = helm() else { return };
    let sets = r#"{ "tokens": { "key_sets": [
        { "name": "a", "issuers": ["https://a"], "jwks": { "cluster": "idp", "path": "/j", "authority": "login.example.com" } },
        { "name": "b", "issuers": ["https://b"], "jwks": { "cluster": "here", "path": "/j", "authority": "127.0.0.1:9000" } },
        { "name": "c", "issuers": ["https://c"], "jwks": { "cluster": "idp", "path": "/k", "authority": "login.example.com" } } ] },
        "routes": [ { "path": "/projects/{id}", "allow_in_path": ["semicolon", "encoded_slash"] } ],
        "forward": { "subject_header": null, "issuer_header": "x-auth-issuer" } }"#;
    let sets = File::new(sets);
    let of_sets = format!("config={}", sets.path());
    let example = project("examples/api-guard.json");
    let example = example.to_str().expect("a path");
    let fleet = project("examples/fleet.json");
    let fleet = fleet.to_str().expect("a path");
    let of_fleet = format!("config={fleet}");
    for (config, values, options) in [
        (example, &[][..], &[][..]),
        (example, &["--set", "upstream=orders:8080"], &["--upstream", "orders:8080"]),
        (example, &["--set", "upstream=http://10.0.0.7"], &["--upstream", "http://10.0.0.7"]),
        (
            example,
            &["--set", "upstream=https://orders.example.com"],
            &["--upstream", "https://orders.example.com"],
        ),
        (example, &["--set", "upstream=https://orders:8443"], &["--upstream", "https://orders:8443"]),
        (example, &["--set", "native=true"], &["--native"]),
        (example, &["--set", "native=true,upstream=http://o:1"], &["--native", "--upstream", "http://o:1"]),
        (
            example,
            &["--set", "port=8443,admin.port=9000,admin.address=0.0.0.0"],
            &["--port", "8443", "--admin-port", "9000", "--admin-address", "0.0.0.0"],
        ),
        (example, &["--set", "address=::"], &["--address", "::"]),
        (
            fleet,
            &[
                "--set-file",
                &of_fleet,
                "--set",
                "redis.enabled=true,redis.host=store.example.com,redis.port=6380",
            ],
            &["--redis", "rediss://store.example.com:6380"],
        ),
        (
            fleet,
            &["--set-file", &of_fleet, "--set", "redis.enabled=true,redis.host=10.0.0.9,redis.ca="],
            &["--redis", "redis://10.0.0.9"],
        ),
        (
            example,
            &["--namespace", "prod", "--set", "pullSecrets={registry},secret.name=s"],
            &["--namespace", "prod", "--pull-secret", "registry", "--secret", "s"],
        ),
        (sets.path(), &["--set-file", &of_sets], &[]),
        (
            sets.path(),
            &["--set-file", &of_sets, "--set", "ca.configMap=company"],
            &["--ca-config-map", "company"],
        ),
    ] {
        let rendered = template(&helm, values);
        assert_eq!(rendered.code, 0, "{values:?}: {rendered:?}");
        let call = ["emit", "kubernetes", "--config", config, "--image", IMAGE];
        let emitted = api_guard([&call[..], options].concat());
        let (chart, command) = (objects(&rendered.out), objects(&emitted.out));
        assert_eq!(chart.keys().collect::<Vec<_>>(), command.keys().collect::<Vec<_>>());
        for (key, object) in &chart {
            if let (Some(of_chart), Some(of_command)) =
                (object["data"]["envoy.yaml"].as_str(), command[key]["data"]["envoy.yaml"].as_str())
            {
                for (line, other) in of_chart.lines().zip(of_command.lines()) {
                    assert_eq!(line, other, "{values:?}");
                }
            }
            assert_eq!(*object, command[key], "{values:?} {key:?}");
        }
    }
}

#[test]
fn helm_finds_no_fault_in_the_chart() {
    let Some(helm) = helm() else { return };
    let linted = on_chart(&helm, &["lint", "--strict"], &[]);
    assert_eq!(linted.code, 0, "{linted:?}");
    let rendered = template(&helm, &[]);
    let checked = api_guard(["check", "--strict", File::new(&rendered.out).path()]);
    assert_eq!(checked.code, 0, "{checked:?}");
    if let Some(crds) = crds() {
        assert_accepted(&crds, &rendered.out);
    }
}

#[test]
fn values_choose_what_is_made() {
    let Some(helm) = helm() else { return };
    let kinds = |options: &[&str]| {
        let rendered = on_chart(&helm, &["template", "a"], options);
        assert_eq!(rendered.code, 0, "{rendered:?}");
        objects(&rendered.out)
    };
    // Without the operator its resources are left out, unless they are asked for.
    let plain = kinds(&[]);
    assert!(!plain.keys().any(|(kind, _)| kind == "ServiceMonitor" || kind == "PrometheusRule"));
    let asked = kinds(&["--set", "serviceMonitor.enabled=true"]);
    assert!(asked.keys().any(|(kind, _)| kind == "ServiceMonitor"));
    let bare =
        "autoscaling.enabled=false,podDisruptionBudget.enabled=false,networkPolicy.enabled=false,replicas=3";
    let bare = kinds(&["--set", bare]);
    assert_eq!(
        bare.keys().map(|(kind, _)| kind.as_str()).collect::<Vec<_>>(),
        ["ConfigMap", "Deployment", "Service", "Service"]
    );
    let deployment = |objects: &BTreeMap<(String, String), Value>| {
        objects
            .iter()
            .find(|((kind, _), _)| kind == "Deployment")
            .map(|(_, object)| object["spec"].clone())
            .expect("a Deployment")
    };
    assert_eq!(deployment(&bare)["replicas"], 3);
    let mapped = kinds(&["--set", "module.configMap=api-guard-module"]);
    assert_eq!(
        deployment(&mapped)["template"]["spec"]["volumes"][1]["configMap"]["name"],
        "api-guard-module"
    );
    // The configuration may be written as values.
    let mut command = Command::new(&helm);
    command.args(["template", "a"]).arg(project("charts/api-guard"));
    command.args(["--set", "config.tokens.keys[0].secret.env=MY_SECRET"]);
    let rendered = run(&mut command);
    assert!(rendered.code == 0 && rendered.out.contains("host_env_keys: [MY_SECRET]"), "{rendered:?}");
    // A wrong value is told with its name.
    for (value, name) in [
        ("port=0", "port"),
        ("upstream=ftp://a", "upstream"),
        ("native=1", "native"),
        ("prot=1", "prot"),
        // Readiness could not be asked for there.
        ("address=127.0.0.1", "address"),
        ("address=::1", "address"),
        ("ca.key=..", "ca"),
        ("ca.key=-", "ca"),
    ] {
        let refused = on_chart(&helm, &["template", "a"], &["--set", value]);
        assert!(refused.code != 0 && refused.err.contains(name), "{refused:?}");
    }
}

#[test]
fn names_that_yaml_would_not_read_as_text_are_quoted() {
    let Some(helm) = helm() else { return };
    let config = File::new(
        r#"{ "tokens": { "keys": [ { "secret": { "env": "ON" } } ], "key_sets": [ { "name": "a", "issuers": ["https://a"],
             "jwks": { "cluster": "1e3", "path": "/j", "authority": "login.example.com" } } ] } }"#,
    );
    let config = format!("config={}", config.path());
    let values = "secret.name=yes,upstream=https://1e3:8443,ca.configMap=a,ca.key=off";
    let options = ["--set-file", &config, "--namespace", "123", "--set", values];
    let rendered = on_chart(&helm, &["template", "on"], &options);
    assert_eq!(rendered.code, 0, "{rendered:?}");
    // YAML 1.1, which Helm and kubectl read, has more words than the reader here.
    for plain in [
        "instance: on\n",
        "namespace: 123\n",
        "name: ON\n",
        "key: ON\n",
        "name: yes\n",
        "[ON]",
        "name: 1e3\n",
        "subPath: off,",
    ] {
        assert!(!rendered.out.contains(plain), "{plain}: {}", rendered.out);
    }
    for quoted in [
        "host_env_keys: [\"ON\"]",
        "address: \"1e3\"",
        "name: \"1e3\"",
        "literal: \"1e3:8443\"",
        "exact: \"1e3\"",
        "subPath: \"off\"",
    ] {
        assert!(rendered.out.contains(quoted), "{quoted}: {}", rendered.out);
    }
}

#[test]
fn a_configuration_in_any_form_reaches_the_module_as_json() {
    let Some(helm) = helm() else { return };
    for text in [
        "{tokens: {keys: [{secret: {env: API_GUARD_SECRET}}]}}",
        "{\n\t\"tokens\": {\n\t\t\"keys\": [ { \"secret\": { \"env\": \"API_GUARD_SECRET\" } } ] } }\n",
        "tokens:\n  keys:\n    - secret: { env: API_GUARD_SECRET }\n",
    ] {
        let config = File::new(text);
        let config = format!("config={}", config.path());
        let rendered = on_chart(&helm, &["template", "a"], &["--set-file", &config]);
        assert_eq!(rendered.code, 0, "{text}: {rendered:?}");
        let checked = api_guard(["check", File::new(&rendered.out).path()]);
        assert_eq!(checked.code, 0, "{text}: {checked:?}");
    }
}

#[test]
fn values_that_contradict_each_other_are_refused() {
    let Some(helm) = helm() else { return };
    let fleet = format!("config={}", project("examples/fleet.json").display());
    let set = |name: &str, cluster: &str| {
        format!(
            r#"{{ "name": "{name}", "issuers": ["https://{name}"],
                  "jwks": {{ "cluster": "{cluster}", "path": "/j", "authority": "{name}.example.com" }} }}"#
        )
    };
    let sets =
        |sets: &[String]| File::new(format!(r#"{{ "tokens": {{ "key_sets": [{}] }} }}"#, sets.join(",")));
    let (two, admin) = (sets(&[set("a", "idp"), set("b", "idp")]), sets(&[set("a", "admin")]));
    let (two, admin) = (format!("config={}", two.path()), format!("config={}", admin.path()));
    for (config, values, told) in [
        ("", "port=9901", "port and admin.port are both 9901"),
        ("", "port=9902", "port and probePort are both 9902"),
        ("", "admin.port=9902", "admin.port and probePort are both 9902"),
        ("", "probePort=10001", "both 10001"),
        ("", "fullnameOverride=a.b", "fullnameOverride"),
        ("", "fullnameOverride=9lives", "fullnameOverride"),
        ("", "redis.enabled=true,redis.host=a", "config has no fleet"),
        ("", "extraClusters[0].name=upstream", "two clusters are called \"upstream\""),
        ("", "upstream=http://me@orders", "upstream"),
        ("", "upstream=http://localhost:9901", "Envoy itself, at admin.port"),
        ("", "upstream=http://0.0.0.0:10000", "Envoy itself, at port"),
        ("", "upstream=http://[::]:9902", "Envoy itself, at probePort"),
        (&*fleet, "native=false", "redis.enabled=true"),
        (&fleet, "redis.enabled=true,redis.host=a,redis.cluster=b", "redis.cluster"),
        (
            &fleet,
            "redis.enabled=true,redis.host=a,redis.password.secret=b,redis.password.variable=C",
            "redis.password.variable",
        ),
        (&two, "native=false", "\"a.example.com\" and \"b.example.com\""),
        (&admin, "native=false", "two clusters are called \"admin\""),
    ] {
        let file: &[&str] = if config.is_empty() { &[] } else { &["--set-file", config] };
        let refused = on_chart(&helm, &["template", "a"], &[file, &["--set", values]].concat());
        assert!(refused.code != 0 && refused.err.contains(told), "{values}: {refused:?}");
    }
    // With an API of one's own nothing else is at that port, and a cluster of one's own leads to the store.
    for (config, values) in
        [("", "probePort=10001,upstream=http://orders"), (&*fleet, "extraClusters[0].name=api-guard-redis")]
    {
        let file: &[&str] = if config.is_empty() { &[] } else { &["--set-file", config] };
        let taken = on_chart(&helm, &["template", "a"], &[file, &["--set", values]].concat());
        assert_eq!(taken.code, 0, "{values}: {taken:?}");
    }
}

#[test]
fn a_store_gets_its_cluster_and_its_password() {
    let Some(helm) = helm() else { return };
    let config = File::new(
        r#"{ "tokens": { "keys": [ { "secret": { "env": "API_GUARD_SECRET" } } ] },
             "fleet": { "cluster": "api-guard-redis", "password": { "env": "API_GUARD_REDIS_PASSWORD" },
                        "secret": { "env": "API_GUARD_FLEET_SECRET" } } }"#,
    );
    let config = format!("config={}", config.path());
    let redis = "redis.enabled=true,redis.host=store.example.com,redis.password.secret=redis";
    let rendered = on_chart(&helm, &["template", "a"], &["--set-file", &config, "--set", redis]);
    assert_eq!(rendered.code, 0, "{rendered:?}");
    let objects = objects(&rendered.out);
    let (_, map) = objects.iter().find(|((kind, _), _)| kind == "ConfigMap").expect("a ConfigMap");
    let bootstrap = &documents(map["data"]["envoy.yaml"].as_str().expect("a text"))[0];
    let clusters = bootstrap["static_resources"]["clusters"].as_array().expect("clusters");
    let store =
        clusters.iter().find(|cluster| cluster["name"] == "api-guard-redis").expect("the store's cluster");
    assert_eq!(store["upstream_config"]["name"], "envoy.filters.connection_pools.http.tcp");
    assert_eq!(store["transport_socket"]["typed_config"]["sni"], "store.example.com");
    let (_, deployment) = objects.iter().find(|((kind, _), _)| kind == "Deployment").expect("a Deployment");
    let env = deployment["spec"]["template"]["spec"]["containers"][0]["env"].as_array().expect("variables");
    let reference = |name: &str| {
        let variable = env.iter().find(|variable| variable["name"] == name).expect("the variable");
        let key = &variable["valueFrom"]["secretKeyRef"];
        (key["name"].as_str().expect("a name").to_owned(), key["key"].as_str().expect("a key").to_owned())
    };
    assert_eq!(reference("API_GUARD_REDIS_PASSWORD"), ("redis".to_owned(), "password".to_owned()));
    assert_eq!(reference("API_GUARD_FLEET_SECRET").0, "a-api-guard");
    let without = on_chart(&helm, &["template", "a"], &["--set", "redis.enabled=true"]);
    assert!(without.code != 0 && without.err.contains("redis.host"), "{without:?}");
}

#[test]
fn the_notes_tell_how_the_secret_is_made() {
    let Some(helm) = helm() else { return };
    let notes = |options: &[&str]| {
        let installed = on_chart(&helm, &["install", "--dry-run=client", "a"], options);
        assert_eq!(installed.code, 0, "{installed:?}");
        installed.out.split_once("NOTES:").expect("notes").1.to_owned()
    };
    let fleet = format!("config={}", project("examples/fleet.json").display());
    let all = notes(&["--set-file", &fleet, "--set", "redis.enabled=true,redis.host=a"]);
    for part in [
        "--from-literal=API_GUARD_SECRET=\"$(api-guard keygen)\"",
        "--from-literal=API_GUARD_FLEET_SECRET=\"$(api-guard keygen)\"",
        "--from-literal=API_GUARD_REDIS_PASSWORD=\"$API_GUARD_REDIS_PASSWORD\"",
    ] {
        assert!(all.contains(part), "{part}: {all}");
    }
    let own =
        notes(&["--set-file", &fleet, "--set", "redis.enabled=true,redis.host=a,redis.password.secret=b"]);
    assert!(!own.contains("API_GUARD_REDIS_PASSWORD"), "{own}");
}

/// What `make dist` leaves of this call, in a folder.
fn packed(call: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    let script = format!(
        "import pathlib, sys; sys.path.insert(0, 'scripts'); import dist; dist.DIST = pathlib.Path(sys.argv[1]); {call}"
    );
    let mut python = Command::new("python3");
    python.args(["-B", "-c", &script]).arg(folder.path()).current_dir(project(""));
    let packed = run(&mut python);
    assert_eq!(packed.code, 0, "{packed:?}");
    folder
}

#[test]
fn a_release_has_the_chart() {
    let version = env!("CARGO_PKG_VERSION");
    let folder = packed(&format!("dist.chart({version:?})"));
    let archive = folder.path().join(format!("api-guard-{version}.tgz"));
    assert!(archive.is_file());
    let Some(helm) = helm() else { return };
    let config = format!("config={}", project("examples/api-guard.json").display());
    let rendered =
        run(Command::new(&helm).args(["template", "a"]).arg(&archive).args(["--set-file", &config]));
    let of_folder = on_chart(&helm, &["template", "a"], &[]);
    assert_eq!((rendered.code, rendered.out), (0, of_folder.out));
}

#[test]
fn the_bill_of_materials_lists_all_that_the_command_carries() {
    let folder = packed("dist.bill_of_materials()");
    let text = std::fs::read_to_string(folder.path().join("api-guard.cdx.json")).expect("the bill");
    let bill: Value = serde_json::from_str(&text).expect("JSON");
    let components = bill["components"].as_array().expect("components");
    let mut known: Vec<&str> =
        components.iter().map(|one| one["bom-ref"].as_str().expect("a reference")).collect();
    known.push(bill["metadata"]["component"]["bom-ref"].as_str().expect("a reference"));
    for part in [
        "pkg:cargo/api-guard-envoy-native@",
        "pkg:cargo/api-guard-playground@",
        "pkg:npm/%40codemirror/view@",
    ] {
        assert!(known.iter().any(|one| one.starts_with(part)), "{part}: {known:?}");
    }
    assert!(
        !text.contains("pkg:npm/esbuild") && !text.contains("pkg:cargo/jsonschema"),
        "what only builds and tests"
    );
    for dependency in bill["dependencies"].as_array().expect("dependencies") {
        let on = dependency["dependsOn"].as_array().expect("a list");
        for one in on.iter().chain([&dependency["ref"]]) {
            assert!(known.contains(&one.as_str().expect("a reference")), "{one}");
        }
    }
}
