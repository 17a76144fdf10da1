//! Why is a token refused?

use super::authenticate::NotAuthentic;
use super::claims::ClaimsProblem;
use super::keys::{KeyId, SigningKey};
use super::signature::SignatureFault;
use crate::index::KeySetIndex;

/// Why a token is refused. Each variant has its own code; [`crate::effect`] words them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFault {
    /// Not a compact JWS of the accepted kind. The text says why.
    Malformed(&'static str),
    /// `alg` is not exactly the algorithm of the key, or of any key.
    AlgorithmRefused,
    /// No key for this token: its `kid` is unknown, or no key is valid now.
    KeyUnknown,
    /// The signature does not verify.
    SignatureInvalid,
    /// The time in `exp` has been reached.
    Expired,
    /// The time in `nbf` has not been reached.
    NotYetValid,
    /// `iat` is ahead of the clock.
    IssuedInFuture,
    /// `iat` is longer ago than `max_token_age_hours`.
    TooOld,
    /// Claims of `required_claims` that are missing, by their configured names.
    ClaimMissing(Vec<String>),
    /// A claim has a wrong type or value.
    ClaimInvalid {
        /// The claim, by its configured name.
        claim: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A claim, by its configured name, has none of the values that `required_values` accepts.
    ValueRefused(String),
    /// `iss` is not one of `issuers`.
    IssuerRefused(ListOf),
    /// `aud` has none of `audiences`.
    AudienceRefused(ListOf),
    /// An entry of the permissions claim, or the whole claim, has a wrong form. Contains text from the token.
    PermissionsMalformed(String),
}

/// Whose list of issuers or audiences refuses a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListOf {
    /// That for all keys without one of their own.
    Policy,
    /// The own list of the only key that the token can be of.
    Key(KeyId),
    /// The own list of the key set that the token's key is of.
    Set(KeySetIndex),
    /// Those of all keys: each has one, and none has the issuer.
    EveryKey,
}

impl ListOf {
    /// The own list of a key, or of its set.
    pub(crate) const fn of(key: &SigningKey) -> Self {
        match key {
            SigningKey::Configured(key) => Self::Key(*key),
            SigningKey::OfSet { set, .. } => Self::Set(*set),
        }
    }
}

/// A token that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRefusal {
    /// Why.
    pub fault: TokenFault,
    /// Whether its signature verified: one of our issuers made it, so that nobody tries to guess or to forge.
    pub is_signed: bool,
}

/// Why a token could not be verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NotVerified {
    /// It is refused.
    Refused(TokenRefusal),
    /// Its kid is unknown to this set, which may have changed. Unless a newer one has it, the token is refused for
    /// [`TokenFault::KeyUnknown`].
    UnknownTo(KeySetIndex),
    /// The keys of this set are not available, which is not the token's fault.
    KeysUnavailable(KeySetIndex),
    /// The host could not verify its signature.
    Fault(SignatureFault),
}

impl NotVerified {
    /// The refusal of a token whose signature has not been verified.
    pub(super) fn unsigned(fault: impl Into<TokenFault>) -> Self {
        Self::Refused(TokenRefusal { fault: fault.into(), is_signed: false })
    }
}

impl From<NotAuthentic> for NotVerified {
    fn from(why: NotAuthentic) -> Self {
        match why {
            NotAuthentic::Refused(fault) => Self::unsigned(fault),
            NotAuthentic::UnknownTo(set) => Self::UnknownTo(set),
            NotAuthentic::Unavailable(set) => Self::KeysUnavailable(set),
            NotAuthentic::Fault(fault) => Self::Fault(fault),
        }
    }
}

impl From<ClaimsProblem> for TokenFault {
    fn from(problem: ClaimsProblem) -> Self {
        match problem {
            ClaimsProblem::NotAnObject => Self::Malformed("claims are not a JSON object of the right form"),
            ClaimsProblem::Repeated(claim) => Self::ClaimInvalid { claim, why: "stands more than once" },
        }
    }
}

/// A claim has a wrong type or value.
#[cold]
pub(super) fn invalid(claim: &str, why: &'static str) -> TokenFault {
    TokenFault::ClaimInvalid { claim: claim.to_owned(), why }
}
