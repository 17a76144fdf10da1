//! Which shared cells are read and written, and what becomes of races, of workers that died and of garbage there.

use std::cell::RefCell;

use super::*;
use crate::cells::{Expected, Loaded, Stored};
use crate::revocation::revoke::MAX_TRIES;

/// Cells that note every access, and lose every race for cells whose keys start with `contended`.
pub(super) struct Watched<'a> {
    cells: &'a MemoryCells,
    accesses: RefCell<Vec<String>>,
    pub(super) contended: Option<&'static str>,
}

impl<'a> Watched<'a> {
    pub(super) fn new(cells: &'a MemoryCells) -> Self {
        Self { cells, accesses: RefCell::default(), contended: None }
    }

    fn taken(&self) -> Vec<String> {
        self.accesses.take()
    }
}

impl Cells for Watched<'_> {
    fn load(&self, id: CellId) -> Result<Option<Loaded>, CellFault> {
        self.accesses.borrow_mut().push(format!("load {}", id.key().as_str()));
        self.cells.load(id)
    }

    fn store(&self, id: CellId, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault> {
        self.accesses.borrow_mut().push(format!("store {}", id.key().as_str()));
        if self.contended.is_some_and(|prefix| id.key().as_str().starts_with(prefix)) {
            return Ok(Stored::Conflict);
        }
        self.cells.store(id, bytes, expected)
    }
}

#[test]
fn sixty_thousand_revocations_refuse_nobody_else_and_one_more_costs_one_page() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 65_536);
    // The marks are counters well mixed instead of keyed digests, which a build without optimisation makes too slowly.
    let marks = |number: u128| {
        let mixed = (number + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835);
        let token = mixed ^ (mixed >> 67);
        let own = TokenMarks {
            token: Mark::new(token),
            jti: Some(Mark::new(token.rotate_left(40))),
            subject: Some(Mark::new(token.rotate_left(80))),
            subject_of_issuer: Some(Mark::new(token.rotate_left(100))),
        };
        Marks { own, shared: None }
    };
    let enter = |view: &mut Revocations, number| {
        let revocable = Revocable::Token { marks: &marks(number), issued_at: None };
        view.revoke(&cells, revocable, until(HOUR), Authority::Holder, NOW)
    };
    for number in 0..60_000 {
        enter(&mut view, number).unwrap();
    }
    view.refresh(&cells).unwrap();
    assert_eq!(view.live(NOW), 60_000);
    assert!((0..60_000).all(|number| view.is_revoked(&marks(number), None, NOW)));
    assert!(!(60_000..1_060_000).any(|number| view.is_revoked(&marks(number), None, NOW)));

    let watched = Watched::new(&cells);
    view.refresh(&watched).unwrap();
    assert_eq!(watched.taken(), ["load ag2/rstamp"], "nothing new: one load");
    enter(&mut open(&cells, 65_536), 60_000).unwrap();
    view.refresh(&watched).unwrap();
    assert_eq!(watched.taken(), ["load ag2/rstamp", "load ag2/rdir", "load ag2/r/fa"]);
    assert!(view.is_revoked(&marks(60_000), None, NOW));
}

#[test]
fn a_view_of_nothing_revoked_loads_the_stamp_alone() {
    let cells = MemoryCells::new();
    let watched = Watched::new(&cells);
    let mut view = open(&cells, 1000);
    view.refresh(&watched).unwrap();
    assert_eq!(watched.taken(), ["load ag2/rstamp"]);
}

#[test]
fn writers_at_once_lose_nothing() {
    let cells = MemoryCells::new();
    let (writers, each) = (4, 300);
    std::thread::scope(|scope| {
        for writer in 0..writers {
            let cells = &cells;
            scope.spawn(move || {
                let mut view = open(cells, 1200);
                for number in 0..each {
                    let number = writer * each + number;
                    while revoke(&mut view, cells, number, until(HOUR), NOW) == Err(RevokeError::Contended) {}
                    assert!(refuses(&mut view, cells, number, NOW));
                }
            });
        }
    });
    let mut view = open(&cells, 1200);
    assert!((0..writers * each).all(|number| refuses(&mut view, &cells, number, NOW)));
    assert_eq!(view.live(NOW), 1200, "different marks fill the table exactly, whoever enters them");
    assert_eq!(revoke(&mut view, &cells, 9999, until(HOUR), NOW), Err(RevokeError::Full));
}

#[test]
fn one_mark_from_all_writers_at_once_is_in_force_when_any_of_them_returns() {
    let cells = MemoryCells::new();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let (mut writer, mut reader) = (open(&cells, 5000), open(&cells, 5000));
                for number in 0..200 {
                    while revoke(&mut writer, &cells, number, until(HOUR), NOW) == Err(RevokeError::Contended)
                    {
                    }
                    assert!(refuses(&mut reader, &cells, number, NOW));
                }
            });
        }
    });
}

#[test]
fn conflicts_without_end_are_given_up_after_bounded_tries() {
    for contended in ["ag2/r/", "ag2/rdir", "ag2/rstamp"] {
        let cells = MemoryCells::new();
        let mut view = open(&cells, 1000);
        revoke(&mut view, &cells, 1, until(HOUR), NOW).unwrap();
        let mut watched = Watched::new(&cells);
        watched.contended = Some(contended);
        assert_eq!(
            revoke(&mut view, &watched, 2, until(HOUR), NOW),
            Err(RevokeError::Contended),
            "{contended}"
        );
        assert!(watched.taken().len() <= 4 * usize::try_from(MAX_TRIES).unwrap());
        assert!(refuses(&mut view, &cells, 1, NOW));

        assert_eq!(revoke(&mut view, &cells, 2, until(HOUR), NOW), Ok(()), "asking again settles it");
        let mut other = open(&cells, 1000);
        assert!(refuses(&mut other, &cells, 2, NOW));
        assert_eq!(other.live(NOW), 2, "and took no second entry");
    }
}

