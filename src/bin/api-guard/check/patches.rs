//! What do an `EnvoyFilter` and an `EnvoyPatchPolicy` do to a guard that another resource has made?

use super::{Findings, Part};
use crate::source::tree::Node;
use crate::source::{Host, ManifestPart, Site, kind, names_guard};

/// The filter that Istio patches by this value's `match`.
const SUB_FILTER: [&str; 5] = ["match", "listener", "filterChain", "filter", "subFilter"];

/// Checks the patches. `all`: whether they count although they do not name the guard, because nothing else in the file does.
/// Returns whether there is a patch that counts.
pub(super) fn check(parts: &[ManifestPart], all: bool, findings: &mut Findings) -> bool {
    let mut found = false;
    for ManifestPart { root, within } in parts {
        let mut own = Findings::default();
        for (pointer, patch) in patches(root) {
            if !(all || names_it(patch)) {
                continue;
            }
            let part = Part { node: patch, pointer: &pointer };
            match kind(root) {
                Some("EnvoyFilter") => envoy_filter(&part, &mut own),
                _ => patch_policy(&part, &mut own),
            }
            found |= names_it(patch);
        }
        found |= !own.0.is_empty();
        findings.add_within(within, own);
    }
    found
}

/// The patches of a document, each with its pointer.
fn patches(root: &Node) -> Vec<(String, &Node)> {
    let list = match kind(root) {
        Some("EnvoyFilter") => "configPatches",
        Some("EnvoyPatchPolicy") => "jsonPatches",
        Some(_) | None => return Vec::new(),
    };
    let items = root.path(&["spec", list]).map(Node::items).unwrap_or_default().iter().enumerate();
    items.map(|(index, patch)| (format!("/spec/{list}/{index}"), patch)).collect()
}

/// Whether a text in the patch names the guard.
fn names_it(patch: &Node) -> bool {
    let mut found = false;
    patch.walk("", &mut |_, node| found |= node.text().is_some_and(names_guard));
    found
}

fn envoy_filter(part: &Part<'_>, findings: &mut Findings) {
    let operation = part.node.path(&["patch", "operation"]).and_then(Node::text);
    let is_named = part.node.path(&SUB_FILTER).is_some();
    let Some(value) = part.node.path(&["patch", "value"]) else {
        if operation == Some("REMOVE") && is_named {
            removed(part, "/patch/operation", findings);
        }
        return;
    };
    match operation {
        Some("REMOVE") if is_named => removed(part, "/patch/operation", findings),
        // What is added as a whole is checked as a filter.
        Some("MERGE") => opened(part, value, "/patch/value", findings),
        Some(_) | None => {}
    }
    if value.field("disabled").is_some_and(Node::is_true) {
        let text = "the filter is off wherever no route switches it on; remove disabled";
        findings.warn("switched-off", part, "/patch/value/disabled", text);
    }
}

fn patch_policy(part: &Part<'_>, findings: &mut Findings) {
    let Some(operation) = part.node.field("operation") else { return };
    let text = |name: &str| operation.field(name).and_then(Node::text).unwrap_or_default();
    let (query, path) = (text("jsonPath"), text("path"));
    // The last step names the member that is set.
    let whole = if path.is_empty() { query } else { path };
    let last = whole.rsplit(['/', '.']).next().unwrap_or_default();
    if text("op") == "remove" && path.is_empty() && query.ends_with(")]") {
        removed(part, "/operation", findings);
    }
    let Some(value) = operation.field("value") else { return };
    if opens(last, value) {
        open(part, "/operation/value", findings);
    } else {
        opened(part, value, "/operation/value", findings);
    }
}

/// Finds what lets requests pass after a fault, in a value that is no whole filter.
fn opened(part: &Part<'_>, value: &Node, below: &str, findings: &mut Findings) {
    let mut pointers = Vec::new();
    value.walk(below, &mut |pointer, node| {
        let members = node.members().iter().filter(|(key, member)| opens(&key.name, member));
        pointers.extend(members.map(|(key, _)| format!("{pointer}/{}", key.name)));
    });
    // A whole filter is checked as such.
    let is_whole = |pointer: &String| {
        let config = pointer.rsplit_once('/').map(|(before, _)| before).unwrap_or_default();
        part.node.at(config).is_some_and(|config| config.field("vm_config").is_some())
    };
    let merged = below == "/patch/value";
    for pointer in pointers.iter().filter(|pointer| merged || !is_whole(pointer)) {
        open(part, pointer, findings);
    }
}

/// Whether a member lets requests pass after a fault.
fn opens(name: &str, value: &Node) -> bool {
    match name {
        "failure_policy" | "failurePolicy" => value.text() == Some("FAIL_OPEN"),
        "fail_open" | "failOpen" => value.is_true(),
        _ => false,
    }
}

fn open(part: &Part<'_>, below: &str, findings: &mut Findings) {
    let text = "after a fault every request passes unchecked; write failure_policy: FAIL_RELOAD";
    findings.error("fail-open", part, below, text);
}

fn removed(part: &Part<'_>, below: &str, findings: &mut Findings) {
    let text = "this patch takes the guard away: every request passes unchecked; remove the patch";
    findings.error("guard-removed", part, below, text);
}

/// Whether another resource says what the one at this site cannot: `allow_on_headers_stop_iteration: true`.
pub(super) fn complete(parts: &[ManifestPart], site: &Site<'_>) -> bool {
    let metadata =
        |name: &str| site.document.path(&["metadata", name]).and_then(Node::text).unwrap_or("default");
    let (name, namespace) = (metadata("name"), metadata("namespace"));
    let patches = parts.iter().flat_map(|part| patches(&part.root));
    match site.host {
        Host::Istio => patches.into_iter().any(|(_, patch)| {
            let filter = patch.path(&SUB_FILTER).and_then(|filter| filter.field("name")).and_then(Node::text);
            let replaces = patch.path(&["patch", "operation"]).and_then(Node::text) == Some("REPLACE");
            replaces && filter.is_some_and(|filter| filter.ends_with(&format!("/{namespace}.{name}")))
        }),
        Host::EnvoyGateway => patches.into_iter().any(|(_, patch)| {
            let text =
                |field: &str| patch.path(&["operation", field]).and_then(Node::text).unwrap_or_default();
            let is_set = patch.path(&["operation", "value"]).is_some_and(Node::is_true);
            let of_it = text("jsonPath").contains(&format!("/{namespace}/{name}/wasm/"));
            is_set && of_it && text("path").ends_with("allow_on_headers_stop_iteration")
        }),
        Host::Envoy | Host::Library | Host::EnvoyGatewayLibrary | Host::Unknown => false,
    }
}
