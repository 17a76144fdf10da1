//! The configuration changes while `run` serves: nothing is lost, and what is wrong is told.

use api_guard_testkit::lay_over;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use super::running::{Home, Ready, Running, forms, ready, status};
use super::{service, token};
use crate::files::config;

/// How soon a change must serve.
const IN_TIME: Duration = Duration::from_secs(2);

/// Clients that ask without a pause until they are stopped.
struct Load {
    stop: Arc<AtomicBool>,
    asked: Arc<AtomicU64>,
    clients: Vec<JoinHandle<Vec<String>>>,
}

impl Load {
    /// Half of the clients keep their connection, half open one for each request.
    fn start(port: u16, token: &str) -> Self {
        let (stop, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let clients = (0..4).map(|client| {
            let (stop, asked) = (Arc::clone(&stop), Arc::clone(&asked));
            let keeps = client % 2 == 0;
            let connection = if keeps { "keep-alive" } else { "close" };
            let request = format!(
                "GET /orders/1 HTTP/1.1\r\nhost: a\r\nconnection: {connection}\r\nauthorization: Bearer {token}\r\n\r\n"
            );
            std::thread::spawn(move || {
                let mut lost = Vec::new();
                let mut stream = None;
                while !stop.load(Ordering::Relaxed) {
                    let mut connection =
                        stream.take().unwrap_or_else(|| TcpStream::connect(("127.0.0.1", port)).unwrap());
                    match ask(&mut connection, &request) {
                        Ok(reply) if status(&reply) == Some(200) => {
                            asked.fetch_add(1, Ordering::Relaxed);
                            // Envoy may announce that it closes the connection; the request is answered all the same.
                            stream = Some(connection).filter(|_| keeps && !reply.contains("connection: close"));
                        }
                        Ok(reply) => lost.push(reply),
                        Err(error) => lost.push(error.to_string()),
                    }
                }
                lost
            })
        });
        let clients = clients.collect();
        Self { stop, asked, clients }
    }

    fn finish(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        for client in self.clients {
            assert_eq!(client.join().unwrap(), [""; 0], "requests were lost");
        }
        self.asked.load(Ordering::Relaxed)
    }
}

fn ask(stream: &mut TcpStream, request: &str) -> std::io::Result<String> {
    stream.write_all(request.as_bytes())?;
    let mut reply = String::new();
    let mut bytes = [0; 4096];
    while !reply.ends_with("service") {
        let read = stream.read(&mut bytes)?;
        if read == 0 {
            break;
        }
        reply.push_str(&String::from_utf8_lossy(&bytes[..read]));
    }
    Ok(reply)
}

fn policy(changes: Value) -> String {
    let mut policy = config(json!({ "rate_limits": [] }));
    lay_over(&mut policy, &changes);
    policy.to_string()
}

/// As editors do it: another file takes the name.
fn replace(path: &Path, text: &str) {
    let beside = path.with_extension("new");
    std::fs::write(&beside, text).unwrap();
    std::fs::rename(beside, path).unwrap();
}

fn serves(run: &Running, path: &str, wanted: u16) {
    let start = Instant::now();
    while run.get(path, None) != Some(wanted) {
        assert!(start.elapsed() < IN_TIME, "{path} does not come to answer {wanted}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_change_serves_at_once_and_loses_no_request() {
    for ready in forms() {
        serves_changes_and_loses_no_request(&ready);
    }
}

fn serves_changes_and_loses_no_request(ready: &Ready) {
    let home = Home::new();
    let file = home.path("api-guard.json");
    std::fs::write(&file, policy(json!({}))).unwrap();
    let upstream = format!("127.0.0.1:{}", service("127.0.0.1").unwrap());
    let mut run = Running::start(&home, ready, &["--config", "api-guard.json", "--upstream", &upstream]);
    let load = Load::start(run.port, &token(&run.said));
    for round in 0..4 {
        let opened = policy(json!({ "routes": [{ "path": "/open", "access": "public" }] }));
        // In place, and by another file.
        if round % 2 == 0 {
            std::fs::write(&file, opened).unwrap()
        } else {
            replace(&file, &opened)
        }
        serves(&run, "/open", 200);
        run.told("the changed configuration is in force", IN_TIME);
        replace(&file, &policy(json!({ "routes": [{ "path": "/open" }] })));
        serves(&run, "/open", 401);
        run.told("the changed configuration is in force", IN_TIME);
    }
    let asked = load.finish();
    assert!(asked > 100, "only {asked} requests");
    let (code, errors) = run.end(Signal::INT);
    assert_eq!((code, errors.as_str()), (Some(0), ""));
    assert_eq!(home.temporary(), [""; 0]);
}

#[test]
fn a_wrong_change_is_told_with_its_place_while_the_old_one_serves() {
    let Some(ready) = ready() else { return };
    let home = Home::new();
    let file = home.path("api-guard.json");
    let good = policy(json!({ "routes": [{ "path": "/open", "access": "public" }] }));
    std::fs::write(&file, &good).unwrap();
    let mut run = Running::start(&home, &ready, &["--config", "api-guard.json"]);
    assert_eq!(run.get("/open", None), Some(200));
    for (wrong, part) in [
        (policy(json!({ "routes": [{ "path": "/open", "access": "nobody" }] })), "/routes/0/access"),
        ("{ \"tokens\": ".to_owned(), "api-guard.json"),
        (String::new(), "api-guard.json"),
    ] {
        replace(&file, &wrong);
        run.told(part, IN_TIME);
        run.told("the old configuration goes on serving", IN_TIME);
        assert_eq!(run.get("/open", None), Some(200));
    }
    std::fs::remove_file(&file).unwrap();
    run.told("cannot be read", IN_TIME);
    assert_eq!(run.get("/open", None), Some(200));
    replace(&file, &good.replace("/open", "/other"));
    run.told("the changed configuration is in force", IN_TIME);
    serves(&run, "/other", 200);
    assert_eq!(run.get("/open", None), Some(401));
    assert_eq!(run.end(Signal::TERM).0, Some(0));
}

#[test]
fn a_change_that_needs_another_bootstrap_is_refused_with_advice() {
    let Some(ready) = ready() else { return };
    let home = Home::new();
    let file = home.path("api-guard.json");
    let set = |name: &str, host: &str| {
        json!({ "name": name, "issuers": [format!("https://{name}")],
                "jwks": { "cluster": name, "path": "/jwks", "authority": host } })
    };
    let sets = |sets: Value| policy(json!({ "tokens": { "key_sets": sets } }));
    let good = sets(json!([set("one", "127.0.0.1:9")]));
    std::fs::write(&file, &good).unwrap();
    let run = Running::start(&home, &ready, &["--config", "api-guard.json"]);
    let slashes = json!([{ "path": "/open/{x}", "access": "public", "allow_in_path": ["encoded_slash"] }]);
    for (changed, part) in [
        (sets(json!([set("one", "127.0.0.1:9"), set("two", "127.0.0.1:9")])), "cluster \"two\""),
        (sets(json!([set("one", "127.0.0.1:10")])), "cluster \"one\""),
        (policy(json!({ "routes": slashes })), "encoded_slash"),
    ] {
        replace(&file, &changed);
        let told = run.told(part, IN_TIME);
        assert!(told.contains("end this run, and start it anew"), "{told}");
        run.told("the old configuration goes on serving", IN_TIME);
        assert_eq!(run.get("/open/x", None), Some(401));
    }
    // What Envoy has and nobody needs does no harm.
    let open = json!([{ "path": "/open/{x}", "access": "public" }]);
    replace(&file, &policy(json!({ "routes": open })));
    run.told("the changed configuration is in force", IN_TIME);
    serves(&run, "/open/x", 200);
}

#[test]
fn a_change_may_name_a_secret_that_nobody_has_set() {
    for ready in forms() {
        takes_a_secret_that_nobody_has_set(&ready);
    }
}

fn takes_a_secret_that_nobody_has_set(ready: &Ready) {
    let home = Home::new();
    let file = home.path("api-guard.json");
    std::fs::write(&file, policy(json!({}))).unwrap();
    let mut run = Running::start(&home, ready, &["--config", "api-guard.json"]);
    let old = token(&run.said);
    let keys = json!([{ "secret": { "env": "API_GUARD_SECRET" } }, { "kid": "b", "secret": { "env": "LATER_SECRET" } }]);
    replace(&file, &policy(json!({ "tokens": { "keys": keys } })));
    run.told("the changed configuration is in force", IN_TIME);
    let told = run.line(IN_TIME);
    assert!(
        told.starts_with("secret: LATER_SECRET is not set") && told.contains("secrets/LATER_SECRET"),
        "{told}"
    );
    let secret = std::fs::read_to_string(home.path(".local/state/api-guard/secrets/LATER_SECRET")).unwrap();
    let minted = crate::command::run(
        home.command(&["mint", "--sub", "me", "--kid", "b", "--secret-env", "S"]).env("S", secret.trim_end()),
    );
    assert_eq!(run.get("/", Some(minted.line())), Some(200));
    assert_eq!(run.get("/", Some(&old)), Some(200));
    // Where the old token is good no more, the new one is told.
    let keys = json!([{ "secret": { "env": "LATEST_SECRET" } }]);
    replace(&file, &policy(json!({ "tokens": { "keys": keys } })));
    run.told("the changed configuration is in force", IN_TIME);
    let mut said = Vec::new();
    while !said.iter().any(|line: &String| line.contains("secrets/LATEST_SECRET")) {
        said.push(run.line(IN_TIME));
    }
    said.clear();
    while !said.iter().any(|line: &String| line.starts_with("  ey")) {
        said.push(run.line(IN_TIME));
    }
    assert_eq!(run.get("/", Some(&old)), Some(401));
    assert_eq!(run.get("/", Some(&token(&said))), Some(200));
    assert_eq!(run.end(Signal::TERM).0, Some(0));
}

#[test]
fn a_change_may_name_another_secret_of_a_fleet_that_nobody_has_set() {
    for ready in forms() {
        let Some(store) = api_guard_testkit::Redis::start(&["--requirepass", "hunter2"]) else { return };
        let home = Home::new();
        let file = home.path("api-guard.json");
        let policy = crate::emit::fleet::fleet().to_string();
        std::fs::write(&file, &policy).unwrap();
        let redis = format!("redis://localhost:{}", store.port);
        let more = ["--config", "api-guard.json", "--redis", &redis];
        let run = Running::start_with(&home, &ready, &more, &[("API_GUARD_REDIS_PASSWORD", "hunter2")]);
        replace(&file, &policy.replace("API_GUARD_FLEET_SECRET", "LATER_FLEET_SECRET"));
        run.told("the changed configuration is in force", IN_TIME);
        let told = run.line(IN_TIME);
        assert!(told.contains("secrets/LATER_FLEET_SECRET"), "{told}");
    }
}
