//! What can become of a request, and the stable name of everything that can be wrong with it.
//!
//! A denial is a closed enum; its code is what logs, metrics, replies and the README have in common. How a denial is
//! worded and which headers it gets is [`crate::effect`]'s affair.

use crate::index::LimitIndex;
use crate::token::TokenFault;

/// Defines the codes with their status, so that no list of them can be incomplete.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:literal;)*) => {
        /// The stable name of a refusal (SPEC section 8).
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$name,)*];

            /// The code as replies, logs and metrics show it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The response code details of the local reply.
            pub const fn details(self) -> &'static str {
                match self { $(Self::$name => concat!("api_guard_", $text),)* }
            }

            /// The type of the problem (RFC 9457 section 3.1.1).
            pub const fn urn(self) -> &'static str {
                match self { $(Self::$name => concat!("urn:api-guard:", $text),)* }
            }

            /// The HTTP status (RFC 9110 section 15).
            pub const fn status(self) -> u16 {
                match self { $(Self::$name => $status,)* }
            }
        }
    };
}

codes! {
    /// The path means something else to somebody else.
    PathAmbiguous = "path_ambiguous", 400;
    /// No usable path, host or length; or a revocation request that makes no sense.
    RequestMalformed = "request_malformed", 400;
    /// More than one credential.
    CredentialsAmbiguous = "credentials_ambiguous", 400;
    /// No credential.
    TokenMissing = "token_missing", 401;
    /// Not a compact JWS of the accepted kind.
    TokenMalformed = "token_malformed", 401;
    /// `alg` is not HS256.
    TokenAlgorithmRefused = "token_algorithm_refused", 401;
    /// No key for this token.
    TokenKeyUnknown = "token_key_unknown", 401;
    /// The MAC does not hold.
    TokenSignatureInvalid = "token_signature_invalid", 401;
    /// `exp` has come.
    TokenExpired = "token_expired", 401;
    /// `nbf` has not come.
    TokenNotYetValid = "token_not_yet_valid", 401;
    /// `iat` is ahead of the clock.
    TokenIssuedInFuture = "token_issued_in_future", 401;
    /// `iat` is too long ago.
    TokenTooOld = "token_too_old", 401;
    /// A required claim is not there.
    ClaimMissing = "claim_missing", 401;
    /// A claim has a wrong type or value.
    ClaimInvalid = "claim_invalid", 401;
    /// `iss` is not accepted.
    IssuerRefused = "issuer_refused", 401;
    /// `aud` is not accepted.
    AudienceRefused = "audience_refused", 401;
    /// A permission has a wrong form.
    PermissionsMalformed = "permissions_malformed", 401;
    /// The token was revoked.
    TokenRevoked = "token_revoked", 401;
    /// The caller lacks a permission.
    PermissionMissing = "permission_missing", 403;
    /// The path names somebody else.
    BindingMismatch = "binding_mismatch", 403;
    /// Nobody may use this path.
    RouteDenied = "route_denied", 403;
    /// The request did not come over https.
    HttpsRequired = "https_required", 403;
    /// The path does not allow the method.
    MethodNotAllowed = "method_not_allowed", 405;
    /// The body is too large.
    RequestTooLarge = "request_too_large", 413;
    /// The body's media type is not accepted.
    UnsupportedMediaType = "unsupported_media_type", 415;
    /// Over a rate limit.
    RateLimited = "rate_limited", 429;
    /// Too many failed authentications from one address.
    AuthFailuresLimited = "auth_failures_limited", 429;
    /// A fault of ours or of the proxy.
    InternalFault = "internal_fault", 500;
    /// No place for another revocation.
    RevocationFull = "revocation_full", 503;
}

