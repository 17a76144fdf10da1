//! Several workers, of whom some die, and an issuer who answers, fails or stays silent.

#![allow(clippy::arithmetic_side_effects, clippy::string_slice, reason = "a test that cannot go on fails")]

use api_guard_testkit::{IssuerKey, key_set};
use proptest::prelude::*;

use super::*;
use crate::cells::{Loaded, MemoryCells, Stored};
use crate::token::algorithm::PublicAlgorithms;
use crate::token::key_set::rule::KeySetRule;

const SEED: Seed = Seed::from_bytes([9; 16]);
const SET: KeySetIndex = KeySetIndex::new(0);
const REFRESH: u64 = 20;
const REFETCH: u64 = 5;
const STALE: u64 = 60;

fn ring() -> KeyRing {
    ring_of("/jwks.json")
}

fn ring_of(path: &str) -> KeyRing {
    let remote = RemoteSet {
        cluster: "idp".to_owned(),
        path: path.to_owned(),
        authority: "login.example.com".to_owned(),
        timeout_milliseconds: 2000,
        refresh_seconds: REFRESH,
        min_refetch_seconds: REFETCH,
        max_stale_seconds: STALE,
    };
    let rule = KeySetRule {
        name: "login".to_owned(),
        issuers: vec!["https://login".to_owned()],
        audiences: Vec::new(),
        algorithms: PublicAlgorithms::ALL,
        source: KeySource::Remote(remote),
        permissions: None,
        permission_format: None,
    };
    KeyRing::new(Vec::new(), vec![rule])
}

fn at(milliseconds: u64) -> UnixNanos {
    UnixNanos::from_nanos(1_790_000_000_000_000_000 + milliseconds * 1_000_000)
}

fn worker(number: u8) -> KeySets {
    KeySets::open(&ring(), SEED, [number; 16])
}

fn body(number: u8) -> Vec<u8> {
    key_set(&[IssuerKey::es256(number).jwk(Some(&number.to_string()))]).to_string().into_bytes()
}

fn good(body: &[u8]) -> Response<'_> {
    Response::Complete { status: 200, body }
}

/// The kid of the one key in force.
fn kid(worker: &mut KeySets, cells: &impl Cells, now: UnixNanos) -> Option<String> {
    worker.refresh(&ring(), cells).unwrap();
    worker.current().set(SET, now).and_then(|set| set.keys()[0].kid.clone())
}

#[test]
fn one_worker_fetches_and_all_others_have_the_keys_from_their_next_request_on() {
    let (ring, cells) = (ring(), MemoryCells::new());
    let mut workers = [worker(1), worker(2), worker(3)];
    let begun: Vec<usize> = workers.iter_mut().map(|one| one.begin(&ring, &cells, at(0)).len()).collect();
    assert_eq!(begun, [1, 0, 0]);
    for worker in &mut workers {
        assert_eq!(kid(worker, &cells, at(10)), None);
    }
    let ended = workers[0].end(&ring, SET, good(&body(1)), &cells, at(50)).unwrap();
    assert_eq!(
        ended,
        Ended { outcome: FetchOutcome::Ok, status: None, keys: 1, skipped: Vec::new(), is_news: true }
    );
    for worker in &mut workers {
        assert_eq!(kid(worker, &cells, at(50)).as_deref(), Some("1"));
        assert!(worker.begin(&ring, &cells, at(51)).is_empty());
        assert!(worker.has_ended_since(SET, 0) && !worker.has_ended_since(SET, 1));
    }
}

#[test]
fn a_new_worker_and_a_pushed_configuration_start_with_the_last_good_set() {
    let (ring, cells) = (ring(), MemoryCells::new());
    let mut first = worker(1);
    assert_eq!(first.begin(&ring, &cells, at(0)).len(), 1);
    first.end(&ring, SET, good(&body(1)), &cells, at(1)).unwrap();
    let mut reloaded = worker(2);
    assert_eq!(kid(&mut reloaded, &cells, at(2)).as_deref(), Some("1"));
    assert!(reloaded.begin(&ring, &cells, at(2)).is_empty());
    // Keys from another address are other keys.
    let elsewhere = ring_of("/other.json");
    let mut other = KeySets::open(&elsewhere, SEED, [3; 16]);
    other.refresh(&elsewhere, &cells).unwrap();
    assert!(other.current().set(SET, at(2)).is_none());
    assert_eq!(other.begin(&elsewhere, &cells, at(2)).len(), 1);
}

