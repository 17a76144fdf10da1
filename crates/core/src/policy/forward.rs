//! What is the upstream told about the caller?

#[cfg(feature = "schema")]
use schemars::JsonSchema;

use crate::token::claims::TextSlot;

/// What the upstream is told. Header names are in lower case.
#[derive(Debug)]
pub(crate) struct Forward {
    pub(crate) subject_header: Option<String>,
    pub(crate) permissions_header: Option<String>,
    pub(crate) issuer_header: Option<String>,
    /// Claims, and the headers that carry them.
    pub(crate) claims: Vec<(TextSlot, String)>,
    pub(crate) token: ForwardToken,
    pub(crate) filter_state: SubjectState,
}

impl Forward {
    /// The names of the headers that are written.
    pub(crate) fn header_names(&self) -> impl Iterator<Item = &str> {
        let claims = self.claims.iter().map(|(_, name)| name);
        let own = [&self.subject_header, &self.permissions_header, &self.issuer_header];
        own.into_iter().flatten().chain(claims).map(String::as_str)
    }
}

/// Whether the token is passed on to the upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum ForwardToken {
    /// The token stays in the request.
    #[default]
    Keep,
    /// The token is removed from the request.
    Strip,
}

/// On which requests the filter state `wasm.api_guard.subject` is set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum SubjectState {
    /// On refused requests. Admitted ones name the subject in their header.
    #[default]
    Refusals,
    /// On admitted requests too, for later filters.
    All,
}
