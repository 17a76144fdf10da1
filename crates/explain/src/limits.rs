//! The limits of a configuration, their JSON pointers, and where they apply.

use api_guard_core::config::raw::{RawConfig, RawLimit, RawMaxRequests, RawRoute};

/// Every limit with its JSON pointer, in the guard's order: those for all routes first.
pub fn all(raw: &RawConfig) -> impl Iterator<Item = (String, &RawLimit)> {
    let for_all =
        raw.rate_limits.iter().enumerate().map(|(index, limit)| (format!("/rate_limits/{index}"), limit));
    let of_routes = raw.routes.iter().enumerate().flat_map(|(route, settings)| {
        let limits = settings.rate_limits.iter().flatten().enumerate();
        limits.map(move |(index, limit)| (format!("/routes/{route}/rate_limits/{index}"), limit))
    });
    for_all.chain(of_routes)
}

/// Whether the limit is judged once the token has been verified, because its key or its number is of the token.
pub fn needs_token(limit: &RawLimit) -> bool {
    matches!(limit.max_requests, Some(RawMaxRequests::ByClaim(_)))
        || limit.key.iter().any(|part| part == "subject" || part.starts_with("claim:"))
}

/// Whether a limit for all routes does not apply to this one.
pub fn skips(route: &RawRoute, limit: &RawLimit) -> bool {
    route.skip_limits.iter().flatten().any(|name| name == "*" || limit.name.as_ref() == Some(name))
}
