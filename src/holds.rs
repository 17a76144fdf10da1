//! Requests whose headers are held back until their body has been seen.
//!
//! Envoy delivers the body of a held request only where the plugin was loaded with `allow_on_headers_stop_iteration`,
//! and does not tell the plugin whether it was. The first held body tells: if it is delivered, holding works. If Envoy
//! has received some of it and delivered nothing, holding does not work here: the request is released, its body is
//! counted while it streams, and so is every later one. Either way no request passes unjudged; what differs is
//! whether the upstream has heard of a body that turns out too large.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use api_guard_core::time::UnixNanos;

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
pub(crate) struct Hold {
    pub(crate) context: u32,
    deadline: UnixNanos,
    /// What Envoy had received when the body was still to come, bytes.
    size_before_body: Option<u64>,
    /// Whether it is for the revocation endpoint: never to be released.
    pub(crate) endpoint: bool,
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
    pub(crate) fn given_up(&self) -> bool {
        self.state.get() == State::GivenUp
    }
}

/// All held requests of one worker whose body has not been seen.
#[derive(Debug)]
pub(crate) struct Holds {
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
    /// `is_declared`: some body is sure to come, so that none yet is no reason to give up. `size` tells how much of
    /// the request Envoy has received.
    pub(crate) fn begin(
        &self,
        context: u32,
        endpoint: bool,
        is_declared: bool,
        size: impl FnOnce() -> Option<u64>,
        now: UnixNanos,
    ) -> Option<Rc<Hold>> {
        if self.known.get() == Known::Fails && !endpoint {
            return None;
        }
        let patience = if is_declared { u64::MAX } else { PATIENCE };
        let deadline = UnixNanos::from_nanos(now.nanos().saturating_add(patience));
        let is_known = self.known.get() == Known::Works;
        let size_before_body = if is_known { None } else { size() };
        let state = Cell::new(State::Waiting);
        let hold = Rc::new(Hold { context, deadline, size_before_body, endpoint, state });
        if !is_known && let Ok(mut waiting) = self.waiting.try_borrow_mut() {
            waiting.push(Rc::downgrade(&hold));
        }
        Some(hold)
    }

    /// A held request's body arrives: holding works.
    pub(crate) fn body_seen(&self, hold: &Hold) {
        if hold.state.get() == State::Waiting {
            hold.state.set(State::BodySeen);
            self.known.set(Known::Works);
        }
    }

    /// The requests that are held in vain, to be released or answered now. `size` tells how much of a request
    /// Envoy has received.
    pub(crate) fn in_vain(&self, size: impl Fn(&Hold) -> Option<u64>, now: UnixNanos) -> Vec<Rc<Hold>> {
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
            if hold.size_before_body.zip(size(&hold)).is_some_and(|(before, now)| before < now) {
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
