//! How is a cell's content replaced by a function of what it holds, while other workers do the same?
//!
//! The function is run on what was loaded, and its result stored if no other worker was faster; otherwise it is run
//! again on what is there then. It must therefore depend on nothing that a run of it changes. The loop is bounded: each
//! lost try is another worker's success, so the process gets on, but one worker alone might lose for ever.

use super::{CellFault, CellId, Cells, Expected, Loaded, Stored};

/// What a cell's content is to become, and what the caller of the update is told once that is true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change<R> {
    /// The cell stays as it is.
    Keep(R),
    /// The cell gets this content.
    Store(Vec<u8>, R),
}

/// Why an update did not come about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UpdateError<E> {
    /// Other workers were faster at every try. Nothing changed.
    Contended,
    /// The cell could not be loaded or stored, or the function failed on what it holds.
    Failed(E),
}

impl<E: From<CellFault>> From<CellFault> for UpdateError<E> {
    fn from(fault: CellFault) -> Self {
        Self::Failed(fault.into())
    }
}

/// Changes the cell `id` as `change` says. `change` is given the content, `None` if the cell was never stored, and is
/// run once for each of at most `tries` tries.
///
/// # Errors
///
/// [`UpdateError::Contended`] after `tries` stores that lost the race; [`UpdateError::Failed`] with the first error of
/// `change` or of the host. Only after a fault of the host can the change have been made all the same.
pub fn update<R, E: From<CellFault>>(
    cells: &impl Cells,
    id: CellId,
    tries: u32,
    change: impl Fn(Option<Vec<u8>>) -> Result<Change<R>, E>,
) -> Result<R, UpdateError<E>> {
    let loaded = cells.load(id)?;
    update_loaded(cells, id, loaded, tries, change)
}

