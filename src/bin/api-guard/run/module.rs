//! Which module Envoy loads: the one inside this command, or one that is named.

use std::path::{Path, PathBuf};

use crate::outcome::Failure;

/// The module that was built before this command; empty if there was none.
pub(crate) const EMBEDDED: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/module.wasm"));
/// How every WebAssembly module begins.
const MAGIC: &[u8] = b"\0asm";

/// The path of the module to load, written into `folder` if it is the one inside the command.
pub(super) fn place(named: Option<&Path>, folder: &Path) -> Result<PathBuf, Failure> {
    let Some(path) = named else {
        if EMBEDDED.is_empty() {
            return Err(Failure::failed(
                "this command was built without the module: build one with `make install` in a clone of the repository, \
                 or name a module with --module",
            ));
        }
        let path = folder.join("api_guard.wasm");
        std::fs::write(&path, EMBEDDED)
            .map_err(|error| Failure::failed(format!("{} cannot be written: {error}", path.display())))?;
        return Ok(path);
    };
    let bytes = std::fs::read(path)
        .map_err(|error| Failure::usage(format!("--module {}: {error}", path.display())))?;
    if !bytes.starts_with(MAGIC) {
        return Err(Failure::usage(format!(
            "--module {}: this is no WebAssembly module; `make build` leaves one at dist/api_guard.wasm",
            path.display()
        )));
    }
    std::path::absolute(path).map_err(|error| Failure::usage(format!("--module {}: {error}", path.display())))
}
