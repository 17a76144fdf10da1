//! Findings as people read them, and as JSON and SARIF for machines.

use serde_json::{Value, json};
use serde_sarif::sarif::{
    ArtifactLocation, Location, LogicalLocation, Message, PhysicalLocation, Region, ReportingDescriptor,
    Result, ResultLevel, Run, Sarif, Tool, ToolComponent,
};

use super::digests::Digest;
use crate::excerpt::Excerpts;
use crate::outcome::Failure;
use crate::style::Style;
use api_guard_explain::check::finding::{Finding, Severity};

/// A file that was checked.
pub(super) struct Checked {
    pub(super) file: String,
    pub(super) found: Vec<Finding>,
    pub(super) digests: Vec<Digest>,
    pub(super) excerpts: Excerpts,
}

impl Checked {
    pub(super) fn count(&self, severity: Severity) -> usize {
        self.found.iter().filter(|finding| finding.severity == severity).count()
    }

    /// One line for each finding, with the line of the file below it.
    pub(super) fn text(&self) -> String {
        let style = Style::of_stdout();
        let file = &self.file;
        let mut text = String::new();
        for finding in &self.found {
            let Finding { rule, pointer, mark, text: what, .. } = finding;
            let severity = match finding.severity {
                Severity::Error => style.bad(severity(finding)),
                Severity::Warning => style.warn(severity(finding)),
            };
            let pointer = if pointer.is_empty() { "(whole document)" } else { pointer };
            let rule = style.faint(&format!("[{rule}]"));
            text.push_str(&format!(
                "{file}:{}:{}: {severity}: {pointer}: {what} {rule}\n",
                mark.line, mark.column
            ));
            let excerpt = self.excerpts.at(*mark, style);
            if !excerpt.is_empty() {
                text.push_str(&format!("{excerpt}\n"));
            }
        }
        let counted = |severity, name| match self.count(severity) {
            1 => format!("1 {name}"),
            count => format!("{count} {name}s"),
        };
        let (errors, warnings) = (counted(Severity::Error, "error"), counted(Severity::Warning, "warning"));
        text.push_str(&format!("{file}: {errors}, {warnings}\n"));
        text
    }

    /// The report of `--json`: one object for the file.
    pub(super) fn object(&self) -> Value {
        let findings: Vec<Value> = self
            .found
            .iter()
            .map(|finding| {
                let mut members = member(finding);
                members.insert("within".to_owned(), json!(finding.within));
                Value::Object(members)
            })
            .collect();
        json!({
            "file": self.file,
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "findings": findings,
            "config": self.digests.iter().map(|one| &one.digest).collect::<Vec<_>>(),
        })
    }
}

fn member(finding: &Finding) -> serde_json::Map<String, Value> {
    let object = json!({
        "severity": severity(finding),
        "rule": finding.rule,
        "pointer": finding.pointer,
        "line": finding.mark.line,
        "column": finding.mark.column,
        "message": finding.text,
        "instead": finding.instead(),
    });
    match object {
        Value::Object(members) => members,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            serde_json::Map::new()
        }
    }
}

const fn severity(finding: &Finding) -> &'static str {
    match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    }
}

/// A list of all findings, and one entry at level info for each configuration that can be served: its digest, in `config`.
pub(super) fn json(checked: &[Checked]) -> std::result::Result<String, Failure> {
    let mut list = Vec::new();
    for Checked { file, found, digests, .. } in checked {
        for finding in found {
            let mut members = member(finding);
            members.insert("file".to_owned(), json!(file));
            list.push(Value::Object(members));
        }
        for Digest { pointer, mark, digest } in digests {
            list.push(json!({
                "file": file,
                "severity": "info",
                "rule": "config",
                "pointer": pointer,
                "line": mark.line,
                "column": mark.column,
                "message": format!("where this text is in force, the metric api_guard_info has config=\"{digest}\""),
                "instead": null,
                "config": digest,
            }));
        }
    }
    pretty(&list)
}

/// A log in the Static Analysis Results Interchange Format, 2.1.0.
pub(super) fn sarif(checked: &[Checked]) -> std::result::Result<String, Failure> {
    let mut rules: Vec<&str> =
        checked.iter().flat_map(|one| one.found.iter().map(|finding| finding.rule)).collect();
    rules.sort_unstable();
    rules.dedup();
    let rules: Vec<ReportingDescriptor> =
        rules.into_iter().map(|rule| ReportingDescriptor::builder().id(rule).build()).collect();
    let results: Vec<Result> = checked
        .iter()
        .flat_map(|Checked { file, found, .. }| found.iter().map(|finding| result(file, finding)))
        .collect();
    let driver = ToolComponent::builder()
        .name("api-guard")
        .version(env!("CARGO_PKG_VERSION"))
        .information_uri(env!("CARGO_PKG_REPOSITORY"))
        .rules(rules)
        .build();
    let run = Run::builder().tool(Tool::builder().driver(driver).build()).results(results).build();
    let schema = "https://json.schemastore.org/sarif-2.1.0.json";
    pretty(&Sarif::builder().version(json!("2.1.0")).schema(schema).runs(vec![run]).build())
}

fn result(file: &str, finding: &Finding) -> Result {
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    let region = Region::builder()
        .start_line(number(finding.mark.line))
        .start_column(number(finding.mark.column))
        .build();
    let artifact = ArtifactLocation::builder().uri(file).build();
    let physical = PhysicalLocation::builder().artifact_location(artifact).region(region).build();
    let logical = LogicalLocation::builder().fully_qualified_name(finding.pointer.as_str()).build();
    let location = Location::builder().physical_location(physical).logical_locations(vec![logical]).build();
    let level = match finding.severity {
        Severity::Error => ResultLevel::Error,
        Severity::Warning => ResultLevel::Warning,
    };
    Result::builder()
        .rule_id(finding.rule)
        .level(level)
        .message(Message::builder().text(finding.text.as_str()).build())
        .locations(vec![location])
        .build()
}

fn pretty(value: &impl serde::Serialize) -> std::result::Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map_err(|error| Failure::failed(format!("the report cannot be printed: {error}")))
}
