//! The secrets that the configuration names and nobody has set: made once, and kept for the next run.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use api_guard_core::config::raw::{RawConfig, RawSecret};

use super::folders;
use crate::keygen::{base64url, random};
use crate::outcome::Failure;

/// Variables of the configuration that are not set, and what they hold here.
#[derive(Default)]
pub(super) struct Secrets {
    made: BTreeMap<String, String>,
    /// The variables that are not set, with where their secrets are kept, until the user has been told.
    untold: Vec<(String, PathBuf)>,
}

impl Secrets {
    /// Makes what is missing, or reads what an earlier run has kept.
    pub(super) fn provide(&mut self, raw: &RawConfig) -> Result<(), Failure> {
        // A password is the store's, and cannot be made.
        let of_fleet = raw.fleet.iter().flat_map(|fleet| &fleet.secret);
        let of_keys = raw.tokens.keys.iter().flat_map(|key| &key.secret);
        for name in of_keys.chain(of_fleet).filter_map(RawSecret::variable) {
            if std::env::var_os(name).is_none() && !self.made.contains_key(name) {
                let path = file(name)?;
                let secret = kept_or_new(&path).map_err(|error| {
                    Failure::failed(format!(
                        "the variable {name} is not set, and a secret for it cannot be kept at {}: {error}; \
                         export {name}=\"$(api-guard keygen --bytes 64)\"",
                        path.display()
                    ))
                })?;
                self.made.insert(name.to_owned(), secret);
                self.untold.push((name.to_owned(), path));
            }
        }
        Ok(())
    }

    /// A line for each secret of which the user has not been told yet.
    pub(super) fn news(&mut self) -> String {
        let line = |(name, path): (String, PathBuf)| {
            format!("secret: {name} is not set; its secret is kept at {}\n", path.display())
        };
        self.untold.drain(..).map(line).collect()
    }

    /// The value of a variable, as Envoy will see it.
    pub(super) fn lookup(&self, name: &str) -> Option<Vec<u8>> {
        let set = std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes);
        set.or_else(|| self.made.get(name).map(|secret| secret.clone().into_bytes()))
    }

    /// What was made, by variable.
    pub(super) const fn made(&self) -> &BTreeMap<String, String> {
        &self.made
    }
}

/// Where the secret of a variable is kept. The name may hold anything, a path's letters included.
fn file(name: &str) -> Result<PathBuf, Failure> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    let name = if !name.is_empty() && name.chars().all(plain) {
        name.to_owned()
    } else {
        base64url(name.as_bytes())
    };
    Ok(folders::state()?.join("secrets").join(name))
}

fn kept_or_new(path: &Path) -> Result<String, Box<dyn std::error::Error>> {
    if let Ok(text) = std::fs::read_to_string(path) {
        return Ok(text.trim_end().to_owned());
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    private_folder(folder)?;
    // 64 bytes are enough for every algorithm, as text and as base64.
    let secret = base64url(&random::<64>().map_err(|_| "the system has no random bytes")?);
    // For its owner alone (0600) from the beginning, and whole from the beginning.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{secret}")?;
    match file.persist_noclobber(path) {
        Ok(_) => Ok(secret),
        // Another run was faster.
        Err(error) => match std::fs::read_to_string(path) {
            Ok(text) => Ok(text.trim_end().to_owned()),
            Err(_) => Err(error.error.into()),
        },
    }
}

fn private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}
