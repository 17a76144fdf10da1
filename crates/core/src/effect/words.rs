//! Refusals in words. Text from a client appears only in bodies, and is cut.

use std::borrow::Cow;

use smallvec::{SmallVec, smallvec};

use crate::code::Code;
use crate::decimal::Decimal;
use crate::denial::{Denial, FleetGap, FormFault, OverLimit};
use crate::token::TokenFault;

/// Client text in a body or a log line is cut at this many characters.
const LONGEST_QUOTE: usize = 64;

/// What is wrong, in words. Most of it is one thing and a constant, which takes no memory.
pub(super) type Errors = SmallVec<[Cow<'static, str>; 1]>;

/// `text`, cut to 64 characters.
pub(crate) fn cut(text: &str) -> &str {
    // A text has at most as many characters as bytes.
    if text.len() <= LONGEST_QUOTE {
        return text;
    }
    let end = text.char_indices().nth(LONGEST_QUOTE).map(|(end, _)| end);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Everything that is wrong, the deciding fault first. Never empty.
pub(super) fn errors(denial: &Denial) -> Errors {
    let text = match denial {
        Denial::Form(faults) => return faults.iter().map(form_fault).collect(),
        Denial::CredentialsAmbiguous => "More than one credential in the request".into(),
        Denial::TokenMissing => "Missing or invalid Authorization header".into(),
        Denial::Token(fault) => token_fault(fault),
        Denial::TokenRevoked => "Token has been revoked".into(),
        Denial::PermissionMissing { missing, any: false, .. } => {
            ["Missing required permissions: ", &missing.join(", ")].concat().into()
        }
        Denial::PermissionMissing { needed, any: true, .. } => {
            ["Missing required permissions: one of ", &needed.join(", ")].concat().into()
        }
        Denial::BindingMismatch => "Path does not belong to the token's owner".into(),
        Denial::ConditionFailed(claim) => {
            ["Claim does not meet the required condition: ", claim].concat().into()
        }
        Denial::AddressRefused => "Access from this address is denied".into(),
        Denial::RouteDenied => "Access to this path is denied".into(),
        Denial::RateLimited(over) => figures("Rate limit exceeded: ", over, " requests in "),
        Denial::AuthFailuresLimited(over) => figures("Too many failed authentications: ", over, " in "),
        Denial::CannotRevoke(text) => text.clone().into(),
        Denial::KeysUnavailable { .. } => {
            "The keys of the token's issuer are not available at present".into()
        }
        Denial::FleetUnavailable(FleetGap::Limit(_)) => "Rate limit cannot be checked at present".into(),
        Denial::FleetUnavailable(FleetGap::Revocations) => "Revocations are not known at present".into(),
        Denial::FleetUnavailable(FleetGap::Revoked) => {
            "Revoked here, and not yet told to other servers: this is tried again".into()
        }
        Denial::RevocationFull => "No place for another revocation".into(),
        Denial::BodyTimeout => "Request body did not arrive in time".into(),
        Denial::Busy(_) => "No room for another request body at present".into(),
        Denial::Fault(_) => "Internal fault".into(),
    };
    smallvec![text]
}

/// The figures of a limit in words.
fn figures(before: &str, over: &OverLimit, between: &str) -> Cow<'static, str> {
    let [used, most, window] = [over.used, over.max_requests, over.window_seconds].map(Decimal::of);
    [before, &used, "/", &most, between, &window, " seconds"].concat().into()
}

/// The deciding fault in words that may stand in a header: nothing in them is from the client. `errors`: its words.
pub(super) fn message(denial: &Denial, errors: Errors) -> Cow<'static, str> {
    let first = || errors.into_iter().next().unwrap_or_default();
    match denial {
        Denial::Form(faults) => match faults.iter().next() {
            Some(FormFault::MethodNotAllowed { method, .. }) => match standard_method(method) {
                Some(method) => ["Method ", method, " not allowed"].concat().into(),
                None => "Method not allowed".into(),
            },
            Some(
                FormFault::Malformed(_)
                | FormFault::MethodParameter
                | FormFault::PathAmbiguous(_)
                | FormFault::HttpsRequired
                | FormFault::UnsupportedMediaType { .. }
                | FormFault::TooLarge { .. },
            ) => first(),
            None => Code::RequestMalformed.title().into(),
        },
        Denial::Token(TokenFault::PermissionsMalformed(_)) => "Invalid permission format".into(),
        Denial::CredentialsAmbiguous
        | Denial::TokenMissing
        | Denial::Token(
            TokenFault::Malformed(_)
            | TokenFault::AlgorithmRefused
            | TokenFault::KeyUnknown
            | TokenFault::SignatureInvalid
            | TokenFault::Expired
            | TokenFault::NotYetValid
            | TokenFault::IssuedInFuture
            | TokenFault::TooOld
            | TokenFault::ClaimMissing(_)
            | TokenFault::ClaimInvalid { .. }
            | TokenFault::ValueRefused(_)
            | TokenFault::IssuerRefused(_)
            | TokenFault::AudienceRefused(_),
        )
        | Denial::TokenRevoked
        | Denial::PermissionMissing { .. }
        | Denial::BindingMismatch
        | Denial::ConditionFailed(_)
        | Denial::AddressRefused
        | Denial::RouteDenied
        | Denial::RateLimited(_)
        | Denial::AuthFailuresLimited(_)
        | Denial::CannotRevoke(_)
        | Denial::KeysUnavailable { .. }
        | Denial::FleetUnavailable(_)
        | Denial::RevocationFull
        | Denial::BodyTimeout
        | Denial::Busy(_)
        | Denial::Fault(_) => first(),
    }
}

