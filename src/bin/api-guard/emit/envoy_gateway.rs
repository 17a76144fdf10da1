//! Resources of Envoy Gateway: an `EnvoyExtensionPolicy`, the `EnvoyProxy` with the secrets and the labels of the metrics, and
//! the `EnvoyPatchPolicy` that adds what the first cannot say.

use api_guard_core::config::raw::RawConfig;

use super::names::{Kind, Target};
use super::{key_sets, secret, stats, text};
use crate::check::allows_encoded_slashes;
use crate::outcome::Failure;

const MANIFEST: &str = include_str!("envoy-gateway.yaml");
const WASM: &str = include_str!("envoy-gateway-wasm.yaml");
const NATIVE: &str = include_str!("envoy-gateway-native.yaml");
const PATCH: &str = include_str!("envoy-gateway-patch.yaml");
/// The listener that Envoy Gateway's own examples have.
const LISTENER: &str = "http";
/// The Gateway that they have.
const GATEWAY: &str = "eg";
/// Where the library is in the proxies, unless it is named.
pub(super) const LIBRARY: &str = "/usr/local/lib/libapi_guard.so";

/// What is told in any case.
pub(super) const UNMATCHED: &str = "Envoy Gateway switches the filter on by route: requests that match no HTTPRoute never reach \
                                    it, and get 404";

/// What is told where a route lets encoded slashes pass.
const ENCODED_SLASHES: &str = "a route's allow_in_path lets encoded slashes pass, and Envoy Gateway redirects them to the decoded \
                               path before api-guard sees them; write path: { escapedSlashesAction: KeepUnchanged } in a \
                               ClientTrafficPolicy for the Gateway";

/// What the resources are written from.
pub(super) struct EnvoyGateway<'g> {
    pub(super) configuration: &'g str,
    pub(super) raw: &'g RawConfig,
    pub(super) name: &'g str,
    pub(super) namespace: &'g str,
    pub(super) target: &'g Target,
    pub(super) image: &'g str,
    pub(super) sha256: Option<&'g str>,
    pub(super) pull_secret: Option<&'g str>,
    pub(super) secret: &'g str,
    /// The library in the proxies' file system, in place of the module.
    pub(super) library: Option<&'g str>,
}

