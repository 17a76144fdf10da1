//! The configuration that is in force, and its file, which is watched.

use std::path::{Path, PathBuf};

use api_guard_core::config::Policy;
use api_guard_core::config::raw::RawConfig;

use super::guard::Form;
use super::secrets::Secrets;
use crate::check::{WHY_NOT_PSS, other_hosts, pss_pointers};
use crate::outcome::Failure;
use crate::source::Written;

/// Without a configuration, every path asks for a token.
const DEFAULT: &str = r#"{ "tokens": { "keys": [ { "secret": { "env": "API_GUARD_SECRET" } } ] } }"#;

/// A configuration that the guard accepts.
pub(super) struct Configuration {
    written: Written,
    pub(super) raw: RawConfig,
}

impl Configuration {
    /// Reads the file, or takes the default, and makes the secrets that it needs.
    pub(super) fn read(file: Option<&Path>, form: Form, secrets: &mut Secrets) -> Result<Self, Failure> {
        let written = file.map_or_else(|| Ok(Written::of_text(DEFAULT)), Written::read)?;
        let raw = written.raw()?;
        if let Some((pointer, why)) = other_hosts(&raw).first() {
            return Err(written.refused(pointer, why));
        }
        secrets.provide(&raw)?;
        let configuration = Self { written, raw };
        let policy = configuration.policy(secrets)?;
        if form == Form::Module
            && let Some((pointer, name)) = pss_pointers(&configuration.raw, &policy).first()
        {
            let why = format!("{name:?}: {WHY_NOT_PSS}; or add --native");
            return Err(configuration.written.refused(pointer, &why));
        }
        Ok(configuration)
    }

    /// The text that the guard gets.
    pub(super) fn text(&self) -> &str {
        self.written.text()
    }

    /// The policy that it means.
    pub(super) fn policy(&self, secrets: &Secrets) -> Result<Policy, Failure> {
        self.written.policy(&|name| secrets.lookup(name), true)
    }
}

/// A file that is looked at again and again. Its content is compared, so that it does not matter how an editor, a
/// container or a link replaces it.
pub(super) struct Watched {
    path: PathBuf,
    /// What was last acted on; `None` for a file that could not be read.
    known: Option<Vec<u8>>,
    /// What was seen last. A change counts when it has been seen twice: a file may be half written.
    seen: Option<Vec<u8>>,
}

impl Watched {
    pub(super) fn new(path: &Path) -> Self {
        let content = std::fs::read(path).ok();
        Self { path: path.to_owned(), known: content.clone(), seen: content }
    }

    /// Whether the file has changed since the last time it was said to have.
    pub(super) fn has_changed(&mut self) -> bool {
        let now = std::fs::read(&self.path).ok();
        let settled = now == self.seen;
        self.seen = now;
        if !settled || self.seen == self.known {
            return false;
        }
        self.known.clone_from(&self.seen);
        true
    }
}
