//! `api-guard check`: what is wrong or dangerous in a configuration, or in a manifest that loads one.

mod envoy;
mod finding;
mod issuers;
mod key_sets;
mod kubernetes;
mod limits;
mod lint;
mod manager;
mod neighbours;
mod pss;
mod routes;
mod secrets;

use std::collections::BTreeMap;
use std::path::PathBuf;

use api_guard_core::config::raw::RawConfig;
use api_guard_core::config::{Environment, Policy};
use serde_json::{Value, json};

use finding::{Finding, InPlugin, Severity};
pub(crate) use finding::{Findings, Part};
pub(crate) use key_sets::{host_and_port, is_loopback_host, remote};
pub(crate) use pss::{WHY as WHY_NOT_PSS, pointers as pss_pointers};

use crate::outcome::{self, Outcome, print};
use crate::source::plugin::Plugin;
use crate::source::tree::Malformed;
use crate::source::{self, Host, NOWHERE, Site, Source};
use crate::style::Style;

/// Report every error in a configuration, and every setting that is legal but dangerous, with its position.
///
/// FILE is a plugin configuration (JSON), an Envoy configuration (YAML or JSON), an Istio WasmPlugin or an Envoy
/// Gateway EnvoyExtensionPolicy; every api-guard filter in it is checked. A variable that is not set is no error here,
/// because Envoy may have it. Exit code 0: no errors, 1: errors (with --strict also warnings), 2: no such file.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  api-guard check api-guard.json
  api-guard check envoy.yaml --strict")]
pub(crate) struct Check {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Warnings fail too
    #[arg(long)]
    strict: bool,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

impl Findings {
    /// Checks one plugin configuration. `variables`: what the manifest itself sets.
    /// `domains`: the hosts that Envoy serves, if the manifest tells them.
    fn plugin(
        &mut self,
        plugin: &Plugin,
        within: Option<&str>,
        variables: &BTreeMap<String, String>,
        domains: Option<&[&str]>,
    ) {
        let mut add = |severity, rule, pointer: String, mark, text| {
            let within = within.map(str::to_owned);
            self.0.push(Finding { severity, rule, pointer, within, mark, text });
        };
        if let Some((mark, problem)) = plugin.json_error() {
            add(Severity::Error, "configuration", String::new(), mark, format!("not JSON: {problem}"));
            return;
        }
        let lookup = |name: &str| {
            let own = variables.get(name).map(|value| value.clone().into_bytes());
            own.or_else(|| std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes))
        };
        let text = plugin.text.as_bytes();
        let mut has_several_issuers = false;
        let raw = Policy::parse_shape(text).ok();
        match Policy::parse(text, &Environment { lookup: &lookup, must_be_set: false }) {
            Ok(policy) => {
                has_several_issuers = policy.tokens().has_several_issuers();
                for (pointer, name) in raw.iter().flat_map(|raw| pss::pointers(raw, &policy)) {
                    let mark = plugin.locate(&pointer);
                    let told = format!("{name:?}: {}", pss::WHY);
                    add(Severity::Error, "configuration", pointer, mark, told);
                }
            }
            Err(errors) => {
                for error in errors.0 {
                    let pointer = error.at.to_string();
                    let value = error.value.map(|value| format!("{value}: ")).unwrap_or_default();
                    let told = format!("{value}{}; {}", error.problem, error.instead);
                    let mark = plugin.locate(&pointer);
                    add(Severity::Error, "configuration", pointer, mark, told);
                }
            }
        }
        if let Some(raw) = raw {
            // Only variables in the file count, so that the answer does not depend on who runs the command.
            let written = |name: &str| variables.get(name).map(|value| value.clone().into_bytes());
            let warnings = lint::warnings(&raw, &written, domains, has_several_issuers);
            for lint::Warning { rule, pointer, text } in warnings {
                let mark = plugin.locate(&pointer);
                add(Severity::Warning, rule, pointer, mark, text);
            }
        }
    }
}

/// All findings about a source.
pub(crate) fn findings(source: &Source) -> Vec<Finding> {
    let mut findings = Findings::default();
    match source {
        Source::Malformed(Malformed { mark, problem }) => findings.0.push(Finding {
            severity: Severity::Error,
            rule: "syntax",
            pointer: String::new(),
            within: None,
            mark: *mark,
            text: format!("neither JSON nor YAML: {problem}"),
        }),
        Source::Plugin(plugin) => findings.plugin(plugin, None, &BTreeMap::new(), None),
        Source::Manifest(documents, file) => {
            let sites = source::sites(documents);
            if sites.is_empty() {
                findings.0.push(Finding {
                    severity: Severity::Error,
                    rule: "no-filter",
                    pointer: String::new(),
                    within: None,
                    mark: NOWHERE,
                    text: "it has no api-guard filter; api-guard emit shows how to write one".to_owned(),
                });
            }
            let guards: Vec<Guard<'_>> = sites.into_iter().map(|site| Guard::new(site, file)).collect();
            guards.iter().for_each(|guard| guard.check(&mut findings));
            neighbours::check(&guards, &mut findings);
            kubernetes::resources::check(documents, &guards, &mut findings);
        }
    }
    findings.0.sort_by_key(|finding| finding.mark);
    findings.0.dedup();
    findings.0
}

