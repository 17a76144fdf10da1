//! What shows only after seconds: bodies that stop coming, and a logout that must not wear off.
//!
//! These scenes are sent all at once, beside the others.

use std::time::{Duration, Instant};

use serde_json::json;

use super::parked::Parked;
use super::revocations::{ENDPOINT, brief, log_out, meets, verdict};
use super::{Class, fresh, scene};
use crate::ask::{Ask, BOTH, Protocol};
use crate::process::{Envoy, eventually};
use crate::token::{now, token};

/// How long a body for the upstream may go without a byte, and how long the whole body of a revocation may take, seconds.
const UPSTREAM: u64 = 15;
const REVOCATION: u64 = 10;
/// How many seconds earlier a client may see the end of that time, whose clock is not the module's.
const CLOCKS: f64 = 0.5;

/// The classes. Their scenes take up to 16 seconds.
pub(crate) fn lasting() -> Vec<Class> {
    vec![
        scene(
            "a body that never begins",
            &BOTH,
            |envoy, over| stalled(envoy, over, "/x", &[], UPSTREAM),
            "408 body_timeout",
        ),
        scene(
            "a body that stops coming",
            &BOTH,
            |envoy, over| stalled(envoy, over, "/x", &[0], UPSTREAM),
            "408 body_timeout",
        ),
        scene(
            "a revocation that never begins",
            &BOTH,
            |envoy, over| stalled(envoy, over, ENDPOINT, &[], REVOCATION),
            "408 body_timeout",
        ),
        scene(
            "a revocation that stops coming",
            &BOTH,
            |envoy, over| stalled(envoy, over, ENDPOINT, &[0], REVOCATION),
            "408 body_timeout",
        ),
        scene(
            "a revocation of a byte at a time that takes too long",
            &BOTH,
            |envoy, over| stalled(envoy, over, ENDPOINT, &[0, 2, 2, 2], REVOCATION),
            "408 body_timeout",
        ),
        scene("a jti that is used again by a longer-lived token", &BOTH, used_again, "401 token_revoked"),
    ]
}

/// Sends a byte of a body after each of `pauses`, seconds, and then nothing. The service hears nothing of it.
/// `patience`, seconds: how long the module waits, from the headers on.
fn stalled(envoy: &Envoy, protocol: Protocol, path: &str, pauses: &[u64], patience: u64) -> String {
    loop {
        let start = Instant::now();
        let ask = Ask::post(path).token(&brief(&fresh("stalled")));
        let mut parked = match Parked::new(envoy, protocol, ask) {
            Ok(parked) => parked,
            Err(cut) => return format!("{cut:?}"),
        };
        for pause in pauses {
            std::thread::sleep(Duration::from_secs(*pause));
            parked.push(b"{");
        }
        let test = parked.test.clone();
        let answer = verdict(parked.read());
        // Another scene takes all the room there is for bodies, for a moment.
        if answer == "503 busy" {
            continue;
        }
        let seconds = start.elapsed().as_secs_f64();
        let is_early = seconds + CLOCKS < patience as f64;
        // Each byte would have begun the time anew.
        let is_late = pauses.len() > 1 && seconds > (patience + pauses.iter().sum::<u64>()) as f64;
        let is_silent = envoy.upstream.heard(&test).is_empty();
        if !is_early && !is_late && is_silent {
            return answer;
        }
        return format!("after {seconds:.1} s {answer}, heard: {}", !is_silent);
    }
}

/// It stays revoked after the token that was revoked has expired.
fn used_again(envoy: &Envoy, protocol: Protocol) -> String {
    for _ in 0..10 {
        let (sub, jti, ends) = (fresh("again"), fresh("jti"), now() + 2);
        let session = |exp: i64| token(json!({ "sub": sub, "jti": jti, "iat": ends - 9, "exp": exp }));
        let (short, long) = (session(ends), session(ends + 120));
        let first =
            [meets(envoy, protocol, &long), log_out(envoy, protocol, &short), meets(envoy, protocol, &long)];
        if now() >= ends {
            // It was not revoked, or not met, before it expired: the machine was too slow.
            continue;
        }
        if first != ["200", "200", "401 token_revoked"] {
            return first.join(", then ");
        }
        eventually("the token does not expire", || {
            (meets(envoy, protocol, &short) == "401 token_expired").then_some(())
        });
        return meets(envoy, protocol, &long);
    }
    "a machine that takes seconds for three requests".to_owned()
}
