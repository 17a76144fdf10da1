//! Files that are given by name, and standard input, which is called `-`.

use std::io::Read;
use std::path::Path;

/// The bytes of a file, or of standard input.
pub(crate) fn read(path: &Path) -> std::io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return std::fs::read(path);
    }
    let mut bytes = Vec::new();
    std::io::stdin().read_to_end(&mut bytes)?;
    Ok(bytes)
}
