//! What `api-guard check` finds.

use crate::source::plugin::Plugin;
use crate::source::tree::{Mark, Node};

/// How bad it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// It is refused, or does not work.
    Error,
    /// It works, and is dangerous.
    Warning,
}

/// One thing that is wrong or dangerous.
#[derive(Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// A name for it, for machines.
    pub rule: &'static str,
    /// Where, in the plugin configuration or in the manifest.
    pub pointer: String,
    /// Where the plugin configuration is in the manifest, if the finding is in one.
    pub within: Option<String>,
    /// Where it stands in the text.
    pub mark: Mark,
    /// What is wrong, and what to write instead.
    pub text: String,
}

/// A plugin configuration in a manifest that is being checked.
pub struct InPlugin<'p> {
    /// The configuration.
    pub plugin: &'p Plugin,
    /// The pointer to it in the manifest.
    pub within: String,
}

impl InPlugin<'_> {
    /// Notes an error at a pointer in the plugin configuration.
    pub fn error(&self, rule: &'static str, pointer: String, text: String, findings: &mut Findings) {
        let mark = self.plugin.locate(&pointer);
        let within = Some(self.within.clone());
        findings.0.push(Finding { severity: Severity::Error, rule, pointer, within, mark, text });
    }
}

impl Finding {
    /// What to write instead: what follows the semicolon, as every rule words it.
    pub fn instead(&self) -> Option<&str> {
        // An error that proposes a field says so first.
        let meant = self.text.find("; did you mean").map(|at| self.text.split_at(at).1);
        let rest = meant.map(|rest| rest.trim_start_matches("; "));
        rest.or_else(|| self.text.rsplit_once("; ").map(|(_, instead)| instead))
    }
}

/// The findings, in one part of a file after the other.
#[derive(Default)]
pub struct Findings(pub Vec<Finding>);

/// A part of a manifest that is being checked.
pub struct Part<'p> {
    /// The part.
    pub node: &'p Node,
    /// The JSON pointer to it.
    pub pointer: &'p str,
}

impl Findings {
    /// Notes a finding about a manifest. `below`: a JSON pointer relative to the part.
    pub fn note(
        &mut self,
        severity: Severity,
        rule: &'static str,
        part: &Part<'_>,
        below: &str,
        text: impl Into<String>,
    ) {
        self.0.push(Finding {
            severity,
            rule,
            pointer: format!("{}{below}", part.pointer),
            within: None,
            mark: part.node.locate(below),
            text: text.into(),
        });
    }

    /// Adds findings about a text of a `ConfigMap`, to which `within` points; it is empty for a document of the file itself.
    pub fn add_within(&mut self, within: &str, findings: Self) {
        self.0.extend(findings.0.into_iter().map(|mut finding| {
            if !within.is_empty() {
                finding.within = Some(format!("{within}{}", finding.within.unwrap_or_default()));
            }
            finding
        }));
    }

    /// Notes an error about a manifest. `below`: a JSON pointer relative to the part.
    pub fn error(&mut self, rule: &'static str, part: &Part<'_>, below: &str, text: impl Into<String>) {
        self.note(Severity::Error, rule, part, below, text);
    }

    /// Notes a warning about a manifest. `below`: a JSON pointer relative to the part.
    pub fn warn(&mut self, rule: &'static str, part: &Part<'_>, below: &str, text: impl Into<String>) {
        self.note(Severity::Warning, rule, part, below, text);
    }
}
