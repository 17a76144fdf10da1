//! Every command that the documents show is run, as somebody does who has the command installed and `make run` running.

use std::process::Command;

use crate::documents::{Document, blocks, documents, section};
use crate::operations::{mint, verdict};
use crate::server::{Server, VARIABLES};

/// What is not run here, and what runs it.
const RUN_ELSEWHERE: [(&str, &str); 7] = [
    ("api-guard revoke", "`fleet`, with a store"),
    ("api-guard run", "`first_api`, and the tests of the command"),
    ("api-guard playground", "the tests of the command and of the page, since it serves until it is ended"),
    ("make ", "make run by `demo`, make build before these tests; that a target exists is tested for all"),
    ("cargo install --path .", "cargo has built this package's command for these tests"),
    ("docker compose up", "make compose-test"),
    ("docker compose -f docker-compose.yaml -f docker-compose.native.yaml up", "make compose-test-native"),
];

/// Runs a line of the shell; `server` is what stands behind the ports that it names.
pub(crate) fn run(line: &str, server: Option<&Server>) -> String {
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

pub(crate) fn lines(text: &str) -> Vec<String> {
    blocks(text, "sh").iter().flat_map(|block| block.lines().map(str::to_owned).collect::<Vec<_>>()).collect()
}

/// The lines of a document that are for this test.
fn lines_to_run(document: &Document) -> Vec<String> {
    let mut lines = lines(&document.text);
    if document.name == "README.md" {
        // `first_api` runs these, in their order.
        let sections =
            ["Try it", "Guard your own API"].map(|name| self::lines(section(&document.text, name)));
        for line in sections.concat() {
            let at = lines.iter().position(|other| *other == line).unwrap();
            lines.remove(at);
        }
    }
    lines
}

#[test]
fn every_command_that_is_shown_runs() {
    let server = Server::start(None);
    assert_eq!(verdict(&server, "/orders/1", None), "401 token_missing");
    assert_eq!(verdict(&server, "/orders/1", Some(&mint("API_GUARD_SECRET", "", "orders:read"))), "200");
    let mut commands = 0;
    for document in documents() {
        let lines = lines_to_run(&document);
        assert!(document.name != "docs/operations.md" || lines.len() >= 6);
        for line in lines {
            if RUN_ELSEWHERE.iter().any(|(start, _)| line.starts_with(start)) {
                continue;
            }
            let said = run(&line, Some(&server));
            assert!(!said.is_empty() || line.starts_with("export "), "{line} prints nothing");
            commands += usize::from(line.contains("api-guard "));
        }
    }
    assert!(commands >= 10, "{commands} commands");
}
