//! What do the Envoys of a fleet tell each other of revocations?
//!
//! An entry's mark is its name in the store ([`Names`]), so that what one Envoy has entered another can enter as it is, and each
//! can tell the store again whatever it knows. Whose own revocation an entry was is not told: in other Envoys it is nobody's.

use super::page::{self, Admission, Entry};
use super::revoke::MAX_TRIES;
use super::{Mark, Revocations, RevokeError, page_cell};
use crate::cells::{CellFault, Cells, Change, update};
use crate::fleet::Names;
use crate::time::UnixNanos;

/// Entries that wait for the store, at most. What is over that is told when the store has lost what it held.
const MOST_UNTOLD: usize = 4096;
/// Pages that others fill first, at most, before it is given up.
const MOST_LOST_PAGES: usize = 64;

/// A revocation as the store holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SharedEntry {
    /// Its name.
    pub name: u128,
    /// The Unix second from which on it is void; `u64::MAX` never comes.
    pub ends_at: u64,
    /// Of a subject: its tokens issued before this Unix second are refused.
    pub issued_before: u64,
}

impl SharedEntry {
    fn of(entry: &Entry) -> Self {
        Self { name: entry.mark.digest(), ends_at: entry.ends_at, issued_before: entry.issued_before }
    }

    /// The first half of the name: two entries share it by a chance of 1 in 2^64.
    pub(crate) fn half(&self) -> u64 {
        u64::try_from(self.name >> 64).unwrap_or(u64::MAX)
    }

    fn entry(&self) -> Entry {
        let Self { name, ends_at, issued_before } = *self;
        Entry { mark: Mark::new(name), ends_at, issued_before, owner: None }
    }
}

impl Revocations {
    /// From now on, entries are made under the names of a fleet.
    pub fn share_under(&mut self, names: &Names) {
        self.names = Some(names.clone());
    }

    /// Notes that the fleet is to be told of an entry.
    pub(super) fn tell(&mut self, entry: &Entry) {
        if self.names.is_some() && self.entered.len() < MOST_UNTOLD {
            self.entered.push(SharedEntry::of(entry));
        }
    }

    /// What was entered since the last call, for the fleet to be told.
    pub fn take_entered(&mut self) -> Vec<SharedEntry> {
        std::mem::take(&mut self.entered)
    }

    /// Enters what another Envoy has entered, for every worker's next request.
    ///
    /// # Errors
    ///
    /// As [`Revocations::revoke`]. What comes before the first that could not be entered is in force.
    pub fn adopt(
        &mut self,
        cells: &impl Cells,
        entries: &[SharedEntry],
        now: UnixNanos,
    ) -> Result<(), RevokeError> {
        self.refresh(cells)?;
        let is_known = |new: &Entry| {
            let mut live = self.mirror.live_of(new.mark, now);
            live.any(|(_, live)| live.ends_at >= new.ends_at && live.issued_before >= new.issued_before)
        };
        let new = entries.iter().map(SharedEntry::entry);
        let mut new: Vec<Entry> = new.filter(|new| !new.has_lapsed(now) && !is_known(new)).collect();
        // Others may fill a page meanwhile, but not for ever.
        for _ in 0..new.len().saturating_add(MOST_LOST_PAGES) {
            let Some(first) = new.first() else { return Ok(()) };
            let of_mark = self.mirror.live_of(first.mark, now).next().map(|(page, _)| page);
            let page = of_mark.or_else(|| self.mirror.page_for_all(now)).ok_or(RevokeError::Full)?;
            let capacity = self.mirror.page_capacity(page);
            let (entered, entries) = update(cells, page_cell(page)?, MAX_TRIES, |stored| {
                let mut entries = stored.map_or(Ok(Vec::new()), |bytes| page::decode(&bytes, capacity))?;
                let mut entered = 0_usize;
                for new in &new {
                    // An entry of another page is not to be entered twice.
                    let is_elsewhere = entered > 0 && self.mirror.live_of(new.mark, now).next().is_some();
                    if is_elsewhere
                        || page::admit(&mut entries, *new, capacity, capacity, now) == Admission::Full
                    {
                        break;
                    }
                    entered = entered.saturating_add(1);
                }
                Ok::<_, CellFault>(match entered {
                    0 => Change::Keep((0, entries)),
                    _ => Change::Store(page::encode(&entries), (entered, entries)),
                })
            })?;
            self.mirror.adopt(page, entries, None);
            if entered > 0 {
                self.announce(cells, page)?;
                new.drain(..entered);
            }
        }
        if new.is_empty() { Ok(()) } else { Err(RevokeError::Contended) }
    }

    /// The live entries with the least [halves](SharedEntry::half) from `from` on, at most `most` of them, in that order, without
    /// those that the store has.
    pub(crate) fn entries_from(
        &self,
        from: u64,
        most: usize,
        has: &dyn Fn(&SharedEntry) -> bool,
        now: UnixNanos,
    ) -> Vec<SharedEntry> {
        let mut least: Vec<SharedEntry> = Vec::new();
        for entry in self.mirror.all() {
            let shared = SharedEntry::of(entry);
            let is_behind =
                least.len() >= most && least.last().is_some_and(|last| last.half() < shared.half());
            if shared.half() < from || is_behind || entry.has_lapsed(now) || has(&shared) {
                continue;
            }
            least.truncate(most.saturating_sub(1));
            let at = least.partition_point(|other| other.half() < shared.half());
            least.insert(at, shared);
        }
        least
    }
}
