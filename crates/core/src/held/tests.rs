use std::cell::Cell;

use super::*;
use crate::cells::{Expected, Loaded, MemoryCells, Stored};

const BOUND: u64 = 1_048_576;
/// In what steps is reserved under that bound, bytes.
const STEP: u64 = 4096;

fn at(milliseconds: u64) -> UnixNanos {
    UnixNanos::from_nanos(milliseconds.saturating_mul(1_000_000).saturating_add(1_000_000_000_000))
}

/// Cells that count the stores.
#[derive(Default)]
struct Counted {
    cells: MemoryCells,
    stores: Cell<u32>,
}

impl Cells for Counted {
    fn load(&self, id: CellId) -> Result<Option<Loaded>, CellFault> {
        self.cells.load(id)
    }

    fn store(&self, id: CellId, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault> {
        self.stores.set(self.stores.get().saturating_add(1));
        self.cells.store(id, bytes, expected)
    }
}

fn worker() -> Arc<HeldBytes> {
    Arc::default()
}

fn grow(body: &mut HeldBody, bytes: u64, cells: &impl Cells, now: UnixNanos) -> Result<bool, Denial> {
    body.grow(bytes, BOUND, cells, now)
}

/// How much one worker more could hold, to the step.
fn room(cells: &impl Cells, now: UnixNanos) -> u64 {
    let other = worker();
    let mut body = HeldBody::new(&other);
    let sizes = (STEP..=BOUND).step_by(4096);
    let room = sizes.filter(|size| grow(&mut body, *size, cells, now).is_ok()).last().unwrap_or(0);
    drop(body);
    other.settle(BOUND, cells, now);
    room
}

#[test]
fn not_every_piece_of_a_body_costs_a_swap() {
    let cells = Counted::default();
    let worker = worker();
    let mut body = HeldBody::new(&worker);
    for bytes in 1..=STEP {
        assert_eq!(grow(&mut body, bytes, &cells, at(0)), Ok(true));
    }
    assert_eq!((cells.stores.get(), worker.held()), (1, STEP));
    assert_eq!(grow(&mut body, STEP, &cells, at(0)), Ok(false), "not a byte more");
    assert_eq!(grow(&mut body, 5, &cells, at(0)), Ok(false), "a body does not shrink");
    assert_eq!(grow(&mut body, STEP + 1, &cells, at(0)), Ok(true));
    assert_eq!((cells.stores.get(), worker.held()), (2, STEP + 1));
}

#[test]
fn all_workers_together_stay_within_the_bound() {
    let cells = MemoryCells::new();
    let workers = [worker(), worker(), worker()];
    let mut bodies: Vec<HeldBody> = Vec::new();
    for round in 0..10_000 {
        let mut body = HeldBody::new(&workers[round % 3]);
        match body.grow(1000, BOUND, &cells, at(0)) {
            Ok(grew) => assert!(grew),
            Err(denial) => {
                assert_eq!(denial, Denial::Busy(NoRoom::Full));
                break;
            }
        }
        bodies.push(body);
    }
    let held: u64 = workers.iter().map(|worker| worker.held()).sum();
    assert_eq!(held, u64::try_from(bodies.len()).unwrap() * 1000);
    assert!(held <= BOUND && held > BOUND - 3 * STEP - 1000, "{held}");
}

#[test]
fn a_body_that_finds_no_room_changes_nothing() {
    let cells = MemoryCells::new();
    let (first, second) = (worker(), worker());
    let mut large = HeldBody::new(&first);
    grow(&mut large, BOUND - STEP, &cells, at(0)).unwrap();
    let mut body = HeldBody::new(&second);
    for worker in [&first, &second] {
        let mut more = HeldBody::new(worker);
        assert_eq!(grow(&mut more, STEP + 1, &cells, at(0)), Err(Denial::Busy(NoRoom::Full)));
    }
    assert_eq!((first.held(), second.held()), (BOUND - STEP, 0));
    assert_eq!(grow(&mut body, STEP, &cells, at(0)), Ok(true));
}

#[test]
fn a_bound_that_was_lowered_by_a_push_holds_for_what_comes_after_it() {
    let cells = MemoryCells::new();
    let worker = worker();
    let mut body = HeldBody::new(&worker);
    grow(&mut body, 1000, &cells, at(0)).unwrap();
    let mut more = HeldBody::new(&worker);
    assert_eq!(
        more.grow(1, 1000, &cells, at(0)),
        Err(Denial::Busy(NoRoom::Full)),
        "reserved, and yet too much"
    );
}

#[test]
fn what_was_given_back_is_free_for_other_workers_with_the_next_tick() {
    let cells = MemoryCells::new();
    let worker = worker();
    let mut body = HeldBody::new(&worker);
    grow(&mut body, BOUND, &cells, at(0)).unwrap();
    assert_eq!(worker.settle(BOUND, &cells, at(0)), Some(BOUND));
    assert_eq!(room(&cells, at(1)), 0);
    drop(body);
    assert_eq!(worker.held(), 0);
    assert_eq!(worker.settle(BOUND, &cells, at(100)), Some(0));
    assert_eq!(room(&cells, at(100)), BOUND);
}

#[test]
fn a_little_that_is_not_needed_is_kept_until_a_second_has_passed() {
    let cells = Counted::default();
    let worker = worker();
    let body = |bytes| {
        let mut body = HeldBody::new(&worker);
        grow(&mut body, bytes, &cells, at(0)).unwrap();
        body
    };
    worker.settle(BOUND, &cells, at(0));
    for round in 0..100 {
        drop(body(100));
        assert_eq!(worker.settle(BOUND, &cells, at(round)), None);
    }
    assert_eq!(cells.stores.get(), 1, "it was reserved once");
    assert_eq!(worker.settle(BOUND, &cells, at(1000)), Some(0));
    assert_eq!(room(&cells, at(1000)), BOUND);
}

#[test]
fn a_worker_that_holds_nothing_stores_nothing() {
    let cells = Counted::default();
    let worker = worker();
    for second in 0..5 {
        assert_eq!(worker.settle(BOUND, &cells, at(second * 1000)), Some(0));
        assert_eq!(worker.settle(BOUND, &cells, at(second * 1000 + 999)), None);
    }
    assert_eq!(cells.stores.get(), 0);
}

#[test]
fn the_part_of_a_worker_that_died_lapses_and_that_of_one_who_lives_does_not() {
    let cells = MemoryCells::new();
    let (dead, alive) = (worker(), worker());
    let mut lost = HeldBody::new(&dead);
    let mut body = HeldBody::new(&alive);
    grow(&mut lost, STEP * 9, &cells, at(0)).unwrap();
    grow(&mut body, STEP * 2, &cells, at(0)).unwrap();
    for second in 1..=30 {
        let held = alive.settle(BOUND, &cells, at(second * 1000)).unwrap();
        let expected = if second < 10 { STEP * 11 } else { STEP * 2 };
        assert_eq!((held, room(&cells, at(second * 1000))), (expected, BOUND - expected), "{second}");
    }
    // A worker that only slept comes back, and what it holds counts at once.
    assert_eq!(dead.settle(BOUND, &cells, at(31_000)), Some(STEP * 11));
    assert_eq!(room(&cells, at(31_000)), BOUND - STEP * 11);
}

#[test]
fn a_clock_that_leaps_costs_nobody_his_part_for_longer_than_a_tick() {
    let cells = MemoryCells::new();
    let (first, second) = (worker(), worker());
    let mut bodies = [HeldBody::new(&first), HeldBody::new(&second)];
    for body in &mut bodies {
        grow(body, STEP * 100, &cells, at(0)).unwrap();
    }
    for now in [at(3_600_000), at(0), UnixNanos::default(), UnixNanos::from_nanos(u64::MAX)] {
        first.settle(BOUND, &cells, now);
        assert_eq!(second.settle(BOUND, &cells, now), Some(STEP * 200));
        assert_eq!(room(&cells, now), BOUND - STEP * 200);
    }
}

#[test]
fn a_cell_that_stays_contended_or_cannot_be_read_gives_no_room() {
    struct Failing(Result<Stored, CellFault>);
    impl Cells for Failing {
        fn load(&self, _: CellId) -> Result<Option<Loaded>, CellFault> {
            Ok(None)
        }
        fn store(&self, _: CellId, _: &[u8], _: Expected) -> Result<Stored, CellFault> {
            self.0
        }
    }
    for (result, denial) in [
        (Ok(Stored::Conflict), Denial::Busy(NoRoom::Contended)),
        (Err(CellFault), Denial::Fault(Fault::SharedData)),
    ] {
        let worker = worker();
        let mut body = HeldBody::new(&worker);
        assert_eq!(grow(&mut body, 1, &Failing(result), at(0)), Err(denial));
        assert_eq!(worker.held(), 0);
    }
    // What could not be given back is given back later.
    let cells = MemoryCells::new();
    let worker = worker();
    let mut body = HeldBody::new(&worker);
    grow(&mut body, BOUND, &cells, at(0)).unwrap();
    drop(body);
    assert_eq!(worker.settle(BOUND, &Failing(Ok(Stored::Conflict)), at(1)), None);
    assert_eq!(worker.settle(BOUND, &cells, at(2)), Some(0));
}

#[test]
fn bounds_of_any_size_are_kept() {
    for bound in [1, 2, 255, 256, 1000, 8 << 20, 64 << 20, 1 << 40] {
        let cells = MemoryCells::new();
        let (first, second) = (worker(), worker());
        let mut body = HeldBody::new(&first);
        assert_eq!(body.grow(bound, bound, &cells, at(0)), Ok(true), "{bound}");
        let mut more = HeldBody::new(&second);
        assert_eq!(more.grow(1, bound, &cells, at(0)), Err(Denial::Busy(NoRoom::Full)), "{bound}");
        assert!(step(bound) <= bound && step(bound) <= LARGEST_STEP);
    }
}

#[test]
fn workers_in_threads_never_hold_more_than_the_bound() {
    let cells = MemoryCells::new();
    let most = std::sync::atomic::AtomicU64::new(0);
    let total = std::sync::atomic::AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let worker = worker();
                for round in 0..500_u64 {
                    let bytes = BOUND / 8 * (1 + round % 5);
                    let mut body = HeldBody::new(&worker);
                    if grow(&mut body, bytes, &cells, at(0)).is_ok() {
                        let now = total.fetch_add(bytes, std::sync::atomic::Ordering::SeqCst) + bytes;
                        most.fetch_max(now, std::sync::atomic::Ordering::SeqCst);
                        total.fetch_sub(bytes, std::sync::atomic::Ordering::SeqCst);
                    }
                    drop(body);
                    worker.settle(BOUND, &cells, at(0));
                }
            });
        }
    });
    assert!((1..=BOUND).contains(&most.into_inner()));
}
