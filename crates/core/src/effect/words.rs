//! Refusals in words. Text from a client appears only in bodies, and is cut.

use crate::code::Code;
use crate::denial::{Denial, FormFault};
use crate::token::TokenFault;

/// Client text in a body or a log line is cut at this many characters.
const LONGEST_QUOTE: usize = 64;

/// `text`, cut to 64 characters.
pub fn cut(text: &str) -> &str {
    // A text has at most as many characters as bytes.
    if text.len() <= LONGEST_QUOTE {
        return text;
    }
    let end = text.char_indices().nth(LONGEST_QUOTE).map(|(end, _)| end);
    end.and_then(|end| text.get(..end)).unwrap_or(text)
}

/// Everything that is wrong, the deciding fault first. Never empty.
pub(super) fn errors(denial: &Denial) -> Vec<String> {
    let text = match denial {
        Denial::Form(faults) => return faults.iter().map(form_fault).collect(),
        Denial::CredentialsAmbiguous => "More than one credential in the request".to_owned(),
        Denial::TokenMissing => "Missing or invalid Authorization header".to_owned(),
        Denial::Token(fault) => token_fault(fault),
        Denial::TokenRevoked => "Token has been revoked".to_owned(),
        Denial::PermissionMissing { missing, any: false, .. } => {
            format!("Missing required permissions: {}", missing.join(", "))
        }
        Denial::PermissionMissing { needed, any: true, .. } => {
            format!("Missing required permissions: one of {}", needed.join(", "))
        }
        Denial::BindingMismatch => "Path does not belong to the token's owner".to_owned(),
        Denial::ConditionFailed(claim) => format!("Claim does not meet the required condition: {claim}"),
        Denial::AddressRefused => "Access from this address is denied".to_owned(),
        Denial::RouteDenied => "Access to this path is denied".to_owned(),
        Denial::RateLimited(over) => format!(
            "Rate limit exceeded: {}/{} requests in {} seconds",
            over.used, over.max_requests, over.window_seconds
        ),
        Denial::AuthFailuresLimited(over) => format!(
            "Too many failed authentications: {}/{} in {} seconds",
            over.used, over.max_requests, over.window_seconds
        ),
        Denial::CannotRevoke(text) => text.clone(),
        Denial::RevocationFull => "No place for another revocation".to_owned(),
        Denial::BodyTimeout => "Request body did not arrive in time".to_owned(),
        Denial::Busy(_) => "No room for another request body at present".to_owned(),
        Denial::Fault(_) => "Internal fault".to_owned(),
    };
    vec![text]
}

/// The deciding fault in words that may stand in a header: nothing in them is from the client.
pub(super) fn message(denial: &Denial) -> String {
    match denial {
        Denial::Form(faults) => match faults.iter().next() {
            Some(FormFault::MethodNotAllowed { method, .. }) => match standard_method(method) {
                Some(method) => format!("Method {method} not allowed"),
                None => "Method not allowed".to_owned(),
            },
            Some(
                fault @ (FormFault::Malformed(_)
                | FormFault::MethodParameter
                | FormFault::PathAmbiguous(_)
                | FormFault::HttpsRequired
                | FormFault::UnsupportedMediaType { .. }
                | FormFault::TooLarge { .. }),
            ) => form_fault(fault),
            None => Code::RequestMalformed.title().to_owned(),
        },
        Denial::Token(TokenFault::PermissionsMalformed(_)) => "Invalid permission format".to_owned(),
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
        | Denial::RevocationFull
        | Denial::BodyTimeout
        | Denial::Busy(_)
        | Denial::Fault(_) => errors(denial).into_iter().next().unwrap_or_default(),
    }
}

/// A method of RFC 9110 section 9.1 or RFC 5789, as our own constant.
fn standard_method(method: &str) -> Option<&'static str> {
    const METHODS: [&str; 9] =
        ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    METHODS.into_iter().find(|known| *known == method)
}

fn form_fault(fault: &FormFault) -> String {
    match fault {
        FormFault::Malformed(why) => format!("Malformed request: {why}"),
        FormFault::MethodParameter => {
            "Malformed request: the query parameter _method would override the method".to_owned()
        }
        FormFault::PathAmbiguous(why) => format!("Ambiguous path: {why}"),
        FormFault::HttpsRequired => "HTTPS is required".to_owned(),
        FormFault::MethodNotAllowed { method, .. } => format!("Method {} not allowed", cut(method)),
        FormFault::UnsupportedMediaType { accepted, .. } => match accepted.as_slice() {
            [one] => format!("Content-Type must be {one}"),
            several => format!("Content-Type must be one of {}", several.join(", ")),
        },
        FormFault::TooLarge { max_bytes } => format!("Request size exceeds maximum: {max_bytes} bytes"),
    }
}

fn token_fault(fault: &TokenFault) -> String {
    match fault {
        TokenFault::Malformed(why) => format!("Invalid token: {why}"),
        TokenFault::AlgorithmRefused => "Invalid token: algorithm not accepted".to_owned(),
        TokenFault::KeyUnknown => "Invalid token: unknown key".to_owned(),
        TokenFault::SignatureInvalid => "Invalid token: signature does not verify".to_owned(),
        TokenFault::Expired => "Token has expired".to_owned(),
        TokenFault::NotYetValid => "Invalid token: not yet valid".to_owned(),
        TokenFault::IssuedInFuture => "Invalid token: issued in the future".to_owned(),
        TokenFault::TooOld => "Invalid token: too old".to_owned(),
        TokenFault::ClaimMissing(claims) => format!("Token missing required claims: {}", claims.join(", ")),
        TokenFault::ClaimInvalid { claim, why } => format!("Invalid token: claim {claim} {why}"),
        TokenFault::IssuerRefused(_) => "Invalid token: issuer not accepted".to_owned(),
        TokenFault::AudienceRefused(_) => "Invalid token: audience not accepted".to_owned(),
        TokenFault::PermissionsMalformed(entry) => format!("Invalid permission format: {}", cut(entry)),
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
        | Code::Busy => None,
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
