//! `api-guard emit`: manifests that load the module with a configuration.

pub(crate) mod envoy;
mod envoy_gateway;
pub(crate) mod fleet;
mod istio;
mod key_sets;
mod kubernetes;
mod names;
mod native;
mod options;
mod secret;
mod stats;
mod text;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use api_guard_core::config::raw::RawConfig;

use crate::outcome::{self, Failure, Outcome, print, say};
use crate::source::Configuration;
use crate::upstream::{Upstream, system_trust};
use crate::{check, source};
use envoy::{Bootstrap, Trust};
use envoy_gateway::EnvoyGateway;
use istio::{Istio, Resource};
use kubernetes::{Kubernetes, Source};
use names::{Kind, Target};

/// Print a ready manifest that loads the module with a configuration.
///
/// envoy is a complete bootstrap, with a demo API unless --upstream names yours. istio is a TrafficExtension, and an
/// EnvoyFilter that adds what it cannot say. envoy-gateway is an EnvoyExtensionPolicy, with an EnvoyProxy and an EnvoyPatchPolicy
/// likewise. kubernetes is a Deployment of Envoy itself, with what belongs to it. Secrets are not copied: a manifest only
/// names their variables, and the Secret that has them. What a host cannot promise is told on standard error. A bootstrap
/// has a cluster for each key set that is fetched, by TLS unless it is on the loopback address, and one for the store of a
/// fleet, which --redis names.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  api-guard emit envoy --config api-guard.json > bootstrap.yaml
  api-guard emit envoy --config api-guard.json --upstream orders.internal:8080 --module /etc/envoy/api_guard.wasm
  api-guard emit envoy --config api-guard.json --native > bootstrap.yaml
  api-guard emit envoy --config api-guard.json --upstream https://orders.example.com
  api-guard emit envoy --config fleet.json --redis rediss://redis.example.com
  api-guard emit istio --config api-guard.json --image registry.example.com/api-guard:0.1.0
  api-guard emit istio --config api-guard.json --namespace shop --target Gateway/shop
  api-guard emit envoy-gateway --config api-guard.json --target Gateway/eg/https
  api-guard emit kubernetes --config api-guard.json --upstream http://orders:8080 > api-guard.yaml")]
