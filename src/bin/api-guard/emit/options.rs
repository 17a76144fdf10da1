//! Which options of `emit` would Kubernetes, a registry or Envoy refuse, and what holds where one is left out?

use super::names::{self, Target};
use super::{Emit, GATEWAY_TARGET, IMAGE, ISTIO_TARGET, Loader, MODULE, kubernetes};
use crate::outcome::Failure;

impl Emit {
    /// Refuses what Kubernetes, a registry or Envoy would refuse.
    pub(super) fn validate(&self, trust: &str) -> Result<(), Failure> {
        let is_path = self.module.as_deref().unwrap_or(MODULE);
        for (option, value) in [("--module", is_path), ("--upstream-ca", trust)] {
            if value.is_empty() || !value.chars().all(|letter| letter.is_ascii_graphic()) {
                return Err(Failure::usage(format!(
                    "{option} {value:?}: write it in visible ASCII characters"
                )));
            }
        }
        match self.host {
            Loader::Kubernetes => names::service("--name", &self.name, kubernetes::SPARE)?,
            Loader::Envoy | Loader::Istio | Loader::EnvoyGateway => names::label("--name", &self.name, 0)?,
        }
        if self.host == Loader::Kubernetes {
            let taken = [("--port", self.port), ("--admin-port", self.admin_port)];
            if let Some((option, port)) = taken.iter().find(|(_, port)| *port == kubernetes::PROBE_PORT) {
                return Err(Failure::usage(format!(
                    "{option} {port}: readiness and metrics are there; write another port"
                )));
            }
        }
        if let Some(namespace) = &self.namespace {
            names::label("--namespace", namespace, 0)?;
        }
        for (option, value) in [("--secret", &self.secret), ("--pull-secret", &self.pull_secret)] {
            value.iter().try_for_each(|value| names::secret(option, value))?;
        }
        names::image("--image", self.image())?;
        names::image("--envoy-image", &self.envoy_image)?;
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

    pub(super) fn image(&self) -> &str {
        self.image.as_deref().unwrap_or(IMAGE)
    }

    pub(super) fn secret(&self) -> &str {
        self.secret.as_deref().unwrap_or(&self.name)
    }

    pub(super) fn namespace(&self, default: &'static str) -> &str {
        self.namespace.as_deref().unwrap_or(default)
    }
}
