//! From text to [`RawConfig`], with all errors of shape at once.
//!
//! [`super::shape`] reads the document into the raw type.

use super::compile::Problem;
use super::error::ConfigError;
use super::raw::RawConfig;
use super::shape::{Misfit, Misfits, Reason, Shape};
use crate::json::text::text_of;
use crate::json::{Json, Path, Pointer, Step};

/// No more errors than this are listed: such a document is probably not a configuration at all.
const MOST_ERRORS: usize = 100;
/// Quoted values are cut at this many characters.
const LONGEST_VALUE: usize = 64;

/// A document, read as far as its shape allows.
pub(super) struct Document<'t> {
    /// Its contents, with defaults in place of everything that has the wrong shape.
    pub(super) raw: RawConfig,
    /// The whole document, for quoting offending values.
    source: Json<'t>,
    /// The errors of shape.
    pub(super) errors: Vec<ConfigError>,
    /// Where defaults replace what does not fit.
    unread: Vec<Pointer>,
}

impl<'t> Document<'t> {
    /// Reads `text`.
    pub(super) fn read(text: &'t [u8]) -> Self {
        let source = match std::str::from_utf8(text) {
            Ok(text) => Json::read(text).map_err(|_| Json::fault(text)),
            Err(error) => Err(Json::fault(&String::from_utf8_lossy(
                text.get(..error.valid_up_to()).unwrap_or_default(),
            ))),
        };
        let source = match source {
            Ok(source) => source,
            Err((line, column)) => {
                let error = ConfigError {
                    at: Pointer::root(),
                    value: None,
                    problem: format!("not JSON from line {line}, column {column}"),
                    instead: "write one JSON object, and give it to Envoy as a google.protobuf.StringValue"
                        .to_owned(),
                };
                return Self {
                    raw: RawConfig::default(),
                    source: Json::Null,
                    errors: vec![error],
                    unread: vec![Pointer::root()],
                };
            }
        };
        let mut errors: Vec<ConfigError> = source
            .repeated_names()
            .into_iter()
            .map(|at| ConfigError {
                at,
                value: None,
                problem: "this name appears more than once in its object".to_owned(),
                instead: "keep one of them".to_owned(),
            })
            .collect();
        let mut misfits = Misfits::default();
        let mut raw = RawConfig::default();
        raw.read(&source, &Path::Root, &mut misfits);
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
                let value = quote(&self.source, &at);
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
fn shape_error(source: &Json<'_>, at: Pointer, reason: Reason) -> ConfigError {
    let (value, problem, instead) = match reason {
        Reason::UnknownField(known) => (None, "unknown field", format!("write {known}, or remove it")),
        Reason::Wrong(expected) => (quote(source, &at), "wrong type or value", format!("write {expected}")),
    };
    ConfigError { at, value, problem: problem.to_owned(), instead }
}

/// The value at `at` as JSON, cut if it is long; `None` if it may be a secret, or is a list or an object.
fn quote(source: &Json<'_>, at: &Pointer) -> Option<String> {
    if is_secret(at) {
        return None;
    }
    let value = source.clone().point(at)?;
    if matches!(value, Json::List(_) | Json::Object(_)) {
        return None;
    }
    let text = text_of(&value);
    let mut cut: String = text.chars().take(LONGEST_VALUE).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    Some(cut)
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
    if field(0) == Some("fleet") {
        return !matches!(
            field(1),
            Some("cluster" | "username" | "prefix" | "timeout_milliseconds" | "nodes")
        );
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
        // What an issuer publishes is no secret, unless it was the wrong thing.
        Some("key_sets") => {
            field(3) == Some("jwks") && !matches!(field(4), Some("cluster" | "path" | "authority"))
        }
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests;
