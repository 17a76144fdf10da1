//! Sections `rate_limits`, for all routes and of single ones.

use super::tokens::claim_text;
use super::{LONGEST_WINDOW, Parts, is_token};
use crate::config::raw::{RawLimit, RawMaxRequests};
use crate::index::LimitIndex;
use crate::json::Pointer;
use crate::lookup::Lookup;
use crate::policy::{AUTH_FAILURES, KeyPart, LimitRule, MaxRequests};

const KEY_PARTS: &str = "write client_ip, subject, route, path, method, claim:NAME or header:NAME";

/// All limits of a configuration; names are unique among them.
#[derive(Default)]
pub(super) struct Limits {
    pub(super) rules: Vec<LimitRule>,
    /// Each name's place in `named`.
    names: Lookup,
    named: Vec<Pointer>,
}

impl Limits {
    /// Adds the limits of one list; their indexes in [`Limits::rules`].
    pub(super) fn add(&mut self, parts: &mut Parts<'_>, raw: Vec<RawLimit>, at: &Pointer) -> Vec<LimitIndex> {
        let mut indexes = Vec::new();
        for (place, limit) in raw.into_iter().enumerate() {
            if let Some(rule) = self.build(parts, limit, &at.index(place)) {
                indexes.push(LimitIndex::new(self.rules.len()));
                self.rules.push(rule);
            }
        }
        indexes
    }

    fn build(&mut self, parts: &mut Parts<'_>, raw: RawLimit, at: &Pointer) -> Option<LimitRule> {
        let name = self.name(parts, raw.name, at.field("name"));
        let max_requests = max_requests(parts, raw.max_requests, &at.field("max_requests"));
        let window_seconds = parts.problems.positive(
            at.field("window_seconds"),
            raw.window_seconds,
            LONGEST_WINDOW,
            "seconds",
        );
        let warn_at_percent = raw.warn_at_percent.and_then(|percent| {
            parts.problems.within(at.field("warn_at_percent"), percent, 1, 100, "percent")
        });
        let at = at.field("key");
        if raw.key.is_empty() {
            parts.problems.add(at.clone(), "empty list", KEY_PARTS);
        }
        parts.problems.unique(&at, &raw.key);
        let key: Vec<KeyPart> = raw
            .key
            .iter()
            .enumerate()
            .filter_map(|(place, part)| key_part(parts, part, at.index(place)))
            .collect();
        let max_requests = max_requests?;
        let by_token = |part: &KeyPart| matches!(part, KeyPart::Subject | KeyPart::Claim(_));
        let needs_token = key.iter().any(by_token) || matches!(max_requests, MaxRequests::ByClaim { .. });
        Some(LimitRule {
            name: name?,
            max_requests,
            window_seconds: window_seconds?,
            warn_at_percent: warn_at_percent.and_then(|percent| u8::try_from(percent).ok()),
            key,
            mode: raw.mode,
            needs_token,
        })
    }

    fn name(&mut self, parts: &mut Parts<'_>, name: Option<String>, at: Pointer) -> Option<String> {
        let Some(name) = name else {
            parts.problems.add(at, "missing", r#"write a unique name, such as "default""#);
            return None;
        };
        // The name stands in headers and in the names of metrics.
        let known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if name.is_empty() || name.len() > 64 || !name.bytes().all(known) {
            parts.problems.add(at, "not a limit's name", "write 1 to 64 letters, digits, - and _");
            return None;
        }
        if name == AUTH_FAILURES {
            parts.problems.add(at, "the name that auth_failure_limit has", "choose another name");
            return None;
        }
        if let Some(first) = self.names.get(&name).and_then(|place| self.named.get(place)) {
            parts.problems.add(at, format!("the same name as {first}"), "give each limit a name of its own");
            return None;
        }
        self.names.enter(&name, self.named.len());
        self.named.push(at);
        Some(name)
    }
}

fn max_requests(parts: &mut Parts<'_>, raw: Option<RawMaxRequests>, at: &Pointer) -> Option<MaxRequests> {
    let most = u64::from(u32::MAX);
    match raw {
        None => parts.problems.positive(at.clone(), None, most, "requests").map(MaxRequests::Fixed),
        Some(RawMaxRequests::Fixed(number)) => {
            parts.problems.positive(at.clone(), Some(number), most, "requests").map(MaxRequests::Fixed)
        }
        Some(RawMaxRequests::ByClaim(tiers)) => {
            let claim = match tiers.claim {
                Some(claim) => Some(claim_text(parts, &claim, at.field("claim"))),
                None => {
                    parts.problems.add(at.field("claim"), "missing", "write the claim that names the tier");
                    None
                }
            };
            if tiers.values.is_empty() {
                parts.problems.add(
                    at.field("values"),
                    "no tier",
                    r#"write at least one, such as {"pro": 5000}"#,
                );
            }
            let mut values = Vec::new();
            for (tier, number) in tiers.values {
                let at = at.field("values").field(&tier);
                if let Some(number) = parts.problems.positive(at, Some(number), most, "requests") {
                    values.push((tier, number));
                }
            }
            let default = parts.problems.positive(at.field("default"), tiers.default, most, "requests");
            Some(MaxRequests::ByClaim { slot: claim?, values, default: default? })
        }
    }
}

fn key_part(parts: &mut Parts<'_>, part: &str, at: Pointer) -> Option<KeyPart> {
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
                parts.problems.add(at, "not a part of a key", KEY_PARTS);
                None
            }
        },
    }
}
