//! Cells that conflict, fault or hold garbage.

use std::cell::Cell;

use api_guard_core::cells::{CellFault, CellId, Cells, Expected, Loaded, MemoryCells, Stored};
use api_guard_core::limit::{Charge, Leases, Limiter, Outcomes, Standing};

use super::{NOW, Worker, admit, charge, open, quota};

/// Cells whose stores conflict, and that fault once. They count how often they are asked.
pub(super) struct Troubled {
    pub(super) cells: MemoryCells,
    /// Stores that will conflict.
    pub(super) conflicts: Cell<u32>,
    stores: Cell<u32>,
    calls: Cell<u32>,
    /// Calls until the one that faults.
    fault_after: Cell<u32>,
}

impl Troubled {
    pub(super) fn new() -> Self {
        let [conflicts, stores, calls] = [const { Cell::new(0) }; 3];
        Self { cells: MemoryCells::new(), conflicts, stores, calls, fault_after: Cell::new(u32::MAX) }
    }

    /// How many loads and stores `run` makes, and what it returns.
    pub(super) fn calls_of<R>(&self, run: impl FnOnce() -> R) -> (u32, R) {
        let before = self.calls.get();
        let result = run();
        (self.calls.get() - before, result)
    }

    fn call(&self) -> Result<(), CellFault> {
        self.calls.set(self.calls.get() + 1);
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
        let mut outcomes = Outcomes::new();
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
    let mut outcomes = Outcomes::new();
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
