//! Our side of the store: what is it asked, and what becomes of the answers?
//!
//! There is one call in flight. Whatever is wanted meanwhile goes with the next one, all in one body: limits, what
//! goes back, debts, the mark that this Envoy is alive, revocations. Nothing here sends anything: a call is returned, and how
//! it ended is told.
//!
//! - `link/call.rs`: what goes into a call, and how it ends; `link/reply.rs`: what its reply brings.

mod call;
mod reply;

use std::num::NonZeroU32;

use super::accounts::{Accounts, Standing};
use super::circuit::Circuit;
use super::nodes::Nodes;
use super::record::View;
use super::rule::{FleetLimit, FleetRule};
use super::script::KnownScripts;
use super::sharing::Sharing;
use super::units::{Demand, Unit};
use crate::cells::{CellFault, Cells};
use crate::limit::{Identity, Outcome};
use crate::revocation::SharedEntry;
use crate::seed::Seed;
use crate::time::UnixNanos;
use call::Flight;
pub(super) use call::login;
pub use call::{Call, Ended};

/// No call may take longer, seconds.
const LONGEST_CALL_SECONDS: u64 = 1;

/// Revocations that the store is told of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told((u64, u32));

/// Our side of the store, for one worker or for several that share it ([`super::Member`]).
#[derive(Debug)]
pub struct Link {
    who: String,
    /// This Envoy, for the marks of all its workers.
    node: String,
    seed: Seed,
    circuit: Circuit,
    nodes: Nodes,
    accounts: Accounts,
    flight: Option<Flight>,
    /// When the latest call ended.
    ended: UnixNanos,
    calls: u32,
    /// The number of the last report.
    reports: u64,
    scripts: KnownScripts,
    /// The store's epoch, once it has told it.
    epoch: Option<u64>,
    evicts: bool,
    latest: UnixNanos,
    sharing: Sharing,
    /// Requests that waited, and that were judged without the store, since they were counted.
    waited: u32,
    shared: u32,
}

impl Link {
    /// A link to the store of `rule`, which `random` bytes identify, in the process that `seed` identifies.
    pub fn open(rule: &FleetRule, seed: Seed, random: [u8; 16]) -> Self {
        let digest = |domain, of: Seed| super::names::hex(&of.digest(domain, []).to_be_bytes());
        let seed_of_worker = Seed::from_bytes(random);
        Self {
            who: digest("fleet/worker", seed_of_worker),
            node: digest("fleet/node", seed),
            seed: seed_of_worker,
            circuit: Circuit::new(),
            nodes: Nodes::new(),
            accounts: Accounts::default(),
            flight: None,
            ended: UnixNanos::default(),
            calls: 0,
            reports: 0,
            scripts: KnownScripts::default(),
            epoch: None,
            evicts: false,
            latest: UnixNanos::default(),
            waited: 0,
            shared: 0,
            sharing: Sharing::new(
                seed.digest("fleet/source", [rule.names.common("ends").as_bytes()]),
                seed_of_worker,
            ),
        }
    }

    /// Takes a unit for one more request, or says why there is none. A unit that is not spent after all must be put back.
    pub fn take(&mut self, rule: &FleetRule, demand: Demand, now: UnixNanos) -> Standing {
        self.note_time(now);
        self.accounts.take(demand, &rule.names, self.circuit.is_reached(), now)
    }

    /// Puts back a unit that was taken and not spent.
    pub fn put_back(&mut self, identity: Identity, unit: Unit) {
        self.accounts.put_back(identity, unit);
    }

    /// Notes a unit that was spent while the store was not reached.
    pub fn owe(&mut self, identity: Identity) {
        self.shared = self.shared.saturating_add(1);
        self.accounts.owe(identity);
    }

    /// Has a request wait for units. Returns a number for [`Self::is_answered`].
    pub fn wait(&mut self, identity: Identity) -> u32 {
        self.waited = self.waited.saturating_add(1);
        self.ask(identity)
    }

