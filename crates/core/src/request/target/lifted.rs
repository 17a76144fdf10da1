//! How does a path read of which a route allows what is refused elsewhere, and how could others read it?
//!
//! Encoded slashes, semicolons and encoded unreserved characters are let stand in single segments. Such a path has no
//! longer one reading: somebody splits it at the encoded slash, or drops what follows a semicolon. The table of routes
//! says whether that makes it another route's path; here are only the readings.

use std::borrow::Cow;

use super::{Target, has_encoding, units};

/// Stands in [`Target::path`] for a slash that was sent encoded, and so ends no segment. No other path has it.
const HIDDEN_SLASH: char = '\0';
/// Stands for a semicolon that was sent encoded while a path is read.
const HIDDEN_SEMICOLON: char = '\u{1}';

/// What is let stand in a path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Lifts {
    /// `%2F`.
    pub(crate) encoded_slash: bool,
    /// `;` or `%3B`.
    pub(crate) semicolon: bool,
    /// A percent-encoded unreserved character (RFC 3986 section 2.3).
    pub(crate) encoded_unreserved: bool,
}

/// A path with something let stand.
#[derive(Debug)]
pub(crate) struct Lifted<'a> {
    target: Target<'a>,
    /// What each segment, as it was sent, needs.
    lifts: Vec<Lifts>,
    /// The decoded path, with [`HIDDEN_SLASH`] and [`HIDDEN_SEMICOLON`] in it.
    text: String,
}

impl Lifts {
    /// Whether nothing is let stand.
    pub(crate) fn is_none(self) -> bool {
        self == Self::default()
    }

    /// Whether `allowed` has all of this.
    pub(crate) fn are_within(self, allowed: Self) -> bool {
        (!self.encoded_slash || allowed.encoded_slash)
            && (!self.semicolon || allowed.semicolon)
            && (!self.encoded_unreserved || allowed.encoded_unreserved)
    }
}

impl<'a> Lifted<'a> {
    /// Reads the value of `:path`. `None` if it has anything that no route can allow, or a piece between slashes,
    /// encoded or not, that is empty, `.` or `..`.
    pub(crate) fn read(raw: &'a [u8]) -> Option<Self> {
        let end = raw.iter().position(|byte| *byte == b'?').unwrap_or(raw.len());
        let (path, query) = raw.split_at_checked(end)?;
        let is_visible = |byte: &u8| matches!(byte, 0x21..=0x7E) && !matches!(byte, b'\\' | b'#');
        let raw_path = str::from_utf8(path).ok().filter(|path| path.bytes().all(|byte| is_visible(&byte)))?;
        let segments = raw_path.strip_prefix('/')?;
        let segments = segments.strip_suffix('/').unwrap_or(segments);
        let mut text = Vec::with_capacity(raw_path.len());
        let mut lifts = Vec::new();
        for segment in segments.split('/') {
            text.push(b'/');
            lifts.push(decode(segment, &mut text)?);
        }
        let text = String::from_utf8(text).ok()?;
        let is_control = |char: char| char.is_control() && !matches!(char, HIDDEN_SLASH | HIDDEN_SEMICOLON);
        if text.chars().any(is_control)
            || has_encoding(&text)
            || !text.strip_prefix('/').is_some_and(has_good_pieces)
        {
            return None;
        }
        let path = Cow::Owned(text.replace(HIDDEN_SEMICOLON, ";"));
        Some(Self { target: Target { path, raw_path, query: query.get(1..) }, lifts, text })
    }

    /// The path, as routes are found by it: an encoded slash ends no segment.
    pub(crate) fn target(&self) -> &Target<'a> {
        &self.target
    }

    pub(crate) fn into_target(self) -> Target<'a> {
        self.target
    }

    /// What each segment needs.
    pub(crate) fn lifts(&self) -> &[Lifts] {
        &self.lifts
    }

    /// The other readings: split at encoded slashes, and cut at semicolons, encoded ones included or not, to the end of
    /// the segment, of the piece between slashes, or of the path. `None` if one of them has a piece that is empty, `.`
    /// or `..`.
    pub(crate) fn readings(&self) -> Option<Vec<String>> {
        let mut cut = vec![self.text.clone()];
        for ends in [&[';'][..], &[';', HIDDEN_SEMICOLON]] {
            cut.push(before(&self.text, ends).to_owned());
            for between in [&['/'][..], &['/', HIDDEN_SLASH]] {
                cut.push(
                    self.text.split_inclusive(between).map(|piece| cut_piece(piece, ends, between)).collect(),
                );
            }
        }
        let mut readings: Vec<String> = Vec::new();
        for text in cut {
            let text = text.replace(HIDDEN_SEMICOLON, ";");
            for reading in [text.replace(HIDDEN_SLASH, "/"), text] {
                if !reading.strip_prefix('/').is_some_and(has_good_pieces) {
                    return None;
                }
                if !readings.contains(&reading) {
                    readings.push(reading);
                }
            }
        }
        Some(readings)
    }
}

/// A path, or a part of one, with its encoded slashes as slashes.
pub(crate) fn with_slashes(text: &str) -> Cow<'_, str> {
    if text.contains(HIDDEN_SLASH) {
        Cow::Owned(text.replace(HIDDEN_SLASH, "/"))
    } else {
        Cow::Borrowed(text)
    }
}

