//! Shared cells in proxy-wasm shared data.

use api_guard_core::cells::{CellFault, Cells, Expected, Loaded, Stored, Version};

use crate::abi;

/// A number that no cell has yet, as good as certainly: the host counts up from 1 for all cells together. Since a
/// cell that is not there takes any number but 0, this creates a cell only where there is none.
const NEVER_SEEN: u32 = u32::MAX;

/// The cells of this Envoy process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SharedData;

impl Cells for SharedData {
    fn load(&self, key: &str) -> Result<Option<Loaded>, CellFault> {
        let cell = abi::shared_data(key)?;
        Ok(cell.map(|(bytes, cas)| Loaded { bytes, version: Version(cas) }))
    }

    fn store(&self, key: &str, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault> {
        let cas = match expected {
            Expected::Absent => NEVER_SEEN,
            Expected::Version(version) => version.0,
            Expected::Anything => 0,
        };
        Ok(if abi::set_shared_data(key, bytes, cas)? { Stored::Done } else { Stored::Conflict })
    }
}
