//! The limits of a configuration and their JSON pointers.

use api_guard_core::config::raw::{RawConfig, RawLimit};

/// Every limit with its JSON pointer, in the guard's order: those for all routes first.
pub(crate) fn all(raw: &RawConfig) -> impl Iterator<Item = (String, &RawLimit)> {
    let for_all =
        raw.rate_limits.iter().enumerate().map(|(index, limit)| (format!("/rate_limits/{index}"), limit));
    let of_routes = raw.routes.iter().enumerate().flat_map(|(route, settings)| {
        let limits = settings.rate_limits.iter().enumerate();
        limits.map(move |(index, limit)| (format!("/routes/{route}/rate_limits/{index}"), limit))
    });
    for_all.chain(of_routes)
}
