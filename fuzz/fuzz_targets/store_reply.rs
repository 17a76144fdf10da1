//! What the store of a fleet answers, as any bytes. Nothing panics, and no more units are in hand than were asked for.
#![no_main]

use std::num::NonZeroU32;

use api_guard_core::cells::MemoryCells;
use api_guard_core::fleet::{
    AtStart, CallResponse, Demand, FleetRule, Link, Names, SharedRevocations, Standing,
};
use api_guard_core::limit::Identity;
use api_guard_core::revocation::Revocations;
use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::algorithm::MacAlgorithm;
use api_guard_core::token::secret::Secret;
use libfuzzer_sys::fuzz_target;

/// As many requests wait.
const WAITING: usize = 4;

fuzz_target!(|data: &[u8]| {
    let secret = Secret::from_bytes(MacAlgorithm::Hs256, &[7; 32]).expect("long enough");
    let shared = SharedRevocations { poll_seconds: 1, at_start: AtStart::Refuse, max_age_seconds: None };
    let rule = FleetRule {
        cluster: "store".to_owned(),
        login: None,
        names: Names::new(secret, "ag".to_owned()),
        timeout_milliseconds: 50,
        nodes: None,
        longest_private_window_seconds: 60,
        revocations: Some(shared),
    };
    let (cells, seed) = (MemoryCells::new(), Seed::from_bytes([1; 16]));
    let mut revocations = Revocations::open(&cells, seed, 16).expect("cells");
    revocations.share_under(&rule.names);
    let mut link = Link::open(&rule, seed, [1; 16]);
    let demand = Demand {
        identity: Identity::from_digest(7),
        units: NonZeroU32::new(10).expect("not zero"),
        window_seconds: NonZeroU32::new(60).expect("not zero"),
    };
    let mut now = UnixNanos::from_seconds(1_796_000_000);
    for reply in data.split(|byte| *byte == 0) {
        if link.take(&rule, demand, now) == Standing::Ask {
            for _ in 0..WAITING {
                link.wait(demand.identity);
            }
        }
        if let Some(call) = link.begin(&rule, &revocations, &cells, now) {
            let reply = [reply, b"+OK\r\n"].concat();
            let response = CallResponse::Reply(&reply);
            link.end(&rule, call.number, response, &mut revocations, &cells, now);
        }
        let taken = || matches!(link.take(&rule, demand, now), Standing::Taken(_)).then_some(());
        let units = std::iter::from_fn(taken).take(100).count();
        assert!(units <= 20, "{units} units");
        assert!(revocations.live(now) <= 16);
        now = now.plus_seconds(1);
    }
});
