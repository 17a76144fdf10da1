//! Stands between Envoy and the store of a fleet: passes calls on, late or in part, or answers by itself. It knows what went through it.
//!
//! A call is a connection of its own, on which Envoy ends its side behind the commands. So a call is read whole before anything
//! is done with it.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::listening::Listening;

/// What is done with a call.
#[derive(Debug, Clone)]
pub(crate) enum Does {
    /// It is passed on, and so is its reply, each after this time.
    Pass(Duration),
    /// So many bytes of the reply are passed on; then the connection ends.
    Cut(usize),
    /// So many bytes at the end of the reply are not passed on.
    Shorten(usize),
    /// So many bytes of the reply are passed on; then the connection is reset.
    Reset(usize),
    /// So many bytes of the reply are passed on, and then none; the connection stays.
    Halt(usize),
    /// The lowest bit of each byte of the reply is another one.
    Garble,
    /// The store does not hear of it. These bytes are the reply.
    Say(Vec<u8>),
    /// The store does not hear of it. Each of its scripts is answered by this error, in the words of a store.
    Complain(&'static str),
}

/// Longer than any call may take, which is a second.
const HALT: Duration = Duration::from_secs(5);

/// A call that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Passed {
    pub(crate) began: Instant,
    pub(crate) ended: Instant,
    /// What Envoy sent.
    pub(crate) call: Vec<u8>,
    /// What Envoy was sent.
    pub(crate) reply: Vec<u8>,
}

struct Shared {
    store: SocketAddr,
    does: Mutex<Does>,
    passed: Mutex<Vec<Passed>>,
}

/// A forwarder. It ends with this value.
pub(crate) struct Forwarder {
    shared: Arc<Shared>,
    listening: Listening,
}

impl Forwarder {
    /// A forwarder to a store that passes everything on at once.
    pub(crate) fn to(store: SocketAddr) -> Self {
        let shared = Arc::new(Shared {
            store,
            does: Mutex::new(Does::Pass(Duration::ZERO)),
            passed: Mutex::default(),
        });
        let forwarder = Self { shared, listening: Listening::on("127.0.0.11") };
        forwarder.go_up();
        forwarder
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listening.address()
    }

    /// Changes what is done with the calls that come from now on.
    pub(crate) fn does(&self, does: Does) {
        *self.shared.does.lock().unwrap() = does;
    }

    /// What has gone through it so far.
    pub(crate) fn passed(&self) -> Vec<Passed> {
        self.shared.passed.lock().unwrap().clone()
    }

    /// Refuses connections from now on.
    pub(crate) fn go_down(&self) {
        self.listening.go_down();
    }

    /// Takes connections again.
    pub(crate) fn go_up(&self) {
        let shared = Arc::clone(&self.shared);
        self.listening.go_up(move |connection| shared.serve(connection));
    }
}

impl Shared {
    /// One connection, and one call on it.
    fn serve(&self, mut envoy: TcpStream) -> Option<()> {
        let began = Instant::now();
        let does = self.does.lock().unwrap().clone();
        let mut call = Vec::new();
        if matches!(does, Does::Reset(_)) {
            call = all_but_one(&mut envoy)?;
        } else {
            envoy.read_to_end(&mut call).ok()?;
        }
        let reply = match &does {
            Does::Pass(delay) => {
                std::thread::sleep(*delay);
                let reply = self.ask(&call)?;
                std::thread::sleep(*delay);
                reply
            }
            Does::Cut(most) | Does::Reset(most) | Does::Halt(most) => {
                let mut reply = self.ask(&call)?;
                reply.truncate(*most);
                reply
            }
            Does::Shorten(by) => {
                let mut reply = self.ask(&call)?;
                reply.truncate(reply.len().saturating_sub(*by));
                reply
            }
            Does::Garble => self.ask(&call)?.into_iter().map(|byte| byte ^ 1).collect(),
            Does::Say(reply) => reply.clone(),
            Does::Complain(error) => {
                let scripts = [&b"\r\nEVAL\r\n"[..], b"\r\nEVALSHA\r\n"].map(|name| count(&call, name));
                let complaint = format!("-{error}\r\n").repeat(scripts.iter().sum());
                [complaint.as_bytes(), b"+OK\r\n"].concat()
            }
        };
        // Envoy may have had enough of it.
        let _ = envoy.write_all(&reply);
        if matches!(does, Does::Halt(_)) {
            std::thread::sleep(HALT);
        }
        let passed = Passed { began, ended: Instant::now(), call, reply };
        self.passed.lock().unwrap().push(passed);
        Some(())
    }

    /// The store's whole reply, if it is up.
    fn ask(&self, call: &[u8]) -> Option<Vec<u8>> {
        let mut store = TcpStream::connect(self.store).ok()?;
        store.write_all(call).ok()?;
        store.shutdown(Shutdown::Write).ok()?;
        let mut reply = Vec::new();
        store.read_to_end(&mut reply).ok()?;
        Some(reply)
    }
}

/// What Envoy has sent, but for the last byte, which stays unread: a connection that is closed before all was read is reset.
fn all_but_one(envoy: &mut TcpStream) -> Option<Vec<u8>> {
    const QUIT: &[u8] = b"*1\r\n$4\r\nQUIT\r\n";
    let mut seen = vec![0; 1 << 20];
    loop {
        let length = envoy.peek(&mut seen).ok()?;
        if seen[..length].ends_with(QUIT) {
            let mut call = seen[..length].to_vec();
            envoy.read_exact(&mut call[..length - 1]).ok()?;
            return Some(call);
        }
        if length == 0 {
            return None;
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

fn count(bytes: &[u8], wanted: &[u8]) -> usize {
    bytes.windows(wanted.len()).filter(|window| *window == wanted).count()
}
