//! Whatever bytes come back, nobody is admitted beyond what was asked for.

use std::num::NonZeroU32;

use api_guard_core::cells::MemoryCells;
use api_guard_core::fleet::{AtStart, CallResponse, Demand, FleetRule, Link, SharedRevocations, Standing};
use api_guard_core::limit::Identity;
use api_guard_core::revocation::Revocations;
use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;
use proptest::prelude::*;

use super::simulation;

const NOW: UnixNanos = UnixNanos::from_seconds(1_796_000_000);

/// What a worker has in hand of 10 units after this reply to its first call.
fn units_after(reply: &[u8], shares_revocations: bool) -> usize {
    let shared = SharedRevocations { poll_seconds: 1, at_start: AtStart::Refuse, max_age_seconds: None };
    let rule = FleetRule { revocations: shares_revocations.then_some(shared), ..simulation::rule() };
    let (cells, seed) = (MemoryCells::new(), Seed::from_bytes([1; 16]));
    let mut revocations = Revocations::open(&cells, seed, 16).unwrap();
    revocations.share_under(&rule.names);
    let mut link = Link::open(&rule, seed, [1; 16]);
    let demand = Demand {
        identity: Identity::from_digest(7),
        units: NonZeroU32::new(10).unwrap(),
        window_seconds: NonZeroU32::new(60).unwrap(),
    };
    assert_eq!(link.take(&rule, demand, NOW), Standing::Ask);
    for _ in 0..4 {
        link.wait(demand.identity);
    }
    let call = link.begin(&rule, &revocations, &cells, NOW).unwrap();
    let response = CallResponse::Reply(reply);
    link.end(&rule, call.number, response, &mut revocations, &cells, NOW).unwrap();
    assert!(
        link.end(&rule, call.number, response, &mut revocations, &cells, NOW).is_none(),
        "a second answer"
    );
    std::iter::from_fn(|| matches!(link.take(&rule, demand, NOW), Standing::Taken(_)).then_some(())).count()
}

const GOOD: &str =
    "*7\r\n:4\r\n:6\r\n:77\r\n:478933333\r\n:2000000\r\n:0\r\n:62000000\r\n*4\r\n:3\r\n:88\r\n:0\r\n:5\r\n";
const READ: &str =
    "*6\r\n:88\r\n:1\r\n$32\r\n00000000000000000000000000000001\r\n:1\r\n:1797000000\r\n:0\r\n";

#[test]
fn a_good_reply_brings_what_was_asked_for() {
    assert_eq!(units_after(format!("{GOOD}+OK\r\n").as_bytes(), false), 4);
    assert_eq!(units_after(format!("{GOOD}{READ}+OK\r\n").as_bytes(), true), 4);
    assert_eq!(units_after(format!("{}+OK\r\n", GOOD.replace(":4\r\n:6", ":5\r\n:5")).as_bytes(), false), 0);
}

#[test]
fn a_lease_that_was_asked_for_before_the_clock_went_back_ends_with_its_bucket() {
    let rule = simulation::rule();
    let (cells, seed) = (MemoryCells::new(), Seed::from_bytes([1; 16]));
    let mut revocations = Revocations::open(&cells, seed, 16).unwrap();
    let mut link = Link::open(&rule, seed, [1; 16]);
    let demand = Demand {
        identity: Identity::from_digest(7),
        units: NonZeroU32::new(10).unwrap(),
        window_seconds: NonZeroU32::new(60).unwrap(),
    };
    assert_eq!(link.take(&rule, demand, NOW), Standing::Ask);
    (0..4).for_each(|_| _ = link.wait(demand.identity));
    let call = link.begin(&rule, &revocations, &cells, NOW).unwrap();
    // The grant is good for two seconds, and the call has taken one at most.
    let earlier = NOW.minus_seconds(600);
    let reply = format!("{GOOD}+OK\r\n");
    let response = CallResponse::Reply(reply.as_bytes());
    link.end(&rule, call.number, response, &mut revocations, &cells, earlier).unwrap();
    let Standing::Taken(unit) = link.take(&rule, demand, earlier) else { panic!("nothing in hand") };
    let after = earlier.plus_seconds(1);
    assert_eq!(link.take(&rule, demand, after), Standing::Ask);
    link.put_back(demand.identity, unit);
    assert_eq!(link.take(&rule, demand, after), Standing::Ask, "nor is one good then that was put back");
}

#[test]
fn ten_megabytes_bring_nothing() {
    let mut reply = GOOD.as_bytes().to_vec();
    reply.resize(10 << 20, b':');
    reply.extend_from_slice(b"\r\n+OK\r\n");
    assert_eq!(units_after(&reply, false), 0);
}

proptest! {
    #[test]
    fn a_reply_that_was_cut_or_garbled_brings_no_more_than_was_asked_for(
        cut in 0_usize..400,
        flips in prop::collection::vec((0_usize..400, any::<u8>()), 0..4),
        shares in any::<bool>(),
    ) {
        let mut reply = format!("{GOOD}{}+OK\r\n", if shares { READ } else { "" }).into_bytes();
        for (at, byte) in flips {
            if let Some(garbled) = reply.get_mut(at) {
                *garbled = byte;
            }
        }
        if cut < reply.len() {
            reply.truncate(cut);
            prop_assert_eq!(units_after(&reply, shares), 0, "cut");
        }
        prop_assert!(units_after(&reply, shares) <= 4);
    }

    #[test]
    fn any_reply_is_judged_without_a_panic(
        tokens in prop::collection::vec(prop::sample::select(vec![
            "*", "$", ":", "+", "-", "7", "4", "2", "32", "0", "\r\n", "OK", "NOSCRIPT", "-1",
            "00000000000000000000000000000001", "18446744073709551615", "9223372036854775807",
        ]), 0..60),
        shares in any::<bool>(),
    ) {
        let reply = [&tokens.concat(), "+OK\r\n"].concat();
        let units = units_after(reply.as_bytes(), shares);
        prop_assert!(units <= 4, "{} units", units);
    }
}
