//! What is sent more rarely: HTTP/1.0, `Expect: 100-continue`, IPv6 and international host names, and answers that stream
//! for as long as the client listens. HTTP/3 is in `clients`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::OnceLock;
use std::sync::mpsc::{Receiver, Sender, channel};

use serde_json::json;

use crate::ask::{Ask, BOTH, Body, Protocol};
use crate::http1;
use crate::process::Envoy;
use crate::reply::PATIENCE;
use crate::setup::{Setup, policy};
use crate::token::token;

fn envoy() -> &'static Envoy {
    static ENVOY: OnceLock<Envoy> = OnceLock::new();
    Envoy::shared(&ENVOY, || {
        Setup::new(&policy(json!({
            "request": { "max_request_size_bytes": 1024 },
            "routes": [
                { "path": "/public", "access": "public" },
                { "path": "/{*rest}", "hosts": ["xn--caf-dma.example"], "access": "deny" },
                { "path": "/{*rest}", "hosts": ["[::1]"], "access": "deny" },
            ],
        })))
    })
}

/// The first line, the rest of the head, and the body of what comes until the connection is closed.
fn until_closed(envoy: &Envoy, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(envoy.address()).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let (head, body) = reply.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().to_owned(), body.to_owned())
}

#[test]
fn http_1_0_is_envoys_to_refuse_and_where_it_is_accepted_the_guard_judges_it() {
    let bearer = format!("authorization: Bearer {}\r\n", token(json!({})));
    let (status, _) =
        until_closed(envoy(), &format!("GET /x HTTP/1.0\r\nhost: a\r\n{bearer}x-test-id: old-0\r\n\r\n"));
    assert_eq!(status, "426");
    assert!(envoy().upstream.heard("old-0").is_empty());

    let accepting = Envoy::start(Setup {
        manager: json!({ "http_protocol_options": { "accept_http_10": true, "default_host_for_http_10": "api.example.com" } }),
        ..Setup::new(&policy(
            json!({ "routes": [{ "path": "/x", "hosts": ["api.example.com"] }], "unmatched_routes": "deny" }),
        ))
    });
    for (line, headers, expected, code) in [
        ("GET /x", "", "401", "token_missing"),
        ("GET /x", &*bearer, "200", ""),
        // The host that Envoy puts in is the one that routes are chosen by.
        ("GET /x", &format!("host: other.example.com\r\n{bearer}"), "403", "route_denied"),
        ("GET //x", &bearer, "400", "path_ambiguous"),
        (
            "POST /x",
            &format!("content-length: 2\r\ncontent-type: text/plain\r\n{bearer}"),
            "415",
            "unsupported_media_type",
        ),
    ] {
        let body = if line.starts_with("POST") { "{}" } else { "" };
        let (status, answer) = until_closed(&accepting, &format!("{line} HTTP/1.0\r\n{headers}\r\n{body}"));
        assert_eq!(status, expected, "{line} {headers}: {answer}");
        assert!(answer.contains(code), "{line} {headers}: {answer}");
    }
    accepting.assert_healthy();
}

#[test]
fn who_waits_to_be_told_to_go_on_is_judged_as_anybody_else() {
    let post = |path: &str, with_token: bool| {
        let ask = Ask::new("POST", path)
            .header("expect", "100-continue")
            .header("content-type", "application/json");
        if with_token { ask.token(&token(json!({}))) } else { ask }
    };
    for (ask, length, expected) in [
        (post("/x", true), 2, "200"),
        (post("/public", false), 2, "200"),
        (post("/x", false), 2, "401 token_missing"),
        (post("/x", true), 1025, "413 request_too_large"),
        (post("/x%2f", true), 2, "400 path_ambiguous"),
    ] {
        // Envoy itself says that the body may come; the refusal follows without it.
        let mut connection = http1::Connection::open(envoy().address()).unwrap();
        let head = ask.clone().body(Body::Declared(length.to_string()));
        connection.write(&head.http1());
        connection.await_continue().unwrap();
        if expected == "200" {
            connection.write(b"{}");
        }
        let reply = connection.exchange(b"", false).unwrap();
        let verdict = if reply.status == 200 { "200".to_owned() } else { reply.verdict() };
        assert_eq!(verdict, expected, "{ask:?}");
    }
    // Over HTTP/2 it is a header like any other.
    let reply = post("/x", true).body(Body::Sized(b"{}".to_vec())).send(envoy(), Protocol::Http2);
    assert_eq!(reply.status, 200);
    envoy().assert_healthy();
}

