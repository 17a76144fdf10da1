//! Makes a module smaller by Binaryen's `wasm-opt`, which is 20 KB of what the module may have.
//!
//! Whoever builds without it gets a module that does the same and may be larger than the one that ships.

use std::path::PathBuf;
use std::process::Command;

/// What the compiler may have used, and nothing else.
const FEATURES: [&str; 4] = [
    "--enable-bulk-memory",
    "--enable-mutable-globals",
    "--enable-nontrapping-float-to-int",
    "--enable-sign-ext",
];

/// `module`, smaller; `None`, and a word to that end, if `wasm-opt` is not installed.
pub(crate) fn smaller(module: &[u8]) -> Result<Option<Vec<u8>>, String> {
    let folder = Folder::new()?;
    let (from, to) = (folder.0.join("from.wasm"), folder.0.join("to.wasm"));
    std::fs::write(&from, module).map_err(|error| format!("{}: {error}", from.display()))?;
    let run = Command::new("wasm-opt").args(FEATURES).arg("-Oz").arg(&from).arg("-o").arg(&to).output();
    match run {
        Ok(output) if output.status.success() => {
            std::fs::read(&to).map(Some).map_err(|error| format!("{}: {error}", to.display()))
        }
        Ok(output) => Err(format!("wasm-opt: {}", String::from_utf8_lossy(&output.stderr))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!(
                "wasm-opt is not installed, so the module is larger than it could be (Debian: apt-get install binaryen)"
            );
            Ok(None)
        }
        Err(error) => Err(format!("wasm-opt: {error}")),
    }
}

/// A folder that ends with this value.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Self, String> {
        let path = std::env::temp_dir().join(format!("api-guard-pack-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
