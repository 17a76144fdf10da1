//! A running `api-guard run`, and the home it runs in.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use api_guard_testkit::free_ports;
use rustix::process::{Pid, Signal, kill_process};

use crate::files::project;

/// Generous: a busy machine makes these tests slow, never wrong.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a run needs that a machine may lack.
pub(super) struct Ready {
    /// The options that name what Envoy loads.
    pub(super) guard: Vec<String>,
    pub(super) envoy: String,
}

/// The module and an Envoy, or the library where API_GUARD_KIND says so; `None`, which is said, where there is none.
pub(super) fn ready() -> Option<Ready> {
    let kind = std::env::var("API_GUARD_KIND").unwrap_or_default();
    if kind == "native" { library() } else { module() }
}

/// Each form of the guard that is there.
pub(super) fn forms() -> impl Iterator<Item = Ready> {
    [module(), library()].into_iter().flatten()
}

fn module() -> Option<Ready> {
    built("dist/api_guard.wasm", &["--module"], "no module: make build")
}

/// The native library and an Envoy.
pub(super) fn library() -> Option<Ready> {
    built("dist/libapi_guard.so", &["--native", "--library"], "no library: make native")
}

fn built(file: &str, options: &[&str], missing: &str) -> Option<Ready> {
    let file = project(file);
    if !file.is_file() {
        api_guard_testkit::skip(missing);
        return None;
    }
    let envoy = Command::new("sh").arg(project("scripts/envoy.sh")).output().expect("scripts/envoy.sh");
    let envoy = String::from_utf8(envoy.stdout).expect("a path").trim().to_owned();
    let mut guard: Vec<String> = options.iter().map(|option| (*option).to_owned()).collect();
    guard.push(file.display().to_string());
    Some(Ready { guard, envoy })
}

/// An empty home, with a folder for temporary files in it.
pub(super) struct Home(tempfile::TempDir);

impl Home {
    pub(super) fn new() -> Self {
        let home = tempfile::tempdir().expect("a folder");
        std::fs::create_dir(home.path().join("tmp")).expect("a folder");
        Self(home)
    }

    pub(super) fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    /// What is in the folder for temporary files.
    pub(super) fn temporary(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.path("tmp")).expect("a folder");
        entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect()
    }

    /// The command in this home, with nothing on PATH.
    pub(super) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_api-guard"));
        command.env_clear().env("HOME", self.path("")).env("TMPDIR", self.path("tmp"));
        command.args(arguments).current_dir(self.path("")).stdin(Stdio::null());
        command
    }
}

/// A run that serves. It ends with the test.
pub(super) struct Running {
    process: Child,
    out: Receiver<String>,
    errors: Receiver<String>,
    /// What it said at its start.
    pub(super) said: Vec<String>,
    pub(super) port: u16,
    pub(super) admin: u16,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.end(Signal::TERM);
    }
}

impl Running {
    pub(super) fn start(home: &Home, ready: &Ready, more: &[&str]) -> Self {
        Self::start_with(home, ready, more, &[])
    }

    pub(super) fn start_with(home: &Home, ready: &Ready, more: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::start_fully(home, ready, more, variables, Stdio::null())
    }

    pub(super) fn start_piped(home: &Home, ready: &Ready, more: &[&str], input: std::fs::File) -> Self {
        Self::start_fully(home, ready, more, &[], Stdio::from(input))
    }

    fn start_fully(
        home: &Home,
        ready: &Ready,
        more: &[&str],
        variables: &[(&str, &str)],
        input: Stdio,
    ) -> Self {
        let [port, admin] = free_ports();
        let ports = [port.to_string(), admin.to_string()];
        let own = ["run", "--port", &ports[0], "--admin-port", &ports[1]];
        let guard: Vec<&str> = ready.guard.iter().map(String::as_str).collect();
        let mut command = home.command(&[&own, &guard[..], more].concat());
        command.env("ENVOY_BIN", &ready.envoy).envs(variables.iter().copied()).stdin(input);
        let mut process = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the command");
        let (out, errors) = (lines(process.stdout.take()), lines(process.stderr.take()));
        let mut run = Self { process, out, errors, said: Vec::new(), port, admin };
        loop {
            let Ok(line) = run.out.recv_timeout(DEADLINE) else {
                panic!("it does not serve: {:?} {:?}", run.said, run.errors.try_iter().collect::<Vec<_>>());
            };
            let last = line.starts_with("Ctrl-C");
            run.said.push(line);
            if last {
                return run;
            }
        }
    }

