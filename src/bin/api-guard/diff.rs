//! `api-guard diff`: what changes when one configuration takes the place of another?

mod plain;
mod routes;

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde_json::Value;

use crate::cases::{Court, cases};
use crate::import::path::shape;
use crate::input;
use crate::outcome::{self, Outcome, print};
use crate::source::Written;
use crate::style::Style;

/// Tell what changes from one configuration to another: keys, limits, what each route and method asks, other settings.
///
/// A default that is written out changes nothing. With CASES (as for `api-guard test`) both configurations judge their
/// requests, and every decision that differs is told. Exit code 0: the same, 1: not the same.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  api-guard diff old.yaml new.yaml
  api-guard diff old.yaml new.yaml cases.yaml")]
pub(crate) struct Diff {
    /// The configuration in force
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// The one that takes its place
    #[arg(value_name = "NEW")]
    new: PathBuf,
    /// Files of cases
    #[arg(value_name = "CASES")]
    cases: Vec<PathBuf>,
}

impl Diff {
    /// Prints the differences.
    pub(crate) fn run(&self) -> outcome::Result {
        input::once([&self.old, &self.new].into_iter().chain(&self.cases).map(PathBuf::as_path))?;
        let (old, new) = (Written::read(&self.old)?, Written::read(&self.new)?);
        let (plain_old, plain_new) = (plain::configuration(&old)?, plain::configuration(&new)?);
        let mut sections = vec![
            ("keys", changes(&plain::keys(&plain_old), &plain::keys(&plain_new))),
            ("limits", changes(&plain::limits(&plain_old), &plain::limits(&plain_new))),
            ("routes", changes(&routes::asked(&plain_old), &routes::asked(&plain_new))),
            ("settings", changes(&plain::settings(&plain_old), &plain::settings(&plain_new))),
        ];
        if !self.cases.is_empty() {
            sections.push(("decisions", self.decisions(Court::new(old)?, &Court::new(new)?)?));
        }
        sections.retain(|(_, lines)| !lines.is_empty());
        if sections.is_empty() {
            print("nothing changes");
            return Ok(Outcome::Done);
        }
        for (name, lines) in sections {
            print(&format!("{name}\n{}", lines.join("\n")));
        }
        Ok(Outcome::Refused)
    }

    fn decisions(&self, old: Court, new: &Court) -> Result<Vec<String>, crate::outcome::Failure> {
        let mut lines = Vec::new();
        for path in &self.cases {
            for case in cases(path, false)? {
                let changes = old.judge(&case)?.changes(&new.judge(&case)?);
                if !changes.is_empty() {
                    lines.push(format!("  {}: {}", case.name, changes.join(", ")));
                }
            }
        }
        Ok(lines)
    }
}

/// How a configuration has drifted from what an imported document says: its routes, and what it says of others.
pub(crate) fn drift(document: &Value, written: &Written) -> Result<Vec<String>, crate::outcome::Failure> {
    const IMPORTED: [&str; 4] = ["access", "required_permissions", "any_permissions", "content_types"];
    let wanted = plain::configuration(&Written::of_text(&document.to_string()))?;
    let found = plain::configuration(written)?;
    let routes = |configuration: &Value| -> Named {
        let imported = |(name, mut asks): (String, BTreeMap<String, Value>)| {
            asks.retain(|field, _| IMPORTED.contains(&field.as_str()));
            (shape(&name), asks)
        };
        routes::asked(configuration).into_iter().map(imported).collect()
    };
    let mut lines = changes(&routes(&wanted), &routes(&found));
    let [wanted, found] = [&wanted, &found].map(|configuration| configuration.get("unmatched_routes"));
    if wanted != found {
        lines.push(format!("  unmatched_routes {} -> {}", shown(wanted), shown(found)));
    }
    Ok(lines)
}

/// Something of a configuration that has a name, and each of its settings.
type Named = BTreeMap<String, BTreeMap<String, Value>>;

/// What was added, removed and changed.
fn changes(old: &Named, new: &Named) -> Vec<String> {
    let style = Style::of_stdout();
    let mut lines = Vec::new();
    for (name, settings) in old {
        match new.get(name) {
            None => lines.push(format!("  {} {name}{}", style.bad("-"), told(settings))),
            Some(others) => {
                let names: std::collections::BTreeSet<&String> =
                    settings.keys().chain(others.keys()).collect();
                let changed: Vec<String> = names
                    .into_iter()
                    .filter(|field| ordered(settings.get(*field)) != ordered(others.get(*field)))
                    .map(|field| {
                        format!("{field} {} -> {}", shown(settings.get(field)), shown(others.get(field)))
                    })
                    .collect();
                if !changed.is_empty() {
                    lines.push(format!("  {} {name}: {}", style.warn("~"), changed.join(", ")));
                }
            }
        }
    }
    for (name, settings) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
        lines.push(format!("  {} {name}{}", style.good("+"), told(settings)));
    }
    lines
}

/// A list in order: the order in which one is written says nothing.
fn ordered(value: Option<&Value>) -> Option<Value> {
    let mut value = value.cloned();
    if let Some(list) = value.as_mut().and_then(Value::as_array_mut) {
        list.sort_by_key(Value::to_string);
    }
    value
}

fn told(settings: &BTreeMap<String, Value>) -> String {
    let all: Vec<String> =
        settings.iter().map(|(field, value)| format!("{field} {}", shown(Some(value)))).collect();
    if all.is_empty() { String::new() } else { format!(": {}", all.join(", ")) }
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| "(none)".to_owned(), Value::to_string)
}
