//! A real store of a fleet: `redis-server` or `valkey-server` of this machine, on a port of the loopback address and on a socket
//! of its own.

use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, Shutdown, SocketAddr, TcpListener};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use api_guard_core::engine::Engine;
use api_guard_core::fleet::CallResponse;
use api_guard_core::time::UnixNanos;
use serde_json::Value;

use crate::{Decided, Done, Process, Stream, Watched, policy, request, skip};

/// A store that keeps nothing on disk. It ends with this value, and can be killed and started again before.
#[derive(Debug)]
pub struct Redis {
    program: &'static str,
    process: Mutex<Option<Child>>,
    address: SocketAddr,
    /// Where it speaks without TLS.
    pub port: u16,
    /// Tests call it here: thousands of calls would use up the ports.
    socket: PathBuf,
}

/// The program of this machine.
fn program() -> Option<&'static str> {
    static PROGRAM: OnceLock<Option<&str>> = OnceLock::new();
    let runs = |program: &&str| {
        let version = Command::new(program).arg("--version").stdout(Stdio::null()).status();
        version.is_ok_and(|status| status.success())
    };
    *PROGRAM.get_or_init(|| ["redis-server", "valkey-server"].into_iter().find(runs))
}

impl Redis {
    /// Whether this machine has a store.
    pub fn is_here() -> bool {
        program().is_some()
    }

    /// A store without content, started with these options too; `None`, which is said, if this machine has none.
    ///
    /// # Panics
    ///
    /// If it does not listen.
    pub fn start(options: &[&str]) -> Option<Self> {
        Self::start_on(Ipv4Addr::LOCALHOST, options)
    }

    /// The same on another loopback address. The system gives its ports to no client, so that they are free when the store
    /// starts again.
    ///
    /// # Panics
    ///
    /// If it does not listen.
    pub fn start_on(ip: Ipv4Addr, options: &[&str]) -> Option<Self> {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let Some(program) = program() else {
            skip("no store: apt-get install redis-server");
            return None;
        };
        let address = free_address(ip.into());
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let socket = std::env::temp_dir().join(format!("api-guard-store-{}-{number}", std::process::id()));
        let store = Self { program, process: Mutex::default(), address, port: address.port(), socket };
        store.start_again(options);
        Some(store)
    }

    /// Starts it, without content, with these options too.
    ///
    /// # Panics
    ///
    /// If it is up, or does not listen.
    pub fn start_again(&self, options: &[&str]) {
        let mut process = self.process.lock().unwrap();
        assert!(process.is_none(), "the store is up");
        let child = Command::new(self.program)
            .args(["--bind", &self.address.ip().to_string(), "--port", &self.port.to_string()])
            .args(["--save", "", "--appendonly", "no", "--unixsocket"])
            .arg(&self.socket)
            .args(options)
            .stdout(Stdio::null())
            .spawn();
        *process = Some(child.unwrap());
        for _ in 0..2000 {
            // A socket that takes connections is not yet a store that answers, at all of its ports.
            if self.try_call(b"PING\r\nQUIT\r\n").is_ok_and(|reply| !reply.is_empty()) {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the store does not listen");
    }

    /// Kills it.
    ///
    /// # Panics
    ///
    /// If it is down.
    pub fn kill(&self) {
        let mut process = self.process.lock().unwrap().take().expect("the store is down");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Where it speaks without TLS.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sends bytes as Envoy does: all of them, then the end. The whole reply.
    ///
    /// # Panics
    ///
    /// If there is no connection.
    pub fn call(&self, bytes: &[u8]) -> Vec<u8> {
        self.try_call(bytes).unwrap()
    }

    fn try_call(&self, bytes: &[u8]) -> std::io::Result<Vec<u8>> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.write_all(bytes)?;
        stream.shutdown(Shutdown::Write)?;
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply)?;
        Ok(reply)
    }

    /// Sends one command. The reply as the store writes it.
    pub fn command(&self, arguments: &[&str]) -> String {
        let mut bytes = format!("*{}\r\n", arguments.len()).into_bytes();
        for argument in arguments {
            bytes.extend_from_slice(format!("${}\r\n{argument}\r\n", argument.len()).as_bytes());
        }
        String::from_utf8_lossy(&self.call(&bytes)).into_owned()
    }

    /// What becomes of a request with this token at an Envoy that starts with this configuration, and has read all that the
    /// store has.
    pub fn decided(&self, configuration: &Value, token: &str, now: UnixNanos) -> Decided {
        let (engine, process) = (Engine::new(policy(configuration)), Process::default());
        let mut host = Stream::new(&process);
        engine.on_tick(&mut host, now);
        let mut carried_out = 0;
        while let Some(done) = host.done.get(carried_out).cloned() {
            carried_out = carried_out.saturating_add(1);
            if let Done::Called(number, body) = done {
                engine.on_called(number, CallResponse::Reply(&self.call(&body)), &mut host, now);
            }
        }
        let mut stream = Watched::new(&engine, &process);
        let bearer = format!("Bearer {token}");
        stream.headers(&request("GET", "/x", &[("authorization", &bearer)]), true, now);
        stream.decided.first().copied().expect("a decision")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.get_mut().ok().and_then(Option::take) {
            let _ = process.kill();
            let _ = process.wait();
        }
        let _ = std::fs::remove_file(&self.socket);
    }
}

fn free_address(ip: IpAddr) -> SocketAddr {
    TcpListener::bind((ip, 0)).unwrap().local_addr().unwrap()
}
