//! How is the store told of revocations and asked for them, and what does it answer?
//!
//! The scripts are in [`crate::fleet::script`]. What comes of an answer is not known here.

use crate::fleet::names::{Names, hex, unhex};
use crate::fleet::resp::{Commands, Item, Malformed, Reader};
use crate::fleet::script::{REVOKE, REVOKED};
use crate::revocation::SharedEntry;

/// Entries that one call reads, as the script has it.
const MOST_READ: usize = 500;
/// What the store has for `u64::MAX`, which a number of its scripts cannot hold.
const NEVER: u64 = (1 << 53) - 1;

/// What the store said of revocations.
#[derive(Debug, Default)]
pub(in crate::fleet) struct Brought {
    pub(super) epoch: u64,
    pub(super) newest: u64,
    pub(super) cursor: u64,
    pub(super) entries: Vec<SharedEntry>,
    pub(super) is_last: bool,
}

impl Brought {
    /// Reads an answer of so many items to one who has read up to `cursor`.
    ///
    /// # Errors
    ///
    /// [`Malformed`] if the script answers otherwise.
    pub(super) fn read(length: usize, cursor: u64, reader: &mut Reader<'_>) -> Result<Self, Malformed> {
        let count = length.checked_sub(2).filter(|rest| rest % 4 == 0).ok_or(Malformed)? / 4;
        let (epoch, newest) = (reader.number()?, reader.number()?);
        let mut brought = Self { epoch, newest, cursor, entries: Vec::new(), is_last: count < MOST_READ };
        for _ in 0..count {
            let Some(Item::Bulk(name)) = reader.next()? else { return Err(Malformed) };
            brought.cursor = reader.number()?.max(brought.cursor);
            let [ends_at, issued_before] = [reader.number()?, reader.number()?]
                .map(|number| if number >= NEVER { u64::MAX } else { number });
            // Whatever else stands there is nobody's token.
            if let Some(name) = unhex(name) {
                brought.entries.push(SharedEntry { name, ends_at, issued_before });
            }
        }
        if brought.is_last {
            brought.cursor = brought.cursor.max(newest);
        }
        Ok(brought)
    }
}

/// Writes the command that tells the store of revocations. `fresh`: an epoch, should the store have none.
pub(in crate::fleet) fn write_told<'e>(
    entries: impl ExactSizeIterator<Item = &'e SharedEntry>,
    names: &Names,
    fresh: u64,
    is_known: bool,
    commands: &mut Commands,
) {
    commands.script(REVOKE, is_known, 5, entries.len().saturating_mul(3).saturating_add(1));
    write_keys(names, commands);
    commands.number(fresh);
    for entry in entries {
        commands.text(hex(&entry.name.to_be_bytes()).as_bytes());
        commands.number(entry.ends_at.min(NEVER));
        commands.number(entry.issued_before.min(NEVER));
    }
}

/// Writes the command that reads the revocations behind number `cursor`. `fresh`: an epoch, should the store have none.
pub(super) fn write_read(cursor: u64, names: &Names, fresh: u64, is_known: bool, commands: &mut Commands) {
    commands.script(REVOKED, is_known, 5, 2);
    write_keys(names, commands);
    commands.number(fresh);
    commands.number(cursor);
}

/// Writes the keys of what the store holds of revocations.
fn write_keys(names: &Names, commands: &mut Commands) {
    for key in ["ends", "numbers", "moments", "newest", "epoch"] {
        commands.text(names.common(key).as_bytes());
    }
}
