//! Behaviour as data: each file beside this one is a rule, with a configuration and requests. The core and the command
//! `api-guard explain` are asked alike, and both must answer what the file says.
//!
//! A case has `path`, and where it matters `method`, `headers`, `token` (claims, which are signed here), `body`,
//! `client_ip` and `repeat`; `signer` (`es256:1` is the first key for ES256 of the tests) and `kid`, where the token is not
//! signed with the secret; and what is expected: `code` (none: allowed), `decision`, `errors`, `route`, `upstream` (changes of the
//! request's headers; null = removed). A rule may have a `key_set`, which stands for what its key sets fetch.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test that cannot go on fails"
)]

use std::convert::Infallible;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use api_guard_core::effect;
use api_guard_core::effect::forward::{Edit, each_edit};
use api_guard_core::request::Request;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::key_set::KeySet;
use api_guard_core::verdict::Decision;
use api_guard_testkit::{Guarded, IssuerKey, SECRET, policy, sign};
use serde_json::{Map, Value, json};

/// The core's clock; the command has the real one. No case depends on the day: see the claims.
const NOW: u64 = 1_800_000_000;

fn signed(case: &Value) -> String {
    let (claims, kid) = (&case["token"], case["kid"].as_str());
    let number = |text: &str| text.parse().unwrap();
    match case["signer"].as_str().map(|signer| signer.split_once(':').unwrap()) {
        Some(("es256", key)) => IssuerKey::es256(number(key)).token(kid, claims),
        Some((_, key)) => IssuerKey::eddsa(number(key)).token(kid, claims),
        None => {
            let kid = kid.map(|kid| format!(r#","kid":"{kid}""#)).unwrap_or_default();
            sign(format!(r#"{{"alg":"HS256","typ":"JWT"{kid}}}"#).as_bytes(), claims.to_string().as_bytes())
        }
    }
}

fn text<'v>(case: &'v Value, member: &str, default: &'v str) -> &'v str {
    case[member].as_str().unwrap_or(default)
}

fn headers(case: &Value) -> Vec<(String, String)> {
    let headers = case["headers"].as_object().into_iter().flatten();
    headers.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
}

/// What the file expects, in the words of `explain --json`.
fn expected(case: &Value) -> Value {
    let code = &case["code"];
    let decision = text(case, "decision", if code.is_null() { "allowed" } else { "refused" });
    json!({ "decision": decision, "code": code })
}

/// The same members of an answer as the case names.
fn compare(file: &Path, who: &str, case: &Value, answer: &Value) {
    let shown = format!("{} says otherwise on {case} of {}: {answer:#}", who, file.display());
    for (member, value) in expected(case).as_object().unwrap() {
        assert_eq!(&answer[member], value, "{shown}");
    }
    for (member, answered) in [("errors", "errors"), ("route", "route"), ("upstream", "upstream_headers")] {
        if !case[member].is_null() {
            assert_eq!(answer[answered], case[member], "{shown}");
        }
    }
}

fn core(rule: &Value, case: &Value) -> Value {
    let mut guarded = Guarded::under(policy(&rule["configuration"]));
    if !rule["key_set"].is_null() {
        let bytes = rule["key_set"].to_string();
        for (index, set) in guarded.guard.policy().tokens().keys().fetched_sets() {
            let read = KeySet::read(bytes.as_bytes(), set.algorithms()).unwrap();
            guarded.memory.put_key_set(index, Arc::new(read.set.unwrap()));
        }
    }
    let peer = std::net::SocketAddr::new(text(case, "client_ip", "127.0.0.1").parse().unwrap(), 0);
    guarded.process.address = Some(peer.to_string().leak());
    let Guarded { guard, memory, process } = &mut guarded;
    let mut pairs = vec![
        (":method".to_owned(), text(case, "method", "GET").to_owned()),
        (":path".to_owned(), text(case, "path", "/").to_owned()),
        (":authority".to_owned(), case["headers"]["host"].as_str().unwrap_or("localhost").to_owned()),
    ];
    pairs.extend(headers(case).into_iter().filter(|(name, _)| name != "host"));
    if !case["token"].is_null() {
        pairs.push(("authorization".to_owned(), format!("Bearer {}", signed(case))));
    }
    let body = case["body"].as_str();
    let has_framing =
        ["content-length", "transfer-encoding"].iter().any(|name| !case["headers"][name].is_null());
    if let Some(body) = body.filter(|_| !has_framing) {
        pairs.push(("content-length".to_owned(), body.len().to_string()));
    }
    let block = pairs.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
    let request = Request::read(guard.policy().header_plan(), block, body.is_some());
    let mut ask = || guard.admit(memory, &request, process, UnixNanos::from_seconds(NOW));
    let mut verdict = ask();
    for _ in 1..case["repeat"].as_u64().unwrap_or(1) {
        verdict = ask();
    }
    let bad_body = verdict
        .grant()
        .zip(body)
        .and_then(|(grant, body)| Some((grant.judge_body(body.as_bytes()).err()?, grant.enforces())));
    match bad_body {
        Some((denial, true)) => verdict.decision = Decision::Refuse(denial),
        Some((denial, false)) => verdict.reported = verdict.reported.or(Some(denial)),
        None => {}
    }
    let decision = match (verdict.denial(), &verdict.reported) {
        (Some(_), _) => "refused",
        (None, Some(_)) => "would_refuse",
        (None, None) => "allowed",
    };
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut changes = Map::new();
    if let Some(grant) = verdict.grant() {
        let Ok(()) = each_edit::<Infallible>(guard.policy(), grant, &request, |edit| {
            let (name, value) = match edit {
                Edit::Remove(name) => (lossy(name), Value::Null),
                Edit::Add(name, value) | Edit::Set(name, value) => (name.to_owned(), lossy(value).into()),
            };
            changes.insert(name, value);
            Ok(())
        });
    }
    json!({
        "decision": decision,
        "code": verdict.refusal().map(|denial| denial.code().as_str()),
        "errors": verdict.refusal().map(effect::reasons).unwrap_or_default(),
        "route": guard.policy().route_label(verdict.trail.form.route),
        "upstream_headers": changes,
    })
}

fn command(configuration: &Path, key_set: Option<&Path>, case: &Value) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_api-guard"));
    command.env_clear().env("API_GUARD_SECRET", SECRET).arg("explain").arg("--config").arg(configuration);
    command.args(["--json", "--method", text(case, "method", "GET"), "--path", text(case, "path", "/")]);
    for (name, value) in headers(case) {
        command.args(["--header", &format!("{name}:{value}")]);
    }
    if !case["token"].is_null() {
        command.args(["--token", &signed(case)]);
    }
    if let Some(key_set) = key_set {
        command.arg("--jwks").arg(key_set);
    }
    if let Some(body) = case["body"].as_str() {
        command.args(["--body", body]);
    }
    if let Some(address) = case["client_ip"].as_str() {
        command.args(["--client-ip", address]);
    }
    if let Some(times) = case["repeat"].as_u64() {
        command.args(["--repeat", &times.to_string()]);
    }
    let output = command.output().unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    let answer: Value =
        serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {case}: {told}"));
    assert_eq!(output.status.code(), Some(i32::from(answer["decision"] == "refused")), "{case}");
    answer
}

/// Every file of rules, in order.
fn rules() -> Vec<PathBuf> {
    let entries = |path: &Path| -> Vec<PathBuf> {
        std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let features = entries(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/decisions"));
    let mut files: Vec<PathBuf> =
        features.iter().filter(|path| path.is_dir()).flat_map(|path| entries(path)).collect();
    files.sort();
    assert!(files.len() >= 15);
    files
}

fn read(file: &Path) -> Value {
    let rule: Value = serde_json::from_slice(&std::fs::read(file).unwrap())
        .unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    // A misspelt member would expect nothing.
    let known = [
        "method",
        "path",
        "headers",
        "token",
        "signer",
        "kid",
        "body",
        "client_ip",
        "repeat",
        "code",
        "decision",
        "errors",
        "route",
        "upstream",
    ];
    for case in rule["cases"].as_array().unwrap() {
        let unknown = case.as_object().unwrap().keys().find(|name| !known.contains(&name.as_str()));
        assert_eq!(unknown, None, "{}", file.display());
    }
    rule
}

#[test]
fn the_core_decides_as_the_rules_say() {
    for file in rules() {
        let rule = read(&file);
        for case in rule["cases"].as_array().unwrap() {
            compare(&file, "the core", case, &core(&rule, case));
        }
    }
}

#[test]
fn explain_decides_as_the_rules_say() {
    let directory = std::env::temp_dir().join(format!("api-guard-decisions-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    for file in rules() {
        let rule = read(&file);
        let configuration = directory.join("api-guard.json");
        std::fs::write(&configuration, rule["configuration"].to_string()).unwrap();
        let key_set = (!rule["key_set"].is_null()).then(|| directory.join("jwks.json"));
        if let Some(file) = &key_set {
            std::fs::write(file, rule["key_set"].to_string()).unwrap();
        }
        for case in rule["cases"].as_array().unwrap() {
            compare(&file, "explain", case, &command(&configuration, key_set.as_deref(), case));
        }
    }
    std::fs::remove_dir_all(&directory).unwrap();
}
