//! What an engine does for the fleet: it calls the store, tells it of revocations, and shows how the fleet stands.

use super::Engine;
use crate::denial::{Denial, FleetGap};
use crate::fleet::{CallResponse, Told};
use crate::guard::Memory;
use crate::host::{Action, StreamHost};
use crate::telemetry::gauges::Gauge;
use crate::telemetry::line;
use crate::time::UnixNanos;

impl Engine {
    /// Looks at what has ended of the fleet.
    pub(super) fn look_after_fleet(&self, host: &mut impl StreamHost, now: UnixNanos) {
        if self.guard.policy().fleet.is_none() {
            return;
        }
        let Ok(mut memory) = self.memory(host) else { return };
        let Memory { fleet, revocations, .. } = &mut *memory;
        let Some(fleet) = fleet else { return };
        let entered = revocations.take_entered();
        // Whatever fails here is tried again in the next tick.
        let _ = fleet.refresh(host.cells(), now);
        let looked = fleet.with(now, |link, now| {
            // What there is no room for is told when the store has lost what it held.
            let _ = link.tell(&entered);
            (link.on_tick(now), link.take_counts())
        });
        drop(memory);
        let (lost, (waited, shared)) = looked.unwrap_or_default();
        if let Some(number) = lost {
            self.end_call(number, CallResponse::TimedOut, host, now);
        }
        self.counters.of_fleet([0, 0, waited, shared, 0], |counter, by| {
            let _ = host.act(Action::Add { counter, by });
        });
    }

    /// Begins the call to the store that is due.
    pub(super) fn call_store(&self, host: &mut impl StreamHost, now: UnixNanos) {
        let Some(rule) = &self.guard.policy().fleet else { return };
        let Ok(mut memory) = self.memory(host) else { return };
        let Memory { fleet, revocations, .. } = &mut *memory;
        let Some(fleet) = fleet else { return };
        let call = fleet.with(now, |link, now| link.begin(rule, revocations, host.cells(), now));
        drop(memory);
        if let Ok(Some(call)) = call
            && host.act(Action::Call(&call)).is_err()
        {
            self.end_call(call.number, CallResponse::Reset, host, now);
        }
    }

    /// Handles the end of an [`Action::Call`]. Requests that wait for it go on in their next tick, which should come at once.
    pub fn on_called(
        &self,
        number: u32,
        response: CallResponse<'_>,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) {
        if self.calls_again(number, response, host, now) {
            return;
        }
        self.end_call(number, response, host, now);
        self.call_store(host, now);
    }

    /// Whether the call that has ended has been sent once more.
    fn calls_again(
        &self,
        number: u32,
        response: CallResponse<'_>,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> bool {
        let Some(rule) = &self.guard.policy().fleet else { return false };
        let Ok(mut memory) = self.memory(host) else { return false };
        let Some(fleet) = &mut memory.fleet else { return false };
        let call = fleet.with(now, |link, _| link.begin_again(rule, number, response));
        drop(memory);
        matches!(call, Ok(Some(call)) if host.act(Action::Call(&call)).is_ok())
    }

    fn end_call(&self, number: u32, response: CallResponse<'_>, host: &mut impl StreamHost, now: UnixNanos) {
        let Some(rule) = &self.guard.policy().fleet else { return };
        let Ok(mut memory) = self.memory(host) else { return };
        let Memory { fleet, revocations, .. } = &mut *memory;
        let Some(fleet) = fleet else { return };
        let ended =
            fleet.with(now, |link, now| link.end(rule, number, response, revocations, host.cells(), now));
        drop(memory);
        let Ok(Some(ended)) = ended else { return };
        let _ = host.act(Action::Count(self.counters.called(ended.purpose, ended.outcome)));
        let counts = [ended.leased, ended.returned, 0, 0, u32::from(ended.has_reset)];
        self.counters.of_fleet(counts, |counter, by| {
            let _ = host.act(Action::Add { counter, by });
        });
        if ended.is_news || ended.has_reset || ended.evicts {
            let _ = host.act(Action::Log(&line::fleet(&ended)));
        }
    }

    /// Has the store be told of what was revoked. `None` if there is nothing to tell, or nobody.
    pub(crate) fn tell_store(&self, host: &impl StreamHost, now: UnixNanos) -> Result<Option<Told>, Denial> {
        let mut memory = self.memory(host).map_err(Denial::Fault)?;
        let Memory { fleet, revocations, .. } = &mut *memory;
        let entered = revocations.take_entered();
        let Some(fleet) = fleet.as_mut().filter(|_| !entered.is_empty()) else { return Ok(None) };
        let told = fleet.with(now, |link, _| link.tell(&entered))?;
        told.map(Some).ok_or(Denial::FleetUnavailable(FleetGap::Revoked))
    }

    /// Has the store be told of what a request has entered that did not ask for it: a token that turned out to live longer than
    /// its revocation. A worker that ticks does so in its next tick.
    pub(crate) fn hand_over_entered(&self, host: &mut impl StreamHost, now: UnixNanos) {
        if !self.calls && matches!(self.tell_store(host, now), Ok(Some(_))) {
            self.call(host, now);
        }
    }

    /// Whether the store has been told; `None` if that is not known yet.
    pub(crate) fn is_told(&self, told: Told, host: &impl StreamHost, now: UnixNanos) -> Option<bool> {
        self.memory(host).ok()?.fleet.as_mut()?.with(now, |link, _| link.is_told(told)).ok()?
    }

    /// Shows whether the store of the fleet is reached, by how many Envoys, and how old what is known of revocations is.
    pub(super) fn show_fleet(&self, host: &mut impl StreamHost, now: UnixNanos) {
        let Some(rule) = &self.guard.policy().fleet else { return };
        let Ok(mut memory) = self.memory(host) else { return };
        let Some(fleet) = &mut memory.fleet else { return };
        let Ok((is_reached, nodes)) = fleet.with(now, |link, _| (link.is_reached(), link.nodes(rule))) else {
            return;
        };
        let shown = [
            (Gauge::FleetReachable, Some(u64::from(is_reached))),
            (Gauge::FleetNodes, Some(nodes.get().into())),
            (Gauge::FleetRevocationAge, fleet.view().age_seconds(now)),
        ];
        drop(memory);
        for (gauge, value) in shown {
            if let Some(value) = value {
                let _ = host.act(Action::Gauge { gauge, value });
            }
        }
    }
}