impl EnvoyGateway<'_> {
    /// What this host cannot promise.
    pub(super) fn notes(&self) -> Vec<String> {
        let mut notes = vec![UNMATCHED.to_owned()];
        if self.library.is_none() && !matches!(self.target, Target::Resource { kind: Kind::Gateway, .. }) {
            notes.push(format!(
                "the EnvoyPatchPolicy has to name the Gateway and its listener, and --target names another kind: it is \
                 written for the listener {LISTENER} of the Gateway {GATEWAY}; edit it if yours is called otherwise"
            ));
        }
        if allows_encoded_slashes(self.raw) {
            notes.push(ENCODED_SLASHES.to_owned());
        }
        notes
    }

    /// The resources as YAML.
    pub(super) fn manifest(&self) -> Result<String, Failure> {
        if let Target::Resource { kind: kind @ Kind::GatewayClass, name, .. } = self.target {
            return Err(Failure::usage(format!(
                "--target {:?}: Envoy Gateway attaches no policy to a class; write Gateway/NAME, HTTPRoute/NAME or the labels \
                 of Gateways as LABEL=VALUE",
                format!("{}/{name}", kind.text())
            )));
        }
        let names = secret::variables(self.raw);
        let env = text::secret_variables(&names, self.secret);
        let (extension, dynamic_modules, patch_policy) = match self.library {
            None => (self.wasm()?, String::new(), self.patch_policy()),
            Some(library) => {
                let configuration = text::values(self.configuration, 8);
                let extension = text::fill(NATIVE, &[("configuration", &configuration)]);
                let modules = format!(
                    "  dynamicModules:\n    - name: api-guard\n      # The library keeps what limits and revocations share as \
                     long as Envoy runs.\n      doNotClose: true\n      source: {{ type: Local, local: {{ path: {} }} }}\n",
                    text::quoted(library)
                );
                (extension, modules, String::new())
            }
        };
        let mut tags = stats::patches(self.library.is_some(), 6);
        if self.library.is_some() {
            tags.push('\n');
            tags.push_str(RUNTIME);
        }
        Ok(text::fill(
            MANIFEST,
            &[
                ("variables", &names.join(", ")),
                ("secret", self.secret),
                ("about", if self.library.is_some() { ABOUT_LIBRARY } else { ABOUT_MODULE }),
                ("key_sets\n", &key_sets::comment(self.raw)),
                ("name", &text::quoted(self.name)),
                ("namespace", &text::quoted(self.namespace)),
                ("target", &self.target()),
                ("extension\n", &extension),
                ("dynamic_modules\n", &dynamic_modules),
                (" env", if env.is_empty() { " []" } else { &env }),
                ("tags", &tags),
                ("patch_policy\n", &patch_policy),
            ],
        ))
    }

    fn target(&self) -> String {
        match self.target {
            Target::Labels(labels) => format!(
                "  targetSelectors:\n    - group: gateway.networking.k8s.io\n      kind: Gateway\n      matchLabels: {}",
                stats::labels(labels)
            ),
            Target::Resource { kind, name, section } => {
                let section =
                    section.as_ref().map(|name| format!("\n      sectionName: {}", text::quoted(name)));
                format!(
                    "  targetRefs:\n    - group: gateway.networking.k8s.io\n      kind: {}\n      name: {}{}",
                    kind.text(),
                    text::quoted(name),
                    section.unwrap_or_default()
                )
            }
        }
    }

    fn wasm(&self) -> Result<String, Failure> {
        let image = self.image.trim_start_matches("oci://");
        let is_url = image.contains("://");
        if is_url && !image.starts_with("http") {
            return Err(Failure::usage(format!(
                "--image {:?}: Envoy Gateway fetches modules from registries and web servers; write REGISTRY/NAME:TAG or \
                 an https URL",
                self.image
            )));
        }
        let mut code = format!(
            "        {}:\n          url: {}",
            if is_url { "http" } else { "image" },
            text::quoted(image)
        );
        if let Some(digest) = self.sha256 {
            code.push_str(&format!("\n          sha256: {}", text::quoted(digest)));
        }
        if let Some(secret) = self.pull_secret {
            if is_url {
                return Err(Failure::usage(
                    "--pull-secret: a module at a URL needs none; write an image, or leave it out",
                ));
            }
            code.push_str(&format!(
                "\n          pullSecretRef: {{ kind: Secret, name: {} }}",
                text::quoted(secret)
            ));
        }
        Ok(text::fill(
            WASM,
            &[
                ("type", if is_url { "HTTP" } else { "Image" }),
                ("code", &code),
                ("variables", &text::items(&secret::variables(self.raw))),
                ("configuration", &text::values(self.configuration, 8)),
            ],
        ))
    }

    fn patch_policy(&self) -> String {
        let (gateway, listener) = match self.target {
            Target::Resource { kind: Kind::Gateway, name, section } => (name.as_str(), section.as_deref()),
            Target::Resource { .. } | Target::Labels(_) => (GATEWAY, None),
        };
        let listener = listener.unwrap_or(LISTENER);
        let filter =
            format!("envoy.filters.http.wasm/envoyextensionpolicy/{}/{}/wasm/0", self.namespace, self.name);
        text::fill(
            PATCH,
            &[
                ("name", &text::quoted(self.name)),
                ("namespace", &text::quoted(self.namespace)),
                ("gateway", &text::quoted(gateway)),
                ("listener", &text::quoted(&format!("{}/{gateway}/{listener}", self.namespace))),
                ("filter", &filter),
            ],
        )
    }
}

const RUNTIME: &str = "      # [!] Prometheus shows the metrics by the names that the module's have.
      - op: add
        path: /layered_runtime/layers/-
        value:
          name: api_guard
          static_layer: { envoy.reloadable_features.dynamic_modules_strip_custom_stat_prefix: true }";
const ABOUT_MODULE: &str = "\
# What an EnvoyExtensionPolicy cannot express, the EnvoyPatchPolicy adds: allow_on_headers_stop_iteration: true and
# failure_policy: FAIL_RELOAD. Envoy Gateway applies it only with `extensionApis: { enableEnvoyPatchPolicy: true }` in its own
# configuration. It gives each policy a vm_id of its own, and passes config on as JSON in a StringValue.";
const ABOUT_LIBRARY: &str = "\
# The library has to be in the file system of the proxies, at the path below: build an image of Envoy that has it, and name
# it by `container.image` of the EnvoyProxy.";
