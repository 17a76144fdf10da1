//! Where the pods get the module, or the library, from.

use std::path::Path;

use sha2::{Digest, Sha256};

use super::MOST_OF_A_CONFIG_MAP;
use crate::outcome::Failure;
use crate::run::guard;

/// How every WebAssembly module begins, and every library.
const MAGIC: [(&[u8], &str); 2] = [(b"\0asm", "WebAssembly module"), (b"\x7fELF", "library of Linux")];

/// Where the pods get the module from.
pub(crate) enum Source {
    /// A ConfigMap with these bytes.
    ConfigMap(Vec<u8>),
    /// An image that is mounted as a volume.
    Image(String),
}

impl Source {
    /// The module of a file, or the one inside the command, or else of an image.
    pub(crate) fn choose(
        named: Option<&str>,
        image: Option<&str>,
        sha256: Option<&str>,
        is_native: bool,
        default: &str,
    ) -> Result<Self, Failure> {
        let inside = guard::MODULE;
        match (named, image) {
            (Some(_), Some(_)) => Err(Failure::usage(
                "--module and --image: the pods get the module from one of them; leave the other out",
            )),
            (Some(path), None) => {
                let bytes = std::fs::read(Path::new(path)).map_err(|error| {
                    Failure::usage(format!("--module {path:?}: {error}; write the path of a file"))
                })?;
                Self::of_bytes(path, bytes, sha256, is_native)
            }
            (None, None) if !is_native && !inside.is_empty() => {
                Self::of_bytes("the module inside this command", inside.to_vec(), sha256, false)
            }
            (None, image) => {
                let image = image.unwrap_or(default).trim_start_matches("oci://");
                if image.contains("://") {
                    return Err(Failure::usage(format!(
                        "--image {image:?}: pods mount images of a registry; write REGISTRY/NAME:TAG, or name a file by \
                         --module"
                    )));
                }
                match (image.split_once('@'), sha256) {
                    (Some((_, digest)), Some(sha256)) if digest != format!("sha256:{sha256}") => {
                        Err(Failure::usage(format!(
                            "--sha256 {sha256:?}: --image has the digest {digest}; write it in one place"
                        )))
                    }
                    (None, Some(sha256)) => Ok(Self::Image(format!("{image}@sha256:{sha256}"))),
                    (Some(_), _) | (None, None) => Ok(Self::Image(image.to_owned())),
                }
            }
        }
    }

    fn of_bytes(what: &str, bytes: Vec<u8>, sha256: Option<&str>, is_native: bool) -> Result<Self, Failure> {
        let [module, library] = MAGIC;
        let (magic, kind) = if is_native { library } else { module };
        if !bytes.starts_with(magic) {
            return Err(Failure::usage(format!("--module {what:?}: it is no {kind}; write the path of one")));
        }
        if bytes.len() > MOST_OF_A_CONFIG_MAP {
            return Err(Failure::usage(format!(
                "--module {what:?}: it has {} bytes, and a ConfigMap may hold {MOST_OF_A_CONFIG_MAP}; put it into an image, \
                 and write --image",
                bytes.len()
            )));
        }
        let found = hexadecimal(&bytes);
        if sha256.is_some_and(|expected| expected != found) {
            return Err(Failure::failed(format!(
                "--sha256: {what} has the SHA-256 {found}; write that, or another module"
            )));
        }
        Ok(Self::ConfigMap(bytes))
    }
}

/// The SHA-256 in hexadecimal.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
