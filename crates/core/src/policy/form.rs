//! What form must a request have?

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// The form that requests must have where a route does not say otherwise.
#[derive(Debug)]
pub(crate) struct FormPolicy {
    pub(crate) allowed_methods: Vec<String>,
    /// Media types that a body may have; none: any.
    pub(crate) content_types: Vec<String>,
    /// The largest body, bytes.
    pub(crate) max_bytes: u64,
    pub(crate) https_only: bool,
    pub(crate) cors_preflight: CorsPreflight,
}

/// Whether a CORS preflight (Fetch, section 3.2.2) passes without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
#[cfg_attr(feature = "schema", schemars(description = "See [`RawRequest::cors_preflight`]."))]
pub enum CorsPreflight {
    /// OPTIONS is a method like any other.
    Reject,
    /// OPTIONS with Origin and Access-Control-Request-Method passes without a token.
    Forward,
}
