//! Clients who fill a table that all share: of limits, of failures, of revocations.
//!
//! They have an Envoy of their own whose tables are small. What is refused there is refused to them, and good callers
//! beside them are admitted. Limits and failures fill their tables for a day, so the first round fills them and later
//! ones find them full. Revocations are forgotten after seconds.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use serde_json::json;

use super::revocations::{ENDPOINT, log_out, meets, revoke, verdict};
use super::{Class, fresh, number, scene};
use crate::ask::{Ask, Protocol};
use crate::process::{Envoy, eventually};
use crate::setup::{Setup, policy};
use crate::token::{now, token};

/// The capacity of limits: one slot of 48 entries, in which each of three limits has 8 to itself. The table of failures is
/// one slot, too.
const LIMITER_CAPACITY: u64 = 16;
/// More than such a table has entries.
const CROWD: u64 = 60;
/// How often an address may fail to authenticate.
const FAILURES: u64 = 3;
/// For how long honest callers take an entry, seconds. A round takes about as long and has two newcomers for each limit,
/// which is well below the 8 entries that each limit has to itself.
const HONEST_WINDOW: u64 = 4;
/// The capacity of revocations: 2 for each subject, and 8 kept for officers.
const REVOCATIONS: u64 = 128;
/// For how long the table remembers what ordinary callers and what officers revoke, seconds.
const ORDINARY: i64 = 4;
const OFFICIAL: i64 = 10;
/// The verdict on a scene in which every answer was the right one.
const HELD: &str = "held";

/// An Envoy with small tables, which believes the proxy in front of it about addresses.
pub(crate) fn crowded() -> Setup {
    let limit = |name: &str, most: u64, window: u64, key: &[&str]| json!([{ "name": name, "max_requests": most, "window_seconds": window, "key": key }]);
    let policy = policy(json!({
        "limiter_capacity": LIMITER_CAPACITY,
        "auth_failure_limit": { "max_failures": FAILURES, "window_seconds": 86400 },
        "routes": [
            { "path": "/named", "access": "public", "rate_limits": limit("name", 1, 86400, &["client_ip", "header:x-name"]) },
            { "path": "/early", "access": "public", "rate_limits": limit("address", 2, HONEST_WINDOW, &["client_ip"]) },
            { "path": "/late", "rate_limits": limit("caller", 2, HONEST_WINDOW, &["subject"]) },
        ],
        "revocation": {
            "capacity": REVOCATIONS,
            "endpoint": { "path": ENDPOINT, "required_permissions": ["tokens:revoke"] },
        },
    }));
    Setup { concurrency: 2, trusted_hops: 1, delayed_close_seconds: 0.02, ..Setup::new(&policy) }
}

/// The classes. Their scenes take up to 6 seconds; a table is the same to both protocols.
pub(crate) fn crowding() -> Vec<Class> {
    const OVER: &[Protocol] = &[Protocol::Http1];
    vec![
        scene("one caller who logs out all the time", OVER, |envoy, over| told(logouts(envoy, over)), HELD),
        scene("callers who all log out", OVER, |envoy, over| told(revocations(envoy, over)), HELD),
        scene("names that were made up", OVER, |envoy, over| told(names(envoy, over)), HELD),
        scene("addresses that fail", OVER, |envoy, over| told(addresses(envoy, over)), HELD),
    ]
}

fn told(scene: Result<(), String>) -> String {
    scene.err().unwrap_or_else(|| HELD.to_owned())
}

fn expect(what: &str, answer: &str, wanted: &str) -> Result<(), String> {
    if answer == wanted { Ok(()) } else { Err(format!("{what}: {answer}, not {wanted}")) }
}

fn send(envoy: &Envoy, protocol: Protocol, ask: Ask) -> String {
    verdict(ask.try_send(envoy, protocol).1)
}

/// The request, as the proxy passes it on for this address.
fn of(address: &str, ask: Ask) -> Ask {
    ask.header("x-forwarded-for", address)
}

/// An address that no scene has had.
fn fresh_address() -> String {
    Ipv4Addr::from_bits(0x0B00_0000 + u32::try_from(number()).unwrap()).to_string()
}

/// A good caller whom nobody has seen before is admitted.
fn newcomer(envoy: &Envoy, protocol: Protocol) -> Result<(), String> {
    let ask = Ask::get("/x").token(&token(json!({ "sub": fresh("newcomer") })));
    expect("a newcomer", &send(envoy, protocol, of(&fresh_address(), ask)), "200")
}

/// One address makes up names for a limit that needs no token. Newcomers of other limits, with and without a token, are
/// counted one by one.
fn names(envoy: &Envoy, protocol: Protocol) -> Result<(), String> {
    let ask = || of("192.0.2.1", Ask::get("/named").header("x-name", fresh("name")));
    let refused = (0..CROWD).filter(|_| send(envoy, protocol, ask()) == "429 rate_limited").count();
    if refused == 0 {
        return Err("a table that does not fill up".to_owned());
    }
    for _ in 0..2 {
        counted_alone(envoy, protocol, "an address", || Ask::get("/early"))?;
        counted_alone(envoy, protocol, "a caller", || {
            Ask::get("/late").token(&token(json!({ "sub": fresh("caller") })))
        })?;
    }
    newcomer(envoy, protocol)
}

