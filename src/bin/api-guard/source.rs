//! A file with a plugin configuration: the configuration itself, or a manifest that contains one or several.

mod written;

use std::path::Path;

use crate::excerpt::Excerpts;
use crate::input;
use crate::outcome::Failure;
pub(crate) use api_guard_explain::source::*;
use tree::{Malformed, Node};
pub(crate) use written::{Configuration, Written, configuration, errors};

/// The contents of a file; `-` is standard input. A file that cannot be read counts as wrong usage.
pub(crate) fn bytes(path: &Path) -> Result<Vec<u8>, Failure> {
    input::read(path).map_err(|error| {
        Failure::usage(format!("{} cannot be read: {}", path.display(), input::reason(&error)))
    })
}

/// The value of a variable of the environment.
pub(crate) fn variable(name: &str) -> Option<Vec<u8>> {
    std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes)
}

/// Reads a file: what it contains, and its text.
pub(crate) fn read(path: &Path) -> Result<(Source, String), Failure> {
    match String::from_utf8(bytes(path)?) {
        Ok(text) => Ok((of_text(text.clone()), text)),
        Err(error) => {
            let good = error.as_bytes().get(..error.utf8_error().valid_up_to()).unwrap_or_default();
            let good = String::from_utf8_lossy(good).into_owned();
            let problem = "not UTF-8; save it as UTF-8".to_owned();
            Ok((Source::Malformed(Malformed { mark: plugin::end_of(&good), problem }), good))
        }
    }
}

/// A file of JSON or YAML that is no configuration.
pub(crate) struct Document {
    pub(crate) root: Node,
}

/// Reads a file that has one document.
pub(crate) fn document(path: &Path) -> Result<Document, Failure> {
    let file = path.display();
    let text = String::from_utf8(bytes(path)?)
        .map_err(|_| Failure::failed(format!("{file}: not UTF-8; save it as UTF-8")))?;
    let mut documents = documents(&text).map_err(|Malformed { mark, problem }| {
        Failure::failed(format!("{file}:{}:{}: neither JSON nor YAML: {problem}", mark.line, mark.column))
    })?;
    if documents.len() != 1 {
        return Err(Failure::failed(format!("{file}: {} documents; write one", documents.len())));
    }
    Ok(Document { root: documents.remove(0) })
}

/// Excerpts of a file without the secrets that are in it.
pub(crate) fn excerpts(source: &Source, text: &str) -> Excerpts {
    Excerpts::new(text, secrets::of(source).as_deref())
}
