//! The pod of `emit kubernetes`: what Kubernetes is told of it, and what it does.

use std::fs;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use api_guard_testkit::free_ports;
use serde_json::{Value, json};

use super::emit;
use super::manifests::{by_kind, documents};
use super::started::{Running, envoy, reply, status};
use crate::command::{SECRET, api_guard, command, run};
use crate::files::{File, config, project};

fn example() -> String {
    project("examples/api-guard.json").to_str().expect("a path").to_owned()
}

/// The objects of a manifest that mounts an image.
fn objects(options: &[&str]) -> std::collections::BTreeMap<String, Value> {
    let run = emit("kubernetes", &example(), &[&["--image", "registry.example.com/a:1"], options].concat());
    assert_eq!(run.code, 0, "{run:?}");
    by_kind(&run.out)
}

#[test]
fn a_pod_has_no_rights_that_it_does_not_need() {
    let objects = objects(&["--pull-secret", "registry"]);
    let pod = &objects["Deployment"]["spec"]["template"]["spec"];
    assert_eq!(pod["automountServiceAccountToken"], false);
    assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
    assert_eq!(pod["securityContext"]["seccompProfile"]["type"], "RuntimeDefault");
    assert_eq!(pod["imagePullSecrets"], json!([{ "name": "registry" }]));
    let container = &pod["containers"][0];
    let rights = &container["securityContext"];
    assert_eq!(
        (&rights["readOnlyRootFilesystem"], &rights["allowPrivilegeEscalation"]),
        (&json!(true), &json!(false))
    );
    assert_eq!(rights["capabilities"]["drop"], json!(["ALL"]));
    // The secret is named, and not in the file.
    let secret = json!({ "secretKeyRef": { "name": "api-guard", "key": "API_GUARD_SECRET" } });
    assert_eq!(container["env"], json!([{ "name": "API_GUARD_SECRET", "valueFrom": secret }]));
    for probe in ["startupProbe", "readinessProbe", "livenessProbe"] {
        assert_eq!(container[probe]["httpGet"], json!({ "path": "/ready", "port": "metrics" }));
    }
    // No port of the admin interface.
    let ports: Vec<&str> =
        container["ports"].as_array().unwrap().iter().map(|port| port["name"].as_str().unwrap()).collect();
    assert_eq!(ports, ["http", "metrics"]);
    for mount in container["volumeMounts"].as_array().unwrap() {
        assert_eq!(mount["readOnly"], true);
    }
}

#[test]
fn certificates_of_a_config_map_take_the_place_of_those_that_envoy_is_told_to_trust() {
    let objects = objects(&["--upstream", "https://orders.example.com", "--ca-config-map", "company-ca"]);
    let pod = &objects["Deployment"]["spec"]["template"]["spec"];
    let mounts = pod["containers"][0]["volumeMounts"].as_array().expect("mounts");
    let mount = mounts.iter().find(|mount| mount["name"] == "trust").expect("a mount");
    assert_eq!(mount["subPath"], "ca.crt");
    let bootstrap = objects["ConfigMap"]["data"]["envoy.yaml"].as_str().expect("a bootstrap");
    let path = mount["mountPath"].as_str().expect("a path");
    assert!(bootstrap.contains(&format!("trusted_ca: {{ filename: {path} }}")), "{bootstrap}");
    let volumes = pod["volumes"].as_array().expect("volumes");
    assert!(
        volumes.contains(&json!({ "name": "trust", "configMap": { "name": "company-ca" } })),
        "{volumes:?}"
    );
}

