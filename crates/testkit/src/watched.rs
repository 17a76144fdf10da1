//! One stream under watch: what holds for every stream, whatever happens to it and in whatever order.
//!
//! Tests, the model and the fuzz target drive an [`Exchange`] through this, and each event is followed by the same checks.

mod rules;

use api_guard_core::code::Code;
use api_guard_core::engine::Engine;
use api_guard_core::exchange::{Exchange, Flow};
use api_guard_core::guard::Answer;
use api_guard_core::keys::KeySets;
use api_guard_core::revocation::Revocations;
use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::Means;

use crate::{Process, Stream, bytes};

/// What a stream was counted as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decided {
    /// It passes.
    Allowed,
    /// It passes, and would have been refused.
    WouldRefuse(Code),
    /// It was refused.
    Refused(Code),
}

/// An exchange, its host, and what they did so far.
#[derive(Debug)]
pub struct Watched<'e> {
    /// The configuration at work.
    pub engine: &'e Engine,
    /// The stream's state.
    pub exchange: Exchange,
    /// The host, and everything it was told to do.
    pub host: Stream<'e>,
    /// What the stream was counted as, in order.
    pub decided: Vec<Decided>,
    /// How many of the host's actions were checked.
    checked: usize,
    /// Whether the host holds the request, or holds it back for good.
    is_paused: bool,
    has_gone_on: bool,
    was_replied: bool,
    was_resumed: bool,
    was_over: bool,
    /// Whether the trailers could not be read or changed, or part of the body not be read, for which a request that passed
    /// may still be refused.
    has_failed: bool,
    /// The size of the latest piece of the body, or of all so far while the request is held.
    arrived: u64,
    questions: u32,
    /// The token of a request that was not decided with its headers.
    bearer: Option<Vec<u8>>,
    /// Whether the upstream is told who the caller is.
    names_caller: bool,
    /// Whether the token was good when the present event came; `None` if that does not matter.
    was_good: Option<bool>,
}

/// What an event is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Request,
    Trailers,
    Response,
    Other,
}

impl<'e> Watched<'e> {
    /// A stream of which nothing has come.
    pub fn new(engine: &'e Engine, process: &'e Process) -> Self {
        Self {
            engine,
            exchange: Exchange::default(),
            host: Stream::new(process),
            decided: Vec::new(),
            checked: 0,
            is_paused: false,
            has_gone_on: false,
            was_replied: false,
            was_resumed: false,
            was_over: false,
            has_failed: false,
            arrived: 0,
            questions: 0,
            bearer: None,
            names_caller: false,
            was_good: None,
        }
    }

    /// Headers come.
    pub fn headers(&mut self, headers: &[(&str, &str)], end_of_stream: bool, now: UnixNanos) -> Flow {
        self.raw_headers(Some(bytes(headers)), end_of_stream, now)
    }

