//! What did the guard find out about a request, and what did it decide?
//!
//! An admission is a proof: only the guard makes a [`Grant`], and code that forwards or revokes takes the grant as an
//! argument. The [`Trail`] has an entry for each step with its figures, so that code that explains a decision reads
//! what was found instead of working it out again.

mod body;
mod trail;

use std::rc::Rc;

use crate::denial::Denial;
use crate::guard::Caller;

pub use body::{BodyPlan, LARGEST_HELD};
pub(crate) use body::{BodyRules, too_large};
pub use trail::{Entry, Excepted, FormFacts, Judged, Stage, State, TokenFacts, Trail};

/// The guard's verdict on a request.
#[derive(Debug)]
pub struct Verdict {
    /// Whether the request passes.
    pub decision: Decision,
    /// The first refusal that was not carried out because of report mode.
    pub reported: Option<Denial>,
    /// What each step found.
    pub trail: Trail,
}

/// Whether a request passes.
#[derive(Debug)]
pub enum Decision {
    /// It passes.
    Admit(Grant),
    /// It is answered with a refusal.
    Refuse(Denial),
}

/// The proof that a request may pass, with the identity it passes under. Only the guard makes one.
#[derive(Debug)]
pub struct Grant {
    pub(crate) identity: Option<Rc<Caller>>,
    pub(crate) destination: Destination,
    pub(crate) body: BodyRules,
    pub(crate) enforces: bool,
}

/// Where an admitted request goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Destination {
    /// To the upstream.
    Upstream,
    /// To the revocation endpoint, which [`crate::guard::Guard::revoke`] serves.
    RevocationEndpoint,
}

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
    /// The caller, whose token verified and is not revoked; the upstream and later filters may rely on this identity.
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
        self.body.plan
    }

    /// Judges the whole body of the request.
    ///
    /// # Errors
    ///
    /// The refusal, if its type is not accepted, or it or one of its gRPC messages is too large.
    pub fn judge_body(&self, body: &[u8]) -> Result<(), Denial> {
        self.body.judge(body)
    }

    /// Whether what turns out to be wrong later, such as a body that is too large, is refused; in report mode it is only
    /// reported.
    pub fn enforces(&self) -> bool {
        self.enforces
    }
}
