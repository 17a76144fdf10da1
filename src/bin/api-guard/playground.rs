//! `api-guard playground`: serves the page in which a configuration is tried, from inside the command.

mod answer;

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::outcome::{self, Failure, Outcome, print};
use crate::run::ports::taken;

/// The files of the page, by their names; none if the page was not built before this command.
const FILES: &[(&str, &[u8])] = include!(concat!(env!("OUT_DIR"), "/playground.rs"));
/// How long a client may take for its request, or to read the answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// Serve a page in which a configuration, a request and a token can be tried.
///
/// The core that runs in Envoy judges in the browser, and nothing leaves the page. It listens on 127.0.0.1 alone; Ctrl-C ends it.
#[derive(clap::Args)]
#[command(after_help = "Example:\n  api-guard playground --port 8081")]
pub(crate) struct Playground {
    /// The port
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
}

impl Playground {
    /// Serves until a signal to end comes.
    pub(crate) fn run(&self) -> outcome::Result {
        if FILES.is_empty() {
            return Err(Failure::failed(
                "this command was built without the page: run `make playground` (it needs Node and npm) and then `make install` in a \
                 clone of the repository",
            ));
        }
        let listener = TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)))
            .map_err(|error| Failure::failed(taken(self.port, "--port", &error)))?;
        let address = listener.local_addr().map_err(|error| Failure::failed(error.to_string()))?;
        print(&format!("The playground is at http://{address} (Ctrl-C ends it)"));
        let (ended, end) = channel();
        let told = ctrlc::set_handler(move || {
            let _ = ended.send(());
        });
        told.map_err(|error| Failure::failed(format!("signals cannot be waited for: {error}")))?;
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                std::thread::spawn(move || {
                    let _ = stream.set_read_timeout(Some(PATIENCE));
                    let _ = stream.set_write_timeout(Some(PATIENCE));
                    // Whoever went away needs no answer.
                    let _ = answer::serve(&stream, address, FILES);
                });
            }
        });
        let _ = end.recv();
        Ok(Outcome::Done)
    }
}
