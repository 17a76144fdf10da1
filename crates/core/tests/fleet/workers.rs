//! Workers of one process that share a link: one of them calls the store for all.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::thread;

use api_guard_core::cells::MemoryCells;
use api_guard_core::code::Code;
use api_guard_core::engine::Engine;
use api_guard_core::exchange::Flow;
use api_guard_core::fleet::{CallResponse, Demand, Member, SharedLink, Standing};
use api_guard_core::limit::Identity;
use api_guard_core::revocation::Revocations;
use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;
use api_guard_testkit::{Decided, Done, Process, SECRET, Stream, Watched, lay_over, policy, request, token};
use serde_json::{Value, json};

use super::model::ModelStore;
use super::simulation;
use super::store::Store;

const START: u64 = 1_796_000_000;
const WORKERS: usize = 3;

fn at(milliseconds: u64) -> UnixNanos {
    UnixNanos::from_nanos(START * 1_000_000_000 + milliseconds * 1_000_000)
}

/// A process, of whose workers one calls for all.
struct Envoy {
    caller: Engine,
    workers: Vec<Engine>,
    link: SharedLink,
    process: Process,
}

impl Envoy {
    fn new(limit: &Value) -> Self {
        Self::with(limit, &json!({}))
    }

    fn with(limit: &Value, revocation: &Value) -> Self {
        let mut whole = json!({ "name": "all", "max_requests": 20, "window_seconds": 60 });
        lay_over(&mut whole, limit);
        let policy = Arc::new(policy(&json!({
            "tokens": { "keys": [{ "secret": { "value": SECRET } }] },
            "fleet": { "cluster": "store", "secret": { "value": SECRET } },
            "rate_limits": [whole],
            "revocation": revocation,
        })));
        let link = SharedLink::default();
        let engine = || Engine::new(Arc::clone(&policy)).sharing(&link);
        let workers = (0..WORKERS).map(|_| engine().leaving_calls()).collect();
        Self { caller: engine(), workers, link, process: Process::default() }
    }

    /// Sends a request to a worker.
    fn send(&self, worker: usize, method: &str, path: &str, claims: &Value, now: UnixNanos) -> Watched<'_> {
        let mut stream = Watched::new(&self.workers[worker], &self.process);
        let bearer = format!("Bearer {}", token(claims));
        stream.headers(&request(method, path, &[("authorization", &bearer)]), true, now);
        stream
    }

    fn get(&self, worker: usize, now: UnixNanos) -> Watched<'_> {
        self.send(worker, "GET", "/x", &claims("u", 3600), now)
    }

    /// Has the caller send what is due, and answers it. How many calls that were.
    fn call(&self, answer: &mut dyn FnMut(&[u8]) -> Vec<u8>, now: UnixNanos) -> usize {
        let mut host = Stream::new(&self.process);
        self.caller.call(&mut host, now);
        self.carry_on(host, answer, now)
    }

    fn tick(&self, answer: &mut dyn FnMut(&[u8]) -> Vec<u8>, now: UnixNanos) -> usize {
        let mut host = Stream::new(&self.process);
        self.caller.on_tick(&mut host, now);
        self.carry_on(host, answer, now)
    }

    fn carry_on(
        &self,
        mut host: Stream<'_>,
        answer: &mut dyn FnMut(&[u8]) -> Vec<u8>,
        now: UnixNanos,
    ) -> usize {
        let (mut next, mut calls) = (0, 0);
        while let Some(done) = host.done.get(next).cloned() {
            next += 1;
            if let Done::Called(number, body) = done {
                calls += 1;
                self.caller.on_called(number, CallResponse::Reply(&answer(&body)), &mut host, now);
            }
        }
        calls
    }
}

fn claims(jti: &str, lives: u64) -> Value {
    json!({ "sub": "u", "jti": jti, "iat": START, "exp": START + lives })
}

fn reminds(stream: &Watched<'_>) -> bool {
    assert!(!stream.host.done.iter().any(|done| matches!(done, Done::Called(..))), "it leaves that");
    stream.host.done.contains(&Done::Reminded)
}

