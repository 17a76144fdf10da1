//! What is counted? The configuration fixes the set of counters, and a verdict selects which of them increase.
//!
//! A counter's name contains its labels, which the `stats_tags` of the shipped `envoy.yaml` extract. No label comes
//! from a client, because Envoy never forgets a name.

use crate::code::Code;
use crate::denial::Denial;
use crate::fault::Fault;
use crate::index::KeySetIndex;
use crate::keys::FetchOutcome;
use crate::limit::Standing;
use crate::policy::{AUTH_FAILURES, Policy};
use crate::verdict::Trail;

/// A counter: the index of its name in [`Counters::names`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CounterIndex(usize);

impl CounterIndex {
    /// The counter with this number, counted from 0.
    pub(crate) const fn new(number: usize) -> Self {
        Self(number)
    }

    /// The number, counted from 0.
    pub const fn get(self) -> usize {
        self.0
    }

    const fn plus(self, more: usize) -> Self {
        Self(self.0.saturating_add(more))
    }
}

/// Defines the values of a label, in the order of their counters.
macro_rules! outcomes {
    ($(#[$doc:meta])* $type:ident { $($name:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum $type { $($name,)* }

        impl $type {
            const ALL: &[Self] = &[$(Self::$name,)*];

            const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            fn position(self) -> usize {
                Self::ALL.iter().position(|outcome| *outcome == self).unwrap_or(0)
            }
        }
    };
}

outcomes! {
    /// The outcome of a limit.
    LimitOutcome {
        Admitted = "admitted",
        Warned = "warned",
        Refused = "refused",
        Overflow = "overflow",
        Contended = "contended",
    }
}

outcomes! {
    /// The outcome of a revocation.
    RevocationOutcome {
        Revoked = "revoked",
        Full = "full",
        Invalid = "invalid",
        Forbidden = "forbidden",
        Fault = "fault",
    }
}

outcomes! {
    /// Whether a token was remembered.
    CacheOutcome {
        Hit = "hit",
        Miss = "miss",
    }
}

/// The first counter: requests that passed.
const ALLOWED: CounterIndex = CounterIndex(0);

/// All counters of a configuration.
#[derive(Debug)]
pub struct Counters {
    refused: CounterIndex,
    would_refuse: CounterIndex,
    rate_limits: CounterIndex,
    auth_failures: CounterIndex,
    cache: CounterIndex,
    keys: CounterIndex,
    key_set_fetches: CounterIndex,
    revocations: CounterIndex,
    faults: CounterIndex,
    names: Vec<String>,
}

/// Names while they are collected.
struct Names(Vec<String>);

impl Names {
    /// Adds a family of names, and returns the index of its first one.
    fn family(&mut self, names: impl IntoIterator<Item = String>) -> CounterIndex {
        let first = CounterIndex(self.0.len());
        self.0.extend(names);
        first
    }
}

impl Counters {
    /// The counters for `policy`.
    pub fn new(policy: &Policy) -> Self {
        let mut names = Names(vec!["api_guard_requests_total.decision.allowed.code.ok".to_owned()]);
        let decision = |decision: &str| -> Vec<String> {
            let name =
                |code: &Code| format!("api_guard_requests_total.decision.{decision}.code.{}", code.as_str());
            Code::ALL.iter().map(name).collect()
        };
        let limit = |limit: &str| -> Vec<String> {
            let name = |outcome: &LimitOutcome| {
                format!("api_guard_rate_limit_total.limit.{limit}.outcome.{}", outcome.as_str())
            };
            LimitOutcome::ALL.iter().map(name).collect()
        };
        let cache =
            |outcome: &CacheOutcome| format!("api_guard_token_cache_total.outcome.{}", outcome.as_str());
        let key = |kid: Option<&str>| format!("api_guard_key_used_total.kid.{}", kid.unwrap_or("none"));
        let fetch = |set: &str| -> Vec<String> {
            let name = |outcome: &FetchOutcome| {
                format!("api_guard_key_set_fetches_total.set.{set}.outcome.{}", outcome.as_str())
            };
            FetchOutcome::ALL.iter().map(name).collect()
        };
        let revocation =
            |outcome: &RevocationOutcome| format!("api_guard_revocations_total.outcome.{}", outcome.as_str());
        let fault = |fault: &Fault| format!("api_guard_faults_total.kind.{}", fault.kind());
        Self {
            refused: names.family(decision("refused")),
            would_refuse: names.family(decision("would_refuse")),
            rate_limits: names.family(policy.limit_names().flat_map(limit)),
            auth_failures: names.family(limit(AUTH_FAILURES)),
            cache: names.family(CacheOutcome::ALL.iter().map(cache)),
            keys: names.family(policy.kids().map(key)),
            key_set_fetches: names.family(policy.tokens.keys.sets().iter().flat_map(|set| fetch(set.name()))),
            revocations: names.family(RevocationOutcome::ALL.iter().map(revocation)),
            faults: names.family(Fault::ALL.iter().map(fault)),
            names: names.0,
        }
    }

    /// The names, by [`CounterIndex`].
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// The counter of requests that passed.
    pub fn allowed(&self) -> CounterIndex {
        ALLOWED
    }

    /// Counts a request that was refused (`carried_out`), or would have been.
    pub fn refused(&self, denial: &Denial, carried_out: bool, mut add: impl FnMut(CounterIndex)) {
        let code = Code::ALL.iter().position(|code| *code == denial.code()).unwrap_or(0);
        add(if carried_out { self.refused } else { self.would_refuse }.plus(code));
        if let Some(fault) = denial.fault() {
            add(self.faults.plus(Fault::ALL.iter().position(|kind| *kind == fault).unwrap_or(0)));
        }
        if let Denial::AuthFailuresLimited(_) = denial {
            add(self.auth_failures.plus(LimitOutcome::Refused.position()));
        }
    }

    /// Counts what the steps found, whatever the decision.
    pub fn passed_through(&self, trail: &Trail, mut add: impl FnMut(CounterIndex)) {
        for judged in &trail.limits {
            let outcomes = self.rate_limits.plus(judged.limit.get().saturating_mul(LimitOutcome::ALL.len()));
            let outcome = match judged.outcome.standing {
                Standing::Admitted => LimitOutcome::Admitted,
                Standing::Warned => LimitOutcome::Warned,
                Standing::Refused => LimitOutcome::Refused,
                Standing::Contended => LimitOutcome::Contended,
            };
            add(outcomes.plus(outcome.position()));
            if judged.outcome.overflow {
                add(outcomes.plus(LimitOutcome::Overflow.position()));
            }
        }
        if trail.failure_overflowed {
            add(self.auth_failures.plus(LimitOutcome::Overflow.position()));
        }
        let Some(token) = &trail.token else { return };
        let outcome = if token.remembered { CacheOutcome::Hit } else { CacheOutcome::Miss };
        add(self.cache.plus(outcome.position()));
        if let Some(caller) = &token.caller {
            // The kids of a key set come and go, and a metric would keep each of them.
            if let Some(key) = caller.token.key().configured() {
                add(self.keys.plus(key.index()));
            }
        }
    }

    /// The counter for how the fetch of a key set ended.
    pub(crate) fn fetched(&self, set: KeySetIndex, outcome: FetchOutcome) -> CounterIndex {
        let outcomes = self.key_set_fetches.plus(set.get().saturating_mul(FetchOutcome::ALL.len()));
        outcomes.plus(FetchOutcome::ALL.iter().position(|known| *known == outcome).unwrap_or(0))
    }

    /// The counter for the outcome of a revocation.
    pub fn revoked(&self, result: Result<(), &Denial>) -> CounterIndex {
        let outcome = match result {
            Ok(()) => RevocationOutcome::Revoked,
            Err(Denial::RevocationFull) => RevocationOutcome::Full,
            Err(Denial::CannotRevoke(_) | Denial::Form(_)) => RevocationOutcome::Invalid,
            Err(Denial::PermissionMissing { .. }) => RevocationOutcome::Forbidden,
            Err(_) => RevocationOutcome::Fault,
        };
        self.revocations.plus(outcome.position())
    }
}
