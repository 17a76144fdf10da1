//! Where does a request carry its token, and does it carry exactly one (RFC 6750 section 2)?
//!
//! Knows nothing about tokens themselves. Two different credentials are an error, whatever their sources, because the
//! upstream might use the other one. The same bytes sent twice are one credential.

use super::query::{in_php, is_spelling};
use super::{Request, is_tchar, trim};
use crate::bytes;

/// A source of tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A header, with or without an authentication scheme before the token.
    Header {
        /// The name, in lower case.
        name: String,
        /// The scheme, compared without regard to case (RFC 9110 section 11.1).
        scheme: Option<String>,
    },
    /// A cookie.
    Cookie(String),
    /// A query parameter.
    Query(String),
    /// The WebSocket subprotocol that stands before the token in `sec-websocket-protocol` (RFC 6455 section 11.3.4), the
    /// only header that a browser lets a page write when it opens a WebSocket.
    WebSocketProtocol(String),
}

/// The header of [`Source::WebSocketProtocol`].
pub(crate) const WEBSOCKET_PROTOCOL: &str = "sec-websocket-protocol";

/// The credentials that were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presented<'a> {
    /// None in any source.
    Nothing,
    /// Exactly one.
    Token(&'a [u8]),
    /// None that can be read, but what a more lenient reader takes for one.
    Unread,
    /// More than one, and not the same.
    Ambiguous,
}

impl<'a> Presented<'a> {
    fn and(self, other: Self) -> Self {
        match (self, other) {
            (Self::Nothing, found) | (found, Self::Nothing) => found,
            (Self::Token(one), Self::Token(other)) if one == other => self,
            (Self::Unread, Self::Unread) => self,
            _ => Self::Ambiguous,
        }
    }
}

/// Looks for credentials in all sources. `query`: what follows the first `?` of the path.
pub fn find<'a, 'r: 'a>(sources: &[Source], request: &Request<'r>, query: Option<&'a [u8]>) -> Presented<'a> {
    let mut found = Presented::Nothing;
    for &(source, value) in &request.token_headers {
        if let Some(Source::Header { scheme, .. }) = sources.get(source) {
            found = found.and(in_header(value, scheme.as_deref()));
        }
    }
    for source in sources {
        match source {
            Source::Header { .. } => {}
            Source::WebSocketProtocol(name) => {
                for (protocol, is_token) in protocols(&request.websocket_protocols, name) {
                    if is_token {
                        found = found.and(one(protocol));
                    }
                }
            }
            Source::Cookie(name) => {
                for (known, value) in request.cookies.iter().flat_map(|line| pairs(line)) {
                    if known == name.as_bytes() {
                        found = found.and(one(value));
                    } else if passes_for_cookie(known, name) && !value.is_empty() {
                        found = found.and(Presented::Unread);
                    }
                }
            }
            Source::Query(name) => {
                for parameter in parameters(query.unwrap_or_default()) {
                    if is_parameter(parameter, name) {
                        found = found.and(one(value_of(parameter)));
                    } else if is_read_otherwise(parameter, name) {
                        found = found.and(Presented::Unread);
                    }
                }
            }
        }
    }
    found
}

fn one(value: &[u8]) -> Presented<'_> {
    if value.is_empty() { Presented::Nothing } else { Presented::Token(value) }
}

/// The credential in a header's value. Envoy joins repeated lines of a known header with a comma, which no token
/// contains. Beside anything else a credential is ambiguous; beside itself it is one.
fn in_header<'a>(value: &'a [u8], scheme: Option<&str>) -> Presented<'a> {
    let value = trim(value);
    if bytes::find(value, b',').is_none() {
        return match scheme {
            None => one(value),
            Some(scheme) => match after_scheme(value, scheme) {
                Some(token) => one(token),
                None if passes_for_scheme(value, scheme) => Presented::Unread,
                None => Presented::Nothing,
            },
        };
    }
    let mut parts = value.split(|&byte| byte == b',').map(|part| match scheme {
        None => Some(trim(part)),
        Some(scheme) => after_scheme(part, scheme),
    });
    let first = parts.next().flatten().filter(|token| !token.is_empty());
    match first {
        Some(token) if parts.all(|part| part == first) => Presented::Token(token),
        Some(_) => Presented::Ambiguous,
        None if scheme.is_none() || parts.any(|part| part.is_some()) => Presented::Ambiguous,
        None => {
            let is_unread = |part| scheme.is_some_and(|scheme| passes_for_scheme(trim(part), scheme));
            let is_unread = value.split(|&byte| byte == b',').any(is_unread);
            if is_unread { Presented::Unread } else { Presented::Nothing }
        }
    }
}

