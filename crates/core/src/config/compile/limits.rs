//! Sections `rate_limits` (global and per route), `auth_failure_limit` and `client_ip`.

use std::num::NonZeroU32;

use super::conditions::network_list;
use super::grammar::is_token;
use super::problems::Problems;
use super::tokens::claim_text;
use super::{Parts, Path};
use crate::config::raw::{RawAuthFailureLimit, RawClientIp, RawLimit, RawMaxRequests, RawTiers};
use crate::index::LimitIndex;
use crate::json::Pointer;
use crate::limit::Quota;
use crate::lookup::Lookup;
use crate::policy::{AUTH_FAILURES, ClientIp, KeyPart, LONGEST_WINDOW_SECONDS, LimitRule, MaxRequests};

const KEY_PARTS: &str = "write client_ip, subject, route, path, method, claim:NAME or header:NAME";

/// Stands for every limit for all routes. No limit can have the name.
const ALL_LIMITS: &str = "*";

/// All limits of a configuration; names are unique among them.
#[derive(Default)]
pub(super) struct Limits {
    pub(super) rules: Vec<LimitRule>,
    /// By name, an index into `named`.
    names: Lookup,
    /// The pointer of each name.
    named: Vec<Pointer>,
    /// How many of the names are of limits for all routes. Those come first.
    for_all: usize,
}

impl Limits {
    /// Adds the limits for all routes, before those of any route.
    pub(super) fn add_for_all(&mut self, parts: &mut Parts<'_>, raw: Vec<RawLimit>) -> Vec<LimitIndex> {
        let indexes = self.add(parts, raw, &Path::Root.field("rate_limits"));
        self.for_all = self.named.len();
        indexes
    }

    /// Adds the limits of a route.
    pub(super) fn add_of_route(
        &mut self,
        parts: &mut Parts<'_>,
        raw: Option<Vec<RawLimit>>,
        at: &Path<'_>,
    ) -> Vec<LimitIndex> {
        let Some(raw) = raw else { return Vec::new() };
        if raw.is_empty() {
            let instead = r#"write "skip_limits": ["*"] where the limits for all routes are not to apply, or remove it"#;
            parts.problems.add(at, "empty list, which takes no limit away", instead);
        }
        self.add(parts, raw, at)
    }

    /// Adds the limits of one list and returns their indexes in [`Limits::rules`].
    fn add(&mut self, parts: &mut Parts<'_>, raw: Vec<RawLimit>, at: &Path<'_>) -> Vec<LimitIndex> {
        let mut indexes = Vec::new();
        for (index, limit) in raw.into_iter().enumerate() {
            if let Some(rule) = self.rule(parts, limit, &at.index(index)) {
                indexes.push(LimitIndex::new(self.rules.len()));
                self.rules.push(rule);
            }
        }
        indexes
    }

    /// The limits for all routes that a route skips.
    pub(super) fn skipped(
        &self,
        problems: &mut Problems,
        raw: Option<&[String]>,
        at: &Path<'_>,
    ) -> Vec<LimitIndex> {
        let Some(raw) = raw else { return Vec::new() };
        if raw.is_empty() {
            let instead = r#"name at least one limit, or write ["*"] for all, or remove the field"#;
            problems.add(at, "empty list", instead);
        }
        problems.unique(at, raw);
        let all = raw.iter().position(|name| name == ALL_LIMITS);
        if let (Some(index), true) = (all, raw.iter().any(|name| name != ALL_LIMITS)) {
            let instead = r#"write ["*"] alone, or names alone"#;
            problems.add(&at.index(index), "all limits, beside the names of some", instead);
        }
        for (index, name) in raw.iter().enumerate() {
            let is_known = self.names.get(name).is_some_and(|index| index < self.for_all);
            if name != ALL_LIMITS && !is_known {
                let instead = r#"write the name of one, or ["*"] for all"#;
                problems.add(&at.index(index), "no limit of rate_limits has this name", instead);
            }
        }
        let is_skipped = |rule: &LimitRule| all.is_some() || raw.contains(&rule.name);
        let rules = self.rules.iter().take(self.for_all).enumerate();
        rules.filter(|(_, rule)| is_skipped(rule)).map(|(index, _)| LimitIndex::new(index)).collect()
    }

    fn rule(&mut self, parts: &mut Parts<'_>, raw: RawLimit, at: &Path<'_>) -> Option<LimitRule> {
        let name = self.name(parts, raw.name, &at.field("name"));
        let max_requests = max_requests(parts, raw.max_requests, &at.field("max_requests"));
        let window_seconds = window(&mut parts.problems, raw.window_seconds, at);
        let warn_at_percent = raw.warn_at_percent.and_then(|percent| {
            parts.problems.within(&at.field("warn_at_percent"), percent, 1, 100, "percent")
        });
        let excepted = network_list(parts, raw.except_addresses.as_deref(), &at.field("except_addresses"));
        let at = &at.field("key");
        if raw.key.is_empty() {
            parts.problems.add(at, "empty list", KEY_PARTS);
        }
        parts.problems.unique(at, &raw.key);
        let key: Vec<KeyPart> = raw
            .key
            .iter()
            .enumerate()
            .filter_map(|(index, part)| key_part(parts, part, &at.index(index)))
            .collect();
        let max_requests = max_requests?;
        let needs_token = max_requests.needs_token() || key.iter().any(KeyPart::needs_token);
        Some(LimitRule {
            name: name?,
            max_requests,
            window_seconds: window_seconds?,
            warn_at_percent: warn_at_percent.and_then(|percent| u8::try_from(percent).ok()),
            key,
            excepted,
            mode: raw.mode,
            needs_token,
        })
    }

