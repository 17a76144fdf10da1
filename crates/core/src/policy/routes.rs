//! What does a route demand of its callers?

#[cfg(feature = "schema")]
use schemars::JsonSchema;

use super::Mode;
use crate::index::{LimitIndex, PermissionIndex};
use crate::token::claims::TextSlot;

/// What one route demands.
#[derive(Debug)]
pub struct Route {
    /// Its name, or else its path.
    pub(crate) label: String,
    pub(crate) access: Access,
    /// Permissions, all of which are needed.
    pub(crate) required: Vec<PermissionIndex>,
    /// Permissions, one of which is needed, unless the list is empty.
    pub(crate) any: Vec<PermissionIndex>,
    /// Path parameters and the claims that they must equal.
    pub(crate) bind: Vec<(String, TextSlot)>,
    /// Overrides [`FormPolicy::content_types`](super::FormPolicy::content_types).
    pub(crate) content_types: Option<Vec<String>>,
    /// Overrides [`FormPolicy::max_bytes`](super::FormPolicy::max_bytes), bytes.
    pub(crate) max_bytes: Option<u64>,
    /// Its own limits, in addition to those for all routes.
    pub(crate) limits: Vec<LimitIndex>,
    pub(crate) mode: Mode,
    /// Whether this is the revocation endpoint.
    pub(crate) revokes: bool,
}

/// Who may use a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum Access {
    /// Everybody; tokens are ignored.
    Public,
    /// Callers with a valid token and the route's permissions.
    #[default]
    Authenticated,
    /// Nobody.
    Deny,
}
