//! What the guard found out about a request, and what is to become of it.
//!
//! The decision is one of two values. An admission is a proof: only the guard makes a [`Grant`], and whoever forwards,
//! marks or revokes takes the grant. Beside the decision stands the [`Trail`]: an entry for each step with its figures,
//! so that whoever explains a decision reads what was found and works nothing out again.

mod trail;

use std::rc::Rc;

use crate::denial::Denial;
use crate::guard::Caller;

pub use trail::{Entry, FormFacts, Judged, Stage, State, TokenFacts, Trail};

/// The guard's verdict on a request.
#[derive(Debug)]
pub struct Verdict {
    /// What becomes of it.
    pub decision: Decision,
    /// What would have been refused if a limit, or everything, were not in report mode: the first such finding.
    pub reported: Option<Denial>,
    /// What each step found.
    pub trail: Trail,
}

/// What becomes of a request.
#[derive(Debug)]
pub enum Decision {
    /// It passes.
    Admit(Grant),
    /// It is answered with a refusal.
    Refuse(Denial),
}

/// The proof that a request may pass, and as whose. Only the guard makes one.
#[derive(Debug)]
pub struct Grant {
    pub(crate) identity: Option<Rc<Caller>>,
    pub(crate) destination: Destination,
    pub(crate) body: BodyPlan,
    pub(crate) enforces_size: bool,
}

/// Where an admitted request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To the upstream.
    Upstream,
    /// To the revocation endpoint, which is answered by [`crate::guard::Guard::revoke`].
    RevocationEndpoint,
}

/// How the body of a request that passes is treated.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum BodyPlan {
    /// There is none, or it is no body (an upgraded connection).
    #[default]
    Pass,
    /// Count it while it streams, and cut it off past this many bytes.
    Count(u64),
    /// Its size was not declared: hold it back until it has ended, so that the upstream never hears of one that is
    /// too large. Never more than [`LARGEST_HELD`].
    Hold(u64),
}

/// The largest body that is held back, bytes: hosts buffer this much for a filter unless told otherwise. Larger bodies
/// are counted while they stream.
pub const LARGEST_HELD: u64 = 1_048_576;

impl Verdict {
    /// The refusal that is carried out.
    pub fn denial(&self) -> Option<&Denial> {
        match &self.decision {
            Decision::Admit(_) => None,
            Decision::Refuse(denial) => Some(denial),
        }
    }

    /// The proof that the request may pass, if it may.
    pub fn grant(&self) -> Option<&Grant> {
        match &self.decision {
            Decision::Admit(grant) => Some(grant),
            Decision::Refuse(_) => None,
        }
    }

    /// The refusal that is carried out or reported.
    pub fn refusal(&self) -> Option<&Denial> {
        self.denial().or(self.reported.as_ref())
    }
}

impl Grant {
    /// Whose identity the upstream and later filters may rely on: a caller whose token verified and is not revoked.
    /// `None` for an anonymous caller.
    pub fn identity(&self) -> Option<&Caller> {
        self.identity.as_deref()
    }

    /// Where the request goes.
    pub fn destination(&self) -> Destination {
        self.destination
    }

    /// How its body is treated.
    pub fn body(&self) -> BodyPlan {
        self.body
    }

    /// Whether a body that turns out too large is refused; in report mode it is only reported.
    pub fn enforces_size(&self) -> bool {
        self.enforces_size
    }
}
