//! Which paths are refused, and how the others read.

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
    for (raw, word) in [("a", "begin with"), ("/..", "segment"), ("/a;b", "`;`"), ("/a%", "hexadecimal")] {
        let text = Target::read(raw.as_bytes()).unwrap_err().text();
        assert!(text.contains(word), "{raw}: {text}");
    }
}

#[test]
fn what_is_no_path_is_malformed() {
    for raw in ["", "*", "a", "?", "?/a", "http://evil/abs", "example.org:443", " /a", "%2Fa", "\\a", "./a"] {
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
    for raw in
        ["/%252e", "/%2561dmin", "/%252F", "/a%255c", "/%253b", "/%25c0%25af", "/%25FF", "/%2520", "/%2500"]
    {
        refused(raw.as_bytes(), Reason::DoubleEncoding);
    }
    refused(b"/%25%32e", Reason::EncodedUnreserved);
    refused(b"/%252%65", Reason::EncodedUnreserved);
    refused(b"/%%32%65", Reason::BadPercent);
}

#[test]
fn bad_percent_sequences_are_refused() {
    for raw in [
        "/%", "/a%", "/%a", "/%zz", "/%2", "/%2g", "/%g2", "/%+1", "/% 1", "/%u002e", "/%?41", "/%2/e", "/%%",
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
    for raw in ["/%c0%ae", "/%C0%AF", "/%c1%9c", "/%e0%80%af", "/%ed%a0%80", "/%f5%80%80%80", "/%c3/%a9"] {
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
    if bad || decoded.chars().any(char::is_control) || text.split('/').any(|part| part == "." || part == "..")
    {
        return None;
    }
    Some(if decoded == "/" { decoded } else { decoded.strip_suffix('/').unwrap_or(&decoded).to_owned() })
}

fn hostile() -> impl Strategy<Value = Vec<u8>> {
    let tokens = prop::sample::select(vec![
        "/", "/", "/", ".", "..", "a", "B", "7", "%2e", "%2E", "%2f", "%5C", "\\", ";", "%3b", "%25", "%25",
        "%", "2", "5", "f", "%C3%A9", "%c2%85", "%00", "%7f", "%20", "?", "#", "é", "%40", "@", "%c0%af",
        "%zz", "{", " ",
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
