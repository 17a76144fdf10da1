//! What does a route demand of its callers?

#[cfg(feature = "schema")]
use schemars::JsonSchema;
use smallvec::SmallVec;

use super::{Mode, Networks};
use crate::index::{ConditionIndex, KeyHeaderIndex, LimitIndex, PermissionIndex};
use crate::request::target::Lifts;
use crate::token::claims::TextSlot;

/// What one route demands.
#[derive(Debug)]
pub struct Route {
    /// Its name, or else its path.
    pub(crate) label: String,
    pub(crate) access: Access,
    /// Permissions, all of which are needed.
    pub(crate) required: SmallVec<[PermissionIndex; 2]>,
    /// Permissions, one of which is needed, unless the list is empty.
    pub(crate) any: Vec<PermissionIndex>,
    /// Path parameters and the claims that they must equal.
    pub(crate) bind: Vec<(String, TextSlot)>,
    /// Permissions, one of which frees the caller from `bind`.
    pub(crate) bind_unless: Vec<PermissionIndex>,
    /// Conditions, all of which the claims must meet.
    pub(crate) demands: Vec<Demand>,
    /// From where it may be used; `None`: from anywhere.
    pub(crate) networks: Option<Box<Networks>>,
    /// What its parameters may have in a path that is refused elsewhere.
    pub(crate) allowed_in_path: Lifts,
    /// Overrides [`FormPolicy::content_types`](super::FormPolicy::content_types).
    pub(crate) content_types: Option<Vec<String>>,
    /// Overrides [`FormPolicy::max_bytes`](super::FormPolicy::max_bytes), bytes.
    pub(crate) max_bytes: Option<u64>,
    /// Whether a body without a declared size is let through as it comes, and not held until it has ended.
    pub(crate) streams: bool,
    /// Its own limits, in addition to those for all routes.
    pub(crate) limits: Vec<LimitIndex>,
    /// The limits for all routes that do not apply to it.
    pub(crate) skipped_limits: Vec<LimitIndex>,
    pub(crate) mode: Mode,
    /// Whether this is the revocation endpoint.
    pub(crate) revokes: bool,
}

impl Route {
    /// Whether it asks for something that only a token has.
    pub(crate) fn asks(&self) -> bool {
        let Self { required, any, bind, demands, .. } = self;
        !(required.is_empty() && any.is_empty() && bind.is_empty() && demands.is_empty())
    }
}

/// A condition of a route. Each holds its claim's configured name.
#[derive(Debug)]
pub(crate) enum Demand {
    /// On the claim alone.
    Condition { claim: String, condition: ConditionIndex },
    /// The claim equals a request header, which stands once.
    EqualsHeader { claim: String, slot: TextSlot, header: KeyHeaderIndex },
}

/// Who may use a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum Access {
    /// Everybody; tokens are ignored.
    Public,
    /// Callers with a valid token, who count in full, and callers without any token.
    Optional,
    /// Callers with a valid token and the route's permissions.
    #[default]
    Authenticated,
    /// Nobody.
    Deny,
}

/// Who may use a path that has no route.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum Unmatched {
    /// Everybody; tokens are ignored.
    Public,
    /// Callers with a valid token.
    #[default]
    Authenticated,
    /// Nobody.
    Deny,
}

impl From<Unmatched> for Access {
    fn from(unmatched: Unmatched) -> Self {
        match unmatched {
            Unmatched::Public => Self::Public,
            Unmatched::Authenticated => Self::Authenticated,
            Unmatched::Deny => Self::Deny,
        }
    }
}
