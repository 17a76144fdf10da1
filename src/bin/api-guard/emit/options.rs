//! Which options of `emit` would Kubernetes, a registry or Envoy refuse, and what holds where one is left out?

use std::net::IpAddr;

use super::names::{self, Target};
use super::{
    ADDRESS, ADMIN_ADDRESS, ADMIN_PORT, ENVOY_IMAGE, Emit, GATEWAY_TARGET, IMAGE, ISTIO_TARGET, Loader,
    MODULE, NAME, PORT, envoy, kubernetes,
};
use crate::outcome::Failure;

/// Those whose manifest is, or has, a whole bootstrap.
const BOOTSTRAPS: &[Loader] = &[Loader::Envoy, Loader::Kubernetes];
/// Those whose manifest consists of objects in a cluster.
const OBJECTS: &[Loader] = &[Loader::Istio, Loader::EnvoyGateway, Loader::Kubernetes];

impl Loader {
    const fn name(self) -> &'static str {
        match self {
            Self::Envoy => "envoy",
            Self::Istio => "istio",
            Self::EnvoyGateway => "envoy-gateway",
            Self::Kubernetes => "kubernetes",
        }
    }
}

impl Emit {
    /// Refuses options that mean nothing to this host, which would be believed to hold.
    pub(super) fn fits_host(&self) -> Result<(), Failure> {
        if self.native && self.host == Loader::Istio {
            return Err(Failure::usage(
                "--native: Istio's resources load modules only, and its proxies are no builds that the library is tested \
                 with; leave --native out",
            ));
        }
        if self.redis.is_some() && !BOOTSTRAPS.contains(&self.host) {
            return Err(Failure::usage(
                "--redis: this manifest has no clusters; leave --redis out, and write the cluster as emit envoy --redis does",
            ));
        }
        if self.module.is_some() && self.host == Loader::EnvoyGateway && !self.native {
            return Err(Failure::usage(
                "--module: Envoy Gateway loads the module from an image; leave --module out, and name the image by --image",
            ));
        }
        let options = [
            ("--address", self.address.is_some(), BOOTSTRAPS),
            ("--port", self.port.is_some(), BOOTSTRAPS),
            ("--admin-port", self.admin_port.is_some(), BOOTSTRAPS),
            ("--admin-address", self.admin_address.is_some(), BOOTSTRAPS),
            ("--upstream", self.upstream.is_some(), BOOTSTRAPS),
            ("--upstream-ca", self.upstream_ca.is_some(), BOOTSTRAPS),
            ("--image", self.image.is_some(), OBJECTS),
            ("--sha256", self.sha256.is_some(), OBJECTS),
            ("--pull-secret", self.pull_secret.is_some(), OBJECTS),
            ("--name", self.name.is_some(), OBJECTS),
            ("--namespace", self.namespace.is_some(), OBJECTS),
            ("--secret", self.secret.is_some(), OBJECTS),
            ("--kind", self.kind.is_some(), &[Loader::Istio]),
            ("--envoy-image", self.envoy_image.is_some(), &[Loader::Kubernetes]),
            ("--ca-config-map", self.ca_config_map.is_some(), &[Loader::Kubernetes]),
        ];
        for (option, is_given, hosts) in options {
            if is_given && !hosts.contains(&self.host) {
                let names: Vec<&str> = hosts.iter().map(|host| host.name()).collect();
                return Err(Failure::usage(format!(
                    "{option} is for emit {}, and means nothing to emit {}; leave {option} out",
                    names.join(", "),
                    self.host.name()
                )));
            }
        }
        Ok(())
    }

    /// Refuses what Kubernetes, a registry or Envoy would refuse.
    pub(super) fn validate(&self, trust: &str) -> Result<(), Failure> {
        let is_path = self.module.as_deref().unwrap_or(MODULE);
        for (option, value) in [("--module", is_path), ("--upstream-ca", trust)] {
            if value.is_empty() || value.chars().any(char::is_control) {
                return Err(Failure::usage(format!(
                    "{option} {value:?}: write the path of a file, without control characters"
                )));
            }
            // Istio is told a URL.
            if self.host == Loader::Istio && !value.chars().all(|letter| letter.is_ascii_graphic()) {
                return Err(Failure::usage(format!(
                    "{option} {value:?}: write it in visible ASCII characters"
                )));
            }
        }
        match self.host {
            Loader::Kubernetes => names::service("--name", self.name(), kubernetes::SPARE)?,
            Loader::Envoy | Loader::Istio | Loader::EnvoyGateway => names::label("--name", self.name(), 0)?,
        }
        if matches!(self.host, Loader::Envoy | Loader::Kubernetes) {
            self.validate_address()?;
            self.validate_ports()?;
        }
        if let Some(namespace) = &self.namespace {
            names::label("--namespace", namespace, 0)?;
        }
        for (option, kind, value) in [
            ("--secret", "Secret", &self.secret),
            ("--pull-secret", "Secret", &self.pull_secret),
            ("--ca-config-map", "ConfigMap", &self.ca_config_map),
        ] {
            value.iter().try_for_each(|value| names::object(option, kind, value))?;
        }
        names::image("--image", self.image())?;
        names::image("--envoy-image", self.envoy_image())?;
        if let Some(sha256) = &self.sha256 {
            names::sha256("--sha256", sha256)?;
            let digest = self.image().split_once("@sha256:").map(|(_, digest)| digest);
            if digest.is_some_and(|digest| digest != sha256) {
                return Err(Failure::usage(format!(
                    "--sha256 {sha256:?}: --image has another digest; write the digest in one place"
                )));
            }
        }
        Ok(())
    }

