//! One request: its headers to the guard, its body to be counted, held or read, its response to be marked.

use std::rc::Rc;

use proxy_wasm::types::Action;

use crate::account::{Origin, log_passing, report};
use crate::answer::{
    Answered, Judgement, pass, pass_judged, refuse_size, refuse_unread, revoke, revoke_with_body, too_large,
};
use crate::cells::CurrentStream;
use crate::holds::Hold;
use crate::host;
use crate::root::Shared;
use api_guard_core::decision::Fault;
use api_guard_core::effect::forward::{Edit, each_edit};
use api_guard_core::effect::{self, rate_headers};
use api_guard_core::guard::{BodyPlan, Judged, Verdict};
use api_guard_core::request::Request;
use api_guard_core::request::block::Block;
use api_guard_core::time::UnixNanos;

/// What is kept of a request after its headers.
pub(crate) struct Stream {
    shared: Rc<Shared>,
    state: State,
    /// For the headers of an admitted response.
    tightest: Option<Judged>,
    /// Whether the request has ended.
    ended: bool,
}

/// Where the request stands.
enum State {
    /// It was answered: nothing of it goes on.
    Stopped,
    /// It passes as it is.
    Passing,
    /// The body is counted while it streams.
    Counting { left: u64, max_bytes: u64, judged: Box<Judgement> },
    /// The request is held until its body has ended.
    Holding { hold: Rc<Hold>, max_bytes: u64, judged: Box<Judgement> },
    /// What made its body too large was also too much for Envoy's buffer, and Envoy's own answer is on its way: the
    /// first answer counts, so ours takes its place when it shows.
    Overtaken { max_bytes: u64, judged: Box<Judgement> },
    /// The body is for the revocation endpoint.
    Revoking { hold: Option<Rc<Hold>>, max_bytes: u64, judged: Box<Judgement> },
}

/// Judges a request. With the answer comes what later callbacks need to know; a request that was answered, and one that
/// has nothing more to be judged, leave nothing.
pub(crate) fn judge_headers(
    context: u32,
    shared: &Rc<Shared>,
    end_of_stream: bool,
) -> (Action, Option<Stream>) {
    let now = host::now();
    let judged = Headers { context, shared, end_of_stream, now }.judge();
    shared.metrics.settle(now);
    match judged {
        Ok(None) => (Action::Continue, None),
        Ok(Some(stream)) => {
            let action = match stream.state {
                State::Passing | State::Counting { .. } => Action::Continue,
                State::Stopped | State::Overtaken { .. } | State::Holding { .. } | State::Revoking { .. } => {
                    Action::Pause
                }
            };
            (action, Some(stream))
        }
        Err(Answered) => (Action::Pause, None),
    }
}

/// One request while its headers are there.
struct Headers<'s> {
    context: u32,
    shared: &'s Rc<Shared>,
    end_of_stream: bool,
    now: UnixNanos,
}

