//! Does the guard run, and before the router, in every list of filters that a request can meet?
//!
//! A request that asks for an upgrade meets the `filters` of its entry in `upgrade_configs` in place of `http_filters`.

use crate::check::{Findings, Part};
use crate::source::tree::Node;
use crate::source::{self, Site};

pub(super) fn check(part: &Part<'_>, site: &Site<'_>, findings: &mut Findings) {
    let filters = part.node.field("http_filters").map(Node::items).unwrap_or_default();
    match Position::of(site, filters) {
        Position::Absent => {
            let text = "these filters run without api-guard, which only an upgrade has: every other request passes \
                        unchecked; add it before the router";
            findings.error("guard-left-out", part, "/http_filters", text);
        }
        Position::BehindRouter(index) => {
            let text = "the filter comes after the router and never runs; move it up";
            findings.error("after-router", part, &format!("/http_filters/{index}"), text);
        }
        Position::Runs => {}
    }
    switches(part, site, "/http_filters", filters, findings);
    order(part, site, "/http_filters", filters, findings);
    let upgrades = part.node.field("upgrade_configs").map(Node::items).unwrap_or_default();
    for (index, upgrade) in upgrades.iter().enumerate() {
        self::upgrade(part, site, (&format!("/upgrade_configs/{index}/filters"), upgrade), findings);
    }
}

/// Where a list of filters has the guard.
enum Position {
    Absent,
    BehindRouter(usize),
    Runs,
}

impl Position {
    fn of(site: &Site<'_>, filters: &[Node]) -> Self {
        let is_router = |filter: &Node| {
            let of_type = filter.path(&["typed_config", "@type"]).and_then(Node::text).unwrap_or_default();
            of_type.ends_with("filters.http.router.v3.Router")
        };
        let router = filters.iter().position(is_router);
        match filters.iter().position(|filter| source::has_guard(filter, &site.name)) {
            None => Self::Absent,
            Some(guard) if router.is_some_and(|router| router < guard) => Self::BehindRouter(guard),
            Some(_) => Self::Runs,
        }
    }
}

fn upgrade(part: &Part<'_>, site: &Site<'_>, (at, upgrade): (&str, &Node), findings: &mut Findings) {
    let filters = upgrade.field("filters").map(Node::items).unwrap_or_default();
    let kind = upgrade.field("upgrade_type").and_then(Node::text).unwrap_or_default();
    let is_off = upgrade.field("enabled").is_some_and(Node::is_false) && !enabled_by_route(part, kind);
    // Without filters of its own the upgrade meets http_filters.
    if filters.is_empty() || is_off {
        return;
    }
    let why = match Position::of(site, filters) {
        Position::Absent => "api-guard is not among them",
        Position::BehindRouter(_) => "api-guard comes after the router among them, and never runs",
        Position::Runs => {
            switches(part, site, at, filters, findings);
            return order(part, site, at, filters, findings);
        }
    };
    let text = format!(
        "a request that asks for an upgrade to {kind:?} meets these filters in place of http_filters, and {why}: it \
         passes unchecked, whoever it says it is from; add api-guard before the router, or remove filters"
    );
    findings.error("upgrade-bypass", part, at, text);
}

/// Filters that serve refusals only where they come before the guard: what their types end in, and what goes wrong.
const BEFORE: [(&str, &str); 2] = [
    (
        "filters.http.cors.v3.Cors",
        "refusals have no Access-Control-Allow-Origin, so browsers hide them from their pages, and preflights meet \
         api-guard first",
    ),
    (
        "filters.http.grpc_web.v3.GrpcWeb",
        "api-guard meets gRPC-Web by its own content type, and neither judges nor answers it as gRPC",
    ),
];

fn order(part: &Part<'_>, site: &Site<'_>, at: &str, filters: &[Node], findings: &mut Findings) {
    let behind = filters.iter().enumerate().skip_while(|(_, filter)| !source::has_guard(filter, &site.name));
    for (index, filter) in behind {
        let of_type = filter.path(&["typed_config", "@type"]).and_then(Node::text).unwrap_or_default();
        let wrong = BEFORE.iter().filter(|(ends, _)| of_type.ends_with(ends));
        for (_, what) in wrong {
            let text = format!("this filter comes after api-guard: {what}; move it before api-guard");
            findings.warn("filter-order", part, &format!("{at}/{index}"), text);
        }
    }
}

/// Whether a route of Envoy switches on an upgrade that the manager has switched off. Upgrades have no letter case.
fn enabled_by_route(part: &Part<'_>, kind: &str) -> bool {
    let mut found = false;
    for name in super::routes::LISTS {
        let Some(routes) = part.node.field(name) else { continue };
        routes.walk("", &mut |_, node| {
            let upgrades = node.field("upgrade_configs").map(Node::items).unwrap_or_default();
            found |= upgrades.iter().any(|upgrade| {
                let of_kind = upgrade.field("upgrade_type").and_then(Node::text);
                of_kind.is_some_and(|of_kind| of_kind.eq_ignore_ascii_case(kind))
                    && !upgrade.field("enabled").is_some_and(Node::is_false)
            });
        });
    }
    found
}

/// Finds what switches the guard off where it stands.
fn switches(part: &Part<'_>, site: &Site<'_>, at: &str, filters: &[Node], findings: &mut Findings) {
    let guard = filters.iter().enumerate().find(|(_, filter)| source::has_guard(filter, &site.name));
    let Some((index, filter)) = guard else { return };
    if filter.field("disabled").is_some_and(Node::is_true) {
        let text = "the filter is off wherever no route switches it on; remove disabled";
        findings.warn("switched-off", part, &format!("{at}/{index}/disabled"), text);
    }
    if filter.field("is_optional").is_some_and(Node::is_true) {
        let text = "an Envoy without WebAssembly silently leaves the filter out; remove is_optional";
        findings.warn("switched-off", part, &format!("{at}/{index}/is_optional"), text);
    }
}
