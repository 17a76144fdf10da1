//! Which limits apply, and do they admit the request?

mod key;

use std::net::IpAddr;

use smallvec::SmallVec;

use super::client_address::counted_address;
use super::form::Form;
use super::{Asked, Caller, Memory, Question, Visit};
use crate::cells::CellFault;
use crate::denial::{Denial, OverLimit};
use crate::host::Host;
use crate::index::LimitIndex;
use crate::limit::{Charge, Identities, Outcome, Outcomes, Quota, Standing};
use crate::policy::{AUTH_FAILURES, LimitRule, Mode, Network};
use crate::verdict::{Excepted, Judged, Stage, Trail};
use key::{add_address, quota};

/// A selection of the limits that apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Which {
    /// All.
    All,
    /// Those with a mode of their own.
    OfOwnMode,
    /// Those that follow the route's mode.
    OfRoutesMode,
    /// Those whose own mode is to enforce.
    Enforcing,
}

/// The limits that apply in a step.
#[derive(Default)]
pub(super) struct Chosen {
    /// Those to judge.
    pub(super) limits: SmallVec<[LimitIndex; 2]>,
    /// Those that except the client's address.
    pub(super) excepted: Vec<Excepted>,
}

/// Why limits are not judged to the end.
pub(super) enum Halt {
    Refuse(Denial),
    Ask(Question),
}

impl From<CellFault> for Halt {
    fn from(fault: CellFault) -> Self {
        Self::Refuse(fault.into())
    }
}

/// The refusals of limits that were judged together.
pub(super) struct Refusals {
    /// Of the limits that enforce, that of the one that takes longest: whoever waits that long is admitted by all.
    pub(super) enforced: Option<Denial>,
    /// The first of a limit in report mode.
    pub(super) reported: Option<Denial>,
}

impl<H: Host> Visit<'_, '_, H> {
    /// Refuses an address that has failed to authenticate too often; `None` where failures are not limited. Spends
    /// nothing. An address that has no entry is never refused, even where the table is full of others that failed.
    pub(super) fn judge_auth_failures(&self, memory: &Memory) -> Option<Result<(), Denial>> {
        let charge = self.failures_charge(&memory.failures)?;
        Some(match memory.failure_limiter.peek(self.host.cells(), &charge, self.now) {
            Ok(outcome) if outcome.admits() => Ok(()),
            Ok(outcome) => Err(Denial::AuthFailuresLimited(over(None, AUTH_FAILURES, charge.quota, outcome))),
            Err(fault) => Err(fault.into()),
        })
    }

    /// Counts a failed authentication of this address; `None` where failures are not limited.
    pub(super) fn record_auth_failure(&self, memory: &Memory) -> Result<Option<Outcome>, CellFault> {
        let charge = self.failures_charge(&memory.failures);
        charge.map(|charge| memory.failure_limiter.record(self.host.cells(), &charge, self.now)).transpose()
    }

    /// The limits that apply in a step, except those in the trail already.
    pub(super) fn choose_limits(&self, form: &Form<'_>, stage: Stage, which: Which, trail: &Trail) -> Chosen {
        let (own, skipped) = form
            .route
            .map_or((&[][..], &[][..]), |route| (route.limits.as_slice(), route.skipped_limits.as_slice()));
        let mut chosen = Chosen::default();
        for &limit in self.policy.limits_for_all.iter().chain(own) {
            let Some(rule) = self.policy.limit(limit) else { continue };
            let is_of_step = rule.needs_token == (stage == Stage::LateLimits) && which.includes(rule.mode);
            if !is_of_step || skipped.contains(&limit) || trail.has_limit(limit) {
                continue;
            }
            if self.is_excepted(rule) {
                chosen.excepted.push(Excepted { limit, stage });
            } else {
                chosen.limits.push(limit);
            }
        }
        chosen
    }

    /// Whether the limit does not count this client.
    fn is_excepted(&self, rule: &LimitRule) -> bool {
        !rule.excepted.is_empty() && Network::any_has(&rule.excepted, self.whole_address())
    }

