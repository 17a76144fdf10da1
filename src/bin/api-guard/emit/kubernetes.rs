//! A Deployment of Envoy itself with the guard in it, and what belongs to it.

use api_guard_core::config::raw::RawConfig;
use ct_codecs::{Base64, Encoder};

use super::envoy::{self, Bootstrap};
use super::{Emitted, fleet, secret, stats, text};
use crate::check::remote;
use crate::outcome::Failure;

mod source;

pub(super) use source::Source;
use source::hexadecimal;

const MANIFEST: &str = include_str!("kubernetes.yaml");
/// The alerts of `examples/prometheus`.
const ALERTS: &str = include_str!("../../../../examples/prometheus/alerts.yaml");
/// The port of readiness and metrics.
pub(super) const PROBE_PORT: u16 = 9902;
/// What the names of further objects end in, at its longest.
const SUFFIX: &str = "-metrics";
/// The letters that a name has to leave free.
pub(super) const SPARE: usize = SUFFIX.len();
/// Where an image, and the file of a ConfigMap, are mounted.
const MOUNT: &str = "/opt/api-guard";
/// The bytes that a ConfigMap may hold.
const MOST_OF_A_CONFIG_MAP: usize = 1024 * 1024;
/// The bytes of an object that fit into the annotation of client-side apply, with some to spare for what JSON escapes.
const MOST_OF_CLIENT_SIDE_APPLY: usize = 200 * 1024;
/// The first port that needs no right.
const UNPRIVILEGED: u16 = 1024;
/// The cluster by which readiness and metrics are reached.
const ADMIN: &str = "admin";
/// What the head of the manifest says of limits, without a fleet and with one.
const COUNTS: &str = "Each pod counts for itself: with N pods a client gets up to N times a limit.";
const COUNTS_OF_FLEET: &str =
    "Each pod counts for itself, but for limits with the scope \"fleet\", which are those of all pods.";

/// What the manifest is written from.
pub(super) struct Kubernetes<'k> {
    /// The bootstrap; its module is not looked at.
    pub(super) bootstrap: Bootstrap<'k>,
    pub(super) raw: &'k RawConfig,
    pub(super) name: &'k str,
    pub(super) namespace: &'k str,
    pub(super) secret: &'k str,
    pub(super) pull_secret: Option<&'k str>,
    pub(super) envoy_image: &'k str,
    /// Whose certificates take the place of those of Envoy's image.
    pub(super) ca_config_map: Option<&'k str>,
    pub(super) source: &'k Source,
}

