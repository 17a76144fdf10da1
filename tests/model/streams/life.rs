//! The model: what becomes of one stream, rule by rule, told by what has happened to it.

use api_guard_core::code::Code;
use api_guard_core::exchange::Flow;
use api_guard_testkit::Decided;

use super::asked::{Asked, Credential, Judged, Path, Plan, ROOM, Shared, Trailers};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Its headers are still to come.
    New,
    /// Answered, or out of order.
    Over,
    Flows {
        counts: Counts,
    },
    Waits {
        since: i64,
        had: u64,
    },
    /// Until its body has ended; for the endpoint, or the upstream.
    Held {
        since: i64,
        had: u64,
        most: u64,
        watched: bool,
    },
    HostAnswers {
        code: Code,
    },
}

/// What is counted of a request that goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Counts {
    Nothing,
    /// So many bytes more may come.
    Sum(u64),
    Messages,
}

/// One stream: what was asked, and what should have come of it so far.
#[derive(Debug)]
pub(super) struct Life {
    pub(super) asked: Asked,
    phase: Phase,
    reported: Option<Code>,
    /// Of the body, while it waits for an answer.
    came: u64,
    waited: Vec<u8>,
    /// All that was read of messages.
    wire: Vec<u8>,
    pub(super) had_long_message: bool,
    /// Whether it passed although its type is not accepted, since nothing came.
    pub(super) was_empty: bool,
    ended: bool,
    headers_at: i64,
    /// What is held back of the body.
    held: u64,
    to_tell: bool,
    /// What the host has received.
    pub(super) received: u64,
    pub(super) host_answered: bool,
    pub(super) decided: Vec<Decided>,
    pub(super) reply: Option<u16>,
    pub(super) resumed: bool,
    pub(super) questions: u32,
    pub(super) marked: bool,
    /// Whether its token was no longer good when it would have gone on.
    pub(super) judged_again: bool,
}

impl Life {
    pub(super) fn new(asked: Asked) -> Self {
        Self {
            asked,
            phase: Phase::New,
            reported: None,
            came: 0,
            waited: Vec::new(),
            wire: Vec::new(),
            had_long_message: false,
            was_empty: false,
            ended: false,
            headers_at: 0,
            held: 0,
            to_tell: false,
            received: 0,
            host_answered: false,
            decided: Vec::new(),
            reply: None,
            resumed: false,
            questions: 0,
            marked: false,
            judged_again: false,
        }
    }

    pub(super) fn is_over(&self) -> bool {
        match self.phase {
            Phase::Over => true,
            Phase::Flows { counts: Counts::Nothing } => self.ended && !self.to_tell,
            Phase::Flows { counts: Counts::Sum(_) | Counts::Messages }
            | Phase::New
            | Phase::Waits { .. }
            | Phase::Held { .. }
            | Phase::HostAnswers { .. } => false,
        }
    }

    pub(super) fn wants_ticks(&self) -> bool {
        matches!(self.phase, Phase::Waits { .. } | Phase::Held { .. })
    }

    pub(super) fn headers(&mut self, shared: &mut Shared, now: i64) -> Flow {
        if self.phase != Phase::New {
            self.let_go(shared);
            self.phase = Phase::Over;
            return Flow::Pause;
        }
        self.phase = Phase::Over;
        self.ended = self.asked.ends;
        self.headers_at = now;
        match self.asked.judge(shared, now) {
            Judged::Ask if self.asked.cannot_ask => {
                self.settle(self.asked.judge_at_last(shared, now), shared, now)
            }
            Judged::Ask => {
                self.questions += 1;
                self.phase = Phase::Waits { since: now, had: self.received };
                Flow::Pause
            }
            judged @ (Judged::Refused(_) | Judged::Passes { .. }) => self.settle(judged, shared, now),
        }
    }

