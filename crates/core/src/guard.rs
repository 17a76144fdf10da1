//! May this request pass? The one straight line of steps (SPEC section 3), and where to add another.
//!
//! [`Guard::admit`] judges the headers of a request; [`Guard::revoke`] answers the revocation endpoint's body. Both
//! take everything they need as arguments: the request, what this worker remembers, the proxy's shared cells and the
//! time. They decide and spend; what the client and the upstream see of it is [`crate::effect`]'s affair.

mod caller;
mod form;
mod limits;
mod revoke;

use std::cell::OnceCell;
use std::net::IpAddr;
use std::ops::Deref;
use std::rc::Rc;

use smallvec::SmallVec;

use crate::cells::{CellFault, Cells};
use crate::config::raw::{Access, Mode};
use crate::config::{AUTH_FAILURES, Policy};
use crate::decision::Denial;
use crate::limit::{Identities, Leases, Limiter, Outcome, Quota};
use crate::request::Request;
use crate::revocation::Revocations;
use crate::route::LastHost;
use crate::seed::Seed;
use crate::time::UnixNanos;
use crate::token::Age;
use crate::token::cache::TokenCache;

pub use caller::Caller;
use form::Form;
pub use revoke::Revoked;

/// What the guard asks of the proxy, each only when a step needs it.
pub trait Proxy {
    /// The shared cells of the process.
    type Cells: Cells;
    /// A peer's address as the proxy writes it.
    type Address: Deref<Target = [u8]>;

    /// The shared cells of the process.
    fn cells(&self) -> &Self::Cells;

    /// The peer's address with its port, such as `127.0.0.1:47302` or `[2001:db8::1]:0`.
    fn source_address(&self) -> Option<Self::Address>;
}

/// A configuration at work. Immutable; shared by all requests of a configuration on one worker.
#[derive(Debug)]
pub struct Guard {
    policy: Policy,
}

/// What one worker remembers under one configuration. Nothing in here is trusted longer than it is true.
#[derive(Debug)]
pub struct Worker {
    cache: TokenCache<Caller>,
    seed: Seed,
    leases: Leases,
    limiter: Limiter,
    // INVARIANT: one entry for each limit of the policy, in its order.
    identities: Vec<Identities>,
    failures: Identities,
    revocations: Revocations,
    hosts: LastHost,
}

impl Worker {
    /// Joins the process's shared tables; `random` becomes the process's hash key if there is none yet.
    pub fn open(policy: &Policy, cells: &impl Cells, random: [u8; 16]) -> Result<Self, CellFault> {
        let seed = Seed::open(cells, random)?;
        let mut revocations = Revocations::open(cells, seed, policy.revocation_capacity)?;
        revocations.refresh(cells)?;
        let limiter = Limiter::open(cells, seed, policy.limiter_capacity)?;
        Ok(Self {
            cache: TokenCache::default(),
            seed,
            leases: Leases::new(),
            limiter,
            identities: policy.limit_names().map(|limit| limiter.identities(limit)).collect(),
            failures: limiter.identities(AUTH_FAILURES),
            revocations,
            hosts: LastHost::default(),
        })
    }
}

/// Everything that was found out about a request.
#[derive(Debug, Default)]
pub struct Verdict {
    /// The place of its route in the configuration; the one after the last is the revocation endpoint.
    pub route: Option<usize>,
    /// Who sent it, if that was asked and answered.
    pub caller: Option<Rc<Caller>>,
    /// Whether the caller's token was looked for among the revoked ones, and is none of them.
    alive: bool,
    /// Whether the token was remembered; `None` if none was looked at.
    pub remembered: Option<bool>,
    /// What the token's times say.
    pub age: Age,
    /// The client's address, if it was asked for; [`Guard::client_address`] asks.
    pub address: Option<Option<IpAddr>>,
    /// The limits that were judged.
    pub limits: SmallVec<[Judged; 1]>,
    /// Why it is to be refused.
    pub denial: Option<Denial>,
    /// Why it would have been refused if a limit, or everything, were not in report mode. It passes all the same.
    pub reported: Option<Denial>,
    /// How its body is treated.
    pub body: BodyPlan,
    /// Whether it is for the revocation endpoint, and is to be answered by [`Guard::revoke`].
    pub revokes: bool,
    /// The mode of its route.
    mode: Mode,
}

/// A limit that was judged for a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged {
    /// Its place in the configuration.
    pub limit: usize,
    /// How much it admits this caller.
    pub quota: Quota,
    /// What came of it.
    pub outcome: Outcome,
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

