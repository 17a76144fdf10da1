//! What a step asks of the outside, what may be answered, and what is kept of the request meanwhile.

use std::rc::Rc;

use crate::denial::Denial;
use crate::request::owned::OwnedRequest;
use crate::verdict::Trail;

/// What a step needs to know before it can go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// The token names a key that there is none of: are there newer keys?
    Keys,
}

/// What came of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// What was asked for is there now: look again.
    Ready,
    /// It cannot be had, or did not come in time.
    Unavailable,
}

/// A request whose judgement waits. It owns what it needs, since the host's headers are gone when it goes on, and it is
/// resumed once: [`super::Guard::resume`] takes it.
#[derive(Debug)]
pub struct Suspended {
    pub(super) request: Rc<OwnedRequest>,
    pub(super) trail: Trail,
    pub(super) reported: Option<Denial>,
    pub(super) max_body_bytes: Option<u64>,
}

impl Suspended {
    /// The request, for whoever goes on with it.
    pub fn request(&self) -> Rc<OwnedRequest> {
        Rc::clone(&self.request)
    }

    /// What was found so far.
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// The size that the request's body may have, bytes; `None` where no body is refused for its size.
    pub fn max_body_bytes(&self) -> Option<u64> {
        self.max_body_bytes
    }
}