#[test]
fn a_worker_reminds_the_one_that_calls_and_all_spend_what_that_one_is_granted() {
    let envoy = Envoy::new(&json!({ "scope": "fleet" }));
    let mut store = ModelStore::default();
    let mut waiting: Vec<Watched<'_>> =
        (0..WORKERS).map(|worker| envoy.get(worker, at(worker as u64))).collect();
    assert!(waiting.iter().all(|stream| reminds(stream) && stream.decided.is_empty()));
    // One goes before its turn, and leaves its unit to others. The calls are made by an older clock than the last request's.
    let gone = waiting.pop().unwrap();
    drop(gone);
    assert_eq!(envoy.call(&mut |body| store.call(body, at(2)), at(1)), 1);
    for stream in &mut waiting {
        stream.tick(at(3));
        assert_eq!(stream.decided, [Decided::Allowed]);
    }
    let passes = envoy.get(WORKERS - 1, at(2));
    assert!(passes.decided == [Decided::Allowed] && !reminds(&passes), "{:?}", passes.host.done);
    assert!(envoy.get(0, at(4)).decided.is_empty());
}

#[test]
fn what_a_worker_that_never_ticks_has_in_hand_goes_back() {
    let envoy = Envoy::new(&json!({ "scope": "fleet", "window_seconds": 16 }));
    let mut store = ModelStore::default();
    let waiting: Vec<Watched<'_>> = (0..WORKERS).map(|worker| envoy.get(worker, at(0))).collect();
    assert_eq!(envoy.call(&mut |body| store.call(body, at(1)), at(1)), 1);
    drop(waiting);
    // The units were of the store's present second.
    let other = Envoy::new(&json!({ "scope": "fleet", "window_seconds": 16 }));
    envoy.tick(&mut |body| store.call(body, at(1100)), at(1100));
    envoy.tick(&mut |body| store.call(body, at(1200)), at(1200));
    let mut passed = 0;
    for number in 0..40 {
        let now = at(1300 + number);
        let mut stream = other.get(0, now);
        other.call(&mut |body| store.call(body, now), now);
        stream.tick(now);
        passed += u32::from(stream.decided == [Decided::Allowed]);
    }
    assert_eq!(passed, 20, "all of them");
}

#[test]
fn a_revocation_is_told_by_the_one_that_calls_and_so_is_what_a_refused_token_has_lengthened() {
    let Some(store) = Store::start() else { return };
    let revocation = json!({ "endpoint": {}, "fleet": { "at_start": "serve" } });
    let envoy = Envoy::with(&json!({}), &revocation);
    let mut answer = |body: &[u8]| store.call(body);
    envoy.tick(&mut answer, at(0));
    let mut logout = envoy.send(0, "POST", "/auth/revoke", &claims("j", 100), at(10));
    assert!(reminds(&logout) && logout.host.replies().next().is_none());
    assert_eq!(envoy.call(&mut answer, at(11)), 1);
    logout.tick(at(12));
    assert_eq!(logout.host.replies().next().map(|reply| reply.status), Some(200));
    assert_eq!(envoy.call(&mut answer, at(13)), 0, "nothing is due");
    // Of the same `jti`, and for longer.
    let refused = envoy.send(1, "GET", "/x", &claims("j", 3600), at(14));
    assert_eq!(refused.decided, [Decided::Refused(Code::TokenRevoked)]);
    assert!(reminds(&refused));
    assert_eq!(envoy.call(&mut answer, at(15)), 1);
    let again = envoy.send(1, "GET", "/x", &claims("j", 3600), at(16));
    assert!(again.decided == [Decided::Refused(Code::TokenRevoked)] && !reminds(&again));
}

