//! What happens to a token that verifies but is too old?

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// What happens to a token older than max_token_age_hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum TooOld {
    /// It passes and is logged.
    #[default]
    Warn,
    /// It is refused with 401 token_too_old.
    Reject,
}