/// Decodes a segment to the end of `text`. Says what it needs; `None` if it has anything that is refused in any case.
fn decode(segment: &str, text: &mut Vec<u8>) -> Option<Lifts> {
    let mut lifts = Lifts::default();
    let mut sent: usize = 0;
    for unit in units(segment) {
        sent = sent.saturating_add(if unit.is_encoded { 3 } else { 1 });
        text.push(match unit.byte {
            b'/' => {
                lifts.encoded_slash = true;
                0
            }
            b';' => {
                lifts.semicolon = true;
                if unit.is_encoded { 1 } else { b';' }
            }
            b'\\' | 0x00..=0x1F | 0x7F => return None,
            byte => {
                lifts.encoded_unreserved |= unit.is_encoded && unit.is_unreserved();
                byte
            }
        });
    }
    // A bad percent-encoding ends the units early.
    (sent == segment.len()).then_some(lifts)
}

/// Whether no piece between slashes, encoded or not, is empty, `.` or `..`. `text`: a path without its first slash, or a
/// part of one.
#[inline(never)]
pub(crate) fn has_good_pieces(text: &str) -> bool {
    !text.split(['/', HIDDEN_SLASH]).any(|piece| matches!(piece, "" | "." | ".."))
}

fn before<'t>(text: &'t str, ends: &[char]) -> &'t str {
    text.split(ends).next().unwrap_or_default()
}

/// A piece up to its first semicolon, and the slash that ends it.
fn cut_piece(piece: &str, ends: &[char], between: &[char]) -> String {
    let body = piece.trim_end_matches(between);
    let slash = piece.get(body.len()..).unwrap_or_default();
    [before(body, ends), slash].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn readings(path: &str) -> Option<Vec<String>> {
        let mut readings = Lifted::read(path.as_bytes())?.readings()?;
        readings.sort();
        Some(readings)
    }

    fn lifts(path: &str) -> Vec<String> {
        let letters = |lifts: &Lifts| {
            let all = [('s', lifts.encoded_slash), (';', lifts.semicolon), ('u', lifts.encoded_unreserved)];
            all.iter().filter(|(_, is_on)| *is_on).map(|(letter, _)| letter).collect()
        };
        Lifted::read(path.as_bytes()).unwrap().lifts().iter().map(letters).collect()
    }

    #[test]
    fn each_segment_says_what_it_needs() {
        for (path, expected) in [
            ("/a/b%2Fc", &["", "s"][..]),
            ("/a;x/%3b1/%7Euser/", &[";", ";", "u"]),
            ("/%61%2f%3B", &["su;"]),
            ("/a/b%20c?x=%2F", &["", ""]),
        ] {
            let found: Vec<String> = lifts(path);
            let sorted = |text: &str| {
                let mut letters: Vec<char> = text.chars().collect();
                letters.sort_unstable();
                letters
            };
            assert_eq!(
                found.iter().map(|text| sorted(text)).collect::<Vec<_>>(),
                expected.iter().map(|text| sorted(text)).collect::<Vec<_>>(),
                "{path}"
            );
        }
    }

    #[test]
    fn an_encoded_slash_ends_no_segment_and_is_a_slash_in_values() {
        let lifted = Lifted::read(b"/a/b%2Fc/?q").unwrap();
        assert_eq!(lifted.target().path(), "/a/b\0c");
        assert_eq!(with_slashes(lifted.target().path()), "/a/b/c");
        assert_eq!(lifted.target().raw_path(), "/a/b%2Fc/");
        assert_eq!(lifted.target().query(), Some(&b"q"[..]));
    }

    #[test]
    fn what_no_route_can_allow_stays_refused() {
        for path in [
            "/",
            "a",
            "/a%5Cb",
            "/a\\b",
            "/a/../b%2Fc",
            "/a%2F",
            "/%2Fa",
            "/a%2F%2Fb",
            "/a%2F..",
            "/..%2Fa",
            "/%2e%2e",
            "/%2E",
            "/a%2F%2e%2E%2Fb",
            "/a//b%2F",
            "/a%00%2F",
            "/a%01",
            "/a%7f",
            "/a%C2%85;",
            "/a%2",
            "/a%zz;",
            "/%",
            "/a#;",
            "/a%252F",
            "/%25%32%46",
            "/%2541",
            "/%2%35",
            "/a%C0%AF",
            "/a b;",
            "/a%2Fb//",
        ] {
            assert!(Lifted::read(path.as_bytes()).is_none(), "{path}");
        }
        for path in
            ["/;", "/;x", "/a/;x/b", "/..;/a", "/a/.;x", "/a/..%3B/b", "/a%2F;x", "/a%2F..;b/c", "/a/%3b"]
        {
            assert_eq!(readings(path), None, "{path}");
        }
    }

    #[test]
    fn others_split_at_encoded_slashes_and_cut_at_semicolons() {
        for (path, expected) in [
            ("/p/a%2Fb", &["/p/a\0b", "/p/a/b"][..]),
            ("/p/a;x", &["/p/a", "/p/a;x"]),
            ("/p/a%3Bx", &["/p/a", "/p/a;x"]),
            ("/p/a;x/b", &["/p/a", "/p/a/b", "/p/a;x/b"]),
            ("/p/a;x%2Fb", &["/p/a", "/p/a\0b", "/p/a/b", "/p/a;x\0b", "/p/a;x/b"]),
            ("/p/a%3Bx;y", &["/p/a", "/p/a;x", "/p/a;x;y"]),
            ("/p/%7Eu", &["/p/~u"]),
        ] {
            let mut expected: Vec<String> = expected.iter().map(|&text| text.to_owned()).collect();
            expected.sort();
            assert_eq!(readings(path), Some(expected), "{path}");
        }
    }
}
