//! More callers than a link remembers: what becomes of what those had in hand who made room, and of those who find none?

use std::num::NonZeroU32;

use api_guard_core::cells::MemoryCells;
use api_guard_core::engine::Engine;
use api_guard_core::fleet::{CallResponse, Demand, FleetRule, Link, Standing};
use api_guard_core::limit::Identity;
use api_guard_core::revocation::Revocations;
use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;
use api_guard_testkit::{Decided, Done, Process, SECRET, Stream, Watched, policy, request, token};
use serde_json::json;

use super::model::ModelStore;
use super::requests::{LIMITED, UNAVAILABLE, at};
use super::simulation;

/// More than there is room for.
const CROWD: u32 = 10_000;
/// When the tests begin, Unix seconds.
const START: u64 = 1_796_000_000;

/// A link and its store.
struct Pair {
    rule: FleetRule,
    link: Link,
    store: ModelStore,
    revocations: Revocations,
    cells: MemoryCells,
}

impl Pair {
    fn new() -> Self {
        let (rule, cells, seed) = (simulation::rule(), MemoryCells::new(), Seed::from_bytes([1; 16]));
        let revocations = Revocations::open(&cells, seed, 16).unwrap();
        Self {
            link: Link::open(&rule, seed, [1; 16]),
            rule,
            store: ModelStore::default(),
            revocations,
            cells,
        }
    }

    /// What one of `limit`'s callers asks for, who may spend 12 units.
    fn demand(&self, limit: u32, caller: u32) -> Demand {
        let digest = self.rule.names.seed().digest("caller", [&caller.to_le_bytes()[..]]);
        let identity = Identity::from_digest((digest & !(0xFFFF_FFFF << 32)) | (u128::from(limit) << 32));
        let number = |number| NonZeroU32::new(number).unwrap();
        Demand { identity, units: number(12), window_seconds: number(3600) }
    }

    /// A call, if one is due. How many units have gone back.
    fn call(&mut self, now: UnixNanos) -> u32 {
        let Some(call) = self.link.begin(&self.rule, &self.revocations, &self.cells, now) else { return 0 };
        let reply = self.store.call(&call.body, now);
        let response = CallResponse::Reply(&reply);
        let ended = self.link.end(&self.rule, call.number, response, &mut self.revocations, &self.cells, now);
        ended.unwrap().returned
    }

    /// Whether a request is admitted that goes on asking.
    fn admits(&mut self, demand: Demand, now: UnixNanos) -> bool {
        for _ in 0..8 {
            match self.link.take(&self.rule, demand, now) {
                Standing::Taken(_) => return true,
                Standing::Refused(_) => return false,
                Standing::Ask => _ = self.link.wait(demand.identity),
                Standing::Unreachable => panic!("there is room"),
            }
            self.call(now);
        }
        false
    }
}

#[test]
fn however_many_callers_there_are_each_gets_what_the_limit_says() {
    for callers in [1_000, 6_000] {
        let mut pair = Pair::new();
        for visit in 0..6 {
            for caller in 0..callers {
                // Each time two requests, for which three units are leased. A hundred calls a second may be made.
                let now = at(u64::from(caller + visit * callers) * 20);
                let demand = pair.demand(1, caller);
                for request in 0..2 {
                    let admits = pair.admits(demand, now);
                    assert!(admits, "caller {caller} of {callers}, request {request} of visit {visit}");
                }
            }
        }
    }
}

/// An Envoy with two limits of the fleet: one of a public route by a header, and one of another route by who asks.
fn envoy(when_unreachable: &str) -> (Engine, Process) {
    let limit = |name: &str, key: &str| {
        json!({
            "name": name, "key": [key], "max_requests": 100, "window_seconds": 60,
            "scope": "fleet", "when_unreachable": when_unreachable,
        })
    };
    let configuration = json!({
        "tokens": { "keys": [{ "secret": { "value": SECRET } }] },
        "fleet": { "cluster": "store", "secret": { "value": SECRET } },
        "rate_limits": [],
        "routes": [
            { "path": "/open", "access": "public", "rate_limits": [limit("by-header", "header:x")] },
            { "path": "/closed", "rate_limits": [limit("by-subject", "subject")] },
        ],
    });
    (Engine::new(policy(&configuration)), Process::default())
}

/// The call that a host was told to send.
fn called(done: &[Done]) -> Option<(u32, Vec<u8>)> {
    let call = |done: &Done| {
        if let Done::Called(number, body) = done { Some((*number, body.clone())) } else { None }
    };
    done.iter().find_map(call)
}

/// Sends requests of many who were never seen, while a call is under way that began at 1,000 ms. Returns that call.
fn flood(engine: &Engine, process: &Process) -> (u32, Vec<u8>) {
    let mut root = Stream::new(process);
    engine.on_tick(&mut root, at(1000));
    let under_way = called(&root.done).unwrap();
    for number in 0..CROWD {
        newcomer(engine, process, &format!("flood-{number}"));
    }
    under_way
}

/// What a newcomer to the limit by a header hears, unless it waits.
fn newcomer(engine: &Engine, process: &Process, name: &str) -> Option<Decided> {
    let mut stream = Watched::new(engine, process);
    stream.headers(&request("GET", "/open", &[("x", name)]), true, at(1001));
    (0..10).for_each(|_| stream.tick(at(1002)));
    stream.decided.first().copied()
}

#[test]
fn a_flood_on_one_limit_neither_refuses_nor_delays_a_caller_of_another() {
    for when in ["share", "alone", "refuse"] {
        let (engine, process) = envoy(when);
        let mut store = ModelStore::default();
        let (number, body) = flood(&engine, &process);
        let bearer = format!("Bearer {}", token(&json!({ "sub": "u", "iat": START, "exp": START + 3600 })));
        let mut stream = Watched::new(&engine, &process);
        stream.headers(&request("GET", "/closed", &[("authorization", &bearer)]), true, at(1002));
        (0..10).for_each(|_| stream.tick(at(1003)));
        assert_eq!(stream.decided, [], "{when}: it waits for the store");
        // The very next call asks for it, although thousands of others came first.
        let mut call = (number, body);
        for milliseconds in [1010, 1020] {
            let reply = store.call(&call.1, at(milliseconds));
            let mut root = Stream::new(&process);
            engine.on_called(call.0, CallResponse::Reply(&reply), &mut root, at(milliseconds));
            call = called(&root.done).unwrap();
        }
        stream.tick(at(1020));
        assert_eq!(stream.decided, [Decided::Allowed], "{when}");
    }
}

#[test]
fn who_finds_no_room_is_judged_as_where_the_store_is_not_reached() {
    for (when, said) in [("share", Decided::Allowed), ("alone", Decided::Allowed), ("refuse", UNAVAILABLE)] {
        let (engine, process) = envoy(when);
        flood(&engine, &process);
        let decided: Vec<Decided> =
            (0..200).filter_map(|number| newcomer(&engine, &process, &format!("late-{number}"))).collect();
        assert!(decided.len() > 150 && decided.iter().all(|one| *one == said), "{when}: {decided:?}");
        if when != "refuse" {
            // By what this Envoy counts, as there.
            let name = (0..200).map(|number| format!("late-{number}"));
            let name = name.into_iter().find(|name| newcomer(&engine, &process, name).is_some()).unwrap();
            let decided: Vec<_> = (0..120).map(|_| newcomer(&engine, &process, &name).unwrap()).collect();
            assert_eq!(decided.iter().filter(|one| **one == Decided::Allowed).count(), 98, "{when}");
            assert_eq!(decided.last(), Some(&LIMITED), "{when}");
        }
    }
}
