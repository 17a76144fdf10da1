//! What is wrong or dangerous in a plugin configuration?

pub mod finding;
mod issuers;
pub mod key_sets;
mod limits;
pub mod lint;
pub mod pss;
mod routes;
mod secrets;

use std::collections::BTreeMap;

use api_guard_core::config::{Environment, Policy};

use crate::causes::causes;
use crate::precise::precise;
use crate::source::Host;
use crate::source::plugin::Plugin;
use crate::wording;
use finding::{Finding, Findings, Severity};

/// How a plugin configuration is loaded.
#[derive(Clone, Copy)]
pub struct Loaded<'l> {
    /// Who loads it.
    pub host: Host,
    /// The pointer to it in a manifest, if it is in one.
    pub within: Option<&'l str>,
    /// The variables that the manifest itself sets.
    pub variables: &'l BTreeMap<String, String>,
    /// The hosts that Envoy serves, if the manifest tells them.
    pub domains: Option<&'l [&'l str]>,
    /// The values of other variables, as far as they are known.
    pub environment: &'l dyn Fn(&str) -> Option<Vec<u8>>,
}

impl Findings {
    /// Checks one plugin configuration, and gives its policy if there is no error in it.
    pub fn plugin(&mut self, plugin: &Plugin, loaded: &Loaded<'_>) -> Option<Policy> {
        let Loaded { host, within, variables, domains, environment } = *loaded;
        let mut add = |severity, rule, pointer: String, mark, text| {
            let within = within.map(str::to_owned);
            self.0.push(Finding { severity, rule, pointer, within, mark, text });
        };
        if let Some((mark, problem)) = plugin.json_error() {
            add(Severity::Error, "configuration", String::new(), mark, format!("not JSON: {problem}"));
            return None;
        }
        let lookup = |name: &str| {
            let own = variables.get(name).map(|value| value.clone().into_bytes());
            own.or_else(|| environment(name))
        };
        let text = plugin.text.as_bytes();
        let mut has_several_issuers = false;
        let raw = Policy::parse_shape(text).ok();
        let mut parsed = None;
        match Policy::parse(text, &Environment { lookup: &lookup, must_be_set: false }) {
            Ok(policy) => {
                has_several_issuers = policy.tokens().has_several_issuers();
                // The library verifies it itself.
                let in_module = raw.iter().filter(|_| !host.is_library());
                for (pointer, name) in in_module.flat_map(|raw| pss::pointers(raw, &policy)) {
                    let mark = plugin.locate(&pointer);
                    let told = format!("{name:?}: {}", pss::WHY);
                    add(Severity::Error, "configuration", pointer, mark, told);
                }
                parsed = Some(policy);
            }
            Err(errors) => {
                for error in precise(causes(errors.0), &plugin.text, &lookup) {
                    let pointer = error.at.to_string();
                    let told = format!("{}; {}", wording::problem(&error), wording::instead(&error));
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
        parsed
    }
}