/// One thing that is wrong with the form of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FormFault {
    /// 400; the text is ours.
    Malformed(&'static str),
    /// 400; the text is ours.
    PathAmbiguous(&'static str),
    /// 403.
    HttpsRequired,
    /// 405; the client's method (lossily decoded) and what the path allows.
    MethodNotAllowed {
        /// The client's method.
        method: String,
        /// In alphabetical order.
        allowed: Vec<String>,
    },
    /// 415.
    UnsupportedMediaType {
        /// What the route accepts.
        accepted: Vec<String>,
        /// Whether the method is POST, which has a header of its own for this.
        post: bool,
    },
    /// 413.
    TooLarge {
        /// The largest accepted body, bytes.
        max_bytes: u64,
    },
}

impl FormFault {
    /// The fault's code.
    pub const fn code(&self) -> Code {
        match self {
            Self::Malformed(_) => Code::RequestMalformed,
            Self::PathAmbiguous(_) => Code::PathAmbiguous,
            Self::HttpsRequired => Code::HttpsRequired,
            Self::MethodNotAllowed { .. } => Code::MethodNotAllowed,
            Self::UnsupportedMediaType { .. } => Code::UnsupportedMediaType,
            Self::TooLarge { .. } => Code::RequestTooLarge,
        }
    }

    /// The order in which the first fault decides the status: 400, 403, 405, 415, 413.
    const fn rank(&self) -> u8 {
        match self {
            Self::PathAmbiguous(_) => 0,
            Self::Malformed(_) => 1,
            Self::HttpsRequired => 2,
            Self::MethodNotAllowed { .. } => 3,
            Self::UnsupportedMediaType { .. } => 4,
            Self::TooLarge { .. } => 5,
        }
    }
}

/// All that is wrong with a request's form, the deciding fault first. Never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FormFaults(Vec<FormFault>);

impl FormFaults {
    /// `None` if nothing is wrong.
    pub fn new(faults: Vec<FormFault>) -> Option<Self> {
        let mut sorted: Vec<FormFault> = Vec::with_capacity(faults.len());
        for fault in faults {
            let place = sorted.partition_point(|known| known.rank() <= fault.rank());
            sorted.insert(place, fault);
        }
        (!sorted.is_empty()).then_some(Self(sorted))
    }

    /// A single fault.
    pub fn one(fault: FormFault) -> Self {
        Self(vec![fault])
    }

    /// The faults in the order of their statuses.
    pub fn iter(&self) -> impl Iterator<Item = &FormFault> {
        self.0.iter()
    }
}

/// Standing of a caller who is over a limit.
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
    /// Seconds after which a retry is admitted, at least 1.
    pub retry_after_seconds: u32,
}

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// Its form.
    Form(FormFaults),
    /// More than one credential.
    CredentialsAmbiguous,
    /// No credential where one is needed.
    TokenMissing,
    /// Its token.
    Token(TokenFault),
    /// Its token was revoked.
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
    /// The route is closed.
    RouteDenied,
    /// Over a limit.
    RateLimited(OverLimit),
    /// Too many failed authentications.
    AuthFailuresLimited(OverLimit),
    /// The revocation endpoint could not read the request, or the token to revoke does not verify. The text is ours.
    CannotRevoke(String),
    /// No place for another revocation.
    RevocationFull,
    /// Our own fault, or the proxy's.
    Fault(Fault),
}

/// A fault that is not the caller's. It refuses, and is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The proxy did not give the request's headers, or gave something else.
    Headers,
    /// Shared data could not be read or written, or held something else than ours.
    SharedData,
    /// Shared data stayed contended.
    Contended,
    /// The body of a revocation request never came.
    Body,
    /// The proxy did not accept a change of the request.
    Edit,
}

impl Fault {
    /// Every kind there is.
    pub const ALL: &[Self] = &[Self::Headers, Self::SharedData, Self::Contended, Self::Body, Self::Edit];

    /// The kind as metrics show it.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Headers => "headers",
            Self::SharedData => "shared_data",
            Self::Contended => "contended",
            Self::Body => "body",
            Self::Edit => "edit",
        }
    }
}

impl Denial {
    /// The denial's code.
    pub fn code(&self) -> Code {
        match self {
            Self::Form(faults) => faults.0.first().map_or(Code::RequestMalformed, FormFault::code),
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
                TokenFault::ClaimInvalid { .. } => Code::ClaimInvalid,
                TokenFault::IssuerRefused => Code::IssuerRefused,
                TokenFault::AudienceRefused => Code::AudienceRefused,
                TokenFault::PermissionsMalformed(_) => Code::PermissionsMalformed,
            },
            Self::TokenRevoked => Code::TokenRevoked,
            Self::PermissionMissing { .. } => Code::PermissionMissing,
            Self::BindingMismatch => Code::BindingMismatch,
            Self::RouteDenied => Code::RouteDenied,
            Self::RateLimited(_) => Code::RateLimited,
            Self::AuthFailuresLimited(_) => Code::AuthFailuresLimited,
            Self::CannotRevoke(_) => Code::RequestMalformed,
            Self::RevocationFull => Code::RevocationFull,
            Self::Fault(_) => Code::InternalFault,
        }
    }
}

impl Denial {
    /// The limit that refused, if one did.
    pub fn over_limit(&self) -> Option<&OverLimit> {
        if let Self::RateLimited(over) | Self::AuthFailuresLimited(over) = self { Some(over) } else { None }
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
