//! A request whose judgement waits for an answer from outside. The rules for its body apply meanwhile. The answer may
//! come late, twice or never, and the client may have gone by then.

use super::ledger::{self, About, Source};
use super::patience::Patience;
use super::{Arrived, Exchange, Flow, State};
use crate::denial::Denial;
use crate::engine::Engine;
use crate::guard::{Answer, Question, Suspended};
use crate::held::HeldBody;
use crate::host::{Action, StreamHost};
use crate::time::UnixNanos;

/// A request that waits for an answer.
#[derive(Debug)]
pub(super) struct Awaiting {
    number: u32,
    question: Question,
    suspended: Suspended,
    patience: Patience,
    arrived: Arrived,
    body: HeldBody,
}

impl Awaiting {
    /// Whether anything may have come of it.
    pub(super) fn is_due(&mut self, now: UnixNanos) -> bool {
        match self.question {
            Question::Keys => self.is_over(now),
            // What another worker has fetched shows only when it is looked for.
            Question::KeySet { .. } | Question::FleetLimit { .. } | Question::FleetRevocations => true,
        }
    }

    /// Whether a call to the store may bring the answer.
    pub(super) fn awaits_store(&self) -> bool {
        match self.question {
            Question::FleetLimit { .. } | Question::FleetRevocations => true,
            Question::Keys | Question::KeySet { .. } => false,
        }
    }

    /// The answer, if it can be known by now.
    pub(super) fn answer(
        &mut self,
        engine: &Engine,
        host: &impl StreamHost,
        now: UnixNanos,
    ) -> Option<Answer> {
        let answer = engine.answer(self.question, host, now);
        answer.or_else(|| self.is_over(now).then_some(Answer::Overdue))
    }

    /// Whether the deadline has been reached.
    pub(super) fn is_over(&mut self, now: UnixNanos) -> bool {
        self.patience.is_over(now)
    }

    /// Notes the size of the body so far, bytes.
    ///
    /// # Errors
    ///
    /// Why the request is refused: the body has a type that is not accepted, it is too large, or there is no room for
    /// it.
    pub(super) fn arrives(
        &mut self,
        engine: &Engine,
        size: u64,
        end_of_stream: bool,
        host: &impl StreamHost,
        now: UnixNanos,
    ) -> Result<(), Denial> {
        self.arrived.bytes = size;
        self.arrived.has_ended |= end_of_stream;
        if let Some(rules) = self.suspended.body_rules() {
            rules.judge_held(size)?;
        }
        self.body.grow(size, engine.max_held_bytes(), host.cells(), now).map(drop)
    }

    /// Whether a body may be a reason to refuse the request.
    pub(super) fn enforces(&self) -> bool {
        self.suspended.body_rules().is_some()
    }

    /// Notes that its body does not matter any more.
    pub(super) fn release_body(&mut self) {
        self.body.release();
    }

    /// Notes that the body has ended.
    pub(super) fn ends(&mut self) {
        self.arrived.has_ended = true;
    }

    /// Refuses the request while it waits.
    pub(super) fn refuse(
        &self,
        engine: &Engine,
        denial: &Denial,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) {
        let kept = self.suspended.request();
        let request = kept.as_request();
        let about = About { trail: self.suspended.trail(), source: Source::Headers(&request) };
        ledger::passed_through(engine, host, &about, now);
        ledger::refuse(engine, host, denial, &about, now);
    }
}

impl Exchange {
    /// Handles an answer. `number`: that of the [`Action::Ask`]. An answer to a settled question, or to one that was
    /// never asked, changes nothing.
    pub fn on_answer(
        &mut self,
        engine: &Engine,
        number: u32,
        answer: Answer,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) {
        if let State::Awaiting(awaiting) = &self.state
            && awaiting.number == number
            && let State::Awaiting(awaiting) = std::mem::replace(&mut self.state, State::Stopped)
        {
            self.resume(engine, *awaiting, answer, host, now);
        }
    }

    /// Continues with an answer that nobody has brought.
    pub(super) fn stop_waiting(
        &mut self,
        engine: &Engine,
        answer: Answer,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) {
        if let State::Awaiting(awaiting) = std::mem::replace(&mut self.state, State::Stopped) {
            self.resume(engine, *awaiting, answer, host, now);
        }
    }

    /// Asks a question. If the host cannot forward it, the request continues without an answer.
    pub(super) fn ask(
        &mut self,
        engine: &Engine,
        question: Question,
        suspended: Suspended,
        arrived: Arrived,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        self.questions = self.questions.wrapping_add(1);
        let number = self.questions;
        let patience = engine.patience(question, now);
        // Should the request be held after the answers, its body may have come by then. The first question is the one before
        // which nothing of it had.
        let received_before = arrived.received_before.or_else(|| host.bytes_received());
        let arrived = Arrived { received_before, ..arrived };
        let body = HeldBody::new(&engine.held);
        let awaiting = Awaiting { number, question, suspended, patience, arrived, body };
        match host.act(Action::Ask { number, question }) {
            Ok(()) => {
                self.state = State::Awaiting(Box::new(awaiting));
                // What is asked for is fetched at once, if nobody fetches it yet.
                engine.call(host, now);
                Flow::Pause
            }
            Err(_) => self.judge_again(engine, awaiting, Answer::Unavailable, host, now),
        }
    }

    /// Continues with a request that the host holds, and releases it if it is admitted.
    fn resume(
        &mut self,
        engine: &Engine,
        awaiting: Awaiting,
        answer: Answer,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) {
        if self.judge_again(engine, awaiting, answer, host, now) == Flow::Continue {
            let _ = host.act(Action::Resume);
        }
    }

    pub(super) fn judge_again(
        &mut self,
        engine: &Engine,
        mut awaiting: Awaiting,
        answer: Answer,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) -> Flow {
        // What was held of the body is counted anew if it goes on being held.
        awaiting.release_body();
        let Awaiting { suspended, arrived, .. } = awaiting;
        let kept = suspended.request();
        let request = kept.as_request();
        let resumed = engine
            .memory(host)
            .map(|mut memory| engine.guard.resume(&mut memory, suspended, answer, host, now));
        self.proceed(engine, &request, resumed, arrived, host, now)
    }
}