    /// Judges limits together, and spends them if all admit.
    pub(super) fn judge_limits(
        &self,
        memory: &mut Memory,
        form: &Form<'_>,
        caller: Option<&Caller>,
        stage: Stage,
        chosen: &[LimitIndex],
        asked: Option<Asked>,
    ) -> Result<SmallVec<[Judged; 1]>, Halt> {
        let is_of_fleet =
            |limit: &LimitIndex| self.policy.limit(*limit).is_some_and(|rule| rule.fleet.is_some());
        if self.policy.fleet.is_some() && chosen.iter().any(is_of_fleet) {
            return self.judge_with_fleet(memory, form, caller, stage, chosen, asked);
        }
        let Memory { limiter, leases, identities, .. } = memory;
        let mut charges = SmallVec::<[Charge; 1]>::new();
        for limit in chosen {
            charges.push(self.charge(identities, *limit, form, caller)?);
        }
        let mut outcomes = Outcomes::new();
        limiter.admit(self.host.cells(), leases, &charges, &mut outcomes, self.now)?;
        let told = chosen.iter().zip(&charges).zip(outcomes);
        Ok(told
            .map(|((limit, charge), outcome)| Judged { limit: *limit, stage, quota: charge.quota, outcome })
            .collect())
    }

    /// What those of the limits say that do not admit.
    #[cold]
    pub(super) fn refusals(&self, judged: &[Judged]) -> Refusals {
        let (mut enforced, mut reported) = (None, None);
        for judged in judged.iter().filter(|judged| !judged.outcome.admits()) {
            let Some(rule) = self.policy.limit(judged.limit) else { continue };
            let over = over(Some(judged.limit), &rule.name, judged.quota, judged.outcome);
            let seconds = |over: &OverLimit| over.retry_after_seconds;
            if !rule.is_enforced() {
                reported.get_or_insert(over);
            } else if enforced.as_ref().is_none_or(|longest| seconds(longest) < seconds(&over)) {
                enforced = Some(over);
            }
        }
        Refusals { enforced: enforced.map(Denial::RateLimited), reported: reported.map(Denial::RateLimited) }
    }

    /// What a limit charges for this request.
    pub(super) fn charge(
        &self,
        identities: &[Identities],
        limit: LimitIndex,
        form: &Form<'_>,
        caller: Option<&Caller>,
    ) -> Result<Charge, CellFault> {
        // Always there by the memory's invariant; a limit must not be passed over.
        let (rule, identities) =
            self.policy.limit(limit).zip(identities.get(limit.get())).ok_or(CellFault)?;
        Ok(Charge {
            identity: identities.of_key(|digest| self.add_key(digest, rule, form, caller)),
            overflow: Some(identities.overflow()),
            quota: quota(rule, caller),
            enforced: rule.is_enforced(),
        })
    }

    fn failures_charge(&self, failures: &Identities) -> Option<Charge> {
        let quota = self.policy.auth_failures?;
        let identity = failures.of_key(|digest| add_address(digest, self.address()));
        Some(Charge { identity, overflow: None, quota, enforced: true })
    }

    fn address(&self) -> Option<IpAddr> {
        self.whole_address().map(|address| counted_address(self.policy.client_ip, address))
    }
}

impl Which {
    fn includes(self, mode: Option<Mode>) -> bool {
        match self {
            Self::All => true,
            Self::OfOwnMode => mode.is_some(),
            Self::OfRoutesMode => mode.is_none(),
            Self::Enforcing => mode == Some(Mode::Enforce),
        }
    }
}

fn over(limit: Option<LimitIndex>, name: &str, quota: Quota, outcome: Outcome) -> OverLimit {
    let contended = outcome.standing == Standing::Contended;
    OverLimit {
        limit,
        name: name.to_owned(),
        used: if contended { quota.max_requests.get() } else { outcome.used },
        max_requests: quota.max_requests.get(),
        window_seconds: quota.window_seconds.get(),
        retry_after_seconds: outcome.retry_after_seconds.max(1),
    }
}
