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

mod alerts;
mod answers;
mod commands;
mod demo;
mod documents;
mod first_api;
mod fleet;
mod issuers;
mod kubernetes;
mod links;
mod migration;
mod operations;
mod reference;
mod server;
mod surroundings;

use api_guard_core::policy::Policy;
use api_guard_testkit::SECRET;

use crate::documents::{blocks, documents};
use crate::server::variable;

fn parse(text: &str) -> Result<Policy, String> {
    api_guard_testkit::parse_with(text.as_bytes(), variable).map_err(|errors| errors.to_string())
}

#[test]
fn every_configuration_that_is_shown_is_valid() {
    let shown: Vec<String> = documents().iter().flat_map(|document| blocks(&document.text, "json")).collect();
    assert!(shown.len() >= 2);
    for text in shown {
        parse(&text).map(drop).unwrap_or_else(|errors| panic!("{text}\n{errors}"));
    }
}

#[test]
fn the_configuration_errors_that_are_shown_are_real() {
    let errors = parse(
        r#"{"tokens":{"keys":[{"secret":{"env":"API_GUARD_SECRET"}}]},"request":{"max_request_size_bytes":0},"routes":[{"path":"/a","methods":["get"]}]}"#,
    )
    .unwrap_err();
    let shown = documents()
        .iter()
        .flat_map(|document| blocks(&document.text, "text"))
        .find(|block| block.contains("errors in the configuration"))
        .unwrap();
    for line in shown.lines().skip(1) {
        assert!(errors.contains(line.trim()), "{line}\nis not in\n{errors}");
    }
}

#[test]
fn every_make_target_that_is_named_exists() {
    let makefile = include_str!("../../Makefile");
    for document in documents() {
        let text = &document.text;
        for after in text.split("make ").skip(1) {
            let target: String =
                after.chars().take_while(|letter| letter.is_ascii_lowercase() || *letter == '-').collect();
            let before_is_code =
                text.contains(&format!("`make {target}")) || text.contains(&format!("\nmake {target}"));
            if before_is_code && !target.is_empty() {
                assert!(makefile.contains(&format!("\n{target}:")), "{} names make {target}", document.name);
            }
        }
    }
}
