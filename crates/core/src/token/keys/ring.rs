//! All keys and key sets of a configuration: which of them does a token mean?

use super::{Key, KeyId, SigningKey, Vouching};
use crate::index::KeySetIndex;
use crate::time::UnixNanos;
use crate::token::algorithm::{Algorithm, PublicAlgorithm};
use crate::token::key_set::rule::{KeySetRule, KeySource};

/// All keys and key sets of a configuration.
#[derive(Debug)]
pub struct KeyRing {
    keys: Vec<Key>,
    /// By [`KeySetIndex`].
    sets: Vec<KeySetRule>,
    are_chosen_by_claims: bool,
}

impl KeyRing {
    /// The ring of these keys and key sets.
    pub(crate) fn new(keys: Vec<Key>, sets: Vec<KeySetRule>) -> Self {
        let goes_by_claims = |key: &Key| !key.issuers.is_empty() || !key.audiences.is_empty();
        let are_chosen_by_claims = !sets.is_empty() || keys.iter().any(goes_by_claims);
        Self { keys, sets, are_chosen_by_claims }
    }

    /// The key sets, by [`KeySetIndex`].
    pub fn sets(&self) -> &[KeySetRule] {
        &self.sets
    }

    /// Whether any key set is fetched.
    pub(crate) fn fetches(&self) -> bool {
        self.fetched_sets().next().is_some()
    }

    /// The key sets that are fetched.
    pub fn fetched_sets(&self) -> impl Iterator<Item = (KeySetIndex, &KeySetRule)> {
        let fetched = |(_, rule): &(usize, &KeySetRule)| matches!(rule.source(), KeySource::Remote(_));
        let all = self.sets.iter().enumerate().filter(fetched);
        all.map(|(index, rule)| (KeySetIndex::new(index), rule))
    }

    /// Whether the host must verify signatures: RSA and ECDSA are its to verify.
    pub(crate) fn needs_signature_host(&self) -> bool {
        let of_key = |key: &Key| match key.algorithm {
            Algorithm::Mac(_) => false,
            Algorithm::Public(algorithm) => algorithm.is_hosts(),
        };
        let of_set = |rule: &KeySetRule| {
            let mut all = PublicAlgorithm::ALL.into_iter();
            all.any(|algorithm| algorithm.is_hosts() && rule.algorithms.contains(algorithm))
        };
        self.keys.iter().any(of_key) || self.sets.iter().any(of_set)
    }

    /// What the set of this key demands, if it is one of a set.
    pub(crate) fn rule(&self, key: &SigningKey) -> Option<&KeySetRule> {
        match key {
            SigningKey::Configured(_) => None,
            SigningKey::OfSet { set, .. } => self.set(*set),
        }
    }

    /// What a key set demands.
    pub(crate) fn set(&self, index: KeySetIndex) -> Option<&KeySetRule> {
        self.sets.get(index.get())
    }

    /// The key sets that vouch.
    pub(crate) fn vouching_sets(
        &self,
        vouching: Vouching<'_>,
    ) -> impl Iterator<Item = (KeySetIndex, &KeySetRule)> {
        let all = self.sets.iter().enumerate().filter(move |(_, rule)| vouching.includes_set(rule));
        all.map(|(index, rule)| (KeySetIndex::new(index), rule))
    }

    /// Whether any key or key set names issuers or audiences, so that a token's claims choose its key.
    pub const fn are_chosen_by_claims(&self) -> bool {
        self.are_chosen_by_claims
    }