/// Two requests of a new caller from a new address are admitted, and the third is not.
fn counted_alone(envoy: &Envoy, protocol: Protocol, who: &str, ask: impl Fn() -> Ask) -> Result<(), String> {
    loop {
        let start = Instant::now();
        let ask = of(&fresh_address(), ask());
        let answers = [(); 3].map(|()| send(envoy, protocol, ask.clone()));
        // On a machine that is so slow the window would be over.
        if start.elapsed() < Duration::from_secs(HONEST_WINDOW) {
            return expect(who, &answers.join(", "), "200, 200, 429 rate_limited");
        }
    }
}

/// More addresses than there is room for fail more often than they may. Those for whom there is no room are not refused
/// for it, with a good token least of all, and the one that was refused before stays so.
fn addresses(envoy: &Envoy, protocol: Protocol) -> Result<(), String> {
    const OLDEST: &str = "198.51.100.1";
    const LIMITED: &str = "429 auth_failures_limited";
    let fail = |address: &str| send(envoy, protocol, of(address, Ask::get("/x").token("a.b.c")));
    let failing = |address: &str| (0..=FAILURES).fold(String::new(), |_, _| fail(address));
    expect("the oldest", &failing(OLDEST), LIMITED)?;
    let mut last = String::new();
    for _ in 0..CROWD {
        let address = fresh_address();
        last = failing(&address);
        if last != LIMITED {
            let good = Ask::get("/x").token(&token(json!({})));
            expect(
                "a good token of an address without room",
                &send(envoy, protocol, of(&address, good)),
                "200",
            )?;
        }
    }
    expect("an address without room", &last, "401 token_malformed")?;
    expect("the oldest", &fail(OLDEST), LIMITED)?;
    (0..5).try_for_each(|_| newcomer(envoy, protocol))
}

/// A token of an ordinary caller that is forgotten soon after it was revoked. `age`, seconds.
fn ordinary(sub: &str, age: i64) -> String {
    token(json!({ "sub": sub, "jti": fresh("jti"), "iat": now() - age, "exp": now() + ORDINARY }))
}

/// More tokens than the table holds, all of one caller: they stay revoked, and take little room.
fn logouts(envoy: &Envoy, protocol: Protocol) -> Result<(), String> {
    let sub = fresh("mallory");
    // From the oldest on: more of them than a subject's share are folded by their age.
    let tokens = (0..REVOCATIONS + 10).rev().map(|age| ordinary(&sub, i64::try_from(age).unwrap()));
    for token in tokens {
        expect("a logout", &log_out(envoy, protocol, &token), "200")?;
        expect("a token that was logged out", &meets(envoy, protocol, &token), "401 token_revoked")?;
    }
    let neighbour = ordinary(&fresh("neighbour"), 0);
    expect("a neighbour's logout", &log_out(envoy, protocol, &neighbour), "200")?;
    expect("the neighbour", &meets(envoy, protocol, &neighbour), "401 token_revoked")?;
    newcomer(envoy, protocol)
}

/// They fill the table as far as they may. Who comes too late hears so and stays logged in, an officer still revokes, and
/// the room comes back.
fn revocations(envoy: &Envoy, protocol: Protocol) -> Result<(), String> {
    let log_out_somebody = || log_out(envoy, protocol, &ordinary(&fresh("sub"), 0));
    let most = REVOCATIONS * 10;
    let Some(full) = (0..most).map(|_| log_out_somebody()).find(|answer| answer != "200") else {
        return Err("a table that does not fill up".to_owned());
    };
    expect("one logout too many", &full, "503 revocation_full")?;
    let forgotten = now() + ORDINARY;
    newcomer(envoy, protocol)?;
    let (jti, ends) = (fresh("stolen"), now() + OFFICIAL);
    let stolen = token(json!({ "sub": fresh("victim"), "jti": jti, "exp": ends }));
    expect("a token beside the full table", &meets(envoy, protocol, &stolen), "200")?;
    let officer = token(json!({ "sub": "officer", "permissions": ["tokens:revoke"] }));
    let revocation = revoke(&officer, &json!({ "jti": jti, "expires_at": ends }));
    expect("an officer", &send(envoy, protocol, revocation), "200")?;
    expect("what the officer revoked", &meets(envoy, protocol, &stolen), "401 token_revoked")?;
    // Of all of them: the next scene needs room.
    eventually("no room comes back", || (now() > forgotten && log_out_somebody() == "200").then_some(()));
    newcomer(envoy, protocol)
}
