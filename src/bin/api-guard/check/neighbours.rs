//! Do two guards count in one memory although each is to count for itself?

use super::{Findings, Guard, Part};
use crate::limits::all;
use crate::source::tree::Node;
use crate::source::{Host, Site};

pub(super) fn check(guards: &[Guard<'_>], findings: &mut Findings) {
    for (index, second) in guards.iter().enumerate() {
        let earlier = guards.iter().take(index);
        for first in earlier.filter(|first| share_memory(&first.site, &second.site) && !is_one(first, second))
        {
            let names = shared(first, second);
            if names.is_empty() {
                continue;
            }
            let (below, instead) = match second.site.host {
                Host::Envoy => {
                    ("/vm_config/vm_id", "write another vm_id here, or other names for the limits")
                }
                Host::Library => {
                    ("/filter_name", "write another filter_name here, or other names for the limits")
                }
                Host::Istio | Host::EnvoyGateway | Host::EnvoyGatewayLibrary | Host::Unknown => {
                    ("/pluginConfig", "write other names for the limits")
                }
            };
            let text = format!(
                "this guard and the one at {} (line {}) have one memory and limits of one name ({}): each counts what \
                 the other admits; {instead}",
                first.site.pointer,
                first.site.settings.mark.line,
                names.join(", "),
            );
            let part = Part { node: second.site.settings, pointer: &second.site.pointer };
            findings.warn("shared-counters", &part, below, text);
        }
    }
}

/// Whether both guards see the same shared data: Envoy keeps it by `vm_id`, which Istio leaves empty, and a library by
/// `filter_name`.
fn share_memory(first: &Site<'_>, second: &Site<'_>) -> bool {
    let id = |site: &Site<'_>| {
        let id = site.settings.path(&["vm_config", "vm_id"]).and_then(Node::text);
        id.unwrap_or_default().to_owned()
    };
    let proxies = |site: &Site<'_>| {
        ["selector", "targetRefs"].map(|name| site.document.path(&["spec", name]).map(Node::to_json))
    };
    let filter_name = |site: &Site<'_>| site.settings.field("filter_name").map(Node::to_json);
    first.host == second.host
        && match first.host {
            Host::Envoy => id(first) == id(second),
            Host::Library => filter_name(first) == filter_name(second),
            Host::Istio => proxies(first) == proxies(second),
            Host::EnvoyGateway | Host::EnvoyGatewayLibrary | Host::Unknown => false,
        }
}

/// Whether both are one guard that stands in several filter chains of one listener, and so is meant to count as one.
fn is_one(first: &Guard<'_>, second: &Guard<'_>) -> bool {
    let text = |guard: &Guard<'_>| guard.plugin.as_ref().map(|plugin| plugin.text.clone());
    let is_chained = |guard: &Guard<'_>| matches!(guard.site.host, Host::Envoy | Host::Library);
    is_chained(first) && first.site.listener() == second.site.listener() && text(first) == text(second)
}

/// The names of limits that both have.
fn shared<'g>(first: &'g Guard<'_>, second: &'g Guard<'_>) -> Vec<&'g str> {
    let names = |guard: &'g Guard<'_>| -> Vec<&'g str> {
        let limits = guard.raw.iter().flat_map(all);
        limits.filter_map(|(_, limit)| limit.name.as_deref()).collect()
    };
    let second = names(second);
    names(first).into_iter().filter(|name| second.contains(name)).collect()
}
