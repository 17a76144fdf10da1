//! What happens while `run` waits: lines of Envoy, and the user's wish to stop.

use std::io::{BufRead, BufReader, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::outcome::Failure;

/// One thing that happened.
pub(super) enum Event {
    /// A line of Envoy's access log.
    Access(String),
    /// A line of Envoy's own log.
    Log(String),
    /// The user wants to stop.
    Stop,
}

/// Whether the user has asked to stop.
#[derive(Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    pub(super) fn asked(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

/// Listens for Ctrl-C, SIGTERM and SIGHUP.
pub(super) fn listen() -> Result<(Stop, Sender<Event>, Receiver<Event>), Failure> {
    let (sender, receiver) = channel();
    let stop = Stop::default();
    let (asked, to) = (stop.clone(), sender.clone());
    ctrlc::set_handler(move || {
        asked.0.store(true, Ordering::Relaxed);
        let _ = to.send(Event::Stop);
    })
    .map_err(|error| Failure::failed(format!("signals cannot be handled: {error}")))?;
    Ok((stop, sender, receiver))
}

/// Sends the lines of a stream until it ends. Bytes that are no text are replaced.
pub(super) fn forward(
    stream: impl Read + Send + 'static,
    to: Sender<Event>,
    event: impl Fn(String) -> Event + Send + 'static,
) {
    std::thread::spawn(move || {
        let mut lines = BufReader::new(stream);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if to.send(event(text)).is_err() {
                return;
            }
        }
    });
}
