//! Resources of Istio: a `TrafficExtension` or `WasmPlugin`, and the `EnvoyFilter` that adds what it cannot say.

use api_guard_core::config::raw::RawConfig;

use super::names::{Kind, Target};
use super::{key_sets, secret, stats, text};
use crate::check::allows_encoded_slashes;
use crate::outcome::Failure;

const MANIFEST: &str = include_str!("istio.yaml");
const WASM: &str = include_str!("istio-wasm.yaml");
const FILTER: &str = include_str!("istio-filter.yaml");

/// Which resource loads the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Resource {
    TrafficExtension,
    WasmPlugin,
}

impl Resource {
    fn kind(self) -> &'static str {
        match self {
            Self::TrafficExtension => "TrafficExtension",
            Self::WasmPlugin => "WasmPlugin",
        }
    }

    /// As it stands in the names of the filters that Istio makes.
    fn in_names(self) -> &'static str {
        match self {
            Self::TrafficExtension => "trafficextension",
            Self::WasmPlugin => "wasmplugin",
        }
    }
}

/// What the resources are written from.
pub(super) struct Istio<'i> {
    pub(super) configuration: &'i str,
    pub(super) raw: &'i RawConfig,
    pub(super) resource: Resource,
    pub(super) name: &'i str,
    pub(super) namespace: &'i str,
    pub(super) target: &'i Target,
    /// Where the module is: an image, a URL.
    pub(super) image: &'i str,
    /// A file in the proxy's file system, in place of the image.
    pub(super) module: Option<&'i str>,
    pub(super) sha256: Option<&'i str>,
    pub(super) pull_secret: Option<&'i str>,
    /// The Secret that has the variables.
    pub(super) secret: &'i str,
}

/// What is told where the image needs a pull secret.
const PULL_SECRET: &str = "Istio gives pull secrets to its own resources only, so the EnvoyFilter leaves the filter \
                                      alone: a body that is too large is cut off while it streams, the revocation endpoint \
                                      revokes only the token that calls it, and counters are shared with every other plugin \
                                      of the proxy; put the module into the proxy's file system and name it by --module, or \
                                      use an image that needs no pull secret";

/// What is told where a route lets encoded slashes pass.
const ENCODED_SLASHES: &str = "a route's allow_in_path lets encoded slashes pass, and the mesh must not decode them before api-guard \
                               sees them: write no pathNormalization in the MeshConfig, or any but DECODE_AND_MERGE_SLASHES";