pub(crate) struct Emit {
    /// Who loads the module
    #[arg(value_enum)]
    host: Loader,
    /// The configuration: plugin JSON, or a manifest that contains it
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// The file of the module, or of the library with --native. envoy: the manifest names it by its whole path [default:
    /// dist/api_guard.wasm, or dist/libapi_guard.so]. kubernetes: it goes into a ConfigMap [default: the module inside this
    /// command]. istio, and envoy-gateway with --native: its path in the proxies
    #[arg(long, value_name = "PATH")]
    module: Option<String>,
    /// envoy, envoy-gateway and kubernetes: load the native library, which runs in Envoy's process without a sandbox, in place
    /// of the module
    #[arg(long)]
    native: bool,
    /// envoy and kubernetes: the address for clients; `::` is IPv6 and IPv4. kubernetes takes `0.0.0.0` and `::` alone [default:
    /// 0.0.0.0]
    #[arg(long, value_name = "ADDRESS")]
    address: Option<IpAddr>,
    /// envoy and kubernetes: the port for clients [default: 10000]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    port: Option<u16>,
    /// envoy and kubernetes: the port of the admin interface [default: 9901]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    admin_port: Option<u16>,
    /// envoy and kubernetes: the address of the admin interface, which can end Envoy: let only those reach it who may
    /// [default: 127.0.0.1]
    #[arg(long, value_name = "ADDRESS")]
    admin_address: Option<IpAddr>,
    /// envoy and kubernetes: the API to guard, as a URL or HOST:PORT; without it the bootstrap includes a demo API
    #[arg(long, value_name = "URL", value_parser = Upstream::parse)]
    upstream: Option<Upstream>,
    /// envoy and kubernetes: the certificates that an https upstream may be signed by (PEM); those of the system if it is left
    /// out
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<String>,
    /// istio, envoy-gateway and kubernetes: the image that holds /plugin.wasm, or /libapi_guard.so with --native, best by its
    /// digest (NAME@sha256:...) [default: registry.example.com/api-guard and this version]
    #[arg(long, value_name = "IMAGE")]
    image: Option<String>,
    /// istio, envoy-gateway and kubernetes: the digest of the image, or of the file that is loaded from a URL or put into a ConfigMap: 64 hexadecimal digits
    #[arg(long, value_name = "DIGEST")]
    sha256: Option<String>,
    /// istio, envoy-gateway and kubernetes: the Secret by which the image is pulled, in the namespace of the manifest
    #[arg(long, value_name = "NAME")]
    pull_secret: Option<String>,
    /// istio, envoy-gateway and kubernetes: what the objects are called [default: api-guard]
    #[arg(long, value_name = "NAME")]
    name: Option<String>,
    /// istio, envoy-gateway and kubernetes: where they are [default: istio-system for istio with labels, else default]
    #[arg(long, value_name = "NAMESPACE")]
    namespace: Option<String>,
    /// What is guarded, as KIND/NAME, or as labels (LABEL=VALUE). istio: a Gateway, a GatewayClass or proxies with these labels
    /// [default: istio=ingressgateway]. envoy-gateway: a Gateway (with /LISTENER), an HTTPRoute, a GRPCRoute, or Gateways with
    /// these labels [default: Gateway/eg]
    #[arg(long, value_name = "TARGET")]
    target: Option<String>,
    /// istio, envoy-gateway and kubernetes: the Secret that has the variables as keys [default: the name of the objects]
    #[arg(long, value_name = "NAME")]
    secret: Option<String>,
    /// istio: the resource that loads the module; Istio before 1.30 has wasm-plugin alone
    /// [default: traffic-extension]
    #[arg(long, value_enum, value_name = "KIND")]
    kind: Option<Resource>,
    /// kubernetes: the image of Envoy [default: docker.io/envoyproxy/envoy:distroless-v1.40.0]
    #[arg(long, value_name = "IMAGE")]
    envoy_image: Option<String>,
    /// kubernetes: a ConfigMap whose `ca.crt` is mounted in place of the certificates that Envoy's image trusts, for issuers, an
    /// https upstream and a store that an authority of your own signs
    #[arg(long, value_name = "NAME")]
    ca_config_map: Option<String>,
    /// envoy and kubernetes: the Redis or Valkey of the configuration's fleet: redis://HOST:PORT, rediss://HOST:PORT for TLS, or
    /// HOST:PORT
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
}

/// Who loads the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Loader {
    Envoy,
    Istio,
    EnvoyGateway,
    Kubernetes,
}

const MODULE: &str = "dist/api_guard.wasm";
const LIBRARY: &str = "dist/libapi_guard.so";
const IMAGE: &str = concat!("registry.example.com/api-guard:", env!("CARGO_PKG_VERSION"));
const NAME: &str = "api-guard";
/// Where clients connect.
pub(crate) const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
const PORT: u16 = 10000;
const ADMIN_PORT: u16 = 9901;
/// Where the admin interface listens.
pub(crate) const ADMIN_ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
/// The Envoy that the tests run, without a shell.
const ENVOY_IMAGE: &str = "docker.io/envoyproxy/envoy:distroless-v1.40.0";
/// The system's certificates in that image.
const TRUST_OF_IMAGE: &str = "/etc/ssl/certs/ca-certificates.crt";
const ISTIO_TARGET: &str = "istio=ingressgateway";
const GATEWAY_TARGET: &str = "Gateway/eg";

impl Emit {
    /// Prints the manifest.
    pub(crate) fn run(&self) -> outcome::Result {
        self.fits_host()?;
        let system_trust =
            if self.host == Loader::Kubernetes { TRUST_OF_IMAGE.to_owned() } else { system_trust() };
        let trust = Trust {
            upstream: self.upstream_ca.clone().unwrap_or_else(|| system_trust.clone()),
            system: system_trust,
        };
        self.validate(&trust.upstream)?;
        let target = self.target()?;
        let Configuration { text, raw, policy, .. } = source::configuration(&self.config)?;
        if !self.native
            && let Some((pointer, name)) = check::pss_pointers(&raw, &policy).first()
        {
            let why = check::WHY_NOT_PSS;
            return Err(Failure::failed(format!("{}: {pointer}: {name:?}: {why}", self.config.display())));
        }
        key_sets::judge(&raw, &self.config)?;
        let (manifest, mut notes) = match self.host {
            Loader::Envoy => (self.envoy(&text, &raw, &trust)?, Vec::new()),
            Loader::Istio => self.istio(&text, &raw, &target)?,
            Loader::EnvoyGateway => self.envoy_gateway(&text, &raw, &target)?,
            Loader::Kubernetes => self.kubernetes(&text, &raw, &trust)?,
        };
        for finding in check::findings(&source::of_text(manifest.clone())) {
            let note = format!("{}: {}", finding.pointer, finding.text);
            // What two objects say alike is told once.
            if !notes.contains(&note) {
                notes.push(note);
            }
        }
        match self.host {
            Loader::Istio | Loader::EnvoyGateway => notes.extend(fleet::note(&raw)),
            Loader::Envoy | Loader::Kubernetes => {
                let upstream = self.upstream.clone().unwrap_or_else(envoy::demo_api);
                notes.extend(key_sets::notes(&raw, &upstream));
            }
        }
        notes.iter().for_each(|note| say(&format!("note: {note}")));
        print(&manifest);
        Ok(Outcome::Done)
    }

