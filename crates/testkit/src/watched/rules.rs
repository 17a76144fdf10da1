//! What holds for every stream, after each event.

use api_guard_core::code::Code;
use api_guard_core::engine::Engine;
use api_guard_core::exchange::Flow;

use super::{Decided, Event, Watched};
use crate::Done;

impl Watched<'_> {
    /// What the host did since the last check obeys the rules, and so does what becomes of the event.
    pub(super) fn check(&mut self, event: Event, flow: Flow) -> Flow {
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
                Done::Gauged(..) | Done::CountedMany(..) => panic!("a gauge is no stream's: {done:?}"),
                Done::FilterState(..)
                | Done::Logged(_)
                | Done::Fetched(_)
                | Done::Called(..)
                | Done::Reminded => {}
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
