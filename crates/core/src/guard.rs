//! May this request pass? One straight line of steps answers that.
//!
//! [`Guard::begin`] judges the headers of a request. [`Guard::resume`] continues where a step had to wait for an answer
//! from outside. [`Guard::judge_again`] judges the token of a request that was held once more when it goes on.
//! [`Guard::revoke`] handles the body of a request to the revocation endpoint. All of them get everything they need as
//! arguments: the request, this worker's memory, the host's shared cells and the time. They decide and spend;
//! [`crate::effect`] turns the decision into what the client and the upstream see.
//!
//! A new step is a line in `Line::run`, a [`crate::verdict::Stage`], and a file beside this one that takes values and returns
//! values. It refuses with a [`Denial`]; the compiler points at every `match` that has to handle a new one.

mod authenticate;
mod body;
mod client_address;
mod fleet;
mod form;
mod limits;
mod line;
mod memory;
mod permit;
mod revoke;
mod suspend;

use std::cell::OnceCell;
use std::net::IpAddr;
use std::rc::Rc;
use std::sync::Arc;

use crate::denial::Denial;
use crate::host::Host;
use crate::policy::{Mode, Policy};
use crate::request::Request;
use crate::request::owned::OwnedRequest;
use crate::time::UnixNanos;
use crate::verdict::{BodyPlan, BodyRules, Decision, Destination, Grant, Trail, Verdict};

pub use authenticate::Caller;
use form::Form;
use line::{Line, Stop};
pub use memory::Memory;
pub use revoke::Revoked;
use suspend::Asked;
pub use suspend::{Answer, LimitSet, Question, Suspended};

/// Judges requests under one configuration. Immutable; shared by all requests of that configuration on one worker.
#[derive(Debug)]
pub struct Guard {
    policy: Arc<Policy>,
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
    /// The whole address, if a step has asked for it.
    address: OnceCell<Option<IpAddr>>,
    /// The copy of the request that was kept while a step waited.
    kept: Option<Rc<OwnedRequest>>,
}

impl Guard {
    /// A guard for `policy`, which the guards of several workers may share.
    pub fn new(policy: impl Into<Arc<Policy>>) -> Self {
        Self { policy: policy.into() }
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
        visit.judge(memory, Trail::default(), None, None)
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
        let Suspended { request: kept, trail, address, reported, body: _, question, asks } = suspended;
        let address = address.map_or_else(OnceCell::new, OnceCell::from);
        let request = kept.as_request();
        let visit = Visit {
            policy: &self.policy,
            request: &request,
            host,
            now,
            address,
            kept: Some(Rc::clone(&kept)),
        };
        visit.judge(memory, trail, reported, Some(Asked { question, answer, asks }))
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
        let rule = self.policy.client_ip;
        let address = client_address::whole_address(rule.from, request, host)?;
        Some(client_address::counted_address(rule, address))
    }
}

impl<H: Host> Visit<'_, '_, H> {
    /// The client's whole address.
    fn whole_address(&self) -> Option<IpAddr> {
        let from = self.policy.client_ip.from;
        *self.address.get_or_init(|| client_address::whole_address(from, self.request, self.host))
    }

    /// Takes the steps, and says what came of them. `asked`: what a step waited for.
    fn judge(
        self,
        memory: &mut Memory,
        trail: Trail,
        reported: Option<Denial>,
        asked: Option<Asked>,
    ) -> Step {
        let form = self.check_form(memory);
        let mut line = Line { visit: &self, form: &form, memory, trail, reported, asked };
        let stop = line.run().err();
        let (refused, question) = match stop {
            None => (None, None),
            Some(Stop::Refuse(stage, denial)) => (line.settle(stage, denial), None),
            Some(Stop::Ask(question)) => (None, Some(question)),
        };
        let Line { mut trail, reported, .. } = line;
        let rule = self.policy.client_ip;
        let counted = |address| client_address::counted_address(rule, address);
        let address = self.address.get().copied();
        trail.address = address.map(|address| address.map(counted));
        if let Some(question) = question {
            let body = form.enforced_body_rules();
            let asks = asked.map_or(0, |asked| asked.asks).saturating_add(1);
            let request = self.kept.unwrap_or_else(|| Rc::new(self.request.to_owned()));
            return Step::Ask(
                question,
                Suspended { request, trail, address, reported, body, question, asks },
            );
        }
        let decision = match refused {
            Some(denial) => Decision::Refuse(denial),
            None => Decision::Admit(form.grant(&trail, reported.is_some())),
        };
        Step::Done(Verdict { decision, reported, trail })
    }
}

impl Form<'_> {
    /// The rules for the body; `None` if it may be anything.
    fn enforced_body_rules(&self) -> Option<BodyRules> {
        let are_enforced = self.facts.mode == Mode::Enforce && self.body.plan != BodyPlan::Pass;
        are_enforced.then(|| self.body.clone())
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
            body: if is_reported && mode == Mode::Report { BodyRules::none() } else { self.body.clone() },
            enforces: mode == Mode::Enforce,
        }
    }
}
