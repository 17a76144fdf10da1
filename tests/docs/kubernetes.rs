//! `docs/kubernetes.md`: what the page shows of traces and logs is told to a real Envoy, which sends both.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::documents::{blocks, read, section};
use crate::server::Server;

const PAGE: &str = "docs/kubernetes.md";
const LOGS: &str = "                access_log:\n";
const FILTERS: &str = "                http_filters:\n                  - name: api_guard\n";
const CLUSTERS: &str = "  clusters:\n";

/// What a collector has received, in the form in which it came.
fn collector() -> (u16, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let received = Arc::new(Mutex::new(String::new()));
    let sink = Arc::clone(&received);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (Ok(mut stream), sink) = (stream, Arc::clone(&sink)) else { return };
            std::thread::spawn(move || {
                let mut bytes = [0; 65536];
                while let Ok(length @ 1..) = stream.read(&mut bytes) {
                    sink.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..length]));
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
                }
            });
        }
    });
    (port, received)
}

fn indented(text: &str, indent: usize) -> String {
    text.lines().map(|line| format!("{:indent$}{line}\n", "")).collect()
}

#[test]
fn spans_and_logs_have_what_was_decided() {
    let page = read(PAGE);
    let tracing = blocks(section(&page, "Traces"), "yaml").remove(0);
    let [log, cluster]: [String; 2] = blocks(section(&page, "Decision logs"), "yaml").try_into().unwrap();
    let (port, received) = collector();
    let address = "{ address: collector, port_value: 4318 }";
    assert!(cluster.contains(address));
    let cluster = cluster
        .replace(address, &format!("{{ address: 127.0.0.1, port_value: {port} }}"))
        .replace("STRICT_DNS", "STATIC");
    let server = Server::start_edited(None, |text| {
        for place in [LOGS, FILTERS, CLUSTERS] {
            assert!(text.contains(place), "{place}");
        }
        let text = text.replacen(LOGS, &[LOGS, &indented(&log, 18)].concat(), 1);
        let text = text.replacen(FILTERS, &[&indented(&tracing, 16), FILTERS].concat(), 1);
        text.replacen(CLUSTERS, &[CLUSTERS, &indented(&cluster, 4)].concat(), 1)
    });
    let until = Instant::now() + Duration::from_secs(30);
    let has_all = || {
        let received = received.lock().unwrap();
        ["/v1/traces", "/v1/logs", "api_guard.code", "token_missing"]
            .iter()
            .all(|part| received.contains(part))
    };
    // Spans are sent by fives, or after a while.
    while !has_all() {
        assert!(Instant::now() < until, "{:?}", received.lock().unwrap());
        let reply = server.reply("GET /orders/1", &[]);
        assert!(reply.starts_with("HTTP/1.1 401 "), "{reply}");
        std::thread::sleep(Duration::from_millis(200));
    }
}
