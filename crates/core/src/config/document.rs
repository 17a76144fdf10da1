//! From text to [`RawConfig`], with every error of shape at once.
//!
//! The document is read into a tree (which also finds repeated names), and the tree into the raw type by
//! [`super::shape`].

use serde_json::Value;

use super::error::ConfigError;
use super::raw::RawConfig;
use super::shape::{Misfit, Misfits, Reason, Shape};
use crate::json::{self, Json, Path, Pointer, Step};

/// More errors than this are not listed: the document is something else than a configuration.
const MOST_ERRORS: usize = 100;
/// A quoted value is cut at this many characters.
const LONGEST_VALUE: usize = 64;

/// A document that was read as far as its shape allows.
pub(super) struct Document<'t> {
    /// What it says, with defaults for everything of a wrong shape.
    pub(super) raw: RawConfig,
    /// The whole document, for quoting offending values.
    source: Source<'t>,
    /// The errors of shape.
    pub(super) errors: Vec<ConfigError>,
    /// Where defaults stand in for what does not fit.
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
                problem: "this name stands more than once in its object".to_owned(),
                instead: "keep one of them".to_owned(),
            })
            .collect();
        let mut misfits = Misfits::default();
        let raw = RawConfig::read(&source.tree, Path::Root, &mut misfits).unwrap_or_default();
        let mut unread: Vec<Pointer> = Vec::new();
        for Misfit { at, reason } in misfits.0 {
            if unread.len() == MOST_ERRORS {
                // Not all are listed, and so nothing must be said about what stands in for the others.
                unread.push(Pointer::root());
                break;
            }
            errors.push(shape_error(&source, at.clone(), reason));
            unread.push(at);
        }
        Self { raw, source, errors, unread }
    }

    /// Adds what is wrong with the values. A place that has the wrong shape is not reported twice.
    pub(super) fn report(&mut self, problems: Vec<(Pointer, String, String)>) {
        for (at, problem, instead) in problems {
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

/// An error of shape in the operator's words.
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
    /// The value at `at` as JSON, cut where it is long; none if it may be a secret, or has values in it.
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

    /// The number at `at` as it was written, which the tree has rounded. Reads the document once more: no setting is a
    /// fraction, so this is for errors of shape alone, of which few are listed.
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

/// Whether a value at this place may be a secret, or somebody's secret written into the wrong place.
fn is_secret(at: &Pointer) -> bool {
    let field = |depth: usize| match at.steps().get(depth) {
        Some(Step::Field(name)) => Some(name.as_str()),
        Some(Step::Index(_)) | None => None,
    };
    if at.steps().is_empty() {
        return true; // a configuration that was written as a text
    }
    if field(0) != Some("tokens") {
        return false;
    }
    match field(1) {
        None => true,
        Some("keys") => !matches!(field(3), Some("kid" | "not_before" | "not_after")),
        Some(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each error of shape as it is printed.
    fn errors(text: &str) -> Vec<String> {
        let mut document = Document::read(text.as_bytes());
        document.report(Vec::new());
        document.errors.iter().map(ConfigError::to_string).collect()
    }

    fn places(text: &str) -> Vec<String> {
        let mut document = Document::read(text.as_bytes());
        document.report(Vec::new());
        document.errors.iter().map(|error| error.at.to_string()).collect()
    }

    #[test]
    fn every_error_of_shape_is_found_at_once_and_at_its_place() {
        let text = r#"{
            "mod": "report",
            "mode": "reprot",
            "tokens": {
                "issuers": "https://a.example",
                "keys": [{ "secret": { "env": "A" } }, { "secret": { "env": "B" }, "kyd": "k" }, { "kid": 7 }],
                "clock_skew_seconds": -1,
                "max_token_bytes": 8e3
            },
            "routes": { "path": "/a" },
            "roles": { "grants": { "clerk": ["a:b", 3, "c:d", null] } },
            "rate_limits": [{ "max_requests": { "claim": "plan", "values": { "free": "many" } } }],
            "replies": { "detail": "full", "rate_limit_headers": { "draft": true } }
        }"#;
        assert_eq!(
            places(text),
            [
                "/mod",
                "/mode",
                "/rate_limits/0/max_requests/values/free",
                "/replies/rate_limit_headers",
                "/roles/grants/clerk/1",
                "/roles/grants/clerk/3",
                "/routes",
                "/tokens/clock_skew_seconds",
                "/tokens/issuers",
                "/tokens/keys/1/kyd",
                "/tokens/keys/2/kid",
                "/tokens/max_token_bytes",
            ]
        );
    }

    #[test]
    fn an_error_says_what_to_write_instead() {
        for (text, error) in [
            (
                r#"{"client_ip":{"form":1}}"#,
                r#"/client_ip/form: unknown field; write "ipv6_prefix" or "from", or remove it"#,
            ),
            (r#"{"mode":"reprot"}"#, r#"/mode: "reprot": wrong type or value; write "enforce" or "report""#),
            (
                r#"{"unmatched_routes":"open"}"#,
                r#"/unmatched_routes: "open": wrong type or value; write one of "public", "authenticated", "deny""#,
            ),
            (
                r#"{"limiter_capacity":-5}"#,
                "/limiter_capacity: -5: wrong type or value; write a whole number",
            ),
            (
                r#"{"limiter_capacity":1.5}"#,
                "/limiter_capacity: 1.5: wrong type or value; write a whole number",
            ),
            (
                r#"{"limiter_capacity":null}"#,
                "/limiter_capacity: null: wrong type or value; write a whole number",
            ),
            (
                r#"{"request":{"https_only":"yes"}}"#,
                r#"/request/https_only: "yes": wrong type or value; write true or false"#,
            ),
            (
                r#"{"request":{"content_types":"a/b"}}"#,
                r#"/request/content_types: "a/b": wrong type or value; write a list"#,
            ),
            (r#"{"forward":{"claims":["a"]}}"#, "/forward/claims: wrong type or value; write an object"),
            (
                r#"{"forward":{"subject_header":1}}"#,
                "/forward/subject_header: 1: wrong type or value; write a text",
            ),
            (r#"{"tokens":3}"#, "/tokens: wrong type or value; write an object"),
            (
                r#"{"rate_limits":[{"max_requests":"9"}]}"#,
                r#"/rate_limits/0/max_requests: "9": wrong type or value; write a whole number or {"claim": ..., "values": {...}, "default": ...}"#,
            ),
            (
                r#"{"mode":"report","mode":"report"}"#,
                "/mode: this name stands more than once in its object; keep one of them",
            ),
        ] {
            assert_eq!(errors(text), [error], "{text}");
        }
    }

    #[test]
    fn a_list_is_no_object_and_an_object_is_no_name() {
        for (text, place) in [
            ("[]", ""),
            (r#"{"replies":[]}"#, "/replies"),
            (r#"{"replies":["full"]}"#, "/replies"),
            (r#"{"routes":[["name"]]}"#, "/routes/0"),
            (r#"{"mode":{"report":null}}"#, "/mode"),
            (r#"{"rate_limits":[{"max_requests":[]}]}"#, "/rate_limits/0/max_requests"),
        ] {
            assert_eq!(places(text), [place], "{text}");
        }
    }

    #[test]
    fn null_stands_for_what_is_optional_and_for_nothing_else() {
        let text = r#"{
            "roles": null, "auth_failure_limit": null, "revocation": { "endpoint": null },
            "routes": [{ "name": null, "path": null, "hosts": null, "methods": null, "mode": null }],
            "forward": { "subject_header": null, "permissions_header": null, "claims": { "tenant": null } },
            "rate_limits": [{ "warn_at_percent": null }],
            "tokens": { "keys": [{ "kid": null, "secret": null }] }
        }"#;
        assert_eq!(errors(text), [""; 0]);
        let text = r#"{ "mode": null, "tokens": null, "routes": null, "routes2": null, "revocation": { "denied": null } }"#;
        assert_eq!(places(text), ["/mode", "/revocation/denied", "/routes", "/routes2", "/tokens"]);
        assert_eq!(places("null"), [""]);
    }

    #[test]
    fn a_secret_has_one_form() {
        let instead = r#"write {"env": "NAME"}, {"value": "..."} or {"base64url": "..."}"#;
        for secret in [
            r#""plain-text-SECRET""#,
            "{}",
            r#"{"env":"A","value":"plain-text-SECRET"}"#,
            r#"{"plain-text-SECRET":"x"}"#,
            r#"["plain-text-SECRET"]"#,
            "12345",
        ] {
            let text =
                format!(r#"{{"tokens":{{"keys":[{{"secret":{{"env":"A"}}}},{{"secret":{secret}}}]}}}}"#);
            assert_eq!(
                errors(&text),
                [format!("/tokens/keys/1/secret: wrong type or value; {instead}")],
                "{secret}"
            );
        }
        let text = r#"{"tokens":{"keys":[{"secret":{"env":7}}]}}"#;
        assert_eq!(errors(text), ["/tokens/keys/0/secret/env: wrong type or value; write a text"]);
    }

    #[test]
    fn a_secret_in_a_wrong_place_is_not_shown() {
        for text in [
            r#""plain-text-SECRET""#,
            r#"{"secret":"plain-text-SECRET"}"#,
            r#"{"tokens":"plain-text-SECRET"}"#,
            r#"{"tokens":{"secret":"plain-text-SECRET"}}"#,
            r#"{"tokens":{"keys":"plain-text-SECRET"}}"#,
            r#"{"tokens":{"keys":["plain-text-SECRET"]}}"#,
            r#"{"tokens":{"keys":{"value":"plain-text-SECRET"}}}"#,
            r#"{"tokens":{"keys":[{"value":"plain-text-SECRET"}]}}"#,
            r#"{"tokens":{"keys":[{"kid":{"value":"plain-text-SECRET"}}]}}"#,
            r#"{"tokens":{"keys":[{"secret":{"value":["plain-text-SECRET"]}}]}}"#,
            r#"{"mode":["plain-text-SECRET"]}"#,
        ] {
            let errors = errors(text);
            assert!(!errors.is_empty() && !errors.concat().contains("SECRET"), "{errors:?}");
        }
    }

    #[test]
    fn what_is_wrong_with_values_is_reported_at_the_places_of_the_document_as_written() {
        let text = r#"{"routes":[1,{"name":"a"},"x",{"name":"b"}]}"#;
        let mut document = Document::read(text.as_bytes());
        let problem = |place| {
            (
                Pointer::root().field("routes").index(place).field("name"),
                "bad".to_owned(),
                "better".to_owned(),
            )
        };
        document.report((0..4).map(problem).collect());
        let printed: Vec<String> = document.errors.iter().map(ConfigError::to_string).collect();
        assert_eq!(
            printed,
            [
                "/routes/0: 1: wrong type or value; write an object",
                r#"/routes/1/name: "a": bad; better"#,
                r#"/routes/2: "x": wrong type or value; write an object"#,
                r#"/routes/3/name: "b": bad; better"#,
            ]
        );
    }

    #[test]
    fn what_has_the_wrong_shape_is_not_reported_again() {
        let mut document = Document::read(br#"{"tokens":{"keys":7}}"#);
        let keys = Pointer::root().field("tokens").field("keys");
        document.report(vec![(keys, "no key".to_owned(), "write one".to_owned())]);
        assert_eq!(document.errors.len(), 1);
    }

    #[test]
    fn a_document_with_too_many_errors_is_given_up_without_inventing_others() {
        let text = format!(r#"{{"routes":[{}0]}}"#, "0,".repeat(250));
        let mut document = Document::read(text.as_bytes());
        let keys = Pointer::root().field("tokens").field("keys");
        document.report(vec![(keys, "no key".to_owned(), "write one".to_owned())]);
        assert_eq!(document.errors.len(), MOST_ERRORS);
        assert_eq!(document.errors.last().unwrap().at.to_string(), "/routes/99");
    }

    #[test]
    fn what_is_no_json_is_one_error() {
        assert_eq!(places("{"), [""]);
        assert_eq!(places(""), [""]);
        assert_eq!(places("{}{}"), [""]);
    }
}
