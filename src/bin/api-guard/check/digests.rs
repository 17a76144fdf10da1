//! Which configurations does a file have, as metrics and logs will name them?

use api_guard_core::config::{Environment, Policy};

use crate::source::plugin::Plugin;
use crate::source::tree::Mark;
use crate::source::{self, Host, Source};

/// A configuration that can be served.
pub(super) struct Digest {
    /// Where it is in the file.
    pub(super) pointer: String,
    pub(super) mark: Mark,
    pub(super) digest: String,
}

/// The configurations without errors whose text the module will get as it is here. What Istio and Envoy Gateway are given as
/// values, and Envoy as a `Struct`, they write anew.
pub(super) fn of(source: &Source) -> Vec<Digest> {
    match source {
        Source::Malformed(_) => Vec::new(),
        Source::Plugin(plugin) => digest(plugin, String::new()).into_iter().collect(),
        Source::Manifest(documents, file) => {
            let sites = source::sites(documents).into_iter();
            let of_envoy = sites.filter(|site| matches!(site.host, Host::Envoy | Host::Library));
            let of_site = |site: source::Site<'_>| {
                let (below, node) = site.configuration()?;
                node.text()?;
                digest(&Plugin::of_node(node, file), format!("{}{}{below}", site.within, site.pointer))
            };
            of_envoy.filter_map(of_site).collect()
        }
    }
}

fn digest(plugin: &Plugin, pointer: String) -> Option<Digest> {
    let environment = Environment { lookup: &|_| None, must_be_set: false };
    let policy = Policy::parse(plugin.text.as_bytes(), &environment).ok()?;
    Some(Digest { pointer, mark: plugin.locate(""), digest: policy.digest().to_owned() })
}
