//! Whatever goes wrong on the way to the store: every request is answered in time, nobody is admitted beyond the share, the calls
//! are counted under the right word, the log has one line for each change, and all is well again afterwards.

use std::time::{Duration, Instant};

use super::{NODES, TIMEOUT_MILLISECONDS, calls, envoy, limit, status, token_of, told};
use crate::forwarder::{Does, Forwarder};
use crate::process::{Envoy, eventually};
use crate::store::Store;

const MAX_REQUESTS: u32 = 30;
/// What one Envoy admits while the store is not reached.
const SHARE: u32 = MAX_REQUESTS / NODES;
/// How long after its time-out a request must have been answered at the latest, however busy the machine is.
const MARGIN: Duration = Duration::from_secs(4);
const RESULTS: [&str; 10] =
    ["ok", "timeout", "reset", "malformed", "denied", "readonly", "full", "loading", "moved", "error"];

/// What goes wrong, and the result of the calls then.
enum Fault {
    OnTheWay(Does, &'static str),
    /// Nobody listens.
    NobodyListens(&'static str),
    /// The store is made to refuse by one command, and to serve again by another one.
    InTheStore(&'static [&'static str], &'static [&'static str], &'static str),
}

impl Fault {
    fn result(&self) -> &'static str {
        match self {
            Self::OnTheWay(_, result) | Self::NobodyListens(result) | Self::InTheStore(_, _, result) => {
                result
            }
        }
    }

    fn begin(&self, store: &Store, forwarder: &Forwarder) {
        match self {
            Self::OnTheWay(does, _) => forwarder.does(does.clone()),
            Self::NobodyListens(_) => forwarder.go_down(),
            Self::InTheStore(begin, _, _) => assert_eq!(store.command(begin), "+OK\r\n"),
        }
    }

    fn end(&self, store: &Store, forwarder: &Forwarder) {
        match self {
            Self::OnTheWay(..) => forwarder.does(Does::Pass(Duration::ZERO)),
            Self::NobodyListens(_) => forwarder.go_up(),
            Self::InTheStore(_, end, _) => assert_eq!(store.command(end), "+OK\r\n"),
        }
    }
}

/// An Envoy, its store, and what stands between.
struct Wire {
    store: Store,
    forwarder: Forwarder,
    envoy: Envoy,
}

impl Wire {
    fn up() -> Option<Self> {
        let store = Store::up()?;
        let forwarder = Forwarder::to(store.address());
        let envoy = envoy(forwarder.address(), limit(MAX_REQUESTS, 60, "share"));
        eventually("the store is not called", || (calls(&envoy, "ok") > 0).then_some(()));
        Some(Self { store, forwarder, envoy })
    }

    /// The requests admitted of so many.
    fn admitted(&self, token: &str, requests: u32) -> u32 {
        let longest = Duration::from_millis(TIMEOUT_MILLISECONDS.into()) + MARGIN;
        let admitted = (0..requests).filter(|_| {
            let sent = Instant::now();
            let status = status(&self.envoy, token);
            assert!(sent.elapsed() < longest, "a request waits for {:?}", sent.elapsed());
            assert!(status == 200 || status == 429, "{status}");
            status == 200
        });
        u32::try_from(admitted.count()).unwrap()
    }

    /// How many calls have ended in each way.
    fn counted(&self) -> Vec<u64> {
        RESULTS.iter().map(|result| calls(&self.envoy, result)).collect()
    }

    /// Waits until it has been told once by each worker that has noticed that the store is not reached, and is again. There
    /// are two at most: Envoy's main thread marks this Envoy too.
    fn await_told(&self, what: &str, result: &str, before: usize) {
        let told_since = eventually(&format!("{what}: nothing is told"), || {
            let told = told(&self.envoy).split_off(before);
            let count = |store: &str| told.iter().filter(|(found, _)| found == store).count();
            let (lost, back) = (count("unreachable"), count("reached"));
            (lost > 0 && lost == back).then_some(told)
        });
        // One that waits may hear of it only when something else goes wrong already.
        let most = if result == "timeout" { 6 } else { 4 };
        assert!(told_since.len() <= most, "{what}: {told_since:?}");
        for (store, told) in &told_since {
            let is_right =
                if store == "reached" { told == "ok" } else { told == result || told == "timeout" };
            assert!(is_right, "{what}: {told_since:?}");
        }
    }

