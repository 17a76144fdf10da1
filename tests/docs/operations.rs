//! `docs/operations.md` does what it says: its steps are taken on a real Envoy.

use serde_json::Value;

use crate::commands::run;
use crate::documents::{blocks, documents};
use crate::server::Server;

const OPERATIONS: &str = include_str!("../../docs/operations.md");

fn section(heading: &str) -> &'static str {
    crate::documents::section(OPERATIONS, heading)
}

pub(crate) fn mint(variable: &str, kid: &str, permission: &str) -> String {
    let kid = if kid.is_empty() { String::new() } else { format!("--kid {kid}") };
    run(&format!("api-guard mint --secret-env {variable} {kid} --sub user-7 --permission {permission}"), None)
}

/// Status, and the code of a refusal.
pub(crate) fn verdict(server: &Server, path: &str, token: Option<&str>) -> String {
    let (status, body) = server.ask("GET", path, token);
    let problem: Value = serde_json::from_str(&body).unwrap_or_default();
    format!("{status} {}", problem["code"].as_str().unwrap_or_default()).trim_end().to_owned()
}

#[test]
fn every_configuration_that_is_shown_is_served_by_envoy() {
    for text in documents().iter().flat_map(|document| blocks(&document.text, "json")) {
        drop(Server::start(Some(&text)));
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
