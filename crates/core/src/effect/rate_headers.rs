//! How are clients told about limits? By `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers) and the older
//! `X-RateLimit-*` ones.

use super::Header;
use crate::denial::{Denial, OverLimit};
use crate::policy::{Policy, RateLimitHeaders};
use crate::verdict::Judged;

/// The figures of one limit.
struct Figures<'a> {
    name: &'a str,
    max_requests: u32,
    window_seconds: u32,
    remaining: u32,
    reset_seconds: u32,
}

/// `Retry-After` and the header families for the limit that refused; no headers for other refusals.
pub(super) fn of_refusal(policy: &Policy, denial: &Denial) -> Vec<Header> {
    let Some(over) = denial.over_limit() else { return Vec::new() };
    let OverLimit { max_requests, window_seconds, retry_after_seconds, .. } = *over;
    let figures = Figures {
        name: &over.name,
        max_requests,
        window_seconds,
        remaining: 0,
        reset_seconds: retry_after_seconds,
    };
    let mut headers = vec![("retry-after", retry_after_seconds.to_string().into())];
    headers.extend(families(policy, &figures));
    headers
}

/// The limit that the headers of an admitted response describe: the one with the least left. `None` if no limit was
/// judged, or if the policy sends no such headers.
pub fn tightest(policy: &Policy, judged: &[Judged]) -> Option<Judged> {
    if policy.replies.rate_limit_headers == RateLimitHeaders::None {
        return None;
    }
    judged.iter().min_by_key(|judged| judged.outcome.remaining).copied()
}

/// The header families for an admitted response.
pub fn of_admission(policy: &Policy, tightest: &Judged) -> Vec<Header> {
    families(
        policy,
        &Figures {
            name: policy.limit(tightest.limit).map_or("", |rule| &rule.name),
            max_requests: tightest.quota.max_requests.get(),
            window_seconds: tightest.quota.window_seconds.get(),
            remaining: tightest.outcome.remaining,
            reset_seconds: tightest.outcome.reset_seconds,
        },
    )
}

fn families(policy: &Policy, figures: &Figures<'_>) -> Vec<Header> {
    let Figures { name, max_requests, window_seconds, remaining, reset_seconds } = figures;
    let (draft, legacy) = match policy.replies.rate_limit_headers {
        RateLimitHeaders::Draft => (true, false),
        RateLimitHeaders::Legacy => (false, true),
        RateLimitHeaders::Both => (true, true),
        RateLimitHeaders::None => (false, false),
    };
    let mut headers: Vec<Header> = Vec::new();
    if draft {
        headers.push(("ratelimit-policy", format!(r#""{name}";q={max_requests};w={window_seconds}"#).into()));
        headers.push(("ratelimit", format!(r#""{name}";r={remaining};t={reset_seconds}"#).into()));
    }
    if legacy {
        headers.push(("x-ratelimit-limit", max_requests.to_string().into()));
        headers.push(("x-ratelimit-remaining", remaining.to_string().into()));
        headers.push(("x-ratelimit-reset", reset_seconds.to_string().into()));
    }
    headers
}
