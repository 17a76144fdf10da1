//! The body of a request: counted while it streams, held until it has ended, or read by the revocation endpoint.

use super::announce::{self, Announcing};
use super::await_answer::Awaiting;
use super::ledger::{self, Kept};
use super::meter::Meter;
use super::{Exchange, Flow, Hold, State};
use crate::denial::Denial;
use crate::engine::Engine;
use crate::fault::Fault;
use crate::guard::Answer;
use crate::host::{Action, StreamHost};
use crate::time::UnixNanos;
use crate::verdict::Destination;

/// A request that the host holds for us, and that nothing was counted for yet.
#[derive(Debug)]
pub(super) enum Undecided {
    /// It was admitted, if its body is as it must be.
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
            decided @ (State::Overtaken { .. } | State::Announcing(_)) => {
                self.state = decided;
                Flow::Pause
            }
            State::Awaiting(mut awaiting) => {
                match awaiting.arrives(engine, size, end_of_stream, host, now) {
                    Ok(()) => {
                        self.state = State::Awaiting(awaiting);
                        Flow::Pause
                    }
                    // Where nothing is refused, the request goes on without an answer.
                    Err(Denial::Busy(_)) if !awaiting.enforces() => {
                        self.judge_again(engine, *awaiting, Answer::Unavailable, host, now)
                    }
                    Err(denial) => {
                        awaiting.release_body();
                        self.refuse_held(engine, Undecided::Awaiting(awaiting), denial, host, now)
                    }
                }
            }
            State::Counting { mut meter, kept } => {
                let judged = kept.grant.body.judge_type(size).and_then(|()| meter.count(size, host));
                match judged {
                    Ok(()) if end_of_stream => {
                        self.state = State::Passing;
                        Flow::Continue
                    }
                    Ok(()) => {
                        self.state = State::Counting { meter, kept };
                        Flow::Continue
                    }
                    Err(denial) if kept.carry_out(engine, &denial, host, now) => Flow::Pause,
                    Err(_) => {
                        self.state = State::Passing;
                        Flow::Continue
                    }
                }
            }
            State::Holding { mut hold, kept } => match hold.arrives(engine, &kept, size, host, now) {
                Err(denial) => self.refuse_held(engine, Undecided::Held(kept), denial, host, now),
                Ok(()) if end_of_stream => self.end_hold(engine, &hold, kept, host, now),
                Ok(()) => {
                    self.state = State::Holding { hold, kept };
                    Flow::Pause
                }
            },
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
        // Nothing follows the end of a request, and an adapter may have forgotten the stream.
        if std::mem::replace(&mut self.has_ended, true) {
            return Flow::Pause;
        }
        if let Err(fault) = self.clean_trailers(engine, trailers, host) {
            return self.refuse_for(engine, fault, host, now);
        }
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::New | State::Stopped => Flow::Pause,
            decided @ (State::Overtaken { .. } | State::Announcing(_)) => {
                self.state = decided;
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
            State::Holding { hold, kept } => self.end_hold(engine, &hold, kept, host, now),
        }
    }

    /// Continues with a held request whose body has ended.
    fn end_hold(
        &mut self,
        engine: &Engine,
        hold: &Hold,
        kept: Box<Kept>,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        match kept.grant.destination() {
            Destination::Upstream if goes_on(engine, &kept, host, now) => {
                self.state = State::Passing;
                Flow::Continue
            }
            Destination::Upstream => Flow::Pause,
            // The endpoint answers itself; nothing goes to the upstream.
            Destination::RevocationEndpoint => {
                self.state = revoke_with_body(engine, kept, hold.max_bytes(), host, now);
                Flow::Pause
            }
        }
    }

    /// Continues with a held request whose body the host does not deliver. For the upstream it is released, and counted
    /// from here on; the revocation endpoint refuses it.
    pub(super) fn stop_holding(&mut self, engine: &Engine, host: &mut impl StreamHost, now: UnixNanos) {
        let State::Holding { kept, .. } = std::mem::replace(&mut self.state, State::Stopped) else {
            return;
        };
        match kept.grant.destination() {
            Destination::Upstream => {
                // Something of the body has been received, so it is not empty.
                if let Err(denial) = kept.grant.body.judge_type(1) {
                    ledger::refuse(engine, host, &denial, &kept.about(), now);
                } else if goes_on(engine, &kept, host, now) {
                    self.state = State::Counting { meter: Meter::begin(&kept.grant.body), kept };
                    let _ = host.act(Action::Resume);
                }
            }
            Destination::RevocationEndpoint => {
                ledger::advise(
                    host,
                    "api-guard: the revocation endpoint reads no bodies without allow_on_headers_stop_iteration: true",
                );
                ledger::refuse(engine, host, &Denial::Fault(Fault::Body), &kept.about(), now);
            }
        }
    }

    /// Refuses a held request whose body did not come in time.
    pub(super) fn give_up_body(&mut self, engine: &Engine, host: &mut impl StreamHost, now: UnixNanos) {
        if let State::Holding { kept, .. } = std::mem::replace(&mut self.state, State::Stopped) {
            ledger::refuse(engine, host, &Denial::BodyTimeout, &kept.about(), now);
        }
    }

    /// Refuses a request for what its body is like, which the host was holding.
    fn refuse_held(
        &mut self,
        engine: &Engine,
        request: Undecided,
        denial: Denial,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        if host.is_answered() {
            self.state = State::Overtaken { denial, request, since: now };
        } else {
            request.refuse(engine, &denial, host, now);
        }
        Flow::Pause
    }
}