/// A method of RFC 9110 section 9.1 or RFC 5789, as our own constant.
fn standard_method(method: &str) -> Option<&'static str> {
    const METHODS: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    METHODS.into_iter().find(|known| *known == method)
}

fn form_fault(fault: &FormFault) -> Cow<'static, str> {
    match fault {
        FormFault::Malformed(why) => ["Malformed request: ", why].concat().into(),
        FormFault::MethodParameter => {
            "Malformed request: the query parameter _method would override the method".into()
        }
        FormFault::PathAmbiguous(why) => ["Ambiguous path: ", why].concat().into(),
        FormFault::HttpsRequired => "HTTPS is required".into(),
        FormFault::MethodNotAllowed { method, .. } => {
            ["Method ", cut(method), " not allowed"].concat().into()
        }
        FormFault::UnsupportedMediaType { accepted, .. } => match accepted.as_slice() {
            [one] => ["Content-Type must be ", one].concat().into(),
            several => ["Content-Type must be one of ", &several.join(", ")].concat().into(),
        },
        FormFault::TooLarge { max_bytes } => {
            format!("Request size exceeds maximum: {max_bytes} bytes").into()
        }
    }
}

fn token_fault(fault: &TokenFault) -> Cow<'static, str> {
    match fault {
        TokenFault::Malformed(why) => ["Invalid token: ", why].concat().into(),
        TokenFault::AlgorithmRefused => "Invalid token: algorithm not accepted".into(),
        TokenFault::KeyUnknown => "Invalid token: unknown key".into(),
        TokenFault::SignatureInvalid => "Invalid token: signature does not verify".into(),
        TokenFault::Expired => "Token has expired".into(),
        TokenFault::NotYetValid => "Invalid token: not yet valid".into(),
        TokenFault::IssuedInFuture => "Invalid token: issued in the future".into(),
        TokenFault::TooOld => "Invalid token: too old".into(),
        TokenFault::ClaimMissing(claims) => {
            ["Token missing required claims: ", &claims.join(", ")].concat().into()
        }
        TokenFault::ClaimInvalid { claim, why } => ["Invalid token: claim ", claim, " ", why].concat().into(),
        TokenFault::ValueRefused(claim) => {
            ["Invalid token: claim ", claim, " has none of the accepted values"].concat().into()
        }
        TokenFault::IssuerRefused(_) => "Invalid token: issuer not accepted".into(),
        TokenFault::AudienceRefused(_) => "Invalid token: audience not accepted".into(),
        TokenFault::PermissionsMalformed(entry) => {
            ["Invalid permission format: ", cut(entry)].concat().into()
        }
    }
}

/// The `error_description` of a challenge (RFC 6750 section 3): constants only.
pub(super) fn challenge_description(code: Code) -> Option<&'static str> {
    match code {
        Code::TokenMalformed => Some("Invalid token"),
        Code::TokenAlgorithmRefused => Some("Invalid token: algorithm not accepted"),
        Code::TokenKeyUnknown => Some("Invalid token: unknown key"),
        Code::TokenSignatureInvalid => Some("Invalid token: signature does not verify"),
        Code::TokenExpired => Some("Token has expired"),
        Code::TokenNotYetValid => Some("Invalid token: not yet valid"),
        Code::TokenIssuedInFuture => Some("Invalid token: issued in the future"),
        Code::TokenTooOld => Some("Invalid token: too old"),
        Code::ClaimMissing => Some("Token missing required claims"),
        Code::ClaimInvalid => Some("Invalid token: a claim has a wrong value"),
        Code::IssuerRefused => Some("Invalid token: issuer not accepted"),
        Code::AudienceRefused => Some("Invalid token: audience not accepted"),
        Code::PermissionsMalformed => Some("Invalid permission format"),
        Code::TokenRevoked => Some("Token has been revoked"),
        Code::PathAmbiguous
        | Code::RequestMalformed
        | Code::CredentialsAmbiguous
        | Code::TokenMissing
        | Code::PermissionMissing
        | Code::BindingMismatch
        | Code::ConditionFailed
        | Code::AddressRefused
        | Code::RouteDenied
        | Code::HttpsRequired
        | Code::MethodNotAllowed
        | Code::BodyTimeout
        | Code::RequestTooLarge
        | Code::UnsupportedMediaType
        | Code::RateLimited
        | Code::AuthFailuresLimited
        | Code::InternalFault
        | Code::RevocationFull
        | Code::Busy
        | Code::KeysUnavailable
        | Code::FleetUnavailable => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_cut_after_sixty_four_characters_of_any_size() {
        for letter in ["x", "\u{e9}", "\u{1f980}"] {
            let whole = letter.repeat(64);
            assert_eq!(cut(&whole), whole);
            assert_eq!(cut(&letter.repeat(65)), whole);
        }
        assert_eq!(cut(""), "");
    }
}
