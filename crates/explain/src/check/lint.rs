//! What in a plugin configuration is legal but dangerous?

use api_guard_core::config::raw::{MethodOverride, RawConfig, RawKey, RewriteHeaders};
use api_guard_core::policy::{AddressFrom, Mode, Unmatched};

use super::{issuers, key_sets, limits, routes, secrets};
use crate::limits::all;

/// One danger.
pub struct Warning {
    /// A name for it, for machines.
    pub rule: &'static str,
    /// The JSON pointer to it in the configuration.
    pub pointer: String,
    /// What is dangerous, and what to write instead.
    pub text: String,
}

/// Warnings while they are gathered.
#[derive(Default)]
pub struct Warnings(pub Vec<Warning>);

impl Warnings {
    pub(super) fn add(&mut self, rule: &'static str, pointer: impl Into<String>, text: impl Into<String>) {
        self.0.push(Warning { rule, pointer: pointer.into(), text: text.into() });
    }
}

/// The largest tolerance for clocks without a warning, seconds: it extends the life of expired tokens.
const LARGEST_SKEW: u64 = 300;
/// The longest IPv6 prefix without a warning, bits: one customer usually holds a /64.
const LONGEST_PREFIX: u64 = 64;

/// All warnings about a configuration. `lookup`: the values of variables, as far as they are known. `domains`: the hosts
/// that Envoy serves, if they are known. `has_several_issuers`: whether tokens of more than one issuer may be accepted.
pub fn warnings(
    raw: &RawConfig,
    lookup: &dyn Fn(&str) -> Option<Vec<u8>>,
    domains: Option<&[&str]>,
    has_several_issuers: bool,
) -> Vec<Warning> {
    let mut out = Warnings::default();
    modes(raw, &mut out);
    secrets::check(raw, lookup, &mut out);
    tokens(raw, &mut out);
    if has_several_issuers {
        issuers::check(raw, &mut out);
    }
    key_sets::check(raw, &mut out);
    if raw.unmatched_routes == Unmatched::Public {
        let text = "every path without a route is open to everybody; write \"authenticated\" or \"deny\"";
        out.add("unmatched-public", "/unmatched_routes", text);
    }
    if raw.request.method_override == MethodOverride::Keep {
        let text = "a backend that obeys these headers runs a different method than the one allowed; \
                    write \"strip\"";
        out.add("method-override", "/request/method_override", text);
    }
    if raw.request.rewrite_headers == RewriteHeaders::Keep {
        let text = "a backend that obeys these headers serves a different path than the one that was judged; \
                    write \"strip\"";
        out.add("rewrite-headers", "/request/rewrite_headers", text);
    }
    routes::check(raw, domains, &mut out);
    limits::check(raw, &mut out);
    if raw.client_ip.ipv6_prefix > LONGEST_PREFIX {
        let text = "one customer holds all addresses in a /64, and so gets as many counters as they like; \
                    write 64 or less";
        out.add("ipv6-prefix", "/client_ip/ipv6_prefix", text);
    }
    out.0
}

fn modes(raw: &RawConfig, out: &mut Warnings) {
    const TEXT: &str = "refused requests still pass here, and are only counted and logged; \
                        write \"enforce\" when the trial is over";
    if raw.mode == Mode::Report {
        out.add("report-mode", "/mode", TEXT);
    }
    for (index, route) in raw.routes.iter().enumerate() {
        if route.mode == Some(Mode::Report) {
            // The refusal of another method goes by the mode of the path's routes.
            let more = if route.methods.is_some() { ", whatever their method," } else { "" };
            out.add(
                "report-mode",
                format!("/routes/{index}/mode"),
                TEXT.replacen(" still", &format!("{more} still"), 1),
            );
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
    for (index, source) in tokens.sources.iter().enumerate() {
        if source.query.is_some() {
            let text = "a token in the query ends up in logs, histories and Referer headers (RFC 6750 section 5.3); \
                        take it from a header";
            out.add("query-token", format!("/tokens/sources/{index}/query"), text);
        }
    }
    let unbound = tokens.keys.iter().filter(|key| vouches_for_all(key)).count();
    if tokens.issuers.len() > 1 && unbound > 1 {
        let text = "each key verifies tokens of every issuer, so whoever has the key of one can sign as the others; \
                    name the issuers of each key in its \"issuers\"";
        out.add("unbound-keys", "/tokens/issuers", text);
    }
    if !tokens.required_claims.iter().any(|claim| claim == "exp") {
        let text = "a token without exp never expires; add \"exp\"";
        out.add("no-expiry", "/tokens/required_claims", text);
    }
    if tokens.clock_skew_seconds > LARGEST_SKEW {
        let text =
            format!("expired tokens stay valid for {} s; write at most 300", tokens.clock_skew_seconds);
        out.add("large-skew", "/tokens/clock_skew_seconds", text);
    }
}

/// Whether a key verifies the tokens of every issuer that no key names.
const fn vouches_for_all(key: &RawKey) -> bool {
    key.issuers.is_empty()
}

/// Whether any decision depends on the path.
pub fn judges_paths(raw: &RawConfig) -> bool {
    let counts = |part: &String| part == "path" || part == "route";
    !raw.routes.is_empty() || all(raw).any(|(_, limit)| limit.key.iter().any(counts))
}

/// Whether any decision depends on the host.
pub fn judges_hosts(raw: &RawConfig) -> bool {
    raw.routes.iter().any(|route| route.hosts.is_some())
}

/// Whether any address opens something.
pub fn trusts_addresses(raw: &RawConfig) -> bool {
    let by_route = raw.routes.iter().any(|route| route.allow_from.is_some() || route.deny_from.is_some());
    by_route || all(raw).any(|(_, limit)| limit.except_addresses.is_some())
}

/// Whether any setting depends on clients' addresses.
pub fn counts_addresses(raw: &RawConfig) -> bool {
    let by_address = all(raw).any(|(_, limit)| limit.key.iter().any(|part| part == "client_ip"));
    by_address || raw.auth_failure_limit.is_some() || raw.client_ip.from == AddressFrom::ExternalAddress
}