    fn bootstrap<'b>(
        &'b self,
        configuration: &'b str,
        raw: &'b RawConfig,
        module: &'b str,
        trust: &'b Trust,
        store: Option<&'b Upstream>,
    ) -> Bootstrap<'b> {
        Bootstrap {
            configuration,
            raw,
            module,
            is_native: self.native,
            address: self.address(),
            port: self.port(),
            admin: self.admin(),
            probes: None,
            upstream: self.upstream.as_ref(),
            store,
            trust,
        }
    }

    fn envoy(&self, configuration: &str, raw: &RawConfig, trust: &Trust) -> Result<String, Failure> {
        let named = self.module.as_deref().unwrap_or(if self.native { LIBRARY } else { MODULE });
        let module = std::path::absolute(named)
            .map_err(|error| Failure::usage(format!("--module {named:?}: {error}")))?;
        let module = module.display().to_string();
        let store = fleet::store(self.redis.as_deref(), raw)?;
        Ok(envoy::bootstrap(&self.bootstrap(configuration, raw, &module, trust, store.as_ref())))
    }

    fn istio(&self, configuration: &str, raw: &RawConfig, target: &Target) -> Result<Emitted, Failure> {
        let default = match target {
            Target::Labels(_) | Target::Resource { kind: Kind::GatewayClass, .. } => "istio-system",
            Target::Resource { .. } => "default",
        };
        let istio = Istio {
            configuration,
            raw,
            resource: self.kind.unwrap_or(Resource::TrafficExtension),
            name: self.name(),
            namespace: self.namespace(default),
            target,
            image: self.image(),
            module: self.module.as_deref(),
            sha256: self.sha256.as_deref(),
            pull_secret: self.pull_secret.as_deref(),
            secret: self.secret(),
        };
        Ok((istio.manifest()?, istio.notes()))
    }

    fn envoy_gateway(
        &self,
        configuration: &str,
        raw: &RawConfig,
        target: &Target,
    ) -> Result<Emitted, Failure> {
        let library = self.native.then(|| self.module.as_deref().unwrap_or(envoy_gateway::LIBRARY));
        let gateway = EnvoyGateway {
            configuration,
            raw,
            name: self.name(),
            namespace: self.namespace("default"),
            target,
            image: self.image(),
            sha256: self.sha256.as_deref(),
            pull_secret: self.pull_secret.as_deref(),
            secret: self.secret(),
            library,
        };
        Ok((gateway.manifest()?, gateway.notes()))
    }

    fn kubernetes(&self, configuration: &str, raw: &RawConfig, trust: &Trust) -> Result<Emitted, Failure> {
        let source = Source::choose(
            self.module.as_deref(),
            self.image.as_deref(),
            self.sha256.as_deref(),
            self.native,
            IMAGE,
        )?;
        let store = fleet::store(self.redis.as_deref(), raw)?;
        let kubernetes = Kubernetes {
            bootstrap: self.bootstrap(configuration, raw, "", trust, store.as_ref()),
            raw,
            name: self.name(),
            namespace: self.namespace("default"),
            secret: self.secret(),
            pull_secret: self.pull_secret.as_deref(),
            envoy_image: self.envoy_image(),
            ca_config_map: self.ca_config_map.as_deref(),
            source: &source,
        };
        kubernetes.manifest()
    }
}

/// A manifest, and what its host cannot promise.
type Emitted = (String, Vec<String>);
