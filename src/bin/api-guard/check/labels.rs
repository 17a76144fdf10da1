//! Do the metrics have labels? A bootstrap says which part of a counter's name each label is.

use api_guard_core::config::raw::RawConfig;

use super::{Findings, Part};
use crate::source::Site;
use crate::source::tree::Node;

/// What the names of the module's metrics begin with, and of the library's.
pub(super) const MODULE: &str = "wasmcustom";
pub(super) const LIBRARY: &str = "dynamicmodulescustom";

/// Labels of every guard.
const ALWAYS: [&str; 9] =
    ["decision", "code", "limit", "outcome", "kid", "kind", "version", "config", "state"];
/// Those of a guard with key sets, and of one with a fleet.
const OF_KEY_SETS: [&str; 1] = ["set"];
const OF_FLEET: [&str; 2] = ["use", "result"];

/// Checks a whole bootstrap: a file of discovered resources has no `stats_tags`. `prefix`: what the metrics' names begin with.
pub(super) fn check(site: &Site<'_>, raw: Option<&RawConfig>, prefix: &str, findings: &mut Findings) {
    if site.document.field("static_resources").is_none() {
        return;
    }
    let tags = site.document.path(&["stats_config", "stats_tags"]).map(Node::items).unwrap_or_default();
    let is_for =
        |tag: &&Node| tag.field("regex").and_then(Node::text).is_some_and(|regex| regex.contains(prefix));
    let known: Vec<&str> =
        tags.iter().filter(is_for).filter_map(|tag| tag.field("tag_name").and_then(Node::text)).collect();
    let of_key_sets: &[&str] =
        if raw.is_some_and(|raw| !raw.tokens.key_sets.is_empty()) { &OF_KEY_SETS } else { &[] };
    let of_fleet: &[&str] = if raw.is_some_and(|raw| raw.fleet.is_some()) { &OF_FLEET } else { &[] };
    let needed = ALWAYS.iter().chain(of_key_sets).chain(of_fleet);
    let missing: Vec<&str> = needed.copied().filter(|label| !known.contains(label)).collect();
    if !missing.is_empty() {
        let text = format!(
            "Prometheus shows the metrics without the labels {}, which dashboard and alerts ask for; write the stats_tags of \
             envoy.yaml for {prefix}",
            missing.join(", ")
        );
        let whole = Part { node: site.document, pointer: "" };
        findings.warn("metric-labels", &whole, "/stats_config/stats_tags", text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_label_of_the_shipped_bootstrap_is_known_and_no_other() {
        let shipped = include_str!("../emit/envoy.yaml");
        let tags = shipped.lines().filter_map(|line| line.trim().strip_prefix("- { tag_name: "));
        let mut shipped: Vec<&str> = tags.filter_map(|tag| Some(tag.split_once(',')?.0)).collect();
        let mut known = [&ALWAYS[..], &OF_KEY_SETS, &OF_FLEET].concat();
        shipped.sort_unstable();
        known.sort_unstable();
        assert_eq!(shipped, known);
    }
}
