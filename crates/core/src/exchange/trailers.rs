//! The trailers of a request (RFC 9110 section 6.5). Some services and gateways merge them into the headers, so what no
//! client may say in a header is removed from them too.

use super::ledger::{self, About, Source};
use super::{Exchange, Flow, State};
use crate::denial::Denial;
use crate::effect::forward::forged_trailers;
use crate::engine::Engine;
use crate::fault::Fault;
use crate::host::{Action, StreamHost};
use crate::time::UnixNanos;
use crate::verdict::{Destination, Trail};

impl Exchange {
    /// Removes what must not reach the upstream, if anything of the request may still reach it. The trailers of a
    /// request that waits may be sent on later without another event.
    ///
    /// # Errors
    ///
    /// A fault if the trailers could not be read or changed. They must not be sent on then.
    pub(super) fn clean_trailers<'r>(
        &self,
        engine: &Engine,
        trailers: Option<impl IntoIterator<Item = (&'r [u8], &'r [u8])>>,
        host: &mut impl StreamHost,
    ) -> Result<(), Fault> {
        match &self.state {
            State::New | State::Stopped | State::Announcing(_) | State::Overtaken { .. } => return Ok(()),
            State::Holding { kept, .. } if kept.grant.destination() == Destination::RevocationEndpoint => {
                return Ok(());
            }
            State::Passing | State::Awaiting(_) | State::Counting { .. } | State::Holding { .. } => {}
        }
        let trailers = trailers.ok_or(Fault::Headers)?;
        for name in forged_trailers(engine.guard.policy(), trailers) {
            host.act(Action::RemoveTrailer(name)).map_err(|_| Fault::Edit)?;
        }
        Ok(())
    }

    /// Refuses a request, part of which the upstream may have got already, for a fault.
    pub(super) fn refuse_for(
        &mut self,
        engine: &Engine,
        fault: Fault,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        let denial = Denial::Fault(fault);
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Awaiting(awaiting) => awaiting.refuse(engine, &denial, host, now),
            State::Counting { kept, .. } | State::Holding { kept, .. } => {
                ledger::refuse(engine, host, &denial, &kept.about(), now);
            }
            State::New | State::Stopped | State::Passing | State::Announcing(_) | State::Overtaken { .. } => {
                let about = About { trail: &Trail::default(), source: Source::Unread };
                ledger::refuse(engine, host, &denial, &about, now);
            }
        }
        Flow::Pause
    }
}
