//! The two promises of a limit, on a real Envoy with several workers: in no interval of a window more than the limit,
//! and nobody refused while less than that was spent in the last window and a sixteenth.
//!
//! When exactly a worker decided is not seen from outside: it was between the sending of the request and the arrival
//! of the reply. Each promise is judged by the moments in that span that excuse the module most, so that a slow
//! machine makes these tests weaker, never wrong.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::http1::Connection;
use crate::process::Envoy;
use crate::setup::{Setup, policy};

const CONNECTIONS_PER_WORKER: usize = 2;

/// How long the callers go on: over four edges at least of windows of 2 s, two of windows of 4 s.
const DURATION: Duration = Duration::from_millis(8500);

/// A lease is at most this many units, and this part of what remains, for each worker.
const LEASE_MOST: usize = 31;
const LEASE_PART: usize = 128;

/// One limit on a route of its own, and how it is asked for.
struct Case {
    name: &'static str,
    max_requests: usize,
    window_seconds: u64,
    /// Only around multiples of the window, with a pause between: half of each burst before the edge, half after it.
    /// Else all the time.
    bursts: bool,
    /// Between two requests of one connection.
    pause: Duration,
}

const CASES: [Case; 5] = [
    Case {
        name: "steady-few",
        max_requests: 20,
        window_seconds: 2,
        bursts: false,
        pause: Duration::from_millis(8),
    },
    Case { name: "steady-many", max_requests: 1000, window_seconds: 2, bursts: false, pause: Duration::ZERO },
    Case {
        name: "bursts-few",
        max_requests: 20,
        window_seconds: 2,
        bursts: true,
        pause: Duration::from_millis(1),
    },
    Case {
        name: "bursts-long",
        max_requests: 30,
        window_seconds: 4,
        bursts: true,
        pause: Duration::from_millis(1),
    },
    Case { name: "bursts-many", max_requests: 500, window_seconds: 2, bursts: true, pause: Duration::ZERO },
];

/// One request: when it was sent, when its reply was there, and what that was.
struct Asked {
    sent: Instant,
    answered: Instant,
    admitted: bool,
}

fn limit(case: &Case) -> Value {
    json!({
        "path": format!("/{}", case.name),
        "access": "public",
        "rate_limits": [{
            "name": case.name,
            "max_requests": case.max_requests,
            "window_seconds": case.window_seconds,
            "key": ["client_ip"],
        }],
    })
}

fn ask_on(mut connection: Connection, case: &Case, end: Instant) -> Vec<Asked> {
    let request = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", case.name);
    let mut asked = Vec::new();
    while Instant::now() < end {
        std::thread::sleep(if case.bursts { until_burst(case.window_seconds) } else { Duration::ZERO });
        let sent = Instant::now();
        let reply = connection.exchange(request.as_bytes(), false).unwrap();
        assert!(reply.status == 200 || reply.status == 429, "{reply:?}");
        asked.push(Asked { sent, answered: Instant::now(), admitted: reply.status == 200 });
        std::thread::sleep(case.pause);
    }
    asked
}

/// Nothing from an eighth of a window before a multiple of it until an eighth after; else the time until then.
fn until_burst(window_seconds: u64) -> Duration {
    let window = Duration::from_secs(window_seconds).as_nanos();
    let into = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() % window;
    if into < window / 8 || into >= window - window / 8 {
        return Duration::ZERO;
    }
    Duration::from_nanos(u64::try_from(window - window / 8 - into).unwrap())
}

/// Every interval of one window that certainly holds more than the limit: none.
fn no_window_holds_more(case: &Case, asked: &[Asked]) {
    let window = Duration::from_secs(case.window_seconds);
    let mut admitted: Vec<_> = asked.iter().filter(|asked| asked.admitted).collect();
    admitted.sort_by_key(|asked| asked.sent);
    for (index, first) in admitted.iter().enumerate() {
        let end = first.sent + window;
        let within = admitted[index..].iter().take_while(|asked| asked.sent <= end);
        let certain = within.filter(|asked| asked.answered <= end).count();
        assert!(certain <= case.max_requests, "{}: {certain} in one window", case.name);
    }
}

/// Of the refusals, those before which less than the limit can have been spent in a window and a sixteenth: none, but
/// for what the other workers may have leased and not spent.
fn refusals_without_cause(case: &Case, asked: &[Asked], workers: usize) -> usize {
    let memory = Duration::from_secs(case.window_seconds) * 17 / 16;
    let leased = workers * LEASE_MOST.min(case.max_requests / LEASE_PART);
    let mut admitted: Vec<_> = asked.iter().filter(|asked| asked.admitted).collect();
    admitted.sort_by_key(|asked| asked.answered);
    let without_cause = asked.iter().filter(|refused| {
        if refused.admitted {
            return false;
        }
        let from = admitted.partition_point(|asked| asked.answered + memory < refused.sent);
        let possible = admitted[from..].iter().filter(|asked| asked.sent <= refused.answered).count();
        possible + leased < case.max_requests
    });
    without_cause.count()
}

fn both_promises_hold(workers: u32) {
    let routes: Vec<_> = CASES.iter().map(limit).collect();
    let policy = policy(json!({ "routes": routes }));
    let envoy = Envoy::start(Setup { concurrency: workers, loaded: true, ..Setup::new(&policy) });
    let workers = usize::try_from(workers).unwrap();
    let connections = envoy.to_each_worker(CONNECTIONS_PER_WORKER * CASES.len());
    let mut by_case: Vec<Vec<Connection>> = CASES.iter().map(|_| Vec::new()).collect();
    for of_worker in connections {
        for (index, connection) in of_worker.into_iter().enumerate() {
            by_case[index % CASES.len()].push(connection);
        }
    }
    let end = Instant::now() + DURATION;
    let asked: Vec<Vec<Asked>> = std::thread::scope(|scope| {
        let threads: Vec<Vec<_>> = (CASES.iter().zip(by_case))
            .map(|(case, connections)| {
                connections.into_iter().map(|one| scope.spawn(move || ask_on(one, case, end))).collect()
            })
            .collect();
        let join = |threads: Vec<std::thread::ScopedJoinHandle<'_, Vec<Asked>>>| {
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        };
        threads.into_iter().map(join).collect()
    });
    for (case, asked) in CASES.iter().zip(&asked) {
        let admitted = asked.iter().filter(|asked| asked.admitted).count();
        eprintln!("{workers} workers, {}: {} asked, {admitted} admitted", case.name, asked.len());
        no_window_holds_more(case, asked);
        // A refusal for contention alone is counted apart. It takes 32 lost races in a row.
        let contended =
            envoy.counter(&format!("api_guard_rate_limit_total.limit.{}.outcome.contended", case.name));
        let without_cause = refusals_without_cause(case, asked, workers);
        assert!(without_cause as u64 <= contended, "{}: {without_cause}, {contended} contended", case.name);
        // A machine that is too busy to reach the large ones makes this test weaker, not wrong.
        let is_small = case.max_requests < LEASE_PART;
        assert!(admitted < asked.len() || !is_small, "{}: the limit was never reached", case.name);
    }
    envoy.assert_healthy();
}

#[test]
fn two_workers_keep_both_promises_over_window_edges() {
    both_promises_hold(2);
}

#[test]
fn four_workers_keep_both_promises_over_window_edges() {
    both_promises_hold(4);
}
