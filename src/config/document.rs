//! From text to [`RawConfig`], with every error of shape at once.
//!
//! A derived `Deserialize` stops at the first error. So the document is read into a tree (which also finds repeated
//! names), the tree is read into the raw type, and where that fails the offending member is noted, cut out, and the
//! rest is tried again.

use serde_json::Value;
use serde_path_to_error::Segment;

use super::error::ConfigError;
use super::raw::RawConfig;
use crate::json::{self, Pointer, Step};

/// More errors than this are not listed: the document is something else than a configuration.
const MOST_ERRORS: usize = 100;
/// A quoted value is cut at this many characters.
const LONGEST_VALUE: usize = 64;

/// A document that was read as far as its shape allows.
pub(super) struct Document {
    /// What remains after everything of a wrong shape was cut out.
    pub(super) raw: RawConfig,
    /// The document, for quoting offending values.
    tree: Value,
    /// The errors of shape.
    pub(super) errors: Vec<ConfigError>,
    cut: Vec<Pointer>,
}

impl Document {
    /// Reads `text`.
    pub(super) fn read(text: &[u8]) -> Self {
        let mut repeated = Vec::new();
        let tree = json::read(text, &mut repeated);
        let tree = match tree {
            Ok(tree) => tree,
            Err(error) => {
                let error = ConfigError {
                    at: Pointer::root(),
                    value: None,
                    problem: format!("not JSON: {error}"),
                    instead: "write one JSON object".to_owned(),
                };
                return Self {
                    raw: RawConfig::default(),
                    tree: Value::Null,
                    errors: vec![error],
                    cut: vec![Pointer::root()],
                };
            }
        };
        let mut errors: Vec<ConfigError> = repeated
            .into_iter()
            .map(|at| ConfigError {
                at,
                value: None,
                problem: "this name stands more than once in its object".to_owned(),
                instead: "keep one of them".to_owned(),
            })
            .collect();
        let mut rest = tree.clone();
        let mut cut = Vec::new();
        let raw = loop {
            match serde_path_to_error::deserialize::<_, RawConfig>(&rest) {
                Ok(raw) => break raw,
                Err(error) => {
                    let place = locate(error.path(), error.inner().to_string());
                    let original = restore(&place.at, &cut);
                    errors.push(shape_error(&tree, &original, &place.message));
                    let gone = remove(&mut rest, &place.at);
                    cut.push(original);
                    if !gone || errors.len() >= MOST_ERRORS {
                        break RawConfig::default();
                    }
                }
            }
        };
        Self { raw, tree, errors, cut }
    }

    /// Adds what is wrong with the values. What stands in a place that was cut out for its shape is not reported
    /// twice; places are given as in the original document.
    pub(super) fn report(&mut self, problems: Vec<(Pointer, String, String)>) {
        for (at, problem, instead) in problems {
            let at = restore(&at, &self.cut);
            if !self.cut.iter().any(|cut| cut.starts_with(&at) || at.starts_with(cut)) {
                let value = quote(&self.tree, &at);
                self.errors.push(ConfigError { at, value, problem, instead });
            }
        }
        self.errors.sort_by(|a, b| a.at.cmp(&b.at));
    }
}

struct Place {
    at: Pointer,
    message: String,
}

/// Where a shape error lies. An unknown field is reported at its object or at itself, depending on the format: the
/// name in the message settles it.
fn locate(path: &serde_path_to_error::Path, message: String) -> Place {
    let mut steps: Vec<Step> = path
        .iter()
        .filter_map(|segment| match segment {
            Segment::Seq { index } => Some(Step::Index(*index)),
            Segment::Map { key } => Some(Step::Field(key.clone())),
            Segment::Enum { .. } | Segment::Unknown => None,
        })
        .collect();
    if let Some(name) = message.strip_prefix("unknown field `").and_then(|rest| rest.split('`').next()) {
        let name = Step::Field(name.to_owned());
        if steps.last() != Some(&name) {
            steps.push(name);
        }
    }
    Place { at: Pointer::from_steps(steps), message }
}

