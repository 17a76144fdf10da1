//! What the HTTP connection manager around the filter must say: whom it takes for the client, which paths and trailers
//! it passes on, which filters run, and what its routes do behind the guard.

mod buffers;
mod chain;
mod routes;

pub(super) use routes::{host_rewrite, path_rewrite};

use api_guard_core::config::raw::{AllowedInPath, RawConfig};
use api_guard_core::policy::AddressFrom;

use super::{Findings, Part, lint};
use crate::source::Site;
use crate::source::tree::Node;

/// What every warning about trailers says.
pub(super) const TRAILERS: &str = "trailers reach the upstream, and but for the headers in which api-guard tells about the caller \
                        nothing in them is judged: a service that takes trailers for headers hears whatever clients \
                        write; remove this";

pub(super) fn check(part: &Part<'_>, site: &Site<'_>, raw: Option<&RawConfig>, findings: &mut Findings) {
    remote_address(part, raw, findings);
    if let Some(raw) = raw {
        internal_addresses(part, raw, findings);
        unix_socket(part, site, raw, findings);
    }
    path_options(part, raw, findings);
    trailers(part, site, findings);
    buffers::check(part, site, raw, findings);
    chain::check(part, site, findings);
    routes::check(part, site, raw, findings);
}

/// The hosts that the manager serves; `None` if its routes are not in the file.
pub(super) fn domains(manager: &Node) -> Option<Vec<&str>> {
    let hosts = manager.path(&["route_config", "virtual_hosts"])?.items();
    let domains = hosts.iter().filter_map(|host| host.field("domains")).flat_map(Node::items);
    Some(domains.filter_map(Node::text).collect())
}

fn is_true(part: &Part<'_>, name: &str) -> bool {
    part.node.field(name).is_some_and(Node::is_true)
}

fn remote_address(part: &Part<'_>, raw: Option<&RawConfig>, findings: &mut Findings) {
    if is_true(part, "use_remote_address") || part.node.field("original_ip_detection_extensions").is_some() {
        return;
    }
    let mut told =
        "clients choose their own address and scheme, by X-Forwarded-For and X-Forwarded-Proto".to_owned();
    if raw.is_some_and(lint::counts_addresses) {
        told.push_str(": limits by client_ip count what they write");
    }
    if raw.is_some_and(lint::trusts_addresses) {
        told.push_str("; allow_from, deny_from and except_addresses believe what they write");
    }
    if raw.is_some_and(|raw| raw.request.https_only) {
        told.push_str("; https_only believes whoever says https");
    }
    told.push_str(
        "; write use_remote_address: true, and xff_num_trusted_hops if there are proxies before Envoy",
    );
    findings.warn("forged-address", part, "/use_remote_address", told);
}

/// Envoy sets `x-envoy-external-address` on external requests only, and leaves a client's own on internal ones.
fn internal_addresses(part: &Part<'_>, raw: &RawConfig, findings: &mut Findings) {
    let Some(config) = part.node.field("internal_address_config") else { return };
    if raw.client_ip.from != AddressFrom::ExternalAddress {
        return;
    }
    let ranges = config.field("cidr_ranges").map(Node::items).unwrap_or_default();
    let who = if ranges.is_empty() {
        "every private and loopback address, because it has no cidr_ranges"
    } else {
        "the addresses in its cidr_ranges"
    };
    let text = format!(
        "it makes internal {who}, and Envoy sets no x-envoy-external-address for those: they are counted by the \
         peer's address instead, which all who come through one proxy share; remove internal_address_config, or write \
         \"from\": \"source_address\" in client_ip"
    );
    findings.warn("internal-addresses", part, "/internal_address_config", text);
}

/// Whoever connects to a Unix socket has no address but the one that `x-forwarded-for` may tell.
fn unix_socket(part: &Part<'_>, site: &Site<'_>, raw: &RawConfig, findings: &mut Findings) {
    let listener = site.document.at(site.listener());
    let is_socket = listener.and_then(|listener| listener.path(&["address", "pipe"])).is_some();
    let hops = part.node.field("xff_num_trusted_hops").and_then(Node::number);
    let is_told = !is_true(part, "use_remote_address") || hops.is_some_and(|hops| hops > 0);
    let counts = lint::counts_addresses(raw) || lint::trusts_addresses(raw);
    if is_socket && !is_told && counts {
        let text = "the listener is a Unix socket, whose clients have no address: limits by client_ip count all of \
                    them as one, and they are in no network; write xff_num_trusted_hops: 1 if a proxy in front \
                    writes X-Forwarded-For";
        findings.warn("no-address", part, "/xff_num_trusted_hops", text);
    }
}

/// Whether a route lets an encoded slash pass.
pub(crate) fn allows_encoded_slashes(raw: &RawConfig) -> bool {
    let allowed = raw.routes.iter().filter_map(|route| route.allow_in_path.as_ref()).flatten();
    allowed.into_iter().any(|what| *what == AllowedInPath::EncodedSlash)
}

fn path_options(part: &Part<'_>, raw: Option<&RawConfig>, findings: &mut Findings) {
    for name in ["normalize_path", "merge_slashes"] {
        if !is_true(part, name) {
            let text = format!(
                "other filters and Envoy's own routes see paths that api-guard refuses; write {name}: true"
            );
            findings.warn("path-options", part, &format!("/{name}"), text);
        }
    }
    let slashes =
        part.node.field("path_with_escaped_slashes_action").and_then(Node::text).unwrap_or_default();
    // Without a setting Envoy keeps them.
    let keeps = ["", "IMPLEMENTATION_SPECIFIC_DEFAULT", "KEEP_UNCHANGED"].contains(&slashes);
    let wrong = if raw.is_some_and(allows_encoded_slashes) {
        let text = "a route's allow_in_path lets encoded slashes pass, and Envoy refuses or decodes them before api-guard \
                    sees them; write KEEP_UNCHANGED";
        (!keeps).then_some(text)
    } else {
        let text = "an encoded slash can mean another path to Envoy's routes; write REJECT_REQUEST";
        (slashes != "REJECT_REQUEST").then_some(text)
    };
    if let Some(text) = wrong {
        findings.warn("path-options", part, "/path_with_escaped_slashes_action", text);
    }
}

/// HTTP/1 trailers pass only where they are enabled: from clients in the manager, to services in their clusters.
fn trailers(part: &Part<'_>, site: &Site<'_>, findings: &mut Findings) {
    if part.node.path(&["http_protocol_options", "enable_trailers"]).is_some_and(Node::is_true) {
        findings.warn("trailers", part, "/http_protocol_options/enable_trailers", TRAILERS);
    }
    let clusters = site.document.path(&["static_resources", "clusters"]);
    let Some(clusters) = clusters else { return };
    let document = Part { node: site.document, pointer: "" };
    clusters.walk("/static_resources/clusters", &mut |pointer, node| {
        if node.field("enable_trailers").is_some_and(Node::is_true) {
            findings.warn("trailers", &document, &format!("{pointer}/enable_trailers"), TRAILERS);
        }
    });
}
