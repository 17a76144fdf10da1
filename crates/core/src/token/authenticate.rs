//! Which key has signed a token, and may it speak for the token's issuer?
//!
//! Keys that name issuers, and key sets, are chosen by the token's `iss`, which nobody has verified yet. It decides only
//! which keys are tried: whoever writes another issuer's name into a token needs a key of that issuer.

use super::algorithm::PublicAlgorithm;
use super::compact::{Compact, JoseHeader, NotBase64Url};
use super::current::CurrentSets;
use super::keys::{Key, KeyId, KeyRing, SigningKey, Vouching};
use super::public_key::jwk::Jwk;
use super::signature::SignatureFault;
use super::{ListOf, Means, TokenFault};
use crate::index::KeySetIndex;
use crate::time::UnixNanos;

use std::sync::Arc;

/// A token without kid is tried with so many keys of key sets. A set has one or two at a time.
const MOST_TRIES: usize = 4;

/// Why no key could be found that has signed a token.
#[derive(Debug)]
pub(super) enum NotAuthentic {
    /// The token is refused.
    Refused(TokenFault),
    /// The token's kid is unknown to this set, which may have changed.
    UnknownTo(KeySetIndex),
    /// This set is not available, and the token may be signed with a key of it.
    Unavailable(KeySetIndex),
    /// The host could not verify a signature.
    Fault(SignatureFault),
}

impl NotAuthentic {
    const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unavailable(_))
    }
}

impl From<TokenFault> for NotAuthentic {
    fn from(fault: TokenFault) -> Self {
        Self::Refused(fault)
    }
}

/// What a token says of itself, by which its key is chosen. Nobody has verified it yet.
#[derive(Clone, Copy)]
pub(super) struct Claimed<'c> {
    /// The keys that vouch for its issuer.
    pub(super) vouching: Vouching<'c>,
    /// Whether it is for one of these audiences of a key.
    pub(super) suits: &'c dyn Fn(&[String]) -> bool,
}

/// The key that verifies the signature, and vouches for the issuer. Where several do, because one key stands in several places,
/// it is the first that vouches for the audience too, or else the first.
pub(super) fn authenticate(
    keys: &KeyRing,
    means: &Means<'_>,
    claimed: Claimed<'_>,
    compact: &Compact<'_>,
    header: &JoseHeader<'_>,
    signature: Result<Vec<u8>, NotBase64Url>,
    now: UnixNanos,
) -> Result<SigningKey, NotAuthentic> {
    let Claimed { vouching, suits } = claimed;
    // An algorithm that no key has is refused first, whichever key the token names.
    if !keys.has_algorithm(&header.alg) {
        return Err(TokenFault::AlgorithmRefused.into());
    }
    let named = || keys.named(header.kid.as_deref(), vouching, now);
    if !keys.any_vouches(vouching) {
        let mut meant = named();
        let fault = match (meant.next(), meant.next()) {
            (Some(only), None) => refused_by(only),
            (Some(_), Some(_)) | (None, _) => TokenFault::IssuerRefused(ListOf::EveryKey),
        };
        return Err(fault.into());
    }
    let host = means.signatures;
    let of_sets = OfSets::find(keys, means.sets, claimed, header, now);
    let mut vouched = named().filter(|(_, key)| vouching.includes(key)).peekable();
    if vouched.peek().is_none() && !of_sets.has_kid {
        if let Some(Missing { why, .. }) = of_sets.missing {
            return Err(why);
        }
        // The key that the token names may be another issuer's.
        let other = named().next().filter(|_| header.kid.is_some());
        return Err(other.map_or(TokenFault::KeyUnknown, refused_by).into());
    }
    let has_algorithm = |(_, key): &(KeyId, &Key)| key.algorithm.name() == header.alg;
    let mut candidates = vouched.filter(has_algorithm).peekable();
    if candidates.peek().is_none() && of_sets.candidates.is_empty() {
        return Err(of_sets.unavailable().unwrap_or(TokenFault::AlgorithmRefused.into()));
    }
    let signature = signature.map_err(TokenFault::from)?;
    let verifies = |key: &Key| key.verifies(compact.signing_input, &signature, host);
    let mut first = None;
    for (id, key) in candidates {
        if verifies(key).map_err(NotAuthentic::Fault)? {
            let key = SigningKey::Configured(id);
            if suits(keys.vouched(&key).1) {
                return Ok(key);
            }
            first.get_or_insert(key);
        }
    }
    for (set, algorithm, jwk) in &of_sets.candidates {
        let verified = jwk.key.verifies(*algorithm, compact.signing_input, &signature, host);
        if verified.map_err(NotAuthentic::Fault)? {
            let key = SigningKey::OfSet { set: *set, key: Arc::clone(jwk) };
            if suits(keys.vouched(&key).1) {
                return Ok(key);
            }
            first.get_or_insert(key);
        }
    }
    if let Some(key) = first {
        // One set may have for this audience what another one has for others.
        return of_sets.missing.filter(|missing| missing.suits).map_or(Ok(key), |missing| Err(missing.why));
    }
    // The key may be one of a set that is not available.
    if let Some(unavailable) = of_sets.unavailable() {
        return Err(unavailable);
    }
    // A token that one issuer has signed in the name of another is not a forgery by a stranger.
    for other in named().filter(|(_, key)| !vouching.includes(key)).filter(has_algorithm) {
        if verifies(other.1).map_err(NotAuthentic::Fault)? {
            return Err(refused_by(other).into());
        }
    }
    Err(TokenFault::SignatureInvalid.into())
}

