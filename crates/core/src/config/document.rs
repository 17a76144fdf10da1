//! From text to [`RawConfig`], with all errors of shape at once.
//!
//! The document is read into a tree, which also finds repeated names. [`super::shape`] reads the tree into the raw
//! type.

use serde_json::Value;

use super::compile::Problem;
use super::error::ConfigError;
use super::raw::RawConfig;
use super::shape::{Misfit, Misfits, Reason, Shape};
use crate::json::{self, Json, Path, Pointer, Step};

/// No more errors than this are listed: such a document is probably not a configuration at all.
const MOST_ERRORS: usize = 100;
/// Quoted values are cut at this many characters.
const LONGEST_VALUE: usize = 64;

/// A document, read as far as its shape allows.
pub(super) struct Document<'t> {
    /// Its contents, with defaults in place of everything that has the wrong shape.
    pub(super) raw: RawConfig,
    /// The whole document, for quoting offending values.
    source: Source<'t>,
    /// The errors of shape.
    pub(super) errors: Vec<ConfigError>,
    /// Where defaults replace what does not fit.
    unread: Vec<Pointer>,
}

impl<'t> Document<'t> {
    /// Reads `text`.
    pub(super) fn read(text: &'t [u8]) -> Self {
        let mut repeated = Vec::new();
        let tree = json::read(text, &mut repeated);
        let tree = match tree {
            Ok(tree) => tree,
            Err(error) => {
                let error = ConfigError {
                    at: Pointer::root(),
                    value: None,
                    problem: format!("not JSON: {error}"),
                    instead: "write one JSON object, and give it to Envoy as a google.protobuf.StringValue"
                        .to_owned(),
                };
                return Self {
                    raw: RawConfig::default(),
                    source: Source { tree: Value::Null, text },
                    errors: vec![error],
                    unread: vec![Pointer::root()],
                };
            }
        };
        let source = Source { tree, text };
        let mut errors: Vec<ConfigError> = repeated
            .into_iter()
            .map(|at| ConfigError {
                at,
                value: None,
                problem: "this name appears more than once in its object".to_owned(),
                instead: "keep one of them".to_owned(),
            })
            .collect();
        let mut misfits = Misfits::default();
        let raw = RawConfig::read(&source.tree, Path::Root, &mut misfits).unwrap_or_default();
        let mut unread: Vec<Pointer> = Vec::new();
        for Misfit { at, reason } in misfits.0 {
            // Editors find the schema of a file by this name. It says nothing to the guard.
            if matches!(at.steps(), [Step::Field(name)] if name == "$schema") {
                continue;
            }
            if unread.len() == MOST_ERRORS {
                // The rest is not listed, so nothing may be reported about the defaults that replace it.
                unread.push(Pointer::root());
                break;
            }
            errors.push(shape_error(&source, at.clone(), reason));
            unread.push(at);
        }
        Self { raw, source, errors, unread }
    }

    /// Adds what is wrong with the values, except where the shape is wrong already.
    pub(super) fn report(&mut self, problems: Vec<Problem>) {
        for Problem { at, problem, instead } in problems {
            if !self.unread.iter().any(|unread| unread.starts_with(&at) || at.starts_with(unread)) {
                let value = self.source.quote(&at);
                self.errors.push(ConfigError { at, value, problem, instead });
            }
        }
        let mut sorted: Vec<ConfigError> = Vec::with_capacity(self.errors.len());
        for error in self.errors.drain(..) {
            sorted.insert(sorted.partition_point(|known| known.at <= error.at), error);
        }
        self.errors = sorted;
    }
}

/// Words an error of shape for the operator.
fn shape_error(source: &Source<'_>, at: Pointer, reason: Reason) -> ConfigError {
    let (value, problem, instead) = match reason {
        Reason::UnknownField(known) => (None, "unknown field", format!("write {known}, or remove it")),
        Reason::Wrong(expected) => (source.quote(&at), "wrong type or value", format!("write {expected}")),
    };
    ConfigError { at, value, problem: problem.to_owned(), instead }
}

/// A document as a tree and as its text.
struct Source<'t> {
    tree: Value,
    text: &'t [u8],
}

impl Source<'_> {
    /// The value at `at` as JSON, cut if it is long; `None` if it may be a secret, or is a list or an object.
    fn quote(&self, at: &Pointer) -> Option<String> {
        if is_secret(at) {
            return None;
        }
        let mut text = String::new();
        match self.tree.pointer(&at.to_string())? {
            Value::Object(_) | Value::Array(_) => return None,
            Value::Null => text.push_str("null"),
            Value::Bool(value) => text = value.to_string(),
            Value::String(value) => json::text::write_text(&mut text, value),
            Value::Number(number) => {
                let integer = number.as_i128().map(|integer| integer.to_string());
                text = integer.or_else(|| self.written(at))?;
            }
        }
        let mut cut: String = text.chars().take(LONGEST_VALUE).collect();
        if cut.len() < text.len() {
            cut.push('…');
        }
        Some(cut)
    }

    /// The number at `at` as it was written; the tree has rounded it. Reads the document again, which happens only for
    /// errors of shape, because no setting is a fraction.
    fn written(&self, at: &Pointer) -> Option<String> {
        let mut value = Json::read(std::str::from_utf8(self.text).ok()?).ok()?;
        for step in at.steps() {
            value = match (step, value) {
                (Step::Field(name), Json::Object(object)) => {
                    object.members().filter(|(known, _)| known == name).last()?.1
                }
                (Step::Index(index), Json::List(list)) => list.elements().nth(*index)?,
                (Step::Field(_) | Step::Index(_), _) => return None,
            };
        }
        Some(json::text::text_of(&value))
    }
}

/// Whether a value here may be a secret, including one that was written into the wrong field.
fn is_secret(at: &Pointer) -> bool {
    let field = |depth: usize| match at.steps().get(depth) {
        Some(Step::Field(name)) => Some(name.as_str()),
        Some(Step::Index(_)) | None => None,
    };
    if at.steps().is_empty() {
        return true; // the whole configuration, written as one string
    }
    if field(0) != Some("tokens") {
        return false;
    }
    match field(1) {
        None => true,
        Some("keys") => !matches!(
            field(3),
            Some("kid" | "algorithm" | "issuers" | "audiences" | "not_before" | "not_after")
        ),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests;