/// A guard in a manifest.
pub(crate) struct Guard<'f> {
    pub(crate) site: Site<'f>,
    /// Its configuration, if it has one.
    pub(crate) plugin: Option<Plugin>,
    /// The configuration read, if it can be.
    pub(crate) raw: Option<RawConfig>,
}

impl<'f> Guard<'f> {
    fn new(site: Site<'f>, file: &[char]) -> Self {
        let plugin = site.configuration().map(|(_, node)| Plugin::of_node(node, file));
        let raw = plugin.as_ref().and_then(|plugin| Policy::parse_shape(plugin.text.as_bytes()).ok());
        Self { site, plugin, raw }
    }

    fn check(&self, findings: &mut Findings) {
        let Self { site, plugin, raw } = self;
        let variables = match site.host {
            Host::Envoy => envoy::variables(site),
            Host::Istio | Host::EnvoyGateway => kubernetes::variables(site),
        };
        if let (Some(raw), Host::Envoy) = (raw, site.host) {
            let within = site.configuration().map(|(below, _)| format!("{}{below}", site.pointer));
            let plugin = plugin.as_ref().zip(within).map(|(plugin, within)| InPlugin { plugin, within });
            key_sets::check(site, raw, plugin.as_ref(), findings);
        }
        match site.host {
            Host::Envoy => envoy::check(site, raw.as_ref(), &variables, findings),
            Host::Istio | Host::EnvoyGateway => kubernetes::check(site, raw.as_ref(), &variables, findings),
        }
        if let (Some(plugin), Some((below, _))) = (plugin, site.configuration()) {
            let within = format!("{}{below}", site.pointer);
            let domains = site.manager.as_ref().and_then(|(_, node)| manager::domains(node));
            findings.plugin(plugin, Some(&within), &variables.values, domains.as_deref());
        }
    }
}

/// The variables that a manifest gives to the module.
#[derive(Default)]
pub(crate) struct Variables {
    /// Those whose values are in the manifest.
    pub(crate) values: BTreeMap<String, String>,
    /// Those taken from the environment of Envoy.
    pub(crate) from_host: Vec<String>,
}

impl Check {
    /// Prints what was found.
    pub(crate) fn run(&self) -> outcome::Result {
        let found = findings(&source::read(&self.file)?);
        let count = |severity| found.iter().filter(|finding| finding.severity == severity).count();
        let (errors, warnings) = (count(Severity::Error), count(Severity::Warning));
        if self.json {
            self.print_json(&found, errors, warnings);
        } else {
            self.print_text(&found, errors, warnings);
        }
        let fails = errors > 0 || (self.strict && warnings > 0);
        Ok(if fails { Outcome::Refused } else { Outcome::Done })
    }

    fn print_text(&self, found: &[Finding], errors: usize, warnings: usize) {
        let style = Style::of_stdout();
        let file = self.file.display();
        let mut text = String::new();
        for Finding { severity, rule, pointer, mark, text: what, .. } in found {
            let severity = match severity {
                Severity::Error => style.bad("error"),
                Severity::Warning => style.warn("warning"),
            };
            let pointer = if pointer.is_empty() { "(whole document)" } else { pointer };
            let rule = style.faint(&format!("[{rule}]"));
            text.push_str(&format!(
                "{file}:{}:{}: {severity}: {pointer}: {what} {rule}\n",
                mark.line, mark.column
            ));
        }
        let counted = |count, name| match count {
            1 => format!("1 {name}"),
            count => format!("{count} {name}s"),
        };
        text.push_str(&format!("{file}: {}, {}\n", counted(errors, "error"), counted(warnings, "warning")));
        print(&text);
    }

    fn print_json(&self, found: &[Finding], errors: usize, warnings: usize) {
        let findings: Vec<Value> = found
            .iter()
            .map(|finding| {
                json!({
                    "severity": match finding.severity {
                        Severity::Error => "error",
                        Severity::Warning => "warning",
                    },
                    "rule": finding.rule,
                    "pointer": finding.pointer,
                    "within": finding.within,
                    "line": finding.mark.line,
                    "column": finding.mark.column,
                    "message": finding.text,
                })
            })
            .collect();
        let file = self.file.display().to_string();
        let report = json!({ "file": file, "errors": errors, "warnings": warnings, "findings": findings });
        print(&serde_json::to_string_pretty(&report).unwrap_or_default());
    }
}