/// What the key sets that vouch for a token have for it.
struct OfSets {
    /// Whether any of them has a key that the token may mean, of whatever algorithm.
    has_kid: bool,
    /// The keys that may have signed it.
    candidates: Vec<(KeySetIndex, PublicAlgorithm, Arc<Jwk>)>,
    /// A set that accepts the algorithm and might have the key, but has not: one that suits the audience rather than
    /// another, and of those one that is not available, and the first.
    missing: Option<Missing>,
}

/// A set that has not what a token may have been signed with.
struct Missing {
    /// Whether the token is for an audience of the set.
    suits: bool,
    why: NotAuthentic,
}

impl OfSets {
    fn find(
        keys: &KeyRing,
        sets: &CurrentSets,
        claimed: Claimed<'_>,
        header: &JoseHeader<'_>,
        now: UnixNanos,
    ) -> Self {
        let mut found = Self { has_kid: false, candidates: Vec::new(), missing: None };
        let Claimed { vouching, suits } = claimed;
        let kid = header.kid.as_deref();
        let algorithm = PublicAlgorithm::named(&header.alg);
        for (index, rule) in keys.vouching_sets(vouching) {
            let algorithm = algorithm.filter(|algorithm| rule.algorithms.contains(*algorithm));
            let Some(set) = sets.set(index, now) else {
                if algorithm.is_some() {
                    found.miss(suits(&rule.audiences), NotAuthentic::Unavailable(index));
                }
                continue;
            };
            let meant = set.keys().iter().filter(|jwk| kid.is_none() || jwk.kid.as_deref() == kid);
            let mut has_kid = false;
            for jwk in meant {
                has_kid = true;
                let Some(algorithm) = algorithm.filter(|algorithm| jwk.algorithms.contains(*algorithm))
                else {
                    continue;
                };
                if kid.is_some() || found.candidates.len() < MOST_TRIES {
                    found.candidates.push((index, algorithm, Arc::clone(jwk)));
                }
            }
            found.has_kid |= has_kid;
            if !has_kid && algorithm.is_some() {
                found.miss(suits(&rule.audiences), NotAuthentic::UnknownTo(index));
            }
        }
        found
    }

    fn miss(&mut self, suits: bool, why: NotAuthentic) {
        let rank = |suits: bool, why: &NotAuthentic| (suits, why.is_unavailable());
        if self.missing.as_ref().is_none_or(|known| rank(known.suits, &known.why) < rank(suits, &why)) {
            self.missing = Some(Missing { suits, why });
        }
    }

    /// A set that is not available and may have the key.
    fn unavailable(self) -> Option<NotAuthentic> {
        self.missing.map(|missing| missing.why).filter(NotAuthentic::is_unavailable)
    }
}

/// The fault of a token whose key vouches for other issuers.
fn refused_by((key, _): (KeyId, &Key)) -> TokenFault {
    TokenFault::IssuerRefused(ListOf::Key(key))
}
