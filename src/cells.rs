//! Shared cells in proxy-wasm shared data.

use api_guard_core::cells::{CellFault, CellId, CellKey, Cells, Expected, Loaded, Stored, Version};

use crate::abi;

/// A version that no cell reaches in practice: the host counts up from 1 for all cells together. A missing cell accepts
/// any version, so a store that expects this one can create a cell but not replace one.
const NEVER_SEEN: u32 = u32::MAX;

/// Envoy's strings hold up to 22 bytes without an allocation.
const _: () = assert!(CellKey::MAX_BYTES <= 22, "a key costs an allocation at each access");

/// The cells of this Envoy process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SharedData;

impl Cells for SharedData {
    fn load(&self, id: CellId) -> Result<Option<Loaded>, CellFault> {
        let cell = abi::shared_data(id.key().as_str())?;
        Ok(cell.map(|(bytes, cas)| Loaded { bytes, version: Version(cas) }))
    }

    fn store(&self, id: CellId, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault> {
        let cas = match expected {
            Expected::Absent => NEVER_SEEN,
            Expected::Version(version) => version.0,
            Expected::Anything => 0,
        };
        Ok(if abi::set_shared_data(id.key().as_str(), bytes, cas)? { Stored::Done } else { Stored::Conflict })
    }
}
