//! Which routes are hidden by another one, and what is open beside those that ask for something? Asks the table that
//! decides in Envoy, with invented requests for each route.

mod beside;

use std::collections::BTreeSet;

use api_guard_core::config::raw::{RawConfig, RawRoute};
use api_guard_core::index::RouteIndex;
use api_guard_core::policy::Access;
use api_guard_core::request::host::{Host, HostPattern};
use api_guard_core::request::target::Target;
use api_guard_core::route::template::{Affixed, Segment, Template};
use api_guard_core::route::{Found, RouteSpec, RouteTable};

use super::lint::Warnings;

/// A segment and a host that no configuration names.
const SEGMENT: &str = "zq-any-segment";
const HOST: &str = "zq-any-host";

/// `domains`: the hosts that Envoy serves, if they are known.
pub(super) fn check(raw: &RawConfig, domains: Option<&[&str]>, out: &mut Warnings) {
    let Some(table) = Table::new(raw) else { return };
    beside::unmatched(&table, out);
    let beside = beside::hosts(domains);
    for (index, route) in raw.routes.iter().enumerate() {
        let Some(template) = route.path.as_deref().and_then(|path| Template::parse(path).ok()) else {
            continue;
        };
        table.check(index, route, &template, out);
        beside::other_hosts(&table, (index, route, &template), &beside, out);
        beside::narrower_hosts(&table, (index, route, &template), out);
    }
}

struct Table<'r> {
    raw: &'r RawConfig,
    table: RouteTable,
    /// The number of segments to try for `{*rest}`: one more than any route has.
    depth: usize,
    /// A host for each pattern that some route names.
    hosts: Vec<String>,
}

/// The table's answer to a request that was invented for a route.
enum Answer {
    Itself,
    /// Another route.
    Other(usize),
    /// No route has the path, so that `unmatched_routes` decides.
    Unmatched,
    /// 405, because this other route has the path without the method.
    NotAllowed(usize),
}

impl<'r> Table<'r> {
    /// `None` if the routes have errors, which are reported elsewhere.
    fn new(raw: &'r RawConfig) -> Option<Self> {
        let mut specs = Vec::new();
        let mut depth = 1;
        for (number, route) in raw.routes.iter().enumerate() {
            let template = Template::parse(route.path.as_deref()?).ok()?;
            depth = depth.max(template.segments().len().saturating_add(1));
            let hosts = route.hosts.iter().flatten().map(|host| HostPattern::parse(host).ok());
            let hosts: Option<Vec<HostPattern>> = hosts.collect();
            let methods = methods(raw, route).to_vec();
            specs.push(RouteSpec { hosts: hosts?, template, methods, index: RouteIndex::new(number) });
        }
        let table = RouteTable::build(specs, false, raw.request.path_case).ok()?;
        let named: BTreeSet<String> =
            raw.routes.iter().filter(|route| route.hosts.is_some()).flat_map(hosts).collect();
        Some(Self { raw, table, depth, hosts: named.into_iter().collect() })
    }

    fn check(&self, own: usize, route: &RawRoute, template: &Template, out: &mut Warnings) {
        let mut reached = false;
        let mut hiding: Option<usize> = None;
        let mut refused: Option<(usize, &str, String)> = None;
        let mut opened: Option<(usize, String)> = None;
        for path in self.paths(template) {
            for host in hosts(route) {
                for method in methods(self.raw, route) {
                    match self.ask(own, &host, &path, method) {
                        Some(Answer::Itself) => reached = true,
                        Some(Answer::Other(other)) => {
                            hiding.get_or_insert(other);
                            if self.asks_less(other, route) {
                                opened.get_or_insert((other, path.clone()));
                            }
                        }
                        Some(Answer::NotAllowed(other)) => {
                            hiding.get_or_insert(other);
                            refused.get_or_insert((other, method, path.clone()));
                        }
                        Some(Answer::Unmatched) | None => {}
                    }
                }
            }
        }
        if let (None, Some(root)) = (&opened, root(template)) {
            let hosts = hosts(route);
            let mut asked = hosts
                .iter()
                .flat_map(|host| methods(self.raw, route).iter().map(move |method| (host, method)));
            opened = asked.find_map(|(host, method)| match self.ask(own, host, &root, method) {
                // A route for the root alone is meant to differ.
                Some(Answer::Other(other)) if self.asks_less(other, route) && self.is_open_ended(other) => {
                    Some((other, root.clone()))
                }
                Some(Answer::Itself | Answer::Other(_) | Answer::Unmatched | Answer::NotAllowed(_))
                | None => None,
            });
        }
        let at = format!("/routes/{own}/path");
        if let (false, Some(other)) = (reached, hiding) {
            let text = format!("this route is never used: /routes/{other} hides it; remove one of them");
            out.add("route-hidden", at, text);
        } else if let Some((other, path)) = opened {
            let text = format!(
                "/routes/{other}, which asks less of callers, hides this route for {}; ask the same there",
                shown(&path)
            );
            out.add("route-hidden", at, text);
        } else if let Some((other, method, path)) = refused {
            let text = format!(
                "{method} {} answers 405: /routes/{other} hides this route there and lacks the method; add {method} there",
                shown(&path)
            );
            out.add("route-hidden", at, text);
        }
    }

