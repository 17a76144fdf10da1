//! `make run` as a new user meets it: three curl lines give 200, 401 and 403.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use crate::server::free_ports;

/// The demo, stopped with everything it started when the test ends.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        // As Ctrl-C does; but where these tests themselves run in the background of a shell, that is ignored, and stays so.
        for signal in ["-INT", "-TERM"] {
            let _ = Command::new("kill").args([signal, &self.0.id().to_string()]).status();
            for _ in 0..100 {
                if !matches!(self.0.try_wait(), Ok(None)) {
                    return;
                }
                sleep(Duration::from_millis(50));
            }
        }
        let _ = self.0.kill();
    }
}

/// Sends what a curl line would, and gives the status.
fn run_curl(line: &str) -> u16 {
    let url = line.split(' ').find(|word| word.starts_with("http://")).unwrap();
    let (address, path) = url.trim_start_matches("http://").split_once('/').unwrap();
    let method = line.split("-X ").nth(1).map_or("GET", |rest| rest.split(' ').next().unwrap());
    let header = line.split("-H '").nth(1).map_or("x-none: 1", |rest| rest.split('\'').next().unwrap());
    let mut stream = TcpStream::connect(address.replace("localhost", "127.0.0.1")).unwrap();
    write!(stream, "{method} /{path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n{header}\r\n\r\n")
        .unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    reply.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn make_run_prints_three_curl_lines_that_give_what_they_say() {
    let [port, admin, upstream] = free_ports();
    let child = Command::new("sh")
        .arg("scripts/run.sh")
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("PORT", port.to_string())
        .env("ADMIN_PORT", admin.to_string())
        .env("UPSTREAM_PORT", upstream.to_string())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut demo = Demo(child);
    let mut said = Vec::new();
    for line in BufReader::new(demo.0.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        let ends = line.starts_with("Ctrl-C");
        said.push(line);
        if ends {
            break;
        }
    }
    let mut expected: Vec<u16> = Vec::new();
    let mut statuses: Vec<u16> = Vec::new();
    for pair in said.windows(2) {
        if pair[1].trim_start().starts_with("curl ") {
            expected.push(pair[0].split(',').next().unwrap().parse().unwrap());
            statuses.push(run_curl(&pair[1]));
        }
    }
    assert_eq!(expected, [200, 401, 403], "{said:?}");
    assert_eq!(statuses, expected);
}

#[test]
fn a_port_in_use_is_told_with_the_variable_that_moves_it() {
    let taken = std::net::TcpListener::bind("0.0.0.0:0").unwrap();
    let taken = taken.local_addr().unwrap().port().to_string();
    for name in ["PORT", "ADMIN_PORT", "UPSTREAM_PORT"] {
        let ports = free_ports().map(|port| port.to_string());
        let output = make()
            .arg("run")
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .envs(["PORT", "ADMIN_PORT", "UPSTREAM_PORT"].into_iter().zip(ports))
            .env(name, &taken)
            .output()
            .unwrap();
        assert!(!output.status.success());
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(
            told.contains(&format!("port {taken} ")) && told.contains(&format!("make run {name}=")),
            "{told}"
        );
        // Said before anything is built.
        let first = String::from_utf8(output.stdout).unwrap();
        assert_eq!(first.lines().count(), 1, "{first}");
    }
}

/// make as a person calls it: the tests may have been called by another one, which would have it say more.
fn make() -> Command {
    let mut make = Command::new("make");
    make.env_remove("MAKEFLAGS").env_remove("MAKELEVEL").env_remove("MFLAGS");
    make
}

#[test]
fn the_first_words_of_make_run_come_before_anything_is_built() {
    let ports = free_ports().map(|port| port.to_string());
    let mut child = make()
        // Nothing is built here: only the order counts.
        .args(["run", "MAKE=false"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .envs(["PORT", "ADMIN_PORT", "UPSTREAM_PORT"].into_iter().zip(ports))
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let (sender, receiver) = std::sync::mpsc::channel();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || {
        let mut line = String::new();
        let _ = out.read_line(&mut line);
        let _ = sender.send(line);
    });
    let line = receiver.recv_timeout(Duration::from_secs(20));
    let _ = child.wait();
    assert!(line.unwrap().starts_with("Building"));
}
