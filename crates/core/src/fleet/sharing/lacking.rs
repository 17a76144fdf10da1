//! What does the store lack, and which part of it does the next call tell?

use crate::fleet::record::{Record, Untold};
use crate::fleet::seen::Seen;
use crate::revocation::{Revocations, SharedEntry};
use crate::time::UnixNanos;

/// What one link knows of what the store lacks. How far it has been told is in the record.
#[derive(Debug, Default)]
pub(super) struct Lacking {
    /// What the store has, as far as this link has read it since the loss of this number.
    seen: Seen,
    since: u64,
    /// What the call in flight tells.
    part: Option<Part>,
}

/// A part of what the store lacks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Part {
    loss: u64,
    from: u64,
    /// What is left when it has been told.
    next: Untold,
    is_told: bool,
}

impl Lacking {
    /// Takes the next part, of at most `most` entries, to tell it.
    pub(super) fn take_part(
        &mut self,
        record: &Record,
        revocations: &Revocations,
        most: usize,
        now: UnixNanos,
    ) -> Vec<SharedEntry> {
        let Untold::From(from) = record.untold else { return Vec::new() };
        self.forget_others(record);
        let entries = revocations.entries_from(from, most, &|entry| self.seen.has(entry), now);
        let last = entries.last().filter(|_| entries.len() >= most);
        let next = last.and_then(|last| last.half().checked_add(1)).map_or(Untold::Nothing, Untold::From);
        self.part = Some(Part { loss: record.losses, from, next, is_told: entries.is_empty() });
        entries
    }

    /// Notes that the store was told what the call in flight has.
    pub(super) fn is_told(&mut self) {
        if let Some(part) = &mut self.part {
            part.is_told = true;
        }
    }

    /// Ends the call in flight: the part that it had.
    pub(super) fn end(&mut self) -> Option<Part> {
        self.part.take()
    }

    /// Notes what the store has.
    pub(super) fn read(&mut self, record: &Record, entries: &[SharedEntry]) {
        self.forget_others(record);
        if record.untold == Untold::Unknown {
            entries.iter().for_each(|entry| self.seen.add(entry));
        }
    }

    /// Forgets what the store had before it lost something, and all of it where it lacks nothing.
    fn forget_others(&mut self, record: &Record) {
        if self.since != record.losses || record.untold == Untold::Nothing {
            (self.seen, self.since) = (Seen::default(), record.losses);
        }
    }
}

impl Part {
    /// The record once the part has been told; unchanged if it has not.
    pub(super) fn told(self, record: Record) -> Record {
        if self.is_told { record.told(self.loss, self.from, self.next) } else { record }
    }
}
