//! What is logged: one JSON line for each refusal, and a few for what passes but should be known.
//!
//! No token, no secret, no query. What a client sent is escaped, and cut. Repeats of one refusal from one client are
//! sampled, so that a flood does not make refusing the expensive part.

use std::net::IpAddr;

use crate::decision::{Code, Denial};
use crate::guard::{Judged, Verdict};
use crate::json::text::Object;
use crate::policy::Policy;
use crate::time::UnixNanos;

/// What a log line needs of a request after its headers are gone.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    /// The method, lossily decoded.
    pub method: String,
    /// The path without the query.
    pub path: String,
    /// Envoy's `x-request-id`.
    pub request_id: String,
    /// The client's address as limits count it.
    pub client_ip: Option<IpAddr>,
}

/// One line for the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// How loud it is.
    pub level: log::Level,
    /// One JSON object.
    pub text: String,
}

/// SPEC section 9, in its order.
struct Fields<'a> {
    event: &'a str,
    code: Option<Code>,
    has_status: bool,
    method: &'a str,
    path: &'a str,
    route: Option<&'a str>,
    client_ip: Option<IpAddr>,
    sub: Option<&'a str>,
    kid: Option<&'a str>,
    jti: Option<&'a str>,
    request_id: &'a str,
    limit: Option<&'a str>,
    /// Of how many.
    used: Option<(u32, u32)>,
}

fn fields<'a>(event: &'a str, policy: &'a Policy, verdict: &'a Verdict, subject: &'a Subject) -> Fields<'a> {
    let caller = verdict.caller.as_deref();
    Fields {
        event,
        code: None,
        has_status: false,
        method: &subject.method,
        path: &subject.path,
        route: policy.route_label(verdict.route),
        client_ip: subject.client_ip,
        sub: caller.and_then(|caller| caller.token.subject()),
        kid: caller.and_then(|caller| policy.tokens.keys.kid(caller.token.key())),
        jti: caller.and_then(|caller| caller.token.jti()),
        request_id: &subject.request_id,
        limit: None,
        used: None,
    }
}

fn line(level: log::Level, fields: &Fields<'_>) -> Line {
    let mut line = Object::new();
    line.text("event", fields.event);
    line.text_if_any("code", fields.code.map(Code::as_str));
    if let Some(code) = fields.code.filter(|_| fields.has_status) {
        line.number("status", code.status().into());
    }
    line.text("method", fields.method);
    line.text("path", fields.path);
    line.text_or_null("route", fields.route);
    line.text_or_null("client_ip", fields.client_ip.map(|address| address.to_string()).as_deref());
    line.text_or_null("sub", fields.sub);
    line.text_or_null("kid", fields.kid);
    line.text_or_null("jti", fields.jti);
    line.text("request_id", fields.request_id);
    line.text_if_any("limit", fields.limit);
    if let Some((used, max_requests)) = fields.used {
        line.number("used", used);
        line.number("max_requests", max_requests);
    }
    Line { level, text: line.end() }
}

/// The line of a refusal. A revoked token in use is an error: somebody has what they should not have.
pub fn refused(
    policy: &Policy,
    denial: &Denial,
    verdict: &Verdict,
    subject: &Subject,
    carried_out: bool,
) -> Line {
    let code = denial.code();
    let event = if carried_out { "refused" } else { "would_refuse" };
    let level = if code == Code::TokenRevoked { log::Level::Error } else { log::Level::Warn };
    let limit = denial.over_limit().map(|over| over.name.as_str());
    let common = fields(event, policy, verdict, subject);
    line(level, &Fields { code: Some(code), has_status: true, limit, ..common })
}

/// The line of a token older than `max_token_age_hours` that is let pass ([`crate::token::Age::Old`]).
pub fn old_token(policy: &Policy, verdict: &Verdict, subject: &Subject) -> Line {
    let common = fields("warned", policy, verdict, subject);
    line(log::Level::Info, &Fields { code: Some(Code::TokenTooOld), ..common })
}

/// The line of a caller who comes near a limit.
pub fn near_limit(policy: &Policy, judged: &Judged, verdict: &Verdict, subject: &Subject) -> Line {
    let common = fields("limit_warned", policy, verdict, subject);
    line(
        log::Level::Warn,
        &Fields {
            limit: policy.limit(judged.limit).map(|rule| rule.name.as_str()),
            used: Some((judged.outcome.used, judged.quota.max_requests.get())),
            ..common
        },
    )
}

/// Lines of one code and one client that are written in full in a period; of what follows, one in `SAMPLE`.
const BURST: u32 = 20;
const SAMPLE: u32 = 100;
const PERIOD_SECONDS: u64 = 10;
/// Places in each half of the sampler.
const PLACES: usize = 1024;

/// Decides which refusals are logged. Each counts in one place of either half, and the lower count decides: who meets
/// a flood in one place has another one to themselves, and taking turns at one place wins nobody a new burst. So
/// memory is bounded, and so is what all clients together can make it write.
#[derive(Debug)]
pub struct Sampler {
    halves: [[Counted; PLACES]; 2],
}

/// Lines since the beginning of a place's period.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    since: UnixNanos,
    lines: u32,
}

impl Default for Sampler {
    fn default() -> Self {
        Self { halves: [[Counted::default(); PLACES]; 2] }
    }
}

impl Counted {
    fn add(&mut self, now: UnixNanos) -> u32 {
        if now < self.since || self.since.plus_seconds(PERIOD_SECONDS) <= now {
            *self = Self { since: now, lines: 0 };
        }
        self.lines = self.lines.saturating_add(1);
        self.lines
    }
}

impl Sampler {
    /// Whether the refusal with `code` of the client at `address` is to be logged.
    pub fn admits(&mut self, code: Code, address: Option<IpAddr>, now: UnixNanos) -> bool {
        let client = match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => u64::from(address.to_bits()),
            Some(IpAddr::V6(address)) => u64::try_from(address.to_bits() >> 64).unwrap_or(0),
            None => 0,
        };
        let of_code = code
            .as_str()
            .bytes()
            .fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let key = client
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(of_code.wrapping_mul(0xff51_afd7_ed55_8ccd));
        let counts = self.halves.iter_mut().zip([54, 44]).filter_map(|(places, shift)| {
            let place = usize::try_from(key >> shift).unwrap_or(0) % PLACES;
            places.get_mut(place).map(|counted| counted.add(now))
        });
        counts.min().is_none_or(|lines| lines <= BURST || lines % SAMPLE == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_sampled_and_others_are_not() {
        let mut sampler = Sampler::default();
        let address = |last| Some(IpAddr::from([10, 0, 0, last]));
        let now = UnixNanos::from_seconds(1000);
        let logged = (0..10_000).filter(|_| sampler.admits(Code::TokenExpired, address(1), now)).count();
        assert_eq!(logged, 120);
        assert!(sampler.admits(Code::TokenMissing, address(1), now));
        assert!(sampler.admits(Code::TokenExpired, address(2), now));
        assert!(sampler.admits(Code::TokenExpired, address(1), now.plus_seconds(10)));
    }

    #[test]
    fn many_who_take_turns_cannot_flood_the_log_either() {
        let mut sampler = Sampler::default();
        let now = UnixNanos::from_seconds(1000);
        let logged = (0..1_000_000_u32)
            .filter(|number| {
                let address = IpAddr::from((0x0a00_0000 + number % 50_000).to_be_bytes());
                sampler.admits(Code::TokenMissing, Some(address), now)
            })
            .count();
        assert!(logged < 31_000, "{logged}");
    }
}
