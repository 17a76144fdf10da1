//! `api-guard check`.

mod configuration;
mod envoy;
mod fleet;
mod formats;
mod key_sets;
mod kubernetes;
mod neighbours;
mod public_keys;
mod requests;
mod sources;

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::{Value, json};

use crate::command::{Run, api_guard};
use crate::files::{File, config, project};

const ENVOY: &str = include_str!("../../envoy.yaml");

fn check(content: impl AsRef<[u8]>, more: &[&str]) -> Run {
    let file = File::new(content);
    api_guard([&["check", file.path()], more].concat())
}

/// A finding as it is told.
#[derive(Debug)]
struct Told {
    severity: String,
    rule: String,
    pointer: String,
    line: u64,
    message: String,
}

fn told(content: impl AsRef<[u8]>) -> Vec<Told> {
    let run = check(content, &["--json"]);
    assert!(run.code < 2, "{run:?}");
    let report = run.json();
    let text = |finding: &Value, member: &str| finding[member].as_str().expect("a text").to_owned();
    let findings = report["findings"].as_array().expect("a list").iter();
    findings
        .map(|finding| {
            assert!(finding["column"].as_u64().expect("a column") >= 1);
            Told {
                severity: text(finding, "severity"),
                rule: text(finding, "rule"),
                pointer: text(finding, "pointer"),
                line: finding["line"].as_u64().expect("a line"),
                message: text(finding, "message"),
            }
        })
        .collect()
}

/// What is found of one rule must be one finding: `(severity, pointer, what its line begins with, cure)`.
fn assert_told(content: &str, rule: &str, (severity, pointer, line, cure): (&str, &str, &str, &str)) {
    let all = told(content);
    let of_rule: Vec<&Told> = all.iter().filter(|told| told.rule == rule).collect();
    let [one] = of_rule[..] else { panic!("one {rule} is expected: {all:?}\n{content}") };
    assert_eq!((one.severity.as_str(), one.pointer.as_str()), (severity, pointer), "{one:?}");
    assert!(one.message.contains(cure), "{cure:?} is not in {one:?}");
    let found = content.lines().nth(one.line as usize - 1).expect("the line");
    assert!(found.trim_start().starts_with(line), "{found:?} does not begin with {line:?}: {one:?}");
}

/// Nothing is found of one rule, in a file that can be read.
fn assert_silent(content: &str, rule: &str) {
    let is_told = |told: &Told| [rule, "syntax"].contains(&told.rule.as_str());
    let of_rule: Vec<Told> = told(content).into_iter().filter(is_told).collect();
    assert!(of_rule.is_empty(), "{of_rule:?}\n{content}");
}

/// Severity, rule, pointer and line of everything that is found.
fn found(content: impl AsRef<[u8]>) -> Vec<(String, String, String, u64)> {
    let told = told(content).into_iter();
    told.map(|told| (told.severity, told.rule, told.pointer, told.line)).collect()
}

/// Only rules and pointers.
fn rules(content: impl AsRef<[u8]>) -> Vec<(String, String)> {
    found(content).into_iter().map(|(_, rule, pointer, _)| (rule, pointer)).collect()
}

#[test]
fn everything_that_ships_is_clean() {
    for file in [
        "envoy.yaml",
        "examples/compose/envoy.yaml",
        "examples/api-guard.json",
        "examples/fleet.json",
        "examples/envoy/bootstrap.yaml",
        "examples/istio/traffic-extension.yaml",
        "examples/istio/wasm-plugin.yaml",
        "examples/envoy-gateway/extension-policy.yaml",
    ] {
        let path = project(file);
        let run = api_guard(["check".as_ref(), path.as_os_str(), "--strict".as_ref()]);
        assert_eq!(run.code, 0, "{run:?}");
        assert!(run.out.ends_with("0 errors, 0 warnings\n"), "{run:?}");
    }
}

#[test]
fn every_error_has_its_pointer_line_and_column_and_what_to_write_instead() {
    let text = r#"{
  "tokens": { "keys": [ { "secret": { "env": "API_GUARD_SECRET" } } ] },
  "request": {
    "max_request_size_bytes": 0
  },
  "routes": [ { "path": "/a", "metods": ["GET"] },
              { "path": "/b", "methods": ["get"] } ]
}"#;
    let run = check(text, &[]);
    assert_eq!(run.code, 1);
    // Each is followed by the line of the file.
    let lines: Vec<&str> = run.out.lines().filter(|line| line.starts_with('/')).collect();
    assert_eq!(lines.len(), 4, "{}", run.out);
    let expected = [
        (":4:5: error: /request/max_request_size_bytes: 0: out of range; write", 0),
        (":6:31: error: /routes/0/metods: unknown field; did you mean \"methods\"? write", 1),
        (":7:43: error: /routes/1/methods/0: \"get\": not a method; write", 2),
        (": 3 errors, 0 warnings", 3),
    ];
    for (part, line) in expected {
        assert!(lines[line].contains(part), "{part} is not in {}", lines[line]);
    }
}

