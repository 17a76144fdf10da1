//! Which resource does `:path` name, and would every component after this one read it alike?
//!
//! A path that a backend, a proxy or a framework could read differently is refused, not repaired. Any other path has
//! one reading, its decoded text (RFC 3986 sections 2.1, 2.3, 3.3 and 6.2.2), which routes, bindings and keys compare.
//! This module knows no routes, and about the query only where it begins.

use std::borrow::Cow;
use std::fmt;

/// A request target. Its path has no dot segments, empty segments, parameters or control characters, and decoding it a
/// second time changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target<'a> {
    // INVARIANT: starts with `/`; ends with `/` only if it is the root; no segment is empty, `.` or `..`; no `/`
    // was encoded. `route::Tree` relies on this when it splits at `/`.
    path: Cow<'a, str>,
    raw_path: &'a str,
    query: Option<&'a [u8]>,
}

/// Why a target is refused (400).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TargetProblem {
    /// Not a path: empty, `*`, an authority or the absolute form.
    Malformed,
    /// Another component could read the path differently.
    Ambiguous(Reason),
}

/// What makes a path ambiguous. Of several faults, this names the leftmost one that is visible without decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Reason {
    /// `.` or `..` as a whole segment.
    DotSegment,
    /// `//`.
    EmptySegment,
    /// `\` or `%5C`.
    Backslash,
    /// `%2F`.
    EncodedSlash,
    /// `;` or `%3B`: some servers drop it and the text after it.
    Parameter,
    /// `#`: some readers end the path there.
    Fragment,
    /// A percent-encoded letter, digit, `-`, `.`, `_` or `~` (RFC 3986 section 2.3), such as `%61` for `a`.
    EncodedUnreserved,
    /// `%25` followed by two hexadecimal digits: a second decoder would find another character.
    DoubleEncoding,
    /// `%` without two hexadecimal digits.
    BadPercent,
    /// A control character, raw or encoded: NUL to U+001F, U+007F, U+0080 to U+009F.
    Control,
    /// A raw space, which would end the path in an HTTP/1 request line.
    Space,
    /// A raw byte above 0x7F.
    NonAscii,
    /// Percent-encoded bytes that are not UTF-8, including overlong forms.
    NotUtf8,
}

impl<'a> Target<'a> {
    /// Reads the value of `:path`. Allocates only if the path has percent-encodings.
    ///
    /// # Errors
    ///
    /// [`TargetProblem`] says why the path is refused.
    pub fn read(raw: &'a [u8]) -> Result<Self, TargetProblem> {
        if raw.first() != Some(&b'/') {
            return Err(TargetProblem::Malformed);
        }
        let Scan { path, query, encoded } = scan(raw)?;
        // Never fails, because the scan accepts only ASCII.
        let raw_path = str::from_utf8(path).map_err(|_| Reason::NonAscii)?;
        let trimmed = match raw_path.strip_suffix('/') {
            Some("") | None => raw_path,
            Some(trimmed) => trimmed,
        };
        let path = if encoded { Cow::Owned(decode(trimmed)?) } else { Cow::Borrowed(trimmed) };
        if encoded && path.chars().any(char::is_control) {
            return Err(Reason::Control.into());
        }
        Ok(Self { path, raw_path, query })
    }

    /// The root, which replaces a path that cannot be read.
    pub(crate) const fn root() -> Self {
        Self { path: Cow::Borrowed("/"), raw_path: "/", query: None }
    }

    /// The path to compare: decoded once, without query and trailing slash. `/` for the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// The path as sent, without the query, for logs. ASCII without control characters.
    pub fn raw_path(&self) -> &'a str {
        self.raw_path
    }

    /// The bytes after the first `?`, as sent, if there is one. Must not be logged: they may contain credentials.
    pub fn query(&self) -> Option<&'a [u8]> {
        self.query
    }
}

impl TargetProblem {
    /// What is wrong. The text contains nothing that the client sent.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Malformed => "the path must begin with `/`",
            Self::Ambiguous(reason) => reason.text(),
        }
    }
}

