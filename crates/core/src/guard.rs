//! May this request pass? The one straight line of steps, and where to add another.
//!
//! [`Guard::begin`] judges the headers of a request, and [`Guard::resume`] goes on where a step had to wait for an
//! answer from outside; [`Guard::revoke`] answers the revocation endpoint's body. All of them take everything they need
//! as arguments: the request, what this worker remembers, the host's shared cells and the time. They decide and spend;
//! what the client and the upstream see of it is [`crate::effect`]'s affair.
//!
//! A new step is a line in [`Visit::take_steps`], a [`Stage`], and a file beside this one that takes values and returns
//! values. What it refuses is a [`Denial`]; the compiler names every place that has to know the new one.

mod authenticate;
mod client_address;
mod form;
mod limits;
mod memory;
mod permit;
mod report;
mod revoke;
mod suspend;

use std::cell::OnceCell;
use std::net::IpAddr;
use std::rc::Rc;

use crate::denial::Denial;
use crate::host::Host;
use crate::policy::{Access, Mode, Policy};
use crate::request::Request;
use crate::request::owned::OwnedRequest;
use crate::time::UnixNanos;
use crate::verdict::{BodyPlan, Decision, Destination, Grant, Stage, State, Trail, Verdict};

pub use authenticate::Caller;
use form::Form;
pub use memory::Memory;
pub use revoke::Revoked;
pub use suspend::{Answer, Question, Suspended};

/// A configuration at work. Immutable; shared by all requests of a configuration on one worker.
#[derive(Debug)]
pub struct Guard {
    policy: Policy,
}

/// How far judging came.
#[derive(Debug)]
pub enum Step {
    /// To the end.
    Done(Verdict),
    /// To a step that needs an answer from outside. Whoever has the answer resumes it, once.
    Ask(Question, Suspended),
}

/// What the steps of one request have in common.
struct Visit<'v, 'r, H> {
    policy: &'v Policy,
    request: &'v Request<'r>,
    host: &'v H,
    now: UnixNanos,
    address: OnceCell<Option<IpAddr>>,
    /// The request as it was kept while a step waited.
    kept: Option<Rc<OwnedRequest>>,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Progress {
    trail: Trail,
    reported: Option<Denial>,
    /// The answer that the token step waited for: the steps before it are behind us.
    answer: Option<Answer>,
}

/// Why the line of steps ends before its end.
enum Stop {
    Refuse(Stage, Denial),
    Ask(Question),
}

impl Guard {
    /// A guard that goes by `policy`.
    pub fn new(policy: Policy) -> Self {
        Self { policy }
    }

    /// The configuration.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    /// Judges a request by its headers.
    pub fn begin(
        &self,
        memory: &mut Memory,
        request: &Request<'_>,
        host: &impl Host,
        now: UnixNanos,
    ) -> Step {
        let visit = Visit { policy: &self.policy, request, host, now, address: OnceCell::new(), kept: None };
        visit.judge(memory, Progress::default())
    }

    /// Goes on with a request for which a step had asked a question. What the steps before spent stays spent, and is not
    /// spent again; times and revocations are judged as they are now.
    pub fn resume(
        &self,
        memory: &mut Memory,
        suspended: Suspended,
        answer: Answer,
        host: &impl Host,
        now: UnixNanos,
    ) -> Step {
        let Suspended { request: kept, trail, reported, max_body_bytes: _ } = suspended;
        let address = trail.address.map_or_else(OnceCell::new, OnceCell::from);
        let request = kept.as_request();
        let visit = Visit {
            policy: &self.policy,
            request: &request,
            host,
            now,
            address,
            kept: Some(Rc::clone(&kept)),
        };
        visit.judge(memory, Progress { trail, reported, answer: Some(answer) })
    }

    /// Judges a request where nobody can be asked anything: as [`Self::begin`], with no answer to any question.
    pub fn admit(
        &self,
        memory: &mut Memory,
        request: &Request<'_>,
        host: &impl Host,
        now: UnixNanos,
    ) -> Verdict {
        let mut step = self.begin(memory, request, host, now);
        loop {
            match step {
                Step::Done(verdict) => return verdict,
                Step::Ask(_, suspended) => {
                    step = self.resume(memory, suspended, Answer::Unavailable, host, now);
                }
            }
        }
    }

