//! What is the upstream told about the caller?

#[cfg(feature = "schema")]
use schemars::JsonSchema;

use crate::token::claims::TextSlot;

/// What the upstream is told. Header names are in lower case.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) subject_header: Option<String>,
    pub(crate) permissions_header: Option<String>,
    /// Claims, and the headers that carry them.
    pub(crate) claims: Vec<(TextSlot, String)>,
    pub(crate) token: ForwardToken,
}

/// Whether the token is passed on to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum ForwardToken {
    /// The token stays in the request.
    Keep,
    /// The token is removed from the request.
    Strip,
}
