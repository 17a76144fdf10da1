//! Which paths and hosts is a route for?

use crate::config::compile::problems::Problems;
use crate::config::raw::AllowedInPath;
use crate::json::Path;
use crate::request::host::HostPattern;
use crate::request::target::Lifts;
use crate::route::template::Template;

pub(super) fn template(problems: &mut Problems, path: Option<&str>, at: &Path<'_>) -> Option<Template> {
    let Some(path) = path else {
        problems.add(at, "missing", r#"write a path, such as "/orders/{id}""#);
        return None;
    };
    match Template::parse(path) {
        Ok(template) => Some(template),
        Err(error) => {
            problems.add(at, "not a path template", error.text());
            None
        }
    }
}

pub(super) fn hosts(problems: &mut Problems, raw: Option<&[String]>, at: &Path<'_>) -> Vec<HostPattern> {
    let Some(raw) = raw else { return Vec::new() };
    if raw.is_empty() {
        problems.add(at, "empty list", "name at least one host, or remove the field");
    }
    problems.unique(at, raw);
    let mut patterns = Vec::new();
    for (index, host) in raw.iter().enumerate() {
        match HostPattern::parse(host) {
            Ok(pattern) => patterns.push(pattern),
            Err(problem) => problems.add(&at.index(index), "not a host", problem.text()),
        }
    }
    patterns
}

/// What the path's parameters may have in them.
pub(super) fn lifts(
    problems: &mut Problems,
    raw: Option<&[AllowedInPath]>,
    template: Option<&Template>,
    at: &Path<'_>,
) -> Lifts {
    let Some(raw) = raw else { return Lifts::default() };
    if raw.is_empty() {
        problems.add(at, "empty list", r#"write at least one, such as "encoded_slash", or remove it"#);
    }
    if template.is_some_and(|template| template.parameters().next().is_none()) {
        let instead = "add a parameter, such as {id}, to the path, or remove it";
        problems.add(at, "the path has no parameter that it could be for", instead);
    }
    let mut lifts = Lifts::default();
    for (index, allowed) in raw.iter().enumerate() {
        let lift = match allowed {
            AllowedInPath::EncodedSlash => &mut lifts.encoded_slash,
            AllowedInPath::Semicolon => &mut lifts.semicolon,
            AllowedInPath::EncodedUnreserved => &mut lifts.encoded_unreserved,
        };
        if std::mem::replace(lift, true) {
            problems.repeated(&at.index(index));
        }
    }
    lifts
}
