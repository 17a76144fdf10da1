//! Section `revocation`.

use serde_json::Value;

use super::{CAPACITY, texts};
use crate::config::shape::{self, Misfits, Named, Shape, fields};
use crate::json::Path;

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// Section revocation.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawRevocation {
    /// Tokens refused by the configuration itself, which survives restarts.
    pub denied: RawDenied,
    /// Where tokens are revoked at run time; null = off.
    pub endpoint: Option<RawEndpoint>,
    /// The largest number of revocations at a time, 1 to 16777216.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = crate::cells::MAX_TABLE_CAPACITY)))]
    pub capacity: u64,
}

fields!(RawRevocation { denied, endpoint, capacity });

impl Default for RawRevocation {
    fn default() -> Self {
        Self { denied: RawDenied::default(), endpoint: None, capacity: CAPACITY }
    }
}

/// Section revocation.denied.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawDenied {
    /// Token identifiers.
    pub jti: Vec<String>,
    /// Subjects.
    pub sub: Vec<String>,
    /// Key identifiers.
    pub kid: Vec<String>,
    /// Subject to Unix time: tokens issued before it are refused.
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, u64>", extend("default" = {})))]
    pub sub_issued_before: Named<u64>,
}

fields!(RawDenied { jti, sub, kid, sub_issued_before });

/// Section revocation.endpoint.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawEndpoint {
    /// The path, without parameters.
    pub path: String,
    /// The permissions needed to revoke another subject's tokens.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub required_permissions: Vec<String>,
}

fields!(RawEndpoint { path, required_permissions });

impl Default for RawEndpoint {
    fn default() -> Self {
        Self { path: "/auth/revoke".to_owned(), required_permissions: texts(&["tokens:revoke"]) }
    }
}
