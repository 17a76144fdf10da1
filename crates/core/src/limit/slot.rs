//! What does one shared cell of the table hold, and what happens when it is full?
//!
//! A slot holds [`OWN_ENTRIES`] entries, each a tag (the identity's digest) and a window, appended as they come.
//! Three times as many fit as the capacity promises, so that an uneven spread does not matter. A window that still
//! counts something is never evicted.
//!
//! Half of the entries are divided equally among the limits, as their [`Share`]; the other half, and what the division
//! leaves over, is for whoever comes first. A newcomer of a limit that has less than its share always gets an entry; one
//! of a limit that has its share gets one only where the common half is not used up. So one limit's newcomers, however
//! many a client makes up, never take what another limit needs. Limits that a pushed configuration no longer has keep
//! their entries until these are dead, on top of what the new ones can have.
//!
//! Where there is no room, the newcomers of one limit share one more entry, the limit's overflow: they may be limited
//! early, never late. Overflow entries come on top, one for each limit at most; among more than 24 limits, whose share is
//! less than one entry, they are what each limit can always have. When there is room again a newcomer's own entry starts
//! as a copy of the overflow, so that nothing it spent there is forgotten. Newcomers without an overflow are not counted
//! where there is no room.
//!
//! All here is a pure function of the slot's bytes, to be run again after a lost race. What a window counts is
//! `window.rs`.

use std::num::NonZeroU32;

use super::Identity;
use super::identity::Mark;
use super::window::{ENCODED_BYTES, Liveness, Window};
use crate::cells::CellFault;
use crate::time::UnixNanos;

/// Entries of a slot that belong to one identity each.
const OWN_ENTRIES: usize = 48;
const TAG_BYTES: usize = 16;
const ENTRY_BYTES: usize = TAG_BYTES + ENCODED_BYTES;

/// How the entries of a slot are divided among the limits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Share {
    /// So many can each limit always have, whatever the others have taken.
    each: usize,
    /// So many are for whoever comes first.
    common: usize,
}

/// The content of one slot, with the changes made to it since it was loaded.
#[derive(Debug)]
pub(super) struct Slot {
    bytes: Vec<u8>,
    renumbered: bool,
}

/// Points to the entry that a charge is counted in.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pointer {
    /// The entry's index in the slot; `None`: to be appended.
    index: Option<usize>,
    /// The identity's own tag, or the overflow's.
    pub(super) tag: Identity,
    /// The entry is shared by newcomers.
    pub(super) overflow: bool,
}

impl Share {
    /// An equal part of half the entries for each limit, rounded down, and the rest in common.
    pub(super) fn among(limits: usize) -> Self {
        let each = (OWN_ENTRIES / 2).checked_div(limits).unwrap_or(0);
        Self { each, common: OWN_ENTRIES.saturating_sub(each.saturating_mul(limits)) }
    }
}

impl Slot {
    /// The slot that was stored as these bytes; `None`: it never was, and is empty.
    pub(super) fn read(stored: Option<Vec<u8>>) -> Result<Self, CellFault> {
        let bytes = stored.unwrap_or_default();
        if !bytes.as_chunks::<ENTRY_BYTES>().1.is_empty() {
            return Err(CellFault);
        }
        Ok(Self { bytes, renumbered: false })
    }

    /// The window that counts `identity` at `now`, brought there, and its entry: its own, or the overflow's if there
    /// is no room. Without an overflow it then has none, and a window that counts nothing.
    pub(super) fn find(
        &mut self,
        identity: Identity,
        overflow: Option<Identity>,
        share: Share,
        window_seconds: NonZeroU32,
        now: UnixNanos,
    ) -> Result<(Option<Pointer>, Window), CellFault> {
        if let Some((index, window)) = self.advanced(identity, window_seconds, now)? {
            return Ok((Some(Pointer { index: Some(index), tag: identity, overflow: false }), window));
        }
        self.make_room(now)?;
        let shared = match overflow {
            Some(overflow) => self.advanced(overflow, window_seconds, now)?,
            None => None,
        };
        let index = shared.as_ref().map(|(index, _)| *index);
        let window = shared.map_or_else(|| Window::new(window_seconds, now), |(_, window)| window);
        let pointer = if self.has_room(identity.mark(), share) {
            Some(Pointer { index: None, tag: identity, overflow: false })
        } else {
            overflow.map(|tag| Pointer { index, tag, overflow: true })
        };
        Ok((pointer, window))
    }

