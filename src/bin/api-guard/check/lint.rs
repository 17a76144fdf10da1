//! What is legal in a plugin configuration but dangerous.

use api_guard_core::config::raw::{MethodOverride, RawConfig};
use api_guard_core::policy::{Access, AddressFrom, Mode};

use super::{limits, routes, secrets};
use crate::limits::all;

/// One danger.
pub(crate) struct Warning {
    pub(crate) rule: &'static str,
    pub(crate) pointer: String,
    pub(crate) text: String,
}

/// Warnings while they are gathered.
#[derive(Default)]
pub(super) struct Warnings(pub(super) Vec<Warning>);

impl Warnings {
    pub(super) fn add(&mut self, rule: &'static str, pointer: impl Into<String>, text: impl Into<String>) {
        self.0.push(Warning { rule, pointer: pointer.into(), text: text.into() });
    }
}

/// An hour of tolerance makes an expired token a good one.
const LARGEST_SKEW: u64 = 300;
/// One customer has all addresses below a /64.
const LONGEST_PREFIX: u64 = 64;

/// Everything that is dangerous. `lookup`: the values of variables, where they are known.
pub(crate) fn warnings(raw: &RawConfig, lookup: &dyn Fn(&str) -> Option<Vec<u8>>) -> Vec<Warning> {
    let mut out = Warnings::default();
    modes(raw, &mut out);
    secrets::check(raw, lookup, &mut out);
    tokens(raw, &mut out);
    if raw.unmatched_routes == Access::Public {
        let text = "every path without a route is open to everybody; write \"authenticated\" or \"deny\"";
        out.add("unmatched-public", "/unmatched_routes", text);
    }
    if raw.request.method_override == MethodOverride::Keep {
        let text = "a backend that obeys these headers runs another method than the one that was allowed; \
                    write \"strip\"";
        out.add("method-override", "/request/method_override", text);
    }
    routes::check(raw, &mut out);
    limits::check(raw, &mut out);
    if raw.client_ip.ipv6_prefix > LONGEST_PREFIX {
        let text = "one customer has all addresses below a /64, and so as many counters as they like; \
                    write 64 or less";
        out.add("ipv6-prefix", "/client_ip/ipv6_prefix", text);
    }
    out.0
}

fn modes(raw: &RawConfig, out: &mut Warnings) {
    const TEXT: &str = "what is refused here passes, and is only counted and logged; \
                        write \"enforce\" when the trial is over";
    if raw.mode == Mode::Report {
        out.add("report-mode", "/mode", TEXT);
    }
    for (place, route) in raw.routes.iter().enumerate() {
        if route.mode == Some(Mode::Report) {
            out.add("report-mode", format!("/routes/{place}/mode"), TEXT);
        }
    }
    for (pointer, limit) in all(raw) {
        if limit.mode == Some(Mode::Report) {
            out.add("report-mode", format!("{pointer}/mode"), TEXT);
        }
    }
}

fn tokens(raw: &RawConfig, out: &mut Warnings) {
    let tokens = &raw.tokens;
    for (place, source) in tokens.sources.iter().enumerate() {
        if source.query.is_some() {
            let text = "a token in the query ends up in logs, histories and Referer headers (RFC 6750 section 5.3); \
                        take it from a header";
            out.add("query-token", format!("/tokens/sources/{place}/query"), text);
        }
    }
    if !tokens.required_claims.iter().any(|claim| claim == "exp") {
        let text = "a token without exp never expires; add \"exp\"";
        out.add("no-expiry", "/tokens/required_claims", text);
    }
    if tokens.clock_skew_seconds > LARGEST_SKEW {
        let text =
            format!("expired tokens are good for {} s more; write at most 300", tokens.clock_skew_seconds);
        out.add("large-skew", "/tokens/clock_skew_seconds", text);
    }
}

/// Whether clients' addresses decide anything.
pub(super) fn counts_addresses(raw: &RawConfig) -> bool {
    let by_address = all(raw).any(|(_, limit)| limit.key.iter().any(|part| part == "client_ip"));
    by_address || raw.auth_failure_limit.is_some() || raw.client_ip.from == AddressFrom::ExternalAddress
}