    /// Refuses an address that no pod can be reached at: its own address is not known before it runs.
    fn validate_address(&self) -> Result<(), Failure> {
        match self.address {
            Some(address) if self.host == Loader::Kubernetes && !address.is_unspecified() => {
                Err(Failure::usage(format!(
                    "--address {address}: the kubelet and the Service reach a pod by an address that is not known before; write \
                     0.0.0.0, or :: for IPv6 and IPv4"
                )))
            }
            Some(_) | None => Ok(()),
        }
    }

    /// Refuses a port that something else of the manifest has.
    fn validate_ports(&self) -> Result<(), Failure> {
        let (own, admin) = ((self.address(), self.port()), self.admin());
        if are_one(own, admin) {
            let port = own.1;
            return Err(Failure::usage(format!("--port and --admin-port are both {port}; write two")));
        }
        // Readiness and metrics are at the address for clients.
        let probes = (self.host == Loader::Kubernetes).then_some((own.0, kubernetes::PROBE_PORT));
        for (option, place) in [("--port", own), ("--admin-port", admin)] {
            let instead = if probes.is_some_and(|probes| are_one(place, probes)) {
                "readiness and metrics are there; write another port"
            } else if self.upstream.is_none() && envoy::demo_api().differs_from([place]).is_err() {
                "the demo API is there, and would answer unguarded; write another port, or name your API with --upstream"
            } else {
                continue;
            };
            return Err(Failure::usage(format!("{option} {}: {instead}", place.1)));
        }
        let own = [own, admin].into_iter().chain(probes);
        self.upstream.as_ref().map_or(Ok(()), |upstream| upstream.differs_from(own))
    }

    /// What is guarded.
    pub(super) fn target(&self) -> Result<Target, Failure> {
        let default = match self.host {
            Loader::Istio => ISTIO_TARGET,
            Loader::Envoy | Loader::EnvoyGateway | Loader::Kubernetes => GATEWAY_TARGET,
        };
        let target = Target::parse(self.target.as_deref().unwrap_or(default))?;
        if self.target.is_some() && matches!(self.host, Loader::Envoy | Loader::Kubernetes) {
            return Err(Failure::usage(
                "--target: an Envoy of your own guards what --upstream names; leave --target out, or emit istio or \
                 envoy-gateway",
            ));
        }
        Ok(target)
    }

    pub(super) fn address(&self) -> IpAddr {
        self.address.unwrap_or(ADDRESS)
    }

    pub(super) fn port(&self) -> u16 {
        self.port.unwrap_or(PORT)
    }

    /// Where the admin interface listens.
    pub(super) fn admin(&self) -> (IpAddr, u16) {
        (self.admin_address.unwrap_or(ADMIN_ADDRESS), self.admin_port.unwrap_or(ADMIN_PORT))
    }

    pub(super) fn name(&self) -> &str {
        self.name.as_deref().unwrap_or(NAME)
    }

    pub(super) fn envoy_image(&self) -> &str {
        self.envoy_image.as_deref().unwrap_or(ENVOY_IMAGE)
    }

    pub(super) fn image(&self) -> &str {
        self.image.as_deref().unwrap_or(IMAGE)
    }

    pub(super) fn secret(&self) -> &str {
        self.secret.as_deref().unwrap_or(self.name())
    }

    pub(super) fn namespace(&self, default: &'static str) -> &str {
        self.namespace.as_deref().unwrap_or(default)
    }
}

/// Whether two listeners want the same port of the same address. An address that stands for all is every other's, too.
fn are_one((one, port): (IpAddr, u16), (other, other_port): (IpAddr, u16)) -> bool {
    port == other_port && (one == other || one.is_unspecified() || other.is_unspecified())
}
