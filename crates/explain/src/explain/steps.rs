//! The steps of a decision in words: the guard's trail, with the names and pointers of the configuration.

use api_guard_core::config::raw::{RawLimit, RawRoute, Scope};
use api_guard_core::denial::Denial;
use api_guard_core::effect;
use api_guard_core::limit::Standing;
use api_guard_core::policy::Access;
use api_guard_core::request::credential::{self, Presented};
use api_guard_core::token::{Age, TokenFault};
use api_guard_core::verdict::{Excepted, Judged, Stage, State};

use super::Explained;
use super::condition::condition_text;
use crate::limits::{all, needs_token, skips};
use crate::refused::Judge;
use crate::words;

/// One step.
pub struct Step {
    /// Its name.
    pub name: &'static str,
    /// What came of it.
    pub state: State,
    /// Details, one per line.
    pub lines: Vec<String>,
}

/// The outcome as it is printed.
pub const fn state_text(state: State) -> &'static str {
    match state {
        State::Passed => "passed",
        State::Refused => "refused",
        State::Reported => "would refuse",
        State::Skipped => "skipped",
        State::NotReached => "not reached",
    }
}

impl Explained<'_, '_> {
    /// The route in the configuration; `None` for unmatched paths and for the revocation endpoint.
    pub fn route(&self) -> Option<(usize, &RawRoute)> {
        let index = self.trail.form.route?.get();
        self.raw.routes.get(index).map(|route| (index, route))
    }

    /// The pointer to the rule that says who may use this path.
    pub fn pointer(&self) -> String {
        match self.route() {
            Some((index, _)) => format!("/routes/{index}"),
            None if self.trail.form.revokes => "/revocation/endpoint".to_owned(),
            None => "/unmatched_routes".to_owned(),
        }
    }

    /// All steps.
    pub fn steps(&self) -> Vec<Step> {
        let step = |stage: Stage, state: State| {
            let mut lines = match state {
                State::NotReached => Vec::new(),
                State::Skipped => self.skipped_lines(stage),
                State::Passed | State::Reported | State::Refused => self.lines(stage),
            };
            let refusal = match state {
                State::Refused => self.denial,
                State::Reported => self.reported,
                State::NotReached | State::Skipped | State::Passed => None,
            };
            lines.splice(0..0, refusal.map(effect::reasons).unwrap_or_default());
            if let Some(Denial::KeysUnavailable { .. }) = refusal {
                lines.extend(self.unknown_sets.iter().cloned());
            }
            if let Some(Denial::Token(fault)) = refusal {
                lines.extend(self.refused_lines(fault));
            }
            Step { name: stage.name(), state, lines }
        };
        self.trail.entries().map(|entry| step(entry.stage, entry.state)).collect()
    }

    fn skipped_lines(&self, stage: Stage) -> Vec<String> {
        match stage {
            Stage::Token | Stage::Revocation | Stage::Permission if self.trail.form.preflight => {
                vec!["a preflight needs no token (/request/cors_preflight)".to_owned()]
            }
            Stage::Token | Stage::Revocation | Stage::Permission
                if self.trail.form.access == Access::Optional =>
            {
                vec![format!("no token is sent, and {} does without one", self.pointer())]
            }
            Stage::Token | Stage::Revocation | Stage::Permission => {
                vec![format!("{} does not ask for a token", self.pointer())]
            }
            Stage::Addresses => vec![format!("{} admits every address", self.pointer())],
            Stage::EarlyLimits | Stage::LateLimits => {
                let lines = self.unjudged_lines(stage);
                if lines.is_empty() { vec!["there is none".to_owned()] } else { lines }
            }
            Stage::Form => Vec::new(),
        }
    }

    fn lines(&self, stage: Stage) -> Vec<String> {
        match stage {
            Stage::Form => self.form_lines(),
            Stage::Addresses => self.address_lines(),
            Stage::EarlyLimits | Stage::LateLimits => self.limit_lines(stage),
            Stage::Token => self.token_lines(),
            Stage::Revocation => match self.trail.caller() {
                Some(_) => vec!["not revoked".to_owned()],
                None => Vec::new(),
            },
            Stage::Permission => self.permission_lines(),
        }
    }

    fn form_lines(&self) -> Vec<String> {
        let label = self.policy.route_label(self.trail.form.route);
        let mut lines = vec![match (label, self.route()) {
            (Some(label), Some((index, route))) => {
                let path = route.path.as_deref().unwrap_or_default();
                format!("route {label} ({path}, /routes/{index})")
            }
            (Some(label), None) => format!("the revocation endpoint {label}"),
            (None, _) => "no route has this path and method".to_owned(),
        }];
        lines.extend(self.body_line());
        lines
    }

    fn address_lines(&self) -> Vec<String> {
        let Some((index, route)) = self.route() else { return Vec::new() };
        let mut lines = Vec::new();
        for (field, what, networks) in
            [("allow_from", "only from", &route.allow_from), ("deny_from", "not from", &route.deny_from)]
        {
            if let Some(networks) = networks {
                lines.push(format!("{what} {} (/routes/{index}/{field})", networks.join(", ")));
            }
        }
        lines
    }

