//! How full are the shared tables? One worker at a time walks through them, a part at each tick, and shows what it found.
//!
//! A walk takes [`WALK_NANOS`], and one begins in every round, so what is shown was counted within ten seconds. Identities
//! are spread evenly over the slots of their table, so of a large table the first [`MOST_SLOTS`] stand for all.
//! Revocations fill their pages in order, and the walk ends at the first page that was never used.

use super::Engine;
use crate::cells::{CellFault, Cells};
use crate::guard::Memory;
use crate::host::{Action, StreamHost};
use crate::telemetry::gauges::Gauge;
use crate::time::UnixNanos;

/// How long a walk takes, nanoseconds.
const WALK_NANOS: u64 = 4_000_000_000;
/// The most slots of the limits' table that are looked at: those of 262,144 identities.
const MOST_SLOTS: u64 = 16_384;

/// A walk through the tables.
#[derive(Debug, Clone, Copy)]
pub(super) struct Census {
    began: UnixNanos,
    /// The next slot of the limits' table, and what those before it count.
    slot: u64,
    identities: u64,
    /// The next page of revocations, and what those before it hold.
    page: u64,
    revocations: u64,
}

impl Census {
    pub(super) fn begin(now: UnixNanos) -> Self {
        Self { began: now, slot: 0, identities: 0, page: 0, revocations: 0 }
    }

    /// Walks as far as is due at `now`. True if that was the rest.
    fn walk(&mut self, memory: &Memory, cells: &impl Cells, now: UnixNanos) -> Result<bool, CellFault> {
        let elapsed = now.nanos().saturating_sub(self.began.nanos()).min(WALK_NANOS);
        // At most 2^16 times 2^32.
        let due = |all: u64| all.wrapping_mul(elapsed) / WALK_NANOS;
        let slots = due(u64::from(memory.limiter.slots()).min(MOST_SLOTS));
        while self.slot < slots {
            let slot = u32::try_from(self.slot).map_err(|_| CellFault)?;
            let live = memory.limiter.live_in(cells, slot, now)?;
            self.identities = self.identities.saturating_add(wide(live));
            self.slot = self.slot.saturating_add(1);
        }
        let pages = due(wide(memory.revocations.page_count()));
        while self.page < pages {
            let page = usize::try_from(self.page).map_err(|_| CellFault)?;
            let Some(live) = memory.revocations.live_in(cells, page, now)? else {
                self.page = u64::MAX;
                break;
            };
            self.revocations = self.revocations.saturating_add(wide(live));
            self.page = self.page.saturating_add(1);
        }
        Ok(elapsed == WALK_NANOS)
    }

    /// How many identities the whole table counts, after the walk.
    fn identities_of(&self, slots: u64) -> u64 {
        // At most 2^22 times 2^20.
        self.identities.wrapping_mul(slots).checked_div(self.slot).unwrap_or(0)
    }
}

impl Engine {
    /// Goes on with the census, if this worker takes one.
    pub(super) fn take_census(&self, host: &mut impl StreamHost, now: UnixNanos) {
        // One that fails is not gone on with: the next round begins another.
        let Some(mut census) = self.standing.census.take() else { return };
        let Ok(memory) = self.memory(host) else { return };
        let Ok(is_over) = census.walk(&memory, host.cells(), now) else { return };
        if !is_over {
            drop(memory);
            self.standing.census.set(Some(census));
            return;
        }
        let shown = [
            (Gauge::LimiterIdentities, census.identities_of(memory.limiter.slots().into())),
            (Gauge::LimiterCapacity, memory.limiter.capacity().into()),
            (Gauge::RevocationEntries, census.revocations),
            (Gauge::RevocationCapacity, wide(memory.revocations.capacity())),
        ];
        drop(memory);
        for (gauge, value) in shown {
            let _ = host.act(Action::Gauge { gauge, value });
        }
    }
}

fn wide(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
