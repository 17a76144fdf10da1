//! Which host is the request for, and does a configured host match it?
//!
//! The Host header (or `:authority`) arrives as the client wrote it: with capitals, a port, a final dot, or several
//! values joined by a comma. Hosts are compared in one canonical spelling, and anything that is not a host is refused
//! (RFC 3986 section 3.2.2, RFC 9110 section 7.2). Nothing is resolved: an address in an unusual notation is just
//! another name.

use std::borrow::Cow;
use std::fmt;
use std::net::Ipv6Addr;

/// A request's host: lower case, without port and final dot; an IPv6 literal in brackets, in the form of RFC 5952.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Host<'a>(Cow<'a, str>);

/// Why a Host header is refused (400).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostProblem {
    /// No host at all.
    Empty,
    /// Neither a name of letters, digits, `-` and `_`, nor an IPv4 address, nor an IPv6 literal in brackets.
    NotAHost,
    /// The text after the host is not a port.
    NotAPort,
}

/// A host in the configuration: one host, or all hosts below a domain.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum HostPattern {
    /// This host only.
    Exact(HostName),
    /// `*.domain`: every host below the domain, at any depth, but not the domain itself.
    Below(HostName),
}

/// A host in the spelling of [`Host::read`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(String);

/// Why a configured host is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum HostPatternProblem {
    /// It is not a host.
    NotAHost,
    /// It names a port, but routes apply to all ports.
    Port,
    /// It has a `*` that is not its whole first label.
    Star,
    /// It has non-ASCII characters.
    NonAscii,
}

/// The longest name and the longest label, bytes (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 253;
const MAX_LABEL: usize = 63;

impl<'a> Host<'a> {
    /// Reads the value of `:authority` (Host). Allocates only to lower capitals and for IPv6 literals.
    ///
    /// # Errors
    ///
    /// [`HostProblem`] says why the value is not a host.
    pub fn read(raw: &'a [u8]) -> Result<Self, HostProblem> {
        if raw.is_empty() {
            return Err(HostProblem::Empty);
        }
        let text = str::from_utf8(raw).map_err(|_| HostProblem::NotAHost)?;
        if let Some(literal) = text.strip_prefix('[') {
            let (address, behind) = literal.split_once(']').ok_or(HostProblem::NotAHost)?;
            port(behind)?;
            let address: Ipv6Addr = address.parse().map_err(|_| HostProblem::NotAHost)?;
            return Ok(Self(Cow::Owned(format!("[{address}]"))));
        }
        let colon = text.bytes().position(|byte| byte == b':').unwrap_or(text.len());
        let (name, behind) = text.split_at_checked(colon).ok_or(HostProblem::NotAHost)?;
        port(behind)?;
        let name = name.strip_suffix('.').unwrap_or(name);
        let capitals = name_has_capitals(name)?;
        Ok(Self(if capitals { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) }))
    }

    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl HostProblem {
    /// What is wrong. The text contains nothing that the client sent.
    pub const fn text(self) -> &'static str {
        match self {
            Self::Empty => "the host is missing",
            Self::NotAHost => "the host is neither a host name nor an address",
            Self::NotAPort => "the host has a malformed port",
        }
    }
}

impl fmt::Display for HostProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for HostProblem {}

impl HostPattern {
    /// Reads a configured host: `api.example.com`, `*.example.org`, `127.0.0.1` or `[::1]`. Letter case and one
    /// final dot do not matter.
    ///
    /// # Errors
    ///
    /// [`HostPatternProblem`] says why the text is not a host.
    pub fn parse(text: &str) -> Result<Self, HostPatternProblem> {
        if !text.is_ascii() {
            return Err(HostPatternProblem::NonAscii);
        }
        let (below, name) = match text.strip_prefix("*.") {
            Some(domain) => (true, domain),
            None => (false, text),
        };
        if name.contains('*') {
            return Err(HostPatternProblem::Star);
        }
        let host = Host::read(name.as_bytes()).map_err(|problem| match problem {
            HostProblem::NotAPort => HostPatternProblem::Port,
            HostProblem::Empty | HostProblem::NotAHost => HostPatternProblem::NotAHost,
        })?;
        let literal = name.starts_with('[');
        if name.rsplit(']').next().is_some_and(|behind| behind.contains(':')) {
            return Err(HostPatternProblem::Port);
        }
        let name = HostName(host.0.into_owned());
        match (below, literal) {
            (true, true) => Err(HostPatternProblem::NotAHost),
            (true, false) => Ok(Self::Below(name)),
            (false, _) => Ok(Self::Exact(name)),
        }
    }

