//! How a subcommand ends, and where it prints: results on stdout, everything else on stderr.

use std::io::Write;
use std::process::ExitCode;

/// The result of a subcommand that worked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It is done, or allowed: exit code 0.
    Done,
    /// The printed answer is negative: exit code 1.
    Refused,
}

/// Why a subcommand did not work.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// The arguments are wrong: exit code 2.
    Usage(String),
    /// Anything else: exit code 1.
    Failed(String),
}

impl Failure {
    /// Wrong usage.
    pub(crate) fn usage(text: impl Into<String>) -> Self {
        Self::Usage(text.into())
    }

    /// Something failed.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// Prints the failure and returns its exit code.
    pub(crate) fn report(&self) -> ExitCode {
        let (text, code) = match self {
            Self::Usage(text) => (text, 2),
            Self::Failed(text) => (text, 1),
        };
        say(&format!("error: {text}"));
        ExitCode::from(code)
    }
}

/// What every subcommand returns.
pub(crate) type Result = std::result::Result<Outcome, Failure>;

/// Prints a result. Ignores a reader that has gone away (`| head`).
pub(crate) fn print(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes());
    if !text.ends_with('\n') {
        let _ = out.write_all(b"\n");
    }
    let _ = out.flush();
}

/// Prints something that is not the result.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
