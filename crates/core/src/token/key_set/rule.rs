//! What does the configuration demand of a key set, and where do its keys come from?

use std::sync::Arc;

use super::KeySet;
use crate::permission::PermissionFormat;
use crate::token::algorithm::PublicAlgorithms;
use crate::token::claims::Slot;

/// A set of keys that an issuer publishes.
#[derive(Debug)]
pub struct KeySetRule {
    /// Its name in metrics, logs and errors.
    pub(crate) name: String,
    /// The issuers that its keys vouch for; at least one.
    pub(crate) issuers: Vec<String>,
    /// The audiences that its keys vouch for; empty: those of the policy.
    pub(crate) audiences: Vec<String>,
    /// The algorithms of its tokens.
    pub(crate) algorithms: PublicAlgorithms,
    pub(crate) source: KeySource,
    /// The claims with permissions; `None`: those of the policy.
    pub(crate) permissions: Option<Vec<Slot>>,
    /// The form of every permission; `None`: that of the policy.
    pub(crate) permission_format: Option<PermissionFormat>,
}

/// Where the keys of a set come from.
#[derive(Debug)]
pub enum KeySource {
    /// From the configuration.
    Inline(Arc<KeySet>),
    /// From an address.
    Remote(RemoteSet),
}

/// Where a set is fetched, and when.
#[derive(Debug)]
pub struct RemoteSet {
    /// The cluster of the proxy.
    pub(crate) cluster: String,
    /// The path with its query.
    pub(crate) path: String,
    /// The host, which is the request's `:authority`.
    pub(crate) authority: String,
    pub(crate) timeout_milliseconds: u32,
    /// How often it is fetched anew, give or take a tenth.
    pub(crate) refresh_seconds: u64,
    /// A kid that the set does not have asks for a fetch at most so often.
    pub(crate) min_refetch_seconds: u64,
    /// For how long a set is used that could not be fetched anew.
    pub(crate) max_stale_seconds: u64,
}

impl KeySetRule {
    /// Its name in metrics, logs and errors.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its keys come from.
    pub fn source(&self) -> &KeySource {
        &self.source
    }

    /// The algorithms of its tokens.
    pub fn algorithms(&self) -> PublicAlgorithms {
        self.algorithms
    }

    pub(in crate::token) fn names(&self, issuer: &str) -> bool {
        self.issuers.iter().any(|known| known == issuer)
    }
}

impl RemoteSet {
    /// The cluster of the proxy.
    pub fn cluster(&self) -> &str {
        &self.cluster
    }
}
