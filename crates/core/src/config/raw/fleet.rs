//! Section `fleet`.

use super::RawSecret;
use crate::config::shape::{self, Misfits, Shape, fields, names};
use crate::fleet::{AtStart, WhenUnreachable};
use crate::json::{Json, Path};

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// Section fleet.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["cluster", "secret"])))]
pub struct RawFleet {
    /// Envoy's cluster with the TCP connection pool that leads to Redis or Valkey.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub cluster: Option<String>,
    /// The store's user; null = its default user.
    pub username: Option<String>,
    /// The store's password; null = none.
    pub password: Option<RawSecret>,
    /// At least 32 bytes, the same in all Envoys: under it stands all that the store holds.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub secret: Option<RawSecret>,
    /// What the names of all keys in the store begin with: 1 to 32 letters, digits, - or _.
    pub prefix: String,
    /// How long a call to the store may take, milliseconds, 1 to 1000.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1000)))]
    pub timeout_milliseconds: u64,
    /// The number of Envoys; null = as many as the store has seen lately.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 100_000)))]
    pub nodes: Option<u64>,
}

fields!(RawFleet { cluster, username, password, secret, prefix, timeout_milliseconds, nodes });

impl Default for RawFleet {
    fn default() -> Self {
        Self {
            cluster: None,
            username: None,
            password: None,
            secret: None,
            prefix: "ag".to_owned(),
            timeout_milliseconds: 50,
            nodes: None,
        }
    }
}

impl RawFleet {
    /// The variables of the VM's environment that hold its secret and its password.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.secret.iter().chain(&self.password).filter_map(RawSecret::variable)
    }
}

/// Who counts together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum Scope {
    /// The workers of each Envoy.
    #[default]
    Envoy,
    /// All Envoys of the fleet.
    Fleet,
}

names!(Scope { "envoy" => Envoy, "fleet" => Fleet });

names!(WhenUnreachable { "share" => Share, "refuse" => Refuse, "alone" => Alone });

names!(AtStart { "refuse" => Refuse, "serve" => Serve });

/// Section revocation.fleet.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawSharedRevocations {
    /// How often the store is asked for new revocations, seconds.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 3600)))]
    pub poll_seconds: u64,
    /// What becomes of requests with a token until all revocations were read for the first time: "refuse" or "serve".
    pub at_start: AtStart,
    /// How long ago all of them may have been read before requests with a token are refused, seconds; null = however long.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 31_622_400)))]
    pub max_age_seconds: Option<u64>,
}

fields!(RawSharedRevocations { poll_seconds, at_start, max_age_seconds });

impl Default for RawSharedRevocations {
    fn default() -> Self {
        Self { poll_seconds: 1, at_start: AtStart::Refuse, max_age_seconds: None }
    }
}
