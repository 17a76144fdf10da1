//! Requests whose headers are held back until their body has been seen.
//!
//! Envoy delivers the body of a held request only where the plugin was loaded with `allow_on_headers_stop_iteration`,
//! and does not tell the plugin whether it was. The first held body tells: if it is delivered, holding works. If Envoy
//! has received some of it and delivered nothing, holding does not work here: the request is released, its body is
//! counted while it streams, and so is every later one. Either way no request passes unjudged; what differs is
//! whether the upstream has heard of a body that turns out too large.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use crate::time::UnixNanos;

/// How long a body is waited for while nothing is known and nothing of it has come, nanoseconds. An empty body gives
/// no sign of itself where holding does not work, so without an end to it such a request would hang.
const PATIENCE: u64 = 5_000_000_000;

/// What is known of holding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Known {
    Nothing,
    Works,
    Fails,
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
        Self { known: Cell::new(Known::Nothing), waiting: RefCell::default() }
    }
}

impl Holds {
    /// Starts holding a request; `None` if holding is known not to work here and the request may go on without.
    pub(super) fn begin(&self, context: u32, endpoint: bool, now: UnixNanos) -> Option<Rc<Hold>> {
        if self.known.get() == Known::Fails && !endpoint {
            return None;
        }
        let deadline = UnixNanos::from_nanos(now.nanos().saturating_add(PATIENCE));
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

    /// The requests that are held in vain, to be released or answered now. `received` tells how much of a request's
    /// body Envoy has.
    pub(super) fn in_vain(&self, received: impl Fn(&Hold) -> Option<u64>, now: UnixNanos) -> Vec<Rc<Hold>> {
        let Ok(mut waiting) = self.waiting.try_borrow_mut() else { return Vec::new() };
        let mut in_vain = Vec::new();
        waiting.retain(|hold| {
            let Some(hold) = hold.upgrade().filter(|hold| hold.state.get() == State::Waiting) else {
                return false;
            };
            // A slow client is just slow.
            if self.known.get() == Known::Works {
                return false;
            }
            if received(&hold).is_some_and(|bytes| bytes > 0) {
                self.known.set(Known::Fails);
            }
            if self.known.get() != Known::Fails && now < hold.deadline {
                return true;
            }
            hold.state.set(State::GivenUp);
            in_vain.push(hold);
            false
        });
        in_vain
    }
}