/// Judges the caller of a request that was held, for the time at which it goes on.
fn judge_again(
    engine: &Engine,
    kept: &Kept,
    host: &mut impl StreamHost,
    now: UnixNanos,
) -> Result<(), Denial> {
    let Some(caller) = kept.grant.identity() else { return Ok(()) };
    let mut memory = engine.memory(host).map_err(Denial::Fault)?;
    engine.guard.judge_again(&mut memory, caller, host, now)
}

/// Whether a request that was held goes on to the upstream, which is counted; otherwise it is refused.
fn goes_on(engine: &Engine, kept: &Kept, host: &mut impl StreamHost, now: UnixNanos) -> bool {
    match judge_again(engine, kept, host, now) {
        Ok(()) => {
            kept.pass(engine, host, now);
            true
        }
        Err(denial) => !kept.carry_out(engine, &denial, host, now),
    }
}

fn revoke_with_body(
    engine: &Engine,
    kept: Box<Kept>,
    max_bytes: u64,
    host: &mut impl StreamHost,
    now: UnixNanos,
) -> State {
    let most = usize::try_from(max_bytes).unwrap_or(usize::MAX).saturating_add(1);
    let body = judge_again(engine, &kept, host, now)
        .and_then(|()| host.request_body(0, most).map_err(Denial::Fault));
    match body {
        Ok(body) => revoke(engine, kept, &body, host, now),
        Err(denial) => {
            if denial.fault().is_some() {
                let _ = host.act(Action::Count(engine.counters.revoked(Err(&denial))));
            }
            ledger::refuse(engine, host, &denial, &kept.about(), now);
            State::Stopped
        }
    }
}

/// Revokes what a body asks for, and answers, or waits until the fleet has been told. The stream's state then.
pub(super) fn revoke(
    engine: &Engine,
    kept: Box<Kept>,
    body: &[u8],
    host: &mut impl StreamHost,
    now: UnixNanos,
) -> State {
    let result = match kept.grant.identity() {
        None => Err(Denial::TokenMissing),
        Some(caller) => engine.memory(host).map_err(Denial::Fault).and_then(|mut memory| {
            engine.guard.revoke(&mut memory, caller, body, kept.headers_at, host, now)
        }),
    };
    let (kept, result) = match result {
        Ok(revoked) => match Announcing::begin(engine, kept, revoked, host, now) {
            Ok(announcing) => return State::Announcing(Box::new(announcing)),
            Err(ended) => ended,
        },
        Err(denial) => (kept, Err(denial)),
    };
    announce::answer(engine, &kept, result, host, now);
    State::Stopped
}
