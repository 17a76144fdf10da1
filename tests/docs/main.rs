//! What the documents show is run: configurations are loaded, commands executed, tables compared with the code.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::disallowed_methods,
    clippy::arithmetic_side_effects,
    reason = "a test that cannot go on fails, and a server that does not start is waited for"
)]

mod demo;
mod operations;
mod reference;
mod server;

use std::collections::BTreeMap;
use std::process::Command;

use api_guard_core::code::Code;
use api_guard_core::config::{Environment, Policy};

const DOCUMENTS: [(&str, &str); 4] = [
    ("README.md", include_str!("../../README.md")),
    ("DESIGN.md", include_str!("../../DESIGN.md")),
    ("CONTRIBUTING.md", include_str!("../../CONTRIBUTING.md")),
    ("docs/operations.md", include_str!("../../docs/operations.md")),
];
const README: &str = include_str!("../../README.md");
const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";

/// The contents of the fenced blocks of one language.
fn blocks(document: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut current: Option<Vec<&str>> = None;
    for line in document.lines() {
        let line = line.trim_start();
        match &mut current {
            None if line == format!("```{language}") => current = Some(Vec::new()),
            None => {}
            Some(lines) if line == "```" => {
                blocks.push(lines.join("\n"));
                current = None;
            }
            Some(lines) => lines.push(line),
        }
    }
    blocks
}

/// What links call the headings of a document.
fn headings(document: &str) -> Vec<String> {
    let titles = document.lines().filter(|line| line.starts_with('#'));
    titles
        .map(|title| {
            let words = title.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            words
                .chars()
                .filter(|letter| letter.is_alphanumeric() || *letter == '-' || *letter == '_')
                .collect()
        })
        .collect()
}

fn parse(text: &str) -> Result<Policy, String> {
    let lookup = |_: &str| Some(SECRET.as_bytes().to_vec());
    Policy::parse(text.as_bytes(), &Environment { lookup: &lookup, must_be_set: true })
        .map_err(|errors| errors.to_string())
}

#[test]
fn every_configuration_that_is_shown_is_valid() {
    let shown: Vec<String> = DOCUMENTS.iter().flat_map(|(_, text)| blocks(text, "json")).collect();
    assert!(shown.len() >= 2);
    for text in shown {
        parse(&text).map(drop).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    }
}

#[test]
fn the_configuration_errors_that_are_shown_are_real() {
    let errors = parse(
        r#"{"tokens":{"keys":[{"secret":{"env":"S"}}]},"request":{"max_request_size_bytes":0},"routes":[{"path":"/a","methods":["get"]}]}"#,
    )
    .unwrap_err();
    let shown = blocks(README, "text")
        .into_iter()
        .find(|block| block.contains("errors in the configuration"))
        .unwrap();
    for line in shown.lines().skip(1) {
        assert!(errors.contains(line.trim()), "{line}\nis not in\n{errors}");
    }
}

#[test]
fn the_table_of_answers_has_every_code_with_its_status() {
    let rows: BTreeMap<&str, u16> = README
        .lines()
        .filter_map(|line| {
            let mut cells = line.strip_prefix("| ")?.split(" | ");
            let status = cells.next()?.parse().ok()?;
            Some((cells.next()?.trim_matches('`'), status))
        })
        .collect();
    let codes: BTreeMap<&str, u16> = Code::ALL.iter().map(|code| (code.as_str(), code.status())).collect();
    assert_eq!(rows, codes);
}

#[test]
fn every_make_target_that_is_named_exists() {
    let makefile = include_str!("../../Makefile");
    for (name, text) in DOCUMENTS {
        for after in text.split("make ").skip(1) {
            let target: String =
                after.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '-').collect();
            let before_is_code =
                text.contains(&format!("`make {target}")) || text.contains(&format!("\nmake {target}"));
            if before_is_code && !target.is_empty() {
                assert!(makefile.contains(&format!("\n{target}:")), "{name} names make {target}");
            }
        }
    }
}

#[test]
fn every_file_that_is_linked_exists() {
    for (name, text) in DOCUMENTS {
        for after in text.split("](").skip(1) {
            let link = after.split(')').next().unwrap();
            if link.contains("://") {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let document = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(name);
            let path = if file.is_empty() { document } else { document.parent().unwrap().join(file) };
            assert!(path.exists(), "{name} links {link}");
            if !heading.is_empty() {
                let linked = std::fs::read_to_string(path).unwrap();
                assert!(headings(&linked).contains(&heading.to_owned()), "{name} links {link}");
            }
        }
    }
}

#[test]
fn every_command_that_is_shown_runs() {
    let lines: Vec<String> = blocks(README, "sh")
        .iter()
        .flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>())
        .collect();
    let commands: Vec<&String> = lines.iter().filter(|line| line.contains("api-guard ")).collect();
    assert!(!commands.is_empty());
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_api-guard"));
    for line in commands {
        let path = format!("{}:{}", binary.parent().unwrap().display(), std::env::var("PATH").unwrap());
        let output = Command::new("sh")
            .args(["-euc", line])
            .env("PATH", path)
            .env("API_GUARD_SECRET", SECRET)
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    }
}
