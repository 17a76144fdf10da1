//! What the page about fleets shows is run with a real store.

use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use api_guard_core::code::Code;
use api_guard_core::time::UnixNanos;
use api_guard_testkit::{Decided, Redis, free_ports, lay_over, token};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};

use crate::commands::{self, lines};
use crate::documents::{blocks, documents, read};
use crate::server::{VARIABLES, variable};

const PAGE: &str = "docs/fleet.md";
const REVOKED: Decided = Decided::Refused(Code::TokenRevoked);

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// What an Envoy decides that shares revocations with the variables' secrets.
fn decided(store: &Redis, claims: &Value) -> Decided {
    let secret = |name: &str| json!({ "value": variable(name).unwrap() });
    let configuration = json!({
        "tokens": { "keys": [{ "secret": { "value": api_guard_testkit::SECRET } }] },
        "fleet": { "cluster": "store", "secret": secret("API_GUARD_FLEET_SECRET") },
        "revocation": { "fleet": {} },
    });
    let mut whole = json!({ "sub": "user-7", "iat": now() - 60, "exp": now() + 3600 });
    lay_over(&mut whole, claims);
    store.decided(&configuration, &token(&whole), UnixNanos::from_seconds(now()))
}

/// Blocks of settings, as options of a store.
fn options(block: &str) -> Vec<String> {
    let words = |line: &str| -> Vec<String> { format!("--{line}").split(' ').map(str::to_owned).collect() };
    block.lines().flat_map(words).collect()
}

fn revoke(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_api-guard"));
    command.args(["revoke", "--fleet-secret-env", "API_GUARD_FLEET_SECRET"]).args(arguments);
    command.args(["--jti", "a", "--expires-at", "2099-01-01T00:00:00Z"]);
    command.env_clear().envs(VARIABLES).envs(environment.iter().copied()).output().unwrap()
}

#[test]
fn the_settings_of_the_store_are_those_of_one_and_its_user_may_do_what_is_needed() {
    let folder = std::env::temp_dir().join(format!("api-guard-docs-store-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let in_folder = |name: &str| folder.join(name).to_str().unwrap().to_owned();
    let ca_key = KeyPair::generate().unwrap();
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    std::fs::write(in_folder("ca.crt"), ca.self_signed(&ca_key).unwrap().pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    std::fs::write(in_folder("redis.crt"), leaf.signed_by(&key, &Issuer::new(ca, &ca_key)).unwrap().pem())
        .unwrap();
    std::fs::write(in_folder("redis.key"), key.serialize_pem()).unwrap();

    let blocks = blocks(&read(PAGE), "text");
    let password = variable("API_GUARD_REDIS_PASSWORD").unwrap();
    let [port] = free_ports();
    let tls = blocks[1].replace("port 0\n", "").replace("6379", &port.to_string());
    let settings = [blocks[0].replace("PASSWORD", password), tls]
        .join("\n")
        .replace("/etc/redis/tls", folder.to_str().unwrap());
    let mut options = options(&settings);
    options.extend(["--dir".to_owned(), folder.to_str().unwrap().to_owned()]);
    let started = Redis::start(&options.iter().map(String::as_str).collect::<Vec<_>>());
    if started.is_some() {
        let url = format!("rediss://localhost:{port}");
        let ca = in_folder("ca.crt");
        let trusted = ("SSL_CERT_FILE", ca.as_str());
        let login = ["--redis", &url, "--username", "guard", "--password-env", "API_GUARD_REDIS_PASSWORD"];
        let output = revoke(&login, &[trusted]);
        assert!(output.status.success(), "{output:?}");
        let output = revoke(&["--redis", &url], &[trusted]);
        assert_eq!(output.status.code(), Some(1), "{output:?}");
    }
    drop(started);
    std::fs::remove_dir_all(folder).unwrap();
}

#[test]
fn every_revocation_that_is_shown_is_entered() {
    let Some(store) = Redis::start(&[]) else { return };
    let shown = documents().into_iter().flat_map(|document| lines(&document.text));
    let shown: Vec<String> = shown.filter(|line| line.starts_with("api-guard revoke")).collect();
    assert!(shown.len() >= 4, "{shown:?}");
    for line in shown {
        store.command(&["FLUSHALL"]);
        let said = commands::run(&line.replace("localhost:6379", &format!("127.0.0.1:{}", store.port)), None);
        assert!(said.contains("revoked"), "{line}: {said}");
        assert_ne!(store.command(&["DBSIZE"]), ":0\r\n", "{line}");
    }
}

#[test]
fn what_the_script_enters_every_envoy_refuses() {
    let Some(store) = Redis::start(&[]) else { return };
    let cases = [
        (json!({ "jti": "4f1c", "sub": "user-8" }), REVOKED),
        (json!({ "jti": "b", "iss": "https://a/" }), REVOKED),
        (json!({ "jti": "b", "iss": "https://b/" }), Decided::Allowed),
        (json!({ "jti": "b", "sub": "user-8", "iss": "https://a/" }), Decided::Allowed),
    ];
    for (claims, _) in &cases {
        assert_eq!(decided(&store, claims), Decided::Allowed);
    }
    let script = blocks(&read(PAGE), "bash").concat();
    commands::run(&script.replace("-p 6379", &format!("-p {}", store.port)), None);
    for (claims, expected) in &cases {
        assert_eq!(decided(&store, claims), *expected, "{claims}");
    }
}

#[test]
fn the_configuration_of_the_page_is_the_example() {
    let shown: Value = serde_json::from_str(&blocks(&read(PAGE), "json")[0]).unwrap();
    let example: Value = serde_json::from_str(&read("examples/fleet.json")).unwrap();
    assert_eq!(shown, example);
}
