//! Section `replies`.

use serde_json::Value;

use crate::config::shape::{self, Misfits, Shape, fields, names};
use crate::json::Path;

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// Section `replies`.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawReplies {
    /// "full" explains; "code" gives the code alone.
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

/// See [`RawReplies::detail`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum Detail {
    /// With `detail` and `errors`.
    Full,
    /// No text.
    Code,
}

names!(Detail { "full" => Full, "code" => Code });

/// See [`RawReplies::rate_limit_headers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum RateLimitHeaders {
    /// `RateLimit` and `RateLimit-Policy`.
    Draft,
    /// `X-RateLimit-*`.
    Legacy,
    /// Both families.
    Both,
    /// Neither.
    None,
}

names!(RateLimitHeaders { "draft" => Draft, "legacy" => Legacy, "both" => Both, "none" => None });
