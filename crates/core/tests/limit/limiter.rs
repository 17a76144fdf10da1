//! Several limits at once, a full table, cells that conflict, fault or hold garbage.

use std::cell::Cell;
use std::num::NonZeroU32;

use api_guard_core::cells::{CellFault, CellId, Cells, Expected, Loaded, MemoryCells, Stored};
use api_guard_core::limit::{Charge, Identity, Leases, Limiter, Outcome, Quota, Standing};
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

/// As the guard asks: a charge that is alone is judged by itself.
pub fn admit(
    limiter: &Limiter,
    cells: &impl Cells,
    leases: &mut Leases,
    charges: &[Charge],
    now: UnixNanos,
) -> Result<(bool, Vec<Outcome>), CellFault> {
    let mut outcomes = vec![];
    let admitted = match charges {
        [charge] => {
            let outcome = limiter.admit_one(cells, leases, charge, now)?;
            outcomes.push(outcome);
            outcome.admits() || !charge.enforced
        }
        charges => limiter.admit(cells, leases, charges, &mut outcomes, now)?,
    };
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

    fn admit(&mut self, charges: &[Charge], now: UnixNanos) -> (bool, Vec<Outcome>) {
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
    assert_eq!(worker.admit(&[], NOW), (true, vec![]));
}

#[test]
fn a_charge_by_itself_is_judged_as_in_a_list() {
    let both = [MemoryCells::new(), MemoryCells::new()];
    let [mut alone, mut listed] = both.each_ref().map(|cells| Worker::new(cells, open(cells, 1)));
    for max in [3, 300, 5000] {
        for step in 0..8000_u64 {
            // A burst, then hardly any, then a clock that steps back, and after that all over again.
            let now = match step % 4000 {
                0..3000 => NOW.plus_seconds(step / 1000),
                late @ 3000..3900 => NOW.plus_seconds(late),
                _ => NOW.minus_seconds(100_000),
            };
            let charge = charge(&alone.limiter, "default", &(step % 3).to_string(), max);
            let outcome = alone.admit(&[charge], now).1[0];
            let mut outcomes = vec![];
            let admitted =
                listed.limiter.admit(listed.cells, &mut listed.leases, &[charge], &mut outcomes, now);
            assert_eq!(admitted, Ok(outcome.admits()));
            assert_eq!(outcomes, [outcome], "step {step} of {max}");
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

#[test]
fn newcomers_never_let_an_exhausted_identity_through() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 256));
    let exhausted: Vec<Charge> =
        (0..16).map(|who| charge(&worker.limiter, "default", &format!("victim-{who}"), 3)).collect();
    for charge in &exhausted {
        worker.spend(charge, 3);
    }
    let mut overflowed = 0_u32;
    for newcomer in 0..200_000_u32 {
        let one = Charge {
            identity: worker.limiter.identity("default", [&newcomer.to_le_bytes()[..]]),
            ..exhausted[0]
        };
        let outcome = worker.admit(&[one], NOW).1[0];
        overflowed += u32::from(outcome.overflow);
        if newcomer % 1000 == 0 {
            assert!(exhausted.iter().all(|charge| !worker.admit(&[*charge], NOW).0));
        }
    }
    assert!(overflowed > 190_000, "they did overflow: {overflowed}");
    assert!(exhausted.iter().all(|charge| !worker.admit(&[*charge], NOW).0));
    assert!(exhausted.iter().all(|charge| worker.admit(&[*charge], NOW.plus_seconds(64)).0));
}

#[test]
fn a_full_table_limits_newcomers_early_and_never_late() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 16));
    let of =
        |worker: &Worker<'_, MemoryCells>, who: u32| charge(&worker.limiter, "default", &who.to_string(), 3);
    for who in 0..48 {
        worker.spend(&of(&worker, who), 1);
    }
    let admitted = (100..110).filter(|who| worker.admit(&[of(&worker, *who)], NOW).0).count();
    assert_eq!(admitted, 3, "they share the limit of one");
    for who in 0..48 {
        worker.spend(&of(&worker, who), 2);
        assert!(!worker.admit(&[of(&worker, who)], NOW).0);
    }
}

#[test]
fn as_many_identities_as_the_capacity_says_are_counted_exactly() {
    let cells = MemoryCells::new();
    let mut worker = Worker::new(&cells, open(&cells, 20_000));
    for who in 0..20_000_u32 {
        let one = charge(&worker.limiter, "default", &who.to_string(), 1);
        let (admitted, outcomes) = worker.admit(&[one], NOW);
        assert!(admitted && !outcomes[0].overflow);
    }
}