#[test]
fn every_object_finds_the_pods() {
    let objects = objects(&["--name", "shop", "--namespace", "prod"]);
    let labels = &objects["Deployment"]["spec"]["template"]["metadata"]["labels"];
    let finds = |selector: &Value| {
        let selector = selector.as_object().expect("labels");
        assert!(
            !selector.is_empty() && selector.iter().all(|(name, value)| labels[name] == *value),
            "{selector:?}"
        );
    };
    finds(&objects["Deployment"]["spec"]["selector"]["matchLabels"]);
    finds(&objects["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"]);
    finds(&objects["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"]);
    finds(&objects["Service"]["spec"]["selector"]);
    assert_eq!(objects["HorizontalPodAutoscaler"]["spec"]["scaleTargetRef"]["name"], "shop");
    // The monitor finds the second service alone.
    let manifest = emit("kubernetes", &example(), &["--image", "a", "--name", "shop"]).out;
    let services: Vec<Value> =
        documents(&manifest).into_iter().filter(|one| one["kind"] == "Service").collect();
    let wanted = objects["ServiceMonitor"]["spec"]["selector"]["matchLabels"].as_object().unwrap();
    let found = services
        .iter()
        .filter(|one| wanted.iter().all(|(name, value)| one["metadata"]["labels"][name] == *value));
    let names: Vec<&Value> = found.map(|one| &one["metadata"]["name"]).collect();
    assert_eq!(names, ["shop-metrics"]);
    for object in objects.values() {
        assert_eq!(object["metadata"]["namespace"], "prod", "{object}");
    }
    let alerts = fs::read_to_string(project("examples/prometheus/alerts.yaml")).unwrap();
    assert_eq!(objects["PrometheusRule"]["spec"], documents(&alerts)[0]);
}

#[test]
fn an_image_is_named_by_its_digest() {
    let digest = "0123456789abcdef".repeat(4);
    let volume = |options: &[&str]| {
        let volumes = objects(options)["Deployment"]["spec"]["template"]["spec"]["volumes"].clone();
        volumes[1]["image"]["reference"].as_str().unwrap().to_owned()
    };
    assert_eq!(volume(&["--sha256", &digest]), format!("registry.example.com/a:1@sha256:{digest}"));
    let bootstrap =
        |options: &[&str]| objects(options)["ConfigMap"]["data"]["envoy.yaml"].as_str().unwrap().to_owned();
    assert!(bootstrap(&[]).contains("filename: /opt/api-guard/plugin.wasm"));
    assert!(bootstrap(&["--native"]).contains("filename: /opt/api-guard/libapi_guard.so"));
    // The certificates are those of Envoy's image, whatever machine this is.
    let https = bootstrap(&["--upstream", "https://orders:8443"]);
    assert!(https.contains("trusted_ca: { filename: /etc/ssl/certs/ca-certificates.crt }"), "{https}");
}

#[test]
fn check_reads_the_bootstrap_in_a_config_map() {
    let file = File::new(
        config(json!({ "auth_failure_limit": { "max_failures": 20, "window_seconds": 60 } })).to_string(),
    );
    let run = emit("kubernetes", file.path(), &["--image", "a"]);
    let checked = api_guard(["check", "--strict", File::new(&run.out).path()]);
    assert_eq!(checked.code, 0, "{checked:?}");
    let open = run.out.replacen("failure_policy: FAIL_RELOAD", "failure_policy: FAIL_OPEN", 1);
    assert_ne!(open, run.out);
    let checked = api_guard(["check", "--json", File::new(&open).path()]).json();
    let finding = &checked["findings"][0];
    assert_eq!(finding["rule"], "fail-open");
    assert_eq!(finding["within"], "/data/envoy.yaml");
    let line = open.lines().position(|line| line.contains("FAIL_OPEN")).unwrap() as u64 + 1;
    assert_eq!(finding["line"], line, "{finding}");
}

