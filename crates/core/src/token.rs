//! Is the token genuine, and is it within its times (RFC 7519, RFC 7515, RFC 8725)?
//!
//! [`secret`] computes the MAC over the bytes that were sent, and [`claims`] then reads the same bytes strictly.
//! jwt-simple's own parsing of headers and claims is not used, because its defaults are too lax (DESIGN.md lists them).
//! The claims are not used before the signature has been verified, except `iss` where it chooses the keys. This module
//! knows nothing about revocation.

pub mod algorithm;
mod authenticate;
pub mod cache;
pub mod claim_path;
pub mod claims;
pub mod compact;
pub(crate) mod condition;
pub mod current;
pub mod date;
mod fault;
pub mod identity;
pub mod key_set;
pub mod keys;
#[cfg(feature = "native-signatures")]
pub mod native;
mod permissions;
pub mod public_key;
pub mod secret;
pub mod signature;
pub mod subject;
mod verify;

use crate::index::ConditionIndex;
use crate::lookup::Lookup;
use crate::permission::{PermissionBook, PermissionFormat, PermissionSet};
use crate::policy::TooOld;
use crate::seed::Seed;
use crate::time::UnixNanos;
use claims::{ClaimText, ClaimsReader, Slot, TextSlot};
use condition::{Condition, Scalar};
use current::CurrentSets;
pub use fault::{ListOf, NotVerified, TokenFault, TokenRefusal};
use identity::SigningDigest;
pub use identity::TokenIdentity;
use keys::{KeyRing, SigningKey};
use signature::SignatureHost;

/// What a token must be like. Compiled from the configuration; always valid.
#[derive(Debug)]
pub struct TokenPolicy {
    pub(crate) keys: KeyRing,
    pub(crate) reader: ClaimsReader,
    pub(crate) required: Vec<Claim>,
    pub(crate) required_values: Vec<RequiredValue>,
    /// The claim that says who the caller is.
    pub(crate) subject: Claim,
    /// Whether a header carries the subject, which it must then be fit for.
    pub(crate) subject_is_forwarded: bool,
    pub(crate) issuers: Vec<String>,
    pub(crate) audiences: Vec<String>,
    /// Whether tokens of several issuers may be accepted, each with subjects of its own.
    pub(crate) has_several_issuers: bool,
    pub(crate) clock_skew_seconds: u64,
    pub(crate) max_age_seconds: u64,
    pub(crate) too_old: TooOld,
    pub(crate) max_token_bytes: usize,
    /// The claims with permissions, at least one.
    pub(crate) permissions: Vec<Slot>,
    pub(crate) permission_format: PermissionFormat,
    pub(crate) roles: Option<Roles>,
    /// By [`ConditionIndex`].
    pub(crate) conditions: Vec<Condition>,
}

/// A claim that is read.
#[derive(Debug)]
pub(crate) struct Claim {
    /// As it is configured.
    pub(crate) name: String,
    pub(crate) slot: Slot,
}

/// A claim that must have one of these values.
#[derive(Debug)]
pub(crate) struct RequiredValue {
    pub(crate) claim: Claim,
    pub(crate) accepted: Vec<Scalar>,
}

/// Roles that become permissions.
#[derive(Debug)]
pub(crate) struct Roles {
    /// The claims with roles, at least one.
    pub(crate) claims: Vec<Claim>,
    /// For each role, an index into `granted`.
    pub(crate) grants: Lookup,
    pub(crate) granted: Vec<Vec<String>>,
}

/// A token whose signature is valid and whose claims have the right form. Only [`Policy::verify`](crate::policy::Policy::verify) makes one. Its
/// times are judged again on every use, by [`TokenPolicy::judge_times`].
#[derive(Debug)]
pub struct Verified {
    key: SigningKey,
    issuer: Option<Box<str>>,
    subject: Option<Box<str>>,
    jti: Option<Box<str>>,
    /// Whether the issuer is part of who the subject is.
    is_subject_of_issuer: bool,
    /// Only for a token that its `jti` does not identify.
    signing_digest: Option<SigningDigest>,
    expires_at: Option<UnixNanos>,
    not_before: Option<UnixNanos>,
    issued_at: Option<UnixNanos>,
    permissions: PermissionSet,
    permissions_text: Box<str>,
    /// The claims whose text the configuration asks for, by their [`TextSlot`].
    claims: Vec<Option<KeptClaim>>,
    /// Whether the claims meet each condition, by [`ConditionIndex`].
    conditions: Box<[bool]>,
}

/// What [`ClaimText`] borrows from.
#[derive(Debug)]
struct KeptClaim {
    text: Box<str>,
    exact: bool,
}

impl TokenPolicy {
    /// Whether tokens of several issuers may be accepted, at which the same subject is another caller.
    pub const fn has_several_issuers(&self) -> bool {
        self.has_several_issuers
    }
}

