//! Newcomers of one limit, however many, crowd out newcomers of that limit and of no other.

use std::collections::{HashMap, HashSet};

use api_guard_core::cells::MemoryCells;
use api_guard_core::limit::{Charge, Leases, Limiter, Outcome};
use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;
use proptest::prelude::*;

use crate::limiter::{charge, quota};

const NOW: UnixNanos = UnixNanos::from_seconds(1_800_000_000);
/// Entries of a slot.
const SLOT: usize = 48;

/// What each of so many limits can always have of a slot: an equal part of half of it.
fn share(limits: usize) -> usize {
    SLOT / 2 / limits
}

/// What one limit can have if the others have nothing.
fn alone(limits: usize) -> usize {
    SLOT - (limits - 1) * share(limits)
}

fn open(cells: &MemoryCells, capacity: u32, limits: usize) -> Limiter {
    Limiter::open(cells, Seed::from_bytes([7; 16]), capacity, limits).unwrap()
}

/// Limits that share one slot.
struct Shared {
    cells: MemoryCells,
    limiter: Limiter,
    leases: Leases,
}

impl Shared {
    fn new(limits: usize) -> Self {
        let cells = MemoryCells::new();
        let limiter = open(&cells, 1, limits);
        Self { cells, limiter, leases: Leases::new() }
    }

    fn ask(&mut self, limit: &str, who: usize, max_requests: u32, now: UnixNanos) -> Outcome {
        let one = charge(&self.limiter, limit, &who.to_string(), max_requests);
        self.limiter.admit_one(&self.cells, &mut self.leases, &one, now).unwrap()
    }

    /// How many of so many newcomers have a counter of their own.
    fn counted(&mut self, limit: &str, newcomers: usize) -> usize {
        (0..newcomers).filter(|who| !self.ask(limit, *who, 1000, NOW).overflow).count()
    }
}

#[test]
fn a_flood_takes_what_is_common_and_no_part_of_the_others_shares() {
    for limits in [1, 2, 3, 5, 8, 23, 24, 25, 100] {
        let mut shared = Shared::new(limits);
        assert_eq!(shared.counted("flood", 300), alone(limits), "of {limits}");
        for other in 1..limits {
            assert_eq!(shared.counted(&format!("other-{other}"), 30), share(limits), "{other} of {limits}");
        }
        let most = (SLOT + limits) * 108 + 100;
        assert!(shared.cells.bytes_held() <= most, "{} of {limits}", shared.cells.bytes_held());
    }
}

#[test]
fn several_floods_together_take_no_part_of_another_limit_s_share() {
    let mut shared = Shared::new(4);
    for who in 0..300 {
        for flood in ["a", "b", "c"] {
            shared.ask(flood, who, 1000, NOW);
        }
    }
    assert_eq!(shared.counted("other", 30), 6);
}

#[test]
fn of_more_limits_than_half_a_slot_has_entries_each_has_a_counter_of_its_own() {
    let mut shared = Shared::new(100);
    assert_eq!(shared.counted("flood", 300), SLOT);
    for other in 1..100 {
        for expected in [true, true, false] {
            let outcome = shared.ask(&format!("other-{other}"), 1, 2, NOW);
            assert_eq!((outcome.admits(), outcome.overflow), (expected, true), "{other}");
        }
    }
}

#[test]
fn newcomers_beyond_a_share_are_counted_with_their_own_limit_s_only() {
    let mut shared = Shared::new(2);
    assert_eq!(shared.counted("flood", 3000), 36);
    assert!(!shared.ask("flood", 99_999, 1000, NOW).admits(), "what its newcomers share is used up");
    assert_eq!(shared.counted("other", 12), 12);
    for late in 0..5 {
        let outcome = shared.ask("other", 100 + late, 3, NOW);
        assert!(outcome.overflow);
        assert_eq!(outcome.admits(), late < 3, "they share the limit of one: {late}");
    }
}

#[test]
fn a_limit_that_came_early_keeps_what_it_has() {
    let mut shared = Shared::new(2);
    assert_eq!(shared.counted("early", 30), 30, "more than its share, while there is room");
    assert_eq!(shared.counted("late", 100), 18, "its share, and what is left in common");
    for who in 0..30 {
        assert_eq!(shared.ask("early", who, 1000, NOW).used, 2);
    }
}

#[test]
fn limits_that_a_pushed_configuration_no_longer_has_age_out_and_take_no_share_of_the_new() {
    let mut shared = Shared::new(2);
    assert_eq!(shared.counted("old", 300), 36);
    assert_eq!(shared.counted("older", 12), 12);
    shared.limiter = open(&shared.cells, 1, 3);
    for new in ["new-1", "new-2", "new-3"] {
        assert_eq!(shared.counted(new, 30), share(3), "{new}");
    }
    let later = NOW.plus_seconds(64);
    for who in 0..alone(3) {
        assert!(!shared.ask("new-1", 1000 + who, 1000, later).overflow, "as if they had never been: {who}");
    }
}

#[test]
fn counters_survive_a_configuration_that_reorders_limits_or_has_more_of_them() {
    let mut shared = Shared::new(2);
    for limit in ["a", "b"] {
        for _ in 0..3 {
            assert!(shared.ask(limit, 7, 3, NOW).admits());
        }
    }
    for limits in [1, 2, 30] {
        shared.limiter = open(&shared.cells, 1, limits);
        for limit in ["b", "a"] {
            assert!(!shared.ask(limit, 7, 3, NOW).admits(), "{limit} of {limits}");
        }
    }
}