/// What a listener answers, until it answers.
fn ready(port: u16) {
    let until = Instant::now() + Duration::from_secs(60);
    while reply(port, "/ready", "").as_deref().and_then(status) != Some(200) {
        assert!(Instant::now() < until, "the pod's Envoy is not ready");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_container_serves_and_its_probes_show_nothing_else() {
    let Some(envoy) = envoy() else { return };
    let [port, admin, demo, probes] = free_ports();
    let module = project("dist/api_guard.wasm");
    let ports = [port.to_string(), admin.to_string()];
    let options = ["--module", module.to_str().unwrap(), "--port", &ports[0], "--admin-port", &ports[1]];
    let run = emit("kubernetes", &example(), &options);
    assert_eq!(run.code, 0, "{run:?}");
    let objects = documents(&run.out);
    let of_kind = |kind: &str| objects.iter().filter(|one| one["kind"] == kind).collect::<Vec<_>>();
    let maps = of_kind("ConfigMap");
    assert!(maps[1]["binaryData"]["api_guard.wasm"].as_str().unwrap().starts_with("AGFzbQ"));
    // What is mounted stands elsewhere here, and two ports are taken by whoever runs the tests.
    let bootstrap = maps[0]["data"]["envoy.yaml"].as_str().unwrap();
    let bootstrap = bootstrap
        .replace("/opt/api-guard/api_guard.wasm", module.to_str().unwrap())
        .replace("port_value: 10001 ", &format!("port_value: {demo} "))
        .replace("port_value: 9902 ", &format!("port_value: {probes} "));
    let file = File::with_ending(&bootstrap, ".yaml");
    let container = &of_kind("Deployment")[0]["spec"]["template"]["spec"]["containers"][0];
    let arguments =
        container["args"].as_array().unwrap().iter().map(|argument| match argument.as_str().unwrap() {
            "/etc/api-guard/envoy.yaml" => file.path(),
            other => other,
        });
    let _running = Running(
        Command::new(envoy)
            .args(arguments)
            .env_clear()
            .env(container["env"][0]["name"].as_str().unwrap(), SECRET)
            .current_dir("/")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("Envoy"),
    );
    ready(probes);
    let token = api_guard(["mint", "--sub", "user-7", "--kid", "2026-11", "--permission", "orders:read"]);
    let bearer = format!("authorization: Bearer {}\r\n", token.line());
    assert_eq!(status(&reply(port, "/orders/42", "").unwrap()), Some(401));
    let served = reply(port, "/orders/42", &bearer).unwrap();
    assert!(status(&served) == Some(200) && served.contains("user-7"), "{served}");
    // Metrics come a little later than the answers that they count.
    let until = Instant::now() + Duration::from_secs(20);
    while !reply(probes, "/stats/prometheus", "").unwrap().contains("code=\"token_missing\"") {
        assert!(Instant::now() < until, "the refusal is not counted");
        std::thread::sleep(Duration::from_millis(100));
    }
    for hidden in [
        "/",
        "/stats",
        "/config_dump",
        "/clusters",
        "/ready/",
        "/ready/../stats",
        "/stats/prometheus/../../config_dump",
        "/%72eady",
        "/quitquitquit",
        "/help",
        "/server_info",
        "/logging",
    ] {
        let answer = reply(probes, hidden, "").unwrap();
        assert_eq!(status(&answer), Some(404), "{hidden}: {answer}");
    }
    // Nothing is changed by way of the probes.
    assert_eq!(status(&post(probes, "/stats/prometheus")), Some(404));
    assert_eq!(status(&post(probes, "/ready")), Some(404));
}

/// The answer to a POST without a body.
fn post(port: u16, path: &str) -> String {
    use std::io::{Read, Write};
    let mut stream = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn the_certificates_of_the_store_and_of_issuers_are_those_of_envoy_s_machine() {
    let mut configuration = super::fleet::fleet();
    configuration["tokens"]["key_sets"] = json!([{
        "name": "a", "issuers": ["https://a"], "jwks": { "cluster": "idp", "path": "/j", "authority": "login.example.com" },
    }]);
    let file = File::new(configuration.to_string());
    let own = File::with_ending("", ".pem");
    let trusted = |host: &str, more: &[&str]| {
        let call = ["emit", host, "--config", file.path(), "--redis", "rediss://store.example.com"];
        let emitted = run(command().args(call).args(more).env("SSL_CERT_FILE", own.path()));
        assert_eq!(emitted.code, 0, "{emitted:?}");
        let lines =
            emitted.out.lines().filter_map(|line| line.trim().strip_prefix("trusted_ca: { filename: "));
        lines.map(|line| line.trim_end_matches(" }").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(trusted("kubernetes", &["--image", "a"]), ["/etc/ssl/certs/ca-certificates.crt"; 2]);
    assert_eq!(trusted("envoy", &[]), [own.path(); 2]);
}

#[test]
fn a_bootstrap_that_no_config_map_can_hold_is_told() {
    let routes = |count: usize| -> Vec<Value> {
        (0..count).map(|index| json!({ "path": format!("/{index}/{}", "a".repeat(80)) })).collect()
    };
    let emitted = |count: usize| {
        let file = File::new(config(json!({ "routes": routes(count) })).to_string());
        emit("kubernetes", file.path(), &["--image", "a"])
    };
    let small = emitted(10);
    assert!(small.code == 0 && !small.err.contains("server-side"), "{}", small.err);
    let large = emitted(4_000);
    assert!(large.code == 0 && large.err.contains("apply --server-side"), "{}", large.err);
    let most = emitted(11_000);
    assert!(most.code == 1 && most.out.is_empty() && most.err.contains("1048576"), "{}", most.err);
}

#[test]
fn another_module_makes_new_pods() {
    let file = File::new(config(json!({})).to_string());
    let annotations = |module: &File| {
        let run = emit("kubernetes", file.path(), &["--module", module.path()]);
        let all: Vec<Value> =
            documents(&run.out).into_iter().filter(|object| object["kind"] == "Deployment").collect();
        all[0]["spec"]["template"]["metadata"]["annotations"].clone()
    };
    let module = |version: &[u8]| File::with_ending([b"\0asm", version].concat(), ".wasm");
    let (one, other) = (annotations(&module(b"1")), annotations(&module(b"2")));
    assert_eq!(one["checksum/bootstrap"], other["checksum/bootstrap"]);
    assert!(
        one["checksum/module"].is_string() && one["checksum/module"] != other["checksum/module"],
        "{one}"
    );
}

#[test]
fn what_a_pod_may_not_have_is_told() {
    let run = emit("kubernetes", &example(), &["--image", "a", "--port", "80"]);
    assert!(run.code == 0 && run.err.contains("--port 80") && run.err.contains("1024"), "{run:?}");
    let run = emit("kubernetes", &example(), &["--image", "a", "--upstream", "localhost:8080"]);
    assert!(
        run.code == 0 && run.err.contains("http://localhost:8080") && run.err.contains("Service"),
        "{run:?}"
    );
    assert_eq!(emit("envoy", &example(), &["--upstream", "localhost:9902"]).code, 0);
    let https = ["--image", "a", "--upstream", "https://orders", "--upstream-ca", "/etc/ca.pem"];
    let run = emit("kubernetes", &example(), &https);
    assert!(
        run.code == 0 && run.err.contains("\"/etc/ca.pem\"") && run.err.contains("--envoy-image"),
        "{run:?}"
    );
    assert!(!emit("kubernetes", &example(), &https[..4]).err.contains("--upstream-ca"));
    let taken = json!({ "tokens": { "key_sets": [{
        "name": "a", "issuers": ["https://a"], "jwks": { "cluster": "admin", "path": "/j", "authority": "login.example.com" },
    }] } });
    let taken = File::new(taken.to_string());
    let run = emit("kubernetes", taken.path(), &["--image", "a"]);
    assert!(run.code == 1 && run.out.is_empty() && run.err.contains("\"admin\""), "{run:?}");
    assert_eq!(emit("envoy", taken.path(), &[]).code, 0);
}

#[test]
fn how_the_secret_is_made_is_told_of_each_variable() {
    let mut configuration = super::fleet::fleet();
    let public = json!({ "kid": "p", "algorithm": "RS256", "public_key": { "env": "PUBLIC_KEY" } });
    configuration["tokens"]["keys"].as_array_mut().expect("keys").push(public);
    let file = File::new(configuration.to_string());
    let run = emit("kubernetes", file.path(), &["--image", "a", "--redis", "rediss://store.example.com"]);
    let call = run.out.lines().find(|line| line.contains("create secret")).expect("the call");
    for part in [
        "--from-literal=API_GUARD_SECRET=\"$(api-guard keygen)\"",
        "--from-literal=API_GUARD_FLEET_SECRET=\"$(api-guard keygen)\"",
        "--from-literal=API_GUARD_REDIS_PASSWORD=\"$API_GUARD_REDIS_PASSWORD\"",
        "--from-file=PUBLIC_KEY=PUBLIC_KEY_FILE",
    ] {
        assert!(call.contains(part), "{part}: {call}");
    }
    assert!(run.out.contains("scope \"fleet\"") && !run.out.contains("N times a limit"), "{}", run.out);
    let inline = json!({ "tokens": { "keys": [{ "secret": { "value": "Zq3_x-8YbR1tLm6VwK0hDf5sGj2nPc7uEiOa9Xr4TzM" } }] } });
    let run = emit("kubernetes", File::new(inline.to_string()).path(), &["--image", "a"]);
    assert!(run.code == 0 && !run.out.contains("create secret"), "{}", run.out);
}