impl Reason {
    /// What is wrong. The text contains nothing that the client sent.
    pub const fn text(self) -> &'static str {
        match self {
            Self::DotSegment => "the path has a `.` or `..` segment",
            Self::EmptySegment => "the path has an empty segment",
            Self::Backslash => "the path has a backslash",
            Self::EncodedSlash => "the path has an encoded slash",
            Self::Parameter => "the path has a `;`",
            Self::Fragment => "the path has a `#`",
            Self::EncodedUnreserved => "the path has a percent-encoded letter, digit, `-`, `.`, `_` or `~`",
            Self::DoubleEncoding => "the path is percent-encoded twice",
            Self::BadPercent => "the path has a `%` without two hexadecimal digits",
            Self::Control => "the path has a control character",
            Self::Space => "the path has a space that is not encoded",
            Self::NonAscii => "the path has a non-ASCII byte that is not encoded",
            Self::NotUtf8 => "the path has encoded bytes that are not UTF-8",
        }
    }
}

impl From<Reason> for TargetProblem {
    fn from(reason: Reason) -> Self {
        Self::Ambiguous(reason)
    }
}

impl fmt::Display for TargetProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for TargetProblem {}

/// Decodes every percent-encoding in `text` once.
pub(crate) fn decode(text: &str) -> Result<String, Reason> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(if byte == b'%' {
            pair(bytes.next(), bytes.next()).ok_or(Reason::BadPercent)?
        } else {
            byte
        });
    }
    String::from_utf8(decoded).map_err(|_| Reason::NotUtf8)
}

struct Scan<'a> {
    path: &'a [u8],
    query: Option<&'a [u8]>,
    encoded: bool,
}

/// The contents of the current segment so far.
enum Segment {
    Empty,
    Dot,
    DotDot,
    Ordinary,
}

/// Goes once over the bytes up to the query, and refuses every fault that is visible without decoding.
fn scan(raw: &[u8]) -> Result<Scan<'_>, Reason> {
    let mut rest = raw.get(1..).unwrap_or_default();
    let mut segment = Segment::Empty;
    let mut encoded = false;
    let mut query = None;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        segment = match byte {
            b'/' => match segment {
                Segment::Empty => return Err(Reason::EmptySegment),
                Segment::Dot | Segment::DotDot => return Err(Reason::DotSegment),
                Segment::Ordinary => Segment::Empty,
            },
            b'.' => match segment {
                Segment::Empty => Segment::Dot,
                Segment::Dot => Segment::DotDot,
                Segment::DotDot | Segment::Ordinary => Segment::Ordinary,
            },
            b'?' => {
                query = Some(after);
                break;
            }
            b'%' => {
                rest = after_percent(after)?;
                encoded = true;
                Segment::Ordinary
            }
            b'\\' => return Err(Reason::Backslash),
            b';' => return Err(Reason::Parameter),
            b'#' => return Err(Reason::Fragment),
            b' ' => return Err(Reason::Space),
            0x00..=0x1F | 0x7F => return Err(Reason::Control),
            0x80.. => return Err(Reason::NonAscii),
            _ => Segment::Ordinary,
        };
    }
    match segment {
        Segment::Dot | Segment::DotDot => return Err(Reason::DotSegment),
        Segment::Empty | Segment::Ordinary => {}
    }
    let behind = query.map_or(0, |query: &[u8]| query.len().saturating_add(1));
    let path = raw.get(..raw.len().saturating_sub(behind)).unwrap_or_default();
    Ok(Scan { path, query, encoded })
}

/// Checks the percent-encoding whose `%` comes just before `rest`, and returns what follows it.
fn after_percent(rest: &[u8]) -> Result<&[u8], Reason> {
    let [high, low, after @ ..] = rest else { return Err(Reason::BadPercent) };
    match pair(Some(*high), Some(*low)).ok_or(Reason::BadPercent)? {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => Err(Reason::EncodedUnreserved),
        b'/' => Err(Reason::EncodedSlash),
        b'\\' => Err(Reason::Backslash),
        b';' => Err(Reason::Parameter),
        // If digits of the inner encoding are encoded themselves, they are refused as encoded unreserved characters.
        b'%' => match after {
            [high, low, ..] if pair(Some(*high), Some(*low)).is_some() => Err(Reason::DoubleEncoding),
            _ => Ok(after),
        },
        // Control characters and bytes from 0x80 on are checked in the decoded text.
        _ => Ok(after),
    }
}

