//! Checks of Istio's `TrafficExtension` and `WasmPlugin`, and of Envoy Gateway's `EnvoyExtensionPolicy`.

pub(super) mod resources;

use api_guard_core::config::raw::RawConfig;

use super::{Findings, Part, Variables, envoy};
use crate::source::tree::Node;
use crate::source::{Host, Site};

/// Variables that the VM gets.
pub(super) fn variables(site: &Site<'_>) -> Variables {
    let mut variables = Variables::default();
    if site.host == Host::EnvoyGateway {
        let keys = site.settings.path(&["env", "hostKeys"]).map(Node::items).unwrap_or_default();
        variables.from_host = keys.iter().filter_map(Node::text).map(str::to_owned).collect();
        return variables;
    }
    let env = site.settings.path(&["vmConfig", "env"]).map(Node::items).unwrap_or_default();
    for variable in env {
        let Some(name) = variable.field("name").and_then(Node::text) else { continue };
        if variable.field("valueFrom").and_then(Node::text) == Some("HOST") {
            variables.from_host.push(name.to_owned());
        } else {
            let value = variable.field("value").and_then(Node::text).unwrap_or_default();
            variables.values.insert(name.to_owned(), value.to_owned());
        }
    }
    variables
}

/// Checks the settings around the configuration. `is_completed`: whether another resource in the file says what this one
/// cannot.
pub(super) fn check(
    site: &Site<'_>,
    raw: Option<&RawConfig>,
    variables: &Variables,
    is_completed: bool,
    findings: &mut Findings,
) {
    let part = Part { node: site.settings, pointer: &site.pointer };
    let is_istio = site.host == Host::Istio;
    let (field, variable_list) =
        if is_istio { ("pluginConfig", "/vmConfig/env") } else { ("config", "/env/hostKeys") };
    configuration(&part, field, findings);
    if let Some(raw) = raw {
        envoy::secrets(&part, variable_list, raw, variables, findings);
        if raw.revocation.endpoint.is_some() && !is_completed {
            let other = if is_istio { "EnvoyFilter" } else { "EnvoyPatchPolicy" };
            let text = format!(
                "this resource cannot set allow_on_headers_stop_iteration, so the revocation endpoint cannot read a body: \
                 only logout, which needs none, works; remove the endpoint, or add the {other} that api-guard emit writes"
            );
            findings.warn("headers-stop", &part, &format!("/{field}/revocation/endpoint"), text);
        }
    }
    if is_istio { istio(&part, findings) } else { envoy_gateway(&part, findings) }
}

/// Checks a library that Envoy Gateway loads.
pub(super) fn library(site: &Site<'_>, findings: &mut Findings) {
    let part = Part { node: site.settings, pointer: &site.pointer };
    configuration(&part, "config", findings);
    if part.node.field("filterName").and_then(Node::text).unwrap_or_default().is_empty() {
        let text = "counters and revocations are shared with every other guard without a filterName; \
                    write filterName: api_guard";
        findings.warn("no-filter-name", &part, "/filterName", text);
    }
}

fn configuration(part: &Part<'_>, field: &str, findings: &mut Findings) {
    match part.node.field(field) {
        None => {
            let text = format!("missing; write the plugin configuration as {field}");
            findings.error("no-configuration", part, &format!("/{field}"), text);
        }
        // Both hosts convert their values to JSON, so a string would become a JSON string.
        Some(node) if node.text().is_some() => {
            let text = "a string, which reaches the module in quotes; write the configuration as YAML or JSON values";
            findings.error("no-configuration", part, &format!("/{field}"), text);
        }
        Some(_) => {}
    }
}

fn istio(part: &Part<'_>, findings: &mut Findings) {
    match part.node.field("failStrategy").and_then(Node::text) {
        Some("FAIL_RELOAD") => {}
        Some("FAIL_OPEN") => {
            let text = "FAIL_OPEN: after a fault every request passes unchecked; write FAIL_RELOAD";
            findings.error("fail-open", part, "/failStrategy", text);
        }
        _ => {
            let text = "after a fault every request is refused until the proxy restarts; write FAIL_RELOAD";
            findings.warn("no-reload", part, "/failStrategy", text);
        }
    }
    if part.node.field("url").is_none() {
        findings.error(
            "no-module",
            part,
            "/url",
            "missing; write where the module is, such as oci://registry/image:tag",
        );
    }
}

fn envoy_gateway(part: &Part<'_>, findings: &mut Findings) {
    if part.node.field("failOpen").is_some_and(Node::is_true) {
        let text =
            "after a fault, or with a wrong configuration, every request passes unchecked; write false";
        findings.error("fail-open", part, "/failOpen", text);
    }
    if part.node.field("code").is_none() {
        findings.error("no-module", part, "/code", "missing; write where the module is");
    }
}
