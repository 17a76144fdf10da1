//! Files for the command to read.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

/// A file that is gone when the test is over.
pub(crate) struct File(PathBuf);

impl File {
    pub(crate) fn new(content: impl AsRef<[u8]>) -> Self {
        Self::with_ending(content, "")
    }

    /// Envoy tells formats by the end of the name.
    pub(crate) fn with_ending(content: impl AsRef<[u8]>, ending: &str) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path =
            std::env::temp_dir().join(format!("api-guard-cli-{}-{number}{ending}", std::process::id()));
        std::fs::write(&path, content).expect("a file");
        Self(path)
    }

    pub(crate) fn path(&self) -> &str {
        self.0.to_str().expect("a path of text")
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// A file of the project.
pub(crate) fn project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

/// The smallest configuration with `changes` laid over it (RFC 7396, but that null stays).
pub(crate) fn config(changes: serde_json::Value) -> serde_json::Value {
    use serde_json::Value;
    fn merge(target: &mut Value, patch: Value) {
        match (target, patch) {
            (Value::Object(target), Value::Object(patch)) => {
                for (name, value) in patch {
                    merge(target.entry(name).or_insert(Value::Null), value);
                }
            }
            (target, patch) => *target = patch,
        }
    }
    let mut config =
        serde_json::json!({ "tokens": { "keys": [{ "secret": { "env": "API_GUARD_SECRET" } }] } });
    merge(&mut config, changes);
    config
}
