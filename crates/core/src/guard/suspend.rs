//! What can a step ask of the outside, what are the answers, and what is kept of the request meanwhile?

use std::net::IpAddr;
use std::rc::Rc;

use crate::denial::Denial;
use crate::index::KeySetIndex;
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
        /// When the request asked for units first.
        since: UnixNanos,
        /// Whether the store has answered before, and others got what there was.
        again: bool,
    },
    /// The revocations of the fleet were never read: have they been?
    FleetRevocations,
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
    /// If it was for units of a limit: when the request asked for them first, and whether this was not the first time.
    pub(super) fn for_units(&self) -> Option<(UnixNanos, bool)> {
        match self.question {
            Question::FleetLimit { since, again, .. } => Some((since, again)),
            Question::Keys | Question::KeySet { .. } | Question::FleetRevocations => None,
        }
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
