//! `--jwks FILE`: what a key set would fetch, from a file.

use std::sync::Arc;

use api_guard_core::config::raw::{RawConfig, RawKeySet};
use api_guard_core::index::KeySetIndex;
use api_guard_core::policy::Policy;
use api_guard_core::token::key_set::{KeySet, KeySetFault, MAX_SET_BYTES, MAX_SET_KEYS};

use crate::outcome::{Failure, say};

/// The key sets of `inspect` and `explain`.
#[derive(clap::Args)]
pub(crate) struct Jwks {
    /// A key set (JWKS) in place of what would be fetched; NAME=FILE for one of several sets; may be repeated
    #[arg(long = "jwks", value_name = "FILE")]
    files: Vec<String>,
}

/// The sets of a configuration that are fetched, and what is known of them.
#[derive(Default)]
pub(crate) struct Fetched {
    /// Those that a file was given for.
    pub(crate) given: Vec<(KeySetIndex, Arc<KeySet>)>,
    /// What to say of the others.
    pub(crate) unknown: Vec<String>,
}

impl Jwks {
    /// Whether any file is given.
    pub(crate) fn is_given(&self) -> bool {
        !self.files.is_empty()
    }

    /// Reads the files. One without a name stands for every set that is fetched and has no file of its own.
    pub(crate) fn read(&self, policy: &Policy, raw: &RawConfig) -> Result<Fetched, Failure> {
        let fetched: Vec<_> = policy.tokens().keys().fetched_sets().collect();
        let name_of = |file: &str| {
            let name = file.split_once('=')?.0;
            fetched.iter().map(|(_, rule)| rule.name()).find(|known| *known == name)
        };
        if let (Some(file), true) = (self.files.first(), fetched.is_empty()) {
            let text =
                "the configuration fetches no key set (/tokens/key_sets with a cluster); remove --jwks";
            return Err(Failure::usage(format!("--jwks {file}: {text}")));
        }
        let mut result = Fetched::default();
        for (index, rule) in &fetched {
            let named = self.files.iter().find(|file| name_of(file) == Some(rule.name()));
            let file = match named {
                Some(file) => file.split_once('=').map(|(_, file)| file),
                None => self.files.iter().find(|file| name_of(file).is_none()).map(String::as_str),
            };
            let Some(file) = file else {
                result.unknown.extend(raw.tokens.key_sets.get(index.get()).map(unknown));
                continue;
            };
            let bytes = std::fs::read(file).map_err(|error| {
                let names: Vec<&str> = fetched.iter().map(|(_, rule)| rule.name()).collect();
                let sets = names.join(", ");
                Failure::usage(format!("--jwks {file}: cannot be read: {error} (the key sets are {sets})"))
            })?;
            let read = KeySet::read(&bytes, rule.algorithms()).map_err(|fault| {
                Failure::failed(format!(
                    "{file}: {}",
                    match fault {
                        KeySetFault::TooLarge => format!(
                            "more than {MAX_SET_BYTES} bytes or {MAX_SET_KEYS} keys, which no guard takes"
                        ),
                        KeySetFault::Malformed =>
                            "not a JSON Web Key Set: write {\"keys\": [...]}".to_owned(),
                    }
                ))
            })?;
            for skipped in &read.skipped {
                let (name, key) = (rule.name(), skipped.index);
                say(&format!("note: {file}: /keys/{key} is not used by {name}: {}", skipped.fault.why()));
            }
            match read.set {
                Some(set) => result.given.push((*index, Arc::new(set))),
                None => {
                    result.unknown.push(format!("{file} has no key that the key set {} can use", rule.name()))
                }
            }
        }
        Ok(result)
    }
}

/// That the keys of a set are not known, and how to give them.
fn unknown(set: &RawKeySet) -> String {
    let name = set.name.as_deref().unwrap_or_default();
    let (host, path) = set
        .jwks
        .as_ref()
        .map(|jwks| (jwks.authority.as_deref().unwrap_or_default(), jwks.path.as_deref().unwrap_or_default()))
        .unwrap_or_default();
    format!(
        "the keys of the key set {name} are fetched by Envoy and not known here; save https://{host}{path} and give the file by \
         --jwks FILE"
    )
}
