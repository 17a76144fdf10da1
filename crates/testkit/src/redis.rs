//! A real store of a fleet: `redis-server` or `valkey-server` of this machine, on a port of the loopback address.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use api_guard_core::engine::Engine;
use api_guard_core::fleet::CallResponse;
use api_guard_core::time::UnixNanos;
use serde_json::Value;

use crate::{Decided, Done, Process, Stream, Watched, policy, request, skip};

/// A store without a file, which ends with this value.
#[derive(Debug)]
pub struct Redis {
    process: Child,
    /// Where it speaks without TLS.
    pub port: u16,
}

impl Redis {
    /// A store without content, started with these options too; `None`, which is said, if this machine has none.
    ///
    /// # Panics
    ///
    /// If it does not listen.
    pub fn start(options: &[&str]) -> Option<Self> {
        let port = free_port();
        let start = |program: &str| {
            Command::new(program)
                .args([
                    "--bind",
                    "127.0.0.1",
                    "--port",
                    &port.to_string(),
                    "--save",
                    "",
                    "--appendonly",
                    "no",
                ])
                .args(options)
                .stdout(Stdio::null())
                .spawn()
                .ok()
        };
        let Some(process) = start("redis-server").or_else(|| start("valkey-server")) else {
            skip("no store: apt-get install redis-server");
            return None;
        };
        let store = Self { process, port };
        for _ in 0..2000 {
            // A port that takes connections is not yet a store that answers, at all of its ports.
            if TcpStream::connect(("127.0.0.1", port)).is_ok() && !store.call(b"PING\r\nQUIT\r\n").is_empty()
            {
                return Some(store);
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the store does not listen");
    }

    /// Sends bytes as Envoy does: all of them, then the end. The whole reply.
    ///
    /// # Panics
    ///
    /// If there is no connection.
    pub fn call(&self, bytes: &[u8]) -> Vec<u8> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut reply = Vec::new();
        stream.read_to_end(&mut reply).unwrap();
        reply
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
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A port that nobody listens on.
///
/// # Panics
///
/// If there is none.
pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