    /// Which keys vouch for tokens of this issuer: those that name it, or else those that name none.
    pub fn vouching<'t>(&self, issuer: Option<&'t str>) -> Vouching<'t> {
        match issuer {
            Some(issuer)
                if self.keys.iter().any(|key| key.names(issuer))
                    || self.sets.iter().any(|rule| rule.names(issuer)) =>
            {
                Vouching::Naming(issuer)
            }
            Some(_) | None => Vouching::NamingNone,
        }
    }

    /// Whether there is such a key or key set.
    pub fn any_vouches(&self, vouching: Vouching<'_>) -> bool {
        self.keys.iter().any(|key| vouching.includes(key))
            || self.sets.iter().any(|rule| vouching.includes_set(rule))
    }

    /// Whether tokens of more than one issuer may be accepted, so far as the configuration names issuers. `others`: those
    /// of keys that name none; empty: any.
    pub(crate) fn vouches_for_several(&self, others: &[String]) -> bool {
        let of_keys = self.keys.iter().map(|key| &key.issuers);
        let of_sets = self.sets.iter().map(|rule| &rule.issuers);
        let mut all = of_keys.chain(of_sets).flatten().chain(others);
        let first = all.next();
        let any = others.is_empty() && self.keys.iter().any(|key| key.issuers.is_empty());
        first.is_some_and(|first| any || all.any(|other| other != first))
    }

    /// Whether any key or key set has the algorithm of this name.
    pub fn has_algorithm(&self, name: &str) -> bool {
        let of_sets = |algorithm| self.sets.iter().any(|rule| rule.algorithms.contains(algorithm));
        self.keys.iter().any(|key| key.algorithm.name() == name)
            || (!self.sets.is_empty() && PublicAlgorithm::named(name).is_some_and(of_sets))
    }

    /// The keys that a token may mean by its kid. A token with a kid means that key only. A token without one means every
    /// key without a kid, or every key if all that vouch for it have one. Keys without material and keys outside their
    /// validity are left out.
    pub fn named<'r>(
        &'r self,
        kid: Option<&'r str>,
        vouching: Vouching<'_>,
        now: UnixNanos,
    ) -> impl Iterator<Item = (KeyId, &'r Key)> {
        let any = kid.is_none()
            && self.keys.iter().filter(|key| vouching.includes(key)).all(|key| key.kid.is_some());
        self.keys
            .iter()
            .enumerate()
            .filter(move |(_, key)| any || key.kid.as_deref() == kid)
            .filter(move |(_, key)| key.material.is_some() && key.valid(now))
            .map(|(index, key)| (KeyId(index), key))
    }

    /// Whether this key is within its validity. One of a set has none.
    pub fn valid(&self, key: &SigningKey, now: UnixNanos) -> bool {
        match key {
            SigningKey::Configured(key) => self.keys.get(key.0).is_some_and(|key| key.valid(now)),
            SigningKey::OfSet { .. } => true,
        }
    }

    /// The kid of this key.
    pub fn kid<'k>(&'k self, key: &'k SigningKey) -> Option<&'k str> {
        match key {
            SigningKey::Configured(key) => self.keys.get(key.0).and_then(|key| key.kid.as_deref()),
            SigningKey::OfSet { key, .. } => key.kid.as_deref(),
        }
    }

    /// The issuers and the audiences that this key vouches for, each empty where those of the policy count.
    pub(crate) fn vouched(&self, key: &SigningKey) -> (&[String], &[String]) {
        match key {
            SigningKey::Configured(key) => self
                .keys
                .get(key.0)
                .map_or((&[], &[]), |key| (key.issuers.as_slice(), key.audiences.as_slice())),
            SigningKey::OfSet { set, .. } => {
                self.set(*set).map_or((&[], &[]), |rule| (rule.issuers.as_slice(), rule.audiences.as_slice()))
            }
        }
    }

    /// Every key's algorithm, in the order of the ring.
    pub fn algorithms(&self) -> impl Iterator<Item = Algorithm> {
        self.keys.iter().map(|key| key.algorithm)
    }

    /// The keys whose validity ends, each with its kid and the end of the first key that has it, because metrics tell keys by
    /// kid.
    pub(crate) fn expiries(&self) -> impl Iterator<Item = (KeyId, Option<&str>, UnixNanos)> {
        let ends = |key: &Key| key.not_after < UnixNanos::from_nanos(u64::MAX);
        self.keys.iter().enumerate().filter(move |(_, key)| ends(key)).map(|(index, key)| {
            let of_kid = self.keys.iter().filter(|other| other.kid == key.kid);
            let kid = key.kid.as_deref();
            (KeyId(index), kid, of_kid.fold(key.not_after, |first, other| first.min(other.not_after)))
        })
    }

    /// Every key's kid, in the order of the ring.
    pub fn kids(&self) -> impl Iterator<Item = Option<&str>> {
        self.keys.iter().map(|key| key.kid.as_deref())
    }
}
