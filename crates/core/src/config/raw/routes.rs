//! Section `routes`, and who may use a path.

use super::{RawCondition, RawLimit};
use crate::config::shape::{self, Misfits, Named, Shape, fields, names};
use crate::json::{Json, Path};
use crate::policy::{Access, Mode, Unmatched};

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// One route.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["path"])))]
pub struct RawRoute {
    /// The name in logs, metrics and filter state; default: the path.
    pub name: Option<String>,
    /// Literal segments, {name} for one segment, {*name} for the rest, none included.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub path: Option<String>,
    /// Hosts of the route, such as "api.example.com" or "*.example.org"; absent = any. A host's own routes come first.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub hosts: Option<Vec<String>>,
    /// Methods of the route; absent = all of request.allowed_methods.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub methods: Option<Vec<String>>,
    /// Who may use it.
    pub access: Access,
    /// Permissions, all of which the caller needs.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub required_permissions: Option<Vec<String>>,
    /// Permissions, one of which the caller needs.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub any_permissions: Option<Vec<String>>,
    /// Path parameter to claim: they must be equal.
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, String>", extend("default" = {})))]
    pub bind: Named<String>,
    /// Permissions, one of which frees the caller from bind.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub bind_unless: Option<Vec<String>>,
    /// Conditions on claims, all of which must be met.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub require: Option<Vec<RawCondition>>,
    /// Networks from which alone the route may be used, such as "10.0.0.0/8".
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub allow_from: Option<Vec<String>>,
    /// Networks from which the route may not be used, even if allow_from has them.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub deny_from: Option<Vec<String>>,
    /// What the path's parameters may have in them that is refused in other paths.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub allow_in_path: Option<Vec<AllowedInPath>>,
    /// Overrides request.content_types.
    pub content_types: Option<Vec<String>>,
    /// Overrides request.max_request_size_bytes.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub max_request_size_bytes: Option<u64>,
    /// What is done with a body of undeclared size until it has ended.
    pub body: BodyHandling,
    /// Limits of this route, in addition to the global ones.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub rate_limits: Option<Vec<RawLimit>>,
    /// Names of global limits that do not apply to this route; ["*"] = none of them does.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub skip_limits: Option<Vec<String>>,
    /// Overrides the mode of the configuration.
    pub mode: Option<Mode>,
}

fields!(RawRoute {
    name,
    path,
    hosts,
    methods,
    access,
    required_permissions,
    any_permissions,
    bind,
    bind_unless,
    require,
    allow_from,
    deny_from,
    allow_in_path,
    content_types,
    max_request_size_bytes,
    body,
    rate_limits,
    skip_limits,
    mode
});

names!(Access { "public" => Public, "optional" => Optional, "authenticated" => Authenticated, "deny" => Deny });

names!(Unmatched { "public" => Public, "authenticated" => Authenticated, "deny" => Deny });

/// What is done with a body of undeclared size until it has ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum BodyHandling {
    /// The request is held, so that the upstream never sees a body that is too large.
    #[default]
    Hold,
    /// It goes on as it comes, and is cut off where it is too large.
    Stream,
}

names!(BodyHandling { "hold" => Hold, "stream" => Stream });

/// Something that is refused in paths, unless a route allows it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "snake_case"))]
pub enum AllowedInPath {
    /// %2F: a slash that does not end the segment.
    #[default]
    EncodedSlash,
    /// A semicolon, raw or encoded.
    Semicolon,
    /// An encoded letter, digit, -, ., _ or ~, such as %7E.
    EncodedUnreserved,
}

names!(AllowedInPath {
    "encoded_slash" => EncodedSlash,
    "semicolon" => Semicolon,
    "encoded_unreserved" => EncodedUnreserved
});
