//! Cells in the memory of this process: for tests, and for the command, which has one worker.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::sync::{Mutex, PoisonError};

use super::{CellFault, CellId, Cells, Expected, Loaded, Stored, Version};
use crate::lookup::Fnv1a;

/// Cells in the memory of this process, with the semantics of Envoy's.
#[derive(Debug, Default)]
pub struct MemoryCells {
    inner: Mutex<Memory>,
}

#[derive(Debug, Default, Clone)]
struct Memory {
    // No client chooses an id, so a hash without a key serves.
    cells: HashMap<CellId, Loaded, BuildHasherDefault<Fnv1a>>,
    last_version: u32,
}

impl MemoryCells {
    /// Cells of which none was stored yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes of the ids and contents held, by which a test sees that memory is bounded.
    pub fn bytes_held(&self) -> usize {
        let memory = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = memory.cells.values().map(|cell| cell.bytes.len()).fold(0, usize::saturating_add);
        memory.cells.len().saturating_mul(size_of::<CellId>()).saturating_add(contents)
    }
}

/// A copy, in which can be tried what shall leave no trace in the original.
impl Clone for MemoryCells {
    fn clone(&self) -> Self {
        let memory = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Self { inner: Mutex::new(memory.clone()) }
    }
}

impl Cells for MemoryCells {
    fn load(&self, id: CellId) -> Result<Option<Loaded>, CellFault> {
        let memory = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(memory.cells.get(&id).cloned())
    }

    fn store(&self, id: CellId, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault> {
        let mut memory = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let current = memory.cells.get(&id).map(|cell| cell.version);
        let holds = match expected {
            Expected::Absent => current.is_none(),
            Expected::Version(version) => current == Some(version),
            Expected::Anything => true,
        };
        if !holds {
            return Ok(Stored::Conflict);
        }
        // As in Envoy, one counter serves all cells; it wraps and skips 0.
        memory.last_version = memory.last_version.wrapping_add(1).max(1);
        let version = Version(memory.last_version);
        memory.cells.insert(id, Loaded { bytes: bytes.to_owned(), version });
        Ok(Stored::Done)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_that_lost_the_race_changes_nothing() {
        let cells = MemoryCells::new();
        let id = CellId::Seed;
        assert_eq!(cells.store(id, b"1", Expected::Absent), Ok(Stored::Done));
        let first = cells.load(id).unwrap().unwrap();
        assert_eq!(cells.store(id, b"2", Expected::Absent), Ok(Stored::Conflict));
        assert_eq!(cells.store(id, b"2", Expected::Version(first.version)), Ok(Stored::Done));
        assert_eq!(cells.store(id, b"3", Expected::Version(first.version)), Ok(Stored::Conflict));
        assert_eq!(cells.load(id).unwrap().unwrap().bytes, b"2");
    }

    #[test]
    fn every_store_gives_a_new_version_even_to_an_empty_cell() {
        let cells = MemoryCells::new();
        let mut seen = Vec::new();
        for _ in 0..3 {
            assert_eq!(cells.store(CellId::RevocationStamp, b"", Expected::Anything), Ok(Stored::Done));
            let version = cells.load(CellId::RevocationStamp).unwrap().unwrap().version;
            assert!(!seen.contains(&version));
            seen.push(version);
        }
    }
}
