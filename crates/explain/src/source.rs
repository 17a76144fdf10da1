//! A text with a plugin configuration: the configuration itself, or a manifest that contains one or several.

mod jsonc;
mod manifest;
pub mod plugin;
pub mod secrets;
mod surrogates;
pub mod tree;

pub use manifest::{ManifestPart, kind};
use plugin::Plugin;
use tree::{Malformed, Mark, Node};

/// The contents of a file.
pub enum Source {
    /// A plugin configuration.
    Plugin(Plugin),
    /// An Envoy configuration, or Kubernetes resources, with what ConfigMaps hold of them.
    Manifest(Vec<ManifestPart>, Vec<char>),
    /// Neither YAML nor JSON.
    Malformed(Malformed),
}

/// Who loads the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// Envoy, by its own configuration.
    Envoy,
    /// Envoy, by its own configuration, the native library in place of the module.
    Library,
    /// Istio, by a `TrafficExtension` or a `WasmPlugin`.
    Istio,
    /// Envoy Gateway, by an `EnvoyExtensionPolicy`.
    EnvoyGateway,
    /// Envoy Gateway likewise, the native library in place of the module.
    EnvoyGatewayLibrary,
    /// Nobody that the file names: a `ConfigMap` has the configuration alone.
    Unknown,
}

impl Host {
    /// Whether the native library is loaded in place of the module.
    pub fn is_library(self) -> bool {
        match self {
            Self::Library | Self::EnvoyGatewayLibrary => true,
            Self::Envoy | Self::Istio | Self::EnvoyGateway | Self::Unknown => false,
        }
    }
}

/// A part of a manifest that loads api-guard.
pub struct Site<'f> {
    /// Who loads the module.
    pub host: Host,
    /// The JSON pointer to `settings`.
    pub pointer: String,
    /// Envoy's `PluginConfig` or `DynamicModuleFilter`, Istio's `spec` or its `wasm`, an element of Envoy Gateway's `spec.wasm` or
    /// `spec.dynamicModule`, or the configuration itself.
    pub settings: &'f Node,
    /// The HTTP connection manager around the filter.
    pub manager: Option<(String, &'f Node)>,
    /// The filter's name.
    pub name: String,
    /// The document that the pointers are in.
    pub document: &'f Node,
    /// The pointer to the text that the document is, in a `ConfigMap`; empty for a document of the file itself.
    pub within: &'f str,
}

const WASM: &str = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const LIBRARY: &str =
    "type.googleapis.com/envoy.extensions.filters.http.dynamic_modules.v3.DynamicModuleFilter";
/// Fields of a bootstrap, or of a file of discovered resources.
const ENVOY_FIELDS: [&str; 5] = ["static_resources", "dynamic_resources", "admin", "resources", "node"];

/// What a text is.
pub fn of_text(text: String) -> Source {
    let text = text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text);
    if text.trim().is_empty() {
        let problem = "there is nothing in it; write a configuration".to_owned();
        return Source::Malformed(Malformed { mark: Mark { line: 1, column: 1, index: 0 }, problem });
    }
    let is_json = jsonc::is_meant(&text);
    let text = if is_json { jsonc::plain(&text) } else { text };
    match surrogates::read(&text) {
        Ok(documents) if documents.iter().any(is_manifest) => {
            let file: Vec<char> = text.chars().collect();
            Source::Manifest(manifest::parts(documents, &file), file)
        }
        Err(Malformed { mark, problem }) if !is_json => {
            Source::Malformed(Malformed { mark, problem: format!("neither JSON nor YAML: {problem}") })
        }
        Ok(documents) if !is_json => match documents.as_slice() {
            [document] => Source::Plugin(Plugin::of_document(document)),
            [_, second, ..] => Source::Malformed(Malformed {
                mark: second.mark,
                problem: "a second document; write one configuration".to_owned(),
            }),
            [] => Source::Plugin(Plugin::of_file(text)),
        },
        Ok(mut documents) if documents.len() == 1 => {
            Source::Plugin(Plugin::of_json(text, documents.remove(0)))
        }
        Ok(_) | Err(_) => Source::Plugin(Plugin::of_file(text)),
    }
}

/// The documents of a text of JSON, also with comments, or YAML.
///
/// # Errors
///
/// Why it is neither, and where.
pub fn documents(text: &str) -> Result<Vec<Node>, Malformed> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let readable = if jsonc::is_meant(text) { jsonc::plain(text) } else { text.to_owned() };
    surrogates::read(&readable)
}

fn is_manifest(document: &Node) -> bool {
    if document.field("tokens").is_some() {
        return false;
    }
    let is_resource = document.field("kind").is_some() && document.field("apiVersion").is_some();
    is_resource
        || ENVOY_FIELDS.iter().any(|name| document.field(name).is_some())
        || !wasm_filters(document).is_empty()
}

/// All parts that load api-guard, in the order of the documents.
pub fn sites(parts: &[ManifestPart]) -> Vec<Site<'_>> {
    let mut sites: Vec<Site<'_>> = parts.iter().flat_map(manifest::sites).collect();
    let ours: Vec<bool> = sites.iter().map(Site::is_ours).collect();
    if ours.contains(&true) {
        let mut ours = ours.into_iter();
        sites.retain(|_| ours.next().unwrap_or(true));
    } else if sites.len() > 1 {
        sites.clear();
    }
    sites
}

