//! `docs/answers.md` has every code with its status, and shows a reply as it is.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use api_guard_core::code::Code;
use serde_json::Value;

use crate::SECRET;
use crate::documents::{blocks, read, rows, section};
use crate::server::Server;

const PAGE: &str = "docs/answers.md";

#[test]
fn the_table_of_answers_has_every_code_with_its_status() {
    let page = read(PAGE);
    let listed = rows(section(&page, "Codes"));
    let rows: BTreeMap<&str, u16> = listed
        .iter()
        .map(|cells| (cells[1].trim_matches('`'), cells[0].parse().expect("a status")))
        .collect();
    assert_eq!(rows.len(), listed.len(), "a code has two rows");
    let codes: BTreeMap<&str, u16> = Code::ALL.iter().map(|code| (code.as_str(), code.status())).collect();
    assert_eq!(rows, codes);
}

#[test]
fn every_answer_has_a_cause_and_a_cure() {
    for cells in rows(section(&read(PAGE), "Codes")) {
        assert!(cells.len() == 4 && cells.iter().all(|cell| cell.len() >= 3), "{cells:?}");
    }
}

#[test]
fn every_status_has_a_grpc_status() {
    let page = read(PAGE);
    let listed: Vec<u16> = rows(section(&page, "gRPC"))
        .iter()
        .flat_map(|cells| cells[0].split(", ").map(|status| status.parse().unwrap()).collect::<Vec<_>>())
        .collect();
    let statuses: BTreeSet<u16> = Code::ALL.iter().map(|code| code.status()).collect();
    assert_eq!(listed.len(), statuses.len(), "{listed:?}");
    assert_eq!(listed.into_iter().collect::<BTreeSet<_>>(), statuses);
}

#[test]
fn envoy_rewrites_paths_before_the_guard_as_the_page_says() {
    let page = read(PAGE);
    let server = Server::start(Some(
        r#"{ "tokens": { "keys": [ { "secret": { "env": "API_GUARD_SECRET" } } ] },
             "routes": [ { "path": "/orders/special", "access": "public" }, { "path": "/x", "access": "public" } ],
             "unmatched_routes": "deny" }"#,
    ));
    let (_, table) = page.split_once("| sent | judged and passed on |").expect("the table");
    let (table, _) = table.split_once("\n\n").expect("its end");
    let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split('`').collect()).collect();
    let rows: Vec<(&str, &str)> =
        rows.iter().filter(|cells| cells.len() == 5).map(|cells| (cells[1], cells[3])).collect();
    assert_eq!(rows.len(), 4, "{table}");
    for (sent, judged) in rows {
        let (status, body) = server.ask("GET", sent, None);
        let body: Value = serde_json::from_str(&body).unwrap_or_default();
        assert_eq!((status, body["path"].as_str()), (200, Some(judged)), "{sent}: {body}");
    }
    assert_eq!(server.ask("GET", "/orders%2Fspecial", None), (400, String::new()));
}

/// Standard output; how the command ends is for the caller to judge by it.
fn api_guard(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_api-guard"))
        .args(arguments)
        .env("API_GUARD_SECRET", SECRET)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[test]
fn the_reply_that_is_shown_is_real() {
    let token = api_guard(&["mint", "--sub", "user-7", "--permission", "orders:list", "--kid", "2026-11"]);
    let config = "examples/api-guard.json";
    let explained =
        api_guard(&["explain", "--json", "--config", config, "--path", "/orders/42", "--token", &token]);
    let reply = &serde_json::from_str::<Value>(&explained).unwrap()["reply"];
    let shown = blocks(section(&read(PAGE), "The body"), "http").remove(0);
    let (head, body) = shown.split_once("\n\n").unwrap();
    let mut lines = head.lines();
    let status = format!(" {} ", reply["status"]);
    assert!(lines.next().unwrap().contains(&status), "{shown}");
    let headers: BTreeMap<&str, &str> = lines.map(|line| line.split_once(": ").unwrap()).collect();
    let real: BTreeMap<&str, &str> = reply["headers"]
        .as_object()
        .unwrap()
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
        .collect();
    assert_eq!(headers, real);
    assert_eq!(serde_json::from_str::<Value>(body).unwrap(), reply["body"]);
}