    /// `size`: of this piece where the request flows, else of all that came; and its bytes, where messages come.
    pub(super) fn body(&mut self, size: u64, bytes: &[u8], end: bool, shared: &mut Shared, now: i64) -> Flow {
        self.ended |= end;
        let has_wrong_type = self.asked.must_be_empty() && size > 0;
        match self.phase {
            Phase::New => self.phase = Phase::Over,
            Phase::Over | Phase::HostAnswers { .. } => {}
            Phase::Waits { .. } => {
                self.came = size;
                self.waited = bytes.to_vec();
                let most = self.asked.limit_while_it_waits();
                if has_wrong_type && self.asked.minds_its_body() {
                    self.refuse_held(Code::UnsupportedMediaType, shared);
                } else if most.is_some_and(|most| size > most) {
                    self.refuse_held(Code::RequestTooLarge, shared);
                } else if !self.hold(size, shared) {
                    if !self.asked.minds_its_body() {
                        self.let_go(shared);
                        let judged = self.asked.judge_at_last(shared, now);
                        return self.settle(judged, shared, now);
                    }
                    self.refuse_held(Code::Busy, shared);
                }
            }
            Phase::Flows { counts } => {
                let (fault, counts) = match counts {
                    Counts::Nothing => return Flow::Continue,
                    Counts::Sum(_) if has_wrong_type => (Some(Code::UnsupportedMediaType), counts),
                    Counts::Sum(left) if size > left => (Some(Code::RequestTooLarge), counts),
                    Counts::Sum(left) => (None, Counts::Sum(left - size)),
                    Counts::Messages => (self.fault_of_messages(bytes), counts),
                };
                match fault {
                    None => {
                        self.phase = Phase::Flows { counts: if end { Counts::Nothing } else { counts } };
                        return Flow::Continue;
                    }
                    Some(code) if self.asked.path == Path::Report && code != Code::InternalFault => {
                        self.decided.push(Decided::WouldRefuse(code));
                        self.phase = Phase::Flows { counts: Counts::Nothing };
                        return Flow::Continue;
                    }
                    Some(code) => self.refuse(code),
                }
            }
            Phase::Held { since, had, most, watched } => {
                if watched {
                    shared.holds = Some(true);
                }
                let grows = size > self.held;
                let since = if grows && self.asked.path != Path::Endpoint { now } else { since };
                self.phase = Phase::Held { since, had, most, watched: false };
                if has_wrong_type {
                    self.refuse_held(Code::UnsupportedMediaType, shared);
                } else if size > most {
                    self.refuse_held(Code::RequestTooLarge, shared);
                } else if !self.hold(size, shared) {
                    self.refuse_held(Code::Busy, shared);
                } else if end {
                    return self.held_to_its_end(shared, now);
                }
            }
        }
        Flow::Pause
    }

    pub(super) fn trailers(&mut self, sent: Trailers, shared: &mut Shared, now: i64) -> Flow {
        self.ended = true;
        let may_go_on = match self.phase {
            Phase::New | Phase::Over | Phase::HostAnswers { .. } => false,
            Phase::Held { .. } => self.asked.path != Path::Endpoint,
            Phase::Flows { .. } | Phase::Waits { .. } => true,
        };
        if may_go_on && (sent == Trailers::Unread || sent == Trailers::Forged && self.asked.refuses_edits) {
            self.let_go(shared);
            self.refuse(Code::InternalFault);
            return Flow::Pause;
        }
        match self.phase {
            Phase::New => self.phase = Phase::Over,
            Phase::Over | Phase::HostAnswers { .. } | Phase::Waits { .. } => {}
            Phase::Flows { .. } => {
                self.phase = Phase::Flows { counts: Counts::Nothing };
                return Flow::Continue;
            }
            Phase::Held { .. } => return self.held_to_its_end(shared, now),
        }
        Flow::Pause
    }