#[test]
fn in_a_table_of_any_size_a_limit_has_its_equal_part_of_half_the_capacity_whatever_floods_it() {
    for (capacity, limits) in [(16_u32, 1_usize), (16, 4), (256, 2), (1024, 4), (4096, 2)] {
        let cells = MemoryCells::new();
        let limiter = open(&cells, capacity, limits);
        let mut leases = Leases::none();
        let mut overflowed = |limit: &str, newcomers: u32| {
            let mut is_shared = |who: u32| {
                let one = charge(&limiter, limit, &who.to_string(), 1000);
                limiter.admit_one(&cells, &mut leases, &one, NOW).unwrap().overflow
            };
            (0..newcomers).filter(|who| is_shared(*who)).count()
        };
        if limits > 1 {
            assert!(overflowed("flood", capacity * 8) > 0);
        }
        let part = capacity / 2 / u32::try_from(limits).unwrap();
        for other in 1..limits.max(2) {
            assert_eq!(overflowed(&format!("other-{other}"), part), 0, "{capacity} for {limits}");
        }
    }
}

/// One request of somebody under one of the limits, so many sixteenths of a window after the one before.
#[derive(Debug, Clone)]
struct Step {
    limit: usize,
    who: usize,
    sixteenths: u64,
}

fn steps(limits: usize) -> impl Strategy<Value = Vec<Step>> {
    // Mostly the first limit, whose client makes up whom it likes.
    let limit = prop_oneof![3 => Just(0), 2 => 0..limits];
    let later = prop_oneof![20 => Just(0_u64), 1 => 0..40_u64];
    let step =
        (limit, 0..100_usize, later).prop_map(|(limit, who, sixteenths)| Step { limit, who, sixteenths });
    prop::collection::vec(step, 1..600)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    /// Whatever comes: who has room by the rule is counted by itself, nobody is admitted more often than the limit
    /// says, and what the newcomers of a limit share is spent by them alone.
    #[test]
    fn a_newcomer_finds_room_within_its_limit_s_share_and_no_limit_is_exceeded(
        (limits, steps) in (1..30_usize).prop_flat_map(|limits| (Just(limits), steps(limits)))
    ) {
        const MAX: u32 = 3;
        // Bounds that hold whenever within a sub-window something was spent, in sixteenths.
        const SURELY_LIVE: u64 = 16;
        const SURELY_DEAD: u64 = 18;
        let mut shared = Shared::new(limits);
        let mut admitted: HashMap<(usize, usize), Vec<u64>> = HashMap::new();
        let mut overflowed: HashMap<usize, Vec<u64>> = HashMap::new();
        let mut passed = 0;
        for Step { limit, who, sixteenths } in steps {
            passed += sixteenths;
            let now = UnixNanos::from_nanos(NOW.nanos() + passed * 60_000_000_000 / 16);
            let since = |log: &[u64], most: u64| log.iter().filter(|&&spent| passed - spent < most).count();
            let may_be_live: HashSet<_> = admitted
                .iter()
                .filter(|(_, log)| since(log, SURELY_DEAD) > 0)
                .map(|(who, _)| *who)
                .collect();
            let live_of = |limit| may_be_live.iter().filter(|(of, _)| *of == limit).count();
            let own = live_of(limit);
            let shared_in_use = overflowed.values().filter(|log| since(log, SURELY_DEAD) > 0).count();
            let beyond: usize = (0..limits).map(|limit| live_of(limit).saturating_sub(share(limits))).sum();
            let in_common = SLOT - limits * share(limits);
            let has_room = own < share(limits) || beyond + shared_in_use < in_common;
            let outcome = shared.ask(&format!("limit-{limit}"), who, MAX, now);
            if has_room {
                prop_assert!(!outcome.overflow, "{own} of limit {limit}, {} in all", may_be_live.len());
            }
            let log = admitted.entry((limit, who)).or_default();
            if outcome.admits() {
                log.push(passed);
                if outcome.overflow {
                    overflowed.entry(limit).or_default().push(passed);
                }
            } else {
                // Spent by itself, or by those who share what it is counted with.
                let theirs = overflowed.get(&limit).map_or(0, |log| since(log, SURELY_DEAD));
                prop_assert!(since(log, SURELY_DEAD) + theirs >= MAX as usize, "refused early by another limit");
            }
            prop_assert!(since(log, SURELY_LIVE + 1) <= MAX as usize, "admitted late");
        }
    }
}

#[test]
fn quotas_of_newcomers_are_their_own_also_on_top() {
    let mut shared = Shared::new(2);
    assert_eq!(shared.counted("flood", 300), 36);
    let newcomer = Charge { quota: quota(2, 60), ..charge(&shared.limiter, "other", "a", 1) };
    let admits = |shared: &mut Shared| {
        shared.limiter.admit_one(&shared.cells, &mut shared.leases, &newcomer, NOW).unwrap().admits()
    };
    assert_eq!([(); 3].map(|()| admits(&mut shared)), [true, true, false]);
}
