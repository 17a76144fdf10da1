//! Steps 2 and 5: which limits apply, to whom, and do they admit?

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use super::form::Form;
use super::{Caller, Judged, Proxy, Verdict, Visit, Worker};
use crate::config::AUTH_FAILURES;
use crate::config::raw::{Access, AddressFrom, Mode};
use crate::config::{ClientIp, KeyPart, LimitRule, MaxRequests};
use crate::decision::{Denial, OverLimit};
use crate::limit::{Charge, Identity, Limiter, Outcome, Quota, Standing};
use crate::request::Request;

impl<P: Proxy> Visit<'_, '_, P> {
    /// Limits whose key needs no token: judged and spent before any cryptography. With them, whether this address
    /// has failed to authenticate too often.
    pub(super) fn spend_early_limits(
        &self,
        worker: &mut Worker,
        form: &Form<'_>,
        verdict: &mut Verdict,
    ) -> Result<(), Denial> {
        if form.access != Access::Public
            && let Some(charge) = self.failures_charge(&worker.limiter)
        {
            let outcome = worker.limiter.peek(self.proxy.cells(), &charge, self.now)?;
            if !outcome.admits() {
                return Err(Denial::AuthFailuresLimited(over(None, AUTH_FAILURES, charge.quota, outcome)));
            }
        }
        self.spend(worker, form, None, false, verdict)
    }

    /// Limits whose key needs the token: judged together, spent only if all admit.
    pub(super) fn spend_late_limits(
        &self,
        worker: &mut Worker,
        form: &Form<'_>,
        caller: Option<&Caller>,
        verdict: &mut Verdict,
    ) -> Result<(), Denial> {
        self.spend(worker, form, caller, true, verdict)
    }

    /// Counts a failed authentication of this address.
    pub(super) fn record_failure(&self, worker: &mut Worker) -> Result<(), Denial> {
        match self.failures_charge(&worker.limiter) {
            None => Ok(()),
            Some(charge) => Ok(worker.limiter.record(self.proxy.cells(), &charge, self.now).map(drop)?),
        }
    }

    fn spend(
        &self,
        worker: &mut Worker,
        form: &Form<'_>,
        caller: Option<&Caller>,
        needs_token: bool,
        verdict: &mut Verdict,
    ) -> Result<(), Denial> {
        let of_route = form.route.map(|route| route.limits.as_slice()).unwrap_or_default();
        let places: Vec<usize> = (self.policy.limits_for_all.iter().chain(of_route).copied())
            .filter(|&place| {
                self.policy.limits.get(place).is_some_and(|rule| rule.needs_token == needs_token)
            })
            .collect();
        if places.is_empty() {
            return Ok(());
        }
        let charges: Vec<Charge> = (places.iter().filter_map(|&place| self.policy.limits.get(place)))
            .map(|rule| Charge {
                identity: self.identity(&worker.limiter, rule, form, caller),
                overflow: worker.limiter.overflow(&rule.name),
                quota: quota(rule, caller),
                enforced: rule.mode.unwrap_or(verdict.mode) == Mode::Enforce,
            })
            .collect();
        let mut outcomes = Vec::with_capacity(charges.len());
        let Worker { limiter, leases, .. } = worker;
        limiter.admit(self.proxy.cells(), leases, &charges, &mut outcomes, self.now)?;
        let mut refused: Option<OverLimit> = None;
        for ((&place, charge), outcome) in places.iter().zip(&charges).zip(outcomes) {
            verdict.limits.push(Judged { limit: place, quota: charge.quota, outcome });
            if outcome.admits() {
                continue;
            }
            let name = self.policy.limits.get(place).map_or("", |rule| &rule.name);
            let over = over(Some(place), name, charge.quota, outcome);
            if !charge.enforced {
                verdict.reported.get_or_insert(Denial::RateLimited(over));
            } else if refused
                .as_ref()
                .is_none_or(|first| first.retry_after_seconds < over.retry_after_seconds)
            {
                // The one that takes longest: whoever waits that long is admitted by all.
                refused = Some(over);
            }
        }
        refused.map_or(Ok(()), |over| Err(Denial::RateLimited(over)))
    }

    fn failures_charge(&self, limiter: &Limiter) -> Option<Charge> {
        let quota = self.policy.auth_failures?;
        let address = address_bytes(self.address());
        let identity = limiter.identity(AUTH_FAILURES, [address.as_slice()]);
        Some(Charge { identity, overflow: limiter.overflow(AUTH_FAILURES), quota, enforced: true })
    }

    fn address(&self) -> Option<IpAddr> {
        *self.address.get_or_init(|| client_address(self.policy.client_ip, self.request, self.proxy))
    }

