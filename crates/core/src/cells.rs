//! Shared cells: what do all workers of one process see, and how is it changed without a lock?
//!
//! A cell is a short run of bytes that is loaded, and replaced by compare-and-swap. In Envoy it is an entry of
//! proxy-wasm's shared data; in tests and in the command it is one of [`MemoryCells`]. The store knows neither limits
//! nor revocations. The host never frees a cell, so there is a fixed set of them: [`CellId`] names each one.
//!
//! - `id.rs`: which cells there are, and the key that a host keeps each one under.
//! - `once.rs`: a value that the first worker of the process decides.
//! - `update.rs`: the loop that replaces a cell's content by a function of what it holds.
//! - `memory.rs`: cells in the memory of this process.

mod id;
mod memory;
mod once;
mod update;

pub use id::{CellId, CellKey};
pub use memory::MemoryCells;
pub use once::open_once;
pub use update::{Change, UpdateError, update, update_loaded};

/// The largest capacity, in entries, that a table in shared cells can be given.
pub const MAX_TABLE_CAPACITY: u32 = 16_777_216;

/// Identifies one state of one cell: each store gives the cell another version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Version(pub u32);

/// A cell's content and the version at which it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The content. It is empty for a cell that only serves as a stamp: then the host copies nothing, and a load costs
    /// a fifth of the usual.
    pub bytes: Vec<u8>,
    /// What a store that builds on `bytes` names in [`Expected::Version`].
    pub version: Version,
}

/// What must be true of a cell for a store to replace its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expected {
    /// The cell was never stored to.
    Absent,
    /// The cell still has the version that was loaded.
    Version(Version),
    /// Nothing: the last writer wins.
    Anything,
}

impl Expected {
    /// That the cell has not changed since `loaded` was loaded from it.
    pub fn unchanged_since(loaded: Option<&Loaded>) -> Self {
        loaded.map_or(Self::Absent, |loaded| Self::Version(loaded.version))
    }
}

/// What became of a store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "a store that lost the race has changed nothing"]
pub enum Stored {
    /// The cell now holds the new content.
    Done,
    /// Another worker was faster, and nothing changed: load the cell and judge again.
    Conflict,
}

/// The host could not load or store a cell, or a cell holds what nobody can have stored. This is a fault of ours or
/// of the host, never of the caller: the request is refused, and the fault is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellFault;

/// A store of shared cells.
///
/// All values of an implementing type that are used in one process stand for the same cells. An implementor must
/// guarantee that
///
/// - each operation is atomic, also against those of other threads: a load never sees a part of a store, and no store
///   comes between the comparison and the replacement of another;
/// - each operation takes effect before it returns: whatever is loaded afterwards, in any thread, sees it. Operations of
///   one thread take effect in the order in which they were called, on different cells too;
/// - each store that is [`Stored::Done`] gives the cell a version that none of its earlier contents had, even if the
///   bytes are the same. A version of 32 bits may come again after 2^32 stores;
/// - a store that is not [`Stored::Done`] changes nothing;
/// - a cell that was stored once stays as long as the process, and different ids are different cells.
///
/// No operation may wait for another worker longer than a lock around one copy of the bytes takes, and none may panic.
/// What is loaded may be any bytes, since others in the process may be able to write cells: it is the caller who
/// checks them.
pub trait Cells {
    /// Loads a cell's content, or `None` if it was never stored.
    ///
    /// # Errors
    ///
    /// [`CellFault`] if the host does not answer.
    fn load(&self, id: CellId) -> Result<Option<Loaded>, CellFault>;

    /// Replaces a cell's content with `bytes` if `expected` holds. A cell that was never stored is created, except
    /// where a version of it is expected.
    ///
    /// # Errors
    ///
    /// [`CellFault`] if the host does not answer; the content may or may not be stored then.
    fn store(&self, id: CellId, bytes: &[u8], expected: Expected) -> Result<Stored, CellFault>;
}
