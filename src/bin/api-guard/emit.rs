//! `api-guard emit`: manifests that load the module with a configuration.

pub(crate) mod envoy;
pub(crate) mod fleet;
mod key_sets;
mod native;
mod text;

use std::net::IpAddr;
use std::path::PathBuf;

use api_guard_core::config::raw::{RawConfig, RawFleet, RawKey};

use crate::outcome::{self, Failure, Outcome, print, say};
use crate::source::Configuration;
use crate::upstream::{Upstream, system_trust};
use crate::{check, source};
use envoy::Bootstrap;

/// Print a ready manifest that loads the module with a configuration.
///
/// envoy is a complete bootstrap, with a demo API unless --upstream names yours; with --native it loads the library in
/// place of the module. istio is a WasmPlugin, envoy-gateway an EnvoyExtensionPolicy. Secrets are not copied: the manifest
/// only names their variables. The bootstrap has a cluster for each key set that is fetched, by TLS unless it is on the
/// loopback address, and one for the store of a fleet, which --redis names.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  api-guard emit envoy --config api-guard.json > bootstrap.yaml
  api-guard emit envoy --config api-guard.json --upstream orders.internal:8080 --module /etc/envoy/api_guard.wasm
  api-guard emit envoy --config api-guard.json --native > bootstrap.yaml
  api-guard emit envoy --config api-guard.json --upstream https://orders.example.com
  api-guard emit envoy --config fleet.json --redis rediss://redis.example.com
  api-guard emit istio --config api-guard.json --image registry.example.com/api-guard:0.1.0
  api-guard emit envoy-gateway --config api-guard.json --image registry.example.com/api-guard:0.1.0")]
pub(crate) struct Emit {
    /// Who loads the module
    #[arg(value_enum)]
    host: Target,
    /// The configuration: plugin JSON, or a manifest that contains it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// envoy: the file of the module, or of the library with --native; the manifest names it by its whole path [default:
    /// dist/api_guard.wasm, or dist/libapi_guard.so]
    #[arg(long, value_name = "PATH")]
    module: Option<String>,
    /// envoy: load the native library, which runs in Envoy's process without a sandbox, in place of the module
    #[arg(long)]
    native: bool,
    /// envoy: the port for clients
    #[arg(long, value_name = "PORT", default_value_t = 10000)]
    port: u16,
    /// envoy: the port of the admin interface
    #[arg(long, value_name = "PORT", default_value_t = 9901)]
    admin_port: u16,
    /// envoy: the address of the admin interface, which can end Envoy: let only those reach it who may
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1")]
    admin_address: IpAddr,
    /// envoy: the API to guard, as a URL or HOST:PORT; without it the bootstrap includes a demo API
    #[arg(long, value_name = "URL", value_parser = Upstream::parse)]
    upstream: Option<Upstream>,
    /// envoy: the certificates that an https upstream may be signed by (PEM); those of the system if it is left out
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<String>,
    /// envoy: the Redis or Valkey of the configuration's fleet: redis://HOST:PORT, rediss://HOST:PORT for TLS, or HOST:PORT
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
    /// istio and envoy-gateway: the image that holds /plugin.wasm
    #[arg(long, value_name = "IMAGE", default_value = IMAGE)]
    image: String,
}

/// Who loads the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Target {
    Envoy,
    Istio,
    EnvoyGateway,
}

const ISTIO: &str = include_str!("emit/istio.yaml");
const ENVOY_GATEWAY: &str = include_str!("emit/envoy-gateway.yaml");

const MODULE: &str = "dist/api_guard.wasm";
const LIBRARY: &str = "dist/libapi_guard.so";
const IMAGE: &str = concat!("registry.example.com/api-guard:", env!("CARGO_PKG_VERSION"));

