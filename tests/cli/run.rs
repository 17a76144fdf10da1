//! `api-guard run`, in a home that has nothing in it.

mod changes;
mod refusals;
mod running;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::json;

use crate::command::SECRET;
use crate::files::{File, config};
use running::{Home, Ready, Running, curl, forms, ready};

/// The curl lines of a start, each with the status that is said before it.
fn tries(said: &[String]) -> Vec<(u16, String)> {
    let pairs = said.windows(2).filter(|pair| pair[1].trim_start().starts_with("curl "));
    pairs
        .map(|pair| (pair[0].split(',').next().unwrap().parse().unwrap(), pair[1].trim().to_owned()))
        .collect()
}

fn token(said: &[String]) -> String {
    said.iter().find_map(|line| line.strip_prefix("  ey")).map(|rest| format!("ey{rest}")).expect("a token")
}

#[test]
fn one_command_guards_a_demo_and_leaves_nothing() {
    for ready in forms() {
        guards_a_demo_and_leaves_nothing(&ready);
    }
}

fn guards_a_demo_and_leaves_nothing(ready: &Ready) {
    let home = Home::new();
    let mut run = Running::start(&home, ready, &[]);
    let said = run.said.clone();
    let tries = tries(&said);
    assert_eq!(tries.iter().map(|(status, _)| *status).collect::<Vec<_>>(), [200, 401], "{said:?}");
    for (status, line) in &tries {
        assert_eq!(curl(line), *status, "{line}");
    }
    // One line for each, at once.
    let first = run.line(Duration::from_secs(1));
    assert!(first.contains("allowed 200 GET / ") && first.contains("user-7"), "{first}");
    let second = run.line(Duration::from_secs(1));
    assert!(second.contains("refused 401 GET / ") && second.contains("token_missing"), "{second}");
    let (code, errors) = run.end(Signal::INT);
    assert_eq!(code, Some(0), "{errors}");
    for port in [run.port, run.admin] {
        assert!(TcpStream::connect(("127.0.0.1", port)).is_err(), "{port} is still open");
    }
    assert_eq!(home.temporary(), [""; 0], "something is left");
    // The secret is kept for its owner alone, and the next run knows the token.
    let secret = home.path(".local/state/api-guard/secrets/API_GUARD_SECRET");
    assert_eq!(std::fs::metadata(&secret).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::metadata(secret.parent().unwrap()).unwrap().permissions().mode() & 0o777, 0o700);
    let mut again = Running::start(&home, ready, &[]);
    assert_eq!(again.get("/orders/42", Some(&token(&said))), Some(200));
    assert_eq!(again.end(Signal::TERM).0, Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn envoy_ends_with_a_run_that_is_killed() {
    let Some(ready) = ready() else { return };
    let home = Home::new();
    let mut run = Running::start(&home, &ready, &[]);
    let [envoy] = run.children()[..] else { panic!("{:?}", run.children()) };
    assert_eq!(run.end(Signal::KILL).0, None);
    let start = std::time::Instant::now();
    while running::is_running(envoy) {
        assert!(start.elapsed() < Duration::from_secs(60), "Envoy outlives the run");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_configuration_is_shown_by_requests_that_get_what_is_said() {
    let Some(ready) = ready() else { return };
    let home = Home::new();
    let file = File::with_ending(
        config(json!({
            "tokens": {
                "keys": [{ "kid": "a", "algorithm": "HS384", "secret": { "env": "ORDERS_SECRET" }, "issuers": ["https://a"] }],
                "sources": [{ "cookie": "session" }],
                "required_claims": ["sub", "exp", "tenant"],
                "required_values": { "use": ["access"], "level": [2] },
                "audiences": ["orders"],
                "permissions_claim": "realm.scope",
            },
            "routes": [
                { "path": "/health", "access": "public" },
                { "path": "/orders/{id}", "methods": ["GET"], "required_permissions": ["orders:read"] },
                { "path": "/users/{id}", "bind": { "id": "sub" } },
            ],
            "unmatched_routes": "deny",
            "$schema": "https://example.com/api-guard.schema.json",
        }))
        .to_string(),
        ".json",
    );
    let mut run = Running::start(&home, &ready, &["--config", file.path()]);
    let tries = tries(&run.said);
    assert_eq!(
        tries.iter().map(|(status, _)| *status).collect::<Vec<_>>(),
        [200, 401, 403],
        "{:?}",
        run.said
    );
    for (status, line) in &tries {
        assert_eq!(curl(line), *status, "{line}");
    }
    assert!(tries[2].1.contains("/orders/42"), "{tries:?}");
    assert_eq!(run.end(Signal::TERM).0, Some(0));
    assert!(home.path(".local/state/api-guard/secrets/ORDERS_SECRET").is_file());
}

/// A service on these addresses that says which path it was asked for.
fn service(address: &str) -> Option<u16> {
    let listener = TcpListener::bind((address, 0)).ok()?;
    let port = listener.local_addr().ok()?.port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let Ok(mut stream) = stream else { return };
            std::thread::spawn(move || {
                let mut bytes = [0; 8192];
                while stream.read(&mut bytes).is_ok_and(|read| read > 0) {
                    let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\nservice");
                }
            });
        }
    });
    Some(port)
}

#[test]
fn a_service_is_guarded_whichever_family_its_name_means() {
    let Some(ready) = ready() else { return };
    for address in ["127.0.0.1", "::1"] {
        let Some(port) = service(address) else { continue };
        let home = Home::new();
        // A machine may know localhost in one family alone.
        let by_name = std::net::ToSocketAddrs::to_socket_addrs(&("localhost", port)).unwrap();
        if !by_name.map(|found| found.ip()).any(|found| found.to_string() == address) {
            continue;
        }
        let url = format!("http://localhost:{port}/");
        let mut run = Running::start(&home, &ready, &["--upstream", &url]);
        let token = token(&run.said);
        let answer = run.answer("/orders/42", Some(&token)).unwrap();
        assert!(answer.ends_with("service"), "{address}: {answer}");
        assert_eq!(run.get("/orders/42", None), Some(401));
        assert_eq!(run.end(Signal::TERM).0, Some(0));
    }
}

#[test]
fn a_service_that_is_not_there_is_told() {
    let Some(ready) = ready() else { return };
    let home = Home::new();
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut run = Running::start(&home, &ready, &["--upstream", &gone.to_string()]);
    let token = token(&run.said);
    assert_eq!(run.get("/orders/42", Some(&token)), Some(503));
    let line = run.line(Duration::from_secs(1));
    assert!(
        line.contains("allowed 503") && line.contains(&format!("http://{gone} does not answer")),
        "{line}"
    );
    assert_eq!(run.end(Signal::TERM).0, Some(0));
}

#[test]
fn a_decision_is_told_while_the_response_still_comes() {
    let Some(ready) = ready() else { return };
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (asked, is_asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 8192]);
        let _ = stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nx");
        asked.send(stream).unwrap();
    });
    let home = Home::new();
    let mut run = Running::start(&home, &ready, &["--upstream", &address]);
    let mut client = TcpStream::connect(("127.0.0.1", run.port)).unwrap();
    let token = token(&run.said);
    write!(client, "GET /slow HTTP/1.1\r\nhost: a\r\nauthorization: Bearer {token}\r\n\r\n").unwrap();
    let _service = is_asked.recv_timeout(Duration::from_secs(10)).unwrap();
    let line = run.line(Duration::from_secs(2));
    assert!(line.contains("allowed 200 GET /slow"), "{line}");
    assert_eq!(run.end(Signal::TERM).0, Some(0));
}

