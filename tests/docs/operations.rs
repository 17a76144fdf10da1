//! `docs/operations.md` does what it says: its steps are taken on a real Envoy.

use std::process::Command;

use serde_json::Value;

use crate::server::{Server, VARIABLES};
use crate::{DOCUMENTS, blocks};

const OPERATIONS: &str = include_str!("../../docs/operations.md");

/// The text under a heading.
fn section(heading: &str) -> &'static str {
    let after = OPERATIONS.split(&format!("\n## {heading}\n")).nth(1).expect(heading);
    after.split("\n## ").next().unwrap()
}

/// Runs a line of the shell as somebody does who has the command installed and an Envoy at these ports.
fn run(line: &str, server: Option<&Server>) -> String {
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_api-guard"));
    let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
    let line = server.map_or_else(
        || line.to_owned(),
        |server| {
            line.replace("localhost:9901", &format!("127.0.0.1:{}", server.admin))
                .replace("localhost:10000", &format!("127.0.0.1:{}", server.api))
        },
    );
    let mut command = Command::new("sh");
    command.args(["-euc", &line]).env("PATH", path).envs(VARIABLES);
    let output = command.current_dir(env!("CARGO_MANIFEST_DIR")).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

fn mint(variable: &str, kid: &str, permission: &str) -> String {
    let kid = if kid.is_empty() { String::new() } else { format!("--kid {kid}") };
    run(&format!("api-guard mint --secret-env {variable} {kid} --sub user-7 --permission {permission}"), None)
}

/// Status, and the code of a refusal.
fn verdict(server: &Server, path: &str, token: Option<&str>) -> String {
    let (status, body) = server.ask("GET", path, token);
    let problem: Value = serde_json::from_str(&body).unwrap_or_default();
    format!("{status} {}", problem["code"].as_str().unwrap_or_default()).trim_end().to_owned()
}

#[test]
fn every_configuration_that_is_shown_is_served_by_envoy() {
    for text in DOCUMENTS.iter().flat_map(|(_, text)| blocks(text, "json")) {
        drop(Server::start(Some(&text)));
    }
}

#[test]
fn every_command_on_the_page_runs() {
    let server = Server::start(None);
    assert_eq!(verdict(&server, "/orders/1", None), "401 token_missing");
    assert_eq!(verdict(&server, "/orders/1", Some(&mint("API_GUARD_SECRET", "", "orders:read"))), "200");
    let lines: Vec<String> = blocks(OPERATIONS, "sh")
        .iter()
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    assert!(lines.len() >= 6);
    for line in lines {
        assert!(!run(&line, Some(&server)).is_empty(), "{line} prints nothing");
    }
}

#[test]
fn a_key_is_rotated_as_the_page_says() {
    let steps = blocks(section("Rotate a key without a failed request"), "json");
    let old = mint("API_GUARD_SECRET", "2026-08", "orders:read");
    let shown = blocks(section("Rotate a key without a failed request"), "sh");
    let new = run(shown.iter().find(|block| block.contains("mint")).unwrap(), None);
    let answers = [("200", "200"), ("401 token_key_unknown", "200"), ("401 token_revoked", "200")];
    assert_eq!(steps.len(), answers.len());
    for (step, (for_old, for_new)) in steps.iter().zip(answers) {
        let server = Server::start(Some(step));
        assert_eq!(verdict(&server, "/x", Some(&old)), for_old, "{step}");
        assert_eq!(verdict(&server, "/x", Some(&new)), for_new, "{step}");
    }
}

#[test]
fn each_level_reports_what_the_page_says() {
    let [whole, route, limit]: [String; 3] =
        blocks(section("Try before enforcing"), "json").try_into().unwrap();
    let token = mint("API_GUARD_SECRET", "", "other:read");
    let would_refuse = |server: &Server, code: &str| {
        let line = blocks(section("Try before enforcing"), "sh").remove(0);
        let page = run(&line, Some(server));
        let series = page.lines().find(|line| line.contains(&format!("code=\"{code}\""))).unwrap();
        assert!(!series.ends_with(" 0"), "{series}");
    };
    // The counts of a lone request show at once.
    let server = Server::start(Some(&whole));
    assert_eq!(verdict(&server, "/orders/1", None), "200");
    would_refuse(&server, "token_missing");

    let server = Server::start(Some(&route));
    assert_eq!(verdict(&server, "/orders/1", Some(&token)), "403 permission_missing");
    assert_eq!(verdict(&server, "/reports/1", Some(&token)), "200");
    std::thread::sleep(std::time::Duration::from_millis(300));
    would_refuse(&server, "permission_missing");

    let server = Server::start(Some(&limit));
    for _ in 0..101 {
        assert_eq!(verdict(&server, "/x", Some(&token)), "200");
    }
    std::thread::sleep(std::time::Duration::from_millis(300));
    would_refuse(&server, "rate_limited");
}

#[test]
fn every_alert_has_its_row() {
    let alerts = include_str!("../../examples/prometheus/alerts.yaml");
    for alert in alerts.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")) {
        assert!(OPERATIONS.contains(alert), "{alert} is not explained");
    }
}

#[test]
fn the_environment_that_is_shown_is_what_the_keys_need() {
    let yaml = blocks(section("Rotate a key without a failed request"), "yaml").remove(0);
    let shipped = include_str!("../../envoy.yaml");
    let one = yaml.replace(", API_GUARD_NEW_SECRET", "");
    assert!(shipped.contains(&one), "{one}");
}
