//! What a plugin configuration says and does, in words: for the command, and for the page that runs in a browser.
//!
//! - [`source`]: a text with a configuration, and where each of its values stands
//! - [`check`]: what is wrong or dangerous in it
//! - [`causes`]: which of the core's errors are worth telling
//! - [`precise`]: what they leave out
//! - [`explain`]: one request judged by the core with a host in memory, each step, and the rule that decides
//! - [`refused`]: what a refused token has, and what is taken in its place
//! - [`issue`]: tokens that a configuration accepts
//!
//! It knows no file, no clock, no environment and no terminal: who uses it gives it what it needs.

pub mod causes;
pub mod check;
pub mod explain;
pub mod issue;
pub mod limits;
pub mod precise;
pub mod refused;
pub mod rfc3339;
pub mod source;
pub mod wording;
pub mod words;
