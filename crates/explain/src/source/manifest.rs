//! What the documents of a manifest are: Envoy's configuration, resources of Kubernetes, and texts of these in a `ConfigMap`.

use super::tree::{Node, step};
use super::{Host, Site, is_manifest, plugin, surrogates, wasm_filters};

/// A document of a file, or a text in a `ConfigMap` of it that is a document.
pub struct ManifestPart {
    /// The document.
    pub root: Node,
    /// The pointer to the text in its `ConfigMap`; empty for a document of the file itself.
    pub within: String,
}

/// The documents, each followed by those that it holds as texts.
pub(super) fn parts(documents: Vec<Node>, file: &[char]) -> Vec<ManifestPart> {
    let mut parts = Vec::new();
    for document in documents {
        let held = if kind(&document) == Some("ConfigMap") { held(&document, file) } else { Vec::new() };
        parts.push(ManifestPart { root: document, within: String::new() });
        parts.extend(held);
    }
    parts
}

/// The kind of a resource.
pub fn kind(document: &Node) -> Option<&str> {
    document.field("kind").and_then(Node::text)
}

/// What a `ConfigMap` holds that can be checked.
fn held(map: &Node, file: &[char]) -> Vec<ManifestPart> {
    let mut parts = Vec::new();
    for (key, node) in map.field("data").map(Node::members).unwrap_or_default() {
        let Some(text) = node.text() else { continue };
        let within = format!("/data/{}", step(&key.name));
        let is_configuration = |root: &Node| root.field("tokens").is_some();
        match surrogates::read(text) {
            Ok(documents) => {
                let marks = plugin::align(text, node.mark, file);
                let known = documents.iter().filter(|root| is_manifest(root) || is_configuration(root));
                parts.extend(
                    known.map(|root| ManifestPart { root: root.moved(&marks), within: within.clone() }),
                );
            }
            // JSON with escapes that YAML does not know, or a slip: whoever reads the configuration says which.
            Err(_) if text.contains("\"tokens\"") => parts.push(ManifestPart { root: node.clone(), within }),
            Err(_) => {}
        }
    }
    parts
}

/// All that loads a module in a document.
pub(super) fn sites(part: &ManifestPart) -> Vec<Site<'_>> {
    let ManifestPart { root, within } = part;
    let site = |host, pointer: String, settings, name: Option<&Node>| Site {
        host,
        pointer,
        settings,
        manager: None,
        name: name.and_then(Node::text).unwrap_or_default().to_owned(),
        document: root,
        within,
    };
    let of_resource = root.path(&["metadata", "name"]);
    let list =
        |field: &str| root.path(&["spec", field]).map(Node::items).unwrap_or_default().iter().enumerate();
    match kind(root) {
        Some("WasmPlugin") => {
            let spec = root.field("spec").into_iter();
            spec.map(|spec| site(Host::Istio, "/spec".to_owned(), spec, of_resource)).collect()
        }
        Some("TrafficExtension") => {
            let wasm = root.path(&["spec", "wasm"]).into_iter();
            wasm.map(|wasm| site(Host::Istio, "/spec/wasm".to_owned(), wasm, of_resource)).collect()
        }
        Some("EnvoyExtensionPolicy") => {
            let wasm = list("wasm").map(|(index, wasm)| {
                site(Host::EnvoyGateway, format!("/spec/wasm/{index}"), wasm, wasm.field("name"))
            });
            let libraries = list("dynamicModule").map(|(index, library)| {
                let pointer = format!("/spec/dynamicModule/{index}");
                site(Host::EnvoyGatewayLibrary, pointer, library, library.field("name"))
            });
            wasm.chain(libraries).collect()
        }
        None if !within.is_empty() && !is_manifest(root) => {
            vec![site(Host::Unknown, String::new(), root, None)]
        }
        // What is merged into a filter is no filter.
        Some("EnvoyFilter") => {
            with(within, wasm_filters(root)).filter(|site| !is_merged(root, &site.pointer)).collect()
        }
        Some(_) | None => with(within, wasm_filters(root)).collect(),
    }
}

fn with<'f>(within: &'f str, sites: Vec<Site<'f>>) -> impl Iterator<Item = Site<'f>> {
    sites.into_iter().map(move |site| Site { within, ..site })
}

/// Whether a pointer is in a patch of an `EnvoyFilter` that is merged into what is there.
fn is_merged(filter: &Node, pointer: &str) -> bool {
    let patch: Vec<&str> = pointer.split('/').take(4).collect();
    let patch = filter.at(&patch.join("/"));
    let operation = patch.and_then(|patch| patch.path(&["patch", "operation"])).and_then(Node::text);
    operation == Some("MERGE")
}