impl Kubernetes<'_> {
    /// What has to be known to apply it. `bootstrap`: its bytes.
    fn notes(&self, bootstrap: usize) -> Vec<String> {
        let mut notes = Vec::new();
        let port = self.bootstrap.port;
        if port < UNPRIVILEGED {
            notes.push(format!(
                "--port {port}: the pods run without the right to listen below {UNPRIVILEGED}, and start only where the \
                 container runtime lets everybody (containerd since 2.0); the Service has port 80 whatever --port says"
            ));
        }
        match self.bootstrap.upstream {
            None => notes.push("without --upstream the pods answer with a demo API".to_owned()),
            Some(upstream) if upstream.is_loopback() => notes.push(format!(
                "--upstream {:?}: this is the pod itself, in which nothing but Envoy runs; write the name of a Service",
                upstream.url()
            )),
            Some(_) => {}
        }
        let trust = self.bootstrap.trust;
        if trust.upstream != trust.system {
            let file = &trust.upstream;
            notes.push(format!("--upstream-ca {file:?}: Envoy's image has to have this file; name one that has, by --envoy-image"));
        }
        notes.push(match self.source {
            Source::ConfigMap(_) => {
                "the module is in a ConfigMap, which is too large for client-side apply: kubectl apply --server-side -f FILE"
                    .to_owned()
            }
            Source::Image(image) => format!(
                "the pods mount the image {image} as a volume, which Kubernetes can since 1.33 (feature gate ImageVolume, on \
                 by default since 1.35); elsewhere put the module into a ConfigMap by --module FILE"
            ),
        });
        if bootstrap > MOST_OF_CLIENT_SIDE_APPLY && matches!(self.source, Source::Image(_)) {
            notes.push(format!(
                "the bootstrap has {bootstrap} bytes, too many for client-side apply: kubectl apply --server-side -f FILE"
            ));
        }
        notes
    }

    /// The objects as YAML, and what has to be known of them.
    pub(super) fn manifest(&self) -> Result<Emitted, Failure> {
        let of_sets = self.raw.tokens.key_sets.iter().filter_map(remote).map(|(name, _)| name);
        if of_sets.chain(fleet::cluster(self.raw)).any(|name| name == ADMIN) {
            return Err(Failure::failed(format!(
                "the cluster {ADMIN:?} leads to the admin interface, for readiness and metrics; name the clusters of key sets and \
                 of the fleet otherwise, such as \"issuer\""
            )));
        }
        let is_native = self.bootstrap.is_native;
        let file = match (self.source, is_native) {
            (Source::ConfigMap(_), false) => "api_guard.wasm",
            (Source::Image(_), false) => "plugin.wasm",
            (Source::ConfigMap(_) | Source::Image(_), true) => "libapi_guard.so",
        };
        let bootstrap = envoy::bootstrap(&Bootstrap {
            module: &format!("{MOUNT}/{file}"),
            probes: Some(PROBE_PORT),
            ..self.bootstrap
        });
        // As it stands in the ConfigMap, without white space at the ends of lines.
        let bootstrap = format!("{}\n", text::indented(&bootstrap, 0));
        if bootstrap.len() > MOST_OF_A_CONFIG_MAP {
            return Err(Failure::failed(format!(
                "with this configuration the bootstrap has {} bytes, and a ConfigMap may hold {MOST_OF_A_CONFIG_MAP}; write the \
                 configuration without white space (jq -c .), or with fewer routes",
                bootstrap.len()
            )));
        }
        let (trust_mount, trust_volume) = self.trust();
        let (module_map, volume, module_note) = match self.source {
            Source::ConfigMap(bytes) => (
                self.module_map(file, bytes),
                format!("configMap: {{ name: {}-module }}", self.name),
                "The module is in a ConfigMap, which is too large for client-side apply: kubectl apply --server-side -f FILE.".to_owned(),
            ),
            Source::Image(image) => (
                String::new(),
                format!("image: {{ reference: {}, pullPolicy: IfNotPresent }}", text::quoted(image)),
                "The module is an image that is mounted as a volume (Kubernetes 1.33 with the feature gate ImageVolume, 1.35 \
                 without)."
                    .to_owned(),
            ),
        };
        let names = secret::variables(self.raw);
        let env = text::secret_variables(&names, self.secret);
        let of = |pairs: &[(&str, &str)]| {
            let owned: Vec<(String, String)> =
                pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
            stats::labels(&owned)
        };
        let instance = ("app.kubernetes.io/instance", self.name);
        let app = ("app.kubernetes.io/name", "api-guard");
        let version = ("app.kubernetes.io/version", env!("CARGO_PKG_VERSION"));
        let component = ("app.kubernetes.io/component", "metrics");
        let pull_secret = self
            .pull_secret
            .map(|name| format!("      imagePullSecrets: [{{ name: {} }}]\n", text::quoted(name)))
            .unwrap_or_default();
        let rules = ALERTS.split_once("groups:").map(|(_, groups)| groups).unwrap_or_default();
        // Envoy reads the module once, so that another one needs new pods too.
        let module_checksum = match self.source {
            Source::ConfigMap(bytes) => {
                format!("        checksum/module: {}\n", text::quoted(&hexadecimal(bytes)))
            }
            Source::Image(_) => String::new(),
        };
        let manifest = text::fill(
            MANIFEST,
            &[
                ("name", &text::quoted(self.name)),
                ("namespace", &text::quoted(self.namespace)),
                ("counts", if self.raw.fleet.is_some() { COUNTS_OF_FLEET } else { COUNTS }),
                ("waits\n", &self.waits()),
                ("module_note", &module_note),
                ("labels", &of(&[app, instance, version])),
                ("selector", &of(&[app, instance])),
                ("metrics_name", &format!("{}{SUFFIX}", self.name)),
                ("metrics_labels", &of(&[app, instance, version, component])),
                ("metrics_selector", &of(&[app, instance, component])),
                ("bootstrap", &text::indented(&bootstrap, 4)),
                ("checksum", &text::quoted(&hexadecimal(bootstrap.as_bytes()))),
                ("module_checksum\n", &module_checksum),
                ("module_map\n", &module_map),
                ("pull_secret\n", &pull_secret),
                ("envoy_image", &text::quoted(self.envoy_image)),
                (" env", if env.is_empty() { " []" } else { &env }),
                ("port", &self.bootstrap.port.to_string()),
                ("probe_port", &PROBE_PORT.to_string()),
                ("mount", MOUNT),
                ("volume", &volume),
                ("trust_mount\n", &trust_mount),
                ("trust_volume\n", &trust_volume),
                ("rules", &text::indented(&format!("groups:{rules}"), 2)),
            ],
        );
        Ok((manifest, self.notes(bootstrap.len())))
    }

    /// The mount and the volume of the certificates that are trusted in place of the image's; nothing without.
    fn trust(&self) -> (String, String) {
        let Some(name) = self.ca_config_map else { return (String::new(), String::new()) };
        let mount = format!(
            "            - {{ name: trust, mountPath: {}, subPath: ca.crt, readOnly: true }}\n",
            self.bootstrap.trust.system
        );
        let volume =
            format!("        - name: trust\n          configMap: {{ name: {} }}\n", text::quoted(name));
        (mount, volume)
    }

    /// What the head of the manifest says of the Secret; nothing where the pods need none.
    fn waits(&self) -> String {
        let arguments = secret::arguments(self.raw);
        if arguments.is_empty() {
            return String::new();
        }
        format!(
            "# The pods wait for a Secret that has the variables of the configuration as keys:\n#\n#   kubectl --namespace {} create \
             secret generic {} {arguments}\n#\n",
            self.namespace, self.secret
        )
    }

    fn module_map(&self, file: &str, bytes: &[u8]) -> String {
        format!(
            "apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: {}-module\n  namespace: {}\n  labels: {{ \
             app.kubernetes.io/name: api-guard, app.kubernetes.io/instance: {} }}\nbinaryData:\n  {file}: {}\n---\n",
            self.name,
            text::quoted(self.namespace),
            text::quoted(self.name),
            Base64::encode_to_string(bytes).unwrap_or_default(),
        )
    }
}
