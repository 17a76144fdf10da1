//! The request as the guard sees it, read once from raw headers.
//!
//! All of it is bytes that a client chose. One pass over the headers picks the few that matter. Names are compared with
//! a plan made from the configuration, so that a header nobody asks about costs one comparison.

pub mod credential;
pub mod host;
pub mod owned;
pub mod plan;
pub(crate) mod query;
pub(crate) mod shown;
pub mod target;

use smallvec::SmallVec;

use crate::bytes::is_same_in_any_case;
use crate::index::KeyHeaderIndex;
use plan::{HeaderPlan, Purpose};

/// One request, borrowed from its header block.
#[derive(Debug, Default)]
pub struct Request<'a> {
    /// `:method`, as sent.
    pub method: &'a [u8],
    /// `:path` with its query, as sent; absent for CONNECT.
    pub path: Option<&'a [u8]>,
    /// `:authority`, as sent.
    pub authority: &'a [u8],
    /// `x-forwarded-proto`.
    pub forwarded_proto: Option<&'a [u8]>,
    /// `x-request-id`.
    pub request_id: Option<&'a [u8]>,
    /// `x-envoy-external-address`, where the configuration asks for it.
    pub external_address: Option<&'a [u8]>,
    /// Whether there is an `x-envoy-internal`, where the configuration asks for it.
    pub is_internal: bool,
    /// Whether anything follows the headers.
    pub has_body: bool,
    /// Whether the request asks for another protocol (`upgrade`), so that what follows is not a body.
    pub upgrade: bool,
    pub(crate) content_type: Single<'a>,
    pub(crate) content_length: Single<'a>,
    pub(crate) origin: bool,
    pub(crate) preflight_method: Option<&'a [u8]>,
    /// Headers that may carry a token: the source's index in `tokens.sources`, and the value.
    pub(crate) token_headers: SmallVec<[(usize, &'a [u8]); 1]>,
    /// All values of `connection`, which Envoy leaves only to requests that ask for another protocol.
    pub(crate) connections: Vec<&'a [u8]>,
    /// All values of `cookie`, if a source is a cookie.
    pub(crate) cookies: Vec<&'a [u8]>,
    /// All values of `sec-websocket-protocol`, if a source is one of its subprotocols.
    pub(crate) websocket_protocols: Vec<&'a [u8]>,
    /// The names, as sent, of headers that the upstream must not see.
    pub(crate) removals: SmallVec<[&'a [u8]; 1]>,
    /// Headers that limits are keyed by.
    pub(crate) key_headers: Vec<(KeyHeaderIndex, &'a [u8])>,
}

/// A header that must not occur twice.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Single<'a> {
    #[default]
    Absent,
    Once(&'a [u8]),
    Repeated,
}

impl<'a> Single<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Self::Absent => Self::Once(value),
            Self::Once(_) | Self::Repeated => Self::Repeated,
        };
    }
}

impl<'a> Request<'a> {
    /// Reads `headers`. `has_body`: the stream does not end with its headers.
    pub fn read(
        plan: &HeaderPlan,
        headers: impl IntoIterator<Item = (&'a [u8], &'a [u8])>,
        has_body: bool,
    ) -> Self {
        let mut request = Self { has_body, ..Self::default() };
        for (name, value) in headers {
            for purpose in plan.purposes(name) {
                request.note(purpose, name, value);
            }
        }
        request
    }

    fn note(&mut self, purpose: Purpose, name: &'a [u8], value: &'a [u8]) {
        match purpose {
            Purpose::Method => self.method = value,
            Purpose::Path => self.path = Some(value),
            Purpose::Authority => self.authority = value,
            Purpose::ForwardedProto => self.forwarded_proto = Some(value),
            Purpose::RequestId => self.request_id = Some(value),
            Purpose::ExternalAddress => self.external_address = Some(value),
            Purpose::Internal => self.is_internal = true,
            Purpose::ContentType => self.content_type.add(value),
            Purpose::ContentLength => self.content_length.add(value),
            Purpose::Origin => self.origin = true,
            Purpose::PreflightMethod => self.preflight_method = Some(value),
            Purpose::Upgrade => self.upgrade = true,
            Purpose::Connection => self.connections.push(value),
            Purpose::Cookie => self.cookies.push(value),
            Purpose::WebSocketProtocol => self.websocket_protocols.push(value),
            Purpose::Token(source) => self.token_headers.push((source, value)),
            Purpose::Removed => self.removals.push(name),
            Purpose::Key(index) => self.key_headers.push((index, value)),
        }
    }

    /// Whether Envoy takes this for a gRPC request and answers it as one: it has a path, and its content type is
    /// `application/grpc` or starts with `application/grpc+`, byte for byte.
    pub fn is_grpc(&self) -> bool {
        let subtype = match self.content_type {
            Single::Once(value) => value.strip_prefix(b"application/grpc"),
            Single::Absent | Single::Repeated => None,
        };
        self.path.is_some() && subtype.is_some_and(|rest| rest.is_empty() || rest.starts_with(b"+"))
    }

    /// The media type without parameters, whose case does not matter (RFC 9110 section 8.3.1); `None` unless there is exactly one
    /// content type.
    pub fn media_type(&self) -> Option<&[u8]> {
        match self.content_type {
            Single::Once(value) => Some(media_type(value)),
            Single::Absent | Single::Repeated => None,
        }
    }

    /// Whether the media type is one of messages that go to and fro while the request is open: gRPC-Web, Connect
    /// streams and NDJSON. gRPC itself is [`Self::is_grpc`].
    pub fn has_streaming_type(&self) -> bool {
        self.media_type().is_some_and(|sent| {
            let begins = |with: &[u8]| sent.get(..with.len()).is_some_and(|it| is_same_in_any_case(it, with));
            is_same_in_any_case(sent, b"application/x-ndjson")
                || begins(b"application/grpc-web")
                || begins(b"application/connect+")
        })
    }