#[test]
fn an_international_host_is_the_one_of_its_xn_form_and_of_no_other_spelling() {
    let ask = |host: &[u8]| Ask::get("/x").host(host).token(&token(json!({})));
    for protocol in BOTH {
        for host in [
            "xn--caf-dma.example",
            "XN--Caf-DMA.Example",
            "xn--caf-dma.example:10000",
            "xn--caf-dma.example.",
        ] {
            assert_eq!(ask(host.as_bytes()).send(envoy(), protocol).verdict(), "403 route_denied", "{host}");
        }
        // Nobody may reach the closed host by its name in UTF-8, or in percent-encoding.
        for host in
            ["caf\u{e9}.example", "caf%C3%A9.example", "cafe\u{301}.example", "caf\u{e9}\u{3002}example"]
        {
            let (test, outcome) = ask(host.as_bytes()).try_send(envoy(), protocol);
            if let Ok(reply) = outcome {
                assert_eq!(reply.status, 400, "{host}: {reply:?}");
            }
            assert!(envoy().upstream.heard(&test).is_empty(), "{host}");
        }
        assert_eq!(ask(b"xn--caf-eXample.example").send(envoy(), protocol).status, 200);
    }
    envoy().assert_healthy();
}

#[test]
fn an_address_of_ipv6_is_a_host_in_each_of_its_spellings() {
    for protocol in BOTH {
        for host in ["[::1]", "[::1]:10000", "[0:0:0:0:0:0:0:1]", "[0000::0001]:80"] {
            let ask = Ask::get("/x").host(host).token(&token(json!({})));
            assert_eq!(ask.send(envoy(), protocol).verdict(), "403 route_denied", "{host} over {protocol:?}");
        }
        let ask = Ask::get("/x").host("[::2]").token(&token(json!({})));
        assert_eq!(ask.send(envoy(), protocol).status, 200);
    }
}

#[test]
fn a_client_that_comes_over_ipv6_is_counted_and_admitted_by_its_address() {
    if TcpListener::bind("[::1]:0").is_err() {
        api_guard_testkit::skip("this machine has no IPv6");
        return;
    }
    let envoy = Envoy::start(Setup {
        listen: "::1",
        ..Setup::new(&policy(json!({
            "routes": [{ "path": "/near", "allow_from": ["::1/128"] }, { "path": "/far", "allow_from": ["127.0.0.0/8"] }],
            "rate_limits": [{ "name": "a", "max_requests": 3, "window_seconds": 3600, "key": ["client_ip"] }],
        })))
    });
    assert!(envoy.address().is_ipv6());
    let ask = |path: &str| Ask::get(path).host(envoy.address().to_string()).token(&token(json!({})));
    for protocol in BOTH {
        assert_eq!(ask("/near").send(&envoy, protocol).status, 200);
    }
    assert_eq!(ask("/far").send(&envoy, Protocol::Http1).verdict(), "403 address_refused");
    assert_eq!(ask("/near").send(&envoy, Protocol::Http1).status, 200);
    assert_eq!(ask("/near").send(&envoy, Protocol::Http1).verdict(), "429 rate_limited");
    envoy.assert_healthy();
}

/// A service that answers every request with a stream of events, each of which it sends when it is told to.
fn event_stream() -> (u16, Sender<&'static str>, Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (events, told) = channel::<&'static str>();
    let (heard, requests) = channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            reader.read_line(&mut head).unwrap();
        }
        let mut body = vec![0; if head.starts_with("POST") { 2 } else { 0 }];
        reader.read_exact(&mut body).unwrap();
        heard.send(head).unwrap();
        let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n";
        stream.write_all(head.as_bytes()).unwrap();
        for event in told {
            write!(stream, "{:x}\r\n{event}\r\n", event.len()).unwrap();
        }
        stream.write_all(b"0\r\n\r\n").unwrap();
    });
    (port, events, requests)
}

#[test]
fn the_events_of_an_answer_reach_the_client_one_by_one() {
    for ask in [Ask::get("/events"), Ask::post("/events")] {
        let (port, events, requests) = event_stream();
        let envoy = Envoy::start(Setup { service: Some((port, false)), ..Setup::new(&policy(json!({}))) });
        let ask = ask.token(&token(json!({}))).header("accept", "text/event-stream");
        let mut stream = TcpStream::connect(envoy.address()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&ask.http1()).unwrap();
        assert!(requests.recv().unwrap().contains("x-auth-subject: user-7"));
        let mut reader = BufReader::new(stream);
        let mut line = || {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        assert_eq!(line(), "HTTP/1.1 200 OK", "{ask:?}");
        while !line().is_empty() {}
        // The next event is not sent before the client has read the one before it.
        for event in ["data: 1\n\n", "data: 2\n\n", "data: 3\n\n"] {
            events.send(event).unwrap();
            assert_eq!([line(), line(), line(), line()], ["9", event.trim_end(), "", ""], "{ask:?}");
        }
        drop(events);
        assert_eq!(line(), "0");
        envoy.assert_healthy();
    }
}
