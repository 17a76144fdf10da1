//! The documents as the tests read them: all that there are, so that a new one cannot be forgotten.

use std::fs;
use std::path::{Path, PathBuf};

/// A document of the repository.
pub(crate) struct Document {
    /// Its path from the root of the repository.
    pub(crate) name: String,
    pub(crate) text: String,
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Markdown file at the root and below `docs`, in the order of their names.
pub(crate) fn documents() -> Vec<Document> {
    let mut files = markdown(root());
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        files.extend(markdown(&folder));
        folders.extend(entries(&folder).into_iter().filter(|path| path.is_dir()));
    }
    files.sort();
    let documents: Vec<_> = files
        .iter()
        .map(|path| Document {
            name: path.strip_prefix(root()).unwrap().to_str().unwrap().to_owned(),
            text: fs::read_to_string(path).unwrap(),
        })
        .collect();
    for name in ["README.md", "DESIGN.md", "CONTRIBUTING.md", "docs/operations.md"] {
        assert!(documents.iter().any(|document| document.name == name), "{name} is missing");
    }
    documents
}

fn entries(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

fn markdown(folder: &Path) -> Vec<PathBuf> {
    entries(folder).into_iter().filter(|path| path.extension().is_some_and(|kind| kind == "md")).collect()
}

/// The text of one document.
pub(crate) fn read(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

/// The text under a second-level heading, up to the next one.
pub(crate) fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let after = document.split(&format!("\n## {heading}\n")).nth(1).expect(heading);
    after.split("\n## ").next().unwrap()
}

/// The contents of the fenced blocks of one language, without the indentation of their fences.
pub(crate) fn blocks(document: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut current: Option<(&str, Vec<&str>)> = None;
    for line in document.lines() {
        let text = line.trim_start();
        match &mut current {
            None if text == format!("```{language}") => {
                current = Some((line.strip_suffix(text).unwrap(), Vec::new()));
            }
            None => {}
            Some((_, lines)) if text == "```" => {
                blocks.push(lines.join("\n"));
                current = None;
            }
            Some((indentation, lines)) => lines.push(line.strip_prefix(*indentation).unwrap_or(text)),
        }
    }
    blocks
}

/// The document without its fenced blocks.
pub(crate) fn prose(document: &str) -> String {
    let mut fenced = false;
    let mut lines = Vec::new();
    for line in document.lines() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            lines.push(line);
        }
    }
    assert!(!fenced, "a block does not end");
    lines.join("\n")
}

/// The cells of the rows of all tables, without the heads and the lines below them.
pub(crate) fn rows(text: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_rule = |line: &&str| line.starts_with("| -") || line.starts_with("| :-");
    lines
        .iter()
        .enumerate()
        .filter(|(at, line)| {
            line.starts_with("| ") && !is_rule(line) && !lines.get(at + 1).is_some_and(is_rule)
        })
        .map(|(_, line)| {
            let inner = line.strip_prefix("| ").and_then(|line| line.strip_suffix(" |")).expect(line);
            inner.split(" | ").map(|cell| cell.trim().to_owned()).collect()
        })
        .collect()
}