    /// Whether the pattern matches `host`.
    pub fn matches(&self, host: &Host<'_>) -> bool {
        match self {
            Self::Exact(name) => host.as_str() == name.as_str(),
            // The text before the dot is never empty, because a host has no empty label.
            Self::Below(domain) => {
                host.as_str().strip_suffix(domain.as_str()).is_some_and(|before| before.ends_with('.'))
            }
        }
    }
}

impl HostName {
    /// The canonical text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl HostPatternProblem {
    /// What to write instead.
    pub const fn text(self) -> &'static str {
        match self {
            Self::NotAHost => {
                "names no host: write a name such as `api.example.com`, or `*.example.org` for all hosts below it"
            }
            Self::Port => "names a port: write the host alone, which covers every port",
            Self::Star => {
                "has a `*` that is not the whole first label: write `*.example.org`, or leave `hosts` out for any host"
            }
            Self::NonAscii => "has non-ASCII characters: write the name as it travels, in its `xn--` form",
        }
    }
}

impl fmt::Display for HostPatternProblem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

impl std::error::Error for HostPatternProblem {}

impl fmt::Display for HostPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(name) => f.write_str(name.as_str()),
            Self::Below(domain) => write!(f, "*.{}", domain.as_str()),
        }
    }
}

/// Checks that `behind` is empty or a port (`*DIGIT` in RFC 3986 section 3.2.3, so a lone colon is one).
fn port(behind: &str) -> Result<(), HostProblem> {
    let Some(digits) = behind.strip_prefix(':') else {
        return if behind.is_empty() { Ok(()) } else { Err(HostProblem::NotAPort) };
    };
    // `parse` alone would accept a leading `+`.
    let number = digits.bytes().all(|byte| byte.is_ascii_digit());
    if number && (digits.is_empty() || digits.parse::<u16>().is_ok()) {
        Ok(())
    } else {
        Err(HostProblem::NotAPort)
    }
}

