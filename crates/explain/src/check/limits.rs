//! Limits that can be dodged, or that never refuse anybody.

use std::collections::{HashMap, HashSet};

use api_guard_core::config::raw::{RawConfig, RawLimit, RawMaxRequests, RawRoute, Scope};
use api_guard_core::policy::{Access, CorsPreflight, Mode, Unmatched};

use super::lint::Warnings;
use crate::limits::{all, needs_token, skips};

pub(super) fn check(raw: &RawConfig, out: &mut Warnings) {
    if all(raw).next().is_none() {
        out.add("no-limits", "/rate_limits", "nothing limits how many requests clients send; add a limit");
    }
    before_the_token(raw, out);
    unused_fleet(raw, out);
    for (index, limit) in raw.rate_limits.iter().enumerate() {
        let pointer = format!("/rate_limits/{index}");
        keys(raw, None, &pointer, limit, out);
        same_routes(raw, &pointer, limit, out);
    }
    for (number, route) in raw.routes.iter().enumerate() {
        for (index, limit) in route.rate_limits.iter().flatten().enumerate() {
            keys(raw, Some(route), &format!("/routes/{number}/rate_limits/{index}"), limit, out);
        }
    }
    for (pointer, limit) in all(raw) {
        exceptions(&pointer, limit, out);
    }
    let for_all = rules(raw, &raw.rate_limits, None);
    let everywhere: Vec<Rule<'_>> = for_all.iter().map(|rule| rule.skipped_by(raw)).collect();
    compare(&everywhere, &everywhere, out);
    for (number, route) in raw.routes.iter().enumerate() {
        let own = rules(raw, route.rate_limits.as_deref().unwrap_or_default(), Some(number));
        let applying: Vec<Rule<'_>> =
            for_all.iter().filter(|rule| !skips(route, rule.limit)).cloned().collect();
        compare(&applying, &own, out);
        compare(&own, &own, out);
    }
}

/// Those of a list that have one number for everybody.
fn rules<'r>(raw: &RawConfig, limits: &'r [RawLimit], route: Option<usize>) -> Vec<Rule<'r>> {
    let limits = limits.iter().enumerate();
    limits.filter_map(|(index, limit)| Rule::new(raw, index, limit, route)).collect()
}

/// Warns of a limit that counts nobody.
fn exceptions(pointer: &str, limit: &RawLimit, out: &mut Warnings) {
    for (index, network) in limit.except_addresses.iter().flatten().enumerate() {
        if network.ends_with("/0") {
            let text = format!(
                "{network} is every address of its kind, so that the limit counts none of these clients; name the \
                 networks of your own clients"
            );
            out.add("wide-exception", format!("{pointer}/except_addresses/{index}"), text);
        }
    }
}

/// Warns where nothing ends the tokens of one client before they are verified.
fn before_the_token(raw: &RawConfig, out: &mut Warnings) {
    if raw.auth_failure_limit.is_some() {
        return;
    }
    let verifies = raw.unmatched_routes != Unmatched::Public
        || raw.routes.iter().any(|route| route.access != Access::Public);
    let varied = |part: &String| part == "path" || part.starts_with("header:");
    let ends = |limit: &RawLimit| !needs_token(limit) && !limit.key.iter().any(varied);
    if raw.rate_limits.iter().any(ends) {
        let is_open = |route: &RawRoute| {
            let mut own = route.rate_limits.iter().flatten();
            let mut for_all = raw.rate_limits.iter().filter(|limit| !skips(route, limit));
            route.access != Access::Public && !own.any(ends) && !for_all.any(ends)
        };
        for (index, _) in raw.routes.iter().enumerate().filter(|(_, route)| is_open(route)) {
            let text = "nothing ends the forged tokens that one client can have verified here; add auth_failure_limit, \
                        or skip no limit that is judged before the token";
            out.add("no-early-limit", format!("/routes/{index}/skip_limits"), text);
        }
    } else if verifies {
        let text = "nothing ends the forged tokens that one client can have verified; add auth_failure_limit, such as \
                    {\"max_failures\": 20, \"window_seconds\": 60}, or a limit by client_ip alone";
        out.add("no-early-limit", "/auth_failure_limit", text);
    }
}

