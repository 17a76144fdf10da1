//! Files that are given by name, tokens, and standard input, which is called `-`.

use std::fs::File;
use std::io::{Error, ErrorKind, Read, Result};
use std::path::Path;

use crate::outcome::Failure;

/// No configuration, manifest or key is larger. A device that never ends is.
const MAX_BYTES: u64 = 64 << 20;

/// The bytes of a file, or of standard input.
///
/// # Errors
///
/// It cannot be read, or has more than [`MAX_BYTES`].
pub(crate) fn read(path: &Path) -> Result<Vec<u8>> {
    if path != Path::new("-") {
        return bounded(File::open(path)?);
    }
    bounded(std::io::stdin())
}

/// Refuses standard input that is named twice among all that a subcommand reads: the second one would find nothing in it, or
/// take for a token what is meant to be a configuration.
///
/// # Errors
///
/// It is.
pub(crate) fn once<'n>(names: impl IntoIterator<Item = &'n Path>) -> std::result::Result<(), Failure> {
    if names.into_iter().filter(|name| *name == Path::new("-")).count() > 1 {
        return Err(Failure::usage("standard input (-) can be read once; name it once"));
    }
    Ok(())
}

fn bounded(from: impl Read) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let read = from.take(MAX_BYTES.saturating_add(1)).read_to_end(&mut bytes)?;
    if u64::try_from(read).is_ok_and(|read| read <= MAX_BYTES) {
        return Ok(bytes);
    }
    Err(Error::other(format!("it has more than {} MiB", MAX_BYTES >> 20)))
}

/// Why a file cannot be read, without the system's number of the error.
pub(crate) fn reason(error: &Error) -> String {
    let kind = error.kind();
    if kind == ErrorKind::NotFound {
        "there is no such file".to_owned()
    } else if kind == ErrorKind::IsADirectory {
        "it is a directory; name a file".to_owned()
    } else if kind == ErrorKind::PermissionDenied {
        "you may not read it".to_owned()
    } else {
        error.to_string()
    }
}

/// A token as it was given: with or without `Bearer ` before it, or on standard input.
pub(crate) fn token(given: &str) -> std::result::Result<String, Failure> {
    let mut text = given.to_owned();
    if text == "-" {
        text.clear();
        std::io::stdin()
            .read_to_string(&mut text)
            .map_err(|error| Failure::usage(format!("standard input cannot be read: {error}")))?;
    }
    let text = text.trim();
    let bearer = text.get(..7).is_some_and(|scheme| scheme.eq_ignore_ascii_case("bearer "));
    let token = if bearer { text.get(7..).unwrap_or_default() } else { text };
    Ok(token.trim().to_owned())
}
