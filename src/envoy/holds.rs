//! Requests whose headers are held back until their body has been seen.
//!
//! Envoy delivers the body of a held request only where the plugin was loaded with `allow_on_headers_stop_iteration`,
//! and does not tell the plugin whether it was. So the first held bodies tell: if one arrives, holding works from then
//! on. If none does within a moment, the request is released and its body counted while it streams, and after a few
//! such requests nothing is held any more. No request is let through unjudged either way; what differs is whether
//! the upstream has heard of a body that turns out too large.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use crate::time::UnixNanos;

/// How long the first bodies are waited for, nanoseconds.
const PATIENCE: u64 = 200_000_000;
/// How long a request to the revocation endpoint is, which must not be released.
const ENDPOINT_PATIENCE: u64 = 5_000_000_000;
/// After so many that were waited for in vain, nothing is held any more.
const MOST_IN_VAIN: u8 = 3;

/// What is known of holding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Unknown { in_vain: u8 },
    Works,
}

/// One held request.
#[derive(Debug)]
pub(super) struct Hold {
    pub(super) context: u32,
    deadline: UnixNanos,
    /// Whether it is for the revocation endpoint: never to be released.
    pub(super) endpoint: bool,
    state: Cell<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Waiting,
    BodySeen,
    GivenUp,
}

impl Hold {
    /// Whether the tick gave up waiting.
    pub(super) fn given_up(&self) -> bool {
        self.state.get() == State::GivenUp
    }
}

/// All held requests of one worker whose body has not been seen.
#[derive(Debug)]
pub(super) struct Holds {
    known: Cell<Known>,
    waiting: RefCell<Vec<Weak<Hold>>>,
}

impl Default for Holds {
    fn default() -> Self {
        Self { known: Cell::new(Known::Unknown { in_vain: 0 }), waiting: RefCell::default() }
    }
}

impl Holds {
    /// Starts holding a request; `None` if holding is known not to work here.
    pub(super) fn begin(&self, context: u32, endpoint: bool, now: UnixNanos) -> Option<Rc<Hold>> {
        if matches!(self.known.get(), Known::Unknown { in_vain: MOST_IN_VAIN.. }) && !endpoint {
            return None;
        }
        let patience = if endpoint { ENDPOINT_PATIENCE } else { PATIENCE };
        let deadline = UnixNanos::from_nanos(now.nanos().saturating_add(patience));
        let hold = Rc::new(Hold { context, deadline, endpoint, state: Cell::new(State::Waiting) });
        if self.known.get() != Known::Works
            && let Ok(mut waiting) = self.waiting.try_borrow_mut()
        {
            waiting.push(Rc::downgrade(&hold));
        }
        Some(hold)
    }

    /// A held request's body arrives: holding works.
    pub(super) fn body_seen(&self, hold: &Hold) {
        if hold.state.get() == State::Waiting {
            hold.state.set(State::BodySeen);
            self.known.set(Known::Works);
        }
    }

    /// The requests that have waited in vain, to be released or answered now.
    pub(super) fn overdue(&self, now: UnixNanos) -> Vec<Rc<Hold>> {
        let Ok(mut waiting) = self.waiting.try_borrow_mut() else { return Vec::new() };
        let mut overdue = Vec::new();
        waiting.retain(|hold| {
            let Some(hold) = hold.upgrade() else { return false };
            if hold.state.get() != State::Waiting {
                return false;
            }
            // Once it is known to work, a slow client is just slow.
            if self.known.get() == Known::Works {
                return false;
            }
            if hold.deadline > now {
                return true;
            }
            hold.state.set(State::GivenUp);
            overdue.push(hold);
            false
        });
        if let Known::Unknown { in_vain } = self.known.get() {
            let more = u8::try_from(overdue.len()).unwrap_or(u8::MAX);
            self.known.set(Known::Unknown { in_vain: in_vain.saturating_add(more) });
        }
        overdue
    }
}
