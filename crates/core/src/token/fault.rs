//! Why is a token refused?

use super::claims::ClaimsProblem;
use super::keys::KeyId;

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
    /// Those of all keys: each has one, and none has the issuer.
    EveryKey,
}

/// A token that is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenRefusal {
    /// Why.
    pub fault: TokenFault,
    /// Whether its signature verified: one of our issuers made it, so that nobody tries to guess or to forge.
    pub is_signed: bool,
}

impl TokenRefusal {
    /// The refusal of a token whose signature has not been verified.
    pub(super) fn unsigned(fault: impl Into<TokenFault>) -> Self {
        Self { fault: fault.into(), is_signed: false }
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