    /// The client's address as limits count it: the whole IPv4 address, or the configured prefix of an IPv6 one.
    pub fn client_address(&self, request: &Request<'_>, host: &impl Host) -> Option<IpAddr> {
        client_address::client_address(self.policy.client_ip, request, host)
    }
}

impl<H: Host> Visit<'_, '_, H> {
    fn judge(self, memory: &mut Memory, mut progress: Progress) -> Step {
        let form = self.check_form(memory);
        let refused = match self.take_steps(memory, &form, &mut progress) {
            Ok(()) => None,
            Err(Stop::Ask(question)) => {
                let request = self.kept.clone().unwrap_or_else(|| Rc::new(self.request.to_owned()));
                let Progress { mut trail, reported, .. } = progress;
                trail.address = self.address.into_inner();
                let max_body_bytes = form.max_body_bytes();
                return Step::Ask(question, Suspended { request, trail, reported, max_body_bytes });
            }
            Err(Stop::Refuse(stage, denial)) => self.settle(memory, &form, &mut progress, stage, denial),
        };
        let Progress { mut trail, reported, .. } = progress;
        trail.address = self.address.into_inner();
        let decision = match refused {
            Some(denial) => Decision::Refuse(denial),
            None => Decision::Admit(form.grant(&trail, reported.is_some())),
        };
        Step::Done(Verdict { decision, reported, trail })
    }

    /// The steps, in their order. Each may end it.
    fn take_steps(&self, memory: &mut Memory, form: &Form<'_>, progress: &mut Progress) -> Result<(), Stop> {
        let asked = progress.answer.is_some();
        if !asked {
            progress.trail.form = form.facts;
            if let Some(faults) = &form.faults {
                return Err(Stop::Refuse(Stage::Form, Denial::Form(faults.clone())));
            }
            progress.trail.note(Stage::Form, State::Passed);
            self.early_limits(memory, form, progress)?;
        }
        if form.facts.access == Access::Public {
            for stage in [Stage::Token, Stage::Revocation, Stage::Permission] {
                progress.trail.note(stage, State::Skipped);
            }
            return self.late_limits(memory, form, None, progress);
        }
        let caller = self.authenticate(memory, form, progress, !asked)?;
        self.late_limits(memory, form, Some(&caller), progress)?;
        self.permit(form, &caller).map_err(|denial| Stop::Refuse(Stage::Permission, denial))?;
        progress.trail.note(Stage::Permission, State::Passed);
        Ok(())
    }

    /// Whether a refusal is carried out: it is in enforce mode. Our own faults are carried out in any mode, and so is what
    /// the revocation endpoint refuses, whose mode is always to enforce.
    fn is_carried_out(&self, form: &Form<'_>, denial: &Denial) -> bool {
        if let Denial::Fault(_) = denial {
            return true;
        }
        let own_mode = denial.over_limit().and_then(|over| self.policy.limit(over.limit?)?.mode);
        own_mode.unwrap_or(form.facts.mode) == Mode::Enforce
    }
}

impl Form<'_> {
    /// The size past which a body is refused; `None` where none is.
    fn max_body_bytes(&self) -> Option<u64> {
        match self.body {
            BodyPlan::Count(max_bytes) | BodyPlan::Hold(max_bytes) => {
                (self.facts.mode == Mode::Enforce).then_some(max_bytes)
            }
            BodyPlan::Pass => None,
        }
    }

    /// The proof that the request passes. A request that passes only because of report mode does so whatever its size:
    /// one report is enough.
    fn grant(&self, trail: &Trail, is_reported: bool) -> Grant {
        let mode = self.facts.mode;
        Grant {
            identity: trail.identity().cloned(),
            destination: if self.facts.revokes {
                Destination::RevocationEndpoint
            } else {
                Destination::Upstream
            },
            body: if is_reported && mode == Mode::Report { BodyPlan::Pass } else { self.body },
            enforces_size: mode == Mode::Enforce,
        }
    }
}
