//! Shared cells in proxy-wasm shared data.

use crate::host::{self, Received};
use api_guard_core::cells::{CellFault, Cells, Expected, Loaded, Stored, Version};
use api_guard_core::guard::Proxy;

/// A number that no cell has yet, as good as certainly: the host counts up from 1 for all cells together. Since a
/// cell that is not there takes any number but 0, this creates a cell only where there is none.
const NEVER_SEEN: u32 = u32::MAX;

/// The cells of this Envoy process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct SharedData;

impl Cells for SharedData {
    fn load(&self, key: &str) -> Result<Option<Loaded>, CellFault> {
        let cell = host::shared_data(key)?;
        Ok(cell.map(|(bytes, cas)| Loaded { bytes, version: Version(cas) }))
    }

    fn store(&self, key: &str, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault> {
        let cas = match expected {
            Expected::Absent => NEVER_SEEN,
            Expected::Version(version) => version.0,
            Expected::Anything => 0,
        };
        Ok(if host::set_shared_data(key, bytes, cas)? { Stored::Done } else { Stored::Conflict })
    }
}

/// What the guard asks of Envoy for the current stream.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct CurrentStream(SharedData);

impl Proxy for CurrentStream {
    type Cells = SharedData;
    type Address = Received;

    fn cells(&self) -> &SharedData {
        &self.0
    }

    fn source_address(&self) -> Option<Received> {
        host::source_address()
    }
}