    fn name(&mut self, parts: &mut Parts<'_>, name: Option<String>, at: &Path<'_>) -> Option<String> {
        let Some(name) = name else {
            parts.problems.add(at, "missing", r#"write a unique name, such as "default""#);
            return None;
        };
        // The name becomes part of headers and of metric names.
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(known) {
            parts.problems.add(at, "not a limit name", "write 1 to 64 letters, digits, - or _");
            return None;
        }
        if name == AUTH_FAILURES {
            parts.problems.add(at, "the name is reserved for auth_failure_limit", "choose another name");
            return None;
        }
        if let Some(first) = self.names.get(&name).and_then(|index| self.named.get(index)) {
            parts.problems.add(at, format!("the same name as {first}"), "give each limit a name of its own");
            return None;
        }
        self.names.enter(&name, self.named.len());
        self.named.push(at.pointer());
        Some(name)
    }
}

fn max_requests(parts: &mut Parts<'_>, raw: Option<RawMaxRequests>, at: &Path<'_>) -> Option<MaxRequests> {
    let fixed = match raw {
        Some(RawMaxRequests::ByClaim(tiers)) => return by_claim(parts, tiers, at),
        Some(RawMaxRequests::Fixed(number)) => Some(number),
        None => None,
    };
    parts.problems.positive(at, fixed, u32::MAX, "requests").map(MaxRequests::Fixed)
}

fn by_claim(parts: &mut Parts<'_>, raw: RawTiers, at: &Path<'_>) -> Option<MaxRequests> {
    let slot = match raw.claim {
        Some(claim) => Some(claim_text(parts, &claim, &at.field("claim"))),
        None => {
            parts.problems.add(&at.field("claim"), "missing", "write the claim that names the tier");
            None
        }
    };
    if raw.values.is_empty() {
        let instead = r#"write at least one, such as {"pro": 5000}"#;
        parts.problems.add(&at.field("values"), "no tiers", instead);
    }
    let default = parts.problems.positive(&at.field("default"), raw.default, u32::MAX, "requests");
    let mut values = Vec::new();
    let at = &at.field("values");
    for (tier, number) in raw.values {
        let number = parts.problems.positive(&at.field(&tier), Some(number), u32::MAX, "requests");
        values.extend(number.map(|number| (tier, number)));
    }
    Some(MaxRequests::ByClaim { slot: slot?, values, default: default? })
}

fn window(problems: &mut Problems, seconds: Option<u64>, limit: &Path<'_>) -> Option<NonZeroU32> {
    problems.positive(&limit.field("window_seconds"), seconds, LONGEST_WINDOW_SECONDS, "seconds")
}

/// How many failed authentications one address may have.
pub(super) fn auth_failures(
    problems: &mut Problems,
    raw: RawAuthFailureLimit,
    at: &Path<'_>,
) -> Option<Quota> {
    let max_requests = problems.positive(&at.field("max_failures"), raw.max_failures, u32::MAX, "failures");
    let window_seconds = window(problems, raw.window_seconds, at);
    Some(Quota { max_requests: max_requests?, window_seconds: window_seconds?, warn_at_percent: None })
}

/// What counts as the client's address.
pub(super) fn client_ip(problems: &mut Problems, raw: RawClientIp, at: &Path<'_>) -> ClientIp {
    let prefix = problems.within(&at.field("ipv6_prefix"), raw.ipv6_prefix, 1, 128, "bits");
    let ipv6_prefix = prefix.and_then(|bits| u8::try_from(bits).ok()).unwrap_or(128);
    ClientIp { ipv6_prefix, from: raw.from }
}

fn key_part(parts: &mut Parts<'_>, part: &str, at: &Path<'_>) -> Option<KeyPart> {
    match part {
        "client_ip" => Some(KeyPart::ClientIp),
        "subject" => Some(KeyPart::Subject),
        "route" => Some(KeyPart::Route),
        "path" => Some(KeyPart::Path),
        "method" => Some(KeyPart::Method),
        _ => match part.split_once(':') {
            Some(("claim", claim)) => Some(KeyPart::Claim(claim_text(parts, claim, at))),
            Some(("header", name)) if is_token(name) => Some(KeyPart::Header(parts.plan.key(name))),
            _ => {
                parts.problems.add(at, "not a key part", KEY_PARTS);
                None
            }
        },
    }
}
