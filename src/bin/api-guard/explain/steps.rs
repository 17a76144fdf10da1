//! Which steps a request went through, told from what the guard found out; nothing is judged here.

use api_guard_core::config::raw::{Access, Mode, RawConfig, RawLimit, RawMaxRequests, RawRoute};
use api_guard_core::decision::{Denial, FormFault};
use api_guard_core::effect;
use api_guard_core::guard::Judged;
use api_guard_core::limit::Standing;
use api_guard_core::token::{Age, TokenFault};

use super::Explained;
use crate::limits::all;

/// One of the six steps.
pub(super) struct Step {
    pub(super) name: &'static str,
    pub(super) state: State,
    /// What there is to say, a line each.
    pub(super) lines: Vec<String>,
}

/// What came of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Passed,
    Refused,
    /// It would have refused, and is in report mode.
    Reported,
    /// There was nothing to judge.
    Skipped,
    NotReached,
}

impl State {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::Reported => "would refuse",
            Self::Skipped => "skipped",
            Self::NotReached => "not reached",
        }
    }
}

/// The steps in the order of the guard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Number {
    Form,
    EarlyLimits,
    Token,
    Revocation,
    LateLimits,
    Permission,
}

const STEPS: [(Number, &str); 6] = [
    (Number::Form, "form"),
    (Number::EarlyLimits, "limits before the token"),
    (Number::Token, "token"),
    (Number::Revocation, "revocation"),
    (Number::LateLimits, "limits after the token"),
    (Number::Permission, "permission"),
];

fn needs_token(limit: &RawLimit) -> bool {
    let of_token = |part: &String| part == "subject" || part.starts_with("claim:");
    limit.key.iter().any(of_token) || matches!(limit.max_requests, Some(RawMaxRequests::ByClaim(_)))
}

fn step_of(raw: &RawConfig, denial: &Denial) -> Number {
    match denial {
        Denial::Form(_) | Denial::Fault(_) => Number::Form,
        Denial::AuthFailuresLimited(_) => Number::EarlyLimits,
        Denial::RateLimited(over) => {
            let limit = over.limit.and_then(|place| all(raw).nth(place));
            if limit.is_some_and(|(_, limit)| needs_token(limit)) {
                Number::LateLimits
            } else {
                Number::EarlyLimits
            }
        }
        Denial::CredentialsAmbiguous | Denial::TokenMissing | Denial::Token(_) => Number::Token,
        Denial::TokenRevoked => Number::Revocation,
        Denial::PermissionMissing { .. }
        | Denial::BindingMismatch
        | Denial::RouteDenied
        | Denial::CannotRevoke(_)
        | Denial::RevocationFull => Number::Permission,
    }
}

impl Explained<'_, '_> {
    /// Its route in the configuration; none for unmatched paths and for the revocation endpoint.
    pub(super) fn route(&self) -> Option<(usize, &RawRoute)> {
        let place = self.verdict.route?;
        self.raw.routes.get(place).map(|route| (place, route))
    }

    /// Where the configuration says who may come here.
    pub(super) fn place(&self) -> String {
        match self.route() {
            Some((place, _)) => format!("/routes/{place}"),
            None if self.verdict.revokes => "/revocation/endpoint".to_owned(),
            None => "/unmatched_routes".to_owned(),
        }
    }

    fn access(&self) -> Access {
        match self.route() {
            Some((_, route)) => route.access,
            None if self.verdict.revokes => Access::Authenticated,
            None => self.raw.unmatched_routes,
        }
    }

    /// All six steps.
    pub(super) fn steps(&self) -> Vec<Step> {
        STEPS.into_iter().map(|(number, name)| self.step(number, name)).collect()
    }

    fn step(&self, number: Number, name: &'static str) -> Step {
        let is = |denial: &&Denial| step_of(self.raw, denial) == number;
        let reported = self.verdict.reported.as_ref();
        let mut lines = self.lines(number);
        let state = if let Some(denial) = self.denial.filter(is) {
            lines.splice(0..0, effect::reasons(denial));
            State::Refused
        } else if let Some(denial) = reported.filter(is) {
            lines.splice(0..0, effect::reasons(denial));
            State::Reported
        } else if self.is_past_the_end(number) {
            State::NotReached
        } else if self.is_public()
            && matches!(number, Number::Token | Number::Revocation | Number::Permission)
        {
            lines = vec![format!("{} asks nobody for a token", self.place())];
            State::Skipped
        } else if lines.is_empty() {
            lines.push("there is none".to_owned());
            State::Skipped
        } else {
            State::Passed
        };
        if state == State::NotReached {
            lines.clear();
        }
        Step { name, state, lines }
    }