    pub(super) fn response(&mut self) -> Flow {
        if let Phase::HostAnswers { code } = self.phase {
            self.refuse(code);
            return Flow::Pause;
        }
        // Only what passes was admitted.
        if matches!(self.phase, Phase::Flows { .. }) {
            self.marked |= std::mem::take(&mut self.to_tell);
        }
        Flow::Continue
    }

    pub(super) fn answer(&mut self, number: u32, shared: &mut Shared, now: i64) {
        if matches!(self.phase, Phase::Waits { .. }) && number == self.questions {
            self.judge_again(shared, now);
        }
    }

    pub(super) fn tick(&mut self, shared: &mut Shared, now: i64) {
        match &mut self.phase {
            Phase::Waits { since, .. } => {
                *since = now.min(*since);
                if now - *since >= 500 {
                    self.judge_again(shared, now);
                }
            }
            Phase::Held { since, had, most, watched } => {
                *watched &= shared.holds != Some(true);
                if *watched && self.received > *had {
                    shared.holds = Some(false);
                }
                if *watched && shared.holds == Some(false) {
                    let most = *most;
                    self.let_go(shared);
                    if self.asked.path == Path::Endpoint {
                        self.refuse(Code::InternalFault);
                    } else if self.asked.must_be_empty() {
                        self.refuse(Code::UnsupportedMediaType);
                    } else if self.is_still_good(shared, now) {
                        self.pass();
                        self.resumed = true;
                        self.phase = Phase::Flows { counts: Counts::Sum(most) };
                    }
                    return;
                }
                *since = now.min(*since);
                let patience = if self.asked.path == Path::Endpoint { 10_000 } else { 15_000 };
                if now - *since >= patience {
                    self.let_go(shared);
                    self.refuse(Code::BodyTimeout);
                }
            }
            Phase::New | Phase::Over | Phase::Flows { .. } | Phase::HostAnswers { .. } => {}
        }
    }

    /// Whether there is room for so much of the body.
    fn hold(&mut self, size: u64, shared: &mut Shared) -> bool {
        let more = size.saturating_sub(self.held);
        if more > 0 && shared.held + more > ROOM {
            return false;
        }
        shared.held += more;
        self.held += more;
        true
    }

    /// Nothing of the body is held any more.
    pub(super) fn let_go(&mut self, shared: &mut Shared) {
        shared.held -= std::mem::take(&mut self.held);
    }

    /// Whether the token of a request that was held is still good; else the request is refused.
    fn is_still_good(&mut self, shared: &Shared, now: i64) -> bool {
        let fault = self.asked.fault_of_token(shared, now);
        if let Some(code) = fault {
            self.judged_again = true;
            self.refuse(code);
        }
        fault.is_none()
    }

    fn judge_again(&mut self, shared: &mut Shared, now: i64) {
        self.let_go(shared);
        let judged = self.asked.judge_at_last(shared, now);
        if self.settle(judged, shared, now) == Flow::Continue {
            self.resumed = true;
        }
    }

    /// What comes of a request that was judged, with what came of its body before.
    fn settle(&mut self, judged: Judged, shared: &mut Shared, now: i64) -> Flow {
        let (reported, plan) = match judged {
            Judged::Refused(code) => {
                self.refuse(code);
                return Flow::Pause;
            }
            Judged::Passes { reported, plan } => (reported, plan),
            Judged::Ask => panic!("asked for the second time"),
        };
        let had = if let Phase::Waits { had, .. } = self.phase { had } else { self.received };
        self.reported = reported;
        // Of limits that refuse nobody no client is told.
        self.to_tell = shared.tells && self.asked.path != Path::Report;
        let watched = shared.holds != Some(true);
        let since = self.headers_at;
        let held = |most| Phase::Held { since, had, most, watched };
        if self.asked.path == Path::Endpoint {
            if self.asked.ends {
                return self.revoke(shared);
            }
            self.phase = match plan {
                Plan::Unlimited => held(0),
                Plan::Counted(most) | Plan::Held(most) => held(most),
                Plan::Messages => panic!("the endpoint counts no messages"),
            };
        } else {
            if self.asked.refuses_edits && self.asked.caller(shared, now).is_some() {
                self.refuse(Code::InternalFault);
                return Flow::Pause;
            }
            match plan {
                Plan::Held(most) if shared.holds != Some(false) => self.phase = held(most),
                Plan::Held(most) | Plan::Counted(most) => {
                    self.pass();
                    self.phase = Phase::Flows { counts: Counts::Sum(most) };
                }
                Plan::Messages => {
                    self.pass();
                    self.phase = Phase::Flows { counts: Counts::Messages };
                }
                Plan::Unlimited => {
                    self.pass();
                    self.phase = Phase::Flows { counts: Counts::Nothing };
                }
            }
        }
        let ended = self.ended && self.phase != Phase::Flows { counts: Counts::Nothing };
        if ended || self.came > 0 {
            let bytes = std::mem::take(&mut self.waited);
            return self.body(self.came, &bytes, self.ended, shared, now);
        }
        if matches!(self.phase, Phase::Flows { .. }) { Flow::Continue } else { Flow::Pause }
    }

