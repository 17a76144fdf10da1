//! `docs/issuers.md`, from a shared secret to a key set: every kind of token is judged under each of the configurations.

use std::path::{Path, PathBuf};

use api_guard_testkit::sign_with;
use serde_json::{Value, json};

use crate::documents::{blocks, read, rows, section};
use crate::issuers::{PAGE, answer, published, signed_privately};
use crate::server::variable;

const HEADING: &str = "From a shared secret to a key set";
const KID: &str = "2026-12";

/// The configurations of the page, in their order.
fn steps() -> Vec<Value> {
    let blocks = blocks(section(&read(PAGE), HEADING), "json");
    blocks.iter().map(|block| serde_json::from_str(block).unwrap()).collect()
}

fn written(name: &str, configuration: &Value) -> PathBuf {
    let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("migration-{name}.json"));
    std::fs::write(&file, configuration.to_string()).unwrap();
    file
}

fn key_set(test: &str) -> PathBuf {
    published(&format!("migration-{test}"), &json!([{ "of": "r", "kid": KID, "alg": "RS256" }])).unwrap()
}

fn claims() -> Value {
    json!({ "iss": "https://login.example.com/", "sub": "user-7", "iat": 1_500_000_000, "exp": 4_000_000_000_u64 })
}

fn of_secret(header: &Value, secret: &str) -> String {
    sign_with(secret.as_bytes(), header.to_string().as_bytes(), claims().to_string().as_bytes())
}

fn shared() -> &'static str {
    variable("API_GUARD_SECRET").unwrap()
}

#[test]
fn every_kind_of_token_gets_the_answers_that_the_page_says() {
    let [hs, rs] = ["HS256", "RS256"].map(|alg| json!({ "alg": alg }));
    let with_kid = |header: &Value, kid: &str| {
        let mut header = header.clone();
        header["kid"] = json!(kid);
        header
    };
    let public = include_str!("../issuer_keys/rsa-public.pem");
    let private = |header: Value| signed_privately("RS256", None, &header, &claims());
    // In the order of the rows; the last comes before the set does.
    let tokens = [
        of_secret(&with_kid(&hs, "shared"), shared()),
        of_secret(&hs, shared()),
        private(with_kid(&rs, KID)),
        private(rs.clone()),
        of_secret(&hs, public),
        private(with_kid(&rs, KID)),
    ];
    let rows = rows(section(&read(PAGE), HEADING));
    assert_eq!(rows.len(), tokens.len());
    let (steps, jwks) = (steps(), key_set("rows"));
    assert_eq!(steps.len(), 3);
    for (cells, token) in rows.iter().zip(&tokens) {
        for (index, (step, shown)) in steps.iter().zip(&cells[1..]).enumerate() {
            let fetched = !cells[0].contains("before the set has been fetched") && index > 0;
            let file = written("row", step);
            let answer = answer(&file, fetched.then_some(&jwks), "/orders", token);
            let answer = answer.split(", ").next().unwrap();
            assert_eq!(answer, *shown, "{}, step {index}", cells[0]);
        }
    }
}

#[test]
fn no_step_refuses_a_token_that_the_issuer_gives_out_at_that_time() {
    let jwks = key_set("steps");
    let before = of_secret(&json!({ "alg": "HS256", "kid": "shared" }), shared());
    let after = signed_privately("RS256", None, &json!({ "alg": "RS256", "kid": KID }), &claims());
    // What is on its way at a step: an Envoy may have the step before or the one after.
    let alive: [&[&str]; 3] = [&[&before], &[&before, &after], &[&after]];
    let mut callers = Vec::new();
    for (index, (step, tokens)) in steps().iter().zip(alive).enumerate() {
        let file = written(&format!("step-{index}"), step);
        for token in tokens {
            callers.push(answer(&file, (index > 0).then_some(&jwks), "/orders", token));
        }
    }
    // The same caller throughout, and so the same limits and revocations.
    assert_eq!(callers, vec!["200, `x-auth-subject: user-7`"; 4]);
}

#[test]
fn a_secret_that_does_not_name_the_issuer_beside_the_set_is_refused_as_the_page_warns() {
    let mut both = steps().remove(1);
    both["tokens"]["keys"][0].as_object_mut().unwrap().remove("issuers");
    let file = written("unnamed", &both);
    let token = of_secret(&json!({ "alg": "HS256", "kid": "shared" }), shared());
    let answer = answer(&file, Some(&key_set("unnamed")), "/orders", &token);
    assert!(answer.starts_with("401 "), "{answer}");
}

#[test]
fn every_step_is_without_a_warning() {
    for (index, step) in steps().iter().enumerate() {
        let file = written(&format!("check-{index}"), step);
        let command = std::process::Command::new(env!("CARGO_BIN_EXE_api-guard"))
            .args(["check", "--strict"])
            .arg(file)
            .output()
            .unwrap();
        assert!(command.status.success(), "{}", String::from_utf8_lossy(&command.stdout));
    }
}
