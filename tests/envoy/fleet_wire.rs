//! A fleet whose store is reached by a forwarder, which is slow or goes wrong in every way: what is promised then?

mod faults;
mod outage;
mod revocations;
mod windows;

use api_guard_testkit::lay_over;
use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::ask::{Ask, Protocol};
use crate::process::Envoy;
use crate::setup::{Setup, policy};
use crate::store::cluster;
use crate::token::token;

const SECRET: &str = "a secret of the fleet, of more than 32 bytes";
/// `fleet.timeout_milliseconds`: as long as it may be, because a busy machine is slow.
const TIMEOUT_MILLISECONDS: u32 = 1000;
/// `fleet.nodes`.
const NODES: u32 = 3;

/// An Envoy of a fleet of [`NODES`] whose store is at this address. `changes`: laid over its configuration.
fn envoy(store: SocketAddr, changes: Value) -> Envoy {
    Envoy::start(setup(store, changes))
}

/// What [`envoy`] is told.
fn setup(store: SocketAddr, changes: Value) -> Setup {
    let mut plugin = json!({ "fleet": {
        "cluster": "store",
        "secret": { "env": "API_GUARD_FLEET_SECRET" },
        "timeout_milliseconds": TIMEOUT_MILLISECONDS,
        "nodes": NODES,
    } });
    lay_over(&mut plugin, &changes);
    let mut setup = Setup { clusters: vec![cluster(store)], ..Setup::new(&policy(plugin)) };
    setup.environment.push(("API_GUARD_FLEET_SECRET", SECRET.to_owned()));
    setup
}

/// A limit of each subject, of the whole fleet.
fn limit(max_requests: u32, window_seconds: u32, when_unreachable: &str) -> Value {
    json!({ "rate_limits": [{
        "name": "all",
        "max_requests": max_requests,
        "window_seconds": window_seconds,
        "key": ["subject"],
        "scope": "fleet",
        "when_unreachable": when_unreachable,
    }] })
}

fn token_of(subject: &str) -> String {
    token(json!({ "sub": subject }))
}

fn status(envoy: &Envoy, token: &str) -> u16 {
    Ask::get("/x").token(token).send(envoy, Protocol::Http1).status
}

/// The calls to the store so far that ended so, whatever they were for.
fn calls(envoy: &Envoy, result: &str) -> u64 {
    let uses = ["limit", "revocation", "heartbeat"];
    let name = |purpose| format!("api_guard_fleet_calls_total.use.{purpose}.result.{result}");
    uses.into_iter().map(|purpose| envoy.counter(&name(purpose))).sum()
}

/// What the log says of the store: whether it is reached, and the result of the call that has shown it.
fn told(envoy: &Envoy) -> Vec<(String, String)> {
    let text = |event: &Value, name: &str| event[name].as_str().unwrap().to_owned();
    let events = envoy.events().into_iter().filter(|event| event["event"] == "fleet");
    events.map(|event| (text(&event, "store"), text(&event, "result"))).collect()
}
