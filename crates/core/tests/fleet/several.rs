//! Several limits of the fleet for one request: each is asked for on its own account.

use api_guard_core::code::Code;
use api_guard_core::engine::Engine;
use api_guard_core::fleet::CallResponse;
use api_guard_testkit::{Decided, Done, Process, SECRET, Stream, Watched, policy, request, token};
use serde_json::{Value, json};

use super::model::ModelStore;
use super::requests::{LIMITED, UNAVAILABLE, at};

/// The store has units, and others got them.
const UNLUCKY: &[u8] = b"*7\r\n:0\r\n:1\r\n:1\r\n:1\r\n:1000\r\n:0\r\n:0\r\n+OK\r\n";

/// When the tests begin, Unix seconds.
const START: u64 = 1_796_000_000;

struct Envoy {
    engine: Engine,
    process: Process,
}

/// A call that was begun.
type Call = (u32, Vec<u8>);

impl Envoy {
    fn new(limits: &Value) -> Self {
        let configuration = json!({
            "tokens": { "keys": [{ "secret": { "value": SECRET } }] },
            "fleet": { "cluster": "store", "secret": { "value": SECRET } },
            "rate_limits": limits,
        });
        Self { engine: Engine::new(policy(&configuration)), process: Process::default() }
    }

    /// Begins a call at 1,000 ms, of the mark alone, and sends a request 1 ms later, which waits.
    fn waits(&self) -> (Call, Watched<'_>) {
        let mut root = Stream::new(&self.process);
        self.engine.on_tick(&mut root, at(1000));
        let stream = self.send("1", 1001);
        assert_eq!(stream.decided, []);
        (called(&root.done).unwrap(), stream)
    }

    /// Ends a call, and returns the next one.
    fn end(&self, call: &Call, reply: &[u8], milliseconds: u64) -> Option<Call> {
        let mut root = Stream::new(&self.process);
        self.engine.on_called(call.0, CallResponse::Reply(reply), &mut root, at(milliseconds));
        called(&root.done)
    }

    fn send(&self, x: &str, milliseconds: u64) -> Watched<'_> {
        let bearer = format!("Bearer {}", token(&json!({ "sub": "u", "iat": START, "exp": START + 3600 })));
        let mut stream = Watched::new(&self.engine, &self.process);
        let headers = [("authorization", bearer.as_str()), ("x", x)];
        stream.headers(&request("GET", "/x", &headers), true, at(milliseconds));
        stream
    }
}

fn called(done: &[Done]) -> Option<Call> {
    let call = |done: &Done| {
        if let Done::Called(number, body) = done { Some((*number, body.clone())) } else { None }
    };
    done.iter().filter_map(call).next_back()
}

fn limit(name: &str, key: &str, max: u32) -> Value {
    json!({ "name": name, "key": [key], "max_requests": max, "window_seconds": 60, "scope": "fleet" })
}

#[test]
fn a_late_limit_has_the_time_of_two_calls_and_is_unavailable_if_the_store_never_answers_it() {
    for is_answered in [true, false] {
        let envoy = Envoy::new(&json!([limit("early", "client_ip", 20), limit("late", "subject", 20)]));
        let mut store = ModelStore::default();
        let (mark, mut stream) = envoy.waits();
        let early = envoy.end(&mark, &store.call(&mark.1, at(1040)), 1045).unwrap();
        envoy.end(&early, &store.call(&early.1, at(1080)), 1090);
        stream.tick(at(1090));
        let late = called(&stream.host.done).unwrap();
        for milliseconds in [1101, 1150, 1189] {
            stream.tick(at(milliseconds));
            assert_eq!(stream.decided, [], "after {milliseconds} ms");
        }
        if is_answered {
            envoy.end(&late, &store.call(&late.1, at(1180)), 1189);
        }
        stream.tick(at(1190));
        assert_eq!(stream.decided, [if is_answered { Decided::Allowed } else { UNAVAILABLE }]);
    }
}

#[test]
fn a_late_limit_is_asked_for_where_an_early_one_that_reports_was_not_answered() {
    let mut reports = limit("early", "client_ip", 20);
    reports["mode"] = json!("report");
    let envoy = Envoy::new(&json!([reports, limit("late", "subject", 20)]));
    let mut store = ModelStore::default();
    let (mark, mut stream) = envoy.waits();
    stream.tick(at(1101));
    assert_eq!(stream.decided, [], "it waits for the other one");
    let both = envoy.end(&mark, &store.call(&mark.1, at(1110)), 1110).unwrap();
    envoy.end(&both, &store.call(&both.1, at(1120)), 1120);
    stream.tick(at(1120));
    assert_eq!(stream.decided, [Decided::WouldRefuse(Code::RateLimited)]);
}

#[test]
fn a_late_limit_is_asked_for_however_often_an_early_one_was() {
    let envoy = Envoy::new(&json!([limit("early", "client_ip", 20), limit("late", "subject", 20)]));
    let mut store = ModelStore::default();
    let (mark, mut stream) = envoy.waits();
    let mut call = envoy.end(&mark, &store.call(&mark.1, at(1002)), 1002).unwrap();
    for milliseconds in 1003..1010 {
        envoy.end(&call, UNLUCKY, milliseconds);
        stream.tick(at(milliseconds));
        assert_eq!(stream.decided, [], "after {milliseconds} ms");
        call = called(&stream.host.done).unwrap();
    }
    // This store has not heard of the script.
    call = envoy.end(&call, &store.call(&call.1, at(1010)), 1010).unwrap();
    envoy.end(&call, &store.call(&call.1, at(1010)), 1010);
    stream.tick(at(1010));
    assert_eq!(stream.decided, [], "it waits for the other one");
    call = called(&stream.host.done).unwrap();
    envoy.end(&call, &store.call(&call.1, at(1020)), 1020);
    stream.tick(at(1020));
    assert_eq!(stream.decided, [Decided::Allowed]);
}

#[test]
fn a_limit_that_was_not_asked_for_refuses_nothing_where_another_one_does() {
    let mut by_header = limit("by-header", "header:x", 20);
    // Whoever is refused by both hears of this one.
    by_header["window_seconds"] = json!(3600);
    let envoy = Envoy::new(&json!([limit("by-address", "client_ip", 1), by_header]));
    let mut store = ModelStore::default();
    let (mark, mut first) = envoy.waits();
    let both = envoy.end(&mark, &store.call(&mark.1, at(1010)), 1010).unwrap();
    envoy.end(&both, &store.call(&both.1, at(1020)), 1020);
    first.tick(at(1020));
    assert_eq!(first.decided, [Decided::Allowed]);
    let mut second = envoy.send("2", 1030);
    let both = called(&second.host.done).unwrap();
    envoy.end(&both, &store.call(&both.1, at(1040)), 1040);
    second.tick(at(1040));
    // The store has said of the address that it has none, and nothing of this header.
    let third = envoy.send("3", 1050);
    let names = envoy.engine.counters().names();
    for stream in [second, third] {
        assert_eq!(stream.decided, [LIMITED]);
        let counted: Vec<&str> = stream
            .host
            .done
            .iter()
            .filter_map(
                |done| {
                    if let Done::Counted(index) = done { Some(names[*index].as_str()) } else { None }
                },
            )
            .collect();
        let is_counted = |limit: &str| {
            counted
                .iter()
                .any(|name| name.contains(&format!(".limit.{limit}.")) && name.ends_with(".refused"))
        };
        assert!(is_counted("by-address") && !is_counted("by-header"), "{counted:?}");
    }
}