    /// Whether the guard ended before this step.
    fn is_past_the_end(&self, number: Number) -> bool {
        if self.denial.is_some_and(|denial| step_of(self.raw, denial) < number) {
            return true;
        }
        let Some(reported) = &self.verdict.reported else { return false };
        if step_of(self.raw, reported) > number || self.denial.is_some() {
            return false;
        }
        // In report mode the guard goes on to learn who comes, and to count what is enforced; no more.
        match number {
            Number::Form => false,
            Number::EarlyLimits => self.judged_lines(false).is_empty(),
            Number::Token => self.verdict.caller.is_none() && !self.is_public(),
            Number::Revocation => self.verdict.identity().is_none() && !self.is_public(),
            Number::LateLimits => self.judged_lines(true).is_empty(),
            // A limit in report mode stops nothing, unless everything is in it.
            Number::Permission => !(is_of_limit(reported) && self.mode() == Mode::Enforce),
        }
    }

    fn mode(&self) -> Mode {
        self.route().and_then(|(_, route)| route.mode).unwrap_or(self.raw.mode)
    }

    /// Whether nobody is asked for a token: on a public route, and for a preflight that is let through.
    fn is_public(&self) -> bool {
        let is_preflight = self.verdict.caller.is_none() && self.verdict.refusal().is_none();
        self.access() == Access::Public || is_preflight
    }

    fn lines(&self, number: Number) -> Vec<String> {
        match number {
            Number::Form => self.form_lines(),
            Number::EarlyLimits => self.limit_lines(false),
            Number::Token => self.token_lines(),
            Number::Revocation => match &self.verdict.caller {
                Some(_) => vec!["not revoked".to_owned()],
                None => Vec::new(),
            },
            Number::LateLimits => self.limit_lines(true),
            Number::Permission => self.permission_lines(),
        }
    }

    fn form_lines(&self) -> Vec<String> {
        let label = self.policy.route_label(self.verdict.route);
        vec![match (label, self.route()) {
            (Some(label), Some((place, route))) => {
                let path = route.path.as_deref().unwrap_or_default();
                format!("route {label} ({path}, /routes/{place})")
            }
            (Some(label), None) => format!("the revocation endpoint {label}"),
            (None, _) => "no route has this path and method".to_owned(),
        }]
    }

    fn limit_lines(&self, after_token: bool) -> Vec<String> {
        let mut lines = self.judged_lines(after_token);
        if let (false, Some(limit)) = (after_token, &self.raw.auth_failure_limit)
            && !self.is_public()
            && let (Some(failures), Some(seconds)) = (limit.max_failures, limit.window_seconds)
        {
            lines.push(format!(
                "at most {failures} refused tokens in {seconds} seconds (/auth_failure_limit)"
            ));
        }
        lines
    }

    /// What is to be said of the limits that were judged.
    fn judged_lines(&self, after_token: bool) -> Vec<String> {
        let limits: Vec<(String, &RawLimit)> = all(self.raw).collect();
        let told = |judged: &Judged| {
            let (pointer, limit) = limits.get(judged.limit)?;
            (needs_token(limit) == after_token).then(|| {
                let what = match judged.outcome.standing {
                    Standing::Admitted => "admits",
                    Standing::Warned => "admits, and warns",
                    Standing::Refused => "refuses",
                    Standing::Contended => "refuses: its counter stays contended",
                };
                format!(
                    "{} {what}: {} of {} requests in {} seconds for each {} ({pointer})",
                    limit.name.as_deref().unwrap_or_default(),
                    judged.outcome.used,
                    judged.quota.max_requests,
                    judged.quota.window_seconds,
                    limit.key.join(", "),
                )
            })
        };
        self.verdict.limits.iter().filter_map(told).collect()
    }

    fn token_lines(&self) -> Vec<String> {
        let Some(caller) = &self.verdict.caller else { return Vec::new() };
        let token = &caller.token;
        let kid = self.policy.kid(token.key()).map(|kid| format!(", kid {kid:?}")).unwrap_or_default();
        let mut lines = vec![
            format!("verifies with /tokens/keys/{}{kid}", token.key().index()),
            format!("subject {:?}", token.subject().unwrap_or_default()),
            format!("permissions {:?}", token.permissions_text()),
        ];
        if self.verdict.age == Age::Old {
            let hours = self.raw.tokens.max_token_age_hours;
            lines.push(format!("older than {hours} hours: it passes, and is logged"));
        }
        lines
    }

