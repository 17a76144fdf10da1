//! One stream as a state machine: the host's events go in, and actions come out ([`crate::host`]).
//!
//! Headers go to the guard. A body is counted, held or read. A request whose judgement waits for an answer from outside
//! is held meanwhile. A response gets headers that say how much is left of the limits. `carry_out` does what was decided;
//! `ledger` counts, logs, writes filter state and answers, for every refusal alike.
//!
//! A stream belongs to one [`Engine`], which is an argument of every event, as are the host and the time. Events may
//! come in any order and any number of times: an answered request stays answered, and nothing passes unjudged.

mod announce;
mod await_answer;
mod body;
mod carry_out;
pub(crate) mod hold;
mod ledger;
mod meter;
pub(crate) mod patience;
mod trailers;

use crate::denial::Denial;
use crate::effect::rate_headers;
use crate::engine::Engine;
use crate::fault::Fault;
use crate::host::{Action, StreamHost};
use crate::request::Request;
use crate::time::UnixNanos;
use crate::verdict::Judged;
use announce::Announcing;
use await_answer::Awaiting;
use body::Undecided;
use hold::{Found, Hold};
use ledger::Kept;
use meter::Meter;

/// What the host does with a stream when a callback returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// What has arrived goes on.
    Continue,
    /// It stays with the host: the request was answered, or the decision is still to come.
    Pause,
}

/// One stream.
#[derive(Debug, Default)]
pub struct Exchange {
    state: State,
    /// The limit that the headers of the response describe, if the request passes.
    tightest: Option<Judged>,
    /// Whether the request has ended.
    has_ended: bool,
    /// The number of questions asked so far, which is the number of the latest one.
    questions: u32,
}

/// How far the request has come.
#[derive(Debug, Default)]
enum State {
    /// The headers are still to come.
    #[default]
    New,
    /// The request was answered: nothing of it goes on.
    Stopped,
    /// The request passes, and nothing is left to judge.
    Passing,
    /// The judgement waits for an answer from outside.
    Awaiting(Box<Awaiting>),
    /// The revocation is in force, and the fleet is being told.
    Announcing(Box<Announcing>),
    /// The body is counted while it streams.
    Counting { meter: Meter, kept: Box<Kept> },
    /// The request is held until its body has ended, which then goes to the upstream or to the revocation endpoint.
    Holding { hold: Hold, kept: Box<Kept> },
    /// The request is refused for its body, which was also too large for the host's buffer, so that the host's own answer
    /// is on its way. Only the first answer counts, so ours replaces the host's when its headers appear.
    Overtaken { denial: Denial, request: Undecided, since: UnixNanos },
}

/// When a request's headers came, and how much of its body had arrived when the request was decided.
#[derive(Debug, Clone, Copy)]
struct Arrived {
    headers_at: UnixNanos,
    bytes: u64,
    has_ended: bool,
    /// What the host had received when the body was still to come, bytes; `None` if nobody has asked it yet.
    received_before: Option<u64>,
}