impl Headers<'_> {
    fn judge(&self) -> Result<Option<Stream>, Answered> {
        let Self { shared, now, .. } = *self;
        let bytes = host::request_headers();
        let block = bytes.as_deref().ok().and_then(Block::read);
        let block = block.ok_or(Fault::Headers).map_err(|fault| refuse_unread(shared, fault))?;
        let policy = shared.guard.policy();
        let request = Request::read(policy.header_plan(), block.pairs(), !self.end_of_stream);
        let mut place = shared.worker().map_err(|fault| refuse_unread(shared, fault))?;
        let worker = place.as_mut().ok_or(Fault::SharedData);
        let worker = worker.map_err(|fault| refuse_unread(shared, fault))?;
        let mut verdict = shared.guard.admit(worker, &request, &CurrentStream::default(), now);
        drop(place);
        let metrics = &shared.metrics;
        metrics.counters.passed_through(&verdict, |place| metrics.add(place));
        self.act(&request, &mut verdict)
    }

    fn act(&self, request: &Request<'_>, verdict: &mut Verdict) -> Result<Option<Stream>, Answered> {
        let Self { shared, now, .. } = *self;
        let policy = shared.guard.policy();
        if let Some(caller) = verdict.identity()
            && let Some(subject) = caller.token.subject()
        {
            host::set_filter_state("api_guard.subject", subject.as_bytes());
        }
        let origin = Origin::Headers(request);
        log_passing(shared, verdict, origin, now);
        if let Some(denial) = &verdict.denial {
            report(shared, denial, verdict, origin, true, now);
            let reply = effect::refuse(policy, denial, request.request_id);
            host::send_reply(&reply, request.is_grpc());
            return Err(Answered);
        }
        if verdict.revokes {
            return self.begin_revocation(request, verdict);
        }
        let edited = each_edit(policy, verdict, request, |edit| match edit {
            Edit::Remove(name) => host::remove_request_header(name),
            Edit::Add(name, value) => host::add_request_header(name.as_bytes(), value),
            Edit::Set(name, value) => host::set_request_header(name.as_bytes(), value),
        });
        edited.map_err(|fault| refuse_unread(shared, fault))?;
        let tightest = rate_headers::tightest(policy, &verdict.limits);
        let (max_bytes, hold) = match verdict.body {
            BodyPlan::Pass => {
                pass(shared, verdict, origin, now);
                // A body that nobody counts still has callbacks, which must find that it may pass.
                let goes_on = !self.end_of_stream || tightest.is_some();
                return Ok(goes_on.then(|| self.stream(State::Passing, tightest)));
            }
            BodyPlan::Count(max_bytes) => (max_bytes, None),
            BodyPlan::Hold(max_bytes) => {
                (max_bytes, shared.holds.begin(self.context, false, false, host::size_received, now))
            }
        };
        if hold.is_none() {
            pass(shared, verdict, origin, now);
        }
        let judged = Box::new(Judgement::new(shared, request, verdict));
        let state = match hold {
            Some(hold) => State::Holding { hold, max_bytes, judged },
            None => State::Counting { left: max_bytes, max_bytes, judged },
        };
        Ok(Some(self.stream(state, tightest)))
    }

    fn stream(&self, state: State, tightest: Option<Judged>) -> Stream {
        Stream { shared: Rc::clone(self.shared), state, tightest, ended: self.end_of_stream }
    }

    fn begin_revocation(
        &self,
        request: &Request<'_>,
        verdict: &mut Verdict,
    ) -> Result<Option<Stream>, Answered> {
        let Self { shared, now, .. } = *self;
        let tightest = rate_headers::tightest(shared.guard.policy(), &verdict.limits);
        let (max_bytes, is_declared) = match verdict.body {
            BodyPlan::Pass => (0, false),
            BodyPlan::Count(max_bytes) => (max_bytes, true),
            BodyPlan::Hold(max_bytes) => (max_bytes, false),
        };
        let judged = Box::new(Judgement::new(shared, request, verdict));
        let state = if request.has_body {
            let hold = shared.holds.begin(self.context, true, is_declared, host::size_received, now);
            State::Revoking { hold, max_bytes, judged }
        } else {
            revoke(shared, &judged, b"", now);
            State::Stopped
        };
        // Its response tells of the limits too.
        Ok(Some(self.stream(state, tightest)))
    }
}

