//! Where in a text secrets are, or may be.

use std::collections::HashMap;

use api_guard_core::config::Policy;

use super::plugin::Plugin;
use super::tree::{Mark, Node};
use super::{Source, kind, sites};

/// So many errors of shape are all that the core lists.
const MOST_ERRORS: usize = 100;
/// A longer name may be 32 random bytes in base64 or hexadecimal digits.
const LONGEST_VARIABLE: usize = 40;

/// Where values begin that may be secrets; `None` if the text could not be read, so that nobody knows.
pub fn of(source: &Source) -> Option<Vec<Mark>> {
    match source {
        Source::Malformed(_) => None,
        Source::Plugin(plugin) => plugin.secrets(),
        Source::Manifest(documents, file) => {
            let mut marks: Vec<Mark> =
                documents.iter().flat_map(|part| secrets_of_manifest(&part.root)).collect();
            for site in sites(documents) {
                if let Some((_, node)) = site.configuration() {
                    marks.extend(Plugin::of_node(node, file).secrets()?);
                }
            }
            Some(marks)
        }
    }
}

/// The secrets of a text, and where they begin; `None` if the text could not be read, so that nobody knows. Unlike [`of`]
/// it leaves out public keys.
pub fn texts(source: &Source) -> Option<Vec<(Mark, String)>> {
    let mut found = Vec::new();
    match source {
        Source::Malformed(_) => return None,
        Source::Plugin(plugin) => found.extend(texts_of_plugin(plugin)?),
        Source::Manifest(documents, file) => {
            for document in documents {
                let marks = secrets_of_manifest(&document.root);
                document.root.walk("", &mut |_, node| {
                    if let Some(text) = node.text().filter(|_| marks.contains(&node.mark)) {
                        found.push((node.mark, text.to_owned()));
                    }
                });
            }
            for site in sites(documents) {
                if let Some((_, node)) = site.configuration() {
                    found.extend(texts_of_plugin(&Plugin::of_node(node, file))?);
                }
            }
        }
    }
    Some(found)
}

fn texts_of_plugin(plugin: &Plugin) -> Option<Vec<(Mark, String)>> {
    let tree = plugin.tree()?;
    let marks = secrets_of_plugin(&plugin.text, tree);
    let mut found = Vec::new();
    tree.walk("", &mut |pointer, node| {
        let Some(text) = node.text().filter(|_| marks.contains(&node.mark)) else { return };
        let last = pointer.rsplit('/').next().unwrap_or_default();
        let is_private = ["d", "p", "q", "dp", "dq", "qi", "k"].contains(&last) || text.contains("PRIVATE");
        let is_public = ["/public_key/", "/jwks/"].iter().any(|part| pointer.contains(part));
        if is_private || !is_public {
            found.push((plugin.in_file(node.mark), text.to_owned()));
        }
    });
    Some(found)
}

/// Where values begin, in a plugin configuration, that may be secrets: those that the core does not quote either, and all
/// that stands in a field that the core does not know, or in a list or an object that it does not expect.
pub(super) fn secrets_of_plugin(text: &str, configuration: &Node) -> Vec<Mark> {
    let errors = Policy::parse_shape(text.as_bytes()).err().map(|errors| errors.0).unwrap_or_default();
    let unread: HashMap<String, bool> =
        errors.iter().map(|error| (error.at.to_string(), error.problem == "unknown field")).collect();
    // The core does not list more errors than some.
    let is_cut = errors.len() >= MOST_ERRORS;
    let mut marks = Vec::new();
    configuration.walk("", &mut |pointer, node| {
        let Some(text) = node.text() else { return };
        let above = pointer.match_indices('/').filter_map(|(end, _)| pointer.get(..end));
        let is_unread =
            unread.get(pointer) == Some(&true) || above.into_iter().any(|above| unread.contains_key(above));
        let steps: Vec<&str> = pointer.split('/').skip(1).collect();
        let may_be_secret = match steps.as_slice() {
            ["tokens", "keys", _, known, ..] => {
                !["kid", "algorithm", "issuers", "audiences", "not_before", "not_after"].contains(known)
            }
            ["tokens", "key_sets", _, "jwks", known, ..] => !["cluster", "path", "authority"].contains(known),
            ["tokens" | "fleet"] | ["tokens", "keys", ..] => true,
            ["fleet", field, ..] => ["password", "secret"].contains(field),
            _ => false,
        };
        let is_shown = match steps.last() {
            Some(&"env") => is_variable(text),
            Some(&"encoding") => true,
            Some(_) | None => false,
        };
        if is_cut || is_unread || (may_be_secret && !is_shown) {
            marks.push(node.mark);
        }
    });
    marks
}

/// Whether a text looks like the name of a variable, and not like a secret that was written in its place.
pub fn is_variable(text: &str) -> bool {
    let known = |letter: u8| letter.is_ascii_alphanumeric() || letter == b'_';
    text.len() <= LONGEST_VARIABLE
        && text.bytes().all(known)
        && !text.starts_with(|first: char| first.is_ascii_digit())
}

/// Where a manifest has values of variables.
fn secrets_of_manifest(document: &Node) -> Vec<Mark> {
    let mut marks = Vec::new();
    document.walk("", &mut |pointer, node| {
        let of_envoy = pointer.contains("/key_values/") || pointer.contains("/keyValues/");
        let of_secret = kind(document) == Some("Secret") && pointer.starts_with("/data/");
        let of_kubernetes = pointer.contains("/env/") && pointer.ends_with("/value");
        if (of_envoy || of_secret || of_kubernetes || pointer.contains("/stringData/"))
            && node.text().is_some()
        {
            marks.push(node.mark);
        }
    });
    marks
}
