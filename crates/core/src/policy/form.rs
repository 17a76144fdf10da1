//! What form must a request have?

#[cfg(feature = "schema")]
use schemars::JsonSchema;

use crate::route::PathCase;

/// The form that requests must have unless a route says otherwise.
#[derive(Debug)]
pub(crate) struct FormPolicy {
    pub(crate) allowed_methods: Vec<String>,
    /// Accepted media types of bodies; if empty, any.
    pub(crate) content_types: Vec<String>,
    /// The largest body, bytes.
    pub(crate) max_bytes: u64,
    /// The largest sum of all bodies that the process holds back at a time, bytes.
    pub(crate) max_held_bytes: u64,
    pub(crate) https_only: bool,
    /// Whether a query parameter `_method`, by which some frameworks let a client override the method, is refused.
    pub(crate) refuses_method_parameter: bool,
    pub(crate) cors_preflight: CorsPreflight,
    pub(crate) path_case: PathCase,
}

/// Whether a CORS preflight (Fetch standard, section 3.2.2) passes without a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum CorsPreflight {
    /// OPTIONS is a method like any other.
    #[default]
    Reject,
    /// OPTIONS with Origin and Access-Control-Request-Method passes without a token.
    Forward,
}
