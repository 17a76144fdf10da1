//! Texts that are JSON (RFC 8259), and texts that some readers take for it.

/// What a text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// A value.
    Value,
    /// Nothing that may be read.
    Nothing,
    /// Readers may differ, but one reader must not differ from itself.
    Either,
}

/// A text and what it is.
#[derive(Debug)]
pub struct Text {
    /// The text, which may be no UTF-8.
    pub bytes: Vec<u8>,
    /// What it is.
    pub reading: Reading,
}

/// Values, one of each kind and the edges of each.
const VALUES: &[&[u8]] = &[
    b"null",
    b"true",
    b"false",
    b"0",
    b"-0",
    b"-0.0",
    b"1.0",
    b"1e0",
    b"1E+2",
    b"0.5e-7",
    b"18446744073709551615",
    b"18446744073709551616",
    b"-9223372036854775809",
    b"123456789012345678901234567890",
    b"0.1000000000000000055511151231257827",
    br#""""#,
    br#""a""#,
    br#""\"\\\/\b\f\n\r\t""#,
    br#""\u0041\u00e9\u20AC""#,
    br#""\u0000""#,
    br#""\ud83d\ude00""#,
    b"\"\x7f\"",
    "\"é€😀\"".as_bytes(),
    "\"\u{2028}\u{2029}\u{feff}\u{ffff}\"".as_bytes(),
    b"[]",
    b"[ ]",
    b"[1,2]",
    b"[[],{}]",
    b"{}",
    b"{ }",
    br#"{"":0}"#,
    br#"{"a":1,"b":[true]}"#,
    br#"{"a":1,"a":2}"#,
    br#"{"a":{"\u0061":1,"a":1}}"#,
    b" \t\r\n1 \t\r\n",
];

/// What is read leniently here and there.
const NO_VALUES: &[&[u8]] = &[
    b"",
    b" ",
    // Numbers.
    b"01",
    b"-01",
    b"00",
    b"-",
    b"+1",
    b".5",
    b"-.5",
    b"1.",
    b"1.e1",
    b"1e",
    b"1e+",
    b"1e1.5",
    b"0x10",
    b"1_000",
    b"1 000",
    b"--1",
    b"NaN",
    b"Infinity",
    b"-Infinity",
    "\u{ff11}".as_bytes(),
    // Words.
    b"True",
    b"nul",
    b"nullx",
    b"undefined",
    b"a",
    // Strings.
    b"\"",
    b"\"a",
    b"a\"",
    b"'a'",
    br#""\x41""#,
    br#""\a""#,
    br#""\u12""#,
    br#""\u{41}""#,
    br#""\U0041""#,
    br#""\u00g0""#,
    br#""\"#,
    b"\"\n\"",
    b"\"\t\"",
    b"\"\0\"",
    b"\"\x1f\"",
    b"\"\\\n\"",
    // Lists.
    b"[",
    b"]",
    b"[1",
    b"[1,]",
    b"[,1]",
    b"[,]",
    b"[1,,2]",
    b"[1 2]",
    b"[1:2]",
    b"[1}",
    b"[1]]",
    b"(1)",
    // Objects.
    b"{",
    br#"{"a"}"#,
    br#"{"a":}"#,
    br#"{"a":1,}"#,
    br#"{"a":1,,"b":2}"#,
    br#"{"a":1 "b":2}"#,
    br#"{"a" 1}"#,
    br#"{"a"::1}"#,
    br#"{"a"=1}"#,
    br#"{"a":1"#,
    br#"{"a":1]"#,
    b"{,}",
    b"{a:1}",
    b"{'a':1}",
    b"{1:1}",
    b"{null:1}",
    b"{[]:1}",
    // Around a value.
    b"1 1",
    b"1//a",
    b"1/*a*/",
    b"/**/1",
    b"1#a",
    b"1;",
    b"\xef\xbb\xbf1",
    b"\x0c1",
    b"\x0b1",
    "\u{a0}1".as_bytes(),
    "\u{2028}1".as_bytes(),
    b"1\0",
    // Bytes that are no UTF-8: lone, overlong, a surrogate, too large, cut.
    b"\xff",
    b"\"\xff\"",
    b"\"\xc0\xaf\"",
    b"\"\xe0\x80\xaf\"",
    b"\"\xed\xa0\x80\"",
    b"\"\xf4\x90\x80\x80\"",
    b"\"\xe2\x82\"",
    b"{\"\xff\":1}",
];

/// Numbers beyond a double's range, halves of surrogate pairs.
const EITHER: &[&[u8]] = &[
    b"1e400",
    b"-1e400",
    b"1e-400",
    br#""\ud800""#,
    br#""\udc00""#,
    br#""\ud800\ud800""#,
    br#""\ud800\u0041""#,
    br#""\ude00\ud83d""#,
    br#"{"\ud800":1}"#,
];

/// All texts. Put between `{"a":` and `}`, none of them closes what it did not open.
pub fn texts() -> Vec<Text> {
    let nested = |depth: usize| [b"[".repeat(depth), b"]".repeat(depth)].concat();
    let lists: [(&[&[u8]], Reading); 3] =
        [(VALUES, Reading::Value), (NO_VALUES, Reading::Nothing), (EITHER, Reading::Either)];
    let written = lists
        .into_iter()
        .flat_map(|(texts, reading)| texts.iter().map(move |text| Text { bytes: text.to_vec(), reading }));
    let deep = [
        (nested(50), Reading::Value),
        (nested(500), Reading::Either),
        (nested(100_000), Reading::Either),
        (b"[".repeat(100_000), Reading::Nothing),
        (br#"{"a":"#.repeat(50_000), Reading::Nothing),
    ];
    written.chain(deep.into_iter().map(|(bytes, reading)| Text { bytes, reading })).collect()
}
