//! The shared cells of the filters of one name: which table is theirs, and how the core sees it.
//!
//! A table belongs to the process, not to this library: it is registered with Envoy, so that a new library file finds what
//! the old one counted and revoked. What is registered is an interface of C functions (`abi::Table`) with a version in its
//! key; how cells lie in memory is known only to the library that made them.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use api_guard_core::cells::{CellFault, CellId, Cells, Expected, Loaded, Stored};
use api_guard_core::held::HeldBytes;

use crate::abi::Table;

/// What the filters of one name share in this process.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) cells: SharedCells,
    /// What streams hold back, as far as they are of this library.
    pub(crate) held: Arc<HeldBytes>,
}

/// The cells of the filters of one name.
#[derive(Clone, Copy)]
pub(crate) struct SharedCells(Table);

/// What the filters named `filter_name` share; `None` if Envoy keeps no table of ours.
pub(crate) fn shared(filter_name: &[u8]) -> Option<Shared> {
    static KNOWN: LazyLock<Mutex<HashMap<Vec<u8>, Shared>>> = LazyLock::new(Mutex::default);
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shared) = known.get(filter_name) {
        return Some(shared.clone());
    }
    let shared = Shared { cells: SharedCells(Table::open(filter_name)?), held: Arc::default() };
    known.insert(filter_name.to_vec(), shared.clone());
    Some(shared)
}

impl Cells for SharedCells {
    fn load(&self, id: CellId) -> Result<Option<Loaded>, CellFault> {
        self.0.load(id.key().as_str().as_bytes())
    }

    fn store(&self, id: CellId, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault> {
        self.0.store(id.key().as_str().as_bytes(), bytes, expected)
    }
}
