//! Which rule of the configuration decided?

use api_guard_core::config::raw::RawRoute;
use api_guard_core::denial::{Denial, FormFault};
use api_guard_core::token::{ListOf, TokenFault};

use super::Explained;
use crate::limits::all;
use crate::source::tree::step;

impl Explained<'_, '_> {
    /// The pointer to the rule that decided.
    pub fn rule(&self) -> String {
        let Some(denial) = self.denial.or(self.reported) else { return self.pointer() };
        match denial {
            Denial::Form(faults) => match faults.iter().next() {
                Some(FormFault::MethodParameter) => "/request/method_override".to_owned(),
                Some(FormFault::HttpsRequired) => "/request/https_only".to_owned(),
                Some(FormFault::MethodNotAllowed { .. }) => self.method_rule(),
                Some(FormFault::UnsupportedMediaType { .. }) => self.type_rule(),
                Some(FormFault::TooLarge { .. }) => self.size_rule(),
                Some(FormFault::Malformed(_) | FormFault::PathAmbiguous(_)) | None => {
                    "holds for every request".to_owned()
                }
            },
            Denial::RateLimited(over) => over
                .limit
                .and_then(|limit| all(self.raw).nth(limit.get()))
                .map_or("/rate_limits".to_owned(), |(pointer, _)| pointer),
            Denial::AuthFailuresLimited(_) => "/auth_failure_limit".to_owned(),
            Denial::CredentialsAmbiguous => "/tokens/sources".to_owned(),
            Denial::TokenMissing | Denial::RouteDenied => self.pointer(),
            Denial::Token(TokenFault::KeyUnknown | TokenFault::SignatureInvalid)
                if self.raw.tokens.keys.is_empty() =>
            {
                "/tokens/key_sets".to_owned()
            }
            Denial::Token(fault) => token_rule(fault),
            Denial::TokenRevoked => "/revocation/denied".to_owned(),
            Denial::PermissionMissing { any, .. } => {
                let field = if *any { "any_permissions" } else { "required_permissions" };
                format!("{}/{field}", self.pointer())
            }
            Denial::ConditionFailed(_) => format!("{}/require", self.pointer()),
            Denial::AddressRefused => self.pointer(),
            Denial::BindingMismatch => format!("{}/bind", self.pointer()),
            Denial::CannotRevoke(_) => "/revocation/endpoint".to_owned(),
            Denial::KeysUnavailable { .. } => "/tokens/key_sets".to_owned(),
            Denial::FleetUnavailable(_) => "/fleet".to_owned(),
            Denial::RevocationFull => "/revocation/capacity".to_owned(),
            Denial::BodyTimeout => "the time that a body has to come".to_owned(),
            Denial::Busy(_) => "/request/max_held_bytes".to_owned(),
            Denial::Fault(_) => "a fault of api-guard itself".to_owned(),
        }
    }

    /// The pointer of a field that a route may override.
    pub fn route_or_request(&self, field: &str, is_set: impl Fn(&RawRoute) -> bool) -> String {
        match self.route() {
            Some((index, route)) if is_set(route) => format!("/routes/{index}/{field}"),
            Some(_) | None => format!("/request/{field}"),
        }
    }

    fn method_rule(&self) -> String {
        let method = String::from_utf8_lossy(self.request.method);
        if self.raw.request.allowed_methods.iter().any(|allowed| *allowed == method) {
            "the routes of this path, none of which has the method".to_owned()
        } else {
            "/request/allowed_methods".to_owned()
        }
    }
}

fn token_rule(fault: &TokenFault) -> String {
    let rule = match fault {
        TokenFault::Malformed(_)
        | TokenFault::AlgorithmRefused
        | TokenFault::Expired
        | TokenFault::NotYetValid
        | TokenFault::IssuedInFuture
        | TokenFault::ClaimInvalid { .. } => "/tokens",
        TokenFault::KeyUnknown | TokenFault::SignatureInvalid => "/tokens/keys",
        TokenFault::TooOld => "/tokens/max_token_age_hours",
        TokenFault::ClaimMissing(_) => "/tokens/required_claims",
        TokenFault::ValueRefused(claim) => return format!("/tokens/required_values/{}", step(claim)),
        TokenFault::IssuerRefused(list) => return list_pointer(*list, "issuers"),
        TokenFault::AudienceRefused(list) => return list_pointer(*list, "audiences"),
        TokenFault::PermissionsMalformed(_) => "/tokens/permission_format",
    };
    rule.to_owned()
}

/// The pointer of the list that refuses a token.
fn list_pointer(list: ListOf, field: &str) -> String {
    match list {
        ListOf::Policy => format!("/tokens/{field}"),
        ListOf::Key(key) => format!("/tokens/keys/{}/{field}", key.index()),
        ListOf::Set(set) => format!("/tokens/key_sets/{}/{field}", set.get()),
        ListOf::EveryKey => format!("the {field} of all /tokens/keys"),
    }
}