/// Warns of a fleet whose Envoys share nothing.
fn unused_fleet(raw: &RawConfig, out: &mut Warnings) {
    let shares = all(raw).any(|(_, limit)| limit.scope == Scope::Fleet) || raw.revocation.fleet.is_some();
    if raw.fleet.is_some() && !shares {
        let text = "nothing is shared, so each Envoy counts and revokes for itself; write \"scope\": \"fleet\" into a limit, or \
                    \"fleet\": {} into revocation";
        out.add("fleet-unused", "/fleet", text);
    }
}

/// Warns of keys that a client can vary, or that callers share who should not. `route`: whose limit it is, if it is not
/// for all.
fn keys(raw: &RawConfig, route: Option<&RawRoute>, pointer: &str, limit: &RawLimit, out: &mut Warnings) {
    for (index, part) in limit.key.iter().enumerate() {
        let at = format!("{pointer}/key/{index}");
        if let Some(name) = part.strip_prefix("header:") {
            let text = format!("a client dodges the limit by changing {name}; count client_ip or subject");
            out.add("header-key", at, text);
        } else if part == "path" && varies_without_token(raw, route, limit) {
            let text = "a client without a token dodges the limit by changing the path, and fills the table for \
                        others; count route instead";
            out.add("path-key", at, text);
        } else if part == "subject"
            && !limit.key.iter().any(|part| part == "client_ip")
            && let Some(who) = without_subject(raw, route, limit)
        {
            let text = format!(
                "{who} have no subject and share one counter, so that one of them uses up the limit for all; add \
                 client_ip to the key, or give the limit to the routes that need a token"
            );
            out.add("subject-key", at, text);
        }
    }
}

/// Warns of routes that a limit by route counts as one, because it knows them by their name or path alone.
fn same_routes(raw: &RawConfig, pointer: &str, limit: &RawLimit, out: &mut Warnings) {
    let Some(part) = limit.key.iter().position(|part| part == "route") else { return };
    let by_method = limit.key.iter().any(|part| part == "method");
    let is_parted = |one: &RawRoute, other: &RawRoute| match (&one.methods, &other.methods) {
        (Some(ones), Some(others)) => by_method && !ones.iter().any(|method| others.contains(method)),
        (None, _) | (_, None) => false,
    };
    let mut known: HashMap<&str, Vec<(usize, &RawRoute)>> = HashMap::new();
    for (index, route) in raw.routes.iter().enumerate().filter(|(_, route)| !skips(route, limit)) {
        let Some(label) = route.name.as_deref().or(route.path.as_deref()) else { continue };
        let same = known.entry(label).or_default();
        if let Some((first, _)) = same.iter().find(|(_, other)| !is_parted(other, route)) {
            let text = format!(
                "/routes/{first} and /routes/{index} share one counter, because the name of each, or its path \
                 where it has none, is {label:?}; give each a name of its own"
            );
            out.add("route-key", format!("{pointer}/key/{part}"), text);
        }
        same.push((index, route));
    }
}

/// Whether a client without a token can choose among the paths that a limit counts.
fn varies_without_token(raw: &RawConfig, route: Option<&RawRoute>, limit: &RawLimit) -> bool {
    let late = needs_token(limit);
    let has_parameter = |route: &RawRoute| route.path.as_deref().is_some_and(|path| path.contains('{'));
    let is_open =
        |route: &RawRoute| has_parameter(route) && matches!(route.access, Access::Public | Access::Optional);
    let preflights = raw.request.cors_preflight == CorsPreflight::Forward;
    match route {
        Some(route) => has_parameter(route) && (!late || preflights) || is_open(route),
        None => {
            !late
                || preflights
                || raw.unmatched_routes == Unmatched::Public
                || counted(raw, limit).any(is_open)
        }
    }
}

/// The routes that a limit for all counts.
fn counted<'r>(raw: &'r RawConfig, limit: &RawLimit) -> impl Iterator<Item = &'r RawRoute> {
    raw.routes.iter().filter(move |route| !skips(route, limit))
}