/// Whether a text names the guard.
pub fn names_guard(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    ["api_guard", "api-guard", "apiguard"].iter().any(|name| text.contains(name))
}

impl Site<'_> {
    /// The pointer to the listener, if the guard is in one.
    pub fn listener(&self) -> &str {
        let pointer = self.pointer.as_str();
        let ends = ["/filter_chains/", "/filterChains/", "/default_filter_chain/", "/defaultFilterChain/"];
        let end = ends.iter().filter_map(|name| pointer.find(name)).min().unwrap_or(pointer.len());
        pointer.get(..end).unwrap_or(pointer)
    }

    /// Whether the plugin is api-guard, judged by its names and its configuration.
    fn is_ours(&self) -> bool {
        let names: [&[&str]; 9] = [
            &["name"],
            &["root_id"],
            &["url"],
            &["vm_config", "vm_id"],
            &["vm_config", "code", "local", "filename"],
            &["code", "image", "url"],
            &["filter_name"],
            &["dynamic_module_config", "name"],
            &["dynamic_module_config", "module", "local", "filename"],
        ];
        let by_name =
            names.iter().any(|path| self.settings.path(path).and_then(Node::text).is_some_and(names_guard));
        by_name
            || names_guard(&self.name)
            || self.configuration().is_some_and(|(_, node)| mentions_tokens(node))
    }

    /// The plugin configuration and its pointer relative to the settings.
    pub fn configuration(&self) -> Option<(&'static str, &Node)> {
        let (pointer, field) = match self.host {
            Host::Envoy => {
                return any(self.settings, "configuration", ["/configuration", "/configuration/value"]);
            }
            Host::Library => {
                return any(self.settings, "filter_config", ["/filter_config", "/filter_config/value"]);
            }
            Host::Unknown => return Some(("", self.settings)),
            Host::Istio => ("/pluginConfig", "pluginConfig"),
            Host::EnvoyGateway | Host::EnvoyGatewayLibrary => ("/config", "config"),
        };
        self.settings.field(field).map(|node| (pointer, node))
    }
}

/// The value of a `google.protobuf.Any`, and its pointer; the whole of it if it has none.
fn any<'n>(
    settings: &'n Node,
    field: &str,
    [whole, value]: [&'static str; 2],
) -> Option<(&'static str, &'n Node)> {
    let node = settings.field(field)?;
    Some(node.field("value").map_or((whole, node), |node| (value, node)))
}

fn mentions_tokens(node: &Node) -> bool {
    node.field("tokens").is_some() || node.text().is_some_and(|text| text.contains("\"tokens\""))
}

/// All HTTP filters that run a module or a library, at any depth.
fn wasm_filters(document: &Node) -> Vec<Site<'_>> {
    let mut found = Vec::new();
    descend(document, document, String::new(), None, "", &mut found);
    found
}

/// Whether an HTTP filter is, or contains, the guard whose filter is called `name`.
pub fn has_guard(filter: &Node, name: &str) -> bool {
    let is_named = filter.field("name").and_then(Node::text) == Some(name);
    (is_named && filter.field("config_discovery").is_some())
        || wasm_filters(filter).iter().any(|site| site.name == name || site.is_ours())
}

fn descend<'f>(
    document: &'f Node,
    node: &'f Node,
    pointer: String,
    manager: Option<(&str, &'f Node)>,
    name: &str,
    found: &mut Vec<Site<'f>>,
) {
    let loaded = match node.field("@type").and_then(Node::text) {
        Some(WASM) => {
            node.field("config").map(|settings| (Host::Envoy, format!("{pointer}/config"), settings))
        }
        Some(LIBRARY) => Some((Host::Library, pointer.clone(), node)),
        // Istio's form for a message that it need not know itself.
        Some(name) if name.ends_with(".TypedStruct") => typed_struct(node, &pointer),
        Some(_) | None => None,
    };
    if let Some((host, pointer, settings)) = loaded {
        found.push(Site {
            host,
            pointer,
            settings,
            manager: manager.map(|(at, node)| (at.to_owned(), node)),
            name: name.to_owned(),
            document,
            within: "",
        });
        return;
    }
    let own = node.field("http_filters").map(|_| (pointer.as_str(), node));
    let name = node.field("name").and_then(Node::text).unwrap_or(name);
    for (key, member) in node.members() {
        let step = tree::step(&key.name);
        descend(document, member, format!("{pointer}/{step}"), own.or(manager), name, found);
    }
    for (index, item) in node.items().iter().enumerate() {
        descend(document, item, format!("{pointer}/{index}"), own.or(manager), name, found);
    }
}

/// What a `TypedStruct` (xds.type.v3 or udpa.type.v1) loads.
fn typed_struct<'f>(node: &'f Node, pointer: &str) -> Option<(Host, String, &'f Node)> {
    let value = node.field("value")?;
    match node.field("type_url").and_then(Node::text)? {
        WASM => value.field("config").map(|config| (Host::Envoy, format!("{pointer}/value/config"), config)),
        LIBRARY => Some((Host::Library, format!("{pointer}/value"), value)),
        _ => None,
    }
}

/// The file's first character, if no better position is known.
pub const NOWHERE: Mark = Mark::START;
