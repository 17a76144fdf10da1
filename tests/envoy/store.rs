//! A real store of a fleet: `redis-server` or `valkey-server` of this machine, on a port of loopback.

use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock};

use serde_json::{Value, json};

use crate::process::eventually;

/// A store that can be killed and started again at its port. It keeps nothing on disk.
pub(crate) struct Store {
    program: &'static str,
    address: SocketAddr,
    process: Mutex<Option<Child>>,
}

/// The store of this machine.
fn program() -> Option<&'static str> {
    static PROGRAM: OnceLock<Option<&str>> = OnceLock::new();
    *PROGRAM.get_or_init(|| {
        let has = |program: &&str| {
            Command::new(program)
                .arg("--version")
                .stdout(Stdio::null())
                .status()
                .is_ok_and(|status| status.success())
        };
        let program = ["redis-server", "valkey-server"].into_iter().find(has);
        if program.is_none() {
            eprintln!("SKIPPED: this machine has neither redis-server nor valkey-server");
        }
        program
    })
}

impl Store {
    /// Whether this machine has a store.
    pub(crate) fn is_here() -> bool {
        program().is_some()
    }

    /// A store that is up; `None` if this machine has none.
    pub(crate) fn up() -> Option<Self> {
        let program = program()?;
        // Not where the system takes the ports of clients from, so that the port is free again later.
        let address = TcpListener::bind("127.0.0.10:0").unwrap().local_addr().unwrap();
        let store = Self { program, address, process: Mutex::new(None) };
        store.start(&[]);
        Some(store)
    }

    /// Starts it, empty, with more arguments.
    pub(crate) fn start(&self, arguments: &[&str]) {
        let mut process = self.process.lock().unwrap();
        assert!(process.is_none(), "the store is up");
        let child = Command::new(self.program)
            .args(["--port", &self.address.port().to_string(), "--bind", &self.address.ip().to_string()])
            .args(["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"])
            .args(arguments)
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        *process = Some(child);
        eventually("the store does not listen", || TcpStream::connect(self.address).ok());
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        let mut process = self.process.lock().unwrap().take().expect("the store is down");
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Sends one command, and returns the reply as it came.
    pub(crate) fn command(&self, arguments: &[&str]) -> String {
        let mut bytes = format!("*{}\r\n", arguments.len());
        for argument in arguments {
            bytes += &format!("${}\r\n{argument}\r\n", argument.len());
        }
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        reply
    }

    /// Envoy's cluster `store` that leads to it.
    pub(crate) fn cluster(&self) -> Value {
        cluster(self.address)
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.get_mut().unwrap().take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

/// Envoy's cluster `store` that leads to an address, over which Envoy passes bytes on as they are.
pub(crate) fn cluster(address: SocketAddr) -> Value {
    let socket = json!({ "address": address.ip().to_string(), "port_value": address.port() });
    json!({
        "name": "store",
        "type": "STATIC",
        "connect_timeout": "0.25s",
        "upstream_config": {
            "name": "envoy.filters.connection_pools.http.tcp",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.upstreams.http.tcp.v3.TcpConnectionPoolProto",
            },
        },
        "load_assignment": {
            "cluster_name": "store",
            "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": { "socket_address": socket } } }] }],
        },
    })
}
