//! May this request pass? One straight line of steps answers that.
//!
//! [`Guard::begin`] judges the headers of a request. [`Guard::resume`] continues where a step had to wait for an answer
//! from outside. [`Guard::revoke`] handles the body of a request to the revocation endpoint. All of them get everything
//! they need as arguments: the request, this worker's memory, the host's shared cells and the time. They decide and
//! spend; [`crate::effect`] turns the decision into what the client and the upstream see.
//!
//! A new step is a line in `Visit::take_steps`, a [`Stage`], and a file beside this one that takes values and returns
//! values. It refuses with a [`Denial`]; the compiler points at every `match` that has to handle a new one.

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

/// Judges requests under one configuration. Immutable; shared by all requests of that configuration on one worker.
#[derive(Debug)]
pub struct Guard {
    policy: Policy,
}

/// How far the judgement came.
#[derive(Debug)]
pub enum Step {
    /// To the end.
    Done(Verdict),
    /// To a step that needs an answer from outside; [`Guard::resume`] continues once there is one.
    Ask(Question, Suspended),
}

/// What all steps of one request need.
struct Visit<'v, 'r, H> {
    policy: &'v Policy,
    request: &'v Request<'r>,
    host: &'v H,
    now: UnixNanos,
    address: OnceCell<Option<IpAddr>>,
    /// The copy of the request that was kept while a step waited.
    kept: Option<Rc<OwnedRequest>>,
}

/// What was found so far.
#[derive(Debug, Default)]
struct Progress {
    trail: Trail,
    reported: Option<Denial>,
    /// The answer that the token step waited for. If there is one, the steps before it have been taken.
    answer: Option<Answer>,
}

/// Why the line of steps stops early.
enum Stop {
    Refuse(Stage, Denial),
    Ask(Question),
}

impl Guard {
    /// A guard for `policy`.
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

    /// Continues with a request for which a step had asked a question. What earlier steps spent is not spent again;
    /// times and revocations are judged as of `now`.
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

    /// Judges a request without asking anybody: as [`Self::begin`], with [`Answer::Unavailable`] to every question.
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

    /// The client's address as limits count it: a whole IPv4 address, or the configured prefix of an IPv6 address.
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

    /// Takes the steps in their order. Each may stop the line.
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

    /// Whether a refusal is carried out. It is in enforce mode, which the revocation endpoint always has. Our own
    /// faults are carried out in any mode.
    fn is_carried_out(&self, form: &Form<'_>, denial: &Denial) -> bool {
        if let Denial::Fault(_) = denial {
            return true;
        }
        let own_mode = denial.over_limit().and_then(|over| self.policy.limit(over.limit?)?.mode);
        own_mode.unwrap_or(form.facts.mode) == Mode::Enforce
    }
}

impl Form<'_> {
    /// The size above which the body is refused, bytes; `None` if no body is refused for its size.
    fn max_body_bytes(&self) -> Option<u64> {
        match self.body {
            BodyPlan::Count(max_bytes) | BodyPlan::Hold(max_bytes) => {
                (self.facts.mode == Mode::Enforce).then_some(max_bytes)
            }
            BodyPlan::Pass => None,
        }
    }

    /// The proof that the request passes. A request that passes only because of report mode may have any size: it has
    /// been reported already.
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
