//! What Envoy loads: the module or the native library, the one inside this command or one that is named.

use std::path::{Path, PathBuf};

use crate::outcome::{Failure, say};

/// One of the two forms of the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Module,
    Library,
}

/// What was built before this command; empty if there was none.
pub(crate) const MODULE: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/api_guard.wasm"));
const LIBRARY: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/libapi_guard.so"));

/// Where a clone of the repository has what was built after this command.
const BUILT: &str = "dist";

/// A guard that Envoy can load.
#[derive(Debug)]
pub(super) struct Guard {
    pub(super) form: Form,
    /// Its whole path.
    pub(super) path: String,
}

impl Guard {
    /// The one that is named, else the one inside the command, which is written into `folder`, else the one that was
    /// built in the working directory, where `emit` names it too.
    pub(super) fn place(form: Form, named: Option<&Path>, folder: &Path) -> Result<Self, Failure> {
        let path = match named {
            Some(path) => form.named(path)?,
            None => form.embedded(folder)?,
        };
        Ok(Self { form, path: path.display().to_string() })
    }
}

impl Form {
    fn named(self, path: &Path) -> Result<PathBuf, Failure> {
        let wrong = |what: &str| Failure::usage(format!("{} {}: {what}", self.option(), path.display()));
        let bytes = std::fs::read(path).map_err(|error| wrong(&error.to_string()))?;
        if !bytes.starts_with(self.magic()) {
            return Err(wrong(match self {
                Self::Module => {
                    "this is no WebAssembly module; `make build` leaves one at dist/api_guard.wasm"
                }
                Self::Library => {
                    "this is no shared library; `make native` leaves one at dist/libapi_guard.so"
                }
            }));
        }
        std::path::absolute(path).map_err(|error| wrong(&error.to_string()))
    }

    fn embedded(self, folder: &Path) -> Result<PathBuf, Failure> {
        let (bytes, name, missing) = match self {
            Self::Module => (
                MODULE,
                "api_guard.wasm",
                "this command was built without the module, as `cargo install` alone does. In a clone of the \
                 repository, `make install` builds both; or name a module with --module FILE",
            ),
            Self::Library => (
                LIBRARY,
                "libapi_guard.so",
                "this command was built without the native library. In a clone of the repository (Linux), \
                 `make native install` builds both; or name a library with --library FILE",
            ),
        };
        if bytes.is_empty() {
            let built = Path::new(BUILT).join(name);
            if !built.is_file() {
                return Err(Failure::failed(missing));
            }
            say(&format!("taking {}, because there is none inside this command", built.display()));
            return self.named(&built);
        }
        let path = folder.join(name);
        std::fs::write(&path, bytes)
            .map_err(|error| Failure::failed(format!("{} cannot be written: {error}", path.display())))?;
        Ok(path)
    }

    const fn option(self) -> &'static str {
        match self {
            Self::Module => "--module",
            Self::Library => "--library",
        }
    }

    /// How every such file begins.
    const fn magic(self) -> &'static [u8] {
        match self {
            Self::Module => b"\0asm",
            Self::Library => b"\x7fELF",
        }
    }
}