#[test]
fn a_link_that_a_worker_has_left_in_an_unknown_state_refuses() {
    let envoy = Envoy::new(&json!({ "scope": "fleet" }));
    envoy.tick(&mut |_| Vec::new(), at(0));
    let (rule, link) = (simulation::rule(), envoy.link.clone());
    let panics = thread::spawn(move || {
        let mut member = Member::join(&link, &rule, Seed::from_bytes([1; 16]), [1; 16]);
        member.with(at(1), |_, _| panic!("as this test demands"))
    });
    assert!(panics.join().is_err());
    let stream = envoy.get(0, at(2));
    assert_eq!(stream.decided, [Decided::Refused(Code::InternalFault)]);
    let mut stream = Watched::new(&envoy.workers[0], &envoy.process);
    let flow = stream.headers(&request("GET", "/x", &[]), true, at(3));
    assert_eq!((flow, &stream.decided[..]), (Flow::Pause, &[Decided::Refused(Code::TokenMissing)][..]));
    envoy.tick(&mut |_| Vec::new(), at(6000));
}

#[test]
fn threads_that_share_a_link_spend_no_unit_twice_and_lose_none_that_they_put_back() {
    const MAX: u32 = 2000;
    let rule = simulation::rule();
    let link = SharedLink::default();
    let join = || Member::join(&link, &rule, Seed::from_bytes([1; 16]), [1; 16]);
    let demand = Demand {
        identity: Identity::from_digest(7),
        units: NonZeroU32::new(MAX).unwrap(),
        window_seconds: NonZeroU32::new(86_400).unwrap(),
    };
    let (spent, ended, barrier) = (AtomicU32::new(0), AtomicU32::new(0), Barrier::new(WORKERS + 1));
    // It moves with the calls.
    let clock = AtomicU64::new(0);
    thread::scope(|scope| {
        for number in 0..WORKERS {
            let (mut member, spent, ended, barrier) = (join(), &spent, &ended, &barrier);
            let (rule, clock) = (&rule, &clock);
            scope.spawn(move || {
                barrier.wait();
                let mut refusals = 0;
                for round in 0_u64.. {
                    // Each is a little ahead of the one before it.
                    let now = at(clock.load(Ordering::Relaxed) + number as u64);
                    match member.with(now, |link, now| link.take(rule, demand, now)).unwrap() {
                        Standing::Taken(unit) if round % 5 == 0 => {
                            member.with(now, |link, _| link.put_back(demand.identity, unit)).unwrap();
                        }
                        Standing::Taken(_) => _ = spent.fetch_add(1, Ordering::Relaxed),
                        Standing::Ask => _ = member.with(now, |link, _| link.wait(demand.identity)).unwrap(),
                        Standing::Refused(_) => refusals += 1,
                        Standing::Unreachable => panic!("it was reached"),
                    }
                    if refusals > 100 {
                        break;
                    }
                    thread::yield_now();
                }
                ended.fetch_add(1, Ordering::Relaxed);
            });
        }
        let cells = MemoryCells::new();
        let mut revocations = Revocations::open(&cells, Seed::from_bytes([1; 16]), 1).unwrap();
        let (mut caller, mut store) = (join(), ModelStore::default());
        barrier.wait();
        while (ended.load(Ordering::Relaxed) as usize) < WORKERS {
            let now = at(clock.load(Ordering::Relaxed));
            let call = caller.with(now, |link, now| link.begin(&rule, &revocations, &cells, now)).unwrap();
            let Some(call) = call else { continue };
            // No more than a call in ten milliseconds.
            clock.fetch_add(10, Ordering::Relaxed);
            let reply = store.call(&call.body, at(0));
            let response = CallResponse::Reply(&reply);
            caller
                .with(now, |link, now| link.end(&rule, call.number, response, &mut revocations, &cells, now))
                .unwrap()
                .unwrap();
        }
    });
    assert_eq!(spent.into_inner(), MAX);
}

