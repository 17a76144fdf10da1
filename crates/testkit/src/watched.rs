//! One stream under watch: what holds for every stream, whatever happens to it and in whatever order.
//!
//! Tests, the model and the fuzz target drive an [`Exchange`] through this, and each event is followed by the same checks.

use api_guard_core::code::Code;
use api_guard_core::engine::Engine;
use api_guard_core::exchange::{Exchange, Flow};
use api_guard_core::guard::Answer;
use api_guard_core::revocation::Revocations;
use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;

use crate::{Done, Process, Stream, bytes};

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
        let is_short = usize::try_from(size).is_ok_and(|size| size > self.host.body.len());
        self.has_failed = self.host.refuses_body || is_short;
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
        self.has_failed = trailers.is_none() || self.host.refuses_edits;
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
        self.exchange.on_answer(self.engine, number, answer, &mut self.host, now);
        self.check(Event::Other, Flow::Pause);
    }

    /// Time passes.
    pub fn tick(&mut self, now: UnixNanos) {
        self.look_at_token(now);
        let is_due = self.exchange.is_due(now);
        self.exchange.on_tick(self.engine, &mut self.host, now);
        assert!(is_due || self.host.done.len() == self.checked, "not due, and yet it did something");
        self.check(Event::Other, Flow::Pause);
    }

    /// Judges the token of a request that is still to be decided, by its text and by what is revoked.
    fn look_at_token(&mut self, now: UnixNanos) {
        self.was_good = self.bearer.as_ref().filter(|_| self.decided.is_empty()).map(|bearer| {
            let policy = self.engine.guard().policy();
            let process = self.host.process;
            let Ok(seed) = Seed::open(process, [7; 16]) else { return false };
            let Ok(token) = policy.verify(bearer, &seed, now) else { return false };
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

    /// What the host did since the last check obeys the rules, and so does what becomes of the event.
    fn check(&mut self, event: Event, flow: Flow) -> Flow {
        let done = std::mem::take(&mut self.host.done);
        let new = done.get(self.checked..).unwrap_or_default();
        self.checked = done.len();
        assert!(!self.was_over || new.is_empty(), "a stream that is over did {new:?}");
        let (gone_on_before, replied_before) = (self.has_gone_on, self.was_replied);
        for (number, done) in new.iter().enumerate() {
            assert!(
                !replied_before || matches!(done, Done::Marked(..)),
                "after its answer the stream did {done:?}"
            );
            match done {
                Done::Replied(reply, _) => {
                    assert!(reply.status != 200 || self.was_good != Some(false), "revokes with a bad token");
                    assert!(!self.was_replied, "a second answer: {reply:?}");
                    self.was_replied = true;
                    match self.decided.last() {
                        Some(Decided::Refused(code)) => assert_eq!(reply.status, code.status()),
                        Some(Decided::Allowed | Decided::WouldRefuse(_)) => assert_eq!(reply.status, 200),
                        None => panic!("an answer that nothing was counted for: {reply:?}"),
                    }
                }
                Done::Resumed => {
                    assert_eq!(event, Event::Other, "only a host that is not asking has to be told");
                    assert!(self.is_paused && !self.was_resumed, "resumed, though nothing was held");
                    assert!(!self.was_replied && !self.decided.is_empty(), "resumed unjudged");
                    self.goes_on_with_a_good_token();
                    (self.was_resumed, self.is_paused, self.has_gone_on) = (true, false, true);
                }
                Done::Counted(counter) => {
                    if let Some(decided) = decided(self.engine, *counter) {
                        self.count(decided, gone_on_before, new.get(number..).unwrap_or_default());
                    }
                }
                Done::Removed(_) | Done::Added(..) | Done::Set(..) => {
                    assert!(!self.has_gone_on && self.decided.is_empty(), "edited too late: {done:?}");
                    self.names_caller |=
                        matches!(done, Done::Added(name, _) | Done::Set(name, _) if name == "x-auth-subject");
                }
                Done::TrailerRemoved(_) => assert_eq!(event, Event::Trailers, "{done:?}"),
                Done::Asked(number, _) => {
                    assert!(self.decided.is_empty(), "asked after the decision");
                    assert!(self.questions < *number, "question {number} for the second time");
                    self.questions = *number;
                }
                Done::Marked(..) => assert_eq!(event, Event::Response, "{done:?}"),
                Done::Gauged(..) => panic!("a gauge is no stream's: {done:?}"),
                Done::FilterState(..) | Done::Logged(_) => {}
            }
        }
        self.host.done = done;
        match event {
            Event::Request | Event::Trailers => {
                if flow == Flow::Continue {
                    assert!(!self.was_replied, "goes on after its answer");
                    assert!(!self.decided.is_empty(), "goes on unjudged");
                    if !gone_on_before {
                        self.goes_on_with_a_good_token();
                    }
                    self.has_gone_on = true;
                }
                self.is_paused = flow == Flow::Pause;
            }
            Event::Response => {
                let answers = self.was_replied && !replied_before;
                assert_eq!(flow == Flow::Pause, answers, "a response is held back exactly if it is replaced");
            }
            Event::Other => {}
        }
        let is_over = self.exchange.is_over();
        assert!(!self.was_over || is_over, "over, and then no longer");
        assert!(!(self.exchange.wants_ticks() && self.exchange.is_settled()), "settled, and waits");
        assert!(!is_over || self.exchange.is_settled());
        self.was_over = is_over;
        flow
    }

    /// Nobody is named to the upstream whose token is no longer good, however long the request was held.
    fn goes_on_with_a_good_token(&self) {
        assert!(!self.names_caller || self.was_good != Some(false), "goes on with a bad token");
    }

    /// A stream is decided once. What passes may turn out too large or of a wrong type, or have a body or trailers that
    /// cannot be read, which is counted too.
    fn count(&mut self, decided: Decided, gone_on_before: bool, rest: &[Done]) {
        let is_late = match self.decided.as_slice() {
            [] => false,
            [.., Decided::Refused(_)] => panic!("{decided:?} after {:?}", self.decided),
            [.., Decided::Allowed | Decided::WouldRefuse(_)] => true,
        };
        if is_late {
            let is_the_bodys = self.decided.len() == 1
                && matches!(
                    decided,
                    Decided::Refused(Code::RequestTooLarge | Code::UnsupportedMediaType)
                        | Decided::WouldRefuse(Code::RequestTooLarge | Code::UnsupportedMediaType)
                );
            let by_fault = self.has_failed && decided == Decided::Refused(Code::InternalFault);
            assert!(is_the_bodys || by_fault, "{decided:?} after {:?}", self.decided);
            // What was asked about may have been too large already when it was admitted.
            assert!(gone_on_before || self.questions > 0, "decided late, and it had not gone on");
        }
        self.decided.push(decided);
        let (code, carried_out) = match decided {
            Decided::Allowed => return,
            Decided::WouldRefuse(code) => (code, false),
            Decided::Refused(code) => (code, true),
        };
        let told = Done::FilterState("api_guard.code", code.as_str().into());
        assert!(rest.contains(&told), "{decided:?} is not told to later filters");
        let answers = rest.iter().any(|done| matches!(done, Done::Replied(..)));
        // What would be refused may be answered as well: with what it has revoked.
        assert!(answers || !carried_out, "{decided:?} has no answer");
    }
}

/// What a counter says of a stream's decision, if it says anything.
fn decided(engine: &Engine, counter: usize) -> Option<Decided> {
    let name = engine.counters().names().get(counter).expect("a counter of this engine");
    let (decision, code) =
        name.strip_prefix("api_guard_requests_total.decision.")?.split_once(".code.").expect("a code");
    let code = || Code::ALL.iter().copied().find(|known| known.as_str() == code).expect("a known code");
    Some(match decision {
        "allowed" => Decided::Allowed,
        "would_refuse" => Decided::WouldRefuse(code()),
        "refused" => Decided::Refused(code()),
        other => panic!("an unknown decision: {other}"),
    })
}
