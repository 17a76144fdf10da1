//! Cases with a known verdict. Those of the RFCs and of our own are in here, and always run; those of other projects are
//! not part of the repository.

mod json;
mod mac;
mod path;
mod public;
mod rfc;

use std::path::{Path, PathBuf};

pub use json::{Reading, Text, texts};
pub use mac::{Forgery, forgeries};
pub use path::{PATHS, PathVector};
pub use public::{PUBLIC_EXAMPLES, PublicExample};
pub use rfc::{EXAMPLES, Example, MACS, Mac};

/// A file or folder among the vectors of other projects: in `API_GUARD_VECTORS`, else in `../shared/vectors` beside the
/// repository. Where it is absent this is told, and the test that asked is to pass.
pub fn foreign(name: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("API_GUARD_VECTORS")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/vectors"), PathBuf::from);
    let path = folder.join(name);
    if path.exists() {
        return Some(path);
    }
    crate::skip(&format!("no {} (API_GUARD_VECTORS)", path.display()));
    None
}