#[test]
fn a_worker_that_is_behind_waits_for_the_first_load_as_others_do() {
    let policy = Arc::new(policy(&json!({
        "tokens": { "keys": [{ "secret": { "value": SECRET } }] },
        "fleet": { "cluster": "store", "secret": { "value": SECRET } },
        "revocation": { "fleet": {} },
    })));
    let (link, process) = (SharedLink::default(), Process::default());
    let engine = || Engine::new(Arc::clone(&policy)).sharing(&link).leaving_calls();
    let workers = [engine(), engine()];
    let bearer = format!("Bearer {}", token(&claims("u", 3600)));
    // The second one has read its clock a millisecond before the first.
    let said: Vec<_> = workers
        .iter()
        .zip([at(100), at(99)])
        .map(|(worker, now)| {
            let mut stream = Watched::new(worker, &process);
            stream.headers(&request("GET", "/x", &[("authorization", &bearer)]), true, now);
            stream.decided.len()
        })
        .collect();
    assert_eq!(said, [0, 0], "both wait");
}

#[test]
fn a_call_of_which_the_host_never_says_how_it_ended_is_counted_and_told_and_another_one_follows() {
    let envoy = Envoy::new(&json!({ "scope": "fleet" }));
    let tick = |milliseconds| {
        let mut host = Stream::new(&envoy.process);
        envoy.caller.on_tick(&mut host, at(milliseconds));
        host.done
    };
    let calls = |done: &[Done]| done.iter().filter(|done| matches!(done, Done::Called(..))).count();
    assert_eq!(calls(&tick(0)), 1);
    assert_eq!(calls(&tick(10_000)), 0, "one at a time");
    let done = tick(10_100);
    let names = envoy.caller.counters().names();
    let is_counted = |done: &Done| matches!(done, Done::Counted(counter) if names[*counter].ends_with("use.heartbeat.result.timeout"));
    assert_eq!(done.iter().filter(|done| is_counted(done)).count(), 1, "{done:?}");
    let is_told = |done: &Done| matches!(done, Done::Logged(line) if line.text.contains("unreachable"));
    assert_eq!(done.iter().filter(|done| is_told(done)).count(), 1, "{done:?}");
    assert_eq!((calls(&done), calls(&tick(11_100))), (0, 1), "a second later");
}

#[test]
fn a_new_prefix_refuses_nobody_while_the_old_configuration_ends() {
    let Some(store) = Store::start() else { return };
    let envoy = |prefix: &str| {
        let policy = Arc::new(policy(&json!({
            "tokens": { "keys": [{ "secret": { "value": SECRET } }] },
            "fleet": { "cluster": "store", "secret": { "value": SECRET }, "prefix": prefix },
            "revocation": { "fleet": {} }, "rate_limits": [],
        })));
        Engine::new(policy)
    };
    let process = Process::default();
    let engines = [envoy("ag"), envoy("ag2")];
    let tick = |engine: &Engine, now| {
        let mut host = Stream::new(&process);
        engine.on_tick(&mut host, now);
        let mut next = 0;
        while let Some(done) = host.done.get(next).cloned() {
            next += 1;
            if let Done::Called(number, body) = done {
                engine.on_called(number, CallResponse::Reply(&store.call(&body)), &mut host, now);
            }
        }
    };
    let bearer = format!("Bearer {}", token(&claims("u", 3600)));
    let mut refused = [0, 0];
    let mut sent = 0;
    for milliseconds in (0..20_000).step_by(100) {
        // Ten requests a second under either configuration, at any time between the ticks.
        let random = |n: u64| (milliseconds + n).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
        let mut events =
            vec![(0, 0, true), (50, 1, true), (random(1) % 100, 0, false), (random(2) % 100, 1, false)];
        events.sort_unstable_by_key(|(offset, ..)| *offset);
        for (offset, which, is_tick) in events {
            let now = at(milliseconds + offset);
            if is_tick {
                tick(&engines[which], now);
            } else if milliseconds >= 5000 {
                let mut stream = Watched::new(&engines[which], &process);
                let flow = stream.headers(&request("GET", "/x", &[("authorization", &bearer)]), true, now);
                refused[which] += u32::from(flow != Flow::Continue);
                sent += 1;
            }
        }
    }
    assert_eq!((refused, sent), ([0, 0], sent));
}