    fn ask(&self, own: usize, host: &str, path: &str, method: &str) -> Option<Answer> {
        let target = Target::read(path.as_bytes()).ok()?;
        let host = Host::read(host.as_bytes()).ok()?;
        match self.table.find(&host, &target, method) {
            Found::Route { index, .. } if index.get() == own => Some(Answer::Itself),
            Found::Route { index, .. } => Some(Answer::Other(index.get())),
            Found::MethodNotAllowed { allowed } => match self.table.find(&host, &target, allowed.first()?) {
                Found::Route { index, .. } => Some(Answer::NotAllowed(index.get())),
                Found::MethodNotAllowed { .. } | Found::NoRoute | Found::Ambiguous => None,
            },
            Found::NoRoute => Some(Answer::Unmatched),
            Found::Ambiguous => None,
        }
    }

    /// Whether the route at index `other` admits callers whom `route` would refuse. Exceptions from a closed route are
    /// not reported, because opening parts of a closed path is the usual way to use one.
    fn asks_less(&self, other: usize, route: &RawRoute) -> bool {
        let Some(other) = self.raw.routes.get(other) else { return false };
        match (access(route), access(other)) {
            (Access::Authenticated, Access::Public | Access::Optional) => true,
            (Access::Authenticated, Access::Authenticated) => demands(route) && !demands(other),
            (Access::Public | Access::Optional | Access::Deny, _) | (Access::Authenticated, Access::Deny) => {
                false
            }
        }
    }

    fn has_hosts(&self, index: usize) -> bool {
        self.raw.routes.get(index).is_some_and(|route| route.hosts.is_some())
    }

    /// Whether the last segment of a route is a parameter.
    fn is_open_ended(&self, index: usize) -> bool {
        let path = self.raw.routes.get(index).and_then(|route| route.path.as_deref());
        let template = path.and_then(|path| Template::parse(path).ok());
        template
            .is_some_and(|template| !matches!(template.segments().last(), None | Some(Segment::Literal(_))))
    }

    /// Paths that match a template, with segments that no other route names.
    fn paths(&self, template: &Template) -> Vec<String> {
        let mut paths = vec![String::new()];
        for segment in template.segments() {
            match segment {
                Segment::Literal(text) => paths.iter_mut().for_each(|path| add(path, &encoded(text))),
                Segment::Affixed(affixed) => paths.iter_mut().for_each(|path| add(path, &invented(affixed))),
                Segment::Parameter(_) => paths.iter_mut().for_each(|path| add(path, SEGMENT)),
                Segment::Rest(_) => {
                    let start = paths.pop().unwrap_or_default();
                    let used = template.segments().len().saturating_sub(1);
                    let mut path = start;
                    for _ in used..self.depth.max(used.saturating_add(1)) {
                        add(&mut path, SEGMENT);
                        paths.push(path.clone());
                    }
                }
            }
        }
        paths.into_iter().map(|path| if path.is_empty() { "/".to_owned() } else { path }).collect()
    }
}

/// Who may use a route. One that demands something of optional callers needs their token.
fn access(route: &RawRoute) -> Access {
    if route.access == Access::Optional && demands(route) { Access::Authenticated } else { route.access }
}

/// The path before `{*rest}`, which that covers too.
fn root(template: &Template) -> Option<String> {
    let (Segment::Rest(_), before) = template.segments().split_last()? else { return None };
    let mut path = String::new();
    for segment in before {
        match segment {
            Segment::Literal(text) => add(&mut path, &encoded(text)),
            Segment::Affixed(affixed) => add(&mut path, &invented(affixed)),
            Segment::Parameter(_) | Segment::Rest(_) => add(&mut path, SEGMENT),
        }
    }
    (!path.is_empty()).then_some(path)
}

/// Whether a good token alone does not open the route.
fn demands(route: &RawRoute) -> bool {
    route.required_permissions.is_some()
        || route.any_permissions.is_some()
        || !route.bind.is_empty()
        || route.require.is_some()
        || route.allow_from.is_some()
        || route.deny_from.is_some()
}

/// An invented path as a person is told of it.
fn shown(path: &str) -> String {
    path.replace(SEGMENT, "...")
}

fn add(path: &mut String, segment: &str) {
    path.push('/');
    path.push_str(segment);
}

/// A segment that fits a parameter with literals beside it.
fn invented(affixed: &Affixed) -> String {
    [encoded(affixed.before()).as_str(), SEGMENT, encoded(affixed.behind()).as_str()].concat()
}

/// A literal as a client sends it.
fn encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~!$&'()*+,=:@".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn methods<'r>(raw: &'r RawConfig, route: &'r RawRoute) -> &'r [String] {
    route.methods.as_deref().unwrap_or(&raw.request.allowed_methods)
}

fn hosts(route: &RawRoute) -> Vec<String> {
    match &route.hosts {
        None => vec![HOST.to_owned()],
        Some(hosts) => hosts.iter().map(|host| host.replace('*', HOST)).collect(),
    }
}
