//! May Envoy keep a body for as long as the guard holds it back?

use api_guard_core::config::raw::RawConfig;
use api_guard_core::verdict::LARGEST_HELD;

use crate::check::{Findings, Part};
use crate::source::Site;
use crate::source::tree::Node;

/// By which setting Envoy lets a body through whatever the protocol.
const CURE: &str = "request_body_buffer_limit";
/// How much of a stream Envoy takes before it is read.
const WINDOW: &str = "initial_stream_window_size";

/// For HTTP/1 the connection's buffer is the bound, for HTTP/2 and HTTP/3 the stream's window.
pub(super) fn check(part: &Part<'_>, site: &Site<'_>, raw: Option<&RawConfig>, findings: &mut Findings) {
    let Some(held) = raw.and_then(largest_held) else { return };
    let mut is_cured = false;
    part.node
        .walk("", &mut |_, node| is_cured |= number(node.field(CURE)).is_some_and(|bytes| bytes >= held));
    if is_cured {
        return;
    }
    let mut warn = |part: &Part<'_>, path: &[&str], protocol: &str| {
        let Some(bytes) = number(part.node.path(path)).filter(|bytes| *bytes < held) else { return };
        let text = format!(
            "over {protocol} Envoy itself answers 413 to a body of more than {bytes} bytes that api-guard holds back, which \
             may have {held}; write {CURE}: {held} into the virtual host, or leave this out"
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

/// The largest body that any route may hold back, bytes; `None` if all bodies stream.
fn largest_held(raw: &RawConfig) -> Option<u64> {
    let of_all = raw.request.max_request_size_bytes;
    let of_routes = raw.routes.iter().filter_map(|route| route.max_request_size_bytes);
    of_routes.chain([of_all]).filter(|most| *most <= LARGEST_HELD).max()
}

fn number(node: Option<&Node>) -> Option<u64> {
    node?.to_json().parse().ok()
}
