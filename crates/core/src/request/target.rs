//! Which resource does `:path` name, and would every component after this one read it alike?
//!
//! A path that a backend, a proxy or a framework could read differently is refused, not repaired. Any other path has
//! one reading, its decoded text (RFC 3986 sections 2.1, 2.3, 3.3 and 6.2.2), which routes, bindings and keys compare.
//! This module knows no routes, and about the query only where it begins.

mod lifted;
mod unit;

use std::borrow::Cow;
use std::fmt;

pub(crate) use lifted::{Lifted, Lifts, has_good_pieces, with_slashes};
pub(crate) use unit::units;

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
    /// A route's literal beside a parameter, percent-encoded. Only the table of routes can tell.
    EncodedLiteral,
    /// Something that its route allows, but that could make it the path of another route.
    OtherRoute,
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

    /// The path to compare: decoded once, without query and trailing slash. `/` for the root. A slash that was sent
    /// encoded, where a route allows that, is a NUL.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether the path was sent with percent-encodings.
    pub(crate) fn is_encoded(&self) -> bool {
        matches!(self.path, Cow::Owned(_))
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
            Self::EncodedLiteral => "the path has a character percent-encoded that its route has as it is",
            Self::OtherRoute => "the path could be another route's, by what it has encoded or behind a `;`",
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

/// Whether a text that was decoded has another percent-encoding in it, which a second decoder would find.
fn has_encoding(text: &str) -> bool {
    let mut bytes = text.as_bytes();
    while let Some((&byte, after)) = bytes.split_first() {
        if byte == b'%' && pair(after.first().copied(), after.get(1).copied()).is_some() {
            return true;
        }
        bytes = after;
    }
    false
}

/// The byte that two hexadecimal digits stand for.
fn pair(high: Option<u8>, low: Option<u8>) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    Some(digit(high?)?.wrapping_shl(4) | digit(low?)?)
}

#[cfg(test)]
mod tests;
