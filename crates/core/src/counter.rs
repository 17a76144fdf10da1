//! What is counted: a bounded set of names that the configuration fixes, and which of them a request adds to.
//!
//! A name carries its labels; the `stats_tags` of the shipped `envoy.yaml` take them out again. No label comes from
//! a client: Envoy never forgets a name.

use crate::config::{AUTH_FAILURES, Policy};
use crate::decision::{Code, Denial, Fault};
use crate::guard::Verdict;
use crate::limit::Standing;

const LIMIT_OUTCOMES: [&str; 5] = ["admitted", "warned", "refused", "overflow", "contended"];
const REVOCATION_OUTCOMES: [&str; 5] = ["revoked", "full", "invalid", "forbidden", "fault"];

/// The place of a counter in [`Counters::names`].
pub type Place = usize;

/// All counters of a configuration.
#[derive(Debug)]
pub struct Counters {
    names: Vec<String>,
    rate_limits: Place,
    auth_failures: Place,
    cache: Place,
    keys: Place,
    revocations: Place,
    faults: Place,
}

impl Counters {
    /// The counters for `policy`.
    pub fn new(policy: &Policy) -> Self {
        let mut names = vec!["api_guard_requests_total.decision.allowed.code.ok".to_owned()];
        for decision in ["refused", "would_refuse"] {
            names.extend(
                Code::ALL.iter().map(|code| {
                    format!("api_guard_requests_total.decision.{decision}.code.{}", code.as_str())
                }),
            );
        }
        let rate_limits = names.len();
        let limits = || policy.limit_names().chain([AUTH_FAILURES]);
        for limit in limits() {
            names.extend(
                LIMIT_OUTCOMES
                    .iter()
                    .map(|outcome| format!("api_guard_rate_limit_total.limit.{limit}.outcome.{outcome}")),
            );
        }
        let auth_failures = names.len().saturating_sub(LIMIT_OUTCOMES.len());
        let cache = names.len();
        names.extend(["hit", "miss"].map(|outcome| format!("api_guard_token_cache_total.outcome.{outcome}")));
        let keys = names.len();
        names.extend(
            policy.kids().map(|kid| format!("api_guard_key_used_total.kid.{}", kid.unwrap_or("none"))),
        );
        let revocations = names.len();
        names.extend(
            REVOCATION_OUTCOMES.map(|outcome| format!("api_guard_revocations_total.outcome.{outcome}")),
        );
        let faults = names.len();
        names.extend(Fault::ALL.iter().map(|fault| format!("api_guard_faults_total.kind.{}", fault.kind())));
        Self { names, rate_limits, auth_failures, cache, keys, revocations, faults }
    }

    /// The names, in the order of places.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// A request that passed, or was refused (`carried_out`), or would have been.
    pub fn decided(&self, refusal: Option<&Denial>, carried_out: bool, mut add: impl FnMut(Place)) {
        let Some(denial) = refusal else { return add(0) };
        let code = Code::ALL.iter().position(|code| *code == denial.code()).unwrap_or(0);
        let of_decision = if carried_out { 1_usize } else { Code::ALL.len().saturating_add(1) };
        add(of_decision.saturating_add(code));
        if let Denial::Fault(fault) = denial {
            add(self.faults.saturating_add(Fault::ALL.iter().position(|kind| kind == fault).unwrap_or(0)));
        }
        if let Denial::AuthFailuresLimited(_) = denial {
            add(self.auth_failures.saturating_add(2));
        }
    }

    /// What a request did beside being decided.
    pub fn passed_through(&self, verdict: &Verdict, mut add: impl FnMut(Place)) {
        for judged in &verdict.limits {
            let of_limit = self.rate_limits.saturating_add(judged.limit.saturating_mul(LIMIT_OUTCOMES.len()));
            let outcome = match judged.outcome.standing {
                Standing::Admitted => 0,
                Standing::Warned => 1,
                Standing::Refused => 2,
                Standing::Contended => 4,
            };
            add(of_limit.saturating_add(outcome));
            if judged.outcome.overflow {
                add(of_limit.saturating_add(3));
            }
        }
        match verdict.remembered {
            Some(true) => add(self.cache),
            Some(false) => add(self.cache.saturating_add(1)),
            None => {}
        }
        if let Some(caller) = &verdict.caller {
            add(self.keys.saturating_add(caller.token.key().index()));
        }
    }

    /// What came of a revocation.
    pub fn revoked(&self, result: Result<(), &Denial>, mut add: impl FnMut(Place)) {
        let outcome = match result {
            Ok(()) => 0,
            Err(Denial::RevocationFull) => 1,
            Err(Denial::CannotRevoke(_) | Denial::Form(_)) => 2,
            Err(Denial::PermissionMissing { .. }) => 3,
            Err(_) => 4,
        };
        add(self.revocations.saturating_add(outcome));
    }
}