    /// Has something go wrong and be well again.
    fn suffers(&self, what: &str, fault: &Fault) {
        let result = fault.result();
        let token = token_of(what);
        let before = self.counted();
        let told_before = told(&self.envoy).len();
        fault.begin(&self.store, &self.forwarder);
        let admitted = self.admitted(&token, SHARE + 8);
        assert_eq!(admitted, SHARE, "{what}");
        let position = RESULTS.iter().position(|known| *known == result).unwrap();
        eventually(&format!("{what}: no call is counted as {result}"), || {
            (calls(&self.envoy, result) > before[position]).then_some(())
        });
        fault.end(&self.store, &self.forwarder);
        // Who does not get what they ask for is refused alone, and the store is reached.
        if result != "error" {
            self.await_told(what, result, told_before);
        }
        // What the store has granted and nobody has read is lost until it leaves the window.
        assert!(admitted + self.admitted(&token, MAX_REQUESTS) <= MAX_REQUESTS, "{what}");
        let mut number = 0;
        eventually(&format!("{what}: the store does not lease again"), || {
            number += 1;
            let other = token_of(&format!("{number} after {what}"));
            (self.admitted(&other, MAX_REQUESTS + 5) == MAX_REQUESTS).then_some(())
        });
        assert!(result != "error" || told(&self.envoy).len() == told_before, "{what}");
        for ((name, before), after) in RESULTS.iter().zip(before).zip(self.counted()) {
            // On a machine that stands still for a second, any call may take too long.
            let may_be = ["ok", "timeout", result].contains(name);
            assert!(may_be || before == after, "{what}: {name} for {result}");
        }
    }
}

fn each_of(faults: Vec<(String, Fault)>) {
    let Some(wire) = Wire::up() else { return };
    for (what, fault) in faults {
        wire.suffers(&what, &fault);
    }
    wire.envoy.assert_healthy();
}

#[test]
fn every_error_of_the_store_is_told_by_its_word_and_admits_no_more_than_the_share() {
    let errors = [
        ("READONLY You can't write against a read only replica.", "readonly"),
        ("OOM command not allowed when used memory > 'maxmemory'.", "full"),
        ("MISCONF Redis is configured to save RDB snapshots", "full"),
        ("LOADING Redis is loading the dataset in memory", "loading"),
        ("MASTERDOWN Link with MASTER is down", "loading"),
        ("BUSY Redis is busy running a script", "loading"),
        ("MOVED 3999 127.0.0.1:6381", "moved"),
        ("CLUSTERDOWN Hash slot not served", "moved"),
        ("WRONGPASS invalid username-password pair or user is disabled.", "denied"),
        ("NOAUTH Authentication required.", "denied"),
        ("NOPERM this user has no permissions to run the 'eval' command", "denied"),
        ("ERR unknown command 'EVAL'", "error"),
    ];
    let kind = |error: &str| error.split(' ').next().unwrap().to_owned();
    let of = |(error, result)| (kind(error), Fault::OnTheWay(Does::Complain(error), result));
    let mut faults: Vec<_> = errors.into_iter().map(of).collect();
    // A store that says no more than why it closes the connection, and one that means it.
    faults.push((
        "LOADING alone".to_owned(),
        Fault::OnTheWay(Does::Say(b"-LOADING Redis is loading\r\n".to_vec()), "loading"),
    ));
    faults.push((
        "a full store".to_owned(),
        Fault::InTheStore(&["CONFIG", "SET", "maxmemory", "1"], &["CONFIG", "SET", "maxmemory", "0"], "full"),
    ));
    each_of(faults);
}