/// Which callers a limit counts that have no subject.
fn without_subject(raw: &RawConfig, route: Option<&RawRoute>, limit: &RawLimit) -> Option<&'static str> {
    let any = |access: Access| match route {
        Some(route) => route.access == access,
        None => {
            Access::from(raw.unmatched_routes) == access
                || counted(raw, limit).any(|route| route.access == access)
        }
    };
    let has_subject = raw.tokens.required_claims.contains(&raw.tokens.subject_claim);
    if any(Access::Public) {
        Some("callers of public routes")
    } else if any(Access::Optional) {
        Some("callers without a token, which an optional route admits,")
    } else if raw.request.cors_preflight == CorsPreflight::Forward {
        Some("preflights")
    } else if any(Access::Authenticated) && !has_subject {
        Some("tokens without a subject, whose claim required_claims does not list,")
    } else {
        None
    }
}

/// A limit with one number for everybody.
#[derive(Clone)]
struct Rule<'r> {
    limit: &'r RawLimit,
    pointer: String,
    name: &'r str,
    max: u64,
    window: u64,
    key: HashSet<&'r str>,
    excepted: HashSet<&'r str>,
    /// The indexes of the routes that skip it, where that matters.
    skipped: HashSet<usize>,
    enforced: bool,
}

impl<'r> Rule<'r> {
    fn new(raw: &RawConfig, index: usize, limit: &'r RawLimit, route: Option<usize>) -> Option<Self> {
        let Some(RawMaxRequests::Fixed(max)) = limit.max_requests else { return None };
        let mode_of_route = route.and_then(|route| raw.routes.get(route)?.mode).unwrap_or(raw.mode);
        let excepted = limit.except_addresses.iter().flatten();
        Some(Self {
            limit,
            pointer: match route {
                None => format!("/rate_limits/{index}"),
                Some(route) => format!("/routes/{route}/rate_limits/{index}"),
            },
            name: limit.name.as_deref()?,
            max,
            window: limit.window_seconds.filter(|window| *window > 0)?,
            key: limit.key.iter().map(String::as_str).collect(),
            excepted: excepted.map(String::as_str).collect(),
            skipped: HashSet::new(),
            enforced: limit.mode.unwrap_or(mode_of_route) == Mode::Enforce,
        })
    }

    /// The rule, with the routes that skip it.
    fn skipped_by(&self, raw: &RawConfig) -> Self {
        let routes = raw.routes.iter().enumerate();
        let skipped = routes.filter(|(_, route)| skips(route, self.limit)).map(|(index, _)| index);
        Self { skipped: skipped.collect(), ..self.clone() }
    }

    /// Whether this limit always refuses no later than `other` would, so that `other` never has an effect.
    fn makes_useless(&self, other: &Self) -> bool {
        // A limit whose key has fewer parts reaches higher counts.
        let most_in_window = self.max.saturating_mul(other.window.div_ceil(self.window));
        let applies = self.excepted.is_subset(&other.excepted) && self.skipped.is_subset(&other.skipped);
        self.enforced == other.enforced
            && applies
            && self.key.is_subset(&other.key)
            && most_in_window <= other.max
    }
}

/// Notes which of `others` never refuse because of one of `limits`.
fn compare(limits: &[Rule<'_>], others: &[Rule<'_>], out: &mut Warnings) {
    for other in others {
        let stricter = limits.iter().find(|limit| {
            let twins = limit.makes_useless(other) && other.makes_useless(limit);
            // Of two equivalent limits, only the second is reported.
            limit.pointer != other.pointer
                && limit.makes_useless(other)
                && (!twins || limit.pointer < other.pointer)
        });
        let Some(limit) = stricter else { continue };
        let figures = |rule: &Rule<'_>| format!("{} in {} s", rule.max, rule.window);
        let both = format!(
            "{} ({}) never refuses, because {} ({}, {}) always refuses first",
            other.name,
            figures(other),
            limit.name,
            figures(limit),
            limit.pointer,
        );
        if limit.window > other.window {
            let text =
                format!("a longer window has a lower limit: {both}; lower this one, or raise the other");
            out.add("longer-window-lower-limit", format!("{}/max_requests", other.pointer), text);
        } else {
            let text = format!("{both}; remove it, or lower it");
            out.add("useless-limit", format!("{}/max_requests", other.pointer), text);
        }
    }
}
