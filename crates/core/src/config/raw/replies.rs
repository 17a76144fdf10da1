//! Section `replies`.

use serde_json::Value;

use crate::config::shape::{self, Misfits, Shape, fields, names};
use crate::json::Path;
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
}

fields!(RawReplies { detail, rate_limit_headers });

impl Default for RawReplies {
    fn default() -> Self {
        Self { detail: Detail::Full, rate_limit_headers: RateLimitHeaders::Draft }
    }
}

names!(Detail { "full" => Full, "code" => Code });

names!(RateLimitHeaders { "draft" => Draft, "legacy" => Legacy, "both" => Both, "none" => None });