    /// The declared size of the body (RFC 9110 section 8.6), bytes; `Ok(None)` if none is declared.
    ///
    /// # Errors
    ///
    /// [`BadLength`] if `content-length` is not a number of at most 64 bits, or occurs twice.
    pub fn declared_size(&self) -> Result<Option<u64>, BadLength> {
        match self.content_length {
            Single::Absent => Ok(None),
            Single::Repeated => Err(BadLength),
            Single::Once(digits) => {
                let digits = trim(digits);
                if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
                    return Err(BadLength);
                }
                std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).map(Some).ok_or(BadLength)
            }
        }
    }

    /// Whether this is a true CORS preflight (Fetch standard, CORS-preflight request).
    pub fn is_preflight(&self) -> bool {
        self.method == b"OPTIONS" && self.origin && self.preflight_method.is_some()
    }
}

/// A `content-length` that is not a length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLength;

fn media_type(value: &[u8]) -> &[u8] {
    trim(value.split(|&byte| byte == b';').next().unwrap_or_default())
}

/// Whether a byte may stand in a token (RFC 9110 section 5.6.2), such as the name of a header or of a scheme.
pub(crate) fn is_tchar(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// `value` without the white space around it (RFC 9110 section 5.6.3). HTTP/1 codecs trim values; HTTP/2 codecs do not.
pub(crate) fn trim(value: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let start = value.iter().position(|byte| !blank(byte)).unwrap_or(value.len());
    let end = value.iter().rposition(|byte| !blank(byte)).map_or(start, |last| last.saturating_add(1));
    value.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(headers: &[(&'static str, &'static str)]) -> Request<'static> {
        let plan = HeaderPlan::default();
        Request::read(&plan, headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes())), true)
    }

    #[test]
    fn the_media_type_is_compared_whole() {
        for (value, sent) in [
            (" Application/JSON ; charset=utf-8", "Application/JSON"),
            ("text/plain; application/json", "text/plain"),
            ("application/json,text/plain", "application/json,text/plain"),
        ] {
            assert_eq!(read(&[("content-type", value)]).media_type(), Some(sent.as_bytes()), "{value}");
        }
        assert!(read(&[("content-type", "a/b"), ("content-type", "a/b")]).media_type().is_none());
    }

    #[test]
    fn a_type_that_streams_is_one_in_any_case() {
        for (value, streams) in [
            ("application/x-ndjson", true),
            ("Application/X-NDJSON; a=b", true),
            ("application/x-ndjsons", false),
            ("APPLICATION/grpc-web+proto", true),
            ("application/Connect+json", true),
            ("application/connect", false),
            ("application/grpc", false),
        ] {
            assert_eq!(read(&[("content-type", value)]).has_streaming_type(), streams, "{value}");
        }
    }

    #[test]
    fn a_declared_size_is_a_number_of_64_bits_or_an_error() {
        let of = |value: &'static str| read(&[("content-length", value)]).declared_size();
        assert_eq!(of("00005"), Ok(Some(5)));
        assert_eq!(of("18446744073709551615"), Ok(Some(u64::MAX)));
        for bad in ["18446744073709551616", "-1", "+5", "0x5", "", "5,5"] {
            assert_eq!(of(bad), Err(BadLength), "{bad}");
        }
        assert_eq!(read(&[]).declared_size(), Ok(None));
        assert_eq!(read(&[("content-length", "5"), ("content-length", "5")]).declared_size(), Err(BadLength));
    }

    #[test]
    fn blanks_around_a_value_are_no_part_of_it() {
        for (value, trimmed) in [
            ("a", "a"),
            (" a", "a"),
            ("a\t ", "a"),
            ("\t a b \t", "a b"),
            ("", ""),
            (" \t", ""),
            ("\na", "\na"),
        ] {
            assert_eq!(trim(value.as_bytes()), trimmed.as_bytes(), "{value:?}");
        }
    }

    #[test]
    fn a_preflight_is_options_with_an_origin_and_a_method_to_ask_for() {
        let (options, origin, asked) =
            ((":method", "OPTIONS"), ("origin", "https://a"), ("access-control-request-method", "PUT"));
        assert!(read(&[options, origin, asked]).is_preflight());
        for other in [
            &[options, origin][..],
            &[options, asked],
            &[origin, asked],
            &[(":method", "PUT"), origin, asked],
        ] {
            assert!(!read(other).is_preflight(), "{other:?}");
        }
    }

    #[test]
    fn only_grpc_is_grpc() {
        let of = |value: &'static str| read(&[(":path", "/"), ("content-type", value)]).is_grpc();
        for value in
            ["application/grpc", "application/grpc+proto", "application/grpc+", "application/grpc+a;x=1"]
        {
            assert!(of(value), "{value}");
        }
        for value in [
            "application/grpc;x=1",
            "application/grpc ",
            " application/grpc",
            "Application/gRPC",
            "application/gRPC",
            "application/grpc, application/grpc",
            "application/grpc-web",
            "application/grpcx",
            "application/grp",
            "text/application/grpc",
            "",
        ] {
            assert!(!of(value), "{value:?}");
        }
        let types = [("content-type", "application/grpc"), ("content-type", "application/grpc")];
        assert!(!read(&[&[(":path", "/")][..], &types].concat()).is_grpc());
        assert!(!read(&types[..1]).is_grpc(), "Envoy answers no CONNECT in gRPC");
    }
}