    /// The digest of a limit's key. A tag stands before each part: "no subject" is nobody's subject.
    fn identity(
        &self,
        limiter: &Limiter,
        rule: &LimitRule,
        form: &Form<'_>,
        caller: Option<&Caller>,
    ) -> Identity {
        let address =
            if rule.key.contains(&KeyPart::ClientIp) { address_bytes(self.address()) } else { Vec::new() };
        let mut parts: Vec<&[u8]> = Vec::with_capacity(rule.key.len().saturating_mul(2));
        for part in &rule.key {
            match part {
                KeyPart::ClientIp => parts.extend([b"client_ip".as_slice(), &address]),
                KeyPart::Subject => match caller.and_then(|caller| caller.token.subject()) {
                    Some(subject) => parts.extend([b"subject".as_slice(), subject.as_bytes()]),
                    None => parts.push(b"anonymous"),
                },
                KeyPart::Route => {
                    let label = form.route.map_or("", |route| &route.label);
                    parts.extend([b"route".as_slice(), label.as_bytes()]);
                }
                KeyPart::Path => parts.extend([b"path".as_slice(), form.target.path().as_bytes()]),
                KeyPart::Method => parts.extend([b"method".as_slice(), form.method.as_bytes()]),
                KeyPart::Claim(slot) => match caller.and_then(|caller| caller.token.claim(*slot)) {
                    Some(claim) => parts.extend([b"claim".as_slice(), claim.text.as_bytes()]),
                    None => parts.push(b"no claim"),
                },
                KeyPart::Header(header) => {
                    parts.push(b"header");
                    let values = self.request.key_headers.iter().filter(|(place, _)| place == header);
                    parts.extend(values.map(|(_, value)| *value));
                }
            }
        }
        limiter.identity(&rule.name, parts)
    }
}

fn quota(rule: &LimitRule, caller: Option<&Caller>) -> Quota {
    let max_requests = match &rule.max_requests {
        MaxRequests::Fixed(number) => *number,
        MaxRequests::ByClaim { slot, values, default } => {
            let tier = caller.and_then(|caller| caller.token.claim(*slot));
            let number = tier.and_then(|tier| values.iter().find(|(name, _)| *name == tier.text));
            number.map_or(*default, |(_, number)| *number)
        }
    };
    Quota { max_requests, window_seconds: rule.window_seconds, warn_at_percent: rule.warn_at_percent }
}

fn over(limit: Option<usize>, name: &str, quota: Quota, outcome: Outcome) -> OverLimit {
    let contended = outcome.standing == Standing::Contended;
    OverLimit {
        limit,
        name: name.to_owned(),
        used: if contended { quota.max_requests.get() } else { outcome.used },
        max_requests: quota.max_requests.get(),
        window_seconds: quota.window_seconds.get(),
        retry_after_seconds: outcome.retry_after_seconds.max(1),
    }
}

/// The client's address as limits count it. An IPv4 address in IPv6 form is that IPv4 address; of other IPv6
/// addresses the configured prefix counts, because one customer has all addresses below it.
pub(super) fn client_address(rule: ClientIp, request: &Request<'_>, proxy: &impl Proxy) -> Option<IpAddr> {
    let external = match rule.from {
        AddressFrom::SourceAddress => None,
        AddressFrom::ExternalAddress => request.external_address.and_then(parse_address),
    };
    let address = external.or_else(|| parse_address(&proxy.source_address()?))?;
    Some(match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let cut = 128_u32.saturating_sub(u32::from(rule.ipv6_prefix));
            let mask = u128::MAX.checked_shl(cut).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() & mask))
        }
    })
}

/// With a port, as in `source.address`, or without, as in Envoy's header.
fn parse_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    text.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| text.parse()).ok()
}

/// Callers without an IP address (a Unix socket) are counted as one.
fn address_bytes(address: Option<IpAddr>) -> Vec<u8> {
    match address {
        Some(IpAddr::V4(address)) => address.octets().to_vec(),
        Some(IpAddr::V6(address)) => address.octets().to_vec(),
        None => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_and_without_port() {
        let parse = |text: &str| parse_address(text.as_bytes()).map(|address| address.to_string());
        assert_eq!(parse("127.0.0.1:47302").as_deref(), Some("127.0.0.1"));
        assert_eq!(parse("[2001:db8::1]:0").as_deref(), Some("2001:db8::1"));
        assert_eq!(parse("2001:db8::1").as_deref(), Some("2001:db8::1"));
        for bad in ["", "@/tmp/socket", "127.0.0.1,10.0.0.1", "localhost"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