#[test]
fn a_fetch_that_is_given_up_begins_anew_at_once_and_only_its_worker_gives_it_up() {
    let (ring, cells) = (ring(), MemoryCells::new());
    let (mut first, mut second) = (worker(1), worker(2));
    assert_eq!(first.begin(&ring, &cells, at(0)).len(), 1);
    second.abandon(&ring, &cells);
    assert!(second.begin(&ring, &cells, at(10)).is_empty());
    first.abandon(&ring, &cells);
    second.refresh(&ring, &cells).unwrap();
    assert_eq!(second.begin(&ring, &cells, at(20)).len(), 1);
    // It is the other one's now.
    first.abandon(&ring, &cells);
    assert_eq!(first.end(&ring, SET, good(&body(1)), &cells, at(30)), None);
    assert!(second.end(&ring, SET, good(&body(2)), &cells, at(40)).is_some());
    second.abandon(&ring, &cells);
    first.refresh(&ring, &cells).unwrap();
    assert!(first.begin(&ring, &cells, at(50)).is_empty());
    assert_eq!(kid(&mut first, &cells, at(50)).as_deref(), Some("2"));
}

#[test]
fn every_failure_leaves_the_last_set_in_force_until_it_is_stale() {
    let (ring, cells) = (ring(), MemoryCells::new());
    let mut worker = worker(1);
    let mut now = 0;
    let (long, many) =
        (vec![b' '; Response::MOST_BYTES], key_set(&vec![serde_json::json!({}); 101]).to_string());
    for (response, outcome) in [
        (good(&body(1)), FetchOutcome::Ok),
        (Response::TimedOut, FetchOutcome::Timeout),
        (Response::Reset, FetchOutcome::Reset),
        (Response::Complete { status: 503, body: &body(2) }, FetchOutcome::Status),
        (Response::Complete { status: 204, body: b"" }, FetchOutcome::Status),
        (Response::Complete { status: 301, body: &body(2) }, FetchOutcome::Status),
        (good(b""), FetchOutcome::Malformed),
        (good(b"{\"keys\":[{"), FetchOutcome::Malformed),
        (good(b"{\"keys\":[]}"), FetchOutcome::Unusable),
        (good(b"{\"keys\":[{\"kty\":\"oct\"}]}"), FetchOutcome::Unusable),
        (good(&long), FetchOutcome::TooLarge),
        (good(many.as_bytes()), FetchOutcome::TooLarge),
    ] {
        while worker.begin(&ring, &cells, at(now)).is_empty() {
            now += 100;
        }
        assert_eq!(worker.end(&ring, SET, response, &cells, at(now)).unwrap().outcome, outcome);
        let in_force = kid(&mut worker, &cells, at(now));
        assert_eq!(in_force.as_deref(), (now < STALE * 1000).then_some("1"), "{outcome:?} at {now}");
    }
    assert!(now > STALE * 1000, "it has become stale");
    while worker.begin(&ring, &cells, at(now)).is_empty() {
        now += 100;
    }
    assert!(worker.end(&ring, SET, good(&body(3)), &cells, at(now)).unwrap().is_news);
    assert_eq!(kid(&mut worker, &cells, at(now)).as_deref(), Some("3"));
}

