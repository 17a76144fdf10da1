//! `api-guard playground`: the page from inside the command. What is in the page is tried in a browser (tests/playground).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Stdio};

use crate::command::{api_guard, command};

/// A command that serves, and ends with this value.
struct Serving(Child);

impl Drop for Serving {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn answer(address: &str, head: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[test]
fn the_page_is_served_to_this_machine_or_the_command_says_what_it_lacks() {
    let mut child = command()
        .args(["playground", "--port", "0"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let mut serving = Serving(child);
    if line.is_empty() {
        assert_eq!(serving.0.wait().unwrap().code(), Some(1));
        let mut told = String::new();
        serving.0.stderr.take().unwrap().read_to_string(&mut told).unwrap();
        assert!(told.contains("built without the page: run `make playground`"), "{told}");
        return;
    }
    let url = line.split_whitespace().find_map(|word| word.strip_prefix("http://")).unwrap().to_owned();
    assert!(url.starts_with("127.0.0.1:"), "{line}");
    let page = answer(&url, &format!("GET / HTTP/1.1\r\nhost: {url}\r\n\r\n"));
    assert!(
        page.starts_with("HTTP/1.1 200 OK\r\n") && page.contains("<title>api-guard playground</title>"),
        "{page}"
    );
    let forged = answer(&url, "GET / HTTP/1.1\r\nhost: rebound.example.com\r\n\r\n");
    assert!(forged.starts_with("HTTP/1.1 421 "), "{forged}");
    let garbage = answer(&url, "\u{0}\r\n\r\n");
    assert!(garbage.starts_with("HTTP/1.1 4"), "{garbage}");
}

#[test]
fn a_port_in_use_is_told_with_the_option_that_moves_it() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let run = api_guard(["playground", "--port", &port]);
    assert_eq!(run.code, 1);
    let expected = format!("error: port {port} is in use: choose another one with --port\n");
    assert!(run.err == expected || run.err.contains("built without the page"), "{}", run.err);
}
