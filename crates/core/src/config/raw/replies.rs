//! Section `replies`.

use crate::config::shape::{self, Misfits, Shape, fields, names};
use crate::json::{Json, Path};
use crate::policy::{Detail, RateLimitHeaders};

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// Section replies.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawReplies {
    /// "full" explains the refusal; "code" gives only its code.
    pub detail: Detail,
    /// Which header families tell clients about limits.
    pub rate_limit_headers: RateLimitHeaders,
    /// The realm of every challenge (RFC 9110 section 11.5): 1 to 64 printable ASCII characters, no quote, no backslash.
    pub realm: String,
    /// An https URL that every challenge names, where clients learn how to get a token (RFC 9728); null = none.
    pub resource_metadata: Option<String>,
}

fields!(RawReplies { detail, rate_limit_headers, realm, resource_metadata });

impl Default for RawReplies {
    fn default() -> Self {
        Self {
            detail: Detail::Full,
            rate_limit_headers: RateLimitHeaders::Draft,
            realm: "api-guard".to_owned(),
            resource_metadata: None,
        }
    }
}

names!(Detail { "full" => Full, "code" => Code });

names!(RateLimitHeaders { "draft" => Draft, "legacy" => Legacy, "both" => Both, "none" => None });
