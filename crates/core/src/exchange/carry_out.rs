//! What becomes of a request once the guard has returned: it passes, it is answered, its body is held or counted, or it
//! waits for an answer from outside.

use super::hold::Hold;
use super::ledger::{self, About, Kept, Source};
use super::meter::Meter;
use super::{Arrived, Exchange, Flow, State, body};
use crate::denial::Denial;
use crate::effect::forward::each_edit;
use crate::effect::rate_headers;
use crate::engine::Engine;
use crate::fault::Fault;
use crate::guard::Step;
use crate::host::{Action, StreamHost};
use crate::request::Request;
use crate::time::UnixNanos;
use crate::verdict::{BodyPlan, Decision, Destination, Trail, Verdict};

impl Exchange {
    /// Continues with what the guard returned, at the headers or after an answer.
    pub(super) fn proceed(
        &mut self,
        engine: &Engine,
        request: &Request<'_>,
        step: Result<Step, Fault>,
        arrived: Arrived,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        match step {
            Ok(Step::Done(verdict)) => self.carry_out(engine, request, verdict, arrived, host, now),
            Ok(Step::Ask(question, suspended)) => self.ask(engine, question, suspended, arrived, host, now),
            Err(fault) => {
                let about = About { trail: &Trail::default(), source: Source::Headers(request) };
                self.stop(engine, &Denial::Fault(fault), &about, host, now)
            }
        }
    }

    /// Refuses a request, of which nothing goes on.
    fn stop(
        &mut self,
        engine: &Engine,
        denial: &Denial,
        about: &About<'_, '_>,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        ledger::refuse(engine, host, denial, about, now);
        self.state = State::Stopped;
        Flow::Pause
    }

    /// Carries out the verdict.
    fn carry_out(
        &mut self,
        engine: &Engine,
        request: &Request<'_>,
        verdict: Verdict,
        arrived: Arrived,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        let policy = engine.guard.policy();
        let about = About { trail: &verdict.trail, source: Source::Headers(request) };
        let reported = verdict.reported.as_ref();
        ledger::passed_through(engine, host, &about, now);
        let grant = match &verdict.decision {
            Decision::Admit(grant) => grant,
            Decision::Refuse(denial) => return self.stop(engine, denial, &about, host, now),
        };
        if grant.destination() == Destination::RevocationEndpoint {
            ledger::stays_here(engine, host, &about);
            let kept = Kept::of(engine, host, request, verdict, arrived.headers_at);
            let Some(kept) = kept else { return Flow::Pause };
            if !request.has_body {
                self.state = body::revoke(engine, kept, b"", host, now);
                return Flow::Pause;
            }
            return self.hold_or_count(engine, kept, arrived, host, now);
        }
        if each_edit(policy, grant, request, |edit| host.act(Action::Edit(edit))).is_err() {
            return self.stop(engine, &Denial::Fault(Fault::Edit), &about, host, now);
        }
        self.tightest = rate_headers::tightest(policy, &verdict.trail);
        if grant.body() == BodyPlan::Pass {
            ledger::pass(engine, host, reported, &about, now);
            self.state = State::Passing;
            return Flow::Continue;
        }
        let kept = Kept::of(engine, host, request, verdict, arrived.headers_at);
        let Some(kept) = kept else { return Flow::Pause };
        self.hold_or_count(engine, kept, arrived, host, now)
    }

    /// Continues with an admitted request whose body matters. The revocation endpoint holds every body.
    fn hold_or_count(
        &mut self,
        engine: &Engine,
        kept: Box<Kept>,
        arrived: Arrived,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        let (max_bytes, counts) = match kept.grant.body() {
            BodyPlan::Pass => (0, false),
            BodyPlan::Count(max_bytes) | BodyPlan::CountMessages(max_bytes) => {
                (max_bytes, kept.grant.destination() == Destination::Upstream)
            }
            BodyPlan::Hold(max_bytes) => (max_bytes, false),
        };
        let hold =
            if counts { None } else { Hold::begin(engine, &kept, max_bytes, arrived.received_before, host) };
        self.state = match hold {
            Some(hold) => State::Holding { hold, kept },
            None => {
                kept.pass(engine, host, now);
                State::Counting { meter: Meter::begin(&kept.grant.body), kept }
            }
        };
        self.go_on_with(engine, arrived, host, now)
    }

    /// Continues with an admitted request, part of whose body may have arrived before it was admitted.
    fn go_on_with(
        &mut self,
        engine: &Engine,
        arrived: Arrived,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        if arrived.bytes > 0 || (arrived.has_ended && !matches!(self.state, State::Passing)) {
            return self.on_request_body(engine, arrived.bytes, arrived.has_ended, host, now);
        }
        match self.state {
            State::Passing | State::Counting { .. } => Flow::Continue,
            State::New
            | State::Stopped
            | State::Awaiting(_)
            | State::Announcing(_)
            | State::Holding { .. }
            | State::Overtaken { .. } => Flow::Pause,
        }
    }
}
