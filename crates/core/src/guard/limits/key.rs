//! Under which key does a limit count a request, and how many requests does it admit for that key?

use std::net::IpAddr;

use crate::guard::form::Form;
use crate::guard::{Caller, Visit};
use crate::host::Host;
use crate::limit::Quota;
use crate::policy::{KeyPart, LimitRule, MaxRequests};
use crate::seed::Digest;

impl<H: Host> Visit<'_, '_, H> {
    /// Adds a limit's key to the digest. Each part has a tag, so that a missing subject differs from every subject.
    /// Browsers send preflights on their own, so that they take nothing from what the same key has for requests.
    pub(super) fn add_key(
        &self,
        digest: &mut Digest,
        rule: &LimitRule,
        form: &Form<'_>,
        caller: Option<&Caller>,
    ) {
        for part in &rule.key {
            match part {
                KeyPart::ClientIp => add_address(digest, self.address()),
                KeyPart::Subject => match caller.and_then(|caller| caller.token.subject()) {
                    Some(subject) => {
                        digest.add_tagged(tag::SUBJECT, subject.as_bytes());
                        if let Some(issuer) = caller.and_then(|caller| caller.token.subject_issuer()) {
                            digest.add_tagged(tag::ISSUER, issuer.as_bytes());
                        }
                    }
                    None => digest.add_tagged(tag::ANONYMOUS, b""),
                },
                KeyPart::Route => {
                    digest.add_tagged(tag::ROUTE, form.route.map_or("", |route| &route.label).as_bytes());
                }
                KeyPart::Path => {
                    let path = form.counted_path(self.policy.form.path_case);
                    digest.add_tagged(tag::PATH, path.as_bytes());
                }
                KeyPart::Method => digest.add_tagged(tag::METHOD, form.method.as_bytes()),
                KeyPart::Claim(slot) => match caller.and_then(|caller| caller.token.claim(*slot)) {
                    Some(claim) => digest.add_tagged(tag::CLAIM, claim.text.as_bytes()),
                    None => digest.add_tagged(tag::NO_CLAIM, b""),
                },
                KeyPart::Header(header) => {
                    digest.add_tagged(tag::HEADER, b"");
                    let values = self.request.key_headers.iter().filter(|(index, _)| index == header);
                    values.for_each(|(_, value)| digest.add(value));
                }
            }
        }
        if form.facts.preflight {
            digest.add_tagged(tag::PREFLIGHT, b"");
        }
    }
}

/// The limit's quota for this caller.
pub(super) fn quota(rule: &LimitRule, caller: Option<&Caller>) -> Quota {
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

/// Adds the client's address. All callers without an IP address (on a Unix socket) are counted as one.
pub(super) fn add_address(digest: &mut Digest, address: Option<IpAddr>) {
    match address {
        Some(IpAddr::V4(address)) => digest.add_tagged(tag::CLIENT_IP, &address.octets()),
        Some(IpAddr::V6(address)) => digest.add_tagged(tag::CLIENT_IP, &address.octets()),
        None => digest.add_tagged(tag::CLIENT_IP, &[]),
    }
}

/// Tags that distinguish the parts of keys.
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
    pub(super) const ISSUER: u8 = 10;
    pub(super) const PREFLIGHT: u8 = 11;
}