impl Stream {
    /// Part of the body has come, or while the request is held, all of it so far.
    pub(crate) fn read_body(&mut self, size: u64, end_of_stream: bool) -> Action {
        self.ended |= end_of_stream;
        let shared = &*Rc::clone(&self.shared);
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Stopped => Action::Pause,
            State::Passing => {
                self.state = State::Passing;
                Action::Continue
            }
            overtaken @ State::Overtaken { .. } => {
                self.state = overtaken;
                Action::Pause
            }
            State::Counting { left, max_bytes, judged } => match left.checked_sub(size) {
                Some(_) if end_of_stream => {
                    self.state = State::Passing;
                    Action::Continue
                }
                Some(left) => {
                    self.state = State::Counting { left, max_bytes, judged };
                    Action::Continue
                }
                None if judged.verdict.refuses_bodies() => refuse_size(shared, &judged, max_bytes),
                None => {
                    let denial = too_large(max_bytes);
                    report(
                        shared,
                        &denial,
                        &judged.verdict,
                        Origin::Kept(&judged.subject),
                        false,
                        host::now(),
                    );
                    self.state = State::Passing;
                    Action::Continue
                }
            },
            State::Holding { hold, max_bytes, judged } if hold.given_up() => {
                // Released by the tick: from here on it is counted like any other.
                pass_judged(shared, &judged);
                self.state = State::Counting { left: max_bytes, max_bytes, judged };
                self.read_body(size, end_of_stream)
            }
            State::Holding { hold, max_bytes, judged } => {
                shared.holds.body_seen(&hold);
                // While a body is held, `size` is all of it so far.
                if size > max_bytes {
                    return self.refuse_held(shared, judged, max_bytes);
                }
                if end_of_stream {
                    pass_judged(shared, &judged);
                    self.state = State::Passing;
                    return Action::Continue;
                }
                self.state = State::Holding { hold, max_bytes, judged };
                Action::Pause
            }
            State::Revoking { hold, max_bytes, judged } => {
                if let Some(hold) = &hold {
                    if hold.given_up() {
                        return Action::Pause;
                    }
                    shared.holds.body_seen(hold);
                }
                if size > max_bytes {
                    return self.refuse_held(shared, judged, max_bytes);
                }
                if end_of_stream {
                    revoke_with_body(shared, &judged, max_bytes);
                } else {
                    self.state = State::Revoking { hold, max_bytes, judged };
                }
                Action::Pause
            }
        }
    }

    /// Refuses a request whose body Envoy was holding for us.
    fn refuse_held(&mut self, shared: &Shared, judged: Box<Judgement>, max_bytes: u64) -> Action {
        if host::is_answered() {
            self.state = State::Overtaken { max_bytes, judged };
            return Action::Pause;
        }
        refuse_size(shared, &judged, max_bytes)
    }

    /// Trailers have come: the body has ended.
    pub(crate) fn end_body(&mut self) -> Action {
        self.ended = true;
        let shared = &*Rc::clone(&self.shared);
        match std::mem::replace(&mut self.state, State::Stopped) {
            State::Stopped => Action::Pause,
            overtaken @ State::Overtaken { .. } => {
                self.state = overtaken;
                Action::Pause
            }
            State::Passing | State::Counting { .. } => {
                self.state = State::Passing;
                Action::Continue
            }
            State::Holding { judged, .. } => {
                pass_judged(shared, &judged);
                self.state = State::Passing;
                Action::Continue
            }
            // The body has ended here too, and nothing of it goes to the upstream.
            State::Revoking { max_bytes, judged, .. } => {
                revoke_with_body(shared, &judged, max_bytes);
                Action::Pause
            }
        }
    }

    /// Whether nothing of the request is left to be judged, nor to be told in its response.
    pub(crate) fn is_over(&self) -> bool {
        self.tightest.is_none() && self.is_settled()
    }

    /// Whether nothing of the request is left to be judged.
    pub(crate) fn is_settled(&self) -> bool {
        self.ended && matches!(self.state, State::Passing | State::Stopped)
    }

    /// Tells in the response how much is left of the limits, or answers in place of Envoy.
    pub(crate) fn mark_response(&mut self) -> Action {
        let shared = &*Rc::clone(&self.shared);
        if let State::Overtaken { .. } = self.state
            && let State::Overtaken { max_bytes, judged } = std::mem::replace(&mut self.state, State::Stopped)
        {
            return refuse_size(shared, &judged, max_bytes);
        }
        if let Some(tightest) = &self.tightest {
            for (name, value) in rate_headers::of_admission(shared.guard.policy(), tightest) {
                // A response without these headers is no reason to withhold the response.
                let _ = host::set_response_header(name.as_bytes(), value.as_bytes());
            }
        }
        Action::Continue
    }
}
