//! Who may revoke tokens?

use crate::index::PermissionIndex;

/// The revocation endpoint.
#[derive(Debug)]
pub(crate) struct Endpoint {
    /// The permissions that are needed, all of them, to revoke another subject's tokens.
    pub(crate) required: Vec<PermissionIndex>,
}