    /// The lines about the limits that were judged.
    fn limit_lines(&self, stage: Stage) -> Vec<String> {
        let limits: Vec<(String, &RawLimit)> = all(self.raw).collect();
        let told = |judged: &Judged| {
            let (pointer, limit) = limits.get(judged.limit.get())?;
            let what = match judged.outcome.standing {
                Standing::Admitted => "admits",
                Standing::Warned => "admits, and warns",
                Standing::Refused => "refuses",
                Standing::Contended => "refuses: its counter stays contended",
            };
            let apart = if self.trail.form.preflight { ", preflights apart" } else { "" };
            let shared = match limit.scope {
                Scope::Fleet => ", shared by the fleet",
                Scope::Envoy => "",
            };
            Some(format!(
                "{} {what}: {} of {} requests in {} seconds for each {}{apart}{shared} ({pointer})",
                limit.name.as_deref().unwrap_or_default(),
                judged.outcome.used,
                judged.quota.max_requests,
                judged.quota.window_seconds,
                limit.key.join(", "),
            ))
        };
        let mut lines: Vec<String> = self.trail.limits_of(stage).filter_map(told).collect();
        lines.extend(self.unjudged_lines(stage));
        if stage == Stage::EarlyLimits
            && self.trail.failures_judged
            && let Some(limit) = &self.raw.auth_failure_limit
            && let (Some(failures), Some(seconds)) = (limit.max_failures, limit.window_seconds)
        {
            lines.push(format!(
                "at most {failures} tokens that nobody signed in {seconds} seconds (/auth_failure_limit)"
            ));
        }
        lines
    }

    /// The lines about the limits of a step that did not apply.
    fn unjudged_lines(&self, stage: Stage) -> Vec<String> {
        let limits: Vec<(String, &RawLimit)> = all(self.raw).collect();
        let mut lines = Vec::new();
        if let Some((index, route)) = self.route() {
            let is_skipped =
                |limit: &&RawLimit| skips(route, limit) && needs_token(limit) == (stage == Stage::LateLimits);
            for limit in self.raw.rate_limits.iter().filter(is_skipped) {
                let name = limit.name.as_deref().unwrap_or_default();
                lines.push(format!("{name} does not apply to this route (/routes/{index}/skip_limits)"));
            }
        }
        let excepted = self.trail.excepted.iter().filter(|excepted| excepted.stage == stage);
        lines.extend(excepted.filter_map(|Excepted { limit, .. }| {
            let (pointer, limit) = limits.get(limit.get())?;
            let name = limit.name.as_deref().unwrap_or_default();
            Some(format!("{name} does not count this address ({pointer}/except_addresses)"))
        }));
        lines
    }

    fn token_lines(&self) -> Vec<String> {
        let Some(facts) = &self.trail.token else { return Vec::new() };
        let Some(caller) = &facts.caller else { return Vec::new() };
        let token = &caller.token;
        let kid = self.policy.kid(token.key()).map(|kid| format!(", kid {kid:?}")).unwrap_or_default();
        let mut lines = vec![
            format!("verifies with {}{kid}", words::key_pointer(token.key())),
            format!("subject {:?}", token.subject().unwrap_or_default()),
            format!("permissions {:?}", token.permissions_text()),
        ];
        if facts.age == Age::Old {
            let hours = self.raw.tokens.max_token_age_hours;
            lines.push(format!("older than {hours} hours: it passes, and is logged"));
        }
        lines
    }

    /// What the refused token has, and what is taken in its place.
    fn refused_lines(&self, fault: &TokenFault) -> Vec<String> {
        let judge = Judge { raw: self.raw, policy: self.policy, sets: &self.sets, now: self.now };
        let query = self.request.path.and_then(|path| path.splitn(2, |byte| *byte == b'?').nth(1));
        match credential::find(self.policy.sources(), self.request, query) {
            Presented::Token(token) => judge.lines(token, fault),
            Presented::Nothing | Presented::Unread | Presented::Ambiguous => Vec::new(),
        }
    }

    fn permission_lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some((index, route)) = self.route() {
            if let Some(required) = &route.required_permissions {
                lines
                    .push(format!("needs {} (/routes/{index}/required_permissions)", required.join(" and ")));
            }
            if let Some(any) = &route.any_permissions {
                lines.push(format!("needs {} (/routes/{index}/any_permissions)", any.join(" or ")));
            }
            for (parameter, claim) in &route.bind {
                lines.push(format!("{{{parameter}}} must be the claim {claim} (/routes/{index}/bind)"));
            }
            if let Some(unless) = &route.bind_unless {
                let permissions = unless.join(" or ");
                lines.push(format!("unless the caller has {permissions} (/routes/{index}/bind_unless)"));
            }
            for (number, condition) in route.require.iter().flatten().enumerate() {
                lines.push(format!("{} (/routes/{index}/require/{number})", condition_text(condition)));
            }
        }
        if lines.is_empty() {
            let asks = match self.trail.form.access {
                Access::Optional => "asks for nothing",
                Access::Public | Access::Authenticated | Access::Deny => "asks for a token and nothing more",
            };
            lines.push(format!("{} {asks}", self.pointer()));
        }
        lines
    }
}