    /// Headers of any bytes come, or none that the host could give.
    pub fn raw_headers<'r>(
        &mut self,
        headers: Option<impl IntoIterator<Item = (&'r [u8], &'r [u8])>>,
        end_of_stream: bool,
        now: UnixNanos,
    ) -> Flow {
        let headers: Option<Vec<_>> = headers.map(|headers| headers.into_iter().collect());
        let bearer = headers.iter().flatten().find_map(|(name, value)| {
            value.strip_prefix(b"Bearer ").filter(|_| *name == b"authorization").map(<[u8]>::to_vec)
        });
        self.was_good = None;
        let flow = self.exchange.on_request_headers(self.engine, headers, end_of_stream, &mut self.host, now);
        self.check(Event::Request, flow);
        self.bearer = bearer.filter(|_| self.decided.is_empty() && !self.exchange.is_settled());
        flow
    }

    /// Part of the body comes: `size` is its own, or that of all so far while the request is held.
    pub fn body(&mut self, size: u64, end_of_stream: bool, now: UnixNanos) -> Flow {
        self.was_good = None;
        if end_of_stream {
            self.look_at_token(now);
        }
        self.arrived = size;
        self.has_failed = self.cannot_read_body();
        let flow = self.exchange.on_request_body(self.engine, size, end_of_stream, &mut self.host, now);
        self.check(Event::Request, flow)
    }

    /// These bytes of the body come: a piece of it, or all so far while the request is held.
    pub fn bytes(&mut self, bytes: &[u8], end_of_stream: bool, now: UnixNanos) -> Flow {
        self.host.body = bytes.to_vec();
        self.body(u64::try_from(bytes.len()).expect("a length"), end_of_stream, now)
    }

    /// Trailers come that are nobody's business.
    pub fn trailers(&mut self, now: UnixNanos) -> Flow {
        self.trailers_of(Some(&[("x-checksum", "1")]), now)
    }

    /// Trailers come, or the host cannot give them.
    pub fn trailers_of(&mut self, trailers: Option<&[(&str, &str)]>, now: UnixNanos) -> Flow {
        self.look_at_token(now);
        let body_failed = self.decided.is_empty() && self.cannot_read_body();
        self.has_failed = trailers.is_none() || self.host.refuses_edits || body_failed;
        let flow = self.exchange.on_request_trailers(self.engine, trailers.map(bytes), &mut self.host, now);
        self.check(Event::Trailers, flow)
    }

    /// The response's headers come.
    pub fn response(&mut self) -> Flow {
        self.was_good = None;
        let flow = self.exchange.on_response_headers(self.engine, &mut self.host);
        self.check(Event::Response, flow)
    }

    /// An answer comes.
    pub fn answer(&mut self, number: u32, answer: Answer, now: UnixNanos) {
        self.look_at_token(now);
        self.has_failed |= self.decided.is_empty() && self.cannot_read_body();
        self.exchange.on_answer(self.engine, number, answer, &mut self.host, now);
        self.check(Event::Other, Flow::Pause);
    }

    /// Time passes.
    pub fn tick(&mut self, now: UnixNanos) {
        self.look_at_token(now);
        let is_due = self.exchange.is_due(now);
        self.has_failed |= self.decided.is_empty() && self.cannot_read_body();
        self.exchange.on_tick(self.engine, &mut self.host, now);
        assert!(is_due || self.host.done.len() == self.checked, "not due, and yet it did something");
        self.check(Event::Other, Flow::Pause);
    }

    /// Whether the host has less of the body than has come. What came before the decision is read with it.
    fn cannot_read_body(&self) -> bool {
        let is_short = usize::try_from(self.arrived).is_ok_and(|size| size > self.host.body.len());
        self.host.refuses_body || is_short
    }

    /// Judges the token of a request that is still to be decided, by its text and by what is revoked.
    fn look_at_token(&mut self, now: UnixNanos) {
        self.was_good = self.bearer.as_ref().filter(|_| self.decided.is_empty()).map(|bearer| {
            let policy = self.engine.guard().policy();
            let process = self.host.process;
            let Ok(seed) = Seed::open(process, [7; 16]) else { return false };
            let ring = policy.tokens().keys();
            let mut sets = KeySets::open(ring, seed, [7; 16]);
            if sets.refresh(ring, process).is_err() {
                return false;
            }
            let means = Means { sets: sets.current(), signatures: process, seed: &seed };
            let Ok(token) = policy.verify(bearer, &means, now) else { return false };
            let Ok(mut revocations) = Revocations::open(process, seed, 1) else { return false };
            let marks = revocations.marks(&token.identity(), token.issuer(), token.subject());
            revocations.refresh(process).is_ok()
                && !policy.denies(&token)
                && !revocations.is_revoked(&marks, token.issued_at(), now)
        });
    }

    /// Whether the request goes on: what of it comes now passes.
    pub fn goes_on(&self) -> bool {
        self.has_gone_on && !self.is_paused
    }

    /// The code of the refusal that was answered.
    pub fn refused(&self) -> Option<&'static str> {
        self.decided.iter().find_map(|decided| match decided {
            Decided::Refused(code) => Some(code.as_str()),
            Decided::Allowed | Decided::WouldRefuse(_) => None,
        })
    }
}