/// The text after the scheme and at least one space (RFC 6750 section 2.1: `1*SP`).
fn after_scheme<'a>(value: &'a [u8], scheme: &str) -> Option<&'a [u8]> {
    let (start, rest) = trim(value).split_at_checked(scheme.len())?;
    if !bytes::is_same_in_any_case(start, scheme.as_bytes()) || rest.first() != Some(&b' ') {
        return None;
    }
    let spaces = rest.iter().take_while(|&&byte| byte == b' ').count();
    rest.get(spaces..)
}

/// Whether the scheme comes first, and then what belongs neither to its name nor between it and a token, such as a tab, at
/// which many programs split a value.
fn passes_for_scheme(value: &[u8], scheme: &str) -> bool {
    let Some((start, rest)) = value.split_at_checked(scheme.len()) else { return false };
    bytes::is_same_in_any_case(start, scheme.as_bytes())
        && rest.first().is_some_and(|&byte| byte != b' ' && !is_tchar(byte))
}

/// Each subprotocol of a list in its order, and whether it is a token: whatever comes after `name`.
fn protocols<'a>(lines: &[&'a [u8]], name: &str) -> Vec<(&'a [u8], bool)> {
    let all = lines.iter().flat_map(|line| line.split(|&byte| byte == b','));
    let mut is_token = false;
    let named = all.map(trim).filter(|protocol| !protocol.is_empty()).map(|protocol| {
        let found = (protocol, is_token);
        is_token = !is_token && protocol == name.as_bytes();
        found
    });
    named.collect()
}

/// The list of subprotocols without the token after `name`; `None` if there is none.
pub(crate) fn protocols_without_token(lines: &[&[u8]], name: &str) -> Option<Vec<u8>> {
    let all = protocols(lines, name);
    let kept: Vec<&[u8]> =
        all.iter().filter(|(_, is_token)| !is_token).map(|(protocol, _)| *protocol).collect();
    (kept.len() < all.len()).then(|| kept.join(&b", "[..]))
}

/// Whether a header's value carries a credential of this source, so that it must not reach the upstream.
pub(crate) fn carries(value: &[u8], scheme: Option<&str>) -> bool {
    in_header(value, scheme) != Presented::Nothing
}

/// The name and value of each cookie in one line (RFC 6265 section 4.2.1), without quotes around the value.
fn pairs(line: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    line.split(|&byte| byte == b';').map(|pair| {
        let (name, value) = split_at_byte(pair, b'=');
        let value = trim(value);
        let unquoted = value.strip_prefix(b"\"").and_then(|value| value.strip_suffix(b"\""));
        (trim(name), unquoted.unwrap_or(value))
    })
}

/// Whether a cookie of another name has this one in PHP.
fn passes_for_cookie(known: &[u8], name: &str) -> bool {
    known.len() == name.len() && in_php(known) == in_php(name.as_bytes())
}

fn parameters(query: &[u8]) -> impl Iterator<Item = &[u8]> {
    query.split(|&byte| byte == b'&')
}

/// Whether a parameter has this name. Names are compared decoded, because an encoded spelling is the same parameter to
/// the upstream.
fn is_parameter(parameter: &[u8], name: &str) -> bool {
    decode(split_at_byte(parameter, b'=').0) == name.as_bytes()
}

/// What some readers take for parameters of their own.
fn pieces(parameter: &[u8]) -> impl Iterator<Item = &[u8]> {
    parameter.split(|&byte| byte == b';')
}

/// Whether some reader of queries takes a parameter, or a piece of it, for the one of this name, and finds something in it.
fn is_read_otherwise(parameter: &[u8], name: &str) -> bool {
    pieces(parameter).any(|piece| is_spelling(piece, name.as_bytes()) && !value_of(piece).is_empty())
}

fn value_of(parameter: &[u8]) -> &[u8] {
    split_at_byte(parameter, b'=').1
}