/// An error of shape in the operator's words. The library's message may quote the value: only its own words are used.
fn shape_error(tree: &Value, at: &Pointer, message: &str) -> ConfigError {
    let after = |mark: &str| message.split_once(mark).map(|(_, rest)| rest.replace('`', "\""));
    let (value, problem, instead) = if message.starts_with("unknown field") {
        let instead = after(", expected ").unwrap_or_else(|| "no field".to_owned());
        (None, "unknown field".to_owned(), format!("write {instead}, or remove it"))
    } else if let Some(expected) = after(", expected ") {
        (quote(tree, at), "wrong type or value".to_owned(), format!("write {}", in_words(&expected)))
    } else {
        (quote(tree, at), "wrong type or value".to_owned(), "see the configuration reference".to_owned())
    };
    ConfigError { at: at.clone(), value, problem, instead }
}

/// serde's names of types, as an operator would say them.
fn in_words(expected: &str) -> String {
    match expected {
        "u64" => "a whole number".to_owned(),
        "a string" => "a text".to_owned(),
        "a boolean" => "true or false".to_owned(),
        "a sequence" => "a list".to_owned(),
        "a map" => "an object".to_owned(),
        _ if expected.starts_with("struct ") => "an object".to_owned(),
        _ if expected.ends_with("RawSecret") => {
            r#"{"env": "NAME"}, {"value": "..."} or {"base64url": "..."}"#.to_owned()
        }
        _ if expected.contains("enum") => "one of the values in the configuration reference".to_owned(),
        other => other.to_owned(),
    }
}

fn quote(tree: &Value, at: &Pointer) -> Option<String> {
    if is_secret(at) {
        return None;
    }
    let value = tree.pointer(&at.to_string())?;
    if value.is_object() || value.is_array() {
        return None;
    }
    let text = value.to_string();
    let mut cut: String = text.chars().take(LONGEST_VALUE).collect();
    if cut.len() < text.len() {
        cut.push('…');
    }
    Some(cut)
}

fn remove(tree: &mut Value, at: &Pointer) -> bool {
    let Some((last, parents)) = at.steps().split_last() else { return false };
    let parent = Pointer::from_steps(parents.to_vec());
    match (tree.pointer_mut(&parent.to_string()), last) {
        (Some(Value::Object(object)), Step::Field(name)) => object.remove(name).is_some(),
        (Some(Value::Array(array)), Step::Index(index)) if *index < array.len() => {
            array.remove(*index);
            true
        }
        _ => false,
    }
}

/// The place in the original document of a place in the cut one: removed elements have shifted later ones down.
fn restore(at: &Pointer, cut: &[Pointer]) -> Pointer {
    let mut original = Pointer::root();
    for step in at.steps() {
        let step = match step {
            Step::Field(_) => step.clone(),
            Step::Index(index) => {
                let mut removed: Vec<usize> = cut
                    .iter()
                    .filter_map(|gone| match gone.steps().split_last() {
                        Some((Step::Index(index), parents)) if parents == original.steps() => Some(*index),
                        _ => None,
                    })
                    .collect();
                removed.sort_unstable();
                Step::Index(
                    removed.iter().fold(
                        *index,
                        |index, &gone| if gone <= index { index.saturating_add(1) } else { index },
                    ),
                )
            }
        };
        original = original.step(step);
    }
    original
}

/// Whether a value at this place may be a secret, or somebody's secret written into the wrong place.
fn is_secret(at: &Pointer) -> bool {
    let field = |depth: usize| match at.steps().get(depth) {
        Some(Step::Field(name)) => Some(name.as_str()),
        Some(Step::Index(_)) | None => None,
    };
    if field(0) != Some("tokens") {
        return false;
    }
    match field(1) {
        None => true,
        Some("keys") => !matches!(field(3), Some("kid" | "not_before" | "not_after")),
        Some(_) => false,
    }
}