#[test]
fn a_reply_that_is_none_or_not_whole_is_malformed_and_grants_nothing() {
    let huge = |unit: &str| unit.repeat((10 << 20) / unit.len()).into_bytes();
    let faults = [
        ("of no bytes", Does::Cut(0)),
        ("cut after a byte", Does::Cut(1)),
        ("cut after nine bytes", Does::Cut(9)),
        ("without its last byte", Does::Shorten(1)),
        ("without QUIT's answer", Does::Shorten(5)),
        ("garbled", Does::Garble),
        ("of another protocol", Does::Say(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec())),
        ("to something else", Does::Say(b"+PONG\r\n+OK\r\n".to_vec())),
        ("of a length that is not there", Does::Say(b"*4294967296\r\n:1\r\n+OK\r\n".to_vec())),
        (
            "of negative units",
            Does::Say(b"*7\r\n:-1\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n:0\r\n+OK\r\n".to_vec()),
        ),
    ];
    let of = |(what, does): (&str, Does)| (what.to_owned(), Fault::OnTheWay(does, "malformed"));
    let mut faults: Vec<_> = faults.into_iter().map(of).collect();
    faults.push(of(("of 10 MiB", Does::Say(huge("+OK\r\n")))));
    faults.push(of(("of 10 MiB without an end", Does::Say(huge(":")))));
    each_of(faults);
}

#[test]
fn a_connection_that_is_refused_reset_or_silent_is_told_and_nobody_waits_longer_than_the_time_out() {
    each_of(vec![
        ("reset at once".to_owned(), Fault::OnTheWay(Does::Reset(0), "reset")),
        ("reset in the reply".to_owned(), Fault::OnTheWay(Does::Reset(9), "reset")),
        ("refused".to_owned(), Fault::NobodyListens("reset")),
        ("silent".to_owned(), Fault::OnTheWay(Does::Halt(0), "timeout")),
        ("silent in the reply".to_owned(), Fault::OnTheWay(Does::Halt(9), "timeout")),
    ]);
}

#[test]
fn a_key_of_another_type_costs_its_caller_the_limit_and_nobody_else() {
    let Some(Wire { store, forwarder: _forwarder, envoy }) = Wire::up() else { return };
    let (token, other) = (token_of("spoilt"), token_of("other"));
    assert_eq!(status(&envoy, &token), 200);
    // The first request has spent the only unit that it was granted.
    let keys = store.command(&["KEYS", "ag:*"]);
    let key = keys.lines().find(|line| line.len() == 35 && line.starts_with("ag:")).unwrap();
    assert_eq!(store.command(&["DEL", key]), ":1\r\n");
    let count = |requests: u32| (0..requests).filter(|_| status(&envoy, &token) == 200).count();
    let before = calls(&envoy, "error");
    assert_eq!(store.command(&["LPUSH", key, "x"]), ":1\r\n");
    assert_eq!(count(SHARE + 8), usize::try_from(SHARE - 1).unwrap());
    eventually("no error is counted", || (calls(&envoy, "error") > before).then_some(()));
    for garbage in ["", "x", "\u{91}\u{1}"] {
        assert_eq!(store.command(&["SET", key, garbage]), "+OK\r\n");
        assert_eq!(count(5), 0);
    }
    // Nor do the marks of the Envoys concern any caller.
    let nodes = keys.lines().find(|line| line.starts_with("ag:nodes:")).unwrap();
    let before = calls(&envoy, "error");
    assert_eq!(store.command(&["SET", nodes, "x"]), "+OK\r\n");
    eventually("no mark is refused", || (calls(&envoy, "error") > before).then_some(()));
    let admitted = (0..40).filter(|_| status(&envoy, &other) == 200).count();
    assert_eq!(admitted, usize::try_from(MAX_REQUESTS).unwrap());
    assert!(told(&envoy).is_empty(), "{:?}", told(&envoy));
    store.command(&["DEL", key, nodes]);
    let mut all = usize::try_from(SHARE).unwrap();
    eventually("the limit does not come back", || {
        all += count(1);
        (all == usize::try_from(MAX_REQUESTS).unwrap()).then_some(())
    });
    envoy.assert_healthy();
}
