//! Which steps did a request go through, and what did each of them find?
//!
//! The steps fill in the trail while they judge. It holds indexes and figures; the names are in the configuration.

use std::net::IpAddr;
use std::rc::Rc;

use smallvec::SmallVec;

use super::BodyPlan;
use crate::guard::Caller;
use crate::index::{KeySetIndex, LimitIndex, RouteIndex};
use crate::limit::{Outcome, Quota};
use crate::policy::{Access, Mode};
use crate::token::Age;

/// The steps, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// The form of the request.
    Form,
    /// The client's address.
    Addresses,
    /// Limits whose key needs no token.
    EarlyLimits,
    /// The token.
    Token,
    /// Revocation of the token.
    Revocation,
    /// Limits whose key needs the token.
    LateLimits,
    /// Permissions, bindings and conditions of the route.
    Permission,
}

/// The outcome of a step.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum State {
    /// The request was decided before this step.
    #[default]
    NotReached,
    /// There was nothing to judge.
    Skipped,
    /// The request passed the step.
    Passed,
    /// The step would have refused the request, which continues because of report mode.
    Reported,
    /// The step refused the request.
    Refused,
}

/// What each step found; empty for steps that were not reached.
#[derive(Debug, Clone, Default)]
pub struct Trail {
    states: [State; Stage::ALL.len()],
    /// What the form step found.
    pub form: FormFacts,
    /// The client's address, if a step asked for it; `Some(None)` if the client has none.
    pub address: Option<Option<IpAddr>>,
    /// Whether the limit on failed authentications was judged.
    pub failures_judged: bool,
    /// Whether this request failed to authenticate and its address had no room in the table of failures: then only the
    /// metric says so.
    pub failure_overflowed: bool,
    /// The limits that were judged, early ones first.
    pub limits: SmallVec<[Judged; 1]>,
    /// The limits that did not apply because of the client's address.
    pub excepted: Vec<Excepted>,
    /// What the token step found; `None` if it judged no token.
    pub token: Option<TokenFacts>,
}

/// One step and its outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The step.
    pub stage: Stage,
    /// Its outcome.
    pub state: State,
}

/// What was found out about a request's route.
#[derive(Debug, Clone, Copy, Default)]
pub struct FormFacts {
    /// The route; the one after the last configured is the revocation endpoint. `None`: no route has this path and
    /// method.
    pub route: Option<RouteIndex>,
    /// Who may use the route, or a path without a route.
    pub access: Access,
    /// Whether the request is for the revocation endpoint.
    pub revokes: bool,
    /// Whether the request is a CORS preflight that needs no token. Limits count these apart from other requests.
    pub preflight: bool,
    /// Whether refusals are carried out.
    pub mode: Mode,
    /// How the body is treated.
    pub body: BodyPlan,
    /// Whether the body has to be empty, because its media type is not accepted.
    pub must_be_empty: bool,
}

/// A limit that was judged for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// The limit.
    pub limit: LimitIndex,
    /// [`Stage::EarlyLimits`] or [`Stage::LateLimits`].
    pub stage: Stage,
    /// What it admits for this caller.
    pub quota: Quota,
    /// Its outcome.
    pub outcome: Outcome,
}

/// A limit that excepts the client's address: it neither counted nor refused the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Excepted {
    /// The limit.
    pub limit: LimitIndex,
    /// The step that would have judged it.
    pub stage: Stage,
}

/// What was found out about a request's token.
#[derive(Debug, Clone, Default)]
pub struct TokenFacts {
    /// Whether it was remembered from an earlier request.
    pub remembered: bool,
    /// Whether its signature verified, whatever else is wrong with it. Only tokens that nobody of ours signed count
    /// as failed authentications.
    pub is_signed: bool,
    /// The caller, if the token verified and is within its times.
    pub caller: Option<Rc<Caller>>,
    /// Whether the token is older than `max_token_age_hours`.
    pub age: Age,
    /// Whether the token was checked for revocation and is not revoked.
    pub is_alive: bool,
    /// The key set that does not have the key which the token names, and may have it when it is fetched anew.
    pub unknown_to: Option<KeySetIndex>,
}

impl Stage {
    /// Every step, in order.
    pub const ALL: [Self; 7] = [
        Self::Form,
        Self::Addresses,
        Self::EarlyLimits,
        Self::Token,
        Self::Revocation,
        Self::LateLimits,
        Self::Permission,
    ];

    /// Its name, as `api-guard explain` prints it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Form => "form",
            Self::Addresses => "addresses",
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
            Self::Addresses => 1,
            Self::EarlyLimits => 2,
            Self::Token => 3,
            Self::Revocation => 4,
            Self::LateLimits => 5,
            Self::Permission => 6,
        }
    }
}

impl Trail {
    /// One entry for each step, in order.
    pub fn entries(&self) -> impl Iterator<Item = Entry> {
        Stage::ALL.into_iter().map(|stage| Entry { stage, state: self.state(stage) })
    }

    /// The outcome of a step.
    pub fn state(&self, stage: Stage) -> State {
        self.states.get(stage.index()).copied().unwrap_or_default()
    }

    /// Notes the outcome of a step. A reported refusal is not overwritten if the step then passes.
    pub(crate) fn note(&mut self, stage: Stage, state: State) {
        if let Some(noted) = self.states.get_mut(stage.index())
            && (*noted != State::Reported || state == State::Refused)
        {
            *noted = state;
        }
    }

    /// The caller, if the request has one whose token verified. The token may have been revoked.
    pub fn caller(&self) -> Option<&Rc<Caller>> {
        self.token.as_ref()?.caller.as_ref()
    }

    /// The caller, if their token is not revoked.
    pub fn identity(&self) -> Option<&Rc<Caller>> {
        self.token.as_ref().filter(|token| token.is_alive)?.caller.as_ref()
    }

    /// The limits that were judged in one of the two limit steps.
    pub fn limits_of(&self, stage: Stage) -> impl Iterator<Item = &Judged> {
        self.limits.iter().filter(move |judged| judged.stage == stage)
    }

    /// Whether a limit was judged, or excepts the client's address.
    pub(crate) fn has_limit(&self, limit: LimitIndex) -> bool {
        self.limits.iter().any(|judged| judged.limit == limit)
            || self.excepted.iter().any(|excepted| excepted.limit == limit)
    }

    /// Notes that the body did not have the form that it must have. `is_refused`: whether that is carried out.
    pub fn body_refused(&mut self, is_refused: bool) {
        self.note(Stage::Form, if is_refused { State::Refused } else { State::Reported });
    }

    /// Notes that the revocation endpoint refused the request's body.
    pub fn revocation_refused(&mut self) {
        self.note(Stage::Permission, State::Refused);
    }
}
