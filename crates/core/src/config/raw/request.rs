//! Section `request`.

use super::texts;
use crate::config::shape::{self, Misfits, Shape, fields, names};
use crate::json::{Json, Path};
use crate::policy::CorsPreflight;
use crate::route::PathCase;

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// Section request.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawRequest {
    /// Methods that any route may allow.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub allowed_methods: Vec<String>,
    /// Media types of bodies of POST, PUT and PATCH; empty = any.
    pub content_types: Vec<String>,
    /// The largest body, bytes.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub max_request_size_bytes: u64,
    /// Refuse requests that did not come over https, according to x-forwarded-proto.
    pub https_only: bool,
    /// What happens to x-http-method-override, x-http-method and x-method-override, and to a query parameter _method.
    pub method_override: MethodOverride,
    /// What happens to x-original-url and x-rewrite-url, by which some services take another path than the one judged.
    pub rewrite_headers: RewriteHeaders,
    /// The largest sum of all bodies that one process holds back at a time, bytes.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 1_099_511_627_776_u64)))]
    pub max_held_bytes: u64,
    /// Whether ASCII letters of route paths match in either case; parameters keep theirs.
    pub path_case: PathCase,
    /// Whether a true CORS preflight passes without a token.
    pub cors_preflight: CorsPreflight,
}

fields!(RawRequest {
    allowed_methods,
    content_types,
    max_request_size_bytes,
    https_only,
    method_override,
    max_held_bytes,
    rewrite_headers,
    path_case,
    cors_preflight
});

impl Default for RawRequest {
    fn default() -> Self {
        Self {
            allowed_methods: texts(&["GET", "POST", "PUT", "DELETE"]),
            content_types: texts(&["application/json"]),
            max_request_size_bytes: 1_048_576,
            https_only: false,
            method_override: MethodOverride::Strip,
            max_held_bytes: 67_108_864,
            rewrite_headers: RewriteHeaders::Strip,
            path_case: PathCase::Sensitive,
            cors_preflight: CorsPreflight::Reject,
        }
    }
}

/// What happens to headers and query parameters that override the method.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum MethodOverride {
    /// The headers are removed, and a request with the parameter is refused unless it is GET or HEAD.
    #[default]
    Strip,
    /// Both stay.
    Keep,
}

/// What happens to headers that override the path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum RewriteHeaders {
    /// The headers are removed.
    #[default]
    Strip,
    /// Both stay.
    Keep,
}

names!(MethodOverride { "strip" => Strip, "keep" => Keep });

names!(RewriteHeaders { "strip" => Strip, "keep" => Keep });

names!(CorsPreflight { "reject" => Reject, "forward" => Forward });

names!(PathCase { "sensitive" => Sensitive, "insensitive" => Insensitive });
