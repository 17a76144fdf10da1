//! A real store of a fleet, and the cluster that leads Envoy to it.

use std::net::{Ipv4Addr, SocketAddr};

use api_guard_testkit::Redis;
use serde_json::{Value, json};

/// A store that can be killed and started again at its port. It keeps nothing on disk.
pub(crate) struct Store(Redis);

impl Store {
    /// Whether this machine has a store.
    pub(crate) fn is_here() -> bool {
        Redis::is_here()
    }

    /// A store that is up; `None` if this machine has none.
    pub(crate) fn up() -> Option<Self> {
        Redis::start_on(Ipv4Addr::new(127, 0, 0, 10), &[]).map(Self)
    }

    /// Starts it, empty, with more arguments.
    pub(crate) fn start(&self, arguments: &[&str]) {
        self.0.start_again(arguments);
    }

    /// Kills it.
    pub(crate) fn kill(&self) {
        self.0.kill();
    }

    /// Sends one command, and returns the reply as it came.
    pub(crate) fn command(&self, arguments: &[&str]) -> String {
        self.0.command(arguments)
    }

    /// Sends bytes as Envoy does: all of them, then the end. The whole reply.
    pub(crate) fn call(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.call(bytes)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.0.address()
    }

    /// Envoy's cluster `store` that leads to it.
    pub(crate) fn cluster(&self) -> Value {
        cluster(self.address())
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
