//! Steps 2 and 5: which limits apply, to whom, and do they admit?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::form::Form;
use super::{Caller, Judged, Proxy, Verdict, Visit, Worker};
use crate::cells::CellFault;
use crate::decision::{Denial, OverLimit};
use crate::index::LimitIndex;
use crate::limit::{Charge, Identities, Outcome, Quota, Standing};
use crate::policy::{AUTH_FAILURES, Access, AddressFrom, ClientIp, KeyPart, LimitRule, MaxRequests, Mode};
use crate::request::Request;
use crate::seed::Digest;

/// Whether limits of this mode are meant; `None` is the route's. A pointer, so that what judges them is compiled once.
type OfModes = fn(Option<Mode>) -> bool;

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
            && let Some(charge) = self.failures_charge(&worker.failures)
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

    /// Limits that enforce where all else reports, if no step has judged them yet.
    pub(super) fn spend_enforced_limits(
        &self,
        worker: &mut Worker,
        form: &Form<'_>,
        caller: Option<&Caller>,
        needs_token: bool,
        verdict: &mut Verdict,
    ) -> Result<(), Denial> {
        let enforces: OfModes = |mode| mode == Some(Mode::Enforce);
        self.spend_those(worker, form, caller, (needs_token, enforces), verdict)
    }

    /// Counts a failed authentication of this address.
    pub(super) fn record_failure(&self, worker: &mut Worker) -> Result<(), Denial> {
        match self.failures_charge(&worker.failures) {
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
        if verdict.mode == Mode::Enforce {
            return self.spend_those(worker, form, caller, (needs_token, |_| true), verdict);
        }
        // Limits with a mode of their own first: what the others say will not keep the request from passing.
        self.spend_those(worker, form, caller, (needs_token, |mode| mode.is_some()), verdict)?;
        self.spend_those(worker, form, caller, (needs_token, |mode| mode.is_none()), verdict)
    }

    /// Judges the chosen limits together, and spends if all of them admit.
    fn spend_those(
        &self,
        worker: &mut Worker,
        form: &Form<'_>,
        caller: Option<&Caller>,
        (needs_token, of_modes): (bool, OfModes),
        verdict: &mut Verdict,
    ) -> Result<(), Denial> {
        let of_route = form.route.map(|route| route.limits.as_slice()).unwrap_or_default();
        let is_chosen = |limit: LimitIndex| {
            let rule = self.policy.limit(limit);
            rule.is_some_and(|rule| rule.needs_token == needs_token && of_modes(rule.mode))
                && !verdict.limits.iter().any(|judged| judged.limit == limit)
        };
        let mut chosen =
            self.policy.limits_for_all.iter().chain(of_route).copied().filter(|&limit| is_chosen(limit));
        let Some(first) = chosen.next() else { return Ok(()) };
        let Some(second) = chosen.next() else {
            let Worker { limiter, leases, identities, .. } = worker;
            let charge = self.charge(identities, first, form, caller)?;
            let outcome = limiter.admit_one(self.proxy.cells(), leases, &charge, self.now)?;
            return self
                .note(first, &charge, outcome, verdict)
                .map_or(Ok(()), |over| Err(Denial::RateLimited(over)));
        };
        let limits = [first, second].into_iter().chain(chosen).collect();
        self.spend_several(worker, form, caller, limits, verdict)
    }

    #[inline(never)]
    fn spend_several(
        &self,
        worker: &mut Worker,
        form: &Form<'_>,
        caller: Option<&Caller>,
        limits: Vec<LimitIndex>,
        verdict: &mut Verdict,
    ) -> Result<(), Denial> {
        let Worker { limiter, leases, identities, .. } = worker;
        let mut charges = Vec::with_capacity(limits.len());
        for &limit in &limits {
            charges.push(self.charge(identities, limit, form, caller)?);
        }
        let mut outcomes = Vec::with_capacity(limits.len());
        limiter.admit(self.proxy.cells(), leases, &charges, &mut outcomes, self.now)?;
        let mut refused: Option<OverLimit> = None;
        for ((limit, charge), outcome) in limits.into_iter().zip(&charges).zip(outcomes) {
            let over = self.note(limit, charge, outcome, verdict);
            // The one that takes longest: whoever waits that long is admitted by all.
            let seconds = |over: &Option<OverLimit>| over.as_ref().map(|over| over.retry_after_seconds);
            if seconds(&over) > seconds(&refused) {
                refused = over;
            }
        }
        refused.map_or(Ok(()), |over| Err(Denial::RateLimited(over)))
    }

    /// What `limit` charges for this request.
    fn charge(
        &self,
        identities: &[Identities],
        limit: LimitIndex,
        form: &Form<'_>,
        caller: Option<&Caller>,
    ) -> Result<Charge, CellFault> {
        // Always there by the worker's invariant; a limit must not be passed over.
        let (rule, identities) =
            self.policy.limit(limit).zip(identities.get(limit.get())).ok_or(CellFault)?;
        Ok(Charge {
            identity: identities.of_key(|digest| self.add_key(digest, rule, form, caller)),
            overflow: identities.overflow(),
            quota: quota(rule, caller),
            enforced: rule.mode != Some(Mode::Report),
        })
    }

    /// Notes what a limit said; the refusal, if it said no and enforces.
    fn note(
        &self,
        limit: LimitIndex,
        charge: &Charge,
        outcome: Outcome,
        verdict: &mut Verdict,
    ) -> Option<OverLimit> {
        verdict.limits.push(Judged { limit, quota: charge.quota, outcome });
        if outcome.admits() {
            return None;
        }
        let name = self.policy.limit(limit).map_or("", |rule| &rule.name);
        let over = over(Some(limit), name, charge.quota, outcome);
        if charge.enforced {
            return Some(over);
        }
        verdict.reported.get_or_insert(Denial::RateLimited(over));
        None
    }

    fn failures_charge(&self, failures: &Identities) -> Option<Charge> {
        let quota = self.policy.auth_failures?;
        let identity = failures.of_key(|digest| add_address(digest, self.address()));
        Some(Charge { identity, overflow: failures.overflow(), quota, enforced: true })
    }

    fn address(&self) -> Option<IpAddr> {
        *self.address.get_or_init(|| client_address(self.policy.client_ip, self.request, self.proxy))
    }

    /// Adds a limit's key to the digest. A tag stands with each part: "no subject" is nobody's subject.
    fn add_key(&self, digest: &mut Digest, rule: &LimitRule, form: &Form<'_>, caller: Option<&Caller>) {
        for part in &rule.key {
            match part {
                KeyPart::ClientIp => add_address(digest, self.address()),
                KeyPart::Subject => match caller.and_then(|caller| caller.token.subject()) {
                    Some(subject) => digest.add_tagged(tag::SUBJECT, subject.as_bytes()),
                    None => digest.add_tagged(tag::ANONYMOUS, b""),
                },
                KeyPart::Route => {
                    digest.add_tagged(tag::ROUTE, form.route.map_or("", |route| &route.label).as_bytes());
                }
                KeyPart::Path => digest.add_tagged(tag::PATH, form.target.path().as_bytes()),
                KeyPart::Method => digest.add_tagged(tag::METHOD, form.method.as_bytes()),
                KeyPart::Claim(slot) => match caller.and_then(|caller| caller.token.claim(*slot)) {
                    Some(claim) => digest.add_tagged(tag::CLAIM, claim.text.as_bytes()),
                    None => digest.add_tagged(tag::NO_CLAIM, b""),
                },
                KeyPart::Header(header) => {
                    digest.add_tagged(tag::HEADER, b"");
                    let values = self.request.key_headers.iter().filter(|(place, _)| place == header);
                    values.for_each(|(_, value)| digest.add(value));
                }
            }
        }
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

fn over(limit: Option<LimitIndex>, name: &str, quota: Quota, outcome: Outcome) -> OverLimit {
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
    // The usual form, read in one pass.
    ipv4(text).map(IpAddr::V4).or_else(|| parse_any_address(text))
}

/// Four decimal numbers without leading zeros, and perhaps a port; `None` for all else, also where it is an address.
fn ipv4(text: &[u8]) -> Option<Ipv4Addr> {
    let mut octets = [0_u8; 4];
    let mut rest = text;
    for (place, octet) in octets.iter_mut().enumerate() {
        if place > 0 {
            rest = rest.strip_prefix(b".")?;
        }
        let (&first, behind) = rest.split_first()?;
        *octet = digit(first)?;
        rest = behind;
        while *octet > 0
            && let Some((&next, behind)) = rest.split_first()
            && let Some(next) = digit(next)
        {
            *octet = octet.checked_mul(10)?.checked_add(next)?;
            rest = behind;
        }
    }
    match rest.split_first() {
        None => {}
        Some((b':', port)) if (1..=5).contains(&port.len()) && port.iter().all(u8::is_ascii_digit) => {}
        Some(_) => return None,
    }
    Some(Ipv4Addr::from_octets(octets))
}

fn digit(byte: u8) -> Option<u8> {
    byte.checked_sub(b'0').filter(|digit| *digit < 10)
}

#[cold]
#[inline(never)]
fn parse_any_address(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?.trim();
    text.parse::<SocketAddr>().map(|address| address.ip()).or_else(|_| text.parse()).ok()
}

/// Callers without an IP address (a Unix socket) are counted as one.
fn add_address(digest: &mut Digest, address: Option<IpAddr>) {
    match address {
        Some(IpAddr::V4(address)) => digest.add_tagged(tag::CLIENT_IP, &address.octets()),
        Some(IpAddr::V6(address)) => digest.add_tagged(tag::CLIENT_IP, &address.octets()),
        None => digest.add_tagged(tag::CLIENT_IP, &[]),
    }
}

/// What tells the parts of keys apart.
mod tag {
    pub(super) const CLIENT_IP: u8 = 1;
    pub(super) const SUBJECT: u8 = 2;
    pub(super) const ANONYMOUS: u8 = 3;
    pub(super) const ROUTE: u8 = 4;
    pub(super) const PATH: u8 = 5;
    pub(super) const METHOD: u8 = 6;
    pub(super) const CLAIM: u8 = 7;
    pub(super) const NO_CLAIM: u8 = 8;
    pub(super) const HEADER: u8 = 9;
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
        assert_eq!(parse("255.0.10.1").as_deref(), Some("255.0.10.1"));
        // One digit, then the port: the colon is no digit.
        assert_eq!(parse("10.0.0.1:9").as_deref(), Some("10.0.0.1"));
        assert_eq!(parse("10.0.0.9:65535").as_deref(), Some("10.0.0.9"));
        for bad in [
            "",
            "@/tmp/socket",
            "127.0.0.1,10.0.0.1",
            "localhost",
            "256.0.0.1",
            "1.2.3",
            "1.2.3.4.5",
            "01.2.3.4",
            "1.2.3.4:",
            "1.2.3.4:x",
            "1.2.3.4:123456",
            "1.2.3.4/5",
            "A.B.C.D",
            ":.:.:.:",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
