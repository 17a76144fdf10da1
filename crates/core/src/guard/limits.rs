//! Which limits apply, and do they admit the request?

mod key;

use std::net::IpAddr;

use smallvec::{SmallVec, smallvec};

use super::client_address::client_address;
use super::form::Form;
use super::{Caller, Memory, Progress, Stop, Visit};
use crate::cells::CellFault;
use crate::denial::{Denial, OverLimit};
use crate::host::Host;
use crate::index::LimitIndex;
use crate::limit::{Charge, Identities, Outcome, Quota, Standing};
use crate::policy::{AUTH_FAILURES, Access, Mode};
use crate::verdict::{Judged, Stage, State};
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

impl<H: Host> Visit<'_, '_, H> {
    /// Judges and spends the limits that need no token, before any cryptography. First checks whether this address has
    /// failed to authenticate too often.
    pub(super) fn early_limits(
        &self,
        memory: &mut Memory,
        form: &Form<'_>,
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        if form.facts.access != Access::Public
            && let Some(charge) = self.failures_charge(&memory.failures)
        {
            progress.trail.failures_judged = true;
            let outcome = memory
                .limiter
                .peek(self.host.cells(), &charge, self.now)
                .map_err(|fault| Stop::Refuse(Stage::EarlyLimits, fault.into()))?;
            if !outcome.admits() {
                let over = over(None, AUTH_FAILURES, charge.quota, outcome);
                return Err(Stop::Refuse(Stage::EarlyLimits, Denial::AuthFailuresLimited(over)));
            }
            progress.trail.note(Stage::EarlyLimits, State::Passed);
        }
        self.limits_of_mode(memory, form, None, Stage::EarlyLimits, progress)
    }

    /// Judges the limits that need the token together, and spends them only if all admit.
    pub(super) fn late_limits(
        &self,
        memory: &mut Memory,
        form: &Form<'_>,
        caller: Option<&Caller>,
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        self.limits_of_mode(memory, form, caller, Stage::LateLimits, progress)
    }

    /// Counts a failed authentication of this address.
    pub(super) fn record_failure(&self, memory: &mut Memory) -> Result<(), CellFault> {
        match self.failures_charge(&memory.failures) {
            None => Ok(()),
            Some(charge) => memory.limiter.record(self.host.cells(), &charge, self.now).map(drop),
        }
    }

    fn limits_of_mode(
        &self,
        memory: &mut Memory,
        form: &Form<'_>,
        caller: Option<&Caller>,
        stage: Stage,
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        if progress.trail.state(stage) == State::NotReached {
            progress.trail.note(stage, State::Skipped);
        }
        if form.facts.mode == Mode::Enforce {
            return self.limits(memory, form, caller, stage, Which::All, progress);
        }
        // Limits with their own mode come first, because in report mode the others cannot stop the request.
        self.limits(memory, form, caller, stage, Which::OfOwnMode, progress)?;
        self.limits(memory, form, caller, stage, Which::OfRoutesMode, progress)
    }

    /// Judges the chosen limits of a step, except those judged already, and notes the outcomes.
    pub(super) fn limits(
        &self,
        memory: &mut Memory,
        form: &Form<'_>,
        caller: Option<&Caller>,
        stage: Stage,
        which: Which,
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        let trail = &mut progress.trail;
        let of_route = form.route.map(|route| route.limits.as_slice()).unwrap_or_default();
        let is_chosen = |limit: &LimitIndex| {
            self.policy.limit(*limit).is_some_and(|rule| {
                rule.needs_token == (stage == Stage::LateLimits) && which.includes(rule.mode)
            }) && !trail.limits.iter().any(|judged| judged.limit == *limit)
        };
        let chosen: SmallVec<[LimitIndex; 2]> =
            self.policy.limits_for_all.iter().chain(of_route).copied().filter(is_chosen).collect();
        if chosen.is_empty() {
            return Ok(());
        }
        let judged = self
            .judge_limits(memory, form, caller, stage, &chosen)
            .map_err(|fault| Stop::Refuse(stage, fault.into()))?;
        trail.note(stage, State::Passed);
        let all_admit = judged.iter().all(|judged| judged.outcome.admits());
        trail.limits.extend(judged.iter().copied());
        if all_admit { Ok(()) } else { self.refuse(stage, &judged, progress) }
    }

    /// Judges limits together, and spends them if all admit.
    fn judge_limits(
        &self,
        memory: &mut Memory,
        form: &Form<'_>,
        caller: Option<&Caller>,
        stage: Stage,
        chosen: &[LimitIndex],
    ) -> Result<SmallVec<[Judged; 1]>, CellFault> {
        let Memory { limiter, leases, identities, .. } = memory;
        if let [limit] = *chosen {
            let charge = self.charge(identities, limit, form, caller)?;
            let outcome = limiter.admit_one(self.host.cells(), leases, &charge, self.now)?;
            return Ok(smallvec![Judged { limit, stage, quota: charge.quota, outcome }]);
        }
        let mut charges = Vec::with_capacity(chosen.len());
        for limit in chosen {
            charges.push(self.charge(identities, *limit, form, caller)?);
        }
        let mut outcomes = Vec::with_capacity(chosen.len());
        limiter.admit(self.host.cells(), leases, &charges, &mut outcomes, self.now)?;
        let told = chosen.iter().zip(&charges).zip(outcomes);
        Ok(told
            .map(|((limit, charge), outcome)| Judged { limit: *limit, stage, quota: charge.quota, outcome })
            .collect())
    }

    /// The refusal, if a limit that enforces is among those that do not admit; one in report mode is only reported. Of
    /// several the one counts that takes longest: whoever waits that long is admitted by all.
    #[cold]
    fn refuse(&self, stage: Stage, judged: &[Judged], progress: &mut Progress) -> Result<(), Stop> {
        let mut refused: Option<OverLimit> = None;
        for judged in judged.iter().filter(|judged| !judged.outcome.admits()) {
            let Some(rule) = self.policy.limit(judged.limit) else { continue };
            let over = over(Some(judged.limit), &rule.name, judged.quota, judged.outcome);
            if !rule.is_enforced() {
                progress.trail.note(stage, State::Reported);
                progress.reported.get_or_insert(Denial::RateLimited(over));
            } else if refused
                .as_ref()
                .is_none_or(|refused| refused.retry_after_seconds < over.retry_after_seconds)
            {
                refused = Some(over);
            }
        }
        refused.map_or(Ok(()), |over| Err(Stop::Refuse(stage, Denial::RateLimited(over))))
    }

    /// What a limit charges for this request.
    fn charge(
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
            overflow: identities.overflow(),
            quota: quota(rule, caller),
            enforced: rule.is_enforced(),
        })
    }

    fn failures_charge(&self, failures: &Identities) -> Option<Charge> {
        let quota = self.policy.auth_failures?;
        let identity = failures.of_key(|digest| add_address(digest, self.address()));
        Some(Charge { identity, overflow: failures.overflow(), quota, enforced: true })
    }

    fn address(&self) -> Option<IpAddr> {
        *self.address.get_or_init(|| client_address(self.policy.client_ip, self.request, self.host))
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