    fn permission_lines(&self) -> Vec<String> {
        if self.verdict.caller.is_none() {
            return Vec::new();
        }
        let mut lines = Vec::new();
        if let Some((place, route)) = self.route() {
            if let Some(required) = &route.required_permissions {
                lines
                    .push(format!("needs {} (/routes/{place}/required_permissions)", required.join(" and ")));
            }
            if let Some(any) = &route.any_permissions {
                lines.push(format!("needs {} (/routes/{place}/any_permissions)", any.join(" or ")));
            }
            for (parameter, claim) in &route.bind {
                lines.push(format!("{{{parameter}}} must be the claim {claim} (/routes/{place}/bind)"));
            }
        }
        if lines.is_empty() {
            lines.push(format!("{} asks for a token and for nothing more", self.place()));
        }
        lines
    }

    /// Where the configuration has the rule that decided.
    pub(super) fn rule(&self) -> String {
        let Some(denial) = self.denial.or(self.verdict.reported.as_ref()) else {
            return match self.access() {
                Access::Public | Access::Deny => self.place(),
                Access::Authenticated if self.route().is_some() || self.verdict.revokes => self.place(),
                Access::Authenticated => "/unmatched_routes".to_owned(),
            };
        };
        let of_route = |field: &str, set: bool| match self.route() {
            Some((place, _)) if set => format!("/routes/{place}/{field}"),
            _ => format!("/request/{field}"),
        };
        let route = self.route().map(|(_, route)| route);
        match denial {
            Denial::Form(faults) => match faults.iter().next() {
                Some(FormFault::HttpsRequired) => "/request/https_only".to_owned(),
                Some(FormFault::MethodNotAllowed { .. }) => self.method_rule(),
                Some(FormFault::UnsupportedMediaType { .. }) => {
                    of_route("content_types", route.is_some_and(|route| route.content_types.is_some()))
                }
                Some(FormFault::TooLarge { .. }) => of_route(
                    "max_request_size_bytes",
                    route.is_some_and(|route| route.max_request_size_bytes.is_some()),
                ),
                Some(FormFault::Malformed(_) | FormFault::PathAmbiguous(_)) | None => {
                    "holds for every request".to_owned()
                }
            },
            Denial::RateLimited(over) => over
                .limit
                .and_then(|place| all(self.raw).nth(place))
                .map_or("/rate_limits".to_owned(), |(pointer, _)| pointer),
            Denial::AuthFailuresLimited(_) => "/auth_failure_limit".to_owned(),
            Denial::CredentialsAmbiguous => "/tokens/sources".to_owned(),
            Denial::TokenMissing | Denial::RouteDenied => self.place(),
            Denial::Token(fault) => token_rule(fault).to_owned(),
            Denial::TokenRevoked => "/revocation/denied".to_owned(),
            Denial::PermissionMissing { any, .. } => {
                let field = if *any { "any_permissions" } else { "required_permissions" };
                format!("{}/{field}", self.place())
            }
            Denial::BindingMismatch => format!("{}/bind", self.place()),
            Denial::CannotRevoke(_) => "/revocation/endpoint".to_owned(),
            Denial::RevocationFull => "/revocation/capacity".to_owned(),
            Denial::Fault(_) => "a fault of api-guard itself".to_owned(),
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

fn is_of_limit(denial: &Denial) -> bool {
    denial.over_limit().is_some()
}

const fn token_rule(fault: &TokenFault) -> &'static str {
    match fault {
        TokenFault::Malformed(_)
        | TokenFault::AlgorithmRefused
        | TokenFault::Expired
        | TokenFault::NotYetValid
        | TokenFault::IssuedInFuture
        | TokenFault::ClaimInvalid { .. } => "/tokens",
        TokenFault::KeyUnknown | TokenFault::SignatureInvalid => "/tokens/keys",
        TokenFault::TooOld => "/tokens/max_token_age_hours",
        TokenFault::ClaimMissing(_) => "/tokens/required_claims",
        TokenFault::IssuerRefused => "/tokens/issuers",
        TokenFault::AudienceRefused => "/tokens/audiences",
        TokenFault::PermissionsMalformed(_) => "/tokens/permission_format",
    }
}
