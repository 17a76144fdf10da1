//! `api-guard emit`.

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
        ("istio", &[], "examples/istio/wasm-plugin.yaml"),
        ("envoy-gateway", &[], "examples/envoy-gateway/extension-policy.yaml"),
    ] {
        let run = emit(host, config, more);
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
        let example = std::fs::read_to_string(project(file)).expect("the example");
        assert!(run.out == example, "{file} is not what `api-guard emit {host}` prints");
    }
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
    for host in ["envoy", "istio", "envoy-gateway"] {
        let run = emit(host, file.path(), &[]);
        assert_eq!((run.code, run.err.as_str()), (0, ""), "{run:?}");
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
        // Neither can set it, and the file says so.
        assert!(run.out.contains("allow_on_headers_stop_iteration: true"), "{}", run.out);
    }
}

#[test]
fn what_check_would_say_is_said_on_the_way() {
    let file = File::new(
        config(json!({ "revocation": { "endpoint": {} }, "unmatched_routes": "public" })).to_string(),
    );
    let run = emit("istio", file.path(), &[]);
    assert_eq!(run.code, 0);
    assert!(
        run.err.contains("note: /unmatched_routes") && run.err.contains("revocation endpoint"),
        "{run:?}"
    );
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
        &["emit", "envoy", "--config", good.path(), "--module", "a b"],
        &["emit", "envoy", "--config", good.path(), "--port", "70000"],
        &["emit", "envoy", "--config", good.path(), "--upstream", "http://a:1/path"],
        &["emit", "envoy", "--config", good.path(), "--admin-address", "localhost"],
    ] {
        assert_eq!(api_guard(arguments).code, 2, "{arguments:?}");
    }
}

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

/// Envoy takes the bootstrap, if there are an Envoy and a module.
fn assert_validates(bootstrap: &str) {
    let module = project("dist/api_guard.wasm");
    if !module.is_file() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no module at {}: make build", module.display());
        return;
    }
    let bootstrap = bootstrap.replace("dist/api_guard.wasm", module.to_str().expect("a path"));
    let bootstrap = File::with_ending(bootstrap, ".yaml");
    let validated = Command::new(envoy())
        .args(["--mode", "validate", "-c", bootstrap.path(), "--log-level", "error"])
        .env("API_GUARD_SECRET", SECRET)
        .output()
        .expect("Envoy");
    assert!(validated.status.success(), "{}", String::from_utf8_lossy(&validated.stderr));
}

fn envoy() -> String {
    let envoy = Command::new("sh").arg(project("scripts/envoy.sh")).output().expect("scripts/envoy.sh");
    String::from_utf8(envoy.stdout).expect("a path").trim().to_owned()
}

/// A process that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_ports() -> [u16; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").expect("a port"));
    listeners.map(|listener| listener.local_addr().expect("an address").port())
}

/// The status of a GET, as soon as the server answers.
fn status(port: u16, path: &str, header: &str) -> Option<u16> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    reply.split(' ').nth(1)?.parse().ok()
}

#[test]
fn an_emitted_bootstrap_starts_and_guards() {
    let module = project("dist/api_guard.wasm");
    if !module.is_file() {
        let _ = writeln!(std::io::stderr(), "SKIPPED: no module at {}: make build", module.display());
        return;
    }
    let upstream = TcpListener::bind("127.0.0.1:0").expect("a port");
    let behind = upstream.local_addr().expect("an address");
    std::thread::spawn(move || {
        for stream in upstream.incoming() {
            let Ok(mut stream) = stream else { return };
            let mut bytes = [0; 4096];
            let _ = stream.read(&mut bytes);
            let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    let [port, admin] = free_ports();
    let config = project("examples/api-guard.json");
    let options = [
        "--module".to_owned(),
        module.display().to_string(),
        "--port".to_owned(),
        port.to_string(),
        "--admin-port".to_owned(),
        admin.to_string(),
        "--upstream".to_owned(),
        behind.to_string(),
    ];
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let emitted = emit("envoy", config.to_str().expect("a path"), &options);
    let bootstrap = File::with_ending(&emitted.out, ".yaml");
    let _envoy = Running(
        Command::new(envoy())
            .args(["-c", bootstrap.path(), "--use-dynamic-base-id", "--log-level", "error"])
            .env("API_GUARD_SECRET", SECRET)
            .stdout(Stdio::null())
            .spawn()
            .expect("Envoy"),
    );
    let until = Instant::now() + Duration::from_secs(60);
    while status(admin, "/ready", "") != Some(200) {
        assert!(Instant::now() < until, "Envoy is not ready");
        std::thread::sleep(Duration::from_millis(100));
    }
    let token = api_guard(["mint", "--sub", "user-7", "--kid", "2026-11", "--permission", "orders:read"]);
    let bearer = format!("authorization: Bearer {}\r\n", token.line());
    assert_eq!(status(port, "/orders/42", &bearer), Some(200));
    assert_eq!(status(port, "/orders/42", ""), Some(401));
    assert_eq!(status(port, "/health", ""), Some(200));
}