/// As [`update`], where the cell was loaded already: the first try builds on `loaded`.
///
/// # Errors
///
/// As [`update`].
pub fn update_loaded<R, E: From<CellFault>>(
    cells: &impl Cells,
    id: CellId,
    mut loaded: Option<Loaded>,
    tries: u32,
    change: impl Fn(Option<Vec<u8>>) -> Result<Change<R>, E>,
) -> Result<R, UpdateError<E>> {
    for _ in 0..tries {
        let unchanged = Expected::unchanged_since(loaded.as_ref());
        match change(loaded.map(|loaded| loaded.bytes)).map_err(UpdateError::Failed)? {
            Change::Keep(result) => return Ok(result),
            Change::Store(bytes, result) => match cells.store(id, &bytes, unchanged)? {
                Stored::Done => return Ok(result),
                Stored::Conflict => loaded = cells.load(id)?,
            },
        }
    }
    Err(UpdateError::Contended)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;
    use crate::cells::MemoryCells;

    const ID: CellId = CellId::LimitSlot(3);

    #[derive(Debug, PartialEq, Eq)]
    enum Trouble {
        Cells,
        Own,
    }

    impl From<CellFault> for Trouble {
        fn from(_: CellFault) -> Self {
            Self::Cells
        }
    }

    /// Cells before each of whose stores another worker appends a byte, as often as `rivals` says.
    struct Raced {
        cells: MemoryCells,
        rivals: Cell<u32>,
        stores: Cell<u32>,
        faulty: bool,
    }

    impl Raced {
        fn new(rivals: u32) -> Self {
            Self { cells: MemoryCells::new(), rivals: Cell::new(rivals), stores: Cell::new(0), faulty: false }
        }

        fn content(&self) -> Option<Vec<u8>> {
            self.cells.load(ID).unwrap().map(|loaded| loaded.bytes)
        }
    }

    impl Cells for Raced {
        fn load(&self, id: CellId) -> Result<Option<Loaded>, CellFault> {
            self.cells.load(id)
        }

        fn store(&self, id: CellId, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault> {
            if self.faulty {
                return Err(CellFault);
            }
            self.stores.set(self.stores.get().saturating_add(1));
            if let Some(left) = self.rivals.get().checked_sub(1) {
                self.rivals.set(left);
                let mut raced = self.content().unwrap_or_default();
                raced.push(b'r');
                assert_eq!(self.cells.store(id, &raced, Expected::Anything), Ok(Stored::Done));
            }
            self.cells.store(id, bytes, expected)
        }
    }

    /// Appends one byte, and says how many there were.
    fn append(content: Option<Vec<u8>>) -> Result<Change<usize>, Trouble> {
        let mut bytes = content.unwrap_or_default();
        let before = bytes.len();
        bytes.push(b'w');
        Ok(Change::Store(bytes, before))
    }

    #[test]
    fn an_update_builds_on_what_is_there() {
        let cells = Raced::new(0);
        assert_eq!(update(&cells, ID, 1, append), Ok(0));
        assert_eq!(update(&cells, ID, 1, append), Ok(1));
        assert_eq!(cells.content().unwrap(), b"ww");
    }

    #[test]
    fn a_lost_race_is_tried_again_on_what_the_winner_stored() {
        let cells = Raced::new(3);
        assert_eq!(update(&cells, ID, 4, append), Ok(3), "the result is that of the last run");
        assert_eq!(cells.content().unwrap(), b"rrrw");
    }

    #[test]
    fn after_so_many_tries_it_is_given_up_and_nothing_of_it_is_stored() {
        let cells = Raced::new(u32::MAX);
        assert_eq!(update(&cells, ID, 5, append), Err(UpdateError::Contended));
        assert_eq!(cells.stores.get(), 5);
        assert_eq!(cells.content().unwrap(), b"rrrrr");
        assert_eq!(update(&cells, ID, 0, append), Err(UpdateError::Contended));
        assert_eq!(cells.stores.get(), 5);
    }

    #[test]
    fn who_keeps_the_content_stores_nothing() {
        let cells = Raced::new(u32::MAX);
        let keep = |content: Option<Vec<u8>>| Ok::<_, Trouble>(Change::Keep(content));
        assert_eq!(update(&cells, ID, 1, keep), Ok(None));
        assert_eq!((cells.stores.get(), cells.content()), (0, None));
    }

    #[test]
    fn a_fault_is_no_contention_and_is_not_tried_again() {
        let cells = Raced { faulty: true, ..Raced::new(0) };
        assert_eq!(update(&cells, ID, 9, append), Err(UpdateError::Failed(Trouble::Cells)));
        let runs = Cell::new(0);
        let fail = |_| {
            runs.set(runs.get() + 1);
            Err::<Change<()>, _>(Trouble::Own)
        };
        assert_eq!(update(&cells, ID, 9, fail), Err(UpdateError::Failed(Trouble::Own)));
        assert_eq!(runs.get(), 1);
    }

    #[test]
    fn a_cell_loaded_earlier_and_changed_since_is_loaded_anew() {
        let cells = Raced::new(0);
        assert_eq!(update(&cells, ID, 1, append), Ok(0));
        let loaded = cells.load(ID).unwrap();
        assert_eq!(update_loaded(&cells, ID, loaded.clone(), 1, append), Ok(1), "still as it was loaded");
        assert_eq!(update_loaded(&cells, ID, loaded, 2, append), Ok(2));
        assert_eq!(
            update_loaded(&cells, ID, None, 1, append),
            Err(UpdateError::Contended),
            "it is there by now"
        );
        assert_eq!(cells.content().unwrap(), b"www");
    }

    #[test]
    fn updates_of_many_threads_are_all_there_in_the_end() {
        let cells = MemoryCells::new();
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..200).for_each(|_| while update(&cells, ID, 8, append).is_err() {}));
            }
        });
        assert_eq!(cells.load(ID).unwrap().unwrap().bytes.len(), 800);
    }
}
