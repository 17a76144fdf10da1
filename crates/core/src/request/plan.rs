//! Which header names matter under a configuration, and for what.

/// What a header is for. One header may be for several things.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
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
    /// May carry a token: the source's place in the configuration.
    Token(usize),
    /// The upstream must not see what the client sent.
    Removed,
    /// A limit is keyed by it: its place in [`HeaderPlan::key_headers`].
    Key(usize),
}

/// The names, sorted by length so that most headers are settled by one look at it.
#[derive(Debug)]
pub struct HeaderPlan {
    by_length: Vec<Vec<Entry>>,
    key_headers: Vec<String>,
}

#[derive(Debug)]
struct Entry {
    name: Box<[u8]>,
    role: Known,
    /// CGI, WSGI and PHP fold `-` and `_`: a copy in either spelling is the same header to them.
    fold: bool,
}

impl Default for HeaderPlan {
    /// The names that matter under every configuration.
    fn default() -> Self {
        let mut plan = Self { by_length: Vec::new(), key_headers: Vec::new() };
        for (name, role) in [
            (":method", Known::Method),
            (":path", Known::Path),
            (":authority", Known::Authority),
            ("x-forwarded-proto", Known::ForwardedProto),
            ("x-request-id", Known::RequestId),
            ("x-envoy-external-address", Known::ExternalAddress),
            ("content-type", Known::ContentType),
            ("content-length", Known::ContentLength),
            ("origin", Known::Origin),
            ("access-control-request-method", Known::PreflightMethod),
            ("upgrade", Known::Upgrade),
        ] {
            plan.add(name, role, false);
        }
        plan
    }
}

impl HeaderPlan {
    fn add(&mut self, name: &str, role: Known, fold: bool) {
        let name: Box<[u8]> = name.to_ascii_lowercase().into_bytes().into();
        if self.by_length.len() <= name.len() {
            self.by_length.resize_with(name.len().saturating_add(1), Vec::new);
        }
        if let Some(entries) = self.by_length.get_mut(name.len())
            && !entries.iter().any(|known| known.name == name && known.role == role)
        {
            entries.push(Entry { name, role, fold });
        }
    }

    /// The header may carry a token.
    pub(crate) fn token(&mut self, name: &str, source: usize) {
        self.add(name, Known::Token(source), false);
    }

    /// Cookies may carry a token.
    pub(crate) fn cookies(&mut self) {
        self.add("cookie", Known::Cookie, false);
    }

    /// The client's copies of the header are removed, whether spelled with `-` or `_`.
    pub(crate) fn removed(&mut self, name: &str) {
        self.add(name, Known::Removed, true);
    }

    /// A limit is keyed by the header; the place of its values in a request.
    pub(crate) fn key(&mut self, name: &str) -> usize {
        let name = name.to_ascii_lowercase();
        if let Some(place) = self.key_headers.iter().position(|known| *known == name) {
            return place;
        }
        let place = self.key_headers.len();
        self.add(&name, Known::Key(place), false);
        self.key_headers.push(name);
        place
    }

    /// What the header of this name (in lower case) is for.
    pub(crate) fn roles(&self, name: &[u8]) -> impl Iterator<Item = Known> {
        self.by_length
            .get(name.len())
            .into_iter()
            .flatten()
            .filter(move |entry| entry.is(name))
            .map(|entry| entry.role)
    }
}

impl Entry {
    /// `name` is as long as the entry's.
    fn is(&self, name: &[u8]) -> bool {
        *self.name == *name || self.fold && self.is_spelled(name)
    }

    /// Whether `name` is this one with other `-` and `_`.
    fn is_spelled(&self, name: &[u8]) -> bool {
        let folded = |byte: u8| if byte == b'_' { b'-' } else { byte };
        // Most names differ in their last letter already.
        self.name.iter().rev().zip(name.iter().rev()).all(|(&ours, &theirs)| folded(ours) == folded(theirs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn roles(plan: &HeaderPlan, name: &str) -> Vec<Known> {
        plan.roles(name.as_bytes()).collect()
    }

    #[test]
    fn a_removed_header_is_found_in_every_spelling_that_means_it() {
        let mut plan = HeaderPlan::default();
        plan.removed("X-Auth-Subject");
        for name in ["x-auth-subject", "x_auth_subject", "x-auth_subject"] {
            assert_eq!(roles(&plan, name), [Known::Removed], "{name}");
        }
        assert!(roles(&plan, "x-auth-subjects").is_empty());
        assert!(roles(&plan, "x.auth.subject").is_empty());
    }

    #[test]
    fn headers_of_one_length_are_kept_apart_and_each_is_kept_once() {
        let mut plan = HeaderPlan::default();
        for name in ["x-one", "x-two", "X-One"] {
            plan.removed(name);
        }
        let place = plan.key("x-two");
        assert_eq!(roles(&plan, "x-one"), [Known::Removed]);
        assert_eq!(roles(&plan, "x-two"), [Known::Removed, Known::Key(place)]);
        assert!(roles(&plan, "x-six").is_empty());
    }

    #[test]
    fn one_header_may_be_for_several_things() {
        let mut plan = HeaderPlan::default();
        plan.token("x-token", 1);
        let place = plan.key("X-Token");
        assert_eq!(plan.key("x-token"), place);
        assert_eq!(roles(&plan, "x-token"), [Known::Token(1), Known::Key(place)]);
    }
}
