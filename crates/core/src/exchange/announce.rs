//! A revocation that is in force here, and whose caller waits until the store of the fleet has been told.

use super::ledger::{self, Kept};
use super::patience::Patience;
use super::{Exchange, State};
use crate::denial::{Denial, FleetGap};
use crate::effect;
use crate::engine::Engine;
use crate::fleet::Told;
use crate::guard::Revoked;
use crate::host::{Action, StreamHost};
use crate::time::UnixNanos;

/// How long to wait for the store, nanoseconds: as long as any call may take, and the one before it.
const PATIENCE_NANOS: u64 = 2_000_000_000;

/// A revocation that the store is being told of.
#[derive(Debug)]
pub(super) struct Announcing {
    kept: Box<Kept>,
    revoked: Revoked,
    told: Told,
    patience: Patience,
}

impl Announcing {
    /// Has the store be told of what was entered. `Err` if there is no need to wait: how it ended, and for whom.
    pub(super) fn begin(
        engine: &Engine,
        kept: Box<Kept>,
        revoked: Revoked,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Result<Self, (Box<Kept>, Result<Revoked, Denial>)> {
        match engine.tell_store(host, now) {
            Ok(None) => Err((kept, Ok(revoked))),
            Err(denial) => Err((kept, Err(denial))),
            Ok(Some(told)) => {
                let patience = Patience::begin(PATIENCE_NANOS, now);
                engine.call(host, now);
                Ok(Self { kept, revoked, told, patience })
            }
        }
    }
}

impl Exchange {
    /// Answers a revocation if the store has been told of it, or cannot be for now.
    pub(super) fn look_at_announcement(
        &mut self,
        engine: &Engine,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) {
        let State::Announcing(announcing) = &mut self.state else { return };
        let is_told = engine.is_told(announcing.told, host, now);
        let Some(is_told) = is_told.or_else(|| announcing.patience.is_over(now).then_some(false)) else {
            return;
        };
        if let State::Announcing(announcing) = std::mem::replace(&mut self.state, State::Stopped) {
            let Announcing { kept, revoked, .. } = *announcing;
            let unshared = Denial::FleetUnavailable(FleetGap::Revoked);
            answer(engine, &kept, if is_told { Ok(revoked) } else { Err(unshared) }, host, now);
        }
    }
}

/// Answers a request to the revocation endpoint, and counts it.
pub(super) fn answer(
    engine: &Engine,
    kept: &Kept,
    result: Result<Revoked, Denial>,
    host: &mut impl StreamHost,
    now: UnixNanos,
) {
    let counter = engine.counters.revoked(result.as_ref().map(drop));
    let _ = host.act(Action::Count(counter));
    match result {
        Ok(revoked) => {
            kept.pass(engine, host, now);
            let about = kept.about();
            let reply = effect::revoked(engine.guard.policy(), revoked, about.trail);
            ledger::answer(host, &reply, &about);
        }
        Err(denial) => ledger::refuse(engine, host, &denial, &kept.about(), now),
    }
}
