//! The README's steps from a configuration to a guarded API, all of them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use api_guard_testkit::free_ports;

use crate::documents::{blocks, read, section};

/// An API that answers every request with 200.
fn upstream() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream
                .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 11\r\nconnection: close\r\n\r\nmy own api\n");
        }
    });
    port
}

#[test]
fn the_first_api_of_ones_own_is_guarded_as_the_readme_says() {
    let readme = read("README.md");
    let steps = section(&readme, "Guard your own API");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first-api");
    std::fs::create_dir_all(&folder).unwrap();
    let file = folder.join("api-guard");
    let config = blocks(steps, "json").remove(0);
    std::fs::write(file.with_extension("json"), config).unwrap();

    let [run, start, calls]: [String; 3] = blocks(steps, "sh").try_into().unwrap();
    let trial = Trial::start(&run.replace("api-guard.json", &format!("{}.json", file.display())), upstream());
    assert!(trial.curl("curl -i localhost:10000/orders/42").starts_with("HTTP/1.1 401 "));
    assert!(trial.said.iter().any(|line| line.starts_with("403, permission_missing")), "{:?}", trial.said);
    drop(trial);
    let [api, admin] = free_ports();
    let script = format!("{start}\n{WAIT}\n{calls}")
        .replace("api-guard.json", &format!("{}.json", file.display()))
        .replace("api-guard.yaml", &format!("{}.yaml", file.display()))
        .replace("emit envoy ", &format!("emit envoy --port {api} --admin-port {admin} "))
        .replace("localhost:8080", &format!("127.0.0.1:{}", upstream()))
        .replace("localhost:10000", &format!("127.0.0.1:{api}"))
        .replace("localhost:9901", &format!("127.0.0.1:{admin}"))
        .replace(" -c ", " --use-dynamic-base-id --log-level error -c ");
    let binary = Path::new(env!("CARGO_BIN_EXE_api-guard")).parent().unwrap();
    let output = Command::new("sh")
        .args(["-euc", &script])
        .env("PATH", format!("{}:{}", binary.display(), std::env::var("PATH").unwrap()))
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{script}\n{said}\n{}", String::from_utf8_lossy(&output.stderr));
    let statuses: Vec<&str> =
        said.lines().filter_map(|line| line.strip_prefix("HTTP/1.1 ")?.split(' ').next()).collect();
    assert_eq!(statuses, ["200", "401"], "{said}");
    assert!(said.contains("my own api\n"), "{said}");
}

/// `api-guard run` as a line of the README starts it, but for ports. It ends with the test.
struct Trial {
    child: std::process::Child,
    port: u16,
    said: Vec<String>,
}

impl Drop for Trial {
    fn drop(&mut self) {
        let _ = Command::new("kill").arg(self.child.id().to_string()).status();
        let _ = self.child.wait();
    }
}

impl Trial {
    fn start(line: &str, upstream: u16) -> Self {
        let [port, admin] = free_ports();
        let line = line
            .replace("localhost:3000", &format!("127.0.0.1:{upstream}"))
            .replace("localhost:8080", &format!("127.0.0.1:{upstream}"));
        let words: Vec<&str> = line.strip_prefix("api-guard ").unwrap().split(' ').collect();
        let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("home-{port}"));
        std::fs::create_dir_all(&home).unwrap();
        let module = Path::new(env!("CARGO_MANIFEST_DIR")).join("dist/api_guard.wasm");
        let mut child = Command::new(env!("CARGO_BIN_EXE_api-guard"))
            .args(words)
            .args(["--port", &port.to_string(), "--admin-port", &admin.to_string(), "--module"])
            .arg(module)
            .env("HOME", &home)
            .env("ENVOY_BIN", crate::server::binary())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = Vec::new();
        for line in std::io::BufRead::lines(std::io::BufReader::new(child.stdout.take().unwrap())) {
            let line = line.unwrap();
            let ends = line.starts_with("Ctrl-C");
            said.push(line);
            if ends {
                break;
            }
        }
        assert!(said.iter().any(|line| line.starts_with("Ctrl-C")), "{said:?}");
        Self { child, port, said }
    }

    /// What a curl line gets.
    fn curl(&self, line: &str) -> String {
        let line = line
            .replace("localhost:10000", &format!("127.0.0.1:{}", self.port))
            .replace("curl -i", "curl -si");
        let output = Command::new("sh").args(["-euc", &line]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    }
}

#[test]
fn the_first_screen_of_the_readme_guards_an_api() {
    let readme = read("README.md");
    let [start, call]: [String; 2] = blocks(section(&readme, "Try it"), "sh").try_into().unwrap();
    let (install, run) = start.split_once('\n').unwrap();
    assert_eq!(install, "make install");
    let trial = Trial::start(run, upstream());
    assert!(trial.curl(&call).starts_with("HTTP/1.1 401 "));
    let curl = trial.said.iter().find(|line| line.trim_start().starts_with("curl ")).unwrap();
    let answer = trial.curl(&curl.replace(&format!("localhost:{}", trial.port), "localhost:10000"));
    assert!(answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("my own api\n"), "{answer}");
}

/// Waits, as a person who types the commands would.
const WAIT: &str = r#"envoy=$!
trap 'kill "$envoy"; wait "$envoy" || true' EXIT
until curl -sf localhost:9901/ready >/dev/null; do kill -0 "$envoy"; sleep 0.1; done"#;
