//! What a process holds back of request bodies has a bound, and nothing of it is lost.

use std::sync::Arc;

use api_guard_core::code::Code;
use api_guard_core::engine::Engine;
use api_guard_core::exchange::Flow;
use api_guard_core::guard::Answer;
use api_guard_core::held::HeldBytes;
use api_guard_core::telemetry::gauges::Gauge;
use api_guard_testkit::{Decided, Done, Process, Stream, Watched, policy};
use serde_json::{Value, json};

use crate::pause::asked;
use crate::{World, answer, at, configuration, send};

/// The largest sum of bodies, bytes.
const ROOM: u64 = 150;

fn request() -> Value {
    json!({ "max_request_size_bytes": 100, "max_held_bytes": ROOM })
}

fn world() -> World {
    World::with(json!({ "request": request() }))
}

fn holding(world: &World, size: u64) -> Watched<'_> {
    let (mut stream, _) = world.post("/x", &[]);
    assert_eq!(stream.body(size, false, at(0)), Flow::Pause);
    stream
}

/// Whether there is room for a body of this size.
fn has_room(world: &World, size: u64) -> bool {
    let stream = holding(world, size);
    match &stream.decided[..] {
        [] => true,
        [Decided::Refused(Code::Busy)] => false,
        decided => panic!("{decided:?}"),
    }
}

#[test]
fn a_body_for_which_there_is_no_room_is_refused_for_a_moment() {
    let world = world();
    let first = holding(&world, 100);
    let mut second = holding(&world, 50);
    assert_eq!((&first.decided[..], &second.decided[..]), (&[][..], &[][..]));
    assert_eq!(second.body(51, false, at(1)), Flow::Pause);
    assert_eq!(second.decided, [Decided::Refused(Code::Busy)]);
    let reply = second.host.replies().next().unwrap();
    assert!(reply.headers.contains(&("retry-after", "1".into())), "{reply:?}");
    assert_eq!((reply.status, reply.grpc_status), (503, 14));
    assert_eq!(answer(&second)["detail"], "No room for another request body at present");
    assert!(second.exchange.is_over());
    // What was refused is held no longer.
    assert!(has_room(&world, 50) && !has_room(&world, 51));
}

#[test]
fn a_body_that_ends_at_once_needs_room_too() {
    let world = world();
    let _first = holding(&world, 100);
    for (size, decided) in [(50, Decided::Allowed), (51, Decided::Refused(Code::Busy))] {
        let (mut stream, _) = world.post("/x", &[]);
        stream.body(size, true, at(0));
        assert_eq!(stream.decided, [decided]);
    }
}

#[test]
fn bodies_that_flow_or_are_declared_need_no_room() {
    let world = world();
    let _first = holding(&world, 100);
    for (path, more) in [("/x", &[("content-length", "90")][..]), ("/large", &[]), ("/report", &[])] {
        let (mut stream, flow) = world.post(path, more);
        assert_eq!(flow, Flow::Continue);
        assert_eq!(stream.body(90, true, at(0)), Flow::Continue);
        assert_eq!(stream.decided, [Decided::Allowed]);
    }
}

#[test]
fn bodies_of_the_revocation_endpoint_need_room() {
    let world = world();
    let _first = holding(&world, 100);
    let (mut stream, _) = world.post("/auth/revoke", &[("content-length", "60")]);
    assert_eq!(stream.body(50, false, at(0)), Flow::Pause);
    assert_eq!(stream.decided, []);
    assert!(!has_room(&world, 1));
    assert_eq!(stream.body(60, true, at(0)), Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::Busy)]);
    assert_eq!(world.get("/x", &[]).0.refused(), None, "nothing was revoked");
}

