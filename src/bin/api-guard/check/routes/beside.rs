//! What is open beside the routes that ask for something: at paths that no route has, and at other hosts?

use api_guard_core::config::raw::{RawConfig, RawRoute};
use api_guard_core::policy::Access;
use api_guard_core::route::template::{Segment, Template};

use super::{Answer, HOST, SEGMENT, Table, add, demands, encoded, methods, shown};
use crate::check::lint::Warnings;

/// Warns where a token alone opens what no route has, although routes ask for more.
pub(super) fn unmatched(table: &Table<'_>, out: &mut Warnings) {
    let raw = table.raw;
    let asks = |route: &RawRoute| demands(route) || route.access == Access::Deny;
    if raw.unmatched_routes != Access::Authenticated || !raw.routes.iter().any(asks) || !decides(table) {
        return;
    }
    let root = raw.routes.iter().filter(|route| asks(route)).find_map(|route| open_root(table, route));
    let example = root.map(|path| format!(" ({path} is one)")).unwrap_or_default();
    let text = format!(
        "any token opens every path that no route has{example}, and every other spelling of those that have one, such as \
         capitals; write \"deny\", and a route for each path that a token alone is to open"
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

/// The path before `{*rest}`, if the route does not have it and neither has another one.
fn open_root(table: &Table<'_>, route: &RawRoute) -> Option<String> {
    let template = Template::parse(route.path.as_deref()?).ok()?;
    let (last, before) = template.segments().split_last()?;
    let mut path = String::new();
    for segment in before {
        match segment {
            Segment::Literal(text) => add(&mut path, &encoded(text)),
            Segment::Parameter(_) | Segment::Rest(_) => add(&mut path, SEGMENT),
        }
    }
    let is_open = matches!(last, Segment::Rest(_)) && !path.is_empty() && is_unmatched(table, &path, "GET");
    is_open.then(|| shown(&path))
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
    if route.hosts.is_none() || raw.unmatched_routes == Access::Deny || !(demands(route) || closes) {
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
