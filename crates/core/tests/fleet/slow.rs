//! A store that is slow, and reached nevertheless: what waits for it, how long, and what becomes of it then?

use api_guard_core::exchange::Flow;
use api_guard_core::fleet::CallResponse;
use api_guard_testkit::{Decided, Done, Stream, Watched};
use serde_json::json;

use super::model::ModelStore;
use super::requests::{Envoy, LIMITED, UNAVAILABLE, at};

/// The calls that a host was told to send.
fn called(done: &[Done]) -> Vec<(u32, Vec<u8>)> {
    let call = |done: &Done| {
        if let Done::Called(number, body) = done { Some((*number, body.clone())) } else { None }
    };
    done.iter().filter_map(call).collect()
}

/// An Envoy whose first call, of its mark alone, is under way since 1,000 ms, and a request that has come 1 ms later.
fn waits(envoy: &Envoy) -> ((u32, Vec<u8>), Watched<'_>) {
    let mut root = Stream::new(&envoy.process);
    envoy.engine.on_tick(&mut root, at(1000));
    let mark = called(&root.done).pop().unwrap();
    let (stream, flow) = envoy.send("u", at(1001));
    assert!(flow == Flow::Pause && stream.decided.is_empty());
    assert_eq!(called(&stream.host.done), [], "one call at a time");
    (mark, stream)
}

/// Ends a call, and returns the next one.
fn end(envoy: &Envoy, number: u32, reply: &[u8], milliseconds: u64) -> Option<(u32, Vec<u8>)> {
    let mut root = Stream::new(&envoy.process);
    envoy.engine.on_called(number, CallResponse::Reply(reply), &mut root, at(milliseconds));
    called(&root.done).pop()
}

#[test]
fn who_comes_while_a_call_is_under_way_waits_for_it_and_for_the_next_and_gets_what_the_store_has() {
    for spent in [20, 0] {
        let mut store = ModelStore::default();
        let other = Envoy::new(&json!({}));
        for number in 0..spent {
            let decided = other.ask("u", &mut |body| Some(store.call(body, at(number))), at(number));
            assert_eq!(decided, Decided::Allowed);
        }
        let envoy = Envoy::new(&json!({}));
        let ((number, body), mut stream) = waits(&envoy);
        let reply = store.call(&body, at(1020));
        let (number, body) = end(&envoy, number, &reply, 1045).unwrap();
        let reply = store.call(&body, at(1070));
        // It has waited for longer than a call may take.
        for milliseconds in [1046, 1052, 1090] {
            stream.tick(at(milliseconds));
            assert_eq!(stream.decided, [], "after {milliseconds} ms");
        }
        end(&envoy, number, &reply, 1090);
        stream.tick(at(1090));
        assert_eq!(stream.decided, [if spent == 0 { Decided::Allowed } else { LIMITED }]);
    }
}

#[test]
fn who_has_waited_for_as_long_as_two_calls_may_take_is_refused_and_not_admitted_by_the_share() {
    for when in ["share", "alone", "refuse"] {
        let envoy = Envoy::new(&json!({ "when_unreachable": when }));
        let (_, mut stream) = waits(&envoy);
        stream.tick(at(1100));
        assert_eq!(stream.decided, []);
        stream.tick(at(1101));
        assert_eq!(stream.decided, [UNAVAILABLE], "{when}");
    }
}

#[test]
fn who_asks_again_does_not_wait_longer_for_it() {
    let envoy = Envoy::new(&json!({}));
    let mut store = ModelStore::default();
    let ((number, body), mut stream) = waits(&envoy);
    let mut next = end(&envoy, number, &store.call(&body, at(1000)), 1030);
    // There are units, and others get them.
    let unlucky = b"+OK\r\n*7\r\n:0\r\n:1\r\n:1\r\n:1\r\n:1000\r\n:0\r\n:0\r\n+OK\r\n";
    for milliseconds in [1060, 1090, 1120] {
        let (number, _) = next.take().unwrap();
        end(&envoy, number, unlucky, milliseconds);
        stream.tick(at(milliseconds));
        next = called(&stream.host.done).pop();
        assert_eq!(stream.decided, [], "after {milliseconds} ms");
    }
    stream.tick(at(1121));
    assert_eq!(stream.decided, [LIMITED]);
}

#[test]
fn a_call_that_began_as_another_one_ended_and_was_reset_is_sent_once_more() {
    let mut store = ModelStore::default();
    let envoy = Envoy::new(&json!({}));
    let ((number, body), mut stream) = waits(&envoy);
    let reply = store.call(&body, at(1020));
    let reset = |number| {
        let mut root = Stream::new(&envoy.process);
        envoy.engine.on_called(number, CallResponse::Reset, &mut root, at(1030));
        let counts = root.done.iter().filter(|done| matches!(done, Done::Counted(_))).count();
        (called(&root.done).pop(), counts)
    };
    let first = end(&envoy, number, &reply, 1030).unwrap();
    let (second, counted) = reset(first.0);
    assert_eq!((second.as_ref(), counted), (Some(&first), 0), "the same call, and no failure");
    stream.tick(at(1030));
    assert_eq!(stream.decided, []);
    end(&envoy, first.0, &store.call(&first.1, at(1030)), 1031);
    stream.tick(at(1031));
    assert_eq!(stream.decided, [Decided::Allowed]);
    // Not twice, and not one that has had a connection of its own.
    let envoy = Envoy::new(&json!({}));
    let ((number, body), _stream) = waits(&envoy);
    let reset = |number, milliseconds| {
        let mut root = Stream::new(&envoy.process);
        envoy.engine.on_called(number, CallResponse::Reset, &mut root, at(milliseconds));
        called(&root.done).pop()
    };
    let (number, _) = end(&envoy, number, &store.call(&body, at(1030)), 1030).unwrap();
    assert!(reset(number, 1030).is_some() && reset(number, 1030).is_none());
    let mut root = Stream::new(&envoy.process);
    envoy.engine.on_tick(&mut root, at(2100));
    let (number, _) = called(&root.done).pop().unwrap();
    assert_eq!(reset(number, 2101), None);
}