/// The byte that two hexadecimal digits stand for.
fn pair(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high?)?.wrapping_shl(4) | digit(low?)?)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn path(raw: &str) -> Result<String, TargetProblem> {
        Target::read(raw.as_bytes()).map(|target| target.path().to_owned())
    }

    fn refused(raw: &[u8], reason: Reason) {
        assert_eq!(Target::read(raw), Err(TargetProblem::Ambiguous(reason)), "{}", raw.escape_ascii());
    }

    #[test]
    fn ordinary_paths_are_read_as_they_are() {
        for (raw, read) in [
            ("/", "/"),
            ("/a", "/a"),
            ("/a/", "/a"),
            ("/a/b/", "/a/b"),
            ("/A/b", "/A/b"),
            ("/?x", "/"),
            ("/a/?x=/../;", "/a"),
            ("/...", "/..."),
            ("/..../a", "/..../a"),
            ("/.a/a./..a/a..", "/.a/a./..a/a.."),
            ("/a@b:c,d=e+f!$&'()*~_-", "/a@b:c,d=e+f!$&'()*~_-"),
            ("/{a}|^`\"<>", "/{a}|^`\"<>"),
        ] {
            let target = Target::read(raw.as_bytes()).unwrap();
            assert_eq!(target.path(), read);
            assert!(matches!(target.path, Cow::Borrowed(_)), "{raw} needs no allocation");
        }
    }

    #[test]
    fn ordinary_encodings_are_decoded_once_in_either_letter_case() {
        for (raw, read) in [
            ("/a%20b", "/a b"),
            ("/users/a%40b", "/users/a@b"),
            ("/caf%C3%A9", "/café"),
            ("/caf%c3%a9/", "/café"),
            ("/%F0%9F%A6%80", "/🦀"),
            ("/100%25", "/100%"),
            ("/100%25/a", "/100%/a"),
            ("/%25zz", "/%zz"),
            ("/%25%20", "/% "),
            ("/a%3Fb%23", "/a?b#"),
            ("/%7b%7D", "/{}"),
            ("/%2B", "/+"),
            ("/a%20?%zz", "/a "),
        ] {
            assert_eq!(path(raw).as_deref(), Ok(read), "{raw}");
        }
    }

    #[test]
    fn the_path_as_sent_and_the_query_are_kept() {
        let target = Target::read(b"/a%20b/?token=%zz?\xFF#").unwrap();
        assert_eq!(target.raw_path(), "/a%20b/");
        assert_eq!(target.query(), Some(&b"token=%zz?\xFF#"[..]));
        assert_eq!(Target::read(b"/a").unwrap().query(), None);
        assert_eq!(Target::read(b"/a?").unwrap().query(), Some(&b""[..]));
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        for (raw, word) in [("a", "begin with"), ("/..", "segment"), ("/a;b", "`;`"), ("/a%", "hexadecimal")]
        {
            let text = Target::read(raw.as_bytes()).unwrap_err().text();
            assert!(text.contains(word), "{raw}: {text}");
        }
    }

    #[test]
    fn what_is_no_path_is_malformed() {
        for raw in
            ["", "*", "a", "?", "?/a", "http://evil/abs", "example.org:443", " /a", "%2Fa", "\\a", "./a"]
        {
            assert_eq!(Target::read(raw.as_bytes()), Err(TargetProblem::Malformed), "{raw:?}");
        }
    }

    #[test]
    fn dot_segments_are_refused_raw_and_encoded() {
        for raw in ["/.", "/..", "/./a", "/a/../b", "/a/.", "/a/..", "/a/./", "/a/..?q", "/../", "/a/..;/b"] {
            let reason = if raw.contains(';') { Reason::Parameter } else { Reason::DotSegment };
            refused(raw.as_bytes(), reason);
        }
        for raw in ["/%2e", "/%2E%2e/a", "/a/.%2e", "/a/%2e./b", "/a/%2E%2E", "/%2e%2e;/a"] {
            refused(raw.as_bytes(), Reason::EncodedUnreserved);
        }
    }

    #[test]
    fn empty_segments_are_refused() {
        for raw in ["//", "//a", "/a//b", "/a//", "/a///", "//?q", "///"] {
            refused(raw.as_bytes(), Reason::EmptySegment);
        }
    }

    #[test]
    fn slashes_and_backslashes_that_only_some_see_are_refused() {
        for raw in ["/%2f", "/a%2Fb", "/a/%2f/b", "/a%2f"] {
            refused(raw.as_bytes(), Reason::EncodedSlash);
        }
        for raw in ["/\\", "/a\\b", "/a%5cb", "/a%5C", "/public%5c..%5cadmin"] {
            refused(raw.as_bytes(), Reason::Backslash);
        }
    }

    #[test]
    fn parameters_and_fragments_are_refused() {
        for raw in ["/;", "/a;x=1", "/a;x=1/b", "/a%3bx", "/a%3B", "/;a/b"] {
            refused(raw.as_bytes(), Reason::Parameter);
        }
        refused(b"/a#f", Reason::Fragment);
        refused(b"/#?", Reason::Fragment);
    }

    #[test]
    fn every_encoded_unreserved_character_is_refused() {
        for byte in (0..=0x7F_u8).filter(|byte| byte.is_ascii_alphanumeric() || b"-._~".contains(byte)) {
            refused(format!("/x%{byte:02x}").as_bytes(), Reason::EncodedUnreserved);
            refused(format!("/x%{byte:02X}y").as_bytes(), Reason::EncodedUnreserved);
        }
    }

    #[test]
    fn double_encodings_are_refused() {
        for raw in [
            "/%252e",
            "/%2561dmin",
            "/%252F",
            "/a%255c",
            "/%253b",
            "/%25c0%25af",
            "/%25FF",
            "/%2520",
            "/%2500",
        ] {
            refused(raw.as_bytes(), Reason::DoubleEncoding);
        }
        refused(b"/%25%32e", Reason::EncodedUnreserved);
        refused(b"/%252%65", Reason::EncodedUnreserved);
        refused(b"/%%32%65", Reason::BadPercent);
    }

    #[test]
    fn bad_percent_sequences_are_refused() {
        for raw in [
            "/%", "/a%", "/%a", "/%zz", "/%2", "/%2g", "/%g2", "/%+1", "/% 1", "/%u002e", "/%?41", "/%2/e",
            "/%%",
        ] {
            refused(raw.as_bytes(), Reason::BadPercent);
        }
    }

    #[test]
    fn every_control_is_refused_raw_and_encoded() {
        for byte in (0..0x20_u8).chain([0x7F]) {
            refused(&[b'/', b'a', byte, b'b'], Reason::Control);
            refused(format!("/a%{byte:02x}").as_bytes(), Reason::Control);
            refused(format!("/a%{byte:02X}.json").as_bytes(), Reason::Control);
        }
        for byte in 0x80..=0x9F_u8 {
            refused(format!("/a%c2%{byte:02x}").as_bytes(), Reason::Control);
        }
        assert_eq!(path("/%c2%a0").as_deref(), Ok("/\u{a0}"));
        refused(b"/a b", Reason::Space);
    }

    #[test]
    fn bytes_beyond_ascii_are_refused_unless_encoded_as_utf8() {
        for byte in 0x80..=0xFF_u8 {
            refused(&[b'/', byte], Reason::NonAscii);
            refused(format!("/%{byte:02x}").as_bytes(), Reason::NotUtf8);
        }
        refused("/é".as_bytes(), Reason::NonAscii);
        for raw in ["/%c0%ae", "/%C0%AF", "/%c1%9c", "/%e0%80%af", "/%ed%a0%80", "/%f5%80%80%80", "/%c3/%a9"]
        {
            refused(raw.as_bytes(), Reason::NotUtf8);
        }
    }

    #[test]
    fn no_text_repeats_what_was_sent() {
        let problem = Target::read(b"/secret/..").unwrap_err();
        assert_eq!(problem.to_string(), "the path has a `.` or `..` segment");
        assert_eq!(Target::read(b"x").unwrap_err().to_string(), "the path must begin with `/`");
    }

    /// What a lenient server makes of a path: decodes where it can, takes `\` for `/`, drops parameters, merges
    /// slashes, resolves dot segments.
    fn lenient(path: &str) -> String {
        let decoded = naive_decode(path.as_bytes()).0;
        let text = String::from_utf8_lossy(&decoded).replace('\\', "/");
        let mut kept: Vec<&str> = Vec::new();
        for segment in text.split('/').map(|segment| segment.split(';').next().unwrap_or_default()) {
            match segment {
                "" | "." => {}
                ".." => drop(kept.pop()),
                other => kept.push(other),
            }
        }
        format!("/{}", kept.join("/"))
    }

    /// The bytes, decoded where a pair of hexadecimal digits follows, and whether one did not.
    fn naive_decode(raw: &[u8]) -> (Vec<u8>, bool) {
        const DIGITS: &str = "0123456789abcdef";
        let (mut decoded, mut bad) = (Vec::new(), false);
        let mut rest = raw;
        while let Some(first) = rest.first() {
            let digits: Vec<_> = rest
                .iter()
                .skip(1)
                .take(2)
                .filter_map(|b| DIGITS.find(char::from(b.to_ascii_lowercase())))
                .collect();
            if *first == b'%' && digits.len() == 2 {
                decoded.push(u8::try_from(digits[0].wrapping_mul(16).wrapping_add(digits[1])).unwrap());
                rest = &rest[3..];
            } else {
                bad |= *first == b'%';
                decoded.push(*first);
                rest = &rest[1..];
            }
        }
        (decoded, bad)
    }

    /// The contract, rule by rule, each with a pass of its own.
    fn model(raw: &[u8]) -> Option<String> {
        let path = raw.split(|byte| *byte == b'?').next()?;
        if !path.starts_with(b"/") || path.iter().any(|byte| !(0x21..0x7F).contains(byte)) {
            return None;
        }
        let text = String::from_utf8(path.to_vec()).unwrap();
        let folded = text.to_ascii_lowercase();
        let forbidden = ["\\", ";", "#", "//", "%2f", "%5c", "%3b"];
        if forbidden.iter().any(|bad| folded.contains(bad)) {
            return None;
        }
        if (0..=0xFF_u8).any(|byte| folded.contains(&format!("%25{byte:02x}"))) {
            return None;
        }
        let unreserved = |byte: &u8| byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        if (0..=0x7F_u8).filter(unreserved).any(|byte| folded.contains(&format!("%{byte:02x}"))) {
            return None;
        }
        let (decoded, bad) = naive_decode(path);
        let decoded = String::from_utf8(decoded).ok()?;
        if bad
            || decoded.chars().any(char::is_control)
            || text.split('/').any(|part| part == "." || part == "..")
        {
            return None;
        }
        Some(if decoded == "/" { decoded } else { decoded.strip_suffix('/').unwrap_or(&decoded).to_owned() })
    }

    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        let tokens = prop::sample::select(vec![
            "/", "/", "/", ".", "..", "a", "B", "7", "%2e", "%2E", "%2f", "%5C", "\\", ";", "%3b", "%25",
            "%25", "%", "2", "5", "f", "%C3%A9", "%c2%85", "%00", "%7f", "%20", "?", "#", "é", "%40", "@",
            "%c0%af", "%zz", "{", " ",
        ]);
        let token = prop_oneof![9 => tokens.prop_map(|token| token.as_bytes().to_vec()), 1 => any::<u8>().prop_map(|byte| vec![byte])];
        prop::collection::vec(token, 0..10).prop_map(|tokens| [b"/".to_vec(), tokens.concat()].concat())
    }

    fn mostly_good() -> impl Strategy<Value = Vec<u8>> {
        let tokens = prop::sample::select(vec![
            "/a", "/..b", "c", "%20", "%C3%A9", "%25", "%40", "/", ".", "%3f", "~", "?",
        ]);
        prop::collection::vec(tokens, 0..10).prop_map(|tokens| format!("/x{}", tokens.concat()).into_bytes())
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

        #[test]
        fn what_is_accepted_has_one_reading(raw in prop_oneof![hostile(), mostly_good()]) {
            if let Ok(target) = Target::read(&raw) {
                prop_assert_eq!(lenient(target.raw_path()), target.path());
                prop_assert_eq!(lenient(target.path()), target.path());
            }
        }

        #[test]
        fn reading_agrees_with_the_rules_one_by_one(raw in prop_oneof![hostile(), mostly_good()]) {
            prop_assert_eq!(Target::read(&raw).ok().map(|target| target.path().to_owned()), model(&raw));
        }

        #[test]
        fn no_bytes_make_the_reader_panic(raw in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = Target::read(&raw);
            let _ = Target::read(&[b"/".to_vec(), raw].concat());
        }
    }
}