pub(super) fn split_at_byte(text: &[u8], byte: u8) -> (&[u8], &[u8]) {
    let at = text.iter().position(|&other| other == byte).unwrap_or(text.len());
    let (before, after) = text.split_at_checked(at).unwrap_or((text, &[]));
    (before, after.get(1..).unwrap_or_default())
}

/// Percent-decodes as leniently as any reader might: invalid encodings stay as they are.
pub(super) fn decode(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        let digit = |index: usize| after.get(index).and_then(|&digit| char::from(digit).to_digit(16));
        match (byte, digit(0), digit(1)) {
            (b'%', Some(high), Some(low)) => {
                bytes.push(u8::try_from(high.wrapping_mul(16).wrapping_add(low)).unwrap_or(b'?'));
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                bytes.push(byte);
                rest = after;
            }
        }
    }
    bytes
}

/// All cookies in one line, without those of these names; `None` if the request has none of those.
pub(crate) fn cookies_without(lines: &[&[u8]], names: &[&str]) -> Option<Vec<u8>> {
    let carries = |pair: &[u8]| {
        let (name, _) = split_at_byte(pair, b'=');
        let name = trim(name);
        names.iter().any(|known| name == known.as_bytes() || passes_for_cookie(name, known))
    };
    let all = || {
        lines
            .iter()
            .flat_map(|line| line.split(|&byte| byte == b';'))
            .map(trim)
            .filter(|pair| !pair.is_empty())
    };
    all().any(carries).then(|| all().filter(|pair| !carries(pair)).collect::<Vec<_>>().join(&b"; "[..]))
}

