//! What Envoy's configuration must say about the filter. The connections in front of it are the manager's.

use std::collections::BTreeMap;

use api_guard_core::config::raw::{RawConfig, RawFleet};

use super::{Findings, Part, Variables, labels, manager, remote, says};
use crate::source::secrets::is_variable;
use crate::source::tree::Node;
use crate::source::{self, Site};

/// The callbacks of the module. A capability list without one of them switches that part off silently.
pub(super) const CALLBACKS: [&str; 9] = [
    "proxy_on_vm_start",
    "proxy_on_configure",
    "proxy_on_context_create",
    "proxy_on_memory_allocate",
    "proxy_on_request_headers",
    "proxy_on_request_body",
    "proxy_on_request_trailers",
    "proxy_on_response_headers",
    "proxy_on_tick",
];
/// The host calls of the module. Without one of them it refuses everything, or does not start.
pub(super) const CALLS: [&str; 21] = [
    "proxy_log",
    "proxy_get_current_time_nanoseconds",
    "proxy_get_header_map_pairs",
    "proxy_replace_header_map_value",
    "proxy_remove_header_map_value",
    "proxy_add_header_map_value",
    "proxy_get_property",
    "proxy_set_property",
    "proxy_get_shared_data",
    "proxy_set_shared_data",
    "proxy_get_buffer_bytes",
    "proxy_send_local_response",
    "proxy_continue_stream",
    "proxy_set_effective_context",
    "proxy_set_tick_period_milliseconds",
    "proxy_define_metric",
    "proxy_increment_metric",
    "proxy_record_metric",
    "random_get",
    "environ_get",
    "environ_sizes_get",
];

/// What it needs besides where the host verifies signatures.
const SIGNATURE_CALLS: [&str; 1] = ["proxy_call_foreign_function"];
/// What it needs besides where it fetches key sets, or calls the store of a fleet.
const FETCH_CALLS: [&str; 2] = ["proxy_on_http_call_response", "proxy_http_call"];

/// Variables that the VM gets.
pub(super) fn variables(site: &Site<'_>) -> Variables {
    let Some(listed) = site.settings.path(&["vm_config", "environment_variables"]) else {
        return Variables::default();
    };
    let own = listed.field("key_values").map(Node::members).unwrap_or_default();
    let values: BTreeMap<String, String> = own
        .iter()
        .map(|(key, value)| (key.name.clone(), value.text().unwrap_or_default().to_owned()))
        .collect();
    let from_host = listed.field("host_env_keys").map(Node::items).unwrap_or_default();
    Variables { values, from_host: from_host.iter().filter_map(Node::text).map(str::to_owned).collect() }
}

/// Checks the settings around the configuration.
pub(super) fn check(
    site: &Site<'_>,
    raw: Option<&RawConfig>,
    variables: &Variables,
    findings: &mut Findings,
) {
    let part = Part { node: site.settings, pointer: &site.pointer };
    configuration(&part, findings);
    failure_policy(&part, findings);
    machine(&part, raw, variables, findings);
    if let Some(raw) = raw {
        secrets(&part, "/vm_config/environment_variables", raw, variables, findings);
    }
    if !part.node.field("allow_on_headers_stop_iteration").is_some_and(Node::is_true) {
        let endpoint = raw.is_some_and(|raw| raw.revocation.endpoint.is_some());
        let more = if endpoint { "the revocation endpoint cannot read its body, and " } else { "" };
        let text = format!(
            "{more}a body that is too large is cut off while it streams, after the upstream has seen part of it; \
             write allow_on_headers_stop_iteration: true"
        );
        findings.warn("headers-stop", &part, "/allow_on_headers_stop_iteration", text);
    }
    labels::check(site, raw, labels::MODULE, findings);
    surroundings(&part, site, raw, findings);
}

/// Checks the HTTP connection manager around the filter, if it is in the file.
pub(super) fn surroundings(
    part: &Part<'_>,
    site: &Site<'_>,
    raw: Option<&RawConfig>,
    findings: &mut Findings,
) {
    match &site.manager {
        Some((pointer, node)) => manager::check(&Part { node, pointer }, site, raw, findings),
        // In a resource of Kubernetes, the manager is the work of a controller.
        None if source::kind(site.document).is_some() => {}
        None => findings.warn(
            "no-manager",
            part,
            "",
            "the HTTP connection manager is not in this file: its settings for addresses and paths are not checked",
        ),
    }
}

fn configuration(part: &Part<'_>, findings: &mut Findings) {
    const INSTEAD: &str =
        "write \"@type\": type.googleapis.com/google.protobuf.StringValue and the JSON as value: |";
    let Some(node) = part.node.field("configuration") else {
        findings.error("no-configuration", part, "/configuration", format!("missing; {INSTEAD}"));
        return;
    };
    match node.field("@type").and_then(Node::text).and_then(|name| name.rsplit(['.', '/']).next()) {
        Some("StringValue") => {}
        Some("Struct") => {
            let text =
                format!("a Struct reaches the module as protobuf, not as JSON, and is refused; {INSTEAD}");
            findings.error("struct", part, "/configuration", text);
        }
        _ => findings.error(
            "no-configuration",
            part,
            "/configuration/@type",
            format!("not a StringValue; {INSTEAD}"),
        ),
    }
}

