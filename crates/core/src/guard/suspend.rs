//! What can a step ask of the outside, what are the answers, and what is kept of the request meanwhile?

use std::net::IpAddr;
use std::rc::Rc;

use crate::denial::Denial;
use crate::index::KeySetIndex;
use crate::request::owned::OwnedRequest;
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
}

/// The answer to a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// What was asked for is available now.
    Ready,
    /// It is not available, or did not come in time.
    Unavailable,
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
