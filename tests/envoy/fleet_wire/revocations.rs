//! A store that is full of revocations: how long does an Envoy that starts take to read them, and what does it cost to ask for more?

use std::time::{Duration, Instant};

use api_guard_core::fleet::script::REVOKED;
use api_guard_core::fleet::{Names, Notice, Revoked};
use api_guard_core::revocation::SharedEntry;
use api_guard_core::token::algorithm::MacAlgorithm;
use api_guard_core::token::secret::Secret;
use serde_json::json;

use super::{SECRET, envoy, status};
use crate::forwarder::{Forwarder, Passed};
use crate::process::eventually;
use crate::store::Store;
use crate::token::{now, token};

const REVOCATIONS: usize = 65_536;
const WITHIN: Duration = Duration::from_secs(5);
const IDLE_REPLY_BYTES: usize = 100;

#[test]
fn an_envoy_that_starts_reads_65536_revocations_within_5_seconds_and_then_asks_for_little() {
    let Some(store) = Store::up() else { return };
    fill(&store);
    let forwarder = Forwarder::to(store.address());
    let start = Instant::now();
    let envoy = envoy(forwarder.address(), json!({ "revocation": { "fleet": {} } }));
    let good = token(json!({ "jti": "good" }));
    eventually("the revocations are not read", || (status(&envoy, &good) == 200).then_some(()));
    // From the first call to the one that has brought the last of them.
    let readings: Vec<Passed> = forwarder.passed().into_iter().filter(reads).collect();
    let full = |passed: &&Passed| passed.reply.len() > IDLE_REPLY_BYTES;
    let last = readings.iter().rfind(full).unwrap();
    let took = last.ended - readings[0].began;
    let bytes: usize = readings.iter().map(|passed| passed.reply.len()).sum();
    let longest = readings.iter().map(|passed| passed.reply.len()).max().unwrap();
    assert!(took < WITHIN, "{took:?}");
    let alone = |passed: &Passed| reads(passed) && !is_longer_than_a_poll(passed);
    let idle = eventually("nobody polls", || {
        let mut polls = forwarder.passed().into_iter().filter(|passed| passed.began > last.ended);
        polls.rfind(alone)
    });
    println!(
        "{} calls of {took:?} in all (the Envoy's start: {:?}), {bytes} bytes, at most {longest}; an idle poll: {} bytes out, {} in",
        readings.len(),
        start.elapsed(),
        idle.call.len(),
        idle.reply.len()
    );
    assert!(idle.reply.len() < IDLE_REPLY_BYTES, "{}", idle.reply.len());
    // One that is presented may be told again, to last as long as the token.
    for number in [0, 1, 499, 500, 40_000, REVOCATIONS - 1] {
        let revoked = token(json!({ "jti": format!("revoked-{number}") }));
        assert_eq!(status(&envoy, &revoked), 401, "{number}");
    }
    envoy.assert_healthy();
}

/// Enters them as `api-guard revoke` does.
fn fill(store: &Store) {
    let secret = Secret::from_bytes(MacAlgorithm::Hs256, SECRET.as_bytes()).unwrap();
    let names = Names::new(secret, "ag".to_owned());
    // Later than any token that names one of them, or the Envoy would have it last longer.
    let ends_at = u64::try_from(now()).unwrap() + 86_400;
    let entry = |number: usize| {
        let name = names.revoked(Revoked::Jti(&format!("revoked-{number}")));
        SharedEntry { name, ends_at, issued_before: 0 }
    };
    let all: Vec<SharedEntry> = (0..REVOCATIONS).map(entry).collect();
    for entries in all.chunks(256) {
        let notice = Notice { names: &names, login: None, entries };
        notice.read(&store.call(&notice.commands([1, 2, 3, 4, 5, 6]))).unwrap();
    }
}

/// Whether a call reads revocations.
fn reads(passed: &Passed) -> bool {
    [REVOKED.sha1, REVOKED.text].iter().any(|script| has(&passed.call, script.as_bytes()))
}

/// Whether a call asks for something else too.
fn is_longer_than_a_poll(passed: &Passed) -> bool {
    let scripts = passed.call.windows(4).filter(|window| *window == b"EVAL").count();
    scripts > 1
}

fn has(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}
