//! What is logged? One JSON line for each refusal, and lines about old tokens, limits that are nearly used up, key sets
//! and configurations.
//!
//! Lines contain no token, no secret and no query. Text from a client is cut, and what is not printable ASCII is escaped. [`super::sampler`] decides
//! which lines are written.

use std::net::IpAddr;

use crate::code::Code;
use crate::denial::Denial;
use crate::fleet;
use crate::json::text::Object;
use crate::keys::{Ended, FetchOutcome};
use crate::policy::Policy;
use crate::telemetry::VERSION;
use crate::token::key_set::Skipped;
use crate::token::public_key::KeyFault;
use crate::verdict::{Judged, Trail};

/// What a log line says about the request.
#[derive(Debug, Clone, Default)]
pub struct LoggedRequest {
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
    /// The level in the host's log.
    pub level: log::Level,
    /// One JSON object.
    pub text: String,
}

/// The members of a line, in their order.
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
    /// The requests counted in the window, and the limit.
    used: Option<(u32, u32)>,
}

fn fields<'a>(
    event: &'a str,
    policy: &'a Policy,
    trail: &'a Trail,
    request: &'a LoggedRequest,
) -> Fields<'a> {
    let caller = trail.caller();
    Fields {
        event,
        code: None,
        has_status: false,
        method: &request.method,
        path: &request.path,
        route: policy.route_label(trail.form.route),
        client_ip: request.client_ip,
        sub: caller.and_then(|caller| caller.token.subject()),
        kid: caller.and_then(|caller| policy.tokens.keys.kid(caller.token.key())),
        jti: caller.and_then(|caller| caller.token.jti()),
        request_id: &request.request_id,
        limit: None,
        used: None,
    }
}

fn line(level: log::Level, fields: &Fields<'_>) -> Line {
    let mut line = Object::ascii();
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

/// The line about a refusal. The use of a revoked token is logged as an error, because the token may have been stolen.
pub fn refused(
    policy: &Policy,
    denial: &Denial,
    trail: &Trail,
    request: &LoggedRequest,
    carried_out: bool,
) -> Line {
    let code = denial.code();
    let event = if carried_out { "refused" } else { "would_refuse" };
    let level = if code == Code::TokenRevoked { log::Level::Error } else { log::Level::Warn };
    let limit = denial.over_limit().map(|over| over.name.as_str());
    let common = fields(event, policy, trail, request);
    line(level, &Fields { code: Some(code), has_status: true, limit, ..common })
}

/// The line about an admitted token older than `max_token_age_hours` ([`crate::token::Age::Old`]).
pub fn old_token(policy: &Policy, trail: &Trail, request: &LoggedRequest) -> Line {
    let common = fields("warned", policy, trail, request);
    line(log::Level::Info, &Fields { code: Some(Code::TokenTooOld), ..common })
}

/// The line about a configuration that a worker has put in force.
pub(crate) fn configured(policy: &Policy) -> Line {
    let mut line = Object::ascii();
    for (name, text) in [("event", "configured"), ("version", VERSION), ("config", policy.digest())] {
        line.text(name, text);
    }
    for (name, number) in [
        ("routes", policy.routes.len().saturating_sub(usize::from(policy.endpoint.is_some()))),
        ("keys", policy.kids().count()),
        ("key_sets", policy.tokens.keys.sets().len()),
        ("limits", policy.limits.len()),
    ] {
        line.number(name, u32::try_from(number).unwrap_or(u32::MAX));
    }
    Line { level: log::Level::Info, text: line.end() }
}

/// The line about a fetch of a key set that has brought something new. A set with a secret in it is an error, because
/// whoever publishes it has published the secret.
pub fn key_set(set: &str, ended: &Ended) -> Line {
    let mut line = Object::ascii();
    line.text("event", "key_set");
    line.text("set", set);
    line.text("outcome", ended.outcome.as_str());
    if let Some(status) = ended.status {
        line.number("status", u32::from(status));
    }
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    line.number("keys", count(ended.keys));
    line.number("skipped", count(ended.skipped.len()));
    if let Some(skipped) = ended.skipped.first() {
        line.number("first_skipped", count(skipped.index));
        line.text("why", skipped.fault.why());
    }
    let is_secret = |skipped: &Skipped| matches!(skipped.fault, KeyFault::Symmetric | KeyFault::Private);
    let level = if ended.skipped.iter().any(is_secret) {
        log::Level::Error
    } else if ended.outcome == FetchOutcome::Ok {
        log::Level::Info
    } else {
        log::Level::Warn
    };
    Line { level, text: line.end() }
}

/// The line about a call to the store of the fleet that has brought something new: it is reached, or is not any more; it has
/// lost what it held; it may drop what it holds.
pub fn fleet(ended: &fleet::Ended) -> Line {
    let mut line = Object::ascii();
    line.text("event", "fleet");
    line.text("result", ended.outcome.as_str());
    let is_ok = !ended.outcome.is_of_store();
    line.text("store", if is_ok { "reached" } else { "unreachable" });
    if ended.outcome == fleet::CallOutcome::Moved {
        line.text("why", "Redis Cluster is not supported: put a proxy in front of it");
    }
    if ended.has_reset {
        line.text("why", "the store has lost what it held");
    } else if ended.evicts {
        line.text("why", "maxmemory-policy is not noeviction: the store may forget counts and revocations");
    }
    let is_well = is_ok && !ended.has_reset && !ended.evicts;
    Line { level: if is_well { log::Level::Info } else { log::Level::Warn }, text: line.end() }
}

/// The line about a caller who has nearly used up a limit.
pub fn near_limit(policy: &Policy, judged: &Judged, trail: &Trail, request: &LoggedRequest) -> Line {
    let common = fields("limit_warned", policy, trail, request);
    line(
        log::Level::Warn,
        &Fields {
            limit: policy.limit(judged.limit).map(|rule| rule.name.as_str()),
            used: Some((judged.outcome.used, judged.quota.max_requests.get())),
            ..common
        },
    )
}