impl Verified {
    /// The token's identity, which does not depend on its spelling in the request.
    pub fn identity(&self) -> TokenIdentity<'_> {
        match self.signing_digest {
            Some(digest) => TokenIdentity::Signed(digest),
            None => TokenIdentity::Numbered {
                issuer: self.issuer(),
                subject: self.subject(),
                jti: self.jti().unwrap_or_default(),
            },
        }
    }

    /// The key that verified it.
    pub fn key(&self) -> &SigningKey {
        &self.key
    }

    /// `iss`.
    pub fn issuer(&self) -> Option<&str> {
        self.issuer.as_deref()
    }

    /// The value of `subject_claim`; absent only where the configuration does not require it.
    pub fn subject(&self) -> Option<&str> {
        self.subject.as_deref()
    }

    /// The issuer whose subject this is, where there may be several, at which the same text is another caller. Empty where
    /// the token names none.
    pub fn subject_issuer(&self) -> Option<&str> {
        self.is_subject_of_issuer.then(|| self.issuer().unwrap_or_default())
    }

    /// Whether this token and `other` are of the same subject.
    pub fn has_subject_of(&self, other: &Self) -> bool {
        self.subject.is_some()
            && self.subject == other.subject
            && self.subject_issuer() == other.subject_issuer()
    }

    /// `jti`.
    pub fn jti(&self) -> Option<&str> {
        self.jti.as_deref()
    }

    /// `exp`.
    pub fn expires_at(&self) -> Option<UnixNanos> {
        self.expires_at
    }

    /// `iat`.
    pub fn issued_at(&self) -> Option<UnixNanos> {
        self.issued_at
    }

    /// The permissions that the configuration names, including those granted by roles.
    pub fn permissions(&self) -> &PermissionSet {
        &self.permissions
    }

    /// All permissions, including those granted by roles, separated by spaces.
    pub fn permissions_text(&self) -> &str {
        &self.permissions_text
    }

    /// A claim whose text the configuration asks for.
    pub fn claim(&self, slot: TextSlot) -> Option<ClaimText<'_>> {
        let kept = self.claims.get(slot.0)?.as_ref()?;
        Some(ClaimText { text: &kept.text, exact: kept.exact })
    }

    /// Whether the claims meet a condition of the configuration.
    pub fn meets(&self, condition: ConditionIndex) -> bool {
        self.conditions.get(condition.get()).copied().unwrap_or(false)
    }
}

/// What a token is verified with, beside the configuration.
#[derive(Clone, Copy)]
pub struct Means<'a> {
    /// The key sets in force.
    pub sets: &'a CurrentSets,
    /// Whoever verifies signatures.
    pub signatures: &'a dyn SignatureHost,
    /// The process's seed. A token without a `jti` costs a keyed digest of its bytes.
    pub seed: &'a Seed,
}

impl std::fmt::Debug for Means<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means").field("sets", self.sets).finish_non_exhaustive()
    }
}

/// The age of a token that verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Age {
    /// Within `max_token_age_hours`, or unknown.
    #[default]
    Good,
    /// Older than `max_token_age_hours`, which the configuration allows.
    Old,
}

impl TokenPolicy {
    /// Verifies `token`, the bytes after the scheme, in everything but its times.
    pub(crate) fn verify_but_times(
        &self,
        token: &[u8],
        book: &PermissionBook,
        means: &Means<'_>,
        now: UnixNanos,
    ) -> Result<Verified, NotVerified> {
        verify::verify(self, token, book, means, now)
    }

    /// The keys and key sets.
    pub fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// Whether every token that verifies has an `iat`.
    pub(crate) fn requires_issued_at(&self) -> bool {
        self.required.iter().any(|claim| claim.slot == claims::IAT)
    }

    /// The latest acceptable `iat` at `now`.
    pub(crate) fn latest_issue(&self, now: UnixNanos) -> UnixNanos {
        now.plus_seconds(self.clock_skew_seconds.max(IAT_LEEWAY_SECONDS))
    }

    /// Checks the times of a fresh token, and again on every use of a remembered one.
    ///
    /// # Errors
    ///
    /// The first check that fails.
    pub fn judge_times(&self, token: &Verified, now: UnixNanos) -> Result<Age, TokenFault> {
        if !self.keys.valid(&token.key, now) {
            return Err(TokenFault::KeyUnknown);
        }
        let skew = self.clock_skew_seconds;
        // RFC 7519 section 4.1.4: not accepted on or after exp.
        if token.expires_at.is_some_and(|exp| exp.plus_seconds(skew) <= now) {
            return Err(TokenFault::Expired);
        }
        if token.not_before.is_some_and(|nbf| nbf > now.plus_seconds(skew)) {
            return Err(TokenFault::NotYetValid);
        }
        let Some(issued_at) = token.issued_at else { return Ok(Age::Good) };
        if issued_at > self.latest_issue(now) {
            return Err(TokenFault::IssuedInFuture);
        }
        if issued_at.plus_seconds(self.max_age_seconds) < now {
            return match self.too_old {
                TooOld::Warn => Ok(Age::Old),
                TooOld::Reject => Err(TokenFault::TooOld),
            };
        }
        Ok(Age::Good)
    }
}

/// Issuers' clocks may be ahead by this much even without a configured skew.
const IAT_LEEWAY_SECONDS: u64 = 60;
