//! Envoy ends with `run`, even where `run` is killed and can do nothing more (Linux).
//!
//! The kernel can send a process a signal when its parent dies, if the process itself asks for it. Envoy does not ask, so
//! this command starts itself, asks, and becomes Envoy. Elsewhere, and where Envoy has capabilities of its own in the file
//! system (`setcap`), which take the wish away, a killed `run` leaves its Envoy.

use std::path::Path;
use std::process::Command;

/// A command that runs `program`, and that does not outlive this process.
#[cfg(target_os = "linux")]
pub(super) fn command(program: &Path) -> Command {
    // A file that has been replaced while it ran has no path: better without than not at all.
    let Ok(own) = std::env::current_exe() else { return Command::new(program) };
    let mut command = Command::new(own);
    command.arg(WORD).arg(std::process::id().to_string()).arg(program);
    command
}

#[cfg(not(target_os = "linux"))]
pub(super) fn command(program: &Path) -> Command {
    Command::new(program)
}

/// The first argument by which this command knows itself. It is no subcommand: nobody is to call it.
#[cfg(target_os = "linux")]
const WORD: &str = "--tethered";

/// Becomes the tethered program, if this process was started for that; returns only then, with why it could not.
#[cfg(target_os = "linux")]
pub(crate) fn follow() -> Option<String> {
    use rustix::process::{Signal, getppid, set_parent_process_death_signal};
    use std::os::unix::process::CommandExt;

    let mut arguments = std::env::args_os().skip(1);
    if arguments.next()? != WORD {
        return None;
    }
    let (parent, program) = (arguments.next()?, arguments.next()?);
    if let Err(error) = set_parent_process_death_signal(Some(Signal::KILL)) {
        return Some(format!("Envoy cannot be tied to this process: {error}"));
    }
    // The parent may have died before the wish was there.
    let is_alive = getppid().is_some_and(|pid| parent.to_str() == Some(&pid.as_raw_pid().to_string()));
    if !is_alive {
        return Some("api-guard run has ended".to_owned());
    }
    let error = Command::new(&program).args(arguments).exec();
    Some(format!("{} cannot be started: {error}", Path::new(&program).display()))
}

#[cfg(not(target_os = "linux"))]
pub(crate) const fn follow() -> Option<String> {
    None
}