#[test]
fn a_change_of_state_is_news_once() {
    let (ring, cells) = (ring(), MemoryCells::new());
    let mut worker = worker(1);
    let mut now = 0;
    let mut is_news = |response: Response<'_>| {
        while worker.begin(&ring, &cells, at(now)).is_empty() {
            now += 100;
        }
        worker.end(&ring, SET, response, &cells, at(now)).unwrap().is_news
    };
    let (one, two) = (body(1), body(2));
    assert!(is_news(good(&one)));
    assert!(!is_news(good(&one)));
    assert!(is_news(good(&two)), "other keys");
    assert!(is_news(Response::Reset));
    assert!(!is_news(Response::Reset));
    assert!(is_news(Response::TimedOut));
    assert!(is_news(good(&two)));
    assert!(!is_news(good(&two)));
}

#[test]
fn unknown_kids_cost_one_fetch_within_the_least_time_for_all_workers_together() {
    let (ring, cells) = (ring(), MemoryCells::new());
    let mut workers = [worker(1), worker(2)];
    let mut fetches = 0;
    let mut waits = 0;
    for now in (0..10_000).step_by(10) {
        for worker in &mut workers {
            worker.refresh(&ring, &cells).unwrap();
            for _ in 0..10 {
                waits += usize::from(worker.ask(&ring, SET, &cells, at(now)).unwrap().is_some());
            }
            for _ in worker.begin(&ring, &cells, at(now)) {
                fetches += 1;
                worker.end(&ring, SET, good(&body(1)), &cells, at(now)).unwrap();
            }
        }
    }
    assert_eq!(fetches, 2, "the first, and one {REFETCH} s later");
    assert!(waits <= 40, "most hear at once that nothing is due: {waits}");
    assert!(cells.bytes_held() < 1000, "unknown kids are not kept");
}

#[test]
fn a_cell_that_fails_is_a_fault_and_one_that_is_contended_begins_nothing() {
    struct Broken;
    impl Cells for Broken {
        fn load(&self, _: CellId) -> Result<Option<Loaded>, CellFault> {
            Err(CellFault)
        }
        fn store(&self, _: CellId, _: &[u8], _: Expected) -> Result<Stored, CellFault> {
            Err(CellFault)
        }
    }
    struct Contended(MemoryCells);
    impl Cells for Contended {
        fn load(&self, id: CellId) -> Result<Option<Loaded>, CellFault> {
            self.0.load(id)
        }
        fn store(&self, _: CellId, _: &[u8], _: Expected) -> Result<Stored, CellFault> {
            Ok(Stored::Conflict)
        }
    }
    let (ring, mut worker) = (ring(), worker(1));
    assert_eq!(worker.refresh(&ring, &Broken), Err(CellFault));
    assert!(worker.begin(&ring, &Broken, at(0)).is_empty());
    assert_eq!(worker.ask(&ring, SET, &Broken, at(0)), Err(CellFault));
    let contended = Contended(MemoryCells::new());
    assert!(worker.begin(&ring, &contended, at(0)).is_empty());
    assert_eq!(
        worker.ask(&ring, SET, &contended, at(0)).unwrap().map(|_| ()),
        Some(()),
        "it is due all the same"
    );
}

/// What happens next.
#[derive(Debug, Clone)]
enum Event {
    /// Time passes, milliseconds.
    Passes(u64),
    /// The clock is set back, milliseconds.
    SetBack(u64),
    /// A worker looks what is due, so many milliseconds after it has read the clock.
    Ticks(usize, u64),
    /// A token of an unknown kid reaches a worker, so many milliseconds after it has read the clock.
    Asks(usize, u64),
    /// The response to what a worker has fetched comes: keys of this number, or none.
    Ends(usize, Option<u8>),
    /// A worker dies and another takes its place.
    Dies(usize),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let behind = prop_oneof![3 => Just(0_u64), 1 => 0_u64..=1000];
    let event = prop_oneof![
        6 => (0_u64..4000).prop_map(Event::Passes),
        1 => (0_u64..40_000).prop_map(Event::SetBack),
        6 => (0_usize..3, behind.clone()).prop_map(|(worker, behind)| Event::Ticks(worker, behind)),
        4 => (0_usize..3, behind).prop_map(|(worker, behind)| Event::Asks(worker, behind)),
        6 => (0_usize..3, prop::option::weighted(0.7, 1_u8..4)).prop_map(|(worker, keys)| Event::Ends(worker, keys)),
        1 => (0_usize..3).prop_map(Event::Dies),
    ];
    prop::collection::vec(event, 0..200)
}

