//! What a client asks for, and how it is judged: the model of the guard, as far as a stream's life depends on it.

use api_guard_core::code::Code;

use crate::Dice;

/// The largest body of most paths, bytes.
pub(super) const MOST: u64 = 100;
/// All that the streams of a process may hold back, bytes.
pub(super) const ROOM: u64 = 130;
/// From when on the second key is known, milliseconds after the start.
pub(super) const KNOWN_FROM: i64 = 0;
/// Callers: each has a token of either key.
pub(super) const CALLERS: usize = 3;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Path {
    Plain,
    Public,
    Large,
    Report,
    Denied,
    Stream,
    Endpoint,
}

/// What the client says of its body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    Json,
    /// A type that nobody accepts.
    Other,
    /// A streaming type, which the endpoint does not accept.
    Lines,
    Grpc,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Credential {
    None,
    Bad,
    /// Of this caller; with the second key, or the first.
    Good {
        caller: usize,
        second_key: bool,
    },
}

/// The trailers behind a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Trailers {
    /// Nobody minds them.
    Plain,
    /// They say who the caller is.
    Forged,
    /// The host cannot give them.
    Unread,
}

/// What a client asks for, and what its host is like.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) given: bool,
    pub(super) post: bool,
    pub(super) path: Path,
    pub(super) credential: Credential,
    pub(super) length: Option<u64>,
    pub(super) content: Content,
    /// Whether the request ends with its headers.
    pub(super) ends: bool,
    pub(super) cannot_ask: bool,
    pub(super) refuses_edits: bool,
    pub(super) refuses_body: bool,
    /// What a revocation asks for makes sense.
    pub(super) makes_sense: bool,
}

/// What all streams of a worker have in common.
#[derive(Debug, Default)]
pub(super) struct Shared {
    /// By caller and key.
    pub(super) revoked: [[bool; 2]; CALLERS],
    /// Whether the host delivers bodies of held requests, once it is known.
    pub(super) holds: Option<bool>,
    /// What all streams hold back, bytes.
    pub(super) held: u64,
    /// Whether responses tell of limits.
    pub(super) tells: bool,
}

pub(super) enum Judged {
    Ask,
    Refused(Code),
    Passes { reported: Option<Code>, plan: Plan },
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Plan {
    Unlimited,
    Counted(u64),
    /// Each message for itself.
    Messages,
    Held(u64),
}

impl Shared {
    pub(super) fn new(tells: bool) -> Self {
        Self { tells, ..Self::default() }
    }
}

impl Asked {
    pub(super) fn random(dice: &mut Dice) -> Self {
        let post = dice.chance(7);
        let path = dice.pick(&[
            Path::Plain,
            Path::Plain,
            Path::Plain,
            Path::Public,
            Path::Large,
            Path::Report,
            Path::Report,
            Path::Denied,
            Path::Stream,
            Path::Endpoint,
            Path::Endpoint,
        ]);
        let good = Credential::Good { caller: dice.roll(CALLERS), second_key: dice.chance(6) };
        let credential =
            dice.pick(&[good, good, good, good, good, good, good, Credential::None, Credential::Bad]);
        let length = if post {
            dice.pick(&[None, None, None, Some(0), Some(60), Some(MOST), Some(MOST + 1)])
        } else {
            None
        };
        let rarely = |dice: &mut Dice| dice.roll(25) == 0;
        Self {
            given: !rarely(dice),
            post,
            path,
            credential,
            length,
            content: dice.pick(&[
                Content::Json,
                Content::Json,
                Content::Json,
                Content::Json,
                Content::Other,
                Content::Lines,
                Content::Grpc,
            ]),
            ends: length.is_none() && dice.chance(3),
            cannot_ask: rarely(dice),
            refuses_edits: rarely(dice),
            refuses_body: rarely(dice),
            makes_sense: dice.chance(7),
        }
    }

    pub(super) fn most(&self) -> u64 {
        if self.path == Path::Large { 2_000_000 } else { MOST }
    }

    /// Whose identity the upstream may rely on.
    pub(super) fn caller(&self, shared: &Shared, now: i64) -> Option<usize> {
        match self.credential {
            Credential::Good { caller, second_key }
                if self.path != Path::Public
                    && !shared.revoked[caller][usize::from(second_key)]
                    && (!second_key || now >= KNOWN_FROM) =>
            {
                Some(caller)
            }
            Credential::Good { .. } | Credential::None | Credential::Bad => None,
        }
    }

