//! The rules for Prometheus and the dashboard for Grafana: what promtool says of them, and that each leads to its page.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::links::headings;

const ALERTS: &str = include_str!("../../examples/prometheus/alerts.yaml");
const TESTS: &str = include_str!("../../examples/prometheus/alerts_test.yaml");
const DASHBOARD: &str = include_str!("../../examples/grafana/dashboard.json");
const OPERATIONS: &str = include_str!("../../docs/operations.md");
const PAGE: &str = "https://github.com/api-guard/api-guard/blob/main/docs/operations.md";

/// Fails if promtool does; says so where there is none.
fn promtool(arguments: &[&str], file: &Path) {
    match Command::new("promtool").args(arguments).arg(file).output() {
        Ok(run) => {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            assert!(run.status.success(), "{}{}", text(&run.stdout), text(&run.stderr));
        }
        // Not by eprintln!, which the test harness hides where the test passes.
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "SKIPPED: no promtool: {error}");
        }
    }
}

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(name)
}

fn alerts() -> Vec<&'static str> {
    ALERTS.lines().filter_map(|line| line.trim().strip_prefix("- alert: ")).collect()
}

#[test]
fn every_rule_is_one() {
    promtool(&["check", "rules"], &example("prometheus/alerts.yaml"));
}

#[test]
fn every_alert_fires_when_it_should_and_only_then() {
    promtool(&["test", "rules"], &example("prometheus/alerts_test.yaml"));
    for alert in alerts() {
        assert!(TESTS.contains(&format!("{{alertname=\"{alert}\"}}")), "no test in which {alert} fires");
    }
}

#[test]
fn every_alert_says_what_it_means_and_leads_to_its_section() {
    let headings = headings(OPERATIONS);
    let rules: Vec<&str> = ALERTS.split("- alert: ").skip(1).collect();
    assert_eq!(rules.len(), alerts().len());
    for rule in rules {
        let name = rule.lines().next().unwrap();
        for part in ["summary: ", "description: >-\n"] {
            assert!(rule.contains(part), "{name} has no {part}");
        }
        let anchor = name.to_lowercase();
        assert!(rule.contains(&format!("runbook_url: {PAGE}#{anchor}\n")), "{name}");
        assert!(headings.contains(&anchor), "{name} has no section");
        let section =
            OPERATIONS.split(&format!("\n### {name}\n")).nth(1).unwrap().split("\n#").next().unwrap();
        for part in ["**Means.**", "**Look at.**", "**Do.**"] {
            assert!(section.contains(part), "the section of {name} has no {part}");
        }
    }
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

/// Every query of a value, at whatever depth.
fn queries(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            found.extend(members.get("expr").and_then(Value::as_str).map(str::to_owned));
            members.values().for_each(|member| queries(member, found));
        }
        Value::Array(list) => list.iter().for_each(|one| queries(one, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_query_of_the_dashboard_parses() {
    let mut found = Vec::new();
    queries(&serde_json::from_str(DASHBOARD).unwrap(), &mut found);
    assert!(found.len() > 30, "{found:?}");
    let rule = |(number, query): (usize, &String)| {
        let query = query.replace("$__rate_interval", "5m").replace("$__range", "1h");
        format!("  - record: q:{number}\n    expr: {}\n", Value::from(query))
    };
    let rules: String = found.iter().enumerate().map(rule).collect();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("queries.yaml");
    std::fs::write(&file, format!("groups:\n- name: queries\n  rules:\n{rules}")).unwrap();
    promtool(&["check", "rules"], &file);
}

#[test]
fn no_two_panels_share_a_number_or_a_place() {
    let mut numbers = BTreeSet::new();
    let mut taken = BTreeSet::new();
    for panel in panels() {
        assert!(numbers.insert(panel["id"].as_u64().unwrap()), "{}", panel["title"]);
        let at = |name: &str| panel["gridPos"][name].as_u64().unwrap();
        assert!(at("x") + at("w") <= 24, "{}", panel["title"]);
        for x in at("x")..at("x") + at("w") {
            for y in at("y")..at("y") + at("h") {
                assert!(taken.insert((x, y)), "{} lies on another", panel["title"]);
            }
        }
    }
}

#[test]
fn the_dashboard_leads_to_the_operations_page_and_every_query_heeds_its_variables() {
    let dashboard: Value = serde_json::from_str(DASHBOARD).unwrap();
    assert_eq!(dashboard["links"][0]["url"], PAGE);
    let mut found = Vec::new();
    queries(&dashboard, &mut found);
    for query in found {
        for variable in ["namespace=~\"$namespace\"", "instance=~\"$instance\""] {
            assert!(query.contains(variable), "{query}");
        }
    }
}
