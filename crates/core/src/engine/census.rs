//! How full are the shared tables? One worker at a time walks through them, a part at each tick, and shows what it found.
//!
//! A walk takes [`WALK_NANOS`], and one begins in every round, so what is shown was counted within ten seconds. Identities
//! are spread evenly over the slots of their table, so of a large table the first [`MOST_SLOTS`] stand for all.

use super::Engine;
use crate::cells::{CellFault, CellId, Cells};
use crate::host::{Action, StreamHost};
use crate::limit::live_in_slot;
use crate::revocation::live_in_page;
use crate::telemetry::gauges::Gauge;
use crate::time::UnixNanos;

/// How long a walk takes, nanoseconds.
const WALK_NANOS: u64 = 4_000_000_000;
/// The most slots of the limits' table that are looked at: those of 262,144 identities.
const MOST_SLOTS: u32 = 16_384;

/// A walk through both tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Census {
    began: UnixNanos,
    identities: Walk,
    revocations: Walk,
}

/// A walk through the cells of one table.
#[derive(Debug, Default, Clone, Copy)]
struct Walk {
    /// The index of the next cell.
    next: u32,
    /// What those before it count.
    live: u64,
}

impl Census {
    pub(super) fn begin(now: UnixNanos) -> Self {
        Self { began: now, identities: Walk::default(), revocations: Walk::default() }
    }
}

impl Walk {
    /// Goes on up to the cell at `end`. `live`: what the content of a cell counts at a moment.
    fn go_on(
        &mut self,
        end: u32,
        cell: fn(u32) -> CellId,
        live: fn(&[u8], UnixNanos) -> usize,
        cells: &impl Cells,
        now: UnixNanos,
    ) -> Result<(), CellFault> {
        while self.next < end {
            if let Some(loaded) = cells.load(cell(self.next))? {
                self.live = self.live.saturating_add(wide(live(&loaded.bytes, now)));
            }
            self.next = self.next.saturating_add(1);
        }
        Ok(())
    }
}

impl Engine {
    /// Goes on with the census, if this worker takes one.
    pub(super) fn take_census(&self, host: &mut impl StreamHost, now: UnixNanos) {
        // One that fails is not gone on with: the next round begins another.
        let Some(mut census) = self.standing.census.take() else { return };
        let Ok(memory) = self.memory(host) else { return };
        let (slots, pages) = (memory.limiter.slots(), memory.revocations.page_count());
        let room = (u64::from(memory.limiter.capacity()), wide(memory.revocations.capacity()));
        drop(memory);
        let elapsed = now.nanos().saturating_sub(census.began.nanos()).min(WALK_NANOS);
        // At most 2^17 times 2^32.
        let due = |all: u32| u32::try_from(u64::from(all).wrapping_mul(elapsed) / WALK_NANOS).unwrap_or(all);
        let Census { identities, revocations, .. } = &mut census;
        let cells = host.cells();
        if identities.go_on(due(slots.min(MOST_SLOTS)), CellId::LimitSlot, live_in_slot, cells, now).is_err()
            || revocations.go_on(due(pages), CellId::RevocationPage, live_in_page, cells, now).is_err()
        {
            return;
        }
        if elapsed < WALK_NANOS {
            self.standing.census.set(Some(census));
            return;
        }
        // At most 2^22 times 2^20.
        let all = identities.live.wrapping_mul(slots.into()).checked_div(identities.next.into());
        for (gauge, value) in [
            (Gauge::LimiterIdentities, all.unwrap_or(0)),
            (Gauge::RevocationEntries, revocations.live),
            (Gauge::LimiterCapacity, room.0),
            (Gauge::RevocationCapacity, room.1),
        ] {
            let _ = host.act(Action::Gauge { gauge, value });
        }
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
