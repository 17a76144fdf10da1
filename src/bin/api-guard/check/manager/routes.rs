//! What do Envoy's own routes do to a request that the guard has judged?
//!
//! Only routes that are in the manager are seen; those that come by RDS are not.

use api_guard_core::config::raw::RawConfig;
use api_guard_core::policy::ForwardToken;

use crate::check::{Findings, Part, lint};
use crate::source::Site;
use crate::source::tree::{self, Node};

/// Where a manager has its routes.
pub(super) const LISTS: [&str; 2] = ["route_config", "scoped_routes"];

/// Fields of a route's action that change the path.
const PATHS: [&str; 4] = ["prefix_rewrite", "regex_rewrite", "path_rewrite_policy", "path_rewrite"];
/// Fields of a route's action that change the host.
const HOSTS: [&str; 4] =
    ["host_rewrite_literal", "host_rewrite_header", "host_rewrite_path_regex", "host_rewrite"];
/// Fields of a route's action with which Envoy follows the redirects of upstreams; the second is the older one.
const REDIRECTS: [&str; 2] = ["internal_redirect_policy", "internal_redirect_action"];

pub(super) fn check(part: &Part<'_>, site: &Site<'_>, raw: Option<&RawConfig>, findings: &mut Findings) {
    switched_off(part, site, findings);
    let Some(raw) = raw else { return };
    for list in LISTS {
        let Some(routes) = part.node.field(list) else { continue };
        routes.walk(&format!("/{list}"), &mut |pointer, node| {
            // A redirect has fields of the same names, but goes to the client, whose next request is judged.
            if let Some(action) = node.field("route") {
                self::action(part, &format!("{pointer}/route"), action, raw, findings);
            }
        });
    }
}

fn action(part: &Part<'_>, at: &str, action: &Node, raw: &RawConfig, findings: &mut Findings) {
    let written = |names: &[&'static str]| -> Vec<&'static str> {
        names.iter().copied().filter(|name| action.field(name).is_some()).collect()
    };
    let by_path = lint::judges_paths(raw);
    for name in written(&PATHS).into_iter().filter(|_| by_path) {
        path_rewrite(part, &format!("{at}/{name}"), findings);
    }
    for name in written(&HOSTS).into_iter().filter(|_| lint::judges_hosts(raw)) {
        host_rewrite(part, &format!("{at}/{name}"), findings);
    }
    // The older field is a word, and passes redirects through unless it says otherwise.
    let follows = |name: &&&str| {
        let word = action.field(name).map(Node::text);
        word.is_some_and(|word| word.is_none_or(|word| word == "HANDLE_INTERNAL_REDIRECT"))
    };
    if let Some(name) = REDIRECTS.iter().find(follows) {
        let at = format!("{at}/{name}");
        if raw.forward.token == ForwardToken::Strip {
            let text = "a redirected request comes back to api-guard without its token, which forward.token strips, \
                        and is refused; remove this, or write \"token\": \"keep\" in forward";
            findings.warn("internal-redirect", part, &at, text);
        } else if by_path {
            let text = "a redirected request is judged and counted again, by the path that the upstream names in place \
                        of the one that the client asked for; remove this, so that clients follow redirects \
                        themselves";
            findings.warn("internal-redirect", part, &at, text);
        }
    }
}

/// Warns of a rewritten path.
pub(in crate::check) fn path_rewrite(part: &Part<'_>, below: &str, findings: &mut Findings) {
    let text = "the upstream gets another path than the one that was judged, and so a client can reach a path whose own \
                route asks for more; remove this and let the service take the paths as clients send them, or rewrite in \
                a proxy before this one";
    findings.warn("path-rewrite", part, below, text);
}

/// Warns of a rewritten host.
pub(in crate::check) fn host_rewrite(part: &Part<'_>, below: &str, findings: &mut Findings) {
    let text = "the upstream gets another host than the one that was judged, and so a client can reach a host whose own \
                routes ask for more; remove this, or hosts from the routes of api-guard";
    findings.warn("host-rewrite", part, below, text);
}

/// Finds Envoy's routes that bypass the filter.
fn switched_off(part: &Part<'_>, site: &Site<'_>, findings: &mut Findings) {
    part.node.walk("", &mut |pointer, node| {
        let own = node.field("typed_per_filter_config").and_then(|config| config.field(&site.name));
        if own.and_then(|own| own.field("disabled")).is_some_and(Node::is_true) {
            let below = format!("{pointer}/typed_per_filter_config/{}", tree::step(&site.name));
            let text =
                "requests of this route bypass the filter; write a public route in its configuration instead";
            findings.warn("switched-off", part, &below, text);
        }
    });
}