/// Envoy buffers this much for a filter unless told otherwise; larger bodies are counted while they stream.
pub const LARGEST_HELD: u64 = 1_048_576;

/// What the steps of one request have in common.
struct Visit<'v, 'r, P> {
    policy: &'v Policy,
    request: &'v Request<'r>,
    proxy: &'v P,
    now: UnixNanos,
    address: OnceCell<Option<IpAddr>>,
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
    pub fn admit(
        &self,
        worker: &mut Worker,
        request: &Request<'_>,
        proxy: &impl Proxy,
        now: UnixNanos,
    ) -> Verdict {
        let visit = Visit { policy: &self.policy, request, proxy, now, address: OnceCell::new() };
        let mut verdict = Verdict { mode: self.policy.mode, ..Verdict::default() };
        visit.judge(worker, &mut verdict);
        verdict.address = visit.address.into_inner();
        if verdict.reported.is_some() && verdict.mode == Mode::Report {
            // It passes whatever its size, and one report is enough.
            verdict.body = BodyPlan::Pass;
        }
        verdict
    }

    /// The client's address as limits count it: the whole IPv4 address, or the configured prefix of an IPv6 one.
    pub fn client_address(&self, request: &Request<'_>, proxy: &impl Proxy) -> Option<IpAddr> {
        limits::client_address(self.policy.client_ip, request, proxy)
    }
}

impl<P: Proxy> Visit<'_, '_, P> {
    fn judge(&self, worker: &mut Worker, verdict: &mut Verdict) {
        let mut form = self.check_form(worker, verdict);
        let Err(denial) = self.take_steps(worker, &mut form, verdict) else { return };
        verdict.refuse(self.policy, denial);
        if verdict.denial.is_none()
            && let Err(denial) = self.accompany(worker, &form, verdict)
        {
            verdict.refuse(self.policy, denial);
        }
    }

    /// The steps, in the order of SPEC section 3. Each may end it.
    fn take_steps(
        &self,
        worker: &mut Worker,
        form: &mut Form<'_>,
        verdict: &mut Verdict,
    ) -> Result<(), Denial> {
        if let Some(faults) = form.faults.take() {
            return Err(Denial::Form(faults));
        }
        self.spend_early_limits(worker, form, verdict)?;
        if form.access == Access::Public {
            return self.spend_late_limits(worker, form, None, verdict);
        }
        let caller = self.authenticate(worker, form, verdict)?;
        self.spend_late_limits(worker, form, Some(&caller), verdict)?;
        self.permit(form, &caller)
    }

    /// What is left to do for a request that would have been refused and passes, in report mode: the upstream hears
    /// who sent it, and limits that enforce count it. Nothing else is spent, as it would not have been by a refusal.
    fn accompany(&self, worker: &mut Worker, form: &Form<'_>, verdict: &mut Verdict) -> Result<(), Denial> {
        self.spend_enforced_limits(worker, form, None, false, verdict)?;
        if form.access != Access::Public {
            self.identify(worker, form, verdict)?;
        }
        let caller = verdict.caller.clone().filter(|_| verdict.alive);
        self.spend_enforced_limits(worker, form, caller.as_deref(), true, verdict)
    }
}

impl Verdict {
    /// Notes a denial: carried out in enforce mode, reported otherwise. Our own faults are refused in any mode, and
    /// so is what the revocation endpoint refuses.
    fn refuse(&mut self, policy: &Policy, denial: Denial) {
        let own_mode = denial.over_limit().and_then(|over| policy.limits.get(over.limit?)?.mode);
        let is_fault = matches!(denial, Denial::Fault(_));
        let mode = if is_fault { Mode::Enforce } else { own_mode.unwrap_or(self.mode) };
        match mode {
            Mode::Enforce => self.denial = Some(denial),
            // What is found first is what would have been answered.
            Mode::Report => {
                self.reported.get_or_insert(denial);
            }
        }
    }

    /// Whether a body that turns out too large is refused; in report mode it is only reported.
    pub fn refuses_bodies(&self) -> bool {
        self.mode == Mode::Enforce
    }

    /// Whose identity the upstream and later filters may rely on: a caller whose token is still alive.
    pub fn identity(&self) -> Option<&Caller> {
        self.caller.as_deref().filter(|_| self.alive)
    }

    /// The refusal that is carried out or reported.
    pub fn refusal(&self) -> Option<&Denial> {
        self.denial.as_ref().or(self.reported.as_ref())
    }
}
