//! Where in a text secrets are, or may be.

use super::plugin::Plugin;
use super::tree::{Mark, Node};
use super::{Source, sites};

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
    let marks = secrets_of_plugin(tree);
    let mut found = Vec::new();
    tree.walk("", &mut |pointer, node| {
        let Some(text) = node.text().filter(|_| marks.contains(&node.mark)) else { return };
        let last = pointer.rsplit('/').next().unwrap_or_default();
        let is_private = ["d", "p", "q", "dp", "dq", "qi", "k"].contains(&last) || text.contains("PRIVATE");
        if is_private || !pointer.contains("/public_key/") {
            found.push((plugin.in_file(node.mark), text.to_owned()));
        }
    });
    Some(found)
}

/// Where values begin, in a plugin configuration, that may be secrets: those that the core does not quote either.
pub(super) fn secrets_of_plugin(configuration: &Node) -> Vec<Mark> {
    let mut marks = Vec::new();
    configuration.walk("", &mut |pointer, node| {
        let steps: Vec<&str> = pointer.split('/').skip(1).collect();
        let may_be_secret = match steps.as_slice() {
            ["tokens", "keys", _, known, ..] => {
                !["kid", "algorithm", "issuers", "audiences", "not_before", "not_after"].contains(known)
            }
            ["tokens", "keys", ..] | ["tokens"] => true,
            ["fleet", field, ..] => ["password", "secret"].contains(field),
            _ => false,
        };
        // The name of a variable is no secret.
        let is_variable = steps.last().is_some_and(|last| *last == "env" || *last == "encoding");
        if may_be_secret && !is_variable && node.text().is_some() {
            marks.push(node.mark);
        }
    });
    marks
}

/// Where a manifest has values of variables.
fn secrets_of_manifest(document: &Node) -> Vec<Mark> {
    let mut marks = Vec::new();
    document.walk("", &mut |pointer, node| {
        let of_envoy = pointer.contains("/key_values/") || pointer.contains("/keyValues/");
        let of_kubernetes = pointer.contains("/env/") && pointer.ends_with("/value");
        if (of_envoy || of_kubernetes || pointer.contains("/stringData/")) && node.text().is_some() {
            marks.push(node.mark);
        }
    });
    marks
}