    fn held_to_its_end(&mut self, shared: &mut Shared, now: i64) -> Flow {
        self.let_go(shared);
        if !self.is_still_good(shared, now) {
            return Flow::Pause;
        }
        if self.asked.path == Path::Endpoint {
            return if self.asked.refuses_body {
                self.refuse(Code::InternalFault);
                Flow::Pause
            } else {
                self.revoke(shared)
            };
        }
        self.pass();
        self.was_empty |= self.asked.must_be_empty();
        self.phase = Phase::Flows { counts: Counts::Nothing };
        Flow::Continue
    }

    /// What is wrong with the messages of a stream, of which these bytes come now.
    fn fault_of_messages(&mut self, bytes: &[u8]) -> Option<Code> {
        let (_, left) = messages(&self.wire);
        let reads = usize::try_from(left).is_ok_and(|left| bytes.len() > left);
        self.wire.extend_from_slice(bytes);
        if reads && self.asked.refuses_body {
            return Some(Code::InternalFault);
        }
        let (longest, _) = messages(&self.wire);
        let is_too_long = longest > self.asked.most();
        self.had_long_message |= is_too_long;
        is_too_long.then_some(Code::RequestTooLarge)
    }

    fn revoke(&mut self, shared: &mut Shared) -> Flow {
        self.phase = Phase::Over;
        let Credential::Good { caller, second_key } = self.asked.credential else {
            panic!("nobody was let in")
        };
        if self.asked.makes_sense || self.asked.ends {
            shared.revoked[caller][usize::from(second_key)] = true;
            self.pass();
            self.reply = Some(200);
        } else {
            self.refuse(Code::RequestMalformed);
        }
        Flow::Pause
    }

    fn pass(&mut self) {
        self.decided.push(self.reported.map_or(Decided::Allowed, Decided::WouldRefuse));
    }

    /// What a body is like is a reason to refuse it, unless the host has answered itself: then with the response.
    fn refuse_held(&mut self, code: Code, shared: &mut Shared) {
        self.let_go(shared);
        if self.host_answered {
            self.phase = Phase::HostAnswers { code };
        } else {
            self.refuse(code);
        }
    }

    fn refuse(&mut self, code: Code) {
        self.phase = Phase::Over;
        self.decided.push(Decided::Refused(code));
        self.reply = Some(code.status());
    }
}

/// The length of the longest message in a stream, and how much of the last one is still to come.
fn messages(stream: &[u8]) -> (u64, u64) {
    let (mut longest, mut left, mut rest) = (0, 0, stream);
    while let [_, a, b, c, d, after @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]);
        longest = longest.max(u64::from(length));
        let come = after.len().min(usize::try_from(length).unwrap());
        left = u64::from(length) - u64::try_from(come).unwrap();
        rest = &after[come..];
    }
    (longest, if rest.is_empty() { left } else { 0 })
}
