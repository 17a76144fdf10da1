//! How are clients told about limits? By `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers) and the older
//! `X-RateLimit-*` ones.

use std::borrow::Cow;

use super::Header;
use crate::decimal::Decimal;
use crate::denial::{Denial, OverLimit};
use crate::policy::{LimitRule, Mode, Policy, RateLimitHeaders};
use crate::verdict::{Judged, Trail};

/// The figures of one limit.
struct Figures<'a> {
    name: &'a str,
    max_requests: u32,
    window_seconds: u32,
    remaining: u32,
    reset_seconds: u32,
}

/// Adds `Retry-After` and the header families for the limit that refused; no headers for other refusals.
pub(super) fn add_of_refusal(headers: &mut Vec<Header>, policy: &Policy, denial: &Denial) {
    let Some(over) = denial.over_limit() else { return };
    let OverLimit { max_requests, window_seconds, retry_after_seconds, .. } = *over;
    let figures = Figures {
        name: &over.name,
        max_requests,
        window_seconds,
        remaining: 0,
        reset_seconds: retry_after_seconds,
    };
    headers.push(("retry-after", number(retry_after_seconds)));
    add_families(headers, policy, &figures);
}

/// The limit that the headers of an admitted response describe: the one with the least left. A limit that only reports, by
/// its own mode or by that of the request, holds nobody back, so clients do not hear of it. `None` if no other was judged, or
/// if the policy sends no such headers.
pub fn tightest(policy: &Policy, trail: &Trail) -> Option<Judged> {
    if policy.replies.rate_limit_headers == RateLimitHeaders::None {
        return None;
    }
    let enforces = |rule: &LimitRule| rule.mode.unwrap_or(trail.form.mode) == Mode::Enforce;
    let enforced = trail.limits.iter().filter(|judged| policy.limit(judged.limit).is_some_and(enforces));
    enforced.min_by_key(|judged| judged.outcome.remaining).copied()
}

/// The header families for an admitted response.
pub fn of_admission(policy: &Policy, tightest: &Judged) -> Vec<Header> {
    let mut headers = Vec::new();
    add_families(
        &mut headers,
        policy,
        &Figures {
            name: policy.limit(tightest.limit).map_or("", |rule| &rule.name),
            max_requests: tightest.quota.max_requests.get(),
            window_seconds: tightest.quota.window_seconds.get(),
            remaining: tightest.outcome.remaining,
            reset_seconds: tightest.outcome.reset_seconds,
        },
    );
    headers
}

fn number(number: u32) -> Cow<'static, str> {
    str::to_owned(&Decimal::of(number)).into()
}

fn add_families(headers: &mut Vec<Header>, policy: &Policy, figures: &Figures<'_>) {
    let Figures { name, max_requests, window_seconds, remaining, reset_seconds } = *figures;
    let (draft, legacy) = match policy.replies.rate_limit_headers {
        RateLimitHeaders::Draft => (true, false),
        RateLimitHeaders::Legacy => (false, true),
        RateLimitHeaders::Both => (true, true),
        RateLimitHeaders::None => (false, false),
    };
    if draft {
        let [q, w, r, t] = [max_requests, window_seconds, remaining, reset_seconds].map(Decimal::of);
        headers.push(("ratelimit-policy", ["\"", name, "\";q=", &q, ";w=", &w].concat().into()));
        headers.push(("ratelimit", ["\"", name, "\";r=", &r, ";t=", &t].concat().into()));
    }
    if legacy {
        headers.push(("x-ratelimit-limit", number(max_requests)));
        headers.push(("x-ratelimit-remaining", number(remaining)));
        headers.push(("x-ratelimit-reset", number(reset_seconds)));
    }
}
