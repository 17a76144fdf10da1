//! Sections `tokens` (without its keys) and `roles`.

use serde_json::Value;

use super::{RawKey, texts};
use crate::config::shape::{self, Misfits, Named, Shape, fields, names};
use crate::json::Path;
use crate::permission::PermissionFormat;
use crate::policy::TooOld;

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// Section tokens.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["keys"])))]
pub struct RawTokens {
    /// The keys that tokens are verified with: at least one, two during a rotation.
    #[cfg_attr(feature = "schema", schemars(required, length(min = 1)))]
    pub keys: Vec<RawKey>,
    /// Where a request may carry its token.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub sources: Vec<RawSource>,
    /// Claims that every token must have.
    pub required_claims: Vec<String>,
    /// Accepted iss values; empty = not checked.
    pub issuers: Vec<String>,
    /// Accepted aud values; empty = not checked.
    pub audiences: Vec<String>,
    /// Tolerance for exp and nbf, seconds.
    pub clock_skew_seconds: u64,
    /// The age by iat above which a token is too old, hours.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub max_token_age_hours: u64,
    /// "warn" lets a token that is too old pass, "reject" refuses it.
    pub token_too_old: TooOld,
    /// The longest token, bytes; longer ones are refused unread.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub max_token_bytes: u64,
    /// The claim with the permissions; dots go into objects.
    pub permissions_claim: String,
    /// The form of every permission.
    pub permission_format: PermissionFormat,
}

fields!(RawTokens {
    keys,
    sources,
    required_claims,
    issuers,
    audiences,
    clock_skew_seconds,
    max_token_age_hours,
    token_too_old,
    max_token_bytes,
    permissions_claim,
    permission_format
});

impl Default for RawTokens {
    fn default() -> Self {
        Self {
            keys: Vec::new(),
            sources: vec![RawSource {
                header: Some("authorization".to_owned()),
                scheme: Some("Bearer".to_owned()),
                ..RawSource::default()
            }],
            required_claims: texts(&["sub", "exp", "iat"]),
            issuers: Vec::new(),
            audiences: Vec::new(),
            clock_skew_seconds: 0,
            max_token_age_hours: 24,
            token_too_old: TooOld::Warn,
            max_token_bytes: 8192,
            permissions_claim: "permissions".to_owned(),
            permission_format: PermissionFormat::ResourceAction,
        }
    }
}

names!(TooOld { "warn" => Warn, "reject" => Reject });

names!(PermissionFormat { "resource_action" => ResourceAction, "scope_token" => ScopeToken });

/// One source of tokens: exactly one of header, cookie, query.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawSource {
    /// A request header.
    pub header: Option<String>,
    /// The authentication scheme before the token, in any letter case.
    pub scheme: Option<String>,
    /// A cookie.
    pub cookie: Option<String>,
    /// A query parameter.
    pub query: Option<String>,
}

fields!(RawSource { header, scheme, cookie, query });

/// Section roles.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawRoles {
    /// The claim with the roles; dots go into objects.
    pub claim: String,
    /// Role to permissions.
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, Vec<String>>", extend("default" = {})))]
    pub grants: Named<Vec<String>>,
}

fields!(RawRoles { claim, grants });

impl Default for RawRoles {
    fn default() -> Self {
        Self { claim: "roles".to_owned(), grants: Vec::new() }
    }
}
