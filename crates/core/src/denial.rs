//! Why a request is refused: a closed set of causes, each with one [`Code`].
//!
//! A denial says what is wrong with the caller's request. [`crate::effect`] chooses its words and headers; the guard
//! decides whether it is carried out.

mod form_fault;

use crate::code::Code;
use crate::fault::Fault;
use crate::held::NoRoom;
use crate::index::LimitIndex;
use crate::token::TokenFault;

pub use form_fault::{FormFault, FormFaults};

/// The figures of a caller who is over a limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OverLimit {
    /// Which limit; `None` for `auth_failure_limit`.
    pub limit: Option<LimitIndex>,
    /// The limit's name.
    pub name: String,
    /// Requests counted in the window.
    pub used: u32,
    /// The caller's limit.
    pub max_requests: u32,
    /// The window, seconds.
    pub window_seconds: u32,
    /// The number of seconds after which a retry is admitted, at least 1.
    pub retry_after_seconds: u32,
}

/// What cannot be known without the store of the fleet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FleetGap {
    /// Whether this limit admits the request.
    Limit(LimitIndex),
    /// Whether a token was revoked.
    Revocations,
    /// Whether other Envoys have heard of a revocation. It is in force in this one.
    Revoked,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// The form of the request.
    Form(FormFaults),
    /// More than one credential.
    CredentialsAmbiguous,
    /// No credential where one is needed.
    TokenMissing,
    /// The token.
    Token(TokenFault),
    /// The token was revoked.
    TokenRevoked,
    /// The caller lacks permissions.
    PermissionMissing {
        /// What the caller lacks.
        missing: Vec<String>,
        /// What the route asks for.
        needed: Vec<String>,
        /// Whether one of them is enough.
        any: bool,
    },
    /// A path parameter is not the caller's claim.
    BindingMismatch,
    /// A claim, by its configured name, does not meet a condition of the route.
    ConditionFailed(String),
    /// The route may not be used from the client's address.
    AddressRefused,
    /// The route is closed.
    RouteDenied,
    /// Over a limit.
    RateLimited(OverLimit),
    /// Too many failed authentications.
    AuthFailuresLimited(OverLimit),
    /// The revocation endpoint could not read the request, or the token to revoke does not verify. The text contains
    /// nothing that the client sent.
    CannotRevoke(String),
    /// The keys of the token's issuer are not available at present.
    KeysUnavailable {
        /// When it may be worth trying again, seconds; at least 1.
        retry_after_seconds: u32,
    },
    /// The store of the fleet is not reached.
    FleetUnavailable(FleetGap),
    /// The revocation table is full.
    RevocationFull,
    /// A body that was waited for did not come in time.
    BodyTimeout,
    /// There is no room to hold back the body.
    Busy(NoRoom),
    /// Our own fault, or the proxy's.
    Fault(Fault),
}

impl Denial {
    /// The denial's code.
    pub fn code(&self) -> Code {
        match self {
            Self::Form(faults) => faults.code(),
            Self::CredentialsAmbiguous => Code::CredentialsAmbiguous,
            Self::TokenMissing => Code::TokenMissing,
            Self::Token(fault) => match fault {
                TokenFault::Malformed(_) => Code::TokenMalformed,
                TokenFault::AlgorithmRefused => Code::TokenAlgorithmRefused,
                TokenFault::KeyUnknown => Code::TokenKeyUnknown,
                TokenFault::SignatureInvalid => Code::TokenSignatureInvalid,
                TokenFault::Expired => Code::TokenExpired,
                TokenFault::NotYetValid => Code::TokenNotYetValid,
                TokenFault::IssuedInFuture => Code::TokenIssuedInFuture,
                TokenFault::TooOld => Code::TokenTooOld,
                TokenFault::ClaimMissing(_) => Code::ClaimMissing,
                TokenFault::ClaimInvalid { .. } | TokenFault::ValueRefused(_) => Code::ClaimInvalid,
                TokenFault::IssuerRefused(_) => Code::IssuerRefused,
                TokenFault::AudienceRefused(_) => Code::AudienceRefused,
                TokenFault::PermissionsMalformed(_) => Code::PermissionsMalformed,
            },
            Self::TokenRevoked => Code::TokenRevoked,
            Self::PermissionMissing { .. } => Code::PermissionMissing,
            Self::BindingMismatch => Code::BindingMismatch,
            Self::ConditionFailed(_) => Code::ConditionFailed,
            Self::AddressRefused => Code::AddressRefused,
            Self::RouteDenied => Code::RouteDenied,
            Self::RateLimited(_) => Code::RateLimited,
            Self::AuthFailuresLimited(_) => Code::AuthFailuresLimited,
            Self::CannotRevoke(_) => Code::RequestMalformed,
            Self::KeysUnavailable { .. } => Code::KeysUnavailable,
            Self::FleetUnavailable(_) => Code::FleetUnavailable,
            Self::RevocationFull => Code::RevocationFull,
            Self::BodyTimeout => Code::BodyTimeout,
            Self::Busy(_) => Code::Busy,
            Self::Fault(_) => Code::InternalFault,
        }
    }
}

impl Denial {
    /// The limit that refused, if one did.
    pub fn over_limit(&self) -> Option<&OverLimit> {
        if let Self::RateLimited(over) | Self::AuthFailuresLimited(over) = self { Some(over) } else { None }
    }

    /// The limit of the configuration that refused, or could not be judged, if one did.
    pub fn limit(&self) -> Option<LimitIndex> {
        if let Self::FleetUnavailable(FleetGap::Limit(limit)) = self {
            Some(*limit)
        } else {
            self.over_limit()?.limit
        }
    }

    /// The fault that refused, if one did.
    pub fn fault(&self) -> Option<Fault> {
        if let Self::Fault(fault) = self {
            Some(*fault)
        } else if let Self::Busy(NoRoom::Contended) = self {
            Some(Fault::Contended)
        } else {
            None
        }
    }
}

impl From<TokenFault> for Denial {
    fn from(fault: TokenFault) -> Self {
        Self::Token(fault)
    }
}

impl From<crate::cells::CellFault> for Denial {
    fn from(_: crate::cells::CellFault) -> Self {
        Self::Fault(Fault::SharedData)
    }
}
