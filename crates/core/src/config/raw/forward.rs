//! Section `forward`.

use crate::config::shape::{self, Misfits, Named, Shape, fields, names};
use crate::json::{Json, Path};
use crate::policy::{ForwardToken, SubjectState};

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// Section forward.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawForward {
    /// Header for the verified subject; null = off.
    pub subject_header: Option<String>,
    /// Header for the permissions, space-separated; null = off.
    pub permissions_header: Option<String>,
    /// Header for the verified issuer; null = off.
    pub issuer_header: Option<String>,
    /// Claim to header.
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, Option<String>>", extend("default" = {})))]
    pub claims: Named<Option<String>>,
    /// Whether the upstream sees the token.
    pub token: ForwardToken,
    /// Which requests set the filter state `wasm.api_guard.subject`: refused ones, or all.
    pub filter_state: SubjectState,
}

fields!(RawForward { subject_header, permissions_header, issuer_header, claims, token, filter_state });

impl Default for RawForward {
    fn default() -> Self {
        Self {
            subject_header: Some("x-auth-subject".to_owned()),
            permissions_header: Some("x-auth-permissions".to_owned()),
            issuer_header: None,
            claims: Vec::new(),
            token: ForwardToken::Keep,
            filter_state: SubjectState::Refusals,
        }
    }
}

names!(ForwardToken { "keep" => Keep, "strip" => Strip });
names!(SubjectState { "refusals" => Refusals, "all" => All });