#[test]
fn what_is_held_no_longer_makes_room_however_it_ended() {
    let ends: [fn(&mut Watched<'_>); 6] = [
        |stream| _ = stream.body(100, true, at(1)),
        |stream| _ = stream.trailers(at(1)),
        |stream| _ = stream.body(101, false, at(1)),
        |stream| stream.tick(at(15_000)),
        // The host's own answer is on its way.
        |stream| {
            stream.host.is_answered = true;
            stream.body(101, false, at(1));
        },
        // A second set of headers ends a stream as well.
        |stream| _ = send(stream, "POST", "/x", &[], false),
    ];
    for end in ends {
        let world = world();
        let mut stream = holding(&world, 100);
        assert!(!has_room(&world, 100));
        end(&mut stream);
        assert!(has_room(&world, 100));
    }
    let world = world();
    drop(holding(&world, 100));
    assert!(has_room(&world, 100), "the client has gone");
}

#[test]
fn a_body_that_came_while_its_request_waits_for_an_answer_needs_room() {
    let world = World::asking(json!({ "request": request() }));
    let first = holding(&world, 100);
    let mut stream = asked(&world, "POST", "/x", &[]);
    assert_eq!(stream.body(50, false, at(700)), Flow::Pause);
    assert!(!has_room(&world, 1));
    stream.answer(1, Answer::Ready, at(1000));
    assert!(!has_room(&world, 1), "it goes on being held");
    assert_eq!(stream.body(51, false, at(1001)), Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::Busy)]);
    let mut refused = asked(&world, "POST", "/x", &[("content-length", "60")]);
    assert_eq!(refused.body(51, false, at(700)), Flow::Pause);
    assert_eq!(refused.decided, [Decided::Refused(Code::Busy)]);
    drop(first);
    assert!(has_room(&world, 100));
}

#[test]
fn in_report_mode_a_request_goes_on_without_an_answer_when_there_is_no_room() {
    let world = World::asking(json!({ "request": request() }));
    let _first = holding(&world, 100);
    let mut stream = asked(&world, "POST", "/report", &[]);
    assert_eq!(stream.body(50, false, at(700)), Flow::Pause);
    assert_eq!(stream.body(51, false, at(700)), Flow::Continue);
    assert_eq!(stream.decided, [Decided::WouldRefuse(Code::TokenKeyUnknown)]);
    assert!(has_room(&world, 50));
}

#[test]
fn a_pushed_configuration_counts_what_streams_of_the_old_one_hold() {
    let held = Arc::new(HeldBytes::default());
    let process = Process::default();
    let configuration = configuration(json!({ "request": request() }));
    let engine = || Engine::on_worker(policy(&configuration), &held);
    let (old, new) = (engine(), engine());
    let post = |engine| {
        let mut stream = Watched::new(engine, &process);
        send(&mut stream, "POST", "/x", &[("content-type", "application/json")], false);
        stream
    };
    let mut first = post(&old);
    first.body(100, false, at(0));
    let mut second = post(&new);
    second.body(51, false, at(0));
    assert_eq!(second.decided, [Decided::Refused(Code::Busy)]);
    drop(first);
    let mut third = post(&new);
    third.body(100, false, at(0));
    assert_eq!((&third.decided[..], held.held()), (&[][..], 100));
    drop(third);
    assert_eq!(held.held(), 0);
}

#[test]
fn contention_is_told_as_such() {
    let world = world();
    let (mut stream, _) = world.post("/x", &[]);
    world.process.contended.set(true);
    assert_eq!(stream.body(1, false, at(0)), Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::Busy)]);
    assert_eq!(world.counted(&stream, "api_guard_faults_total.kind.contended"), 1);
}

#[test]
fn a_cell_that_cannot_be_read_refuses() {
    let world = world();
    let (mut stream, _) = world.post("/x", &[]);
    world.process.broken.set(true);
    assert_eq!(stream.body(1, false, at(0)), Flow::Pause);
    assert_eq!(stream.decided, [Decided::Refused(Code::InternalFault)]);
}

/// What the tick of an engine shows.
fn shown(world: &World, milliseconds: u64) -> Option<u64> {
    let mut host = Stream::new(&world.process);
    world.engine.on_tick(&mut host, at(milliseconds));
    let held = host.done.iter().filter_map(|done| {
        if let Done::Gauged(Gauge::HeldBytes, value) = done { Some(*value) } else { None }
    });
    let held: Vec<u64> = held.collect();
    assert!(held.len() < 2, "{held:?}");
    held.first().copied()
}

#[test]
fn the_gauge_shows_once_a_second_what_is_held() {
    let world = world();
    assert_eq!(shown(&world, 0), Some(0));
    let stream = holding(&world, 70);
    assert_eq!(shown(&world, 999), None);
    assert_eq!(shown(&world, 1_000), Some(70));
    drop(stream);
    assert_eq!(shown(&world, 1_100), Some(0), "what is given back is shown at once");
    assert_eq!(shown(&world, 1_200), None);
}
