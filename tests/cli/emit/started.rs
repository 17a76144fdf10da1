//! Every bootstrap that `emit envoy` writes is started, and serves.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, ToSocketAddrs};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use api_guard_testkit::free_ports;
use serde_json::json;

use super::emit;
use crate::command::{SECRET, api_guard};
use crate::files::{File, config, project};

/// A process that ends with the test.
pub(super) struct Running(pub(super) Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// The reply to a GET, as soon as the server answers.
pub(super) fn reply(port: u16, path: &str, header: &str) -> Option<String> {
    reply_at("127.0.0.1", port, path, header)
}

fn reply_at(address: &str, port: u16, path: &str, header: &str) -> Option<String> {
    let mut stream = TcpStream::connect((address, port)).ok()?;
    let head = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{header}\r\n");
    stream.write_all(head.as_bytes()).ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    Some(reply)
}

pub(super) fn status(reply: &str) -> Option<u16> {
    reply.split(' ').nth(1)?.parse().ok()
}

/// The Envoy that the tests use; `None`, which is said, where there is no module.
pub(super) fn envoy() -> Option<String> {
    if !project("dist/api_guard.wasm").is_file() {
        api_guard_testkit::skip("no module: make build");
        return None;
    }
    let envoy = Command::new("sh").arg(project("scripts/envoy.sh")).output().expect("scripts/envoy.sh");
    Some(String::from_utf8(envoy.stdout).expect("a path").trim().to_owned())
}

/// Starts Envoy with this bootstrap and waits until it is ready.
pub(super) fn start(envoy: &str, bootstrap: &str, admin: u16) -> (Running, File) {
    let file = File::with_ending(bootstrap, ".yaml");
    let running = Running(
        Command::new(envoy)
            .args(["-c", file.path(), "--use-dynamic-base-id", "--log-level", "error", "--concurrency", "1"])
            .env("API_GUARD_SECRET", SECRET)
            // The module's path in the bootstrap does not depend on the folder.
            .current_dir("/")
            .stdout(Stdio::null())
            .spawn()
            .expect("Envoy"),
    );
    let until = Instant::now() + Duration::from_secs(60);
    while reply(admin, "/ready", "").as_deref().and_then(status) != Some(200) {
        assert!(Instant::now() < until, "Envoy is not ready");
        std::thread::sleep(Duration::from_millis(50));
    }
    (running, file)
}

/// What a bootstrap with these options answers to a request with a good token; the guard itself is tried too.
fn answer(envoy: &str, options: &[&str]) -> String {
    let [port, admin, demo] = free_ports();
    let config = project("examples/api-guard.json");
    let ports = [port.to_string(), admin.to_string()];
    let options = [&["--port", &ports[0], "--admin-port", &ports[1]], options].concat();
    let mut command = crate::command::command();
    command.args(["emit", "envoy", "--config"]).arg(config).args(&options).current_dir(project(""));
    let emitted = crate::command::run(&mut command);
    assert_eq!(emitted.code, 0, "{emitted:?}");
    let bootstrap = emitted.out.replace("port_value: 10001 ", &format!("port_value: {demo} "));
    let _envoy = start(envoy, &bootstrap, admin);
    let token = api_guard(["mint", "--sub", "user-7", "--kid", "2026-11", "--permission", "orders:read"]);
    let bearer = format!("authorization: Bearer {}\r\n", token.line());
    assert_eq!(status(&reply(port, "/orders/42", "").unwrap()), Some(401));
    reply(port, "/orders/42", &bearer).unwrap()
}

/// What comes back of bytes that are sent over a cluster of a bootstrap, as the body of a request.
pub(super) fn bytes_through(envoy: &str, bootstrap: &str, cluster: &str, bytes: &[u8]) -> String {
    let [port, admin] = free_ports();
    let (_, clusters) = bootstrap.split_once("  clusters:\n").expect("clusters");
    let text = format!(
        "admin: {{ address: {{ socket_address: {{ address: 127.0.0.1, port_value: {admin} }} }} }}
static_resources:
  listeners:
    - address: {{ socket_address: {{ address: 127.0.0.1, port_value: {port} }} }}
      filter_chains:
        - filters:
            - name: manager
              typed_config:
                \"@type\": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
                stat_prefix: bytes
                http_filters: [{{ name: router, typed_config: {{ \"@type\": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router }} }}]
                route_config: {{ virtual_hosts: [{{ name: all, domains: ['*'], routes: [{{ match: {{ prefix: / }}, route: {{ cluster: {cluster} }} }}] }}] }}
  clusters:
{clusters}"
    );
    let _envoy = start(envoy, &text, admin);
    let mut stream = TcpStream::connect(("127.0.0.1", port)).expect("Envoy");
    let head = format!(
        "POST / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        bytes.len()
    );
    stream.write_all(&[head.as_bytes(), bytes].concat()).expect("a request");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    // The one piece of a body whose length was not known before.
    let (_, body) = reply.split_once("\r\n\r\n").expect("a body");
    let body = body.strip_suffix("\r\n0\r\n\r\n").unwrap_or(body);
    body.to_owned()
}

#[test]
fn one_address_takes_both_families_and_an_ipv4_client_keeps_its_address() {
    let Some(envoy) = envoy() else { return };
    if TcpListener::bind("[::1]:0").is_err() {
        return api_guard_testkit::skip("no IPv6");
    }
    let route = json!({ "routes": [{ "path": "/orders", "access": "public", "allow_from": ["127.0.0.1"] }] });
    let config = File::new(config(route).to_string());
    let [port, admin, demo] = free_ports();
    let bootstrap = emitted(config.path(), [port, admin, demo], &["--address", "::"]);
    let _envoy = start(&envoy, &bootstrap, admin);
    for (address, wanted) in [("127.0.0.1", 200), ("::1", 403)] {
        let answer = reply_at(address, port, "/orders", "").expect("a reply");
        assert_eq!(status(&answer), Some(wanted), "{address}: {answer}");
    }
}

#[test]
fn an_encoded_slash_passes_where_the_configuration_allows_it() {
    let Some(envoy) = envoy() else { return };
    let route = |allowed| json!({ "routes": [{ "path": "/projects/{id}", "access": "public", "allow_in_path": [allowed] }] });
    let library = project("dist/libapi_guard.so");
    let forms = [&[][..], &["--native"]];
    for form in &forms[..if library.is_file() { 2 } else { 1 }] {
        for (allowed, wanted) in [("encoded_slash", 200), ("semicolon", 400)] {
            let config = File::new(config(route(allowed)).to_string());
            let [port, admin, demo] = free_ports();
            let bootstrap = emitted(config.path(), [port, admin, demo], form);
            let _envoy = start(&envoy, &bootstrap, admin);
            let answer = reply(port, "/projects/group%2Fproj", "").expect("a reply");
            assert_eq!(status(&answer), Some(wanted), "{form:?} {allowed}");
            // The guard answers what Envoy leaves to it.
            let answer = reply(port, "/other/group%2Fproj", "").expect("a reply");
            assert_eq!(status(&answer), Some(400), "{form:?} {allowed}");
            let checked = api_guard(["check", File::new(&bootstrap).path()]);
            assert!(!checked.out.contains("path-options"), "{checked:?}");
        }
    }
}

/// The bootstrap for these ports, the last of which is the demo API's.
fn emitted(config: &str, [port, admin, demo]: [u16; 3], form: &[&str]) -> String {
    let ports = [port.to_string(), admin.to_string()];
    let mut command = crate::command::command();
    command.args(["emit", "envoy", "--config", config, "--port", &ports[0], "--admin-port", &ports[1]]);
    let emitted = crate::command::run(command.args(form).current_dir(project("")));
    emitted.out.replace("port_value: 10001 ", &format!("port_value: {demo} "))
}

/// A service on this address that answers everything with 200.
fn service(address: &str) -> Option<u16> {
    let upstream = TcpListener::bind((address, 0)).ok()?;
    let port = upstream.local_addr().ok()?.port();
    std::thread::spawn(move || {
        for stream in upstream.incoming() {
            let Ok(mut stream) = stream else { return };
            let _ = stream.read(&mut [0; 4096]);
            let _ =
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\nconnection: close\r\n\r\nservice");
        }
    });
    Some(port)
}

#[test]
fn the_demo_answers() {
    let Some(envoy) = envoy() else { return };
    let answer = answer(&envoy, &[]);
    assert!(status(&answer) == Some(200) && answer.contains("user-7"), "{answer}");
}

#[test]
fn a_module_may_be_in_a_folder_of_any_name() {
    let Some(envoy) = envoy() else { return };
    let parent = tempfile::tempdir().expect("a folder");
    let folder = parent.path().join("a b: #\u{e4}");
    std::fs::create_dir(&folder).expect("a folder");
    for (file, options) in [("api_guard.wasm", &[][..]), ("libapi_guard.so", &["--native"])] {
        let built = project("dist").join(file);
        if !built.exists() {
            continue;
        }
        let module = folder.join(file);
        std::fs::copy(built, &module).expect("the module");
        let named = [&["--module", module.to_str().expect("a path")], options].concat();
        assert_eq!(status(&answer(&envoy, &named)), Some(200), "{file}");
    }
}

#[test]
fn a_service_answers_by_address_and_by_name_in_either_family() {
    let Some(envoy) = envoy() else { return };
    let knows_localhost = |address: &str| {
        ("localhost", 1)
            .to_socket_addrs()
            .is_ok_and(|mut all| all.any(|found| found.ip().to_string() == address))
    };
    let mut upstreams = Vec::new();
    if let Some(port) = service("127.0.0.1") {
        upstreams.extend([
            format!("127.0.0.1:{port}"),
            format!("http://localhost:{port}"),
            format!("localhost:{port}"),
        ]);
    }
    if let Some(port) = service("::1") {
        upstreams.push(format!("http://[::1]:{port}/"));
        if knows_localhost("::1") {
            upstreams.push(format!("localhost:{port}"));
        }
    }
    for upstream in upstreams {
        let answer = answer(&envoy, &["--upstream", &upstream]);
        assert!(status(&answer) == Some(200) && answer.ends_with("service"), "{upstream}: {answer}");
    }
}

/// An Envoy that is a service with the tests' certificate, which is for `localhost`.
fn service_with_certificate(envoy: &str) -> (u16, impl Drop) {
    let [port, admin] = free_ports();
    let file = |name: &str| json!({ "filename": project("tests/cli/tls").join(name) });
    let address = |port: u16| json!({ "socket_address": { "address": "127.0.0.1", "port_value": port } });
    let tls = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_certificates": [{ "certificate_chain": file("cert.pem"), "private_key": file("key.pem") }],
        },
    });
    let answers = "host %REQ(:AUTHORITY)%, name %REQUESTED_SERVER_NAME%.";
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "service",
        "http_filters": [{ "name": "router", "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } }],
        "route_config": { "virtual_hosts": [{ "name": "all", "domains": ["*"], "routes": [{
            "match": { "prefix": "/" },
            "direct_response": { "status": 200, "body_format": { "text_format_source": { "inline_string": answers } } },
        }] }] },
    });
    let bootstrap = json!({
        "admin": { "address": address(admin) },
        "static_resources": { "listeners": [{
            "address": address(port),
            "listener_filters": [{ "name": "names", "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector" } }],
            "filter_chains": [{
                "transport_socket": { "name": "tls", "typed_config": tls },
                "filters": [{ "name": "manager", "typed_config": manager }],
            }],
        }] },
    });
    (port, start(envoy, &bootstrap.to_string(), admin).0)
}

#[test]
fn a_service_with_a_certificate_is_asked_by_its_own_name_and_must_be_known() {
    let Some(envoy) = envoy() else { return };
    let (port, _service) = service_with_certificate(&envoy);
    let trust = project("tests/cli/tls/cert.pem");
    let trust = ["--upstream-ca", trust.to_str().unwrap()];
    let by_name = format!("https://localhost:{port}");
    let known = answer(&envoy, &[&["--upstream", &by_name], &trust[..]].concat());
    assert!(known.ends_with(&format!("host localhost:{port}, name localhost.")), "{known}");
    // The system does not trust it, and it is not for an address.
    let unknown = answer(&envoy, &["--upstream", &by_name]);
    assert_eq!(status(&unknown), Some(503), "{unknown}");
    let other = format!("https://127.0.0.1:{port}");
    let other = answer(&envoy, &[&["--upstream", &other], &trust[..]].concat());
    assert_eq!(status(&other), Some(503), "{other}");
}

#[test]
fn a_manifest_names_the_module_by_its_whole_path() {
    let config = project("examples/api-guard.json");
    let run = emit("envoy", config.to_str().unwrap(), &["--module", "some/api_guard.wasm"]);
    let here = std::env::current_dir().unwrap().join("some/api_guard.wasm");
    assert!(run.out.contains(&format!("filename: {}", here.display())), "{}", run.out);
}
