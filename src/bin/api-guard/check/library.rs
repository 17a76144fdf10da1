//! What Envoy must be told where it loads the native library.

use api_guard_core::config::raw::RawConfig;

use super::{Findings, Part, envoy, labels, says};
use crate::source::Site;
use crate::source::tree::Node;

/// The runtime guard without which Prometheus shows the metrics' prefix.
const STRIPS_PREFIX: &str = "envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix";

/// Checks the settings around the configuration.
pub(super) fn check(site: &Site<'_>, raw: Option<&RawConfig>, findings: &mut Findings) {
    let part = Part { node: site.settings, pointer: &site.pointer };
    configuration(&part, findings);
    if !part.node.path(&["dynamic_module_config", "do_not_close"]).is_some_and(Node::is_true) {
        let text =
            "Envoy may unload the library while something of it is still needed; write do_not_close: true";
        findings.warn("unloaded", &part, "/dynamic_module_config/do_not_close", text);
    }
    if part.node.field("filter_name").and_then(Node::text).unwrap_or_default().is_empty() {
        let text = "counters and revocations are shared with every other guard without a filter_name; \
                    write filter_name: api_guard";
        findings.warn("no-filter-name", &part, "/filter_name", text);
    }
    let loads = |path: &[&str]| part.node.field("dynamic_module_config").and_then(|node| node.path(path));
    let places: [&[&str]; 3] = [&["module", "local"], &["module", "remote"], &["name"]];
    if !places.iter().filter_map(|place| loads(place)).any(says) {
        let text =
            "missing; write where the library is, such as local: { filename: /etc/envoy/libapi_guard.so }";
        findings.error("no-module", &part, "/dynamic_module_config/module", text);
    }
    // A file of discovered resources has no runtime.
    let is_bootstrap = site.document.field("static_resources").is_some();
    if is_bootstrap && !strips_prefix(site.document) {
        let whole = Part { node: site.document, pointer: "" };
        let text = format!(
            "Prometheus shows the metrics as envoy_dynamicmodulescustom_api_guard_..., which dashboard and alerts do not \
             know; write {STRIPS_PREFIX}: true in a static_layer"
        );
        findings.warn("metric-names", &whole, "/layered_runtime", text);
    }
    labels::check(site, raw, labels::LIBRARY, findings);
    envoy::surroundings(&part, site, raw, findings);
}

fn configuration(part: &Part<'_>, findings: &mut Findings) {
    const INSTEAD: &str =
        "write \"@type\": type.googleapis.com/google.protobuf.StringValue and the JSON as value: |";
    let Some(node) = part.node.field("filter_config") else {
        findings.error("no-configuration", part, "/filter_config", format!("missing; {INSTEAD}"));
        return;
    };
    let kind = node.field("@type").and_then(Node::text).and_then(|name| name.rsplit(['.', '/']).next());
    if !matches!(kind, Some("StringValue" | "Struct")) {
        let text = format!("neither a StringValue nor a Struct; {INSTEAD}");
        findings.error("no-configuration", part, "/filter_config/@type", text);
    }
}

fn strips_prefix(document: &Node) -> bool {
    let layers = document.path(&["layered_runtime", "layers"]).map(Node::items).unwrap_or_default();
    let layers = layers.iter().filter_map(|layer| layer.field("static_layer"));
    layers.filter_map(|layer| layer.field(STRIPS_PREFIX)).any(Node::is_true)
}
