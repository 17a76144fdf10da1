//! Who may revoke tokens?

use crate::index::PermissionIndex;

/// The revocation endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// All of them are needed to revoke another subject's tokens.
    pub(crate) required: Vec<PermissionIndex>,
}