impl Exchange {
    /// Judges the headers of the request. `headers`: names and values in their order; `None` if the host's header block
    /// could not be read. `end_of_stream`: nothing follows them.
    pub fn on_request_headers<'r>(
        &mut self,
        engine: &Engine,
        headers: Option<impl IntoIterator<Item = (&'r [u8], &'r [u8])>>,
        end_of_stream: bool,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        // Headers come once. No rule covers a second set, so the stream stops.
        if !matches!(self.state, State::New) {
            self.state = State::Stopped;
            return Flow::Pause;
        }
        self.state = State::Stopped;
        self.has_ended = end_of_stream;
        let Some(headers) = headers else { return self.refuse_unread(engine, Fault::Headers, host, now) };
        let policy = engine.guard.policy();
        let request = Request::read(policy.header_plan(), headers, !end_of_stream);
        let begun =
            engine.memory(host).map(|mut memory| engine.guard.begin(&mut memory, &request, host, now));
        let arrived = Arrived { headers_at: now, bytes: 0, has_ended: end_of_stream, received_before: None };
        self.proceed(engine, &request, begun, arrived, host, now)
    }

    /// Handles the response's headers: adds those that say how much is left of the limits, or replaces the host's own
    /// answer. An answer of ours, which some hosts show here and others do not, is left as it is.
    pub fn on_response_headers(&mut self, engine: &Engine, host: &mut impl StreamHost) -> Flow {
        if let State::Overtaken { .. } = self.state
            && let State::Overtaken { denial, request, since } =
                std::mem::replace(&mut self.state, State::Stopped)
        {
            request.refuse(engine, &denial, host, since);
            return Flow::Pause;
        }
        if let State::Passing | State::Counting { .. } = self.state
            && let Some(tightest) = self.tightest.take()
        {
            for (name, value) in rate_headers::of_admission(engine.guard.policy(), &tightest) {
                // A response that could not be given these headers is still sent.
                let _ = host.act(Action::MarkResponse { name, value: &value });
            }
        }
        Flow::Continue
    }

    /// Handles a fault that the adapter has found in the last event: an action that could not be carried out after all, or
    /// a panic. The request is refused. Not to be called once it was answered.
    pub fn on_fault(
        &mut self,
        engine: &Engine,
        fault: Fault,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        self.refuse_for(engine, fault, host, now)
    }

    /// Handles the passing of time. Call it regularly while [`Self::wants_ticks`].
    pub fn on_tick(&mut self, engine: &Engine, host: &mut impl StreamHost, now: UnixNanos) {
        match &mut self.state {
            State::Holding { hold, .. } => match hold.look(engine, host, now) {
                Found::Waits => {}
                Found::Undelivered => self.stop_holding(engine, host, now),
                Found::Overdue => self.give_up_body(engine, host, now),
            },
            State::Awaiting(awaiting) => {
                if let Some(answer) = awaiting.answer(engine, host, now) {
                    self.stop_waiting(engine, answer, host, now);
                }
            }
            State::Announcing(_) => self.look_at_announcement(engine, host, now),
            State::New
            | State::Stopped
            | State::Passing
            | State::Counting { .. }
            | State::Overtaken { .. } => {}
        }
    }

    /// Whether [`Self::on_tick`] may do something at `now`. Asks nobody, so that an adapter can look after many streams.
    pub fn is_due(&mut self, now: UnixNanos) -> bool {
        match &mut self.state {
            State::Holding { hold, .. } => hold.is_due(now),
            State::Awaiting(awaiting) => awaiting.is_due(now),
            State::Announcing(_) => true,
            State::New
            | State::Stopped
            | State::Passing
            | State::Counting { .. }
            | State::Overtaken { .. } => false,
        }
    }

    /// Whether the stream waits for something that may never come.
    pub fn wants_ticks(&self) -> bool {
        match &self.state {
            State::Holding { .. } | State::Awaiting(_) | State::Announcing(_) => true,
            State::New
            | State::Stopped
            | State::Passing
            | State::Counting { .. }
            | State::Overtaken { .. } => false,
        }
    }

    /// Whether the stream waits for a call to the store of the fleet.
    pub fn awaits_store(&self) -> bool {
        match &self.state {
            State::Awaiting(awaiting) => awaiting.awaits_store(),
            State::Announcing(_) => true,
            State::New
            | State::Stopped
            | State::Passing
            | State::Counting { .. }
            | State::Holding { .. }
            | State::Overtaken { .. } => false,
        }
    }

    /// Whether nothing is left to judge in the request or to add to its response. An adapter may then forget the
    /// stream, provided it pauses the later phases of streams it does not know.
    pub fn is_over(&self) -> bool {
        self.is_settled() && (self.tightest.is_none() || matches!(self.state, State::Stopped))
    }

    /// Whether nothing is left to judge in the request.
    pub fn is_settled(&self) -> bool {
        match self.state {
            State::Stopped => true,
            State::Passing => self.has_ended,
            State::New
            | State::Awaiting(_)
            | State::Announcing(_)
            | State::Counting { .. }
            | State::Holding { .. }
            | State::Overtaken { .. } => false,
        }
    }

    /// Refuses a request that could not be read.
    fn refuse_unread(
        &mut self,
        engine: &Engine,
        fault: Fault,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        ledger::refuse_unread(engine, host, fault, now);
        self.state = State::Stopped;
        Flow::Pause
    }
}
