//! Paths of OpenAPI as templates of routes.

use super::Notes;
use crate::source::tree::{Content, Mark, Node};

/// The path that all paths are below: that of the first server.
pub(super) fn prefix(root: &Node, notes: &mut Notes) -> String {
    let paths = server_paths(root, notes);
    let Some((_, first)) = paths.first() else { return String::new() };
    for (mark, path) in paths.iter().filter(|(_, path)| path != first) {
        notes.add(
            *mark,
            format!("this server's path {path:?} is left out: routes are below {first:?}, as the first says"),
        );
    }
    first.clone()
}

/// Whether the servers that a path or an operation has of its own, if any, are below the prefix too. Notes those that are
/// not: a route below the prefix would be for another path than the described one.
pub(super) fn is_below(prefix: &str, node: &Node, label: &str, notes: &mut Notes) -> bool {
    let paths = server_paths(node, notes);
    let elsewhere = paths.iter().find(|(_, path)| path != prefix);
    if let Some((mark, path)) = elsewhere {
        let text = format!(
            "{label} is left out, and so refused: its own server's path is {path:?}, and routes are below {prefix:?}"
        );
        notes.add(*mark, text);
    }
    elsewhere.is_none()
}

/// The paths of the servers that an object has.
fn server_paths(node: &Node, notes: &mut Notes) -> Vec<(Mark, String)> {
    let Some(servers) = node.field("servers") else { return Vec::new() };
    let paths: Option<Vec<(Mark, String)>> = match &servers.content {
        Content::List(list) => list.iter().map(|server| Some((server.mark, server_path(server)?))).collect(),
        Content::Scalar { .. } | Content::Map(_) => None,
    };
    if paths.is_none() {
        let text = "servers is not a list of objects with a url; write one such as [{\"url\": \"/v1\"}]";
        notes.reject(servers.mark, text);
    }
    paths.unwrap_or_default()
}

fn server_path(server: &Node) -> Option<String> {
    let mut url = server.field("url")?.text()?.to_owned();
    for (key, variable) in server.field("variables").map(Node::members).unwrap_or_default() {
        if let Some(default) = variable.field("default").and_then(Node::text) {
            url = url.replace(&format!("{{{}}}", key.name), default);
        }
    }
    let host = url.split_once("://").map(|(_, rest)| rest).or_else(|| url.strip_prefix("//"));
    let path = match host {
        Some(rest) => rest.find('/').and_then(|at| rest.get(at..)).unwrap_or_default(),
        // Without a host it is relative to where the document is.
        None => url.as_str(),
    };
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    Some(if path.is_empty() || path.starts_with('/') { path.to_owned() } else { format!("/{path}") })
}

/// The template of a path; `None`, which is noted, where there is none that is not wider.
pub(super) fn template(prefix: &str, path: &str, mark: Mark, notes: &mut Notes) -> Option<String> {
    if !path.starts_with('/') {
        notes.reject(mark, format!("the path {path:?} does not begin with a slash; write \"/{path}\""));
        return None;
    }
    let (path, rest) = path.split_at_checked(path.find(['?', '#']).unwrap_or(path.len()))?;
    if !rest.is_empty() {
        notes.add(mark, format!("{rest:?} of {path} is dropped: a route has no query"));
    }
    let whole = format!("{prefix}{path}");
    let mut segments = Vec::new();
    for segment in whole.split('/').skip(1) {
        if segment.matches('{').count() > 1 {
            let text = format!("{path} is left out, and so refused: {segment:?} has two parameters");
            notes.add(mark, text);
            return None;
        }
        segments.push(renamed(segment));
    }
    // One slash at the end says nothing to the guard.
    if segments.len() > 1 && segments.last().is_some_and(String::is_empty) {
        segments.pop();
    }
    Some(format!("/{}", segments.join("/")))
}

/// The segment with a parameter's name that the guard knows as one.
fn renamed(segment: &str) -> String {
    let Some((before, rest)) = segment.split_once('{') else { return segment.to_owned() };
    let Some((name, after)) = rest.split_once('}') else { return segment.to_owned() };
    let known = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let name: String = name.chars().map(|letter| if known(letter) { letter } else { '_' }).collect();
    format!("{before}{{{name}}}{after}")
}

/// The template without its names: two templates of one shape are of the same paths.
pub(crate) fn shape(template: &str) -> String {
    let mut shape = String::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('{') {
        let (name, after) = after.split_once('}').unwrap_or((after, ""));
        shape.push_str(before);
        shape.push_str(if name.starts_with('*') { "{*}" } else { "{}" });
        rest = after;
    }
    shape.push_str(rest);
    shape
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::tree;

    fn root(text: &str) -> Node {
        tree::read(text).unwrap().remove(0)
    }

    #[test]
    fn a_prefix_is_the_path_of_the_first_server() {
        for (servers, expected) in [
            ("[]", ""),
            ("[{url: 'https://a/v1/'}]", "/v1"),
            ("[{url: /api}]", "/api"),
            ("[{url: 'https://a'}]", ""),
            ("[{url: //a/v1}]", "/v1"),
            ("[{url: '{s}://a/{v}', variables: {s: {default: https}, v: {default: v2}}}]", "/v2"),
        ] {
            let mut notes = Notes::default();
            assert_eq!(prefix(&root(&format!("servers: {servers}")), &mut notes), expected, "{servers}");
            assert!(notes.warnings.is_empty());
        }
        let mut notes = Notes::default();
        assert_eq!(prefix(&root("servers: [{url: /a}, {url: /b}, {url: 'http://x/a'}]"), &mut notes), "/a");
        assert_eq!(notes.warnings.len(), 1);
    }

    #[test]
    fn a_path_becomes_a_template_or_is_noted() {
        let of = |path: &str| {
            let mut notes = Notes::default();
            (template("/v1", path, Mark::START, &mut notes), notes.warnings.len())
        };
        assert_eq!(of("/a/{order-id}.json/"), (Some("/v1/a/{order_id}.json".to_owned()), 0));
        assert_eq!(of("/a?beta=true"), (Some("/v1/a".to_owned()), 1));
        assert_eq!(of("/compare/{base}...{head}"), (None, 1));
        assert_eq!(of("/"), (Some("/v1".to_owned()), 0));
        assert_eq!(of("c2"), (None, 0));
    }
}
