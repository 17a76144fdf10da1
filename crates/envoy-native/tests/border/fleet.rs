//! The store of a fleet: who calls it, what becomes of its replies, and who goes on then.

use std::sync::mpsc::channel;

use api_guard_testkit::Redis;
use serde_json::{Value, json};

use crate::envoy::{self, CONTINUE, Config, STOP, Stream};
use crate::workers::Shared;
use crate::{bearer, eventually, load, refused, request, values};

const HEADERS: [(&[u8], &[u8]); 1] = [(b":status", b"200")];

/// A configuration with a limit of 20, and no revocations that a request would have to wait for.
fn fleet(filter_name: &str, cluster: &str) -> Config {
    load(
        filter_name,
        json!({
            "fleet": { "cluster": cluster, "secret": { "value": "a secret of the fleet, of more than 32 bytes" }, "timeout_milliseconds": 1000 },
            "rate_limits": [{ "name": "all", "max_requests": 20, "window_seconds": 86_400, "key": ["subject"], "scope": "fleet" }],
            "revocation": { "endpoint": { "path": "/auth/revoke" }, "fleet": { "at_start": "serve" } },
        }),
    )
}

fn ask(config: &Config, sub: &str) -> (Stream, u32) {
    let stream = config.stream();
    let flow = stream.headers(Some(request("GET", "/x", &[("authorization", &bearer(sub))])), true);
    (stream, flow)
}

/// What was counted of calls that ended so. Told by the next stream, where Envoy knows no other way.
fn ended(config: &Config, purpose: &str, result: &str) -> u64 {
    config.stream().headers(Some(request("GET", "/public", &[])), true);
    config.counter(&format!("api_guard_fleet_calls_total.use.{purpose}.result.{result}"))
}

/// A store, and how many calls of a configuration it has answered.
struct Served<'c> {
    config: &'c Config,
    store: Redis,
    answered: usize,
}

impl<'c> Served<'c> {
    /// `None` if this machine has no store.
    fn new(config: &'c Config) -> Option<Self> {
        Some(Self { config, store: Redis::start(&[])?, answered: 0 })
    }

    /// Runs what is scheduled for this thread, and answers the calls.
    fn serve(&mut self) {
        envoy::run_scheduled();
        while let Some(body) = self.config.bodies().get(self.answered) {
            let reply = self.store.call(body);
            // It comes in pieces.
            let (first, second) = reply.split_at(reply.len() / 2);
            self.config.end_fetch(self.answered as u64, 0, &HEADERS, &[first, second]);
            self.answered += 1;
        }
    }
}

#[test]
fn who_waits_at_a_worker_goes_on_as_soon_as_the_main_thread_has_heard_and_others_spend_what_is_left() {
    let config = fleet("fleet-wakes", "store");
    let Some(mut served) = Served::new(&config) else { return };
    let shared = &Shared(&config);
    let ((waits, waiting), (heard, hearing)) = (channel(), channel());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let config = shared.config();
            let (one, other) = (ask(config, "somebody"), ask(config, "somebody"));
            assert_eq!((one.1, other.1), (STOP, STOP));
            assert!(one.0.replies().is_empty());
            other.0.end();
            // Whatever has been scheduled for it so far comes to nothing.
            envoy::run_scheduled();
            waits.send(()).unwrap();
            hearing.recv().unwrap();
            envoy::run_scheduled();
            assert_eq!((one.0.continued(), one.0.replies().len()), (1, 0));
        });
        waiting.recv().unwrap();
        eventually("the store is not asked", || {
            served.serve();
            ended(&config, "limit", "ok") == 1
        });
        heard.send(()).unwrap();
    });
    let (cluster, headers) = config.fetches()[0].clone();
    assert_eq!(cluster, b"store");
    for (name, value) in [(":method", "POST"), (":path", "/"), (":authority", "store")] {
        assert_eq!(values(&headers, name), [value]);
    }
    assert_eq!(ask(&config, "somebody").1, CONTINUE, "two units were asked for, and one is left");
    assert_eq!(ask(&config, "somebody").1, STOP);
    assert_eq!(ask(&config, "another").1, STOP, "each caller for themselves");
}

#[test]
fn workers_together_admit_what_the_limit_says() {
    let config = fleet("fleet-workers", "store");
    let Some(mut served) = Served::new(&config) else { return };
    let shared = &Shared(&config);
    let (done, ends) = channel();
    let mut passed = 0;
    std::thread::scope(|scope| {
        for _ in 0..3 {
            let done = done.clone();
            scope.spawn(move || {
                let mut passed = 0;
                for _ in 0..20 {
                    let (stream, flow) = ask(shared.config(), "somebody");
                    eventually("a request is never judged", || {
                        envoy::run_scheduled();
                        flow == CONTINUE || stream.continued() > 0 || !stream.replies().is_empty()
                    });
                    passed += u32::from(flow == CONTINUE || stream.continued() > 0);
                }
                done.send(passed).unwrap();
            });
        }
        for _ in 0..3 {
            eventually("a worker does not come to its end", || {
                served.serve();
                ends.try_recv().inspect(|of_worker| passed += of_worker).is_ok()
            });
        }
    });
    assert!((17..=20).contains(&passed), "{passed}");
}

