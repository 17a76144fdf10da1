//! The body of a request: counted while it streams, held until it has ended, or read by the revocation endpoint.

use super::await_answer::Awaiting;
use super::ledger::{self, Kept};
use super::{Arrived, Exchange, Flow, Hold, State, effect};
use crate::denial::{Denial, FormFault, FormFaults};
use crate::engine::Engine;
use crate::fault::Fault;
use crate::host::{Action, StreamHost};
use crate::time::UnixNanos;
use crate::verdict::BodyPlan;

/// A request that the host holds for us, and that nothing was counted for yet.
#[derive(Debug)]
pub(super) enum Undecided {
    /// It was admitted, if its body is not too large.
    Held(Box<Kept>),
    /// Its judgement waits for an answer from outside.
    Awaiting(Box<Awaiting>),
}

impl Undecided {
    /// Refuses it, after all.
    pub(super) fn refuse(
        &self,
        engine: &Engine,
        denial: &Denial,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) {
        match self {
            Self::Held(kept) => ledger::refuse(engine, host, denial, &kept.about(), now),
            Self::Awaiting(awaiting) => awaiting.refuse(engine, denial, host, now),
        }
    }
}

impl Exchange {
    /// Handles a piece of the body. `size`, bytes: of the piece; while the request is held, of the whole body so far.
    pub fn on_request_body(
        &mut self,
        engine: &Engine,
        size: u64,
        end_of_stream: bool,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        self.has_ended |= end_of_stream;
        match std::mem::replace(&mut self.state, State::Stopped) {
            // A body before its headers belongs to no request.
            State::New | State::Stopped => Flow::Pause,
            State::Passing => {
                self.state = State::Passing;
                Flow::Continue
            }
            overtaken @ State::Overtaken { .. } => {
                self.state = overtaken;
                Flow::Pause
            }
            State::Awaiting(mut awaiting) => {
                if let Some(max_bytes) = awaiting.arrives(size, end_of_stream) {
                    return self.refuse_held(engine, Undecided::Awaiting(awaiting), max_bytes, host, now);
                }
                self.state = State::Awaiting(awaiting);
                Flow::Pause
            }
            State::Counting { left, max_bytes, kept } => match left.checked_sub(size) {
                Some(_) if end_of_stream => {
                    self.state = State::Passing;
                    Flow::Continue
                }
                Some(left) => {
                    self.state = State::Counting { left, max_bytes, kept };
                    Flow::Continue
                }
                None if kept.grant.enforces_size() => {
                    ledger::refuse(engine, host, &too_large(max_bytes), &kept.about(), now);
                    Flow::Pause
                }
                None => {
                    ledger::report(engine, host, &too_large(max_bytes), &kept.about(), false, now);
                    self.state = State::Passing;
                    Flow::Continue
                }
            },
            State::Holding { mut hold, max_bytes, kept } => {
                hold.body_seen(engine);
                if size > max_bytes {
                    return self.refuse_held(engine, Undecided::Held(kept), max_bytes, host, now);
                }
                if end_of_stream {
                    kept.pass(engine, host, now);
                    self.state = State::Passing;
                    return Flow::Continue;
                }
                self.state = State::Holding { hold, max_bytes, kept };
                Flow::Pause
            }
            State::Revoking { mut hold, max_bytes, kept } => {
                if let Some(hold) = &mut hold {
                    hold.body_seen(engine);
                }
                if size > max_bytes {
                    return self.refuse_held(engine, Undecided::Held(kept), max_bytes, host, now);
                }
                if end_of_stream {
                    revoke_with_body(engine, &kept, max_bytes, host, now);
                } else {
                    self.state = State::Revoking { hold, max_bytes, kept };
                }
                Flow::Pause
            }
        }
    }

