//! Which header names matter under a configuration, and for what?

use crate::index::KeyHeaderIndex;

/// What a header is used for. One header may have several purposes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    Method,
    Path,
    Authority,
    ForwardedProto,
    RequestId,
    ExternalAddress,
    ContentType,
    ContentLength,
    Origin,
    PreflightMethod,
    Upgrade,
    Cookie,
    /// May carry a token: the source's index in `tokens.sources`.
    Token(usize),
    /// Must not reach the upstream as the client sent it.
    Removed,
    /// A limit is keyed by it, or a claim is compared with it.
    Key(KeyHeaderIndex),
}

/// The header names that matter, grouped by length: for most headers one look at the length is enough.
#[derive(Debug)]
pub struct HeaderPlan {
    by_length: Vec<Vec<PlannedHeader>>,
    /// By [`KeyHeaderIndex`]: the name, and whether it is compared.
    key_headers: Vec<(String, bool)>,
}

#[derive(Debug)]
struct PlannedHeader {
    name: Box<[u8]>,
    purpose: Purpose,
    /// Whether `-` and `_` count as the same: CGI, WSGI and PHP do not distinguish them.
    fold: bool,
}

impl Default for HeaderPlan {
    /// The names that matter under every configuration.
    fn default() -> Self {
        let mut plan = Self { by_length: Vec::new(), key_headers: Vec::new() };
        for (name, purpose) in [
            (":method", Purpose::Method),
            (":path", Purpose::Path),
            (":authority", Purpose::Authority),
            ("x-forwarded-proto", Purpose::ForwardedProto),
            ("x-request-id", Purpose::RequestId),
            ("x-envoy-external-address", Purpose::ExternalAddress),
            ("content-type", Purpose::ContentType),
            ("content-length", Purpose::ContentLength),
            ("origin", Purpose::Origin),
            ("access-control-request-method", Purpose::PreflightMethod),
            ("upgrade", Purpose::Upgrade),
        ] {
            plan.add(name, purpose, false);
        }
        plan
    }
}

impl HeaderPlan {
    fn add(&mut self, name: &str, purpose: Purpose, fold: bool) {
        let name: Box<[u8]> = name.to_ascii_lowercase().into_bytes().into();
        if self.by_length.len() <= name.len() {
            self.by_length.resize_with(name.len().saturating_add(1), Vec::new);
        }
        if let Some(headers) = self.by_length.get_mut(name.len())
            && !headers.iter().any(|known| known.name == name && known.purpose == purpose)
        {
            headers.push(PlannedHeader { name, purpose, fold });
        }
    }

    /// Notes that the header may carry a token of the source at this index.
    pub(crate) fn token(&mut self, name: &str, source: usize) {
        self.add(name, Purpose::Token(source), false);
    }

    /// Notes that cookies may carry a token.
    pub(crate) fn cookies(&mut self) {
        self.add("cookie", Purpose::Cookie, false);
    }

    /// Notes that the client's copies of the header are removed, whether spelled with `-` or `_`.
    pub(crate) fn removed(&mut self, name: &str) {
        self.add(name, Purpose::Removed, true);
    }

    /// Notes that a limit is keyed by the header, and returns the index of its values in a request.
    pub(crate) fn key(&mut self, name: &str) -> KeyHeaderIndex {
        self.valued(name, false)
    }

    /// Notes that a claim is compared with the header, spelled with `-` or `_`, and returns the index of its values in a
    /// request.
    pub(crate) fn compared(&mut self, name: &str) -> KeyHeaderIndex {
        self.valued(name, true)
    }

    fn valued(&mut self, name: &str, is_compared: bool) -> KeyHeaderIndex {
        let header = (name.to_ascii_lowercase(), is_compared);
        if let Some(index) = self.key_headers.iter().position(|known| *known == header) {
            return KeyHeaderIndex::new(index);
        }
        let index = KeyHeaderIndex::new(self.key_headers.len());
        self.add(name, Purpose::Key(index), is_compared);
        self.key_headers.push(header);
        index
    }

    /// The purposes of the header of this name, which is in lower case.
    pub(crate) fn purposes(&self, name: &[u8]) -> impl Iterator<Item = Purpose> {
        self.by_length
            .get(name.len())
            .into_iter()
            .flatten()
            .filter(move |header| header.is(name))
            .map(|header| header.purpose)
    }
}

impl PlannedHeader {
    /// Whether `name`, which has the same length, means this header.
    fn is(&self, name: &[u8]) -> bool {
        *self.name == *name || self.fold && self.is_spelled(name)
    }

    /// Whether `name` differs at most in `-` and `_`.
    fn is_spelled(&self, name: &[u8]) -> bool {
        let folded = |byte: u8| if byte == b'_' { b'-' } else { byte };
        // From the end, because most names of one length differ in their last letter.
        self.name.iter().rev().zip(name.iter().rev()).all(|(&ours, &theirs)| folded(ours) == folded(theirs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purposes(plan: &HeaderPlan, name: &str) -> Vec<Purpose> {
        plan.purposes(name.as_bytes()).collect()
    }

    #[test]
    fn a_removed_header_is_found_in_every_spelling_that_means_it() {
        let mut plan = HeaderPlan::default();
        plan.removed("X-Auth-Subject");
        for name in ["x-auth-subject", "x_auth_subject", "x-auth_subject"] {
            assert_eq!(purposes(&plan, name), [Purpose::Removed], "{name}");
        }
        assert!(purposes(&plan, "x-auth-subjects").is_empty());
        assert!(purposes(&plan, "x.auth.subject").is_empty());
    }

    #[test]
    fn headers_of_one_length_are_kept_apart_and_each_is_kept_once() {
        let mut plan = HeaderPlan::default();
        for name in ["x-one", "x-two", "X-One"] {
            plan.removed(name);
        }
        let index = plan.key("x-two");
        assert_eq!(purposes(&plan, "x-one"), [Purpose::Removed]);
        assert_eq!(purposes(&plan, "x-two"), [Purpose::Removed, Purpose::Key(index)]);
        assert!(purposes(&plan, "x-six").is_empty());
    }

    #[test]
    fn a_compared_header_is_found_in_every_spelling_and_a_key_in_its_own() {
        let mut plan = HeaderPlan::default();
        let (key, compared) = (plan.key("x-tenant"), plan.compared("X-Tenant"));
        assert_eq!(plan.compared("x-tenant"), compared);
        assert_eq!(purposes(&plan, "x-tenant"), [Purpose::Key(key), Purpose::Key(compared)]);
        assert_eq!(purposes(&plan, "x_tenant"), [Purpose::Key(compared)]);
    }

    #[test]
    fn one_header_may_be_for_several_things() {
        let mut plan = HeaderPlan::default();
        plan.token("x-token", 1);
        let index = plan.key("X-Token");
        assert_eq!(plan.key("x-token"), index);
        assert_eq!(purposes(&plan, "x-token"), [Purpose::Token(1), Purpose::Key(index)]);
    }
}
