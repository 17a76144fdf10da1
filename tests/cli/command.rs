//! Runs the built command.

use std::ffi::OsStr;
use std::process::{Command, Output, Stdio};

/// A secret that nobody uses for anything else.
pub(crate) const SECRET: &str = "a-secret-of-the-command-line-tests-0123456789";

/// What a run of the command gave.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Run {
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The one line of the result.
    pub(crate) fn line(&self) -> &str {
        assert_eq!(self.code, 0, "{self:?}");
        self.out.strip_suffix('\n').expect("a line")
    }
}

/// The command with these arguments; API_GUARD_SECRET is set to [`SECRET`].
pub(crate) fn api_guard(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Run {
    run(command().args(arguments))
}

/// The command without arguments yet.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_api-guard"));
    command.env_clear().env("API_GUARD_SECRET", SECRET).stdin(Stdio::null());
    command
}

/// Runs a prepared command.
pub(crate) fn run(command: &mut Command) -> Run {
    let Output { status, stdout, stderr } = command.output().expect("the built command");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Run { code: status.code().expect("an exit code"), out: text(stdout), err: text(stderr) }
}
