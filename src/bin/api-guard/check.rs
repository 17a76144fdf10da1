//! `api-guard check`: what is wrong or dangerous in a configuration, or in a manifest that loads one.

mod digests;
mod envoy;
mod fleet;
mod key_sets;
mod kubernetes;
mod labels;
mod library;
mod manager;
mod neighbours;
mod patches;
mod report;

use std::collections::BTreeMap;
use std::path::PathBuf;

use api_guard_core::config::Policy;
use api_guard_core::config::raw::RawConfig;
use api_guard_explain::check::Loaded;
use api_guard_explain::check::finding::{Finding, InPlugin, Severity};
use serde_json::Value;

pub(crate) use api_guard_explain::check::finding::{Findings, Part};
pub(crate) use api_guard_explain::check::key_sets::other_hosts;
pub(crate) use api_guard_explain::check::lint;
pub(crate) use api_guard_explain::check::pss::{WHY as WHY_NOT_PSS, pointers as pss_pointers};
pub(crate) use key_sets::{host_and_port, is_loopback_host, remote};
pub(crate) use manager::allows_encoded_slashes;

use crate::input;
use crate::outcome::{self, Outcome, print};
use crate::source::plugin::Plugin;
use crate::source::tree::{Malformed, Node};
use crate::source::{self, Host, ManifestPart, NOWHERE, Site, Source};
use report::Checked;

/// Report every error in a configuration, and every setting that is legal but dangerous, with its position.
///
/// FILE is a plugin configuration (JSON, also with comments, or YAML), an Envoy configuration (YAML or JSON), resources of
/// Istio (TrafficExtension, WasmPlugin, EnvoyFilter) or Envoy Gateway (EnvoyExtensionPolicy, EnvoyPatchPolicy), or a ConfigMap that
/// holds one of them; every api-guard filter in it is checked. A variable that is not set is no error here,
/// because Envoy may have it. Exit code 0: no errors, 1: errors (with --strict also warnings), 2: no such file.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  api-guard check api-guard.json
  api-guard check envoy.yaml --strict
  api-guard emit envoy --config api-guard.yaml | api-guard check -
  api-guard check policies/*.yaml --format sarif > api-guard.sarif")]
pub(crate) struct Check {
    /// The files; - is standard input
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Warnings fail too
    #[arg(long)]
    strict: bool,
    /// How findings are printed: with the lines that they are about, as a JSON list, or as SARIF 2.1.0
    #[arg(long, value_enum, value_name = "FORMAT", default_value = "text")]
    format: Format,
    /// Print a JSON object with the numbers of errors and warnings, and the findings
    #[arg(long, conflicts_with = "format")]
    json: bool,
}

/// How findings are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    Text,
    Json,
    Sarif,
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
            text: problem.clone(),
        }),
        Source::Plugin(plugin) => {
            let variables = BTreeMap::new();
            findings.plugin(plugin, &loaded(Host::Envoy, None, &variables, None));
        }
        Source::Manifest(parts, file) => {
            let sites = source::sites(parts);
            let has_patches = patches::check(parts, sites.is_empty(), &mut findings);
            if sites.is_empty() && !has_patches {
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
            guards.iter().for_each(|guard| guard.check(parts, &mut findings));
            neighbours::check(&guards, &mut findings);
            kubernetes::resources::check(parts, &guards, &mut findings);
        }
    }
    findings.0.sort_by_key(|finding| finding.mark);
    findings.0.dedup();
    findings.0
}

/// How a configuration is loaded, in the environment of this command.
fn loaded<'l>(
    host: Host,
    within: Option<&'l str>,
    variables: &'l BTreeMap<String, String>,
    domains: Option<&'l [&'l str]>,
) -> Loaded<'l> {
    Loaded { host, within, variables, domains, environment: &source::variable }
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

    fn check(&self, parts: &[ManifestPart], findings: &mut Findings) {
        let mut own = Findings::default();
        self.check_site(parts, &mut own);
        findings.add_within(self.site.within, own);
    }

    fn check_site(&self, parts: &[ManifestPart], findings: &mut Findings) {
        let Self { site, plugin, raw } = self;
        let variables = match site.host {
            Host::Envoy => envoy::variables(site),
            // A library reads Envoy's own environment.
            Host::Library | Host::EnvoyGatewayLibrary | Host::Unknown => Variables::default(),
            Host::Istio | Host::EnvoyGateway => kubernetes::variables(site),
        };
        if let (Some(raw), Host::Envoy | Host::Library) = (raw, site.host) {
            let within = site.configuration().map(|(below, _)| format!("{}{below}", site.pointer));
            let plugin = plugin.as_ref().zip(within).map(|(plugin, within)| InPlugin { plugin, within });
            key_sets::check(site, raw, plugin.as_ref(), findings);
            fleet::check(site, raw, plugin.as_ref(), findings);
        }
        match site.host {
            Host::Envoy => envoy::check(site, raw.as_ref(), &variables, findings),
            Host::Library => library::check(site, raw.as_ref(), findings),
            Host::Istio | Host::EnvoyGateway => {
                let is_completed = patches::complete(parts, site);
                kubernetes::check(site, raw.as_ref(), &variables, is_completed, findings);
            }
            Host::EnvoyGatewayLibrary => kubernetes::library(site, findings),
            Host::Unknown => {}
        }
        if let (Some(plugin), Some((below, _))) = (plugin, site.configuration()) {
            let within = format!("{}{below}", site.pointer);
            let domains = site.manager.as_ref().and_then(|(_, node)| manager::domains(node));
            let loaded = loaded(site.host, Some(&within), &variables.values, domains.as_deref());
            findings.plugin(plugin, &loaded);
        }
    }
}

/// Whether a value says something: it is no empty text, list or object.
fn says(node: &Node) -> bool {
    let is_text = node.text().is_some_and(|text| !text.is_empty());
    is_text || !node.items().is_empty() || !node.members().is_empty()
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
        input::once(self.files.iter().map(PathBuf::as_path))?;
        let mut checked = Vec::new();
        for path in &self.files {
            let (source, text) = source::read(path)?;
            let found = findings(&source);
            let excerpts = source::excerpts(&source, &text);
            let digests = digests::of(&source);
            checked.push(Checked { file: path.display().to_string(), found, digests, excerpts });
        }
        let count = |severity| checked.iter().map(|one| one.count(severity)).fold(0, usize::saturating_add);
        match (self.json, self.format) {
            (true, _) => print(&one_or_all(checked.iter().map(Checked::object).collect())),
            (false, Format::Text) => checked.iter().for_each(|one| print(&one.text())),
            (false, Format::Json) => print(&report::json(&checked)?),
            (false, Format::Sarif) => print(&report::sarif(&checked)?),
        }
        let fails = count(Severity::Error) > 0 || (self.strict && count(Severity::Warning) > 0);
        Ok(if fails { Outcome::Refused } else { Outcome::Done })
    }
}

/// The report of one file alone, or a list of them.
fn one_or_all(mut reports: Vec<Value>) -> String {
    let report = if reports.len() == 1 { reports.remove(0) } else { Value::Array(reports) };
    serde_json::to_string_pretty(&report).unwrap_or_default()
}
