//! Which configuration is in force, and how full the shared tables are, as metrics and the log say.

use api_guard_core::telemetry::VERSION;
use api_guard_core::telemetry::gauges::Gauge;
use api_guard_testkit::Stream;

use super::*;

/// A worker of a process under one configuration.
struct Worker(Engine);

impl Worker {
    fn under(rest: Value) -> Self {
        Self(Engine::new(policy(&configuration(rest))))
    }

    /// What is logged and shown in one tick, by the names of the gauges.
    fn tick(&self, process: &Process, milliseconds: u64) -> (Vec<String>, Vec<(String, u64)>) {
        let mut host = Stream::new(process);
        self.0.on_tick(&mut host, at(milliseconds));
        let names = Gauge::all(self.0.guard().policy());
        let (mut log, mut shown) = (Vec::new(), Vec::new());
        for done in host.done {
            if let Done::Logged(line) = done {
                assert_eq!(line.level, log::Level::Info);
                log.push(line.text);
            } else if let Done::Gauged(gauge, value) = done {
                let (_, name) = names.iter().find(|(known, _)| *known == gauge).unwrap();
                shown.extend((gauge != Gauge::HeldBytes).then(|| (name.clone(), value)));
            } else {
                panic!("{done:?}");
            }
        }
        (log, shown)
    }

    fn shown(&self, process: &Process, milliseconds: u64) -> Vec<(String, u64)> {
        self.tick(process, milliseconds).1
    }

    /// What is shown as the worker lets go of the configuration.
    fn withdrawn(&self, process: &Process) -> Vec<Done> {
        let mut host = Stream::new(process);
        self.0.withdraw(&mut host);
        host.done
    }

    fn info(&self) -> String {
        format!("api_guard_info.version.{VERSION}.config.{}", self.0.guard().policy().digest())
    }

    /// The last value of a gauge that is shown between two moments, with a tick every tenth of a second.
    fn value(&self, process: &Process, name: &str, between: std::ops::Range<u64>) -> Option<u64> {
        let ticks = between.step_by(100).flat_map(|now| self.shown(process, now));
        ticks.filter(|(known, _)| known == name).map(|(_, value)| value).last()
    }
}

