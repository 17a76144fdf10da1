//! A configuration as it is written in a file, whose errors have places there.

use std::path::Path;

use api_guard_core::config::error::ConfigErrors;
use api_guard_core::config::raw::{RawConfig, RawFleet, RawKey};
use api_guard_core::config::{Environment, Policy};
use api_guard_explain::causes::causes;
use api_guard_explain::precise::precise;

use super::plugin::Plugin;
use super::tree::{Malformed, Mark};
use super::{Site, Source, excerpts, read, sites, variable};
use crate::excerpt::Excerpts;
use crate::outcome::{Failure, say};
use crate::style::Style;
use crate::wording;

/// A configuration as `explain`, `inspect` and `emit` need it.
pub(crate) struct Configuration {
    pub(crate) text: String,
    pub(crate) raw: RawConfig,
    pub(crate) policy: Policy,
    /// What is told of variables that are not set, where the policy had to do without them.
    pub(crate) unset: Option<Failure>,
}

impl Configuration {
    /// The same configuration, for whoever cannot do without its secrets.
    ///
    /// # Errors
    ///
    /// The variable of one of them is not set.
    pub(crate) fn with_secrets(mut self) -> Result<Self, Failure> {
        self.unset.take().map_or(Ok(self), Err)
    }
}

/// The configuration in a file: the file itself, or the first one in a manifest. A variable that is not set is no error yet.
pub(crate) fn configuration(path: &Path) -> Result<Configuration, Failure> {
    let written = Written::read(path)?;
    // Whatever is wrong is told by the policy, all at once.
    let raw = written.raw();
    let lookup = |name: &str| {
        let set = variable(name);
        let is_spare = raw.as_ref().is_ok_and(|raw| is_for_store_alone(raw, name));
        set.or_else(|| is_spare.then(|| STAND_IN.to_vec()))
    };
    let (policy, unset) = match written.policy(&lookup, true) {
        Ok(policy) => (policy, None),
        Err(told) => match written.policy(&lookup, false) {
            Ok(policy) => (policy, Some(told)),
            Err(_) => return Err(told),
        },
    };
    Ok(Configuration { text: written.text().to_owned(), raw: raw?, policy, unset })
}

/// What stands for a secret that nothing here depends on; base64 too.
const STAND_IN: &[u8] = &[b'A'; 64];

/// Whether a variable is only for the store of a fleet, which the command does not ask.
fn is_for_store_alone(raw: &RawConfig, name: &str) -> bool {
    let mut of_fleet = raw.fleet.iter().flat_map(RawFleet::variables);
    let mut of_keys = raw.tokens.keys.iter().filter_map(RawKey::variable);
    of_fleet.any(|known| known == name) && !of_keys.any(|known| known == name)
}

/// Whether the module accepts a configuration, whatever its secrets are.
pub(crate) fn errors(text: &str) -> Result<(), ConfigErrors> {
    Policy::parse(text.as_bytes(), &Environment { lookup: &|_| None, must_be_set: false }).map(drop)
}

/// A configuration as it is written in a file.
pub(crate) struct Written {
    file: String,
    plugin: Plugin,
    excerpts: Excerpts,
}

impl Written {
    /// Reads the file: a configuration, or a manifest whose first one it is.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let (source, text) = read(path)?;
        let excerpts = excerpts(&source, &text);
        let file = path.display().to_string();
        let plugin = match source {
            Source::Plugin(plugin) => plugin,
            Source::Malformed(Malformed { mark, problem }) => {
                return Err(Failure::failed(told(&file, mark, &problem, &excerpts)));
            }
            Source::Manifest(documents, text) => {
                let sites = sites(&documents);
                let configuration = sites.first().and_then(Site::configuration);
                let Some((_, node)) = configuration else {
                    return Err(Failure::failed(format!("{file}: it has no api-guard configuration")));
                };
                if sites.len() > 1 {
                    say(&format!("note: {file} has {} api-guard filters; this is the first", sites.len()));
                }
                Plugin::of_node(node, &text)
            }
        };
        if let Some((mark, problem)) = plugin.json_error() {
            return Err(Failure::failed(told(&file, mark, &format!("not JSON: {problem}"), &excerpts)));
        }
        Ok(Self { file, plugin, excerpts })
    }

    /// A configuration that is in no file.
    pub(crate) fn of_text(text: &str) -> Self {
        let plugin = Plugin::of_file(text.to_owned());
        Self { file: "the configuration".to_owned(), plugin, excerpts: Excerpts::new(text, Some(&[])) }
    }

    /// The text that the module gets.
    pub(crate) fn text(&self) -> &str {
        &self.plugin.text
    }

    /// Its fields, if they have the right shape.
    pub(crate) fn raw(&self) -> Result<RawConfig, Failure> {
        Policy::parse_shape(self.text().as_bytes()).map_err(|errors| self.failure(errors, &|_| None))
    }

    /// What it means.
    pub(crate) fn policy(
        &self,
        lookup: &dyn Fn(&str) -> Option<Vec<u8>>,
        must_be_set: bool,
    ) -> Result<Policy, Failure> {
        let environment = Environment { lookup, must_be_set };
        Policy::parse(self.text().as_bytes(), &environment).map_err(|errors| self.failure(errors, lookup))
    }

    /// Every error with its place.
    /// What is wrong with the value at a JSON pointer.
    pub(crate) fn refused(&self, pointer: &str, what: &str) -> Failure {
        let mark = self.plugin.locate(pointer);
        Failure::failed(told(&self.file, mark, &format!("{pointer}: {what}"), &self.excerpts))
    }

    fn failure(&self, errors: ConfigErrors, lookup: &dyn Fn(&str) -> Option<Vec<u8>>) -> Failure {
        let errors = precise(causes(errors.0), self.text(), lookup);
        let plural = if errors.len() == 1 { "error" } else { "errors" };
        let mut text = format!("{} {plural} in the configuration", errors.len());
        for error in &errors {
            let pointer = error.at.to_string();
            let mark = self.plugin.locate(&pointer);
            let pointer = if pointer.is_empty() { "(whole document)" } else { &pointer };
            let what = format!("{pointer}: {}; {}", wording::problem(error), wording::instead(error));
            text.push_str(&format!("\n{}", told(&self.file, mark, &what, &self.excerpts)));
        }
        Failure::failed(text)
    }
}

/// What is wrong at a place, and the line there.
fn told(file: &str, mark: Mark, what: &str, excerpts: &Excerpts) -> String {
    let excerpt = excerpts.at(mark, Style::of_stdout());
    let excerpt = if excerpt.is_empty() { excerpt } else { format!("\n{excerpt}") };
    format!("{file}:{}:{}: {what}{excerpt}", mark.line, mark.column)
}
