//! The Envoy that serves: started, asked through its admin interface, ended.

use std::path::Path;
use std::process::{Child, Stdio};
use std::sync::mpsc::Sender;
use std::time::Duration;

use super::events::{self, Event};
use super::secrets::Secrets;
use super::tether;
use crate::outcome::Failure;

/// How long Envoy may take to end before it is killed, in steps of 20 ms.
const PATIENCE: u32 = 250;
const STATS: &str = "extension_config_discovery.http_filter.api_guard.";

/// A running Envoy. It ends with this value.
pub(super) struct Server {
    process: Child,
    admin: String,
    agent: ureq::Agent,
}

/// How often Envoy has taken a configuration of the filter, and how often it has refused one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Pushes {
    pub(super) taken: u64,
    pub(super) refused: u64,
}

impl Server {
    /// Starts Envoy. What it writes is sent to `to`.
    pub(super) fn start(
        envoy: &Path,
        bootstrap: &Path,
        admin_port: u16,
        secrets: &Secrets,
        to: &Sender<Event>,
    ) -> Result<Self, Failure> {
        let mut command = tether::command(envoy);
        command.arg("--config-path").arg(bootstrap);
        // Hot restart would leave shared memory behind.
        command.args(["--disable-hot-restart", "--file-flush-interval-msec", "100"]);
        command.args([
            "--log-level",
            "warning",
            "--component-log-level",
            "wasm:error,dynamic_modules:error",
            "--log-format",
            "[%l] %v",
        ]);
        command.envs(secrets.made());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut process = command
            .spawn()
            .map_err(|error| Failure::failed(format!("{} cannot be started: {error}", envoy.display())))?;
        if let Some(stream) = process.stdout.take() {
            events::forward(stream, to.clone(), Event::Access);
        }
        if let Some(stream) = process.stderr.take() {
            events::forward(stream, to.clone(), Event::Log);
        }
        let timeout = Some(Duration::from_secs(1));
        let agent = ureq::Agent::config_builder().timeout_global(timeout).proxy(None).build().into();
        Ok(Self { process, admin: format!("http://127.0.0.1:{admin_port}"), agent })
    }

    /// How Envoy ended, if it has.
    pub(super) fn ended(&mut self) -> Option<String> {
        self.process.try_wait().ok().flatten().map(|status| status.to_string())
    }

    /// Whether Envoy serves.
    pub(super) fn is_ready(&self) -> bool {
        self.agent.get(format!("{}/ready", self.admin)).call().is_ok()
    }

    /// What became of the configurations of the filter; `None` if Envoy does not say.
    pub(super) fn pushes(&self) -> Option<Pushes> {
        let url = format!("{}/stats?filter={STATS}", self.admin);
        let text = self.agent.get(url).call().ok()?.body_mut().read_to_string().ok()?;
        let count = |name: &str| -> u64 {
            let ending = format!("{STATS}{name}: ");
            let counts =
                text.lines().filter_map(|line| line.split_once(&ending)?.1.trim().parse::<u64>().ok());
            counts.fold(0, u64::saturating_add)
        };
        let refused = count("config_fail").saturating_add(count("update_rejected"));
        Some(Pushes { taken: count("config_reload"), refused })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        #[cfg(unix)]
        {
            use rustix::process::{Pid, Signal, kill_process};
            let _ = kill_process(Pid::from_child(&self.process), Signal::TERM);
            for _ in 0..PATIENCE {
                if !matches!(self.process.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