/// The path without these query parameters; `None` if it has none of them.
pub(crate) fn path_without(path: &[u8], names: &[&str]) -> Option<Vec<u8>> {
    let (before, query) = split_at_byte(path, b'?');
    let mut kept = before.to_vec();
    let mut is_first = true;
    let mut has_lost = false;
    for parameter in parameters(query) {
        // The value of one that we read ourselves goes on behind a semicolon.
        let is_ours = names.iter().any(|name| is_parameter(parameter, name));
        let mut separator = b'&';
        for piece in pieces(parameter) {
            if is_ours || names.iter().any(|name| is_spelling(piece, name.as_bytes())) {
                has_lost = true;
                continue;
            }
            kept.push(if is_first { b'?' } else { separator });
            kept.extend(piece);
            (is_first, separator) = (false, b';');
        }
    }
    has_lost.then_some(kept)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::plan::HeaderPlan;

    fn sources() -> Vec<Source> {
        vec![
            Source::Header { name: "authorization".to_owned(), scheme: Some("Bearer".to_owned()) },
            Source::Header { name: "x-token".to_owned(), scheme: None },
            Source::Cookie("session".to_owned()),
            Source::Query("access_token".to_owned()),
            Source::WebSocketProtocol("bearer".to_owned()),
        ]
    }

    fn found(headers: &[(&'static str, &'static str)], query: &'static str) -> Presented<'static> {
        let mut plan = HeaderPlan::default();
        plan.token("authorization", 0);
        plan.token("x-token", 1);
        plan.cookies();
        plan.websocket_protocols();
        let pairs = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        find(&sources(), &Request::read(&plan, pairs, false), Some(query.as_bytes()))
    }

    #[test]
    fn one_credential_is_found_in_each_place() {
        let token = Presented::Token(b"T");
        for value in ["Bearer T", "bearer T", "BEARER   T", " Bearer T "] {
            assert_eq!(found(&[("authorization", value)], ""), token, "{value:?}");
        }
        assert_eq!(found(&[("x-token", " T ")], ""), token);
        assert_eq!(found(&[("cookie", "a=b; session=T;c=d")], ""), token);
        assert_eq!(found(&[("cookie", "session=\"T\"")], ""), token);
        assert_eq!(found(&[], "a=b&access_token=T&c"), token);
        assert_eq!(found(&[], "access%5Ftoken=T"), token);
    }

    #[test]
    fn what_is_no_credential_of_ours_is_nothing() {
        for value in [
            "Bearer",
            "Bearer ",
            "BearerT",
            "Bearer-X T",
            "Basic T",
            "T",
            "",
            "Digest a=1, b=2",
            "Basic a,BearerT",
            "Basic a,Bearer-X T",
        ] {
            assert_eq!(found(&[("authorization", value)], ""), Presented::Nothing, "{value:?}");
        }
        assert_eq!(found(&[("cookie", "session=; sessions=T")], "access_token=&token=T"), Presented::Nothing);
    }

    #[test]
    fn what_another_reader_takes_for_a_credential_is_noticed() {
        for value in [
            "Bearer\tT",
            "bearer:T",
            "Bearer=T",
            "BEARER\"T\"",
            "Bearer\u{a0}T",
            "Bearer\tT,",
            "Bearer\tT,Bearer\tT",
            "Bearer ,Bearer\tT",
            "Basic a, Bearer\tT",
        ] {
            assert_eq!(found(&[("authorization", value)], ""), Presented::Unread, "{value:?}");
            assert_eq!(
                found(&[("authorization", value), ("x-token", "T")], ""),
                Presented::Ambiguous,
                "{value:?}"
            );
        }
        for query in [
            "a=1;access_token=T",
            "access.token=T",
            "access_token[]=T",
            "ACCESS_TOKEN=T",
            "access%255Ftoken=T",
        ] {
            assert_eq!(found(&[], query), Presented::Unread, "{query:?}");
            assert_eq!(found(&[("x-token", "T")], query), Presented::Ambiguous, "{query:?}");
        }
        for query in [
            "access_tokens=T&token=T&x=access_token",
            "Access_Token=",
            "q=css;access_token",
            "q=css;access_token=&b",
            "access_token[]",
        ] {
            assert_eq!(found(&[], query), Presented::Nothing, "{query:?}");
            assert_eq!(found(&[("x-token", "T")], query), Presented::Token(b"T"), "{query:?}");
        }
        let php = Source::Cookie("php_token".to_owned());
        let read = |line: &'static str| {
            let mut plan = HeaderPlan::default();
            plan.cookies();
            let request = Request::read(&plan, [(&b"cookie"[..], line.as_bytes())], false);
            find(std::slice::from_ref(&php), &request, None)
        };
        for line in ["php.token=T", "a=b; php token=T", "php[token=T"] {
            assert_eq!(read(line), Presented::Unread, "{line:?}");
        }
        assert_eq!(read("php.token=T; php_token=T"), Presented::Ambiguous);
        for line in ["php.token=", "PHP_TOKEN=T", "phpxtoken=T", "php_token2=T"] {
            assert_eq!(read(line), Presented::Nothing, "{line:?}");
        }
    }

    #[test]
    fn two_credentials_are_ambiguous_wherever_they_stand() {
        let bearer = ("authorization", "Bearer A");
        for headers in [
            vec![("authorization", "Bearer A,Bearer B")],
            vec![("authorization", "Bearer A,Bearer A,Bearer B")],
            vec![("authorization", "Bearer A,")],
            vec![("authorization", ",Bearer A")],
            vec![("authorization", "Bearer A, Basic A")],
            vec![("authorization", "Basic x, bearer B")],
            vec![("authorization", "Bearer A,x")],
            vec![bearer, ("authorization", "Bearer B")],
            vec![bearer, ("x-token", "B")],
            vec![bearer, ("cookie", "session=B")],
            vec![("x-token", "A"), ("x-token", "B")],
            vec![("x-token", "A"), ("x-token", "A"), ("cookie", "session=B")],
            vec![("x-token", "A,B")],
            vec![("x-token", "A,")],
            vec![("x-token", ",")],
            vec![("sec-websocket-protocol", "bearer, A, bearer, B")],
            vec![("sec-websocket-protocol", "bearer, A"), ("sec-websocket-protocol", "bearer, B")],
            vec![bearer, ("sec-websocket-protocol", "bearer, B")],
            vec![("cookie", "session=A"), ("cookie", "session=B")],
            vec![("cookie", "session=A; session=B")],
        ] {
            assert_eq!(found(&headers, ""), Presented::Ambiguous, "{headers:?}");
        }
        assert_eq!(found(&[bearer], "access_token=B"), Presented::Ambiguous);
        assert_eq!(found(&[], "access_token=A&access%5ftoken=B"), Presented::Ambiguous);
    }

    #[test]
    fn the_same_credential_twice_is_one_wherever_it_stands() {
        let bearer = ("authorization", "Bearer A");
        for headers in [
            vec![("authorization", "Bearer A,Bearer A")],
            vec![("authorization", "Bearer A, bearer  A ,BEARER A")],
            vec![bearer, bearer],
            vec![bearer, ("x-token", "A"), ("cookie", "session=A; a=b; session=\"A\"")],
            vec![("x-token", "A, A")],
            vec![("cookie", "session=A"), ("cookie", "session=A")],
            vec![bearer, ("sec-websocket-protocol", "bearer, A, bearer, A")],
        ] {
            assert_eq!(found(&headers, ""), Presented::Token(b"A"), "{headers:?}");
        }
        assert_eq!(found(&[bearer], "access_token=A&access%5ftoken=A"), Presented::Token(b"A"));
        assert_eq!(found(&[bearer], "access_token=%41"), Presented::Ambiguous, "its bytes are others");
    }

    #[test]
    fn a_websocket_carries_its_token_after_the_name_of_the_protocol() {
        let token = Presented::Token(b"T");
        let name = "sec-websocket-protocol";
        for lines in [
            &["bearer, T"][..],
            &["bearer,T"],
            &["chat, bearer , T, superchat"],
            &["bearer", "T"],
            &["chat,bearer", "T,x"],
            &[", bearer,, T,"],
        ] {
            let headers: Vec<_> = lines.iter().map(|line| (name, *line)).collect();
            assert_eq!(found(&headers, ""), token, "{lines:?}");
        }
        for line in ["bearer", "bearer,", "chat, T", "Bearer, T", "bearers, T", "T", "", "T, bearer"] {
            assert_eq!(found(&[(name, line)], ""), Presented::Nothing, "{line:?}");
        }
        // The name may itself be sent as a token, which is then no name.
        assert_eq!(found(&[(name, "bearer, bearer, T")], ""), Presented::Token(b"bearer"));
        for (lines, rest) in [
            (&["bearer, T"][..], Some("bearer")),
            (&["chat,bearer", "T,x"], Some("chat, bearer, x")),
            (&["bearer, A, bearer, B"], Some("bearer, bearer")),
            (&["bearer"], None),
            (&["chat, T"], None),
        ] {
            let lines: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
            let kept = protocols_without_token(&lines, "bearer");
            assert_eq!(kept.as_deref(), rest.map(str::as_bytes), "{lines:?}");
        }
    }

    #[test]
    fn a_stripped_credential_leaves_the_rest_as_it_was() {
        let lines: [&[u8]; 2] = [b"a=1; session=T; b=2", b"session=U"];
        assert_eq!(cookies_without(&lines, &["session"]).unwrap(), b"a=1; b=2");
        assert_eq!(cookies_without(&lines[1..], &["session"]).unwrap(), b"");
        assert!(cookies_without(&lines, &["other"]).is_none());
        assert_eq!(path_without(b"/a?x=1&access_token=T&y=%20", &["access_token"]).unwrap(), b"/a?x=1&y=%20");
        assert_eq!(path_without(b"/a?access_token=T", &["access_token"]).unwrap(), b"/a");
        assert!(path_without(b"/a?x=access_token", &["access_token"]).is_none());
        for (query, rest) in [
            ("q=css;access_token&b=2", "q=css&b=2"),
            ("q=css;access.token=T;c&b=2", "q=css;c&b=2"),
            ("access_token=T;x=1&b=2", "b=2"),
            ("ACCESS_TOKEN=T;access_token=T&b=2", "b=2"),
        ] {
            let path = path_without(format!("/a?{query}").as_bytes(), &["access_token"]).unwrap();
            assert_eq!(String::from_utf8(path).unwrap(), format!("/a?{rest}"), "{query}");
        }
        assert_eq!(cookies_without(&[b"a.b=1; a_b=2; ab=3; A_B=4"], &["a_b"]).unwrap(), b"ab=3; A_B=4");
    }

    #[test]
    fn a_header_carries_a_credential_of_its_scheme_and_no_other() {
        for (value, carried) in [
            ("Bearer T", true),
            ("bearer T", true),
            ("Basic x, Bearer T", true),
            ("Basic x, Bearer\tT", true),
            ("Basic x", false),
            ("Bearer ", false),
            ("", false),
        ] {
            assert_eq!(carries(value.as_bytes(), Some("Bearer")), carried, "{value:?}");
        }
        assert!(carries(b"T", None));
        assert!(!carries(b" ", None));
    }
}