    /// Handles trailers, which end the body. `trailers`: names and values in their order; `None` if the host's block of
    /// them could not be read.
    pub fn on_request_trailers<'r>(
        &mut self,
        engine: &Engine,
        trailers: Option<impl IntoIterator<Item = (&'r [u8], &'r [u8])>>,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        self.has_ended = true;
        if let Err(fault) = self.clean_trailers(engine, trailers, host) {
            return self.refuse_trailers(engine, fault, host, now);
        }
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::New | State::Stopped => Flow::Pause,
            overtaken @ State::Overtaken { .. } => {
                self.state = overtaken;
                Flow::Pause
            }
            State::Awaiting(mut awaiting) => {
                awaiting.ends();
                self.state = State::Awaiting(awaiting);
                Flow::Pause
            }
            State::Passing | State::Counting { .. } => {
                self.state = State::Passing;
                Flow::Continue
            }
            State::Holding { kept, .. } => {
                kept.pass(engine, host, now);
                self.state = State::Passing;
                Flow::Continue
            }
            // The endpoint answers itself; nothing goes to the upstream.
            State::Revoking { max_bytes, kept, .. } => {
                revoke_with_body(engine, &kept, max_bytes, host, now);
                Flow::Pause
            }
        }
    }

    /// Continues with an admitted request for the revocation endpoint, whose body says what to revoke.
    pub(super) fn begin_revocation(
        &mut self,
        engine: &Engine,
        has_body: bool,
        kept: Box<Kept>,
        arrived: Arrived,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        let (max_bytes, is_declared) = match kept.grant.body() {
            BodyPlan::Pass => (0, false),
            BodyPlan::Count(max_bytes) => (max_bytes, true),
            BodyPlan::Hold(max_bytes) => (max_bytes, false),
        };
        if !has_body {
            revoke(engine, &kept, b"", host, now);
            self.state = State::Stopped;
            return Flow::Pause;
        }
        let hold = Hold::begin(engine, true, is_declared, arrived.received_before, host, now);
        self.state = State::Revoking { hold, max_bytes, kept };
        self.go_on_with(engine, arrived, host, now)
    }

    /// Releases a request that was held in vain; its body is counted from here on.
    pub(super) fn release_uncounted(&mut self, engine: &Engine, host: &mut impl StreamHost, now: UnixNanos) {
        if let State::Holding { max_bytes, kept, .. } = std::mem::replace(&mut self.state, State::Stopped) {
            kept.pass(engine, host, now);
            self.state = State::Counting { left: max_bytes, max_bytes, kept };
            let _ = host.act(Action::Resume);
        }
    }

    /// Refuses a revocation request whose body the host holds without delivering it.
    pub(super) fn give_up_revocation(&mut self, engine: &Engine, host: &mut impl StreamHost, now: UnixNanos) {
        if let State::Revoking { kept, .. } = std::mem::replace(&mut self.state, State::Stopped) {
            ledger::advise(
                host,
                "api-guard: the revocation endpoint reads no bodies without allow_on_headers_stop_iteration: true",
            );
            ledger::refuse(engine, host, &Denial::Fault(Fault::Body), &kept.about(), now);
        }
    }

    /// Refuses a request whose body the host was holding.
    fn refuse_held(
        &mut self,
        engine: &Engine,
        request: Undecided,
        max_bytes: u64,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        if host.is_answered() {
            self.state = State::Overtaken { max_bytes, request, since: now };
        } else {
            request.refuse(engine, &too_large(max_bytes), host, now);
        }
        Flow::Pause
    }
}

fn revoke_with_body(
    engine: &Engine,
    kept: &Kept,
    max_bytes: u64,
    host: &mut impl StreamHost,
    now: UnixNanos,
) {
    let most = usize::try_from(max_bytes).unwrap_or(usize::MAX).saturating_add(1);
    match host.request_body(most) {
        Ok(body) => revoke(engine, kept, &body, host, now),
        Err(fault) => ledger::refuse(engine, host, &Denial::Fault(fault), &kept.about(), now),
    }
}

fn revoke(engine: &Engine, kept: &Kept, body: &[u8], host: &mut impl StreamHost, now: UnixNanos) {
    let result = match kept.grant.identity() {
        None => Err(Denial::TokenMissing),
        Some(caller) => engine
            .memory(host)
            .map_err(Denial::Fault)
            .and_then(|mut memory| engine.guard.revoke(&mut memory, caller, body, host, now)),
    };
    let counter = engine.counters.revoked(result.as_ref().map(drop));
    let _ = host.act(Action::Count(counter));
    match result {
        Ok(revoked) => {
            kept.pass(engine, host, now);
            ledger::answer(host, &effect::revoked(revoked), &kept.about());
        }
        Err(denial) => ledger::refuse(engine, host, &denial, &kept.about(), now),
    }
}

/// The refusal of a body over its size limit, bytes.
pub(super) fn too_large(max_bytes: u64) -> Denial {
    Denial::Form(FormFaults::one(FormFault::TooLarge { max_bytes }))
}
