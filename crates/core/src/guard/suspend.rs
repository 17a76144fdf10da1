//! What can a step ask of the outside, what are the answers, and what is kept of the request meanwhile?

use std::net::IpAddr;
use std::rc::Rc;

use crate::denial::Denial;
use crate::index::{KeySetIndex, LimitIndex};
use crate::limit::Identity;
use crate::request::owned::OwnedRequest;
use crate::time::UnixNanos;
use crate::verdict::{BodyRules, Trail};

/// What a step needs to know before it can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// The token names an unknown key: are there newer keys?
    Keys,
    /// The token names a key that a key set does not have, of which a fetch is on its way: has it ended?
    KeySet {
        /// The set.
        set: KeySetIndex,
        /// The number of its fetches that had ended when this was asked.
        ended: u32,
    },
    /// A limit of the fleet has no units in hand: has the store answered?
    FleetLimit {
        /// Whose units.
        identity: Identity,
        /// The number of answers when this was asked.
        answered: u32,
        /// When the request asked first for units of the limits that it waits for.
        since: UnixNanos,
        /// The limits that it waits for.
        limits: LimitSet,
        /// The limits that it has waited for before.
        before: LimitSet,
    },
    /// The revocations of the fleet were never read: have they been?
    FleetRevocations,
}

/// Some of the limits, a bit for each: of more than 64, two share one, and who has asked for either then has for both.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LimitSet(u64);

impl LimitSet {
    /// These and one more.
    pub(super) fn with(self, limit: LimitIndex) -> Self {
        let bit = u32::try_from(limit.get() % 64).unwrap_or(0);
        Self(self.0 | 1_u64.rotate_left(bit))
    }

    /// These and others.
    pub(super) fn and(self, others: Self) -> Self {
        Self(self.0 | others.0)
    }

    /// Whether any of these is one of others.
    pub(super) fn meets(self, others: Self) -> bool {
        self.0 & others.0 != 0
    }
}

/// A question that was asked, and its answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asked {
    pub(super) question: Question,
    pub(super) answer: Answer,
    /// How many questions this request has asked.
    pub(super) asks: u32,
}

impl Asked {
    /// If it was for units of limits: since when the request has waited for these, and all that it has waited for.
    pub(super) fn for_units(&self) -> Option<(UnixNanos, LimitSet)> {
        match self.question {
            Question::FleetLimit { since, limits, before, .. } => Some((since, limits.and(before))),
            Question::Keys | Question::KeySet { .. } | Question::FleetRevocations => None,
        }
    }

    /// If the request has waited for units of a limit: whether the store has answered that.
    pub(super) fn of_limit(&self, limit: LimitIndex) -> Option<bool> {
        let Question::FleetLimit { limits, before, .. } = self.question else { return None };
        let limit = LimitSet::default().with(limit);
        let is_answered = before.meets(limit) || self.answer == Answer::Ready;
        limits.and(before).meets(limit).then_some(is_answered)
    }

    /// Whether the token step waited for it.
    pub(super) fn is_of_keys(&self) -> bool {
        match self.question {
            Question::Keys | Question::KeySet { .. } => true,
            Question::FleetLimit { .. } | Question::FleetRevocations => false,
        }
    }
}

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// What was asked for is available now.
    Ready,
    /// It is not available, and nobody waits for it.
    Unavailable,
    /// It did not come in time.
    Overdue,
    /// It may be available, but the request does not wait for it.
    Unawaited,
}

/// A request whose judgement waits. It owns what it needs, because the host's headers are gone by the time it resumes.
/// [`super::Guard::resume`] consumes it, so it resumes once.
#[derive(Debug)]
pub struct Suspended {
    pub(super) request: Rc<OwnedRequest>,
    pub(super) trail: Trail,
    /// The client's whole address, if a step has asked for it.
    pub(super) address: Option<Option<IpAddr>>,
    pub(super) reported: Option<Denial>,
    pub(super) body: Option<BodyRules>,
    pub(super) question: Question,
    pub(super) asks: u32,
}

impl Suspended {
    /// The copy of the request.
    pub fn request(&self) -> Rc<OwnedRequest> {
        Rc::clone(&self.request)
    }

    /// What the steps have found so far.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// The rules for the request's body; `None` if no body is a reason to refuse it.
    pub(crate) fn body_rules(&self) -> Option<&BodyRules> {
        self.body.as_ref()
    }
}