/// What a worker leaves behind that stored a page and died before it announced it.
#[test]
fn a_page_that_was_never_announced_is_found_by_the_next_writer() {
    let cells = MemoryCells::new();
    let (mut one, mut other) = (open(&cells, 2), open(&cells, 2));
    revoke(&mut other, &cells, 1, until(HOUR), NOW).unwrap();
    other.refresh(&cells).unwrap();
    let mut died = Watched::new(&cells);
    died.contended = Some("ag2/rdir");
    assert_eq!(revoke(&mut one, &died, 2, until(HOUR), NOW), Err(RevokeError::Contended));

    assert!(!refuses(&mut other, &cells, 2, NOW), "it was not promised");
    assert_eq!(revoke(&mut other, &cells, 3, until(HOUR), NOW), Err(RevokeError::Full));
    assert!(refuses(&mut other, &cells, 1, NOW));
    assert_eq!(revoke(&mut other, &cells, 2, until(HOUR), NOW), Ok(()));
    assert!(refuses(&mut open(&cells, 2), &cells, 2, NOW));
}

#[test]
fn a_mark_seen_before_it_was_announced_is_announced_by_who_revokes_it_again() {
    let cells = MemoryCells::new();
    let (mut one, mut other, mut third) = (open(&cells, 10), open(&cells, 10), open(&cells, 10));
    revoke(&mut one, &cells, 0, until(HOUR), NOW).unwrap();
    third.refresh(&cells).unwrap();
    let mut slow = Watched::new(&cells);
    slow.contended = Some("ag2/rdir");
    assert_eq!(revoke(&mut one, &slow, 1, until(HOUR), NOW), Err(RevokeError::Contended));
    assert!(refuses(&mut other, &cells, 1, NOW), "read late, so with what is not announced yet");
    assert!(!refuses(&mut third, &cells, 1, NOW));
    assert_eq!(revoke(&mut other, &cells, 1, until(HOUR), NOW), Ok(()));
    assert!(refuses(&mut third, &cells, 1, NOW));
}

#[test]
fn a_page_read_outside_a_refresh_is_read_again_by_the_next_one() {
    let cells = MemoryCells::new();
    let (mut one, mut other) = (open(&cells, 1), open(&cells, 1));
    let mut died = Watched::new(&cells);
    died.contended = Some("ag2/rdir");
    assert_eq!(revoke(&mut one, &died, 1, until(100), NOW), Err(RevokeError::Contended));
    assert_eq!(revoke(&mut other, &cells, 2, until(HOUR), NOW), Err(RevokeError::Full));
    revoke(&mut one, &cells, 1, until(HOUR), NOW).unwrap();
    assert!(refuses(&mut other, &cells, 1, later(200)));
}

#[test]
fn garbage_in_any_cell_is_a_fault_and_never_an_empty_table() {
    let garbage: [&[u8]; 6] = [b"", b"x", b"1234567", &[0xFF; 39], &[0xFF; 41], &[0xFF; 9000]];
    for cell in [CellId::RevocationGeometry, CellId::RevocationDirectory, CellId::RevocationPage(0)] {
        for bytes in garbage {
            let cells = MemoryCells::new();
            revoke(&mut open(&cells, 200), &cells, 1, until(HOUR), NOW).unwrap();
            assert_eq!(cells.store(cell, bytes, Expected::Anything), Ok(Stored::Done));
            if cell == CellId::RevocationGeometry {
                assert_eq!(
                    Revocations::open(&cells, seed(), 200).map(|view| view.capacity()),
                    Err(CellFault)
                );
                continue;
            }
            let mut view = open(&cells, 200);
            for _ in 0..2 {
                assert_eq!(view.refresh(&cells), Err(CellFault), "{cell:?} {}", bytes.len());
                assert_eq!(revoke(&mut view, &cells, 2, until(HOUR), NOW), Err(RevokeError::Fault));
            }
        }
    }
    for size in [0, u64::from(MAX_TABLE_CAPACITY) + 1] {
        let cells = MemoryCells::new();
        assert_eq!(
            cells.store(CellId::RevocationGeometry, &size.to_le_bytes(), Expected::Absent),
            Ok(Stored::Done)
        );
        assert!(Revocations::open(&cells, seed(), 200).is_err());
    }
}

#[test]
fn a_page_that_the_directory_names_and_nobody_stored_is_a_fault() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 1000);
    assert_eq!(
        cells.store(CellId::RevocationDirectory, &[0, 0, 0, 0, 1, 0, 0, 0], Expected::Absent),
        Ok(Stored::Done)
    );
    assert_eq!(cells.store(CellId::RevocationStamp, b"", Expected::Anything), Ok(Stored::Done));
    assert_eq!(view.refresh(&cells), Err(CellFault));
    let cells = MemoryCells::new();
    assert_eq!(cells.store(CellId::RevocationStamp, b"", Expected::Anything), Ok(Stored::Done));
    assert_eq!(view.refresh(&cells), Err(CellFault), "a stamp without a directory");
}