#[test]
fn errors_in_a_manifest_have_the_line_of_the_manifest() {
    let wrong = ENVOY.replace(
        r#"{ "path": "/health", "access": "public" }"#,
        r#"{ "path": "/health", "access": "open" }"#,
    );
    let line = wrong.lines().position(|line| line.contains("\"open\"")).expect("the line") as u64 + 1;
    assert_eq!(
        found(&wrong),
        [("error".to_owned(), "configuration".to_owned(), "/routes/0/access".to_owned(), line)]
    );
    // The same bootstrap as JSON, with the configuration as an escaped text on one line.
    let plugin = r#"{"tokens":{"keys":[]}}"#;
    let bootstrap = json!({ "static_resources": { "filters": [{
        "name": "api_guard",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "failure_policy": "FAIL_RELOAD", "allow_on_headers_stop_iteration": true,
                "vm_config": { "vm_id": "a", "runtime": "envoy.wasm.runtime.v8" },
                "configuration": { "@type": "type.googleapis.com/google.protobuf.StringValue", "value": plugin },
            },
        },
    }] } });
    let run = check(serde_json::to_string_pretty(&bootstrap).expect("JSON"), &["--json"]);
    let report = run.json();
    let finding =
        report["findings"].as_array().expect("a list").iter().find(|one| one["rule"] == "configuration");
    let finding = finding.expect("the error");
    assert_eq!(finding["pointer"], "/tokens/keys");
    assert_eq!(finding["within"], "/static_resources/filters/0/typed_config/config/configuration/value");
    let text = serde_json::to_string_pretty(&bootstrap).expect("JSON");
    let line = text.lines().nth(finding["line"].as_u64().expect("a line") as usize - 1).expect("the line");
    assert!(line.contains("tokens"), "{line}");
}

#[test]
fn a_file_that_cannot_be_read_is_wrong_usage_and_one_that_makes_no_sense_is_an_error() {
    assert_eq!(api_guard(["check", "/nowhere/at-all.json"]).code, 2);
    assert_eq!(api_guard(["check"]).code, 2);
    for (content, part) in [
        (&b"{\"tokens\": }"[..], ":1:12: error"),
        (b"a: [1", "error"),
        (b"", "error"),
        (b"{\"a\": \"\xff\"}", ":1:8: error"),
        (b"{\"tokens\": {}, \"tokens\": {}}", ":1:16: error: /tokens: this name appears more than once"),
    ] {
        let run = check(content, &[]);
        assert_eq!(run.code, 1, "{run:?}");
        assert!(run.out.contains(part), "{part}: {run:?}");
    }
}

#[test]
fn no_secret_is_shown() {
    let secret = "hunter2-hunter2-hunter2-hunter2-hunter2";
    let text = config(json!({ "tokens": { "keys": [{ "secret": { "value": secret } }] } })).to_string();
    let in_manifest = ENVOY.replace(
        "host_env_keys: [API_GUARD_SECRET]",
        &format!("key_values: {{ API_GUARD_SECRET: {secret} }}"),
    );
    let as_variable = ENVOY.replace("\"env\": \"API_GUARD_SECRET\"", "\"env\": \"my-hunter2\"");
    assert_ne!(as_variable, ENVOY);
    for content in [text, in_manifest, as_variable] {
        for more in [&[][..], &["--json"]] {
            let run = check(&content, more);
            assert!(!format!("{run:?}").contains("hunter2"), "{run:?}");
        }
    }
}

/// The rules that the sources below a folder name.
fn named_rules(folder: &Path, rules: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(folder).expect("the rules") {
        let path = entry.expect("a file").path();
        if path.is_dir() {
            named_rules(&path, rules);
            continue;
        }
        let source = std::fs::read_to_string(path).expect("a source");
        for call in [".error(", ".warn(", ".add("] {
            let named = source
                .split(call)
                .skip(1)
                .filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
            rules.extend(named.map(str::to_owned));
        }
    }
}

/// The rules in the first columns of the tables under a heading.
fn rules_under(heading: &str, page: &str) -> Vec<String> {
    let below = page.split(heading).nth(1).expect("the heading");
    let tables = below.split("\n## ").next().expect("their end");
    let cells = tables.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).map(str::to_owned).collect()
}

#[test]
fn the_documents_list_every_rule_and_no_other() {
    let mut rules = BTreeSet::from(["configuration".to_owned(), "syntax".to_owned(), "no-filter".to_owned()]);
    for folder in ["src/bin/api-guard/check", "crates/explain/src/check"] {
        named_rules(&project(folder), &mut rules);
    }
    let listed = rules_under("## What `check` warns of\n", include_str!("../../docs/command.md"));
    assert_eq!(listed.iter().cloned().collect::<BTreeSet<_>>(), rules);
    assert_eq!(listed.len(), rules.len(), "a rule is listed twice");
    let doors = rules_under("## What leaves a door open\n", include_str!("../../README.md"));
    assert!(doors.len() >= 10 && doors.iter().all(|door| rules.contains(door)), "{doors:?}");
}
