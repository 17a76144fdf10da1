//! How clients hear of limits: `RateLimit` fields (draft-ietf-httpapi-ratelimit-headers) and their older relatives.

use crate::config::Policy;
use crate::config::raw::RateLimitHeaders;
use crate::decision::{Denial, OverLimit};
use crate::guard::Judged;

/// Figures of one limit.
struct Figures<'a> {
    name: &'a str,
    max_requests: u32,
    window_seconds: u32,
    remaining: u32,
    reset_seconds: u32,
}

/// `Retry-After` and the families of the limit that refused; nothing for other refusals.
pub(super) fn of_refusal(policy: &Policy, denial: &Denial) -> Vec<(&'static str, String)> {
    let Some(over) = denial.over_limit() else { return Vec::new() };
    let OverLimit { max_requests, window_seconds, retry_after_seconds, .. } = *over;
    let figures = Figures {
        name: &over.name,
        max_requests,
        window_seconds,
        remaining: 0,
        reset_seconds: retry_after_seconds,
    };
    let mut headers = vec![("retry-after", retry_after_seconds.to_string())];
    headers.extend(families(policy, &figures));
    headers
}

/// What an admitted response tells of: the limit that has least left. `None` without limits, or where nothing is told.
pub fn tightest(policy: &Policy, judged: &[Judged]) -> Option<Judged> {
    if policy.replies.rate_limit_headers == RateLimitHeaders::None {
        return None;
    }
    judged.iter().min_by_key(|judged| judged.outcome.remaining).copied()
}

/// The families for an admitted response.
pub fn of_admission(policy: &Policy, tightest: &Judged) -> Vec<(&'static str, String)> {
    families(
        policy,
        &Figures {
            name: policy.limits.get(tightest.limit).map_or("", |rule| &rule.name),
            max_requests: tightest.quota.max_requests.get(),
            window_seconds: tightest.quota.window_seconds.get(),
            remaining: tightest.outcome.remaining,
            reset_seconds: tightest.outcome.reset_seconds,
        },
    )
}

fn families(policy: &Policy, figures: &Figures<'_>) -> Vec<(&'static str, String)> {
    let Figures { name, max_requests, window_seconds, remaining, reset_seconds } = figures;
    let draft = [
        ("ratelimit-policy", format!(r#""{name}";q={max_requests};w={window_seconds}"#)),
        ("ratelimit", format!(r#""{name}";r={remaining};t={reset_seconds}"#)),
    ];
    let legacy = [
        ("x-ratelimit-limit", max_requests.to_string()),
        ("x-ratelimit-remaining", remaining.to_string()),
        ("x-ratelimit-reset", reset_seconds.to_string()),
    ];
    match policy.replies.rate_limit_headers {
        RateLimitHeaders::Draft => draft.into(),
        RateLimitHeaders::Legacy => legacy.into(),
        RateLimitHeaders::Both => draft.into_iter().chain(legacy).collect(),
        RateLimitHeaders::None => Vec::new(),
    }
}
