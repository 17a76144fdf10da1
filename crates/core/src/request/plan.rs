//! Which header names matter under a configuration, and for what?

use super::credential::WEBSOCKET_PROTOCOL;
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
    /// Envoy takes the client for an internal one, and sets no external address.
    Internal,
    ContentType,
    ContentLength,
    Origin,
    PreflightMethod,
    Upgrade,
    Connection,
    Cookie,
    WebSocketProtocol,
    /// May carry a token: the source's index in `tokens.sources`.
    Token(usize),
    /// Must not reach the upstream as the client sent it.
    Removed,
    /// A limit is keyed by it, or a claim is compared with it.
    Key(KeyHeaderIndex),
}

impl Purpose {
    /// Whether what a client says under this name is told to the upstream only after the guard has judged it: the
    /// caller's identity, credentials, and whatever is stripped.
    const fn is_reserved(self) -> bool {
        match self {
            Self::Removed | Self::Token(_) | Self::Cookie | Self::WebSocketProtocol => true,
            Self::Method
            | Self::Path
            | Self::Authority
            | Self::ForwardedProto
            | Self::RequestId
            | Self::ExternalAddress
            | Self::Internal
            | Self::ContentType
            | Self::ContentLength
            | Self::Origin
            | Self::PreflightMethod
            | Self::Upgrade
            | Self::Connection
            | Self::Key(_) => false,
        }
    }
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
    spelling: Spelling,
}

/// Which spellings of a header's name have its purpose.
#[derive(Debug, Clone, Copy)]
enum Spelling {
    /// The name itself.
    Exact,
    /// The name, and every one that a service may take for it ([`folded`]).
    Any,
    /// Every one that a service may take for the name, but not the name itself.
    Other,
}

/// The same for all bytes that some services do not tell apart in a header's name. CGI (RFC 3875 section 4.1.18), WSGI
/// and PHP make `_` of `-`; others make it of everything but letters and digits.
const fn folded(byte: u8) -> u8 {
    match byte {
        // The colon of a pseudo-header stands in no other name.
        b'0'..=b'9' | b'a'..=b'z' | b':' => byte,
        b'A'..=b'Z' => byte.to_ascii_lowercase(),
        _ => b'-',
    }
}

/// `name` as a service reads it that tells the fewest names apart.
pub(crate) fn fold(name: &str) -> String {
    name.bytes().map(|byte| char::from(folded(byte))).collect()
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
            ("content-type", Purpose::ContentType),
            ("content-length", Purpose::ContentLength),
            ("origin", Purpose::Origin),
            ("access-control-request-method", Purpose::PreflightMethod),
            ("upgrade", Purpose::Upgrade),
            ("connection", Purpose::Connection),
        ] {
            plan.add(name, purpose, Spelling::Exact);
        }
        plan
    }
}

impl HeaderPlan {
    fn add(&mut self, name: &str, purpose: Purpose, spelling: Spelling) {
        let name: Box<[u8]> = name.to_ascii_lowercase().into_bytes().into();
        if self.by_length.len() <= name.len() {
            self.by_length.resize_with(name.len().saturating_add(1), Vec::new);
        }
        if let Some(headers) = self.by_length.get_mut(name.len())
            && !headers.iter().any(|known| known.name == name && known.purpose == purpose)
        {
            headers.push(PlannedHeader { name, purpose, spelling });
        }
    }

    /// Notes that the header may carry a token of the source at this index.
    pub(crate) fn token(&mut self, name: &str, source: usize) {
        self.add(name, Purpose::Token(source), Spelling::Exact);
    }

    /// Notes that cookies may carry a token.
    pub(crate) fn cookies(&mut self) {
        self.add("cookie", Purpose::Cookie, Spelling::Exact);
    }

    /// Notes that WebSocket subprotocols may carry a token.
    pub(crate) fn websocket_protocols(&mut self) {
        self.add(WEBSOCKET_PROTOCOL, Purpose::WebSocketProtocol, Spelling::Exact);
    }

    /// Notes that the client's address is read from Envoy's header.
    pub(crate) fn external_address(&mut self) {
        self.add("x-envoy-external-address", Purpose::ExternalAddress, Spelling::Exact);
        self.add("x-envoy-internal", Purpose::Internal, Spelling::Exact);
    }

    /// Notes that the client's copies of the header are removed, in whatever spelling a service may take for its name.
    pub(crate) fn removed(&mut self, name: &str) {
        self.add(name, Purpose::Removed, Spelling::Any);
    }

