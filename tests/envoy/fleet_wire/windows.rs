//! Three Envoys under load, and a store that is 5 ms away: how much is admitted in any interval, and how much of what may be?

use std::sync::Mutex;
use std::time::{Duration, Instant};

use super::{calls, limit, setup, token_of};
use crate::ask::Ask;
use crate::forwarder::{Does, Forwarder};
use crate::http1::Connection;
use crate::process::{Envoy, eventually};
use crate::setup::Setup;
use crate::store::Store;

const MAX_REQUESTS: usize = 600;
const WINDOW: Duration = Duration::from_secs(4);
/// Windows of load.
const WINDOWS: u32 = 6;
/// How long a client that was refused waits. So a client asks a few hundred times in a window, and all together ask for several
/// times what is admitted, even on a busy machine.
const PAUSE: Duration = Duration::from_millis(5);
const CLIENTS_OF_EACH: usize = 3;

/// A request that was admitted: between these two moments.
#[derive(Debug, Clone, Copy)]
struct Admitted {
    sent: Instant,
    answered: Instant,
}

#[test]
fn no_interval_of_a_window_has_more_than_the_limit_and_each_busy_one_has_most_of_it() {
    let Some(store) = Store::up() else { return };
    let forwarder = Forwarder::to(store.address());
    forwarder.does(Does::Pass(Duration::from_millis(5)));
    let window_seconds = u32::try_from(WINDOW.as_secs()).unwrap();
    let limit = limit(u32::try_from(MAX_REQUESTS).unwrap(), window_seconds, "share");
    let envoys =
        [(); 3].map(|()| Envoy::start(Setup { loaded: true, ..setup(forwarder.address(), limit.clone()) }));
    for envoy in &envoys {
        eventually("the store is not called", || (calls(envoy, "ok") > 0).then_some(()));
    }
    let start = Instant::now();
    let mut admitted = load(&envoys, start);
    let of_all = |result: &str| envoys.iter().map(|envoy| calls(envoy, result)).sum::<u64>();
    let failed: u64 = ["timeout", "reset", "malformed", "error"].into_iter().map(of_all).sum();
    // A machine that stands still for longer than a call may take has an outage, for which less is promised.
    let most = if failed == 0 { MAX_REQUESTS } else { 2 * MAX_REQUESTS };

    admitted.sort_by_key(|admitted| admitted.sent);
    let worst = (0..admitted.len()).map(|first| most_from(&admitted[first..])).max().unwrap();
    let of_window = |number: u32| {
        let (from, to) = (start + WINDOW * number, start + WINDOW * (number + 1));
        admitted.iter().filter(|admitted| from <= admitted.answered && admitted.answered < to).count()
    };
    let windows: Vec<usize> = (1..WINDOWS).map(of_window).collect();
    println!(
        "at most {worst} of {MAX_REQUESTS} in an interval; in each window: {windows:?}; {} calls, {failed} failed",
        of_all("ok")
    );
    assert!(worst <= most, "{worst} of {MAX_REQUESTS}, {failed} calls failed");
    let is_most = |window: &usize| *window * 100 >= MAX_REQUESTS * 85;
    assert!(failed > 0 || windows.iter().all(is_most), "{windows:?} of {MAX_REQUESTS}");
    envoys.iter().for_each(Envoy::assert_healthy);
}

/// Clients at each Envoy ask for one caller until the last window is over.
fn load(envoys: &[Envoy], start: Instant) -> Vec<Admitted> {
    let all = Mutex::new(Vec::new());
    let ask = Ask::get("/x").token(&token_of("busy"));
    std::thread::scope(|scope| {
        for envoy in envoys {
            for _ in 0..CLIENTS_OF_EACH {
                scope.spawn(|| {
                    let mut connection = Connection::open(envoy.address()).unwrap();
                    let mut admitted = Vec::new();
                    while start.elapsed() < WINDOW * WINDOWS {
                        let sent = Instant::now();
                        match ask.send_on(&mut connection).status {
                            200 => admitted.push(Admitted { sent, answered: Instant::now() }),
                            429 => std::thread::sleep(PAUSE),
                            other => panic!("{other}"),
                        }
                    }
                    all.lock().unwrap().extend(admitted);
                });
            }
        }
    });
    all.into_inner().unwrap()
}

/// How many were admitted, without any doubt, in the interval that begins when the first of these was sent.
fn most_from(admitted: &[Admitted]) -> usize {
    let end = admitted[0].sent + WINDOW;
    let sent_within = admitted.iter().take_while(|admitted| admitted.sent < end);
    sent_within.filter(|admitted| admitted.answered < end).count()
}
