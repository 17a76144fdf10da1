//! Which steps did a request go through, and what did each of them find?
//!
//! The steps fill it in while they judge. It holds indexes and figures, no words: the names are the configuration's.

use std::net::IpAddr;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::guard::Caller;
use crate::index::{LimitIndex, RouteIndex};
use crate::limit::{Outcome, Quota};
use crate::policy::{Access, Mode};
use crate::token::Age;

/// The steps, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The form of the request.
    Form,
    /// Limits whose key needs no token.
    EarlyLimits,
    /// The token.
    Token,
    /// Revocation of the token.
    Revocation,
    /// Limits whose key needs the token.
    LateLimits,
    /// Permissions and bindings of the route.
    Permission,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// The request was decided before.
    #[default]
    NotReached,
    /// There was nothing to judge.
    Skipped,
    /// It let the request go on.
    Passed,
    /// It would have refused the request, which goes on because it is in report mode.
    Reported,
    /// It refused the request.
    Refused,
}

/// What each step found. Empty where a step was not reached.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    states: [State; Stage::ALL.len()],
    /// What the form step found.
    pub form: FormFacts,
    /// The client's address, if a step asked for it; `Some(None)`: it has none.
    pub address: Option<Option<IpAddr>>,
    /// Whether the limit on failed authentications was looked at.
    pub failures_judged: bool,
    /// The limits that were judged, early ones first.
    pub limits: SmallVec<[Judged; 1]>,
    /// What the token step found; `None` if it looked at no token.
    pub token: Option<TokenFacts>,
}

/// One step, its state and its figures.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Which step.
    pub stage: Stage,
    /// What came of it.
    pub state: State,
}

/// What was found out about a request's route.
#[derive(Debug, Clone, Copy, Default)]
pub struct FormFacts {
    /// Its route; the one after the last configured is the revocation endpoint. `None`: no route has this path and method.
    pub route: Option<RouteIndex>,
    /// What the route, or the rule for unmatched paths, asks of callers.
    pub access: Access,
    /// Whether the request is for the revocation endpoint.
    pub revokes: bool,
    /// Whether refusals are carried out.
    pub mode: Mode,
}

/// A limit that was judged for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Which limit.
    pub limit: LimitIndex,
    /// [`Stage::EarlyLimits`] or [`Stage::LateLimits`].
    pub stage: Stage,
    /// How much it admits this caller.
    pub quota: Quota,
    /// What came of it.
    pub outcome: Outcome,
}

/// What was found out about a request's token.
#[derive(Debug, Clone, Default)]
pub struct TokenFacts {
    /// Whether it was remembered from an earlier request.
    pub remembered: bool,
    /// Who sent it, if it verified and its time is right.
    pub caller: Option<Rc<Caller>>,
    /// What its times say.
    pub age: Age,
    /// Whether it was looked for among the revoked ones, and is none of them.
    pub is_alive: bool,
}

impl Stage {
    /// Every step, in order.
    pub const ALL: [Self; 6] =
        [Self::Form, Self::EarlyLimits, Self::Token, Self::Revocation, Self::LateLimits, Self::Permission];

    /// Its name, as `api-guard explain` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::EarlyLimits => "limits before the token",
            Self::Token => "token",
            Self::Revocation => "revocation",
            Self::LateLimits => "limits after the token",
            Self::Permission => "permission",
        }
    }

    const fn index(self) -> usize {
        match self {
            Self::Form => 0,
            Self::EarlyLimits => 1,
            Self::Token => 2,
            Self::Revocation => 3,
            Self::LateLimits => 4,
            Self::Permission => 5,
        }
    }
}

impl Trail {
    /// One entry for each step, in order.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        Stage::ALL.into_iter().map(|stage| Entry { stage, state: self.state(stage) })
    }

    /// What came of a step.
    pub fn state(&self, stage: Stage) -> State {
        self.states.get(stage.index()).copied().unwrap_or_default()
    }

    /// Notes what came of a step. A refusal that was reported stays on record when the step goes on to pass.
    pub(crate) fn note(&mut self, stage: Stage, state: State) {
        if let Some(noted) = self.states.get_mut(stage.index())
            && (*noted != State::Reported || state == State::Refused)
        {
            *noted = state;
        }
    }

    /// Who sent the request, if that was asked and answered. The caller's token may have been revoked.
    pub fn caller(&self) -> Option<&Rc<Caller>> {
        self.token.as_ref()?.caller.as_ref()
    }

    /// The caller, if their token is not revoked.
    pub fn identity(&self) -> Option<&Rc<Caller>> {
        self.token.as_ref().filter(|token| token.is_alive)?.caller.as_ref()
    }

    /// The limits that one of the two limit steps judged.
    pub fn limits_of(&self, stage: Stage) -> impl Iterator<Item = &Judged> {
        self.limits.iter().filter(move |judged| judged.stage == stage)
    }

    /// Notes that the revocation endpoint refused what the request's body asked for.
    pub fn revocation_refused(&mut self) {
        self.note(Stage::Permission, State::Refused);
    }
}
