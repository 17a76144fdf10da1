//! Ways to write a path so that somebody reads another one, and paths that only look like it.

/// What stands behind `/public/`.
#[derive(Debug)]
pub struct PathVector {
    /// As it is sent: ASCII, without white space.
    pub rest: &'static str,
    /// Whether it is one of those that everybody reads alike, and stays below `/public/`.
    pub is_ordinary: bool,
}

/// The path is refused.
const fn ambiguous(rest: &'static str) -> PathVector {
    PathVector { rest, is_ordinary: false }
}

/// The path is that of the route.
const fn ordinary(rest: &'static str) -> PathVector {
    PathVector { rest, is_ordinary: true }
}

/// Spellings of `/public/../admin`, and of single characters that readers disagree about.
pub const PATHS: &[PathVector] = &[
    // Dot segments, plain and with each character encoded.
    ambiguous(".."),
    ambiguous("."),
    ambiguous("../admin"),
    ambiguous("./admin"),
    ambiguous("a/../../admin"),
    ambiguous("a/./b"),
    ambiguous("a/.."),
    ambiguous("..?a"),
    ambiguous("%2e%2e/admin"),
    ambiguous("%2E%2E/admin"),
    ambiguous(".%2e/admin"),
    ambiguous("%2E./admin"),
    ambiguous("%2e"),
    // Slashes that are none, and backslashes that some take for slashes.
    ambiguous("..%2fadmin"),
    ambiguous("..%2Fadmin"),
    ambiguous("a%2fb"),
    ambiguous("..\\admin"),
    ambiguous("a\\b"),
    ambiguous("..%5cadmin"),
    ambiguous("..%5Cadmin"),
    ambiguous("%2e%2e%5cadmin"),
    // Empty segments, which some readers drop.
    ambiguous("/admin"),
    ambiguous("a//b"),
    ambiguous("a//"),
    ambiguous("..//admin"),
    // Parameters, which some servers cut off.
    ambiguous("..;/admin"),
    ambiguous("..;a=b/admin"),
    ambiguous(";/admin"),
    ambiguous("a;b"),
    ambiguous("..%3b/admin"),
    ambiguous("a%3Bb"),
    // Encoded twice and more, in whole and in part.
    ambiguous("%252e%252e/admin"),
    ambiguous("..%252fadmin"),
    ambiguous("..%255cadmin"),
    ambiguous("%25252e%25252e/admin"),
    ambiguous("%25%32%65%25%32%65/admin"),
    ambiguous("%%32%65%%32%65/admin"),
    // Encoded though nothing needs it: another spelling of the same name.
    ambiguous("%61"),
    ambiguous("a%2db"),
    ambiguous("%7Ea"),
    ambiguous("%5f"),
    // Overlong forms of UTF-8, surrogates, and bytes that are none of it.
    ambiguous("%c0%ae%c0%ae/admin"),
    ambiguous("..%c0%afadmin"),
    ambiguous("..%c1%9cadmin"),
    ambiguous("%e0%80%ae%e0%80%ae/admin"),
    ambiguous("%f0%80%80%ae/admin"),
    ambiguous("%fc%80%80%80%80%ae/admin"),
    ambiguous("%ed%a0%80"),
    ambiguous("%ff"),
    ambiguous("%e2%82"),
    // Encodings of other worlds, and half ones.
    ambiguous("%u002e%u002e/admin"),
    ambiguous("..%u2215admin"),
    ambiguous("%"),
    ambiguous("a%2"),
    ambiguous("%zz"),
    ambiguous("%-1"),
    ambiguous("%+1"),
    // Controls, which end a text or a line for some.
    ambiguous("..%00/admin"),
    ambiguous("a%00.png"),
    ambiguous("a%0a"),
    ambiguous("a%0d%0aadmin"),
    ambiguous("%09"),
    ambiguous("%7f"),
    ambiguous("%c2%80"),
    ambiguous("%c2%85"),
    // A fragment, which no client sends.
    ambiguous("a#b"),
    ambiguous("..#/admin"),
    // Names, however odd.
    ordinary("a"),
    ordinary("a/"),
    ordinary("a/b/c"),
    ordinary("..."),
    ordinary(".../a"),
    ordinary("...."),
    ordinary(".a"),
    ordinary("..a"),
    ordinary("a.."),
    ordinary("a..b"),
    ordinary("0x2e0x2e/admin"),
    ordinary("C:/boot.ini"),
    ordinary("~a"),
    ordinary("a,b=c&d"),
    ordinary("$(a)"),
    ordinary("*"),
    // Encodings that are needed.
    ordinary("a%20b"),
    ordinary("%c3%a9"),
    ordinary("%E2%82%AC"),
    ordinary("%23"),
    ordinary("%3F"),
    ordinary("100%25"),
    ordinary("100%25/a"),
    ordinary("%25zz"),
    // What stands behind the question mark is no path.
    ordinary("a?.."),
    ordinary("a?/../../admin"),
    ordinary("a?b=%2e%2e%2f"),
    ordinary("a?;//"),
];