#[test]
fn memory_is_bounded_whatever_identities_come() {
    let cells = MemoryCells::new();
    let capacity = 4096_usize;
    let mut worker = Worker::new(&cells, open(&cells, 4096));
    let limits: Vec<Identity> =
        (0..3).map(|limit| worker.limiter.overflow(&format!("limit-{limit}"))).collect();
    let mut largest = 0;
    for who in 0..300_000_u32 {
        let one = Charge {
            identity: worker.limiter.identity("default", [&who.to_le_bytes()[..]]),
            overflow: Some(limits[who as usize % 3]),
            quota: quota(3, 60),
            enforced: true,
        };
        // Slow enough for some to leave, fast enough for the table to be full.
        worker.admit(&[one], NOW.plus_seconds(u64::from(who) / 1000));
        if who % 10_000 == 0 {
            largest = largest.max(cells.bytes_held());
        }
    }
    let slots = capacity / 16;
    assert!(largest > slots * 40 * 108, "the table was full: {largest}");
    assert!(largest <= slots * ((48 + 3) * 108 + 11) + 100, "{largest} bytes held");
}

/// Cells whose stores conflict, and that fault once.
struct Troubled {
    cells: MemoryCells,
    /// Stores that will conflict.
    conflicts: Cell<u32>,
    stores: Cell<u32>,
    /// Calls until the one that faults.
    fault_after: Cell<u32>,
}

impl Troubled {
    fn new() -> Self {
        let cells = MemoryCells::new();
        Self { cells, conflicts: Cell::new(0), stores: Cell::new(0), fault_after: Cell::new(u32::MAX) }
    }

    fn call(&self) -> Result<(), CellFault> {
        let left = self.fault_after.get();
        self.fault_after.set(left.checked_sub(1).unwrap_or(u32::MAX));
        if left == 0 { Err(CellFault) } else { Ok(()) }
    }
}

impl Cells for Troubled {
    fn load(&self, id: CellId) -> Result<Option<Loaded>, CellFault> {
        self.call()?;
        self.cells.load(id)
    }

    fn store(&self, id: CellId, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault> {
        self.call()?;
        self.stores.set(self.stores.get() + 1);
        if self.conflicts.get() > 0 {
            self.conflicts.set(self.conflicts.get() - 1);
            return Ok(Stored::Conflict);
        }
        self.cells.store(id, bytes, expected)
    }
}

#[test]
fn what_stays_contended_is_refused_after_a_bounded_number_of_tries_and_spends_nothing() {
    let cells = Troubled::new();
    let mut worker = Worker::new(&cells, open(&cells, 65_536));
    let (first, second) =
        (charge(&worker.limiter, "first", "a", 9), charge(&worker.limiter, "second", "a", 9));
    for charges in [&[first][..], &[first, second]] {
        cells.stores.set(0);
        cells.conflicts.set(u32::MAX);
        let (admitted, outcomes) = worker.admit(charges, NOW);
        cells.conflicts.set(0);
        assert!(!admitted && cells.stores.get() == 32);
        assert_eq!((outcomes[0].standing, outcomes[0].retry_after_seconds), (Standing::Contended, 1));
        assert_eq!((outcomes[0].remaining, outcomes[0].reset_seconds), (0, 1));
        assert!(charges.iter().all(|charge| worker.used(charge) == 0));
    }
    cells.conflicts.set(31);
    assert!(worker.admit(&[first], NOW).0, "the last try counts");
}

#[test]
fn a_limit_in_report_mode_that_stays_contended_blocks_nothing() {
    let cells = Troubled::new();
    let mut worker = Worker::new(&cells, open(&cells, 65_536));
    let report = Charge { enforced: false, ..charge(&worker.limiter, "report", "a", 9) };
    let enforced = charge(&worker.limiter, "enforced", "a", 9);
    cells.conflicts.set(32);
    let (admitted, outcomes) = worker.admit(&[report, enforced], NOW);
    assert!(admitted);
    assert_eq!(outcomes[0].standing, Standing::Contended);
    assert_eq!((worker.used(&report), worker.used(&enforced)), (0, 1));
}

/// Another worker that uses up a limit just before this one stores anything.
struct Rival<'c> {
    cells: &'c MemoryCells,
    armed: Cell<Option<(Limiter, Charge)>>,
}

impl Cells for Rival<'_> {
    fn load(&self, id: CellId) -> Result<Option<Loaded>, CellFault> {
        self.cells.load(id)
    }

    fn store(&self, id: CellId, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault> {
        if let Some((limiter, charge)) = self.armed.take() {
            while limiter.record(self.cells, &charge, NOW)?.admits() {}
        }
        self.cells.store(id, bytes, expected)
    }
}