/// Checks a name label by label, and returns whether it has capitals.
fn name_has_capitals(name: &str) -> Result<bool, HostProblem> {
    if name.len() > MAX_NAME {
        return Err(HostProblem::NotAHost);
    }
    let mut capitals = false;
    let mut label: usize = 0;
    for byte in name.bytes() {
        label = match byte {
            b'.' if label == 0 => return Err(HostProblem::NotAHost),
            b'.' => 0,
            b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => label.saturating_add(1),
            b'A'..=b'Z' => {
                capitals = true;
                label.saturating_add(1)
            }
            _ => return Err(HostProblem::NotAHost),
        };
        if label > MAX_LABEL {
            return Err(HostProblem::NotAHost);
        }
    }
    if label == 0 { Err(HostProblem::NotAHost) } else { Ok(capitals) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(raw: &str) -> Result<String, HostProblem> {
        Host::read(raw.as_bytes()).map(|host| host.as_str().to_owned())
    }

    #[test]
    fn a_label_has_at_most_63_bytes_and_a_name_at_most_253() {
        let label = |bytes: usize| "a".repeat(bytes);
        let name = |last: usize| [label(63), label(63), label(63), label(last)].join(".");
        for (host, accepted) in [
            (label(63), true),
            (label(64), false),
            (format!("b.{}.c", label(63)), true),
            (format!("b.{}.c", label(64)), false),
            (name(61), true),
            (name(62), false),
        ] {
            assert_eq!(read(&host).is_ok(), accepted, "{host}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_wrong() {
        for (raw, word) in [("", "missing"), ("a b", "neither"), ("a:b", "port")] {
            let text = Host::read(raw.as_bytes()).unwrap_err().text();
            assert!(text.contains(word), "{raw}: {text}");
        }
        for (pattern, word) in [("a b", "no host"), ("a:1", "port"), ("a.*", "`*`"), ("ä", "non-ASCII")] {
            let text = HostPattern::parse(pattern).unwrap_err().text();
            assert!(text.contains(word), "{pattern}: {text}");
        }
    }

    #[test]
    fn one_spelling_of_a_host_is_compared() {
        for (raw, host) in [
            ("A.B.", "a.b"),
            ("a.b.:80", "a.b"),
            ("Example.ORG:8080", "example.org"),
            ("a:", "a"),
            ("localhost:65535", "localhost"),
            ("127.0.0.1:10000", "127.0.0.1"),
            ("my_service", "my_service"),
            ("xn--caf-dma.example", "xn--caf-dma.example"),
            ("[::1]", "[::1]"),
            ("[::1]:443", "[::1]"),
            ("[2001:DB8:0:0::1]", "[2001:db8::1]"),
            ("[::ffff:10.0.0.1]", "[::ffff:10.0.0.1]"),
        ] {
            assert_eq!(read(raw).as_deref(), Ok(host), "{raw}");
        }
        assert!(matches!(Host::read(b"a.b.:80"), Ok(Host(Cow::Borrowed("a.b")))), "needs no allocation");
    }

    #[test]
    fn what_is_no_host_is_refused() {
        assert_eq!(read(""), Err(HostProblem::Empty));
        for raw in [
            "a,b",
            "a@b",
            ".",
            "..",
            "a..b",
            ".a",
            "a..",
            " a",
            "a ",
            "a b",
            "a\tb",
            "a\0",
            "a\u{7f}",
            "é",
            "a%41",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "*",
            "*.a",
            "a;b",
            ":80",
            "[",
            "[]",
            "[::1",
            "::1",
            "[::1%25eth0]",
            "[1.2.3.4]",
            "[v1.x]",
            "[ ::1]",
            "{a}",
            "http://a",
            "a:80:80",
            "[::1]:80:80",
            "a:+1",
            "a:65536",
            "a:8x",
            "a: 80",
            "[::1]x",
            "[::1].",
        ] {
            assert!(read(raw).is_err(), "{raw:?}");
        }
        assert!(Host::read(b"a\xFF").is_err());
        assert!(read(&"a".repeat(64)).is_err());
        assert!(read(&"a.".repeat(127)).is_ok());
        assert!(read(&"a.".repeat(128)).is_err());
    }

    #[test]
    fn a_wildcard_covers_what_is_below_it_and_nothing_else() {
        let matches = |pattern: &str, host: &str| {
            HostPattern::parse(pattern).unwrap().matches(&Host::read(host.as_bytes()).unwrap())
        };
        assert!(matches("*.example.org", "x.example.org"));
        assert!(matches("*.Example.ORG.", "a.b.EXAMPLE.org:80"));
        for host in [
            "example.org",
            "x.badexample.org",
            "badexample.org",
            "example.org.evil",
            "org",
            "x.example.org.evil",
        ] {
            assert!(!matches("*.example.org", host), "{host}");
        }
        assert!(matches("API.example.com", "api.example.com."));
        assert!(!matches("api.example.com", "x.api.example.com"));
        assert!(!matches("api.example.com", "api-example.com"));
        assert!(matches("[::1]", "[0:0::1]:80"));
    }

    #[test]
    fn a_refused_pattern_says_what_to_write() {
        for (text, problem) in [
            ("", HostPatternProblem::NotAHost),
            ("*.", HostPatternProblem::NotAHost),
            ("a,b", HostPatternProblem::NotAHost),
            ("https://a", HostPatternProblem::Port),
            ("[::1", HostPatternProblem::NotAHost),
            ("*.[::1]", HostPatternProblem::NotAHost),
            ("a:80", HostPatternProblem::Port),
            ("a:", HostPatternProblem::Port),
            ("a:http", HostPatternProblem::Port),
            ("[::1]:80", HostPatternProblem::Port),
            ("*", HostPatternProblem::Star),
            ("*a.b", HostPatternProblem::Star),
            ("a.*.b", HostPatternProblem::Star),
            ("*.*.b", HostPatternProblem::Star),
            ("café.example", HostPatternProblem::NonAscii),
        ] {
            assert_eq!(HostPattern::parse(text), Err(problem), "{text:?}");
        }
        assert_eq!(HostPattern::parse("*.A.b.").unwrap().to_string(), "*.a.b");
        assert_eq!(HostPattern::parse("A.b").unwrap().to_string(), "a.b");
    }

    proptest! {
        #[test]
        fn reading_a_host_again_changes_nothing(raw in "[aB1._:\\[\\]-]{0,12}") {
            if let Ok(host) = read(&raw) {
                prop_assert_eq!(read(&host), Ok(host.clone()));
                prop_assert!(HostPattern::parse(&host).is_ok());
            }
        }

        #[test]
        fn no_bytes_make_the_host_reader_panic(raw in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = Host::read(&raw);
            let _ = HostPattern::parse(&String::from_utf8_lossy(&raw));
        }
    }
}
