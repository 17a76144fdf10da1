//! Everything that `run` has started, while it serves.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::bootstrap::Files;
use super::configuration::{Configuration, Watched};
use super::decisions::Decisions;
use super::events::{Event, Stop};
use super::guard::{Form, Guard};
use super::secrets::Secrets;
use super::server::{Pushes, Server};
use super::{Run, welcome};
use crate::clock;
use crate::emit::envoy::Trust;
use crate::emit::fleet;
use crate::outcome::{self, Failure, Outcome, print, say};

/// How often the file is looked at, and Envoy.
const INTERVAL: Duration = Duration::from_millis(200);
/// How long Envoy may take to start or to take a configuration, in such intervals.
const PATIENCE: u32 = 300;
/// So many lines of Envoy's log are shown when it does not start.
const LOG_LINES: usize = 20;

/// Everything that was started.
pub(super) struct Guarded<'r> {
    pub(super) run: &'r Run,
    pub(super) stop: Stop,
    pub(super) events: Receiver<Event>,
    /// Keeps the channel open when Envoy has closed its ends.
    pub(super) _sender: Sender<Event>,
    pub(super) server: Server,
    pub(super) files: Files,
    pub(super) secrets: Secrets,
    /// The made secrets that Envoy's environment has.
    pub(super) at_start: Vec<String>,
    /// The cluster of the fleet that Envoy was started with.
    pub(super) fleet_cluster: Option<String>,
    pub(super) guard: Guard,
    pub(super) trust: Trust,
    pub(super) decisions: Decisions,
    pub(super) pushes: Pushes,
}

impl Guarded<'_> {
    /// Whether Envoy has come to serve; else the user has stopped it.
    pub(super) fn wait_until_it_serves(&mut self) -> Result<bool, Failure> {
        let mut log: Vec<String> = Vec::new();
        for _ in 0..PATIENCE {
            // First whether it has ended, then what it said: the last words are read too.
            let ended = self.server.ended();
            std::thread::sleep(INTERVAL);
            log.extend(self.logged());
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
                // Why, Envoy may still be saying.
                std::thread::sleep(INTERVAL);
                log.extend(self.logged());
                let what = match self.guard.form {
                    Form::Module => "module",
                    Form::Library => "library",
                };
                return Err(did_not_start(&format!("it refuses the {what} or the configuration"), &log));
            }
        }
        Err(did_not_start("it is not ready after a minute", &log))
    }

    /// What Envoy has logged since the last call.
    fn logged(&self) -> impl Iterator<Item = String> {
        self.events.try_iter().filter_map(|event| match event {
            Event::Log(line) => Some(line),
            Event::Access(_) | Event::Stop => None,
        })
    }

    fn is_serving(&mut self) -> bool {
        if !self.server.is_ready() {
            return false;
        }
        self.pushes = self.server.pushes().unwrap_or_default();
        self.pushes.taken > 0 && self.pushes.refused == 0
    }

    pub(super) fn welcome(&mut self, configuration: &Configuration) -> Result<String, Failure> {
        let Run { admin_port, config, .. } = self.run;
        let mut text = format!(
            "{} is guarded at {} (admin http://127.0.0.1:{admin_port})\n",
            self.run.upstream_name(),
            self.origin()
        );
        text.push_str(&match config {
            Some(file) if file.is_file() => format!("configuration: {}, which is watched\n", file.display()),
            Some(file) => format!("configuration: {}\n", file.display()),
            None => {
                "configuration: a token on every path; write your own and name it with --config\n".to_owned()
            }
        });
        text.push_str(&self.secrets.news());
        text.push('\n');
        text.push_str(&self.tries(configuration)?);
        text.push_str("\nCtrl-C stops it. Decisions (UTC):\n");
        Ok(text)
    }

    fn origin(&self) -> String {
        format!("http://localhost:{}", self.run.port)
    }

    /// A token, and requests to try.
    fn tries(&self, configuration: &Configuration) -> Result<String, Failure> {
        let lookup = |name: &str| self.secrets.lookup(name);
        let policies = || configuration.policy(&self.secrets);
        welcome::lines(&configuration.raw, &lookup, &policies, &self.origin(), clock::now())
    }

    pub(super) fn serve(&mut self, mut watched: Option<Watched>) -> outcome::Result {
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
            Ok(configuration) => {
                say("the changed configuration is in force");
                self.tell_secrets(&configuration);
            }
            Err(Failure::Usage(text) | Failure::Failed(text)) => {
                say(&format!("error: {text}\nthe old configuration goes on serving"));
            }
        }
    }

    /// Tells of secrets that a change has made. The tokens of before may be good no more, so there is a new one.
    fn tell_secrets(&mut self, configuration: &Configuration) {
        let news = self.secrets.news();
        if news.is_empty() {
            return;
        }
        match self.tries(configuration) {
            Ok(tries) => print(&format!("{news}\n{tries}")),
            Err(Failure::Usage(text) | Failure::Failed(text)) => say(&format!("{news}error: {text}")),
        }
    }

    fn try_change(&mut self) -> Result<Configuration, Failure> {
        let configuration =
            Configuration::read(self.run.config.as_deref(), self.guard.form, &mut self.secrets)?;
        let cluster = fleet::cluster(&configuration.raw);
        if cluster.is_some() && cluster != self.fleet_cluster.as_deref() {
            return Err(Failure::failed(
                "a fleet needs a cluster, which Envoy gets at its start alone: end this run, and start it anew with --redis URL",
            ));
        }
        let late = self.secrets.made().iter().filter(|(name, _)| !self.at_start.contains(name));
        let late = late.map(|(name, secret)| (name.clone(), secret.clone())).collect();
        let bootstrap = self.run.bootstrap(&configuration, &self.guard, &self.trust);
        self.files.push(&bootstrap, &late)?;
        let before = self.pushes;
        for _ in 0..PATIENCE {
            let Some(now) = self.server.pushes() else { break };
            self.pushes = now;
            if now.refused > before.refused {
                return Err(Failure::failed("Envoy refuses the configuration"));
            }
            if now.taken > before.taken {
                return Ok(configuration);
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