#[test]
fn a_limit_that_turns_to_refusal_between_judging_and_spending_leaves_nothing_spent() {
    for (max, capacity) in [(10, 65_536), (10, 1), (1000, 65_536), (100_000, 1)] {
        let memory = MemoryCells::new();
        let limiter = open(&memory, capacity);
        let [first, second, third] =
            ["first", "second", "third"].map(|name| charge(&limiter, name, "a", max));
        let scarce = Charge { quota: quota(5, 60), ..third };
        // With large limits the first two have leases by now.
        let cells = Rival { cells: &memory, armed: Cell::new(None) };
        let mut worker = Worker::new(&cells, limiter);
        for _ in 0..7 {
            assert!(worker.admit(&[first, second], NOW).0);
        }
        let before = [worker.admit(&[first], NOW).1[0].used, worker.admit(&[second], NOW).1[0].used];
        cells.armed.set(Some((limiter, scarce)));
        let (admitted, outcomes) = worker.admit(&[first, second, scarce], NOW);
        assert!(!admitted);
        assert_eq!(outcomes[2].standing, Standing::Refused);
        assert_eq!([outcomes[0].used, outcomes[1].used], before, "as if never spent");
        assert!(outcomes[..2].iter().all(|outcome| outcome.used + outcome.remaining == max));
        let after = [worker.admit(&[first], NOW).1[0].used, worker.admit(&[second], NOW).1[0].used];
        assert_eq!(after, before.map(|used| used + 1));
    }
}

#[test]
fn a_warning_that_was_rolled_back_comes_with_the_next_request() {
    // Large enough, the one that warns takes a lease as well.
    for max in [5, 10_000] {
        let memory = MemoryCells::new();
        let limiter = open(&memory, 65_536);
        let cells = Rival { cells: &memory, armed: Cell::new(None) };
        let mut worker = Worker::new(&cells, limiter);
        let (warns, scarce) = (charge(&limiter, "warns", "a", max), charge(&limiter, "scarce", "a", 5));
        worker.spend(&warns, max / 5 * 4 - 1);
        cells.armed.set(Some((limiter, scarce)));
        let (admitted, outcomes) = worker.admit(&[warns, scarce], NOW);
        assert!(!admitted);
        assert_eq!(outcomes[0].standing, Standing::Admitted);
        assert_eq!(worker.admit(&[warns], NOW).1[0].standing, Standing::Warned, "of {max}");
    }
}

#[test]
fn a_fault_at_any_call_is_an_error_that_spends_nothing() {
    let mut faults = 0;
    for fault_after in 0..10 {
        let cells = Troubled::new();
        let mut worker = Worker::new(&cells, open(&cells, 65_536));
        let charges = ["a", "b", "c"].map(|name| charge(&worker.limiter, name, "a", 10));
        for _ in 0..5 {
            assert!(worker.admit(&charges, NOW).0);
        }
        cells.fault_after.set(fault_after);
        let mut outcomes = vec![];
        let result = worker.limiter.admit(&cells, &mut worker.leases, &charges, &mut outcomes, NOW);
        cells.fault_after.set(u32::MAX);
        let expected = if fault_after < 6 { Err(CellFault) } else { Ok(true) };
        assert_eq!(result, expected, "three loads and three stores");
        faults += u32::from(result.is_err());
        let used = charges.map(|charge| worker.used(&charge));
        assert_eq!(used, [if result.is_err() { 5 } else { 6 }; 3], "fault after {fault_after}");
    }
    assert_eq!(faults, 6);
}

#[test]
fn leased_units_survive_a_fault() {
    let cells = Troubled::new();
    let mut worker = Worker::new(&cells, open(&cells, 65_536));
    let (large, small) =
        (charge(&worker.limiter, "large", "a", 100_000), charge(&worker.limiter, "small", "a", 10));
    worker.spend(&large, 20);
    let before = worker.admit(&[large], NOW).1[0].used;
    cells.fault_after.set(0);
    let mut outcomes = vec![];
    let result = worker.limiter.admit(&cells, &mut worker.leases, &[large, small], &mut outcomes, NOW);
    assert_eq!(result, Err(CellFault));
    assert_eq!(worker.admit(&[large], NOW).1[0].used, before + 1);
}

#[test]
fn garbage_in_a_cell_is_a_fault_and_not_a_panic() {
    let cells = MemoryCells::new();
    let limiter = open(&cells, 1);
    let charge = charge(&limiter, "default", "a", 5);
    for (length, byte) in [(1, 1), (107, 0), (108, 0), (109, 3), (5000, 255)] {
        let _ = cells.store(CellId::LimitSlot(0), &vec![byte; length], Expected::Anything);
        for charges in [&[charge][..], &[charge, charge]] {
            let result = admit(&limiter, &cells, &mut Leases::new(), charges, NOW);
            assert_eq!(result, Err(CellFault), "{length} bytes of {byte}");
        }
        assert_eq!(limiter.peek(&cells, &charge, NOW), Err(CellFault));
    }
}
