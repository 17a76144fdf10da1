//! What do the other Kubernetes resources in the file do to requests that the guard has judged?

use crate::check::{Findings, Guard, Part, lint, manager};
use crate::source::tree::Node;
use crate::source::{Host, ManifestPart};

/// A kind of resource, a value in it, and the members of that value that change what the upstream gets.
struct Rewrite {
    kinds: &'static [&'static str],
    value: &'static str,
    paths: &'static [&'static str],
    hosts: &'static [&'static str],
}

const REWRITES: [Rewrite; 2] = [
    Rewrite {
        kinds: &["HTTPRoute", "HTTPRouteFilter"],
        value: "urlRewrite",
        paths: &["path"],
        hosts: &["hostname"],
    },
    Rewrite {
        kinds: &["VirtualService"],
        value: "rewrite",
        paths: &["uri", "uriRegexRewrite"],
        hosts: &["authority"],
    },
];

/// Checks the documents for what a `WasmPlugin` or an `EnvoyExtensionPolicy` in them cannot say itself.
pub(in crate::check) fn check(parts: &[ManifestPart], guards: &[Guard<'_>], findings: &mut Findings) {
    let is_hosted = |host| matches!(host, Host::Istio | Host::EnvoyGateway | Host::EnvoyGatewayLibrary);
    let guards = guards.iter().filter(|guard| is_hosted(guard.site.host));
    let configurations: Vec<_> = guards.filter_map(|guard| guard.raw.as_ref()).collect();
    let by_path = configurations.iter().any(|raw| lint::judges_paths(raw));
    let by_host = configurations.iter().any(|raw| lint::judges_hosts(raw));
    let keeps_slashes = configurations.iter().any(|raw| manager::allows_encoded_slashes(raw));
    if configurations.is_empty() {
        return;
    }
    for ManifestPart { root: document, .. } in parts {
        let part = Part { node: document, pointer: "" };
        let kind = document.field("kind").and_then(Node::text).unwrap_or_default();
        for rewrite in REWRITES.iter().filter(|rewrite| rewrite.kinds.contains(&kind)) {
            document.walk("", &mut |pointer, node| {
                let Some(value) = node.field(rewrite.value) else { return };
                let written = |name: &&&str| value.field(name).is_some();
                for name in rewrite.paths.iter().filter(written).filter(|_| by_path) {
                    manager::path_rewrite(&part, &format!("{pointer}/{}/{name}", rewrite.value), findings);
                }
                for name in rewrite.hosts.iter().filter(written).filter(|_| by_host) {
                    manager::host_rewrite(&part, &format!("{pointer}/{}/{name}", rewrite.value), findings);
                }
            });
        }
        let slashes = document.path(&["spec", "path", "escapedSlashesAction"]).and_then(Node::text);
        if kind == "ClientTrafficPolicy" && keeps_slashes && slashes != Some("KeepUnchanged") {
            let text = "a route's allow_in_path lets encoded slashes pass, and Envoy Gateway refuses or decodes them before \
                        api-guard sees them; write KeepUnchanged";
            findings.warn("path-options", &part, "/spec/path/escapedSlashesAction", text);
        }
        let trailers = document.path(&["spec", "http1", "enableTrailers"]);
        if kind == "ClientTrafficPolicy" && trailers.is_some_and(Node::is_true) {
            findings.warn("trailers", &part, "/spec/http1/enableTrailers", manager::TRAILERS);
        }
    }
}
