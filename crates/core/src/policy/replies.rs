//! How much do replies tell the client?

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// How much replies tell.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Replies {
    pub(crate) detail: Detail,
    pub(crate) rate_limit_headers: RateLimitHeaders,
}

/// How much the body of a refusal explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum Detail {
    /// The body has the members detail and errors.
    Full,
    /// The body has the code but no text.
    Code,
}

/// Which header families tell clients about limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum RateLimitHeaders {
    /// RateLimit and RateLimit-Policy.
    Draft,
    /// X-RateLimit-*.
    Legacy,
    /// Both families.
    Both,
    /// Neither.
    None,
}
