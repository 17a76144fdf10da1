//! How a subcommand ends, and where it prints: results on stdout, everything else on stderr.

use std::io::{ErrorKind, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

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

/// Whether a result could not be printed.
static IS_LOST: AtomicBool = AtomicBool::new(false);

/// Prints a result. Ignores a reader that has gone away (`| head`); any other error is told once, and the command fails.
pub(crate) fn print(text: &str) {
    let end = if text.ends_with('\n') { "" } else { "\n" };
    let mut out = std::io::stdout().lock();
    let written = write!(out, "{text}{end}").and_then(|()| out.flush());
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
        && !IS_LOST.swap(true, Ordering::Relaxed)
    {
        say(&format!("error: the result cannot be written to standard output: {error}"));
    }
}

/// Whether all results have been printed, or had no reader any more.
pub(crate) fn is_printed() -> bool {
    !IS_LOST.load(Ordering::Relaxed)
}

/// Prints something that is not the result.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr().lock(), "{text}");
}
