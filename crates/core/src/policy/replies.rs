//! How much do replies tell the client?

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// How much replies tell.
#[derive(Debug)]
pub(crate) struct Replies {
    pub(crate) detail: Detail,
    pub(crate) rate_limit_headers: RateLimitHeaders,
    /// The realm of every challenge; can stand between quotes as it is.
    pub(crate) realm: String,
    /// The URL of the metadata that every challenge names (RFC 9728); can stand between quotes as it is.
    pub(crate) resource_metadata: Option<String>,
}

/// How much the body of a refusal explains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum Detail {
    /// The body has the members detail and errors.
    #[default]
    Full,
    /// The body has the code but no text.
    Code,
}

/// Which header families tell clients about limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum RateLimitHeaders {
    /// RateLimit and RateLimit-Policy.
    #[default]
    Draft,
    /// X-RateLimit-*.
    Legacy,
    /// Both families.
    Both,
    /// Neither.
    None,
}