#[test]
fn a_revocation_is_answered_when_the_store_has_been_told() {
    let (config, other) = (fleet("fleet-revokes", "store"), fleet("fleet-learns", "store"));
    let Some(mut served) = Served::new(&config) else { return };
    let stream = config.stream();
    let post = request("POST", "/auth/revoke", &[("authorization", &bearer("victim"))]);
    // Of a body nothing is known before it has ended.
    assert_eq!(stream.headers(Some(post), true), STOP);
    eventually("the revocation is not answered", || {
        served.serve();
        !stream.replies().is_empty()
    });
    assert_eq!(stream.replies()[0].status, 200, "{:?}", stream.replies());
    let mut learns = Served { config: &other, store: served.store, answered: 0 };
    eventually("the other one does not learn of it", || {
        learns.serve();
        let (stream, flow) = ask(&other, "victim");
        flow == STOP && stream.replies().first().is_some_and(|reply| reply.status == 401)
    });
}

#[test]
fn whatever_ends_a_call_lets_requests_go_on_without_the_store() {
    let made_up: [(&[u8], &[u8]); 1] = [(b":status", b"503")];
    let late: [(&[u8], &[u8]); 1] = [(b":status", b"504")];
    let no_status: [(&[u8], &[u8]); 1] = [(b":status", b"\xff")];
    let long = vec![b':'; 10_000_000];
    type Case<'c> = (u32, &'c [(&'c [u8], &'c [u8])], &'c [&'c [u8]], &'c str);
    let cases: [Case<'_>; 9] = [
        (1, &[], &[], "reset"),
        (2, &HEADERS, &[b"+OK\r\n"], "reset"),
        (0, &[], &[b"+OK\r\n"], "reset"),
        (0, &made_up, &[], "reset"),
        (0, &late, &[], "timeout"),
        (0, &no_status, &[b"+OK\r\n"], "reset"),
        (0, &HEADERS, &[b"+OK\r\n"], "malformed"),
        (0, &HEADERS, &[&long, b"\r\n"], "malformed"),
        (0, &HEADERS, &[b"-LOADING data\r\n", b"+OK\r\n"], "loading"),
    ];
    for (number, (result, headers, body, outcome)) in cases.into_iter().enumerate() {
        let config = fleet(&format!("fleet-failures-{number}"), "store");
        let (stream, flow) = ask(&config, "somebody");
        assert_eq!(flow, STOP);
        eventually("the store is not called", || {
            envoy::run_scheduled();
            !config.bodies().is_empty()
        });
        config.end_fetch(0, result, headers, body);
        config.end_fetch(0, result, headers, body);
        envoy::run_scheduled();
        assert_eq!(stream.continued(), 1, "{number}: by its share");
        assert_eq!(ended(&config, "limit", outcome), 1, "{number}");
        assert_eq!(ask(&config, "somebody").1, CONTINUE, "nobody waits for a store that has just failed");
    }
}

#[test]
fn a_cluster_that_envoy_does_not_have_is_a_store_that_is_not_reached() {
    let config = fleet("fleet-cluster", "missing");
    let (stream, flow) = ask(&config, "somebody");
    assert_eq!(flow, STOP);
    eventually("the request waits for ever", || {
        envoy::run_scheduled();
        stream.continued() == 1
    });
    assert!(ended(&config, "limit", "reset") + ended(&config, "heartbeat", "reset") >= 1);
    assert!(config.fetches().is_empty());
}

#[test]
fn a_configuration_ends_with_its_call_under_way() {
    for _ in 0..3 {
        let config = fleet("fleet-ends", "store");
        let (stream, flow) = ask(&config, "somebody");
        assert_eq!(flow, STOP);
        envoy::run_scheduled();
        drop((stream, config));
        envoy::run_scheduled();
    }
}

#[test]
fn without_a_limit_of_the_fleet_nobody_waits_for_the_store() {
    let secret: Value = json!({ "value": "a secret of the fleet, of more than 32 bytes" });
    let fleet = json!({ "fleet": { "cluster": "store", "secret": secret } });
    let config = load("fleet-alone", fleet);
    assert_eq!(ask(&config, "somebody").1, CONTINUE);
    let stream = config.stream();
    assert_eq!(stream.headers(Some(request("GET", "/x", &[])), true), STOP);
    refused(&stream, 401, "token_missing");
}
