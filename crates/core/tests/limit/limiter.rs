//! Several limits at once, a full table, cells that conflict, fault or hold garbage.

mod full;
mod trouble;
mod used_up;

use std::num::NonZeroU32;

use api_guard_core::cells::{CellFault, Cells, MemoryCells};
use api_guard_core::limit::{Charge, Identity, Leases, Limiter, Outcomes, Quota, Standing};
use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;

const NOW: UnixNanos = UnixNanos::from_seconds(1_800_000_000);

pub fn quota(max_requests: u32, window_seconds: u32) -> Quota {
    Quota {
        max_requests: NonZeroU32::new(max_requests).unwrap(),
        window_seconds: NonZeroU32::new(window_seconds).unwrap(),
        warn_at_percent: Some(80),
    }
}

pub fn open(cells: &impl Cells, capacity: u32) -> Limiter {
    Limiter::open(cells, Seed::from_bytes([7; 16]), capacity, 1).unwrap()
}

pub fn charge(limiter: &Limiter, limit: &str, key: &str, max_requests: u32) -> Charge {
    Charge {
        identity: limiter.identity(limit, [key.as_bytes()]),
        overflow: Some(limiter.overflow(limit)),
        quota: quota(max_requests, 60),
        enforced: true,
    }
}

/// A charge of a caller whose lease has the same place in a worker as that of any other `number`.
pub fn meeting(limiter: &Limiter, number: u128, max_requests: u32) -> Charge {
    let identity = Identity::from_digest(number << 64);
    Charge { identity, ..charge(limiter, "default", "", max_requests) }
}

/// As the guard asks.
pub fn admit(
    limiter: &Limiter,
    cells: &impl Cells,
    leases: &mut Leases,
    charges: &[Charge],
    now: UnixNanos,
) -> Result<(bool, Outcomes), CellFault> {
    let mut outcomes = Outcomes::new();
    let admitted = limiter.admit(cells, leases, charges, &mut outcomes, now)?;
    Ok((admitted, outcomes))
}

/// One worker.
struct Worker<'c, C> {
    cells: &'c C,
    limiter: Limiter,
    leases: Leases,
}

impl<'c, C: Cells> Worker<'c, C> {
    fn new(cells: &'c C, limiter: Limiter) -> Self {
        Self { cells, limiter, leases: Leases::new() }
    }

    fn admit(&mut self, charges: &[Charge], now: UnixNanos) -> (bool, Outcomes) {
        let (admitted, outcomes) = admit(&self.limiter, self.cells, &mut self.leases, charges, now).unwrap();
        assert_eq!(outcomes.len(), charges.len());
        (admitted, outcomes)
    }

    fn spend(&mut self, charge: &Charge, times: u32) {
        for _ in 0..times {
            assert!(self.admit(std::slice::from_ref(charge), NOW).0);
        }
    }

    fn used(&self, charge: &Charge) -> u32 {
        self.limiter.peek(self.cells, charge, NOW).unwrap().used
    }
}

#[test]
fn the_figures_are_those_of_the_headers() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 64));
    let charge = charge(&worker.limiter, "default", "a", 5);
    let mut seen = vec![];
    for second in 0..6 {
        let outcome = worker.admit(&[charge], NOW.plus_seconds(second)).1[0];
        seen.push((outcome.standing, outcome.used, outcome.remaining, outcome.retry_after_seconds));
        assert_eq!(u64::from(outcome.reset_seconds), 64 - second, "17/16 of the window, in whole seconds");
    }
    use Standing::{Admitted, Refused, Warned};
    let expected = [
        (Admitted, 1, 4, 0),
        (Admitted, 2, 3, 0),
        (Admitted, 3, 2, 0),
        (Warned, 4, 1, 0),
        (Admitted, 5, 0, 0),
        (Refused, 5, 0, 59),
    ];
    assert_eq!(seen, expected);
    assert!(!worker.admit(&[charge], NOW.plus_seconds(5 + 58)).0);
    assert!(worker.admit(&[charge], NOW.plus_seconds(5 + 59)).0);
}

#[test]
fn no_charge_no_refusal() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 64));
    assert_eq!(worker.admit(&[], NOW), (true, Outcomes::new()));
}

#[test]
fn a_charge_by_itself_is_judged_as_in_a_list() {
    let both = [MemoryCells::new(), MemoryCells::new()];
    let [mut alone, mut listed] = both.each_ref().map(|cells| Worker::new(cells, open(cells, 1)));
    let plenty = charge(&listed.limiter, "another", "all", u32::MAX);
    for max in [3, 300, 5000] {
        for step in 0..8000_u64 {
            // A burst, then hardly any, then a clock that steps back, and after that all over again.
            let now = match step % 4000 {
                0..3000 => NOW.plus_seconds(step / 1000),
                late @ 3000..3900 => NOW.plus_seconds(late),
                _ => NOW.minus_seconds(100_000),
            };
            let charge = charge(&alone.limiter, "default", &(step % 3).to_string(), max);
            let (admitted, alone_outcomes) = alone.admit(&[charge], now);
            // What is spent together is spent here one after the other, so that both tables hold the same.
            let other = admitted.then(|| alone.admit(&[plenty], now).1[0]);
            let (listed_admitted, outcomes) = listed.admit(&[charge, plenty], now);
            assert_eq!(listed_admitted, admitted);
            assert_eq!(outcomes[0], alone_outcomes[0], "step {step} of {max}");
            assert_eq!(other.unwrap_or(outcomes[1]), outcomes[1], "step {step} of {max}");
        }
    }
}