    /// Notes that other spellings of the header's name are removed. The header itself stays.
    pub(crate) fn removed_if_misspelt(&mut self, name: &str) {
        self.add(name, Purpose::Removed, Spelling::Other);
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
        // A proxy has it under this name alone (RFC 9113 section 8.3.1).
        let name = if name.eq_ignore_ascii_case("host") { ":authority" } else { name };
        let header = (name.to_ascii_lowercase(), is_compared);
        if let Some(index) = self.key_headers.iter().position(|known| *known == header) {
            return KeyHeaderIndex::new(index);
        }
        let index = KeyHeaderIndex::new(self.key_headers.len());
        self.add(name, Purpose::Key(index), if is_compared { Spelling::Any } else { Spelling::Exact });
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

    /// Whether a service may take this name, in any letter case, for a header about which a client is not believed
    /// unjudged. Clients may not send it behind the body, nor have `connection` remove it on the way.
    pub(crate) fn is_reserved(&self, name: &[u8]) -> bool {
        let planned = self.by_length.get(name.len()).into_iter().flatten();
        planned.filter(|header| header.purpose.is_reserved()).any(|header| header.is_spelled(name))
    }
}

impl PlannedHeader {
    /// Whether `name`, which has the same length, means this header.
    fn is(&self, name: &[u8]) -> bool {
        match self.spelling {
            Spelling::Exact => *self.name == *name,
            Spelling::Any => self.is_spelled(name),
            Spelling::Other => self.is_spelled(name) && *self.name != *name,
        }
    }

    /// Whether `name`, which has the same length, differs at most in what [`folded`] makes equal.
    fn is_spelled(&self, name: &[u8]) -> bool {
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
        for name in [
            "x-auth-subject",
            "x_auth_subject",
            "x-auth_subject",
            "x.auth.subject",
            "x_auth.subject",
            "x~auth!subject",
        ] {
            assert_eq!(purposes(&plan, name), [Purpose::Removed], "{name}");
            assert!(plan.is_reserved(name.as_bytes()), "{name}");
        }
        assert!(plan.is_reserved(b"X_Auth-SUBJECT"));
        for other in ["x-auth-subjects", "xxauth-subject", "x-auth-subjec", "x-auth-subjecs", ""] {
            assert!(purposes(&plan, other).is_empty(), "{other}");
            assert!(!plan.is_reserved(other.as_bytes()), "{other}");
        }
    }

    #[test]
    fn a_pseudo_header_is_never_another_spelling() {
        let mut plan = HeaderPlan::default();
        plan.removed("-path");
        assert_eq!(purposes(&plan, ":path"), [Purpose::Path]);
        assert_eq!(purposes(&plan, "_path"), [Purpose::Removed]);
    }

    #[test]
    fn other_spellings_of_a_token_s_header_are_removed_and_the_header_is_not() {
        let mut plan = HeaderPlan::default();
        plan.token("x-token", 0);
        assert!(purposes(&plan, "x_token").is_empty());
        plan.removed_if_misspelt("x-token");
        assert_eq!(purposes(&plan, "x-token"), [Purpose::Token(0)]);
        assert_eq!(purposes(&plan, "x_token"), [Purpose::Removed]);
        assert_eq!(purposes(&plan, "x.token"), [Purpose::Removed]);
    }

    #[test]
    fn only_identity_credentials_and_what_is_stripped_are_reserved() {
        let mut plan = HeaderPlan::default();
        for name in ["authorization", "cookie", "connection", "content-type", "x-request-id"] {
            assert!(!plan.is_reserved(name.as_bytes()), "{name}");
        }
        plan.token("authorization", 0);
        plan.cookies();
        plan.external_address();
        plan.key("x-key");
        assert!(plan.is_reserved(b"Authorization") && plan.is_reserved(b"cookie"));
        assert!(!plan.is_reserved(b"x-key") && !plan.is_reserved(b"x-envoy-internal"));
    }

    #[test]
    fn envoy_s_word_about_the_client_is_read_only_where_it_is_asked_for() {
        let names = ["x-envoy-external-address", "x-envoy-internal"];
        let mut plan = HeaderPlan::default();
        assert!(names.iter().all(|name| purposes(&plan, name).is_empty()));
        plan.external_address();
        assert_eq!(
            names.map(|name| purposes(&plan, name)),
            [[Purpose::ExternalAddress], [Purpose::Internal]]
        );
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