    /// The next decision.
    pub(super) fn line(&self, within: Duration) -> String {
        self.out.recv_timeout(within).expect("a line in time")
    }

    /// The next line on standard error that has this in it.
    pub(super) fn told(&self, part: &str, within: Duration) -> String {
        let until = Instant::now() + within;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let line = self.errors.recv_timeout(left).unwrap_or_else(|_| panic!("{part:?} is not told"));
            if line.contains(part) {
                return line;
            }
        }
    }

    /// The whole answer to a GET.
    pub(super) fn answer(&self, path: &str, token: Option<&str>) -> Option<String> {
        let header = token.map(|token| format!("authorization: Bearer {token}\r\n")).unwrap_or_default();
        ask(self.port, "GET", path, &header)
    }

    /// The status of a GET.
    pub(super) fn get(&self, path: &str, token: Option<&str>) -> Option<u16> {
        status(&self.answer(path, token)?)
    }

    /// The processes that it has started, by `/proc`.
    #[cfg(target_os = "linux")]
    pub(super) fn children(&self) -> Vec<Pid> {
        let processes = std::fs::read_dir("/proc").expect("/proc").flatten();
        let ids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
        let own = i32::try_from(self.process.id()).expect("an id");
        ids.filter(|id| parent(*id) == Some(own)).filter_map(Pid::from_raw).collect()
    }

    /// Waits until it has ended by itself: its exit code.
    pub(super) fn wait(&mut self) -> Option<i32> {
        self.process.wait().expect("an end").code()
    }

    /// Ends it by a signal: its exit code, and what is left on standard error.
    pub(super) fn end(&mut self, signal: Signal) -> (Option<i32>, String) {
        if matches!(self.process.try_wait(), Ok(None)) {
            kill_process(Pid::from_child(&self.process), signal).expect("a signal");
        }
        let until = Instant::now() + Duration::from_secs(20);
        loop {
            if let Ok(Some(status)) = self.process.try_wait() {
                return (status.code(), self.errors.try_iter().collect::<Vec<_>>().join("\n"));
            }
            if Instant::now() > until {
                let _ = self.process.kill();
                panic!("it does not end");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// The parent of a process: the second field after its name, which may hold anything (proc_pid_stat(5)).
#[cfg(target_os = "linux")]
fn parent(id: i32) -> Option<i32> {
    let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(1)?.parse().ok()
}

/// Whether a process runs; one that has ended and that nobody has waited for does not.
#[cfg(target_os = "linux")]
pub(super) fn is_running(id: Pid) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.as_raw_pid())).unwrap_or_default();
    let state = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().next());
    state.is_some_and(|state| state != "Z" && state != "X")
}

fn lines(stream: Option<impl Read + Send + 'static>) -> Receiver<String> {
    let (sender, receiver) = channel();
    let stream = BufReader::new(stream.expect("a stream"));
    std::thread::spawn(move || {
        for line in stream.lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

pub(super) fn ask(port: u16, method: &str, path: &str, headers: &str) -> Option<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).ok()?;
    write!(stream, "{method} {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n")
        .ok()?;
    let mut reply = String::new();
    stream.read_to_string(&mut reply).ok()?;
    Some(reply)
}

pub(super) fn status(reply: &str) -> Option<u16> {
    reply.split(' ').nth(1)?.parse().ok()
}

/// The status that a curl line gets.
pub(super) fn curl(line: &str) -> u16 {
    let url = line.split(' ').map(|word| word.trim_matches('\'')).find(|word| word.starts_with("http://"));
    let (address, path) = url.unwrap().trim_start_matches("http://").split_once('/').unwrap();
    let port = address.split(':').nth(1).unwrap().parse().unwrap();
    let method = line.split("-X ").nth(1).map_or("GET", |rest| rest.split(' ').next().unwrap());
    let header = line.split("-H '").nth(1).map(|rest| format!("{}\r\n", rest.split('\'').next().unwrap()));
    status(&ask(port, method, &format!("/{path}"), &header.unwrap_or_default()).unwrap()).unwrap()
}