impl Istio<'_> {
    /// What this host cannot promise.
    pub(super) fn notes(&self) -> Vec<String> {
        let slashes = allows_encoded_slashes(self.raw).then_some(ENCODED_SLASHES);
        let pull_secret = self.has_no_filter().then_some(PULL_SECRET);
        pull_secret.into_iter().chain(slashes).map(str::to_owned).collect()
    }

    /// Whether the `EnvoyFilter` leaves the filter alone, because it cannot pull the image.
    fn has_no_filter(&self) -> bool {
        self.pull_secret.is_some() && self.module.is_none()
    }

    /// The resources as YAML.
    pub(super) fn manifest(&self) -> Result<String, Failure> {
        let (target, filter_target) = self.targets()?;
        let names = secret::variables(self.raw);
        let url = self.url();
        let line = |name: &str, value: &str| format!("{name}: {value}\n");
        let sha256 = self.sha256.map(|digest| line("sha256", &text::quoted(digest))).unwrap_or_default();
        let pull_secret =
            self.pull_secret.map(|name| line("imagePullSecret", &text::quoted(name))).unwrap_or_default();
        let variable = |name: &String| format!("\n    - name: {}\n      valueFrom: HOST", text::quoted(name));
        let env: String = names.iter().map(variable).collect();
        let wasm = text::fill(
            WASM,
            &[
                ("url", &text::quoted(&url)),
                ("sha256\n", &sha256),
                ("pull_secret\n", &pull_secret),
                (" env", if env.is_empty() { " []" } else { &env }),
                ("configuration", &text::values(self.configuration, 2)),
            ],
        );
        let wasm = match self.resource {
            Resource::TrafficExtension => format!("  wasm:\n{}", text::indented(&wasm, 4)),
            Resource::WasmPlugin => text::indented(&wasm, 2),
        };
        let filter = if self.has_no_filter() { String::new() } else { self.filter(&url) };
        let from_secret = |name: &String| {
            let name = text::quoted(name);
            let reference =
                format!("{{ secretKeyRef: {{ name: {}, key: {name} }} }}", text::quoted(self.secret));
            format!("{{ name: {name}, valueFrom: {reference} }}")
        };
        let says = if filter.is_empty() {
            SAYS_LABELS.to_owned()
        } else {
            SAYS.replace("KIND", self.resource.kind())
        };
        Ok(text::fill(
            MANIFEST,
            &[
                ("variables", &names.join(", ")),
                ("from_secret", &names.iter().map(from_secret).collect::<Vec<_>>().join(", ")),
                ("says", &says),
                ("key_sets\n", &key_sets::comment(self.raw)),
                ("kind", self.resource.kind()),
                ("name", &text::quoted(self.name)),
                ("namespace", &text::quoted(self.namespace)),
                ("target", &target),
                ("wasm", &wasm),
                ("filter_target", &filter_target),
                ("filter\n", &filter),
                ("tags", &stats::tags(false, 14)),
            ],
        ))
    }

    fn url(&self) -> String {
        match self.module {
            Some(path) => format!("file://{path}"),
            None if self.image.contains("://") => self.image.to_owned(),
            None => format!("oci://{}", self.image),
        }
    }

    /// The members that say whom the two resources are for.
    fn targets(&self) -> Result<(String, String), Failure> {
        match self.target {
            Target::Labels(labels) => {
                let labels = stats::labels(labels);
                Ok((
                    format!("  selector:\n    matchLabels: {labels}"),
                    format!("  workloadSelector:\n    labels: {labels}"),
                ))
            }
            Target::Resource { kind: kind @ (Kind::Gateway | Kind::GatewayClass), name, section: None } => {
                let reference = format!(
                    "  targetRefs:\n    - group: gateway.networking.k8s.io\n      kind: {}\n      name: {}",
                    kind.text(),
                    text::quoted(name)
                );
                Ok((reference.clone(), reference))
            }
            Target::Resource { kind, name, section } => {
                let section = section.as_ref().map(|section| format!("/{section}")).unwrap_or_default();
                Err(Failure::usage(format!(
                    "--target {:?}: Istio guards whole proxies; write Gateway/NAME, or the labels of the proxies as \
                     LABEL=VALUE",
                    format!("{}/{name}{section}", kind.text())
                )))
            }
        }
    }

    fn filter(&self, url: &str) -> String {
        let sha256 =
            self.sha256.map(|digest| format!(", sha256: {}", text::quoted(digest))).unwrap_or_default();
        let code = match self.module {
            Some(path) => format!("{{ local: {{ filename: {} }} }}", text::quoted(path)),
            None => format!(
                "{{ remote: {{ http_uri: {{ uri: {}, timeout: 30s, cluster: _ }}{sha256} }} }}",
                text::quoted(url)
            ),
        };
        text::fill(
            FILTER,
            &[
                ("kind", self.resource.kind()),
                ("resource", self.resource.in_names()),
                ("name", self.name),
                ("namespace", self.namespace),
                // Two labels of digits would be a number.
                ("plugin", &text::quoted(&format!("{}.{}", self.namespace, self.name))),
                ("code", &code),
                ("variables", &text::items(&secret::variables(self.raw))),
                ("configuration", &text::block(self.configuration, 18)),
            ],
        )
    }
}

const SAYS: &str = "\
# - allow_on_headers_stop_iteration: true. Without it a body that is too large is cut off while it streams instead of before
#   the upstream sees it, and the revocation endpoint revokes only the token that calls it.
# - vm_id. Without it counters and revocations are shared with every other KIND of the proxy.
# - how soon the filter reloads after a fault, the plugin's name in Envoy's own metrics, and the labels of the metrics.";
const SAYS_LABELS: &str = "\
# - the labels of the metrics.
# It cannot say allow_on_headers_stop_iteration: true and vm_id, because Istio gives pull secrets to its own resources only. A
# body that is too large is cut off while it streams instead of before the upstream sees it, the revocation endpoint revokes
# only the token that calls it, and counters and revocations are shared with every other plugin of the proxy.";
