//! The README's steps from a configuration to a guarded API, all of them.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;

use crate::documents::{blocks, read, section};
use crate::server::free_ports;

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

    let [install, start, calls]: [String; 3] = blocks(steps, "sh").try_into().unwrap();
    assert_eq!(install, "cargo install --path .");
    let [api, admin, _] = free_ports();
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

/// Waits, as a person who types the commands would.
const WAIT: &str = r#"envoy=$!
trap 'kill "$envoy"; wait "$envoy" || true' EXIT
until curl -sf localhost:9901/ready >/dev/null; do kill -0 "$envoy"; sleep 0.1; done"#;
