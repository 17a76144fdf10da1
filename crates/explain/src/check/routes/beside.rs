//! What is open beside the routes that ask for something: at paths that no route has, and at other hosts?

use api_guard_core::config::raw::{RawConfig, RawRoute};
use api_guard_core::policy::{Access, Unmatched};
use api_guard_core::route::PathCase;
use api_guard_core::route::template::{Segment, Template};

use super::{Answer, HOST, SEGMENT, Table, demands, methods, shown};
use crate::check::lint::Warnings;

/// Warns where a token alone opens what no route has, although routes ask for more.
pub(super) fn unmatched(table: &Table<'_>, out: &mut Warnings) {
    let raw = table.raw;
    let asks = |route: &RawRoute| demands(route) || route.access == Access::Deny;
    if raw.unmatched_routes != Unmatched::Authenticated || !raw.routes.iter().any(asks) || !decides(table) {
        return;
    }
    let spelling = match raw.request.path_case {
        PathCase::Sensitive => ", and every other spelling of those that have one, such as capitals",
        PathCase::Insensitive => "",
    };
    let text = format!(
        "any token opens every path that no route has{spelling}; write \"deny\", and a route for each path that a token \
         alone is to open"
    );
    out.add("unmatched-authenticated", "/unmatched_routes", text);
}

/// Whether any path is left to `unmatched_routes`.
fn decides(table: &Table<'_>) -> bool {
    let step = format!("/{SEGMENT}");
    let paths = [step.clone(), step.repeat(table.depth)];
    let mut methods = table.raw.request.allowed_methods.iter();
    methods.any(|method| paths.iter().any(|path| is_unmatched(table, path, method)))
}

fn is_unmatched(table: &Table<'_>, path: &str, method: &str) -> bool {
    matches!(table.ask(usize::MAX, HOST, path, method), Some(Answer::Unmatched))
}

/// Hosts to try: those that Envoy serves, or one that no configuration names.
pub(super) fn hosts(domains: Option<&[&str]>) -> Vec<String> {
    match domains {
        None => vec![HOST.to_owned()],
        Some(domains) => domains.iter().map(|domain| domain.replace('*', HOST)).collect(),
    }
}

/// Warns where a route for any host asks for something, and a route for one host, which comes first there, does not.
pub(super) fn narrower_hosts(
    table: &Table<'_>,
    (own, route, template): (usize, &RawRoute, &Template),
    out: &mut Warnings,
) {
    if route.hosts.is_some() || table.hosts.is_empty() {
        return;
    }
    let paths = table.paths(template);
    let opened = table.hosts.iter().find_map(|host| {
        paths.iter().find_map(|path| {
            methods(table.raw, route).iter().find_map(|method| match table.ask(own, host, path, method) {
                Some(Answer::Other(other)) if table.asks_less(other, route) && table.has_hosts(other) => {
                    Some((host, other, path))
                }
                Some(Answer::Other(_) | Answer::Itself | Answer::Unmatched | Answer::NotAllowed(_))
                | None => None,
            })
        })
    });
    let Some((host, other, path)) = opened else { return };
    let text = format!(
        "at {} /routes/{other} comes first, because it names the host, and asks less of callers for {}; add this \
         route with that host",
        host.replace(HOST, "*"),
        shown(path)
    );
    out.add("route-hidden", format!("/routes/{own}/path"), text);
}

/// Warns where a route asks for something at its hosts, and another host reaches its path without.
pub(super) fn other_hosts(
    table: &Table<'_>,
    (own, route, template): (usize, &RawRoute, &Template),
    hosts: &[String],
    out: &mut Warnings,
) {
    let raw: &RawConfig = table.raw;
    // A route that closes a whole host says nothing about a path.
    let closes = route.access == Access::Deny && !matches!(template.segments(), [Segment::Rest(_)]);
    if route.hosts.is_none() || raw.unmatched_routes == Unmatched::Deny || !(demands(route) || closes) {
        return;
    }
    let paths = table.paths(template);
    let open = hosts.iter().find_map(|host| {
        let is_open = |path: &&String| {
            let mut methods = methods(raw, route).iter();
            methods.any(|method| matches!(table.ask(own, host, path, method), Some(Answer::Unmatched)))
        };
        paths.iter().find(is_open).map(|path| (host, path))
    });
    let Some((host, path)) = open else { return };
    let host = if host.contains(HOST) { "any other host".to_owned() } else { format!("the host {host}") };
    let text = format!(
        "{host} reaches {} without what this route asks for, because no route has the path there; add the same route \
         without hosts, or write \"deny\" in unmatched_routes",
        shown(path)
    );
    out.add("other-hosts", format!("/routes/{own}/hosts"), text);
}
