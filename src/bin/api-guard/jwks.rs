//! `--jwks FILE`: what a key set would fetch, from a file.

mod malformed;

use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use api_guard_core::config::raw::{RawConfig, RawKeySet};
use api_guard_core::index::KeySetIndex;
use api_guard_core::policy::Policy;
use api_guard_core::token::key_set::{KeySet, KeySetFault, MAX_SET_BYTES, MAX_SET_KEYS};
use api_guard_core::token::public_key::KeyFault;

use crate::input;
use crate::outcome::{Failure, say};
use malformed::{PUBLIC_ALONE, malformed};

/// The key sets of `inspect` and `explain`.
#[derive(clap::Args)]
pub(crate) struct Jwks {
    /// A key set (JWKS) in place of what would be fetched; NAME=FILE for one of several sets; may be repeated; - for standard input
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

/// A file that is given.
struct Given<'f> {
    /// The set that it is for; `None`: every set without a file of its own.
    set: Option<&'f str>,
    file: &'f str,
    bytes: Vec<u8>,
}

impl Jwks {
    /// Whether any file is given.
    pub(crate) fn is_given(&self) -> bool {
        !self.files.is_empty()
    }

    /// The files, whatever sets they are for.
    pub(crate) fn paths(&self) -> impl Iterator<Item = &Path> {
        self.files.iter().map(|text| Path::new(text.rsplit_once('=').map_or(text.as_str(), |(_, file)| file)))
    }

    /// Reads the files. One without a name stands for every set that is fetched and has no file of its own.
    pub(crate) fn read(&self, policy: &Policy, raw: &RawConfig) -> Result<Fetched, Failure> {
        let fetched: Vec<_> = policy.tokens().keys().fetched_sets().collect();
        let names: Vec<&str> = fetched.iter().map(|(_, rule)| rule.name()).collect();
        let files = self.files(&names, raw)?;
        let mut result = Fetched::default();
        for (index, rule) in &fetched {
            let of_set = |name| files.iter().find(|given| given.set == name);
            let Some(Given { file, bytes, .. }) = of_set(Some(rule.name())).or_else(|| of_set(None)) else {
                result.unknown.extend(raw.tokens.key_sets.get(index.get()).map(unknown));
                continue;
            };
            let read = KeySet::read(bytes, rule.algorithms())
                .map_err(|fault| Failure::failed(format!("{file}: {}", why(fault, bytes))))?;
            for skipped in &read.skipped {
                let (name, key) = (rule.name(), skipped.index);
                let mut why = skipped.fault.why().to_owned();
                if skipped.fault == KeyFault::Private {
                    why = format!("{why}; {PUBLIC_ALONE}");
                }
                say(&format!("note: {file}: /keys/{key} is not used by {name}: {why}"));
            }
            match read.set {
                Some(set) => result.given.push((*index, Arc::new(set))),
                None => {
                    let name = rule.name();
                    result.unknown.push(format!("{file} has no key that the key set {name} can use"));
                }
            }
        }
        Ok(result)
    }

    /// What is given. `names`: those of the sets that are fetched.
    fn files(&self, names: &[&str], raw: &RawConfig) -> Result<Vec<Given<'_>>, Failure> {
        let mut files: Vec<Given<'_>> = Vec::new();
        for text in &self.files {
            let wrong = |problem: String| Failure::usage(format!("--jwks {text}: {problem}"));
            if names.is_empty() {
                let text =
                    "the configuration fetches no key set (/tokens/key_sets with a cluster); remove it";
                return Err(wrong(text.to_owned()));
            }
            let named = text.split_once('=').filter(|(name, _)| names.contains(name));
            let (set, file) = named.map_or((None, text.as_str()), |(name, file)| (Some(name), file));
            if files.iter().any(|given| given.set == set) {
                let names = names.join(", ");
                return Err(wrong(format!("a second file; write NAME=FILE, once for each of {names}")));
            }
            let bytes = input::read(Path::new(file)).map_err(|error| match text.split_once('=') {
                Some((name, _)) if named.is_none() && error.kind() == ErrorKind::NotFound => {
                    wrong(no_set(name, names, raw))
                }
                Some(_) | None => {
                    let why = input::reason(&error);
                    wrong(format!("cannot be read: {why} (the key sets are {})", names.join(", ")))
                }
            })?;
            files.push(Given { set, file, bytes });
        }
        Ok(files)
    }
}

/// That no set of this name is fetched.
fn no_set(name: &str, names: &[&str], raw: &RawConfig) -> String {
    let names = names.join(", ");
    if raw.tokens.key_sets.iter().any(|set| set.name.as_deref() == Some(name)) {
        return format!("the key set {name} has its keys in the configuration; a file may stand for {names}");
    }
    format!("no key set is named {name:?}, and there is no such file; a file may stand for {names}")
}

fn why(fault: KeySetFault, bytes: &[u8]) -> String {
    match fault {
        KeySetFault::TooLarge => {
            format!("more than {MAX_SET_BYTES} bytes or {MAX_SET_KEYS} keys, which no guard takes")
        }
        KeySetFault::Malformed => malformed(bytes),
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