    /// Whether messages come, each of which counts.
    pub(super) fn sends_messages(&self) -> bool {
        self.content == Content::Grpc && self.path != Path::Endpoint
    }

    fn has_wrong_type(&self) -> bool {
        match self.content {
            Content::Json | Content::Grpc => false,
            Content::Other => self.post,
            Content::Lines => self.post && self.path == Path::Endpoint,
        }
    }

    /// Whether a single byte would be one too many.
    pub(super) fn must_be_empty(&self) -> bool {
        self.has_wrong_type() && self.length.is_none() && !self.ends
    }

    fn plan(&self) -> Plan {
        if self.ends || self.length == Some(0) {
            Plan::Unlimited
        } else if self.sends_messages() {
            Plan::Messages
        } else if self.length.is_some() || self.path == Path::Report {
            Plan::Counted(self.most())
        } else if self.has_wrong_type() {
            Plan::Held(self.most())
        } else if matches!(self.path, Path::Large | Path::Stream) || self.content == Content::Lines {
            Plan::Counted(self.most())
        } else {
            Plan::Held(self.most())
        }
    }

    /// Whether its body may be a reason to refuse it while it waits.
    pub(super) fn minds_its_body(&self) -> bool {
        self.path != Path::Report && !matches!(self.plan(), Plan::Unlimited)
    }

    pub(super) fn limit_while_it_waits(&self) -> Option<u64> {
        match self.plan() {
            Plan::Counted(most) | Plan::Held(most) => (self.path != Path::Report).then_some(most),
            Plan::Messages | Plan::Unlimited => None,
        }
    }

    pub(super) fn judge(&self, shared: &Shared, now: i64) -> Judged {
        let Some(fault) = self.fault(shared, now) else {
            return Judged::Passes { reported: None, plan: self.plan() };
        };
        if fault == Code::TokenKeyUnknown {
            Judged::Ask
        } else if self.path == Path::Report && fault != Code::InternalFault {
            Judged::Passes { reported: Some(fault), plan: Plan::Unlimited }
        } else {
            Judged::Refused(fault)
        }
    }

    /// Where an unknown key stays unknown.
    pub(super) fn judge_at_last(&self, shared: &Shared, now: i64) -> Judged {
        match self.judge(shared, now) {
            Judged::Ask if self.path == Path::Report => {
                Judged::Passes { reported: Some(Code::TokenKeyUnknown), plan: Plan::Unlimited }
            }
            Judged::Ask => Judged::Refused(Code::TokenKeyUnknown),
            judged @ (Judged::Refused(_) | Judged::Passes { .. }) => judged,
        }
    }

    /// The first thing that is wrong.
    fn fault(&self, shared: &Shared, now: i64) -> Option<Code> {
        if !self.given {
            return Some(Code::InternalFault);
        }
        if self.path == Path::Endpoint && !self.post {
            return Some(Code::MethodNotAllowed);
        }
        if self.has_wrong_type() && self.length.is_some_and(|length| length > 0) {
            return Some(Code::UnsupportedMediaType);
        }
        if self.length.is_some_and(|length| length > self.most()) && !self.sends_messages() {
            return Some(Code::RequestTooLarge);
        }
        if self.path == Path::Public {
            return None;
        }
        let denied = (self.path == Path::Denied).then_some(Code::RouteDenied);
        self.fault_of_token(shared, now).or(denied)
    }

    /// What is wrong with the caller's token.
    pub(super) fn fault_of_token(&self, shared: &Shared, now: i64) -> Option<Code> {
        match self.credential {
            _ if self.path == Path::Public => None,
            Credential::None => Some(Code::TokenMissing),
            Credential::Bad => Some(Code::TokenMalformed),
            Credential::Good { second_key: true, .. } if now < KNOWN_FROM => Some(Code::TokenKeyUnknown),
            Credential::Good { caller, second_key } if shared.revoked[caller][usize::from(second_key)] => {
                Some(Code::TokenRevoked)
            }
            Credential::Good { .. } => None,
        }
    }
}
