//! The store is killed and comes back with nothing, or loses what it holds: what is admitted meanwhile, and over the seam?

use super::{calls, envoy, limit, status, token_of, told};
use crate::forwarder::Forwarder;
use crate::process::{Envoy, eventually};
use crate::store::Store;

const MAX_REQUESTS: usize = 30;

/// How many of so many requests an Envoy admits, and what the last one hears.
fn admitted(envoy: &Envoy, token: &str, requests: usize) -> (usize, u16) {
    let statuses: Vec<u16> = (0..requests).map(|_| status(envoy, token)).collect();
    (statuses.iter().filter(|status| **status == 200).count(), statuses[requests - 1])
}

/// Waits until the store has answered a call that began now or later.
fn await_answer(envoy: &Envoy) {
    let before = calls(envoy, "ok");
    // One of those may have been on its way.
    eventually("the store does not answer", || (calls(envoy, "ok") > before + 1).then_some(()));
}

#[test]
fn what_was_admitted_without_the_store_is_reported_to_one_that_comes_back_with_nothing() {
    std::thread::scope(|scope| {
        for (when, each, refused) in [("share", 10, 429), ("alone", 30, 429), ("refuse", 0, 503)] {
            scope.spawn(move || comes_back_with_nothing(when, each, refused));
        }
    });
}

/// `each`: what an Envoy admits without the store; `refused`: what it answers otherwise.
fn comes_back_with_nothing(when: &str, each: usize, refused: u16) {
    let Some(store) = Store::up() else { return };
    let forwarder = Forwarder::to(store.address());
    // The fourth one has not seen the callers before the store is back.
    let envoys = [(); 4].map(|()| envoy(forwarder.address(), limit(30, 60, when)));
    let (of_old, of_new) = (token_of("seen before the outage"), token_of("seen in the outage first"));
    let mut all_of_old = 0;
    for envoy in &envoys[..3] {
        let (admitted, _) = admitted(envoy, &of_old, 4);
        assert_eq!(admitted, 4, "{when}");
        all_of_old += admitted;
    }
    store.kill();
    for envoy in &envoys[..3] {
        assert_eq!(admitted(envoy, &of_new, 40), (each, refused), "{when}");
        // What it has in hand it still spends, in all no more than it would without the store.
        let (more, last) = admitted(envoy, &of_old, 40);
        assert!(last == refused && 4 + more <= each.max(MAX_REQUESTS / 3), "{when}: {more}");
        all_of_old += more;
        assert_eq!(told(envoy).last().unwrap().0, "unreachable", "{when}");
    }
    store.start(&[]);
    envoys.iter().for_each(await_answer);
    // All is reported by now, and the store grants what is left to whoever comes.
    let left = MAX_REQUESTS.saturating_sub(3 * each);
    assert_eq!(admitted(&envoys[3], &of_new, 40), (left, 429), "{when}");
    let before = all_of_old;
    for envoy in &envoys {
        all_of_old += admitted(envoy, &of_old, 40).0;
    }
    // `alone` promises no more than what each Envoy counts.
    let most = if when == "alone" { 3 * MAX_REQUESTS } else { 2 * MAX_REQUESTS };
    assert!(all_of_old <= most && all_of_old - before <= MAX_REQUESTS, "{when}: {before}, {all_of_old}");
    for envoy in &envoys {
        assert_eq!(told(envoy).last().unwrap().0, "reached", "{when}");
        envoy.assert_healthy();
    }
}

#[test]
fn a_store_that_loses_its_counts_admits_the_limit_once_more_and_is_told_of() {
    let Some(store) = Store::up() else { return };
    let envoys = [(); 3].map(|()| envoy(store.address(), limit(30, 60, "share")));
    envoys.iter().for_each(await_answer);
    let token = token_of("u");
    let round = || envoys.iter().map(|envoy| admitted(envoy, &token, 20).0).sum::<usize>();
    let before = round();
    assert!((MAX_REQUESTS / 2..=MAX_REQUESTS).contains(&before), "{before}");
    assert_eq!(store.command(&["FLUSHALL"]), "+OK\r\n");
    eventually("nobody notices", || {
        let lost = |envoy: &Envoy| envoy.counter("api_guard_fleet_engine_resets_total") > 0;
        envoys.iter().all(lost).then_some(())
    });
    let after = round();
    assert!(after <= MAX_REQUESTS, "{before} and {after}");
    for envoy in &envoys {
        assert!(told(envoy).iter().all(|(store, result)| store == "reached" && result == "ok"));
        assert!(envoy.written().contains("the store has lost what it held"));
        envoy.assert_healthy();
    }
}
