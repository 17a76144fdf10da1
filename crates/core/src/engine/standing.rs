//! Which configuration is in force? Metrics say so, and a line in the log of each worker that has it.
//!
//! A replaced configuration goes on beside the new one until its last stream has ended, in the same worker or in
//! another, and no host tells it that it was replaced. So the configuration in force holds a claim in a shared cell. A new
//! one takes it over in its first tick, and the old one finds that out in its next. Some worker of the configuration in
//! force renews the claim in every round; who does so takes the [census](super::census) of this round. A configuration
//! that comes back while it still runs, which hosts do not tell either, has the claim again once the other one has
//! ceased to renew it.

use std::cell::Cell;

use super::Engine;
use super::census::Census;
use crate::cells::{CellId, Cells, Expected, Stored};
use crate::config::digest;
use crate::host::{Action, StreamHost};
use crate::telemetry::gauges::Gauge;
use crate::telemetry::{VERSION, line};
use crate::time::UnixNanos;

/// How often a claim is renewed, nanoseconds.
const ROUND_NANOS: u64 = 5_000_000_000;
/// A claim that was not renewed for so long has lapsed, nanoseconds.
const LAPSE_NANOS: u64 = 20_000_000_000;

/// The gauge of the configuration that is in force, if any has ever been.
pub fn gauge_in_force(cells: &impl Cells) -> Option<String> {
    let claim = cells.load(CellId::InForce).ok()??.bytes;
    let (_, holder) = claim.split_first_chunk::<8>()?;
    let (config, version) = std::str::from_utf8(holder).ok()?.split_at_checked(digest::LETTERS)?;
    Some(Gauge::info_name(version, config))
}

/// How a configuration stands on one worker.
#[derive(Debug, Default)]
pub(super) struct Standing {
    phase: Cell<Phase>,
    /// The census that this worker takes at present.
    pub(super) census: Cell<Option<Census>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// It has not ticked yet.
    #[default]
    New,
    InForce,
    Replaced,
}

impl Engine {
    /// Writes the line that this worker has the configuration. To be called once, where the worker does not tick.
    pub fn announce(&self, host: &mut impl StreamHost) {
        let _ = host.act(Action::Log(&line::configured(self.guard.policy())));
    }

    /// Finds out whether this configuration is in force, and shows what only the one in force may show.
    pub(super) fn stand(&self, host: &mut impl StreamHost, now: UnixNanos) {
        // Whatever fails here is tried again in the next tick.
        let Ok(stored) = host.cells().load(CellId::InForce) else { return };
        let expected = Expected::unchanged_since(stored.as_ref());
        let bytes = stored.map(|stored| stored.bytes).unwrap_or_default();
        let (renewed, holder) = bytes.split_first_chunk().unwrap_or((&[0; 8], &[]));
        let age = now.nanos().abs_diff(u64::from_le_bytes(*renewed));
        let config = self.guard.policy().digest().as_bytes();
        let is_own = holder.strip_prefix(config) == Some(VERSION.as_bytes());
        let phase = self.standing.phase.get();
        let claims = if is_own { age >= ROUND_NANOS } else { phase == Phase::New || age >= LAPSE_NANOS };
        if claims {
            let claim = [&now.nanos().to_le_bytes(), config, VERSION.as_bytes()].concat();
            if host.cells().store(CellId::InForce, &claim, expected) != Ok(Stored::Done) {
                return;
            }
            self.standing.census.set(Some(Census::begin(now)));
        } else if !is_own {
            if phase == Phase::InForce {
                self.standing.phase.set(Phase::Replaced);
                self.standing.census.set(None);
                self.show_standing(host, false);
            }
            return;
        }
        if phase == Phase::New {
            self.announce(host);
        }
        self.standing.phase.set(Phase::InForce);
        // Again in each round: one that was replaced may have hidden a key that both have.
        if claims || phase != Phase::InForce {
            self.show_standing(host, true);
        }
        self.take_census(host, now);
    }

    /// Handles that the worker lets go of this configuration, which gets no tick more: shows that it is no longer in force, and
    /// leaves its fetches to others. Another worker that goes on with it shows it again in its next round.
    pub fn withdraw(&self, host: &mut impl StreamHost) {
        self.abandon_fetches(host.cells());
        if self.standing.phase.replace(Phase::Replaced) == Phase::InForce {
            self.show_standing(host, false);
        }
    }

    fn show_standing(&self, host: &mut impl StreamHost, in_force: bool) {
        let mut show = |gauge, value| {
            let _ = host.act(Action::Gauge { gauge, value: if in_force { value } else { 0 } });
        };
        show(Gauge::Info, 1);
        for (key, _, end) in self.guard.policy().tokens.keys.expiries() {
            show(Gauge::KeyExpires(key), end.seconds());
        }
    }
}