#[test]
fn a_secret_that_is_set_is_taken_and_not_kept() {
    let Some(ready) = ready() else { return };
    let home = Home::new();
    let mut run = Running::start_with(&home, &ready, &[], &[("API_GUARD_SECRET", SECRET)]);
    let token = crate::command::api_guard(["mint", "--sub", "me"]);
    assert_eq!(run.get("/", Some(token.line())), Some(200));
    assert_eq!(run.end(Signal::TERM).0, Some(0));
    assert!(!home.path(".local").exists());
}

#[test]
fn a_configuration_from_a_pipe_is_read_once() {
    let Some(ready) = ready() else { return };
    let home = Home::new();
    std::fs::write(home.path("api-guard.yaml"), "tokens:\n  keys: [{ secret: { env: API_GUARD_SECRET } }] # ours\nroutes: [{ path: /open, access: public }]\n").unwrap();
    let file = std::fs::File::open(home.path("api-guard.yaml")).unwrap();
    let mut run = Running::start_piped(&home, &ready, &["--config", "-"], file);
    assert_eq!(run.get("/open", None), Some(200));
    assert_eq!(run.get("/other", None), Some(401));
    let (code, errors) = run.end(Signal::TERM);
    assert_eq!((code, errors.contains("error")), (Some(0), false), "{errors}");
}

#[test]
fn the_metric_has_the_digest_that_check_tells_of_the_file() {
    let json = config(json!({ "unmatched_routes": "deny" })).to_string();
    let texts = [
        json.clone(),
        json.replace(",\"", ",\r\n\t\"") + "\r\n",
        format!("// A comment.\n{json} // Another one.\n\n"),
        "tokens:\n  keys:\n    - secret: { env: API_GUARD_SECRET }\n".to_owned(),
    ];
    for ready in forms() {
        for text in &texts {
            let file = File::new(text);
            let checked = crate::command::api_guard(["check", file.path(), "--format", "json"]);
            let checked: serde_json::Value = serde_json::from_str(&checked.out).unwrap();
            let told: Vec<_> =
                checked.as_array().unwrap().iter().filter_map(|entry| entry["config"].as_str()).collect();
            let home = Home::new();
            let variables = [("API_GUARD_SECRET", SECRET)];
            let run = Running::start_with(&home, &ready, &["--config", file.path()], &variables);
            let page = running::ask(run.admin, "GET", "/stats/prometheus", "").unwrap();
            let info = page.lines().find(|line| line.starts_with("api_guard_info{")).expect("the metric");
            assert!(info.contains(&format!("config=\"{}\"", told[0])), "{told:?} {info} {text}");
        }
    }
}

#[test]
fn a_fleet_runs_with_its_store() {
    for ready in forms() {
        let Some(store) = api_guard_testkit::Redis::start(&["--requirepass", "hunter2"]) else { return };
        let home = Home::new();
        let file = File::with_ending(crate::emit::fleet::fleet().to_string(), ".json");
        let redis = format!("redis://localhost:{}", store.port);
        let more = ["--config", file.path(), "--redis", &redis];
        let mut run = Running::start_with(&home, &ready, &more, &[("API_GUARD_REDIS_PASSWORD", "hunter2")]);
        let token = token(&run.said);
        assert_eq!(run.get("/orders/42", Some(&token)), Some(200));
        assert!(home.path(".local/state/api-guard/secrets/API_GUARD_FLEET_SECRET").is_file());
        assert_eq!(run.end(Signal::TERM).0, Some(0));
    }
}
