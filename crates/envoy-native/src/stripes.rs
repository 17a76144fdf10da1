//! The shared cells of a process, in its memory. Each cell belongs to one of a fixed number of stripes with a lock of its
//! own, so that workers wait for each other only where they touch neighbours.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::{Mutex, MutexGuard, PoisonError};

use api_guard_core::cells::{Expected, Stored, Version};
use api_guard_core::lookup::Fnv1a;

/// Stripes of one table. More than 16 times the workers of a large machine make waiting rare.
const STRIPES: usize = 256;

/// Bytes of the longest key: more than [`api_guard_core::cells::CellKey::MAX_BYTES`], for later versions.
const MOST_KEY_BYTES: usize = 23;

/// A cell's key, in place.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Key {
    bytes: [u8; MOST_KEY_BYTES],
    length: u8,
}

impl std::hash::Hash for Key {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write(self.as_bytes());
    }
}

impl Key {
    fn new(key: &[u8]) -> Option<Self> {
        let mut bytes = [0; MOST_KEY_BYTES];
        bytes.get_mut(..key.len())?.copy_from_slice(key);
        Some(Self { bytes, length: u8::try_from(key.len()).ok()? })
    }

    fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.length)).unwrap_or_default()
    }
}

struct Cell {
    version: Version,
    bytes: Box<[u8]>,
}

/// The cells of one stripe. Aligned so that no two stripes share a cache line, nor the pair of lines that processors
/// fetch together.
#[derive(Default)]
#[repr(align(128))]
struct Stripe(Mutex<Cells>);

#[derive(Default)]
struct Cells {
    // No client chooses a key, so a hash without a secret serves.
    cells: HashMap<Key, Cell, BuildHasherDefault<Fnv1a>>,
    last_version: u32,
}

/// A key that is too long for any cell of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NoSuchKey;

/// A table of cells.
pub(crate) struct Stripes(Vec<Stripe>);

impl Stripes {
    /// Cells of which none was stored yet.
    pub(crate) fn new() -> Self {
        Self((0..STRIPES).map(|_| Stripe::default()).collect())
    }

    fn lock(&self, key: &Key) -> Result<MutexGuard<'_, Cells>, NoSuchKey> {
        let mut hash = Fnv1a::default();
        hash.write(key.as_bytes());
        // The map within takes the low bits and the highest seven.
        let index = usize::try_from(hash.finish() >> 40).unwrap_or(0) % STRIPES;
        let stripe = self.0.get(index).ok_or(NoSuchKey)?;
        // A store is complete or has not begun when anything in here could panic.
        Ok(stripe.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Shows a cell's content to `visit`, and returns its version; `None` if it was never stored.
    pub(crate) fn load(&self, key: &[u8], visit: impl FnOnce(&[u8])) -> Result<Option<Version>, NoSuchKey> {
        let key = Key::new(key).ok_or(NoSuchKey)?;
        let cells = self.lock(&key)?;
        Ok(cells.cells.get(&key).map(|cell| {
            visit(&cell.bytes);
            cell.version
        }))
    }

    /// Replaces a cell's content if `expected` holds.
    pub(crate) fn store(&self, key: &[u8], bytes: &[u8], expected: Expected) -> Result<Stored, NoSuchKey> {
        let key = Key::new(key).ok_or(NoSuchKey)?;
        let mut stripe = self.lock(&key)?;
        let Cells { cells, last_version } = &mut *stripe;
        let current = cells.get_mut(&key);
        let holds = match expected {
            Expected::Absent => current.is_none(),
            Expected::Version(version) => current.as_ref().is_some_and(|cell| cell.version == version),
            Expected::Anything => true,
        };
        if !holds {
            return Ok(Stored::Conflict);
        }
        *last_version = last_version.wrapping_add(1).max(1);
        let version = Version(*last_version);
        match current {
            Some(cell) if cell.bytes.len() == bytes.len() => {
                cell.bytes.copy_from_slice(bytes);
                cell.version = version;
            }
            Some(cell) => *cell = Cell { version, bytes: bytes.into() },
            None => {
                cells.insert(key, Cell { version, bytes: bytes.into() });
            }
        }
        Ok(Stored::Done)
    }
}
