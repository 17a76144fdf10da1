//! What does one worker remember under one configuration? Everything here is checked against current times, keys and
//! revocations before it is used.

use super::Caller;
use crate::cells::{CellFault, Cells};
use crate::fleet::{Member, SharedLink};
use crate::host::Host;
use crate::index::KeySetIndex;
use crate::keys::KeySets;
use crate::limit::{Identities, Leases, Limiter};
use crate::policy::{AUTH_FAILURES, LimitRule, Policy};
use crate::revocation::Revocations;
use crate::route::LastHost;
use crate::seed::Seed;
use crate::token::Means;
use crate::token::cache::TokenCache;
use crate::token::key_set::KeySet;

use std::sync::Arc;

/// The tokens, leases, revocations and key sets that one worker holds.
#[derive(Debug)]
pub struct Memory {
    pub(super) cache: TokenCache<Caller>,
    pub(super) seed: Seed,
    pub(super) leases: Leases,
    pub(crate) limiter: Limiter,
    // INVARIANT: one entry for each limit of the policy, in its order.
    pub(super) identities: Vec<Identities>,
    pub(super) failure_limiter: Limiter,
    pub(super) failures: Identities,
    pub(crate) revocations: Revocations,
    pub(super) hosts: LastHost,
    pub(crate) keys: KeySets,
    /// `None`: there is no fleet.
    pub(crate) fleet: Option<Member>,
}

impl Memory {
    /// A memory that has spent what another one has: units that it had taken in advance are still to be spent.
    #[must_use]
    pub fn with_leases_of(self, other: &Self) -> Self {
        Self { leases: other.leases.clone(), ..self }
    }

    /// Joins the process's shared tables. `random`: bytes that no other worker has, which
    /// become the process's hash key if there is none yet.
    ///
    /// # Errors
    ///
    /// The shared cells cannot be read or written, or were not written by api-guard.
    pub fn open(policy: &Policy, cells: &impl Cells, random: [u8; 16]) -> Result<Self, CellFault> {
        Self::open_with(policy, cells, &SharedLink::default(), random)
    }

    /// As [`Self::open`], with a link that other workers of the process may have under the same policy.
    ///
    /// # Errors
    ///
    /// As for [`Self::open`].
    pub fn open_with(
        policy: &Policy,
        cells: &impl Cells,
        link: &SharedLink,
        random: [u8; 16],
    ) -> Result<Self, CellFault> {
        let seed = Seed::open(cells, random)?;
        let mut revocations = Revocations::open(cells, seed, policy.revocation_capacity)?;
        revocations.refresh(cells)?;
        let shared = policy.fleet.as_ref().filter(|fleet| fleet.revocations.is_some());
        if let Some(fleet) = shared {
            revocations.share_under(&fleet.names);
        }
        let mut keys = KeySets::open(&policy.tokens.keys, seed, random);
        keys.refresh(&policy.tokens.keys, cells)?;
        let limiter = Limiter::open(cells, seed, policy.limiter_capacity, policy.limits.len())?;
        let failure_limiter = Limiter::open_failures(cells, seed, policy.limiter_capacity)?;
        Ok(Self {
            cache: TokenCache::default(),
            // A token without `jti` is known by a digest, which is the same in all Envoys that share revocations.
            seed: shared.map_or(seed, |fleet| fleet.names.seed()),
            leases: Leases::new(),
            limiter,
            identities: policy.limits.iter().map(|rule| identities(policy, limiter, rule)).collect(),
            failures: failure_limiter.identities(AUTH_FAILURES),
            failure_limiter,
            revocations,
            hosts: LastHost::default(),
            keys,
            fleet: policy.fleet.as_ref().map(|rule| Member::join(link, rule, seed, random)),
        })
    }

    /// Puts a key set in force for good, as if it had been fetched: for whoever has it at hand.
    pub fn put_key_set(&mut self, index: KeySetIndex, set: Arc<KeySet>) {
        self.keys.put(index, set);
    }

    /// What tokens are verified with at present, beside the configuration.
    pub(super) fn means<'m>(&'m self, host: &'m impl Host) -> Means<'m> {
        Means { sets: self.keys.current(), signatures: host, seed: &self.seed }
    }
}

/// Who a limit counts: all Envoys of a fleet know them alike.
fn identities(policy: &Policy, limiter: Limiter, rule: &LimitRule) -> Identities {
    match policy.fleet.as_ref().filter(|_| rule.fleet.is_some()) {
        Some(fleet) => Identities::new(&fleet.names.seed(), &rule.name),
        None => limiter.identities(&rule.name),
    }
}
