//! What does the operator's text say? The answer is a valid [`Policy`], or a list of everything that is wrong.
//!
//! Text becomes a [`raw::RawConfig`] (shape), and that becomes a [`Policy`] (meaning). No code after this module checks
//! whether a setting makes sense. docs/configuration.md says what each setting means; the defaults are in [`raw`].

mod compile;
pub(crate) mod digest;
mod document;
pub mod error;
pub mod raw;
mod rfc3339;
mod shape;

pub use crate::policy::Policy;
pub use digest::digest;
use error::ConfigErrors;
use raw::RawConfig;

/// Where secrets named by `{"env": ...}` come from.
pub struct Environment<'e> {
    /// The value of a variable, if it is set.
    pub lookup: &'e dyn Fn(&str) -> Option<Vec<u8>>,
    /// Whether an unset variable is an error. If it is not, a key that names one verifies nothing.
    pub must_be_set: bool,
}

impl Policy {
    /// Reads a plugin configuration.
    ///
    /// # Errors
    ///
    /// Everything that is wrong with it, in the order of the document.
    pub fn parse(text: &[u8], environment: &Environment<'_>) -> Result<Self, ConfigErrors> {
        let mut document = document::Document::read(text);
        let raw = std::mem::take(&mut document.raw);
        let (policy, problems) = compile::compile(raw, environment);
        document.report(problems);
        match policy {
            Some(mut policy) if document.errors.is_empty() => {
                policy.digest = digest(text);
                Ok(policy)
            }
            _ => Err(ConfigErrors(document.errors)),
        }
    }

    /// Reads a configuration and checks its shape alone, which is what the JSON Schema describes.
    ///
    /// # Errors
    ///
    /// Everything that has the wrong shape, in the order of the document.
    pub fn parse_shape(text: &[u8]) -> Result<RawConfig, ConfigErrors> {
        let mut document = document::Document::read(text);
        document.report(Vec::new());
        if document.errors.is_empty() { Ok(document.raw) } else { Err(ConfigErrors(document.errors)) }
    }
}