    /// The index and the window of the entry with this very tag, as they are stored.
    pub(super) fn stored(&self, tag: Identity) -> Result<Option<(usize, Window)>, CellFault> {
        let tag = tag.to_bytes();
        let found = self.entries().iter().enumerate().find(|(_, entry)| entry.starts_with(&tag));
        found.map(|(index, entry)| Ok((index, decode(entry)?))).transpose()
    }

    /// Puts a window into the entry that [`Slot::find`] pointed to.
    pub(super) fn put(&mut self, pointer: Pointer, window: &Window) {
        match pointer.index {
            Some(index) => self.replace(index, window),
            None => {
                self.bytes.extend_from_slice(&pointer.tag.to_bytes());
                self.bytes.extend_from_slice(&window.encode());
            }
        }
    }

    /// Puts a window into an entry that is there.
    pub(super) fn replace(&mut self, index: usize, window: &Window) {
        let entry = self.bytes.as_chunks_mut::<ENTRY_BYTES>().0.get_mut(index);
        if let Some(encoded) = entry.and_then(|entry| entry.last_chunk_mut::<ENCODED_BYTES>()) {
            *encoded = window.encode();
        }
    }

    /// Whether what was counted got another numbering on the way: then the slot is to be stored even if nothing is
    /// spent.
    pub(super) fn is_renumbered(&self) -> bool {
        self.renumbered
    }

    /// The bytes to store.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    fn entries(&self) -> &[[u8; ENTRY_BYTES]] {
        self.bytes.as_chunks().0
    }

    /// Whether a newcomer of this limit gets an entry of its own.
    fn has_room(&self, limit: Mark, share: Share) -> bool {
        let taken = self.entries().len();
        let count = |mark, before| self.marks().take(before).filter(|other| *other == mark).count();
        let own = count(limit, taken);
        // The limit's own entries decide in nearly all slots: the others are counted only where they have to be.
        if own < share.each || taken < share.common.saturating_add(share.each) {
            return true;
        }
        if own.saturating_sub(share.each) >= share.common {
            return false;
        }
        let is_common = |(index, mark): &(usize, Mark)| count(*mark, *index) >= share.each;
        self.marks().enumerate().filter(is_common).count() < share.common
    }

    /// The limit of each entry; an overflow's is nobody's.
    fn marks(&self) -> impl Iterator<Item = Mark> {
        let tags = self.entries().iter().filter_map(|entry| entry.first_chunk());
        tags.map(|tag| Identity::from_bytes(*tag).mark())
    }

    fn advanced(
        &mut self,
        tag: Identity,
        window_seconds: NonZeroU32,
        now: UnixNanos,
    ) -> Result<Option<(usize, Window)>, CellFault> {
        let Some((index, mut window)) = self.stored(tag)? else {
            return Ok(None);
        };
        if window.advance(window_seconds, now) {
            self.renumbered = true;
            self.replace(index, &window);
        }
        Ok(Some((index, window)))
    }

    /// Removes what is dead, and moves windows that a clock's error left in the future, so that they will die.
    fn make_room(&mut self, now: UnixNanos) -> Result<(), CellFault> {
        let mut index = 0_usize;
        while let Some(entry) = self.entries().get(index) {
            let encoded = entry.last_chunk().ok_or(CellFault)?;
            match Window::liveness(encoded, now).ok_or(CellFault)? {
                Liveness::Dead => {
                    self.remove(index);
                    continue;
                }
                Liveness::Live => {}
                Liveness::Ahead => {
                    let mut window = decode(entry)?;
                    self.renumbered |= window.advance(window.window_seconds(), now);
                    self.replace(index, &window);
                }
            }
            index = index.saturating_add(1);
        }
        Ok(())
    }

    fn remove(&mut self, index: usize) {
        let entries = self.bytes.as_chunks_mut::<ENTRY_BYTES>().0;
        if let Some(last) = entries.last().copied() {
            if let Some(removed) = entries.get_mut(index) {
                *removed = last;
            }
            self.bytes.truncate(self.bytes.len().saturating_sub(ENTRY_BYTES));
        }
    }
}

/// How many entries of the slot stored as these bytes still count something at `now`, those that newcomers share included.
pub(crate) fn live(stored: &[u8], now: UnixNanos) -> usize {
    let encoded = stored.as_chunks::<ENTRY_BYTES>().0.iter().filter_map(|entry| entry.last_chunk());
    encoded.filter(|encoded| Window::liveness(encoded, now).is_some_and(|it| it != Liveness::Dead)).count()
}

fn decode(entry: &[u8; ENTRY_BYTES]) -> Result<Window, CellFault> {
    entry.last_chunk().and_then(Window::decode).ok_or(CellFault)
}

#[cfg(test)]
mod tests;
