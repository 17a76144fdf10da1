//! May Envoy keep a body for as long as the guard holds it back?

use api_guard_core::config::raw::{BodyHandling, RawConfig, RawRoute};
use api_guard_core::policy::{Access, Mode, Unmatched};
use api_guard_core::revocation::request::MAX_BODY_BYTES;
use api_guard_core::verdict::LARGEST_HELD;

use super::routes::LISTS;
use crate::check::{Findings, Part};
use crate::source::Site;
use crate::source::tree::Node;

/// By which setting of a route or its virtual host Envoy keeps more of a body, whatever the protocol.
const CURE: &str = "request_body_buffer_limit";
/// Its older name.
const OLDER_CURE: &str = "per_request_buffer_limit_bytes";
/// How much of a stream Envoy takes before it is read.
const WINDOW: &str = "initial_stream_window_size";

/// For HTTP/1 the connection's buffer is the bound, for HTTP/2 and HTTP/3 the stream's window.
pub(super) fn check(part: &Part<'_>, site: &Site<'_>, raw: Option<&RawConfig>, findings: &mut Findings) {
    let Some(held) = raw.and_then(largest_held) else { return };
    if is_cured(part.node, held) {
        return;
    }
    let mut warn = |part: &Part<'_>, path: &[&str], protocol: &str| {
        // The connection's buffer has no bound where this is 0; a window of 0 is none that Envoy takes.
        let bytes = part.node.path(path).and_then(Node::number).filter(|bytes| (1..held).contains(bytes));
        let Some(bytes) = bytes else { return };
        let text = format!(
            "over {protocol} Envoy itself answers 413 to a body of more than {bytes} bytes that api-guard holds back, which \
             may have {held}; write {CURE}: {held} into every virtual host, and into the routes that have a smaller one, or \
             leave this out"
        );
        findings.warn("small-buffers", part, &format!("/{}", path.join("/")), text);
    };
    warn(part, &["http2_protocol_options", WINDOW], "HTTP/2");
    let pointer = site.listener();
    let Some(node) = site.document.at(pointer) else { return };
    let listener = Part { node, pointer };
    warn(&listener, &["per_connection_buffer_limit_bytes"], "HTTP/1");
    warn(&listener, &["udp_listener_config", "quic_options", "quic_protocol_options", WINDOW], "HTTP/3");
}

/// Whether all routes to clusters let a body of this many bytes through. The setting means nothing to other routes, and
/// routes that come by RDS are not seen.
fn is_cured(manager: &Node, held: u64) -> bool {
    let mut limits = Vec::new();
    for list in LISTS.iter().filter_map(|list| manager.field(list)) {
        list.walk("", &mut |_, node| {
            for host in node.field("virtual_hosts").map(Node::items).unwrap_or_default() {
                host.walk("", &mut |_, node| {
                    if node.field("route").is_some() {
                        limits.push(limit(node, host));
                    }
                });
            }
        });
    }
    !limits.is_empty() && limits.iter().all(|limit| limit.is_some_and(|bytes| bytes >= held))
}

/// The bound of a route, bytes: its own, or that of its virtual host. The older name counts only where neither has the
/// newer.
fn limit(route: &Node, host: &Node) -> Option<u64> {
    let of = |name: &str| route.field(name).or_else(|| host.field(name));
    of(CURE).or_else(|| of(OLDER_CURE)).and_then(Node::number)
}

/// The largest body that may be held back, bytes; `None` if all bodies stream or are refused by their headers.
fn largest_held(raw: &RawConfig) -> Option<u64> {
    let of_all = raw.request.max_request_size_bytes;
    let holds = |route: &&RawRoute| {
        route.body == BodyHandling::Hold
            && route.access != Access::Deny
            && route.mode.unwrap_or(raw.mode) == Mode::Enforce
    };
    let of_routes =
        raw.routes.iter().filter(holds).map(|route| route.max_request_size_bytes.unwrap_or(of_all));
    let holds_others = raw.unmatched_routes != Unmatched::Deny && raw.mode == Mode::Enforce;
    // The endpoint of revocations holds every body.
    let of_endpoint = raw.revocation.endpoint.as_ref().and(u64::try_from(MAX_BODY_BYTES).ok());
    let of_endpoint = of_endpoint.map(|most| most.min(of_all));
    let of_others = holds_others.then_some(of_all);
    of_routes.chain(of_others).filter(|most| *most <= LARGEST_HELD).chain(of_endpoint).max()
}
