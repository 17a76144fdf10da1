//! Section `request`, and the lists of methods and media types, which routes have as well.

use super::grammar::{is_media_type, is_method};
use super::problems::Problems;
use super::{Parts, Path};
use crate::config::raw::{MethodOverride, RawRequest, RewriteHeaders};
use crate::policy::FormPolicy;

/// Headers with which some frameworks let a client override the request's method.
const METHOD_OVERRIDES: [&str; 3] = ["x-http-method-override", "x-http-method", "x-method-override"];

/// The largest `max_held_bytes`: 1 TiB, more than any process has.
const MOST_HELD_BYTES: u64 = 1 << 40;

/// Headers with which some frameworks let a proxy in front of them name another path than that of the request.
const REWRITES: [&str; 2] = ["x-original-url", "x-rewrite-url"];

/// The form that every request must have.
pub(super) fn compile(parts: &mut Parts<'_>, raw: RawRequest, at: &Path<'_>) -> FormPolicy {
    methods(&mut parts.problems, &raw.allowed_methods, &at.field("allowed_methods"));
    media_types(&mut parts.problems, &raw.content_types, &at.field("content_types"));
    let max_bytes = raw.max_request_size_bytes;
    parts.problems.within(&at.field("max_request_size_bytes"), max_bytes, 1, u64::MAX, "bytes");
    let at = &at.field("max_held_bytes");
    parts.problems.within(at, raw.max_held_bytes, 1, MOST_HELD_BYTES, "bytes");
    match raw.method_override {
        MethodOverride::Strip => METHOD_OVERRIDES.iter().for_each(|name| parts.plan.removed(name)),
        MethodOverride::Keep => {}
    }
    match raw.rewrite_headers {
        RewriteHeaders::Strip => REWRITES.iter().for_each(|name| parts.plan.removed(name)),
        RewriteHeaders::Keep => {}
    }
    FormPolicy {
        allowed_methods: raw.allowed_methods,
        content_types: raw.content_types,
        max_bytes,
        max_held_bytes: raw.max_held_bytes,
        https_only: raw.https_only,
        refuses_method_parameter: raw.method_override == MethodOverride::Strip,
        cors_preflight: raw.cors_preflight,
        path_case: raw.path_case,
    }
}

/// Notes what is wrong with a list of methods.
pub(super) fn methods(problems: &mut Problems, methods: &[String], at: &Path<'_>) {
    if methods.is_empty() {
        problems.add(at, "empty list", r#"name at least one method, such as "GET""#);
    }
    problems.unique(at, methods);
    for (index, method) in methods.iter().enumerate() {
        if !is_method(method) {
            problems.add(&at.index(index), "not a method", r#"write it in capitals, such as "GET""#);
        } else if method == "CONNECT" || method == "TRACE" {
            problems.add(&at.index(index), "a method that an API must not offer", "remove it");
        }
    }
}

/// Notes what is wrong with a list of media types.
pub(super) fn media_types(problems: &mut Problems, types: &[String], at: &Path<'_>) {
    problems.unique(at, types);
    for (index, media_type) in types.iter().enumerate() {
        if !is_media_type(media_type) {
            let instead =
                r#"write type/subtype in lower case without parameters, such as "application/json""#;
            problems.add(&at.index(index), "not a media type", instead);
        }
    }
}
