//! What does the operator's text say? Either a [`Policy`], which is valid, or everything that is wrong with it at once.
//!
//! Text becomes [`raw::RawConfig`] (shape), and that becomes a [`Policy`] (meaning). Nothing after this module asks
//! whether a setting makes sense. The README says what each setting means; the defaults are in [`raw`].

mod compile;
mod document;
pub mod error;
pub mod raw;
mod rfc3339;
mod shape;

pub use crate::policy::Policy;
use error::ConfigErrors;
use raw::RawConfig;

/// Where secrets named by `{"env": ...}` come from.
pub struct Environment<'e> {
    /// The value of a variable, if it is set.
    pub lookup: &'e dyn Fn(&str) -> Option<Vec<u8>>,
    /// Whether a variable that is not set is an error. If not, its key verifies nothing.
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
            Some(policy) if document.errors.is_empty() => Ok(policy),
            _ => Err(ConfigErrors(document.errors)),
        }
    }

    /// The configuration as it is written, judged by its shape alone: what its JSON Schema describes.
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
