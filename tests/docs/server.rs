//! An Envoy with the shipped `envoy.yaml`, except for the plugin's configuration and the ports.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use api_guard_testkit::free_ports;

use crate::SECRET;

/// The variables that the documents name, and what they hold here.
pub(crate) const VARIABLES: [(&str, &str); 6] = [
    ("API_GUARD_SECRET", SECRET),
    ("API_GUARD_OLD_SECRET", "a-secret-of-the-tests-that-is-older-than-the-other"),
    ("API_GUARD_NEW_SECRET", "a-secret-of-the-tests-that-is-newer-than-the-other"),
    ("API_GUARD_FLEET_SECRET", "a-secret-of-the-tests-that-all-envoys-of-a-fleet-have"),
    ("API_GUARD_REDIS_PASSWORD", "a-password-of-the-tests"),
    ("HASURA_JWT_KEY", "a-secret-of-the-tests-that-is-long-enough-for-the-64-bytes-that-HS512-asks-for"),
];

/// What the variable holds; `None` where no document may name it.
pub(crate) fn variable(wanted: &str) -> Option<&'static str> {
    VARIABLES.iter().find_map(|(name, value)| (*name == wanted).then_some(*value))
}

const ENVIRONMENT: &str = "environment_variables: { host_env_keys: [API_GUARD_SECRET] }";

/// A running Envoy, ended with the test.
pub(crate) struct Server {
    process: Child,
    file: PathBuf,
    pub(crate) api: u16,
    pub(crate) admin: u16,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        let _ = std::fs::remove_file(&self.file);
    }
}

impl Server {
    /// Starts it with this configuration, or with the shipped one, and waits until it serves.
    pub(crate) fn start(plugin: Option<&str>) -> Self {
        Self::start_edited(plugin, |text| text)
    }

    /// As [`Server::start`], with the whole of what Envoy is told edited at the end.
    pub(crate) fn start_edited(plugin: Option<&str>, edit: impl FnOnce(String) -> String) -> Self {
        let [api, admin, upstream] = free_ports();
        let shipped = include_str!("../../envoy.yaml");
        assert!(shipped.contains(ENVIRONMENT));
        let names = VARIABLES.map(|(name, _)| name).join(", ");
        let environment = ENVIRONMENT.replace("API_GUARD_SECRET", &names);
        let mut text = shipped.replace(ENVIRONMENT, &environment);
        for (shipped, free) in [("10000", api), ("9901", admin), ("10001", upstream)] {
            text = text.replace(&format!("port_value: {shipped} "), &format!("port_value: {free} "));
        }
        if let Some(plugin) = plugin {
            let (before, rest) = text.split_once("value: |\n").unwrap();
            let (_, after) = rest.split_once("- name: envoy.filters.http.router").unwrap();
            let quoted = plugin.replace('\n', " ").replace('\'', "''");
            text = format!(
                "{before}value: '{quoted}'\n                  - name: envoy.filters.http.router{after}"
            );
        }
        let text = edit(text);
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("docs-{api}.yaml"));
        std::fs::write(&file, text).unwrap();
        let process = Command::new(binary())
            .args(["--use-dynamic-base-id", "--concurrency", "1", "--log-level", "error", "--config-path"])
            .arg(&file)
            .envs(VARIABLES)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut server = Self { process, file, api, admin };
        let start = Instant::now();
        while server.try_ask(admin, "GET", "/ready", None).is_none_or(|(status, _)| status != 200) {
            assert!(server.process.try_wait().unwrap().is_none(), "Envoy refuses {plugin:?}");
            assert!(start.elapsed() < Duration::from_secs(60), "Envoy is not ready");
            std::thread::sleep(Duration::from_millis(50));
        }
        server
    }

    /// Status and body of a request to the API.
    pub(crate) fn ask(&self, method: &str, path: &str, token: Option<&str>) -> (u16, String) {
        self.try_ask(self.api, method, path, token).expect("an answer")
    }

    fn try_ask(&self, port: u16, method: &str, path: &str, token: Option<&str>) -> Option<(u16, String)> {
        let token = token.map_or_else(String::new, |token| format!("authorization: Bearer {token}\r\n"));
        let reply = exchange(port, &format!("{method} {path}"), &token)?;
        let (head, body) = reply.split_once("\r\n\r\n")?;
        Some((head.split(' ').nth(1)?.parse().ok()?, body.to_owned()))
    }

    /// The whole reply of the API, as it was on the wire, to a request with these lines of headers.
    pub(crate) fn reply(&self, method_and_path: &str, headers: &[&str]) -> String {
        let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
        exchange(self.api, method_and_path, &lines).expect("a reply")
    }
}

fn exchange(port: u16, method_and_path: &str, lines: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "{method_and_path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{lines}\r\n")
        .ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    Some(reply)
}

pub(crate) fn binary() -> String {
    let output = Command::new("scripts/envoy.sh").current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}
