//! Which configured hosts cover a request's host, and in what order?
//!
//! A request's host is looked up once: first as it is, then under the longest configured domain. The result is a list
//! made in advance: the pattern that was found, then the wider patterns that also cover it, and last the routes for any
//! host.

use super::RouteTable;
use crate::lookup::Lookup;
use crate::request::host::{Host, HostPattern};

/// One of the distinct host patterns of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct HostId(usize);

impl HostId {
    /// Its index in a list with an entry for every pattern.
    pub(super) const fn get(self) -> usize {
        self.0
    }
}

/// The pattern for any host, which routes without hosts have.
pub(crate) const ANY: HostId = HostId(0);

/// The patterns that cover a host, as an index into the table's lists of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Covering(usize);

/// The host of a worker's last request and the patterns that cover it, because most requests are for one host.
#[derive(Debug, Default)]
pub struct LastHost {
    authority: Vec<u8>,
    covering: Option<Covering>,
}

/// Names longer than this, in bytes, are looked up each time.
const LONGEST_AUTHORITY: usize = 300;

impl LastHost {
    /// The patterns that cover the host in `authority`; `None` if it is not a host. `table` must always be the same.
    pub(crate) fn covering(&mut self, authority: &[u8], table: &RouteTable) -> Option<Covering> {
        if self.covering.is_some() && *self.authority == *authority {
            return self.covering;
        }
        let covering = Host::read(authority).ok().map(|host| table.hosts.covering(&host));
        if covering.is_some() && authority.len() <= LONGEST_AUTHORITY {
            self.authority.clear();
            self.authority.extend_from_slice(authority);
            self.covering = covering;
        }
        covering
    }
}

/// All host patterns of a table.
#[derive(Debug)]
pub(crate) struct Hosts {
    exact: Lookup,
    below: Lookup,
    /// By id: this pattern and the wider ones that cover it, the most specific first.
    covering: Vec<Vec<HostId>>,
    /// Length of the longest domain in `below`, bytes: longer suffixes of a host are not even hashed.
    longest: usize,
}

impl Hosts {
    /// Gives each distinct pattern an id.
    pub(crate) fn new<'a>(patterns: impl IntoIterator<Item = &'a HostPattern>) -> Self {
        let mut hosts = Self {
            exact: Lookup::default(),
            below: Lookup::default(),
            covering: vec![vec![ANY]],
            longest: 0,
        };
        let mut distinct = vec![];
        for pattern in patterns {
            let id = distinct.len().saturating_add(1);
            let (map, name) = match pattern {
                HostPattern::Exact(name) => (&mut hosts.exact, name.as_str()),
                HostPattern::Below(domain) => (&mut hosts.below, domain.as_str()),
            };
            if map.enter(name, id).is_none() {
                distinct.push(name);
            }
        }
        hosts.longest = hosts.below.longest();
        for (name, own) in distinct.into_iter().zip(1..) {
            let mut covering = vec![HostId(own)];
            covering.extend(hosts.domains_above(name));
            covering.push(ANY);
            hosts.covering.push(covering);
        }
        hosts
    }

    /// The id of a pattern that was given to [`Hosts::new`].
    pub(crate) fn id(&self, pattern: &HostPattern) -> Option<HostId> {
        match pattern {
            HostPattern::Exact(name) => self.exact.get(name.as_str()).map(HostId),
            HostPattern::Below(domain) => self.below.get(domain.as_str()).map(HostId),
        }
    }

    /// The number of ids, that of [`ANY`] included.
    pub(super) fn count(&self) -> usize {
        self.covering.len()
    }

    /// The lists of patterns that cover some host.
    pub(super) fn lists(&self) -> impl Iterator<Item = &[HostId]> {
        self.covering.iter().map(Vec::as_slice)
    }

    /// The patterns that cover `host`.
    pub(crate) fn covering(&self, host: &Host<'_>) -> Covering {
        let name = host.as_str();
        let found =
            self.exact.get(name).map(HostId).or_else(|| self.domains_above(name).next()).unwrap_or(ANY);
        Covering(found.0)
    }

    /// The covering patterns, the most specific first, [`ANY`] last.
    pub(crate) fn patterns(&self, covering: Covering) -> &[HostId] {
        self.covering.get(covering.0).map_or(&[ANY], Vec::as_slice)
    }

    /// The `*.domain` patterns that `name` is below, the longest first.
    fn domains_above(&self, name: &str) -> impl Iterator<Item = HostId> {
        let mut rest = if self.below.is_empty() { None } else { Some(name) };
        std::iter::from_fn(move || {
            loop {
                let (_, domain) = rest?.split_once('.')?;
                rest = Some(domain);
                if domain.len() <= self.longest
                    && let Some(id) = self.below.get(domain)
                {
                    return Some(HostId(id));
                }
            }
        })
    }
}