proptest! {
    #[test]
    fn whatever_happens_one_fetch_is_on_its_way_at_a_time(events in events()) {
        let (ring, cells) = (ring(), MemoryCells::new());
        let mut workers: Vec<KeySets> = (0..3).map(|number| worker(number + 1)).collect();
        // When each worker's fetch began, as long as a host would still bring its response.
        let mut flying: [Option<u64>; 3] = [None; 3];
        // Until when nobody else fetches, whether or not the worker is alive.
        let mut leased_until = 0;
        let mut next_number = 10;
        let mut now: u64 = 1_000_000;
        let (mut was_set_back, mut latest_start, mut latest_good): (bool, Option<u64>, Option<u64>) = (false, None, None);
        for event in events {
            match event {
                Event::Passes(milliseconds) => now += milliseconds,
                Event::SetBack(milliseconds) => {
                    now -= milliseconds;
                    was_set_back = true;
                }
                Event::Ticks(index, behind) => {
                    let read = now - behind;
                    workers[index].refresh(&ring, &cells).unwrap();
                    let fetches = workers[index].begin(&ring, &cells, at(read));
                    if fetches.is_empty() {
                        continue;
                    }
                    prop_assert_eq!(fetches.len(), 1);
                    if !was_set_back {
                        for begun in flying.iter().flatten() {
                            prop_assert!(begun + 2000 < read, "two at a time: {} and {}", begun, read);
                        }
                        if let Some(latest) = latest_start {
                            prop_assert!(latest + 1000 <= read, "{} after {}", read, latest);
                        }
                    }
                    (flying[index], latest_start, leased_until) = (Some(read), Some(read), read + 7000);
                }
                Event::Asks(index, behind) => {
                    let read = now - behind;
                    workers[index].refresh(&ring, &cells).unwrap();
                    let is_coming = workers[index].ask(&ring, SET, &cells, at(read)).unwrap().is_some();
                    // Who is told to wait waits for a fetch that is on its way, or that the next tick begins.
                    if is_coming && !was_set_back && leased_until <= read {
                        let begun = workers[index].begin(&ring, &cells, at(read));
                        prop_assert_eq!(begun.len(), 1);
                        (flying[index], latest_start, leased_until) = (Some(read), Some(read), read + 7000);
                    }
                }
                Event::Ends(index, keys) => {
                    // A host that has waited for the time-out has given up.
                    let Some(begun) = flying[index].take() else { continue };
                    let is_late = now < begun || now - begun > 2000;
                    let body = keys.map(body);
                    let response = match &body {
                        Some(body) if !is_late => good(body),
                        Some(_) | None => Response::TimedOut,
                    };
                    let ended = workers[index].end(&ring, SET, response, &cells, at(now));
                    if ended.is_some() {
                        leased_until = 0;
                    }
                    if ended.is_some_and(|ended| ended.outcome == FetchOutcome::Ok) {
                        latest_good = Some(now);
                        for worker in &mut workers {
                            let expected = keys.map(|number| number.to_string());
                            prop_assert_eq!(kid(worker, &cells, at(now)), expected);
                        }
                    }
                }
                Event::Dies(index) => {
                    next_number += 1;
                    workers[index] = worker(next_number);
                    flying[index] = None;
                }
            }
            if !was_set_back {
                // A set is in force for the time that it may be stale at least, and never for good.
                for worker in &mut workers {
                    let is_in_force = kid(worker, &cells, at(now)).is_some();
                    match latest_good {
                        None => prop_assert!(!is_in_force),
                        Some(good) if now < good + STALE * 1000 => prop_assert!(is_in_force),
                        Some(good) if now > good + (STALE + 22 + 60) * 1000 => prop_assert!(!is_in_force),
                        Some(_) => {}
                    }
                }
            }
        }
    }
}
