//! The configuration as it is written: its shape, names and defaults. Values are not checked here.
//!
//! Every struct refuses unknown fields and has defaults. Compiling turns this into a valid [`Policy`](super::Policy).
//! `api-guard schema` prints the JSON Schema of these types; their doc comments become its descriptions.

mod conditions;
mod forward;
mod keys;
mod limits;
mod public_keys;
mod replies;
mod request;
mod revocation;
mod routes;
mod tokens;

use super::shape::{self, Misfits, Shape, fields, names};
use crate::json::{Json, Path};
use crate::policy::{Mode, Unmatched};

#[cfg(feature = "schema")]
use schemars::JsonSchema;

pub use conditions::{RawCondition, RawScalar};
pub use forward::RawForward;
pub use keys::{RawKey, RawSecret};
pub use limits::{RawAuthFailureLimit, RawClientIp, RawLimit, RawMaxRequests, RawTiers};
pub use public_keys::{RawInline, RawJwks, RawKeySet, RawPublicKey};
pub use replies::RawReplies;
pub use request::{MethodOverride, RawRequest, RewriteHeaders};
pub use revocation::{RawDenied, RawEndpoint, RawRevocation, RawSubject, RawSubjectOfIssuer};
pub use routes::{AllowedInPath, BodyHandling, RawRoute};
pub use tokens::{RawClaimValue, RawClaims, RawRoles, RawSource, RawTokens};

/// The default capacity of a shared table, in entries.
const CAPACITY: u64 = 65_536;

/// The whole plugin configuration.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(title = "api-guard plugin configuration"))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["tokens"])))]
pub struct RawConfig {
    /// "enforce" refuses; "report" lets every request pass, and counts and logs what would have been refused.
    pub mode: Mode,
    /// How tokens are found and verified.
    pub tokens: RawTokens,
    /// The form that every request must have.
    pub request: RawRequest,
    /// What each path demands. The most specific path wins, not the first.
    pub routes: Vec<RawRoute>,
    /// What a path without a route demands.
    pub unmatched_routes: Unmatched,
    /// Roles in the token that become permissions.
    pub roles: Option<RawRoles>,
    /// Limits for all routes; all that apply must admit.
    pub rate_limits: Vec<RawLimit>,
    /// Limits how many tokens that nobody of ours signed one client address may send.
    pub auth_failure_limit: Option<RawAuthFailureLimit>,
    /// What counts as the client's address.
    pub client_ip: RawClientIp,
    /// Identities counted exactly at a time, 1 to 16777216. Memory is fixed when Envoy starts.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = crate::cells::MAX_TABLE_CAPACITY)))]
    pub limiter_capacity: u64,
    /// Tokens that are refused although they verify.
    pub revocation: RawRevocation,
    /// What the upstream is told about the caller.
    pub forward: RawForward,
    /// How refusals are worded.
    pub replies: RawReplies,
}

fields!(RawConfig {
    mode,
    tokens,
    request,
    routes,
    unmatched_routes,
    roles,
    rate_limits,
    auth_failure_limit,
    client_ip,
    limiter_capacity,
    revocation,
    forward,
    replies
});

impl Default for RawConfig {
    fn default() -> Self {
        Self {
            mode: Mode::default(),
            tokens: RawTokens::default(),
            request: RawRequest::default(),
            routes: Vec::new(),
            unmatched_routes: Unmatched::default(),
            roles: None,
            rate_limits: vec![RawLimit {
                name: Some("default".to_owned()),
                max_requests: Some(RawMaxRequests::Fixed(100)),
                window_seconds: Some(60),
                ..RawLimit::default()
            }],
            auth_failure_limit: None,
            client_ip: RawClientIp::default(),
            limiter_capacity: CAPACITY,
            revocation: RawRevocation::default(),
            forward: RawForward::default(),
            replies: RawReplies::default(),
        }
    }
}

names!(Mode { "enforce" => Enforce, "report" => Report });

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|&value| value.to_owned()).collect()
}