#[test]
fn a_throttled_caller_does_not_spend_the_shared_limit() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 65_536));
    let own = charge(&worker.limiter, "own", "a", 3);
    let shared = charge(&worker.limiter, "shared", "", 100);
    worker.spend(&own, 3);
    for charges in [[own, shared], [shared, own]] {
        for _ in 0..10 {
            let (admitted, outcomes) = worker.admit(&charges, NOW);
            assert!(!admitted);
            assert_eq!(outcomes.iter().filter(|outcome| outcome.standing == Standing::Refused).count(), 1);
        }
    }
    assert_eq!(worker.used(&shared), 0);
}

#[test]
fn a_limit_in_report_mode_blocks_nothing_and_its_refusal_spends_nothing() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 65_536));
    let report = Charge { enforced: false, ..charge(&worker.limiter, "report", "a", 2) };
    let enforced = charge(&worker.limiter, "enforced", "a", 10);
    for _ in 0..10 {
        assert!(worker.admit(&[report, enforced], NOW).0);
    }
    assert_eq!((worker.used(&report), worker.used(&enforced)), (2, 10));
    let (admitted, outcomes) = worker.admit(&[report], NOW);
    assert!(admitted);
    assert_eq!(outcomes[0].standing, Standing::Refused);
}

#[test]
fn an_enforced_refusal_spends_nothing_of_a_limit_in_report_mode() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 65_536));
    let report = Charge { enforced: false, ..charge(&worker.limiter, "report", "a", 20) };
    let enforced = charge(&worker.limiter, "enforced", "a", 1);
    worker.spend(&enforced, 1);
    assert!(!worker.admit(&[report, enforced], NOW).0);
    assert_eq!(worker.used(&report), 0);
}

#[test]
fn limits_that_share_a_slot_are_all_counted() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 1));
    let charges: Vec<Charge> =
        (0..5).map(|limit| charge(&worker.limiter, &format!("limit-{limit}"), "a", 7)).collect();
    for _ in 0..7 {
        assert!(worker.admit(&charges, NOW).0);
    }
    assert!(!worker.admit(&charges, NOW).0);
    assert!(charges.iter().all(|charge| worker.used(charge) == 7));
}

#[test]
fn one_identity_charged_twice_is_counted_twice() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 64));
    for (key, max) in [("few", 9), ("many", 100_000)] {
        let charge = charge(&worker.limiter, "default", key, max);
        let lower = Charge { quota: quota(max - 1, 60), ..charge };
        let mut admitted = 0;
        while worker.admit(&[charge, lower], NOW).0 {
            admitted += 2;
        }
        assert!(admitted <= max && admitted + 1500 > max.min(1500), "{admitted} of {max}");
    }
}

#[test]
fn peeking_spends_nothing_and_recording_stops_at_the_limit() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 64);
    let failures = charge(&limiter, "failures", "a", 3);
    for expected in [0, 1, 2] {
        let before = limiter.peek(&cells, &failures, NOW).unwrap();
        assert_eq!((before.standing, before.used), (Standing::Admitted, expected));
        assert_eq!(limiter.record(&cells, &failures, NOW).unwrap().used, expected + 1);
    }
    assert_eq!(limiter.peek(&cells, &failures, NOW).unwrap().standing, Standing::Refused);
    let last = limiter.record(&cells, &failures, NOW.plus_seconds(30)).unwrap();
    assert_eq!((last.standing, last.used), (Standing::Refused, 3));
    assert_eq!(limiter.peek(&cells, &failures, NOW.plus_seconds(64)).unwrap().used, 0);
}

#[test]
fn who_was_refused_after_the_clock_stepped_back_far_is_admitted_after_the_wait_it_was_told() {
    for with_another in [false, true] {
        let cells = MemoryCells::new();
        let mut worker = Worker::new(&cells, open(&cells, 64));
        let first = charge(&worker.limiter, "default", "a", 5);
        worker.spend(&first, 5);
        let charges = [first, charge(&worker.limiter, "other", "a", 5)];
        let charges = if with_another { &charges[..] } else { &charges[..1] };
        let mut now = NOW.minus_seconds(1_000_000);
        let (admitted, outcomes) = worker.admit(charges, now);
        assert!(!admitted, "nothing is refunded");
        for _ in 0..outcomes[0].retry_after_seconds {
            assert!(!worker.admit(charges, now).0);
            now = now.plus_seconds(1);
        }
        assert!(worker.admit(charges, now).0);
    }
}

#[test]
fn peeking_at_a_refusal_after_the_clock_stepped_back_far_lets_the_wait_begin() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 64);
    let failures = charge(&limiter, "failures", "a", 2);
    for _ in 0..2 {
        limiter.record(&cells, &failures, NOW).unwrap();
    }
    let mut now = NOW.minus_seconds(1_000_000);
    let wait = limiter.peek(&cells, &failures, now).unwrap().retry_after_seconds;
    for _ in 0..wait {
        assert_eq!(limiter.peek(&cells, &failures, now).unwrap().standing, Standing::Refused);
        now = now.plus_seconds(1);
    }
    assert_eq!(limiter.peek(&cells, &failures, now).unwrap().standing, Standing::Admitted);
}
