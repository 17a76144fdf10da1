//! The stable name of everything that can be wrong with a request.
//!
//! Logs, metrics, replies and documents all use the same code. Its status, title and gRPC status are defined here and
//! nowhere else; [`crate::effect`] words the refusal.

/// Defines the statuses; none can lack a title or a gRPC status.
macro_rules! statuses {
    ($($name:ident = $number:literal, $title:literal, $grpc:literal;)*) => {
        /// The HTTP statuses of refusals (RFC 9110 section 15).
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        enum Status { $($name,)* }

        impl Status {
            const fn number(self) -> u16 {
                match self { $(Self::$name => $number,)* }
            }

            const fn title(self) -> &'static str {
                match self { $(Self::$name => $title,)* }
            }

            const fn grpc(self) -> i32 {
                match self { $(Self::$name => $grpc,)* }
            }
        }
    };
}

// Number, reason phrase, and the matching gRPC status: 16 UNAUTHENTICATED, 7 PERMISSION_DENIED,
// 8 RESOURCE_EXHAUSTED, 12 UNIMPLEMENTED, 4 DEADLINE_EXCEEDED, 3 INVALID_ARGUMENT, 13 INTERNAL, 14 UNAVAILABLE.
statuses! {
    BadRequest = 400, "Bad Request", 3;
    Unauthorized = 401, "Unauthorized", 16;
    Forbidden = 403, "Forbidden", 7;
    MethodNotAllowed = 405, "Method Not Allowed", 12;
    RequestTimeout = 408, "Request Timeout", 4;
    ContentTooLarge = 413, "Content Too Large", 8;
    UnsupportedMediaType = 415, "Unsupported Media Type", 3;
    TooManyRequests = 429, "Too Many Requests", 8;
    InternalServerError = 500, "Internal Server Error", 13;
    ServiceUnavailable = 503, "Service Unavailable", 14;
}

/// Defines the codes with their statuses in one list, from which all other lists of them follow.
macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal, $status:ident;)*) => {
        /// The stable name of a refusal.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// Every code.
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
                self.class().number()
            }

            /// The reason phrase of the status (RFC 9110 section 15).
            pub const fn title(self) -> &'static str {
                self.class().title()
            }

            /// The status that a gRPC client gets (gRPC status codes, grpc/status.md).
            pub const fn grpc_status(self) -> i32 {
                self.class().grpc()
            }

            const fn class(self) -> Status {
                match self { $(Self::$name => Status::$status,)* }
            }
        }
    };
}

codes! {
    /// Another component could read the path differently.
    PathAmbiguous = "path_ambiguous", BadRequest;
    /// No usable path, host or length; or a revocation request that cannot be carried out as it stands.
    RequestMalformed = "request_malformed", BadRequest;
    /// More than one credential.
    CredentialsAmbiguous = "credentials_ambiguous", BadRequest;
    /// No credential.
    TokenMissing = "token_missing", Unauthorized;
    /// Not a compact JWS of the accepted kind.
    TokenMalformed = "token_malformed", Unauthorized;
    /// `alg` is not that of the key, or of any key.
    TokenAlgorithmRefused = "token_algorithm_refused", Unauthorized;
    /// No key for this token.
    TokenKeyUnknown = "token_key_unknown", Unauthorized;
    /// The signature does not verify.
    TokenSignatureInvalid = "token_signature_invalid", Unauthorized;
    /// The time in `exp` has been reached.
    TokenExpired = "token_expired", Unauthorized;
    /// The time in `nbf` has not been reached.
    TokenNotYetValid = "token_not_yet_valid", Unauthorized;
    /// `iat` is ahead of the clock.
    TokenIssuedInFuture = "token_issued_in_future", Unauthorized;
    /// `iat` is too long ago.
    TokenTooOld = "token_too_old", Unauthorized;
    /// A required claim is missing.
    ClaimMissing = "claim_missing", Unauthorized;
    /// A claim has a wrong type or value.
    ClaimInvalid = "claim_invalid", Unauthorized;
    /// `iss` is not accepted.
    IssuerRefused = "issuer_refused", Unauthorized;
    /// `aud` is not accepted.
    AudienceRefused = "audience_refused", Unauthorized;
    /// A permission has a wrong form.
    PermissionsMalformed = "permissions_malformed", Unauthorized;
    /// The token was revoked.
    TokenRevoked = "token_revoked", Unauthorized;
    /// The caller lacks a permission.
    PermissionMissing = "permission_missing", Forbidden;
    /// A path parameter differs from the caller's claim.
    BindingMismatch = "binding_mismatch", Forbidden;
    /// A claim does not meet a condition of the route.
    ConditionFailed = "condition_failed", Forbidden;
    /// The route may not be used from the client's address.
    AddressRefused = "address_refused", Forbidden;
    /// Nobody may use this path.
    RouteDenied = "route_denied", Forbidden;
    /// The request did not come over https.
    HttpsRequired = "https_required", Forbidden;
    /// The path does not allow the method.
    MethodNotAllowed = "method_not_allowed", MethodNotAllowed;
    /// The body did not come in time.
    BodyTimeout = "body_timeout", RequestTimeout;
    /// The body is too large.
    RequestTooLarge = "request_too_large", ContentTooLarge;
    /// The body's media type is not accepted.
    UnsupportedMediaType = "unsupported_media_type", UnsupportedMediaType;
    /// Over a rate limit.
    RateLimited = "rate_limited", TooManyRequests;
    /// Too many failed authentications from one address.
    AuthFailuresLimited = "auth_failures_limited", TooManyRequests;
    /// A fault of ours or of the proxy.
    InternalFault = "internal_fault", InternalServerError;
    /// The revocation table is full.
    RevocationFull = "revocation_full", ServiceUnavailable;
    /// There is no room to hold back another body.
    Busy = "busy", ServiceUnavailable;
    /// The keys of the token's issuer are not available.
    KeysUnavailable = "keys_unavailable", ServiceUnavailable;
}