fn failure_policy(part: &Part<'_>, findings: &mut Findings) {
    if part.node.field("fail_open").is_some_and(Node::is_true) {
        let text =
            "after a fault every request passes unchecked; remove it, and write failure_policy: FAIL_RELOAD";
        findings.error("fail-open", part, "/fail_open", text);
    }
    match part.node.field("failure_policy").and_then(Node::text) {
        Some("FAIL_RELOAD") => {}
        Some("FAIL_OPEN") => {
            let text = "FAIL_OPEN: after a fault every request passes unchecked; write FAIL_RELOAD";
            findings.error("fail-open", part, "/failure_policy", text);
        }
        _ => {
            let text = "after a fault every request is refused until Envoy restarts; write FAIL_RELOAD, and \
                        reload_config: { backoff: { base_interval: 0.1s } }";
            findings.warn("no-reload", part, "/failure_policy", text);
        }
    }
}

fn machine(part: &Part<'_>, raw: Option<&RawConfig>, variables: &Variables, findings: &mut Findings) {
    let text_of = |path: &[&str]| part.node.path(path).and_then(Node::text).unwrap_or_default();
    if text_of(&["vm_config", "vm_id"]).is_empty() {
        let text = "counters and revocations are shared with every other plugin without a vm_id; \
                    write vm_id: api_guard";
        findings.warn("no-vm-id", part, "/vm_config/vm_id", text);
    }
    let runtime = text_of(&["vm_config", "runtime"]);
    if runtime != "envoy.wasm.runtime.v8" {
        let text = format!(
            "{runtime:?}: official builds of Envoy have no such runtime; write envoy.wasm.runtime.v8"
        );
        findings.error("runtime", part, "/vm_config/runtime", text);
    }
    let code = |name: &str| part.node.path(&["vm_config", "code", name]);
    if !["local", "remote"].into_iter().filter_map(code).any(says) {
        let text =
            "missing; write where the module is, such as local: { filename: /etc/envoy/api_guard.wasm }";
        findings.error("no-module", part, "/vm_config/code", text);
    }
    for name in variables.from_host.iter().filter(|name| variables.values.contains_key(*name)) {
        let text = format!("{name} is also in key_values, which Envoy refuses; keep one of them");
        findings.error("variable-twice", part, "/vm_config/environment_variables/host_env_keys", text);
    }
    let allowed = part.node.path(&["capability_restriction_config", "allowed_capabilities"]);
    let allowed: Vec<&str> =
        allowed.map(Node::members).unwrap_or_default().iter().map(|(key, _)| key.name.as_str()).collect();
    let missing = |names: &[&'static str]| -> Vec<&'static str> {
        names.iter().copied().filter(|name| !allowed.contains(name)).collect()
    };
    let sets = raw.map(|raw| raw.tokens.key_sets.as_slice()).unwrap_or_default();
    let of_keys = raw.is_some_and(|raw| raw.tokens.keys.iter().any(|key| key.public_key.is_some()));
    let signatures: &[&str] = if of_keys || !sets.is_empty() { &SIGNATURE_CALLS } else { &[] };
    let calls_out =
        sets.iter().any(|set| remote(set).is_some()) || raw.is_some_and(|raw| raw.fleet.is_some());
    let fetches: &[&str] = if calls_out { &FETCH_CALLS } else { &[] };
    let missing = [missing(&CALLBACKS), missing(&CALLS), missing(signatures), missing(fetches)].concat();
    if !allowed.is_empty() && !missing.is_empty() {
        let text = format!(
            "a list without {} silently switches off checks or the whole filter; add them, or remove the list",
            missing.join(", ")
        );
        findings.error("capabilities", part, "/capability_restriction_config/allowed_capabilities", text);
    }
}

/// Whether the module sees the variables that hold secrets and public keys.
pub(super) fn secrets(
    part: &Part<'_>,
    list: &str,
    raw: &RawConfig,
    variables: &Variables,
    findings: &mut Findings,
) {
    let of_keys = raw.tokens.keys.iter().filter_map(|key| Some((key.variable()?, key.secret.is_some())));
    let of_fleet = raw.fleet.iter().flat_map(RawFleet::variables).map(|name| (name, true));
    for (name, is_secret) in of_keys.chain(of_fleet) {
        if variables.values.contains_key(name) && is_secret {
            let text = format!("the secret in {name} is in this file; take it from Envoy's own environment");
            findings.warn("inline-secret", part, list, text);
        } else if !variables.values.contains_key(name)
            && !variables.from_host.iter().any(|known| known == name)
        {
            let text = if is_variable(name) {
                format!("the module cannot see the variable {name}, so Envoy does not start; add {name}")
            } else {
                "the module cannot see a variable that the configuration names, so Envoy does not start; add it".to_owned()
            };
            findings.error("variable-not-listed", part, list, text);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_capability_that_is_asked_for_is_one_that_the_module_has() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/dist/api_guard.wasm");
        // Without a module there is nothing to compare; make test builds it first.
        let Ok(module) = std::fs::read(path) else { return };
        for name in CALLBACKS.iter().chain(&CALLS).chain(&SIGNATURE_CALLS).chain(&FETCH_CALLS) {
            assert!(module.windows(name.len()).any(|window| window == name.as_bytes()), "{name}");
        }
    }
}