    /// Asks for one more unit, with the next call. Returns a number for [`Self::is_answered`].
    pub fn ask(&mut self, identity: Identity) -> u32 {
        self.accounts.wait(identity)
    }

    /// Whether the request goes on that has waited since [`Self::wait`].
    pub fn is_answered(&mut self, identity: Identity, answered: u32) -> bool {
        !self.circuit.is_reached() || self.accounts.is_answered(identity, answered)
    }

    /// The requests that waited and those that were judged without the store, since the last call.
    pub fn take_counts(&mut self) -> (u32, u32) {
        (std::mem::take(&mut self.waited), std::mem::take(&mut self.shared))
    }

    /// The figures of one who asks for units that the store has not granted.
    pub fn refusal(&mut self, demand: Demand, now: UnixNanos) -> Outcome {
        self.accounts.refusal(demand, now)
    }

    /// Whether the store was reached last.
    pub fn is_reached(&self) -> bool {
        self.circuit.is_reached()
    }

    /// The number of Envoys that share the limits.
    pub fn nodes(&self, rule: &FleetRule) -> NonZeroU32 {
        self.nodes.now(rule)
    }

    /// The units of a limit that this Envoy may spend without asking, in any interval of the window.
    pub fn owned(
        &self,
        rule: &FleetRule,
        limit: FleetLimit,
        max_requests: NonZeroU32,
        now: UnixNanos,
    ) -> Option<NonZeroU32> {
        if limit.private_percent == 0 {
            return None;
        }
        limit.owned(max_requests, self.nodes.owners(rule, now)?)
    }

    /// Reads what the workers of this process know of the fleet's revocations. Costs one load.
    ///
    /// # Errors
    ///
    /// [`CellFault`] if the host does not answer, or if the cell was not written by api-guard.
    pub fn refresh(&mut self, cells: &impl Cells, now: UnixNanos) -> Result<(), CellFault> {
        self.sharing.refresh(cells, now)
    }

    /// What is known of the fleet's revocations, as of the last refresh.
    pub fn view(&self) -> View {
        self.sharing.view()
    }

    /// Has the store be told of revocations, with the next call. `None` if too many wait for that.
    pub fn tell(&mut self, entries: &[SharedEntry]) -> Option<Told> {
        self.sharing.tell(entries).map(Told)
    }

    /// Whether the store has been told; `None` if that is not known yet. What it has not been told is told again.
    pub fn is_told(&self, told: Told) -> Option<bool> {
        let Told(numbers) = told;
        self.sharing.is_told(numbers).or_else(|| (!self.circuit.is_reached()).then_some(false))
    }

    /// Handles the passing of time. Call it in each tick, before [`Self::begin`]. Returns the number of a call of which the
    /// host has not said how it ended, and never will: it is to be ended ([`Self::end`]).
    pub fn on_tick(&mut self, now: UnixNanos) -> Option<u32> {
        self.note_time(now);
        self.accounts.sweep(now);
        self.lost(now)
    }

    /// Notes the time of one of several workers, and returns the time to go by. `went_back`: whether that worker's clock did.
    pub(super) fn order(&mut self, now: UnixNanos, went_back: bool) -> UnixNanos {
        let is_late = now < self.latest && self.latest <= now.latest_present();
        let now = if is_late && !went_back { self.latest } else { now };
        self.note_time(now);
        now
    }

    /// Notes the time. What was to end at a moment ends when the clock goes backwards.
    fn note_time(&mut self, now: UnixNanos) {
        if now < self.latest {
            self.accounts.clock_went_back();
            self.circuit.clock_went_back(now);
            self.nodes.clock_went_back();
            if let Some(flight) = &mut self.flight {
                // No call takes longer, so what it brings ends too early rather than too late.
                flight.sent = now.minus_seconds(LONGEST_CALL_SECONDS);
            }
        }
        self.latest = now;
    }
}
