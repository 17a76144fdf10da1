//! Shared cells: what all workers of one process see, changed by compare-and-swap alone.
//!
//! In Envoy a cell is an entry of proxy-wasm shared data; in tests and in the command it is [`MemoryCells`].
//! The store knows nothing of limits or revocations: it loads, compares and swaps. Envoy never frees a key, so
//! callers use a fixed set of keys only.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

/// Stands for one state of one cell: any store gives the cell another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(pub u32);

/// A cell's content and the version that it was read at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The content; empty for a cell that only serves as a stamp (then Envoy copies nothing, a fifth of the cost).
    pub bytes: Vec<u8>,
    /// To be named in [`Expected::Version`] by a store that builds on `bytes`.
    pub version: Version,
}

/// What a store demands of the cell it is about to replace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The cell was never stored to.
    Absent,
    /// The cell still has the version that was loaded.
    Version(Version),
    /// Nothing: the last writer wins.
    Anything,
}

/// What became of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a store that lost the race has changed nothing"]
pub enum Stored {
    /// The cell now holds the new content.
    Done,
    /// Another worker was faster: nothing changed; load and judge again.
    Conflict,
}

/// The proxy could not load or store a cell. A fault of ours or of the host, never of the caller: refuse, and count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellFault;

/// Shared cells. Every operation is atomic and visible to all workers when it returns.
pub trait Cells {
    /// The cell's content, or `None` if it was never stored.
    fn load(&self, key: &str) -> Result<Option<Loaded>, CellFault>;

    /// Replaces the cell's content if `expected` holds.
    fn store(&self, key: &str, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault>;
}

/// Cells in this process's memory, with Envoy's semantics: for tests and for the command line.
#[derive(Debug, Default)]
pub struct MemoryCells {
    inner: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    cells: HashMap<String, Loaded>,
    last_version: u32,
}

impl MemoryCells {
    /// No cell stored yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of keys and contents held, to see that memory is bounded.
    pub fn bytes_held(&self) -> usize {
        let memory = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        memory
            .cells
            .iter()
            .fold(0, |sum, (key, cell)| sum.saturating_add(key.len()).saturating_add(cell.bytes.len()))
    }
}

impl Cells for MemoryCells {
    fn load(&self, key: &str) -> Result<Option<Loaded>, CellFault> {
        let memory = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(memory.cells.get(key).cloned())
    }

    fn store(&self, key: &str, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault> {
        let mut memory = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let current = memory.cells.get(key).map(|cell| cell.version);
        let holds = match expected {
            Expected::Absent => current.is_none(),
            Expected::Version(version) => current == Some(version),
            Expected::Anything => true,
        };
        if !holds {
            return Ok(Stored::Conflict);
        }
        // As in Envoy: one counter for all cells, which wraps and skips 0.
        memory.last_version = memory.last_version.wrapping_add(1).max(1);
        let version = Version(memory.last_version);
        memory.cells.insert(key.to_owned(), Loaded { bytes: bytes.to_owned(), version });
        Ok(Stored::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_lost_the_race_changes_nothing() {
        let cells = MemoryCells::new();
        assert_eq!(cells.store("a", b"1", Expected::Absent), Ok(Stored::Done));
        let first = cells.load("a").unwrap().unwrap();
        assert_eq!(cells.store("a", b"2", Expected::Absent), Ok(Stored::Conflict));
        assert_eq!(cells.store("a", b"2", Expected::Version(first.version)), Ok(Stored::Done));
        assert_eq!(cells.store("a", b"3", Expected::Version(first.version)), Ok(Stored::Conflict));
        assert_eq!(cells.load("a").unwrap().unwrap().bytes, b"2");
    }

    #[test]
    fn every_store_gives_a_new_version_even_to_an_empty_cell() {
        let cells = MemoryCells::new();
        let mut seen = Vec::new();
        for _ in 0..3 {
            assert_eq!(cells.store("stamp", b"", Expected::Anything), Ok(Stored::Done));
            let version = cells.load("stamp").unwrap().unwrap().version;
            assert!(!seen.contains(&version));
            seen.push(version);
        }
    }
}
