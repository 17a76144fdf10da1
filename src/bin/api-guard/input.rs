//! Files that are given by name, tokens, and standard input, which is called `-`.

use std::io::Read;
use std::path::Path;

use crate::outcome::Failure;

/// The bytes of a file, or of standard input.
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return std::fs::read(path);
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// A token as it was given: with or without `Bearer ` before it, or on standard input.
pub(crate) fn token(given: &str) -> Result<String, Failure> {
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