fn signed(claims: &Value) -> String {
    sign(br#"{"alg":"HS256"}"#, claims.to_string().as_bytes())
}

fn other() -> Worker {
    Worker::under(json!({ "unmatched_routes": "deny" }))
}

#[test]
fn each_worker_logs_each_configuration_once() {
    let process = Process::default();
    let workers = [Worker::under(json!({})), Worker::under(json!({}))];
    let digest = workers[0].0.guard().policy().digest().to_owned();
    let line = format!(
        r#"{{"event":"configured","version":"{VERSION}","config":"{digest}","routes":4,"keys":2,"key_sets":0,"limits":0}}"#
    );
    for worker in &workers {
        assert_eq!(worker.tick(&process, 0).0, [line.as_str()]);
        assert!((1..100).all(|tick| worker.tick(&process, tick * 100).0.is_empty()));
    }
}

#[test]
fn a_new_configuration_shows_itself_and_the_old_one_ceases_to() {
    let process = Process::default();
    let (old, new) = ([Worker::under(json!({})), Worker::under(json!({}))], [other(), other()]);
    assert_ne!(old[0].info(), new[0].info());
    for worker in &old {
        assert_eq!(worker.shown(&process, 0), [(worker.info(), 1)]);
    }
    assert_eq!(new[0].shown(&process, 100), [(new[0].info(), 1)]);
    for worker in &old {
        assert_eq!(worker.shown(&process, 200), [(worker.info(), 0)]);
    }
    assert_eq!(new[1].shown(&process, 200), [(new[1].info(), 1)]);
    for now in (300..60_000).step_by(100) {
        for worker in &old {
            assert_eq!(worker.shown(&process, now), [], "{now}");
        }
        for worker in &new {
            let shown = worker.shown(&process, now);
            assert!(shown.iter().all(|(name, value)| *name != worker.info() || *value == 1), "{now}");
        }
    }
}

#[test]
fn a_configuration_that_a_worker_lets_go_of_is_hidden_once_and_only_if_it_was_shown() {
    let process = Process::default();
    let (old, never) = ([Worker::under(json!({})), Worker::under(json!({}))], other());
    for worker in &old {
        worker.tick(&process, 0);
    }
    assert_eq!(old[0].withdrawn(&process), [Done::Gauged(Gauge::Info, 0)]);
    assert_eq!(old[0].withdrawn(&process), []);
    assert_eq!(never.withdrawn(&process), []);
    // The other worker goes on with it, and shows it again.
    assert_eq!(old[1].value(&process, &old[1].info(), 100..5_200), Some(1));
    // It has noticed itself that it was replaced.
    let new = other();
    new.tick(&process, 5_200);
    assert_eq!(old[1].shown(&process, 5_300), [(old[1].info(), 0)]);
    assert_eq!(old[1].withdrawn(&process), []);
}

#[test]
fn a_configuration_that_comes_back_while_it_still_runs_is_shown_once_the_other_has_ended() {
    let process = Process::default();
    let (first, second) = (Worker::under(json!({})), other());
    first.tick(&process, 0);
    second.tick(&process, 100);
    first.tick(&process, 200);
    // Nobody tells the first that it is back, and the second ends.
    assert_eq!(first.value(&process, &first.info(), 300..20_000), None);
    assert_eq!(first.value(&process, &first.info(), 20_000..20_300), Some(1));
}

#[test]
fn the_end_of_a_keys_validity_is_shown_while_its_configuration_is_in_force() {
    let process = Process::default();
    let keys = |second: Value| {
        let first =
            json!({ "kid": "a.b", "secret": { "value": SECRET }, "not_after": "2026-11-01T00:00:00Z" });
        Worker::under(json!({ "tokens": { "keys": [first, second, { "secret": { "value": SECRET } }] } }))
    };
    let old =
        keys(json!({ "kid": "old", "secret": { "value": SECRET }, "not_after": "2026-10-01T00:00:00Z" }));
    let new = keys(json!({ "kid": "new", "secret": { "value": SECRET } }));
    let gauge = |kid: &str| format!("api_guard_key_expires_timestamp_seconds.kid.{kid}");
    let of_old = [(old.info(), 1), (gauge("a.b"), 1_793_491_200), (gauge("old"), 1_790_812_800)];
    assert_eq!(old.shown(&process, 0), of_old);
    assert_eq!(new.shown(&process, 100), [(new.info(), 1), (gauge("a.b"), 1_793_491_200)]);
    assert_eq!(old.shown(&process, 200), of_old.map(|(name, _)| (name, 0)));
    // The key that both have is there again.
    assert_eq!(new.value(&process, &gauge("a.b"), 200..5_200), Some(1_793_491_200));
}

#[test]
fn keys_of_one_kid_show_the_first_end() {
    let process = Process::default();
    let key = |end: &str| json!({ "secret": { "value": SECRET }, "not_after": end });
    let keys = [key("2026-11-01T00:00:00Z"), key("2026-10-01T00:00:00Z")];
    let worker = Worker::under(json!({ "tokens": { "keys": keys } }));
    let gauge = "api_guard_key_expires_timestamp_seconds.kid.none".to_owned();
    assert_eq!(worker.shown(&process, 0)[1..], [(gauge.clone(), 1_790_812_800), (gauge, 1_790_812_800)]);
}

/// A world that has a limit by subject and a table of so many.
fn limited(capacity: u32) -> World {
    World::with(json!({
        "rate_limits": [{ "name": "a", "max_requests": 5, "window_seconds": 60, "key": ["subject"] }],
        "limiter_capacity": capacity,
        "revocation": { "capacity": 1000, "endpoint": {} },
    }))
}

const LIVE: &str = "api_guard_limiter_identities.state.live";

#[test]
fn identities_and_their_room_are_shown_and_at_most_ten_seconds_old() {
    for capacity in [1, 16, 1000, 65_536] {
        let world = limited(capacity);
        let worker = Worker(world.engine);
        let world = World { engine: limited(capacity).engine, process: world.process };
        assert_eq!(worker.value(&world.process, LIVE, 0..4_100), Some(0), "{capacity}");
        for caller in 0..30 {
            let claims = json!({ "sub": format!("u{caller}"), "exp": START + 3600 });
            let (stream, _) = world.get("/x", &[("authorization", &format!("Bearer {}", signed(&claims)))]);
            assert!(stream.refused().is_none());
        }
        let seen = worker.value(&world.process, LIVE, 4_100..10_000);
        assert_eq!(seen, Some(30), "{capacity}");
        let room = worker.value(&world.process, "api_guard_limiter_capacity", 10_000..20_000);
        assert_eq!(room, Some(u64::from(capacity.max(16) / 16 * 16)));
        // When their windows have passed they no longer count.
        assert_eq!(worker.value(&world.process, LIVE, 70_000..80_000), Some(0), "{capacity}");
    }
}

#[test]
fn a_large_table_is_estimated_from_a_part_of_it() {
    let world = limited(1_048_576);
    let worker = Worker(limited(1_048_576).engine);
    for caller in 0..2_000 {
        let claims = json!({ "sub": format!("u{caller}"), "exp": START + 3600 });
        world.get("/x", &[("authorization", &format!("Bearer {}", signed(&claims)))]);
    }
    let seen = worker.value(&world.process, LIVE, 0..10_000).unwrap();
    // A quarter of them was seen: 500 with a standard deviation of 19.
    assert!((1_600..2_400).contains(&seen), "{seen}");
}

#[test]
fn revocations_in_force_and_their_room_are_shown() {
    let world = limited(65_536);
    let worker = Worker(limited(65_536).engine);
    for number in 0..300 {
        let claims = json!({ "sub": format!("officer {number}"), "exp": START + 3600, "permissions": ["tokens:revoke"] });
        let token = signed(&claims);
        let body = json!({ "jti": format!("j{number}"), "expires_at": START + 8 }).to_string();
        let (mut stream, _) = world.post("/auth/revoke", &[("authorization", &format!("Bearer {token}"))]);
        stream.bytes(body.as_bytes(), true, at(0));
    }
    let entries = "api_guard_revocation_entries";
    assert_eq!(worker.value(&world.process, entries, 0..4_100), Some(300));
    assert_eq!(worker.value(&world.process, "api_guard_revocation_capacity", 4_100..10_000), Some(1000));
    assert_eq!(worker.value(&world.process, entries, 10_000..30_000), Some(0));
}

#[test]
fn one_worker_at_a_time_counts() {
    let process = Process::default();
    let workers: Vec<Worker> = (0..4).map(|_| limited(16)).map(|world| Worker(world.engine)).collect();
    let mut shown = 0;
    for now in (0..20_000).step_by(100) {
        for worker in &workers {
            shown += worker.shown(&process, now).iter().filter(|(name, _)| name == LIVE).count();
        }
    }
    assert_eq!(shown, 4, "one in each five seconds");
}

#[test]
fn what_the_cells_do_not_let_is_tried_again() {
    let process = Process::default();
    let worker = Worker::under(json!({}));
    for fault in [&process.broken, &process.contended] {
        fault.set(true);
        assert_eq!(worker.tick(&process, 0), (vec![], vec![]));
        fault.set(false);
    }
    let (log, shown) = worker.tick(&process, 100);
    assert_eq!((log.len(), shown), (1, vec![(worker.info(), 1)]));
}

#[test]
fn a_clock_that_steps_back_stops_no_count() {
    let process = Process::default();
    let worker = Worker(limited(16).engine);
    worker.tick(&process, 3_600_000);
    assert_eq!(worker.value(&process, LIVE, 0..10_000), Some(0));
}