impl Emit {
    /// Prints the manifest.
    pub(crate) fn run(&self) -> outcome::Result {
        if self.native {
            let instead = match self.host {
                Target::Envoy => None,
                Target::Istio => {
                    Some("a WasmPlugin loads modules only; leave --native out, or write an EnvoyFilter")
                }
                Target::EnvoyGateway => Some("this policy loads modules only; leave --native out"),
            };
            if let Some(instead) = instead {
                return Err(Failure::usage(format!("--native: {instead}")));
            }
        }
        if self.redis.is_some() && self.host != Target::Envoy {
            return Err(Failure::usage(
                "--redis: this manifest has no clusters; leave --redis out, and write the cluster as emit envoy --redis does",
            ));
        }
        let trust = self.upstream_ca.clone().unwrap_or_else(system_trust);
        for (option, value) in
            [("--module", self.module()), ("--image", &self.image), ("--upstream-ca", &trust)]
        {
            if value.is_empty() || !value.chars().all(|letter| letter.is_ascii_graphic()) {
                return Err(Failure::usage(format!(
                    "{option} {value:?}: write it in visible ASCII characters"
                )));
            }
        }
        let Configuration { text, raw, policy } = source::configuration(&self.config, false)?;
        if !self.native
            && let Some((pointer, name)) = check::pss_pointers(&raw, &policy).first()
        {
            let why = check::WHY_NOT_PSS;
            return Err(Failure::failed(format!("{}: {pointer}: {name:?}: {why}", self.config.display())));
        }
        let manifest = match self.host {
            Target::Envoy => self.envoy(&text, &raw, &trust)?,
            Target::Istio => self.istio(&text, &raw),
            Target::EnvoyGateway => self.envoy_gateway(&text, &raw),
        };
        for finding in check::findings(&source::of_text(manifest.clone())) {
            say(&format!("note: {}: {}", finding.pointer, finding.text));
        }
        if self.host != Target::Envoy {
            fleet::note(&raw).iter().for_each(|note| say(&format!("note: {note}")));
        }
        print(&manifest);
        Ok(Outcome::Done)
    }

    /// The file that Envoy loads.
    fn module(&self) -> &str {
        self.module.as_deref().unwrap_or(if self.native { LIBRARY } else { MODULE })
    }

    fn envoy(&self, configuration: &str, raw: &RawConfig, trust: &str) -> Result<String, Failure> {
        let store = fleet::store(self.redis.as_deref(), raw)?;
        let module = std::path::absolute(self.module())
            .map_err(|error| Failure::usage(format!("--module {:?}: {error}", self.module())))?;
        Ok(envoy::bootstrap(&Bootstrap {
            configuration,
            raw,
            module: &module.display().to_string(),
            is_native: self.native,
            port: self.port,
            admin: (self.admin_address, self.admin_port),
            upstream: self.upstream.as_ref(),
            store: store.as_ref(),
            trust,
        }))
    }

    fn istio(&self, configuration: &str, raw: &RawConfig) -> String {
        let names = variables(raw);
        let variable = |name: &String| format!("\n      - name: {name}\n        valueFrom: HOST");
        let env: String = names.iter().map(variable).collect();
        let url =
            if self.image.contains("://") { self.image.clone() } else { format!("oci://{}", self.image) };
        text::fill(
            ISTIO,
            &[
                ("variables", &names.join(", ")),
                (" env", if env.is_empty() { " []" } else { &env }),
                ("url", &text::quoted(&url)),
                ("key_sets\n", &key_sets::comment(raw)),
                ("configuration", &text::values(configuration, 4)),
            ],
        )
    }

    fn envoy_gateway(&self, configuration: &str, raw: &RawConfig) -> String {
        text::fill(
            ENVOY_GATEWAY,
            &[
                ("variables", &variables(raw).join(", ")),
                ("key_sets\n", &key_sets::comment(raw)),
                ("image", &text::quoted(self.image.trim_start_matches("oci://"))),
                ("configuration", &text::values(configuration, 8)),
            ],
        )
    }
}

/// The names of the variables that hold secrets and public keys, without duplicates.
pub(crate) fn variables(raw: &RawConfig) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let of_keys = raw.tokens.keys.iter().filter_map(RawKey::variable);
    for name in of_keys.chain(raw.fleet.iter().flat_map(RawFleet::variables)) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}
