//! Which shared cells are there, and under which key does a host keep each one?
//!
//! A process keeps its cells while a new module takes the place of the old one, so neither a key nor what stands under
//! it may change its meaning: another layout needs another key. The number in front of a key is that of the layout of
//! its table, as far as it is not common to all of them.

/// Names one shared cell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CellId {
    /// The process's hash key.
    Seed,
    /// The number of slots of the table of limits.
    LimitGeometry,
    /// A slot of the table of limits, by its index.
    LimitSlot(u32),
    /// A slot of the table of failed authentications, by its index.
    FailureSlot(u32),
    /// The capacity of the table of revocations.
    RevocationGeometry,
    /// The generation of each page of revocations.
    RevocationDirectory,
    /// Empty; its version tells whether the directory has changed.
    RevocationStamp,
    /// A page of revocations, by its index.
    RevocationPage(u32),
    /// What each worker may hold back of request bodies.
    HeldBytes,
    /// Which configuration is in force, and since when it is known.
    InForce,
    /// Empty; its version tells whether any key set has changed.
    KeySetStamp,
    /// A key set that is fetched, by a digest of where it comes from. There is one for each source that a configuration of
    /// this process has named.
    KeySet(u32),
    /// What the process knows of a fleet's revocations, by a digest of the fleet. There is one for each fleet that a
    /// configuration of this process has named.
    FleetRevocations(u32),
}

/// The key of a cell for hosts that name cells by text: ASCII, at most [`CellKey::MAX_BYTES`] long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CellKey {
    bytes: [u8; Self::MAX_BYTES],
    length: usize,
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

impl CellId {
    /// The cell of the key set that comes from a source, by a digest of that.
    pub(crate) fn of_key_set(source: u128) -> Self {
        Self::KeySet(shortened(source))
    }

    /// The cell of what is known of a fleet's revocations, by a digest of the fleet.
    pub(crate) fn of_fleet(fleet: u128) -> Self {
        Self::FleetRevocations(shortened(fleet))
    }

    /// The key that a host keeps the cell under. Different cells have different keys.
    pub fn key(self) -> CellKey {
        let mut key = CellKey { bytes: [0; CellKey::MAX_BYTES], length: 0 };
        match self {
            Self::Seed => key.push_all("ag1/seed"),
            Self::LimitGeometry => key.push_all("ag1/limit"),
            Self::LimitSlot(index) => {
                key.push_all("ag1/l/");
                key.push_hex(index, 5);
            }
            Self::FailureSlot(index) => {
                key.push_all("ag1/f/");
                key.push_hex(index, 5);
            }
            Self::RevocationGeometry => key.push_all("ag1/rgeo"),
            Self::RevocationDirectory => key.push_all("ag2/rdir"),
            Self::RevocationStamp => key.push_all("ag2/rstamp"),
            Self::RevocationPage(index) => {
                key.push_all("ag2/r/");
                key.push_hex(index, 1);
            }
            Self::HeldBytes => key.push_all("ag1/held"),
            Self::InForce => key.push_all("ag1/force"),
            Self::KeySetStamp => key.push_all("ag1/kstamp"),
            Self::FleetRevocations(digest) => {
                key.push_all("ag2/v/");
                key.push_hex(digest, 8);
            }
            Self::KeySet(digest) => {
                key.push_all("ag1/k/");
                key.push_hex(digest, 8);
            }
        }
        key
    }
}

/// As much of a digest as a key has room for.
fn shortened(digest: u128) -> u32 {
    let [a, b, c, d, ..] = digest.to_le_bytes();
    u32::from_le_bytes([a, b, c, d])
}

impl CellKey {
    /// Bytes of the longest key: six of a prefix and eight hexadecimal digits.
    pub const MAX_BYTES: usize = 14;

    /// The key as text.
    pub fn as_str(&self) -> &str {
        // Only ASCII is ever pushed.
        self.bytes.get(..self.length).and_then(|bytes| std::str::from_utf8(bytes).ok()).unwrap_or_default()
    }

    fn push_all(&mut self, text: &str) {
        let end = self.length.saturating_add(text.len());
        if let Some(room) = self.bytes.get_mut(self.length..end) {
            room.copy_from_slice(text.as_bytes());
            self.length = end;
        }
    }

    /// Pushes `number` in lower-case hexadecimal digits, with zeros in front where it has fewer than `least`.
    fn push_hex(&mut self, number: u32, least: u32) {
        let digits = (u32::BITS / 4).saturating_sub(number.leading_zeros() / 4).max(least);
        for digit in (0..digits).rev() {
            let value = (number >> digit.saturating_mul(4)) & 0xF;
            let digit = usize::try_from(value).ok().and_then(|value| HEX_DIGITS.get(value));
            self.push(digit.copied().unwrap_or(b'0'));
        }
    }

    fn push(&mut self, byte: u8) {
        if let Some(end) = self.bytes.get_mut(self.length) {
            *end = byte;
            self.length = self.length.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn keys_stay_what_running_processes_have() {
        let keys = [
            (CellId::Seed, "ag1/seed"),
            (CellId::LimitGeometry, "ag1/limit"),
            (CellId::LimitSlot(0), "ag1/l/00000"),
            (CellId::LimitSlot(0x1a2), "ag1/l/001a2"),
            (CellId::LimitSlot((1 << 20) - 1), "ag1/l/fffff"),
            (CellId::FailureSlot(0), "ag1/f/00000"),
            (CellId::FailureSlot(0x1a2), "ag1/f/001a2"),
            (CellId::RevocationGeometry, "ag1/rgeo"),
            (CellId::RevocationDirectory, "ag2/rdir"),
            (CellId::RevocationStamp, "ag2/rstamp"),
            (CellId::RevocationPage(0), "ag2/r/0"),
            (CellId::RevocationPage(0x10), "ag2/r/10"),
            (CellId::RevocationPage(65_535), "ag2/r/ffff"),
            (CellId::HeldBytes, "ag1/held"),
            (CellId::InForce, "ag1/force"),
            (CellId::KeySetStamp, "ag1/kstamp"),
            (CellId::FleetRevocations(0x1a2), "ag2/v/000001a2"),
            (CellId::KeySet(0x1a2), "ag1/k/000001a2"),
        ];
        for (id, key) in keys {
            assert_eq!(id.key().as_str(), key);
        }
    }

    #[test]
    fn no_two_cells_have_one_key_and_none_is_cut() {
        let indexes = (0..300).chain((0..32).map(|bit| 1 << bit)).chain([u32::MAX]);
        let of_index =
            |index| [CellId::LimitSlot(index), CellId::FailureSlot(index), CellId::RevocationPage(index)];
        let numbered: HashSet<_> = indexes.flat_map(of_index).collect();
        let keys: HashSet<_> = numbered.iter().map(|id| id.key().as_str().to_owned()).collect();
        assert_eq!(keys.len(), numbered.len());
        assert_eq!(CellId::LimitSlot(u32::MAX).key().as_str(), "ag1/l/ffffffff");
    }
}
