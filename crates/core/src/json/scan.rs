//! A JSON reader that goes from front to back (RFC 8259), for tokens, requests and configurations.
//!
//! serde_json hands over each value through a visitor, which allocates for each string and takes more code than
//! everything else that a new token needs. This reader accepts and refuses the same texts: UTF-8, one value, no lone
//! surrogates, numbers that fit a double, at most [`DEEPEST`] levels of nesting.

use std::borrow::Cow;

use super::number::Number;
use super::pointer::Path;
use super::value::{Json, List, Member, Object, sort_by_name};
use crate::bytes;

/// The most levels of nesting, as in serde_json.
pub(super) const DEEPEST: u8 = 127;

/// The text is not one JSON value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotJson;

/// The index of the first byte that does not stand for itself in a string: a quote, an escape or a control character (RFC
/// 8259 section 7).
pub(super) fn special(text: &[u8]) -> Option<usize> {
    bytes::position(text, |eight| {
        bytes::equal(eight, b'"') | bytes::equal(eight, b'\\') | bytes::below(eight, 0x20)
    })
}

/// A text, and how far it has been read.
#[derive(Debug)]
pub(super) struct Scanner<'t> {
    text: &'t str,
    at: usize,
}

impl<'t> Scanner<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self { text, at: 0 }
    }

    /// How many bytes were read; where it found a fault, up to there.
    pub(super) fn offset(&self) -> usize {
        self.at
    }

    /// Skips this many bytes, which must exist.
    pub(super) fn pass(&mut self, bytes: usize) {
        self.at = self.at.wrapping_add(bytes);
    }

    /// The next byte that is not white space, without consuming it.
    fn peek(&mut self) -> Option<u8> {
        loop {
            match *self.text.as_bytes().get(self.at)? {
                b' ' | b'\n' | b'\t' | b'\r' => self.pass(1),
                byte => return Some(byte),
            }
        }
    }

    /// Checks that only white space follows.
    pub(super) fn end(&mut self) -> Result<(), NotJson> {
        if self.peek().is_none() { Ok(()) } else { Err(NotJson) }
    }

    /// The next `length` bytes.
    fn take(&mut self, length: usize) -> Result<&'t str, NotJson> {
        let taken = self.text.get(self.at..).and_then(|rest| rest.get(..length)).ok_or(NotJson)?;
        self.pass(length);
        Ok(taken)
    }

    /// Whether `text` comes next. If so, consumes it.
    fn goes_on(&mut self, text: &str) -> bool {
        let goes_on =
            self.text.as_bytes().get(self.at..).is_some_and(|rest| rest.starts_with(text.as_bytes()));
        if goes_on {
            self.pass(text.len());
        }
        goes_on
    }

    pub(super) fn value(&mut self, depth: u8) -> Result<Json<'t>, NotJson> {
        match self.peek().ok_or(NotJson)? {
            b'"' => self.text().map(Json::Text),
            b'-' | b'0'..=b'9' => self.number().map(Json::Number),
            b'{' => {
                let depth = depth.checked_sub(1).ok_or(NotJson)?;
                let object = self.all(|scanner, is_first| Ok(scanner.member(is_first, depth)?.is_some()))?;
                Ok(Json::Object(Object(object)))
            }
            b'[' => {
                let depth = depth.checked_sub(1).ok_or(NotJson)?;
                let list = self.all(|scanner, is_first| Ok(scanner.element(is_first, depth)?.is_some()))?;
                Ok(Json::List(List(list)))
            }
            b'n' if self.goes_on("null") => Ok(Json::Null),
            b't' if self.goes_on("true") => Ok(Json::Bool(true)),
            b'f' if self.goes_on("false") => Ok(Json::Bool(false)),
            _ => Err(NotJson),
        }
    }

    /// The text from an opening bracket to the end of what it opens. `next` reads one entry, and says whether there was
    /// one.
    fn all(
        &mut self,
        mut next: impl FnMut(&mut Self, bool) -> Result<bool, NotJson>,
    ) -> Result<&'t str, NotJson> {
        let start = self.at;
        self.pass(1);
        let mut is_first = true;
        while next(self, is_first)? {
            is_first = false;
        }
        self.text.get(start..self.at).ok_or(NotJson)
    }

    /// Whether another entry comes. Consumes the comma before it, or else the closing bracket.
    fn another(&mut self, is_first: bool, end: u8) -> Result<bool, NotJson> {
        let next = self.peek().ok_or(NotJson)?;
        if next == end {
            self.pass(1);
            return Ok(false);
        }
        if !is_first {
            self.expect(b',')?;
        }
        Ok(true)
    }

    pub(super) fn expect(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.peek() != Some(byte) {
            return Err(NotJson);
        }
        self.pass(1);
        Ok(())
    }

    /// The next member of an object whose opening bracket was consumed; `None` after the last one, once the closing
    /// bracket is consumed too.
    pub(super) fn member(&mut self, is_first: bool, depth: u8) -> Result<Option<Member<'t>>, NotJson> {
        match self.name(is_first)? {
            Some(name) => Ok(Some((name, self.value(depth)?))),
            None => Ok(None),
        }
    }

    /// The next element of an array, in the same way.
    pub(super) fn element(&mut self, is_first: bool, depth: u8) -> Result<Option<Json<'t>>, NotJson> {
        if self.another(is_first, b']')? { self.value(depth).map(Some) } else { Ok(None) }
    }

    /// The name of the next member. Its value comes next.
    fn name(&mut self, is_first: bool) -> Result<Option<Cow<'t, str>>, NotJson> {
        if !self.another(is_first, b'}')? {
            return Ok(None);
        }
        if self.peek() != Some(b'"') {
            return Err(NotJson);
        }
        let name = self.text()?;
        self.expect(b':').map(|()| Some(name))
    }

    /// Finds the names that objects in the next value, which is at `at`, repeat. Reads the value once, however deep it
    /// is, and takes no longer for names that somebody has chosen to take long.
    pub(super) fn repeated_names(
        &mut self,
        depth: u8,
        at: Path<'_>,
        found: &mut dyn FnMut(Path<'_>),
    ) -> Result<(), NotJson> {
        match self.peek() {
            Some(b'{') => {
                let depth = depth.checked_sub(1).ok_or(NotJson)?;
                self.pass(1);
                let mut names: Vec<Member<'_>> = Vec::new();
                while let Some(name) = self.name(names.is_empty())? {
                    self.repeated_names(depth, at.field(&name), found)?;
                    names.push((name, Json::Null));
                }
                sort_by_name(&mut names);
                for (one, next) in names.iter().zip(names.iter().skip(1)) {
                    if one.0 == next.0 {
                        found(at.field(&one.0));
                    }
                }
            }
            Some(b'[') => {
                let depth = depth.checked_sub(1).ok_or(NotJson)?;
                self.pass(1);
                let mut index = 0_usize;
                while self.another(index == 0, b']')? {
                    self.repeated_names(depth, at.index(index), found)?;
                    index = index.wrapping_add(1);
                }
            }
            _ => drop(self.value(depth)?),
        }
        Ok(())
    }

    fn number(&mut self) -> Result<Number<'t>, NotJson> {
        let rest = self.text.get(self.at..).unwrap_or_default();
        let of_number = |byte: u8| matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
        let length = rest.bytes().position(|byte| !of_number(byte)).unwrap_or(rest.len());
        Number::read(self.take(length)?)
    }

    /// A string, from its opening quote to its closing one.
    fn text(&mut self) -> Result<Cow<'t, str>, NotJson> {
        self.pass(1);
        let plain = self.plain()?;
        if self.text.as_bytes().get(self.at) != Some(&b'"') {
            return self.escaped(plain).map(Cow::Owned);
        }
        self.pass(1);
        Ok(Cow::Borrowed(plain))
    }

    /// The text up to the next quote, escape or control character, one of which must follow.
    fn plain(&mut self) -> Result<&'t str, NotJson> {
        let rest = self.text.as_bytes().get(self.at..).ok_or(NotJson)?;
        let start = self.at;
        self.pass(special(rest).ok_or(NotJson)?);
        self.text.get(start..self.at).ok_or(NotJson)
    }

    #[cold]
    fn escaped(&mut self, before: &str) -> Result<String, NotJson> {
        let mut text = before.to_owned();
        while !self.goes_on("\"") {
            if !self.goes_on("\\") {
                return Err(NotJson);
            }
            text.push(self.escape()?);
            text.push_str(self.plain()?);
        }
        Ok(text)
    }

    /// The character that an escape stands for; its `\` was consumed.
    fn escape(&mut self) -> Result<char, NotJson> {
        Ok(match self.take(1)? {
            "\"" => '"',
            "\\" => '\\',
            "/" => '/',
            "b" => '\u{8}',
            "f" => '\u{c}',
            "n" => '\n',
            "r" => '\r',
            "t" => '\t',
            "u" => {
                let first = self.unit()?;
                let is_pair = matches!(first, 0xd800..=0xdbff);
                let second = if is_pair && self.goes_on("\\u") { Some(self.unit()?) } else { None };
                let mut decoded = char::decode_utf16([first].into_iter().chain(second));
                let character = decoded.next().and_then(Result::ok).ok_or(NotJson)?;
                if decoded.next().is_some() {
                    return Err(NotJson);
                }
                character
            }
            _ => return Err(NotJson),
        })
    }

    /// Four hexadecimal digits.
    fn unit(&mut self) -> Result<u16, NotJson> {
        let digits = self.take(4)?;
        // `from_str_radix` would also accept a sign.
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(NotJson);
        }
        u16::from_str_radix(digits, 16).map_err(|_| NotJson)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::text::text_of;
    use super::*;

    /// What is read, one value after the other.
    fn tree(json: &Json<'_>) -> Value {
        match json {
            Json::List(list) => list.elements().map(|value| tree(&value)).collect(),
            Json::Object(object) => {
                object.members().map(|(name, value)| (name.into_owned(), tree(&value))).collect()
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => {
                serde_json::from_str(&text_of(json)).unwrap()
            }
        }
    }

    /// Whether an object in `json` repeats a name, value by value.
    fn repeats(json: &Json<'_>) -> bool {
        match json {
            Json::List(list) => list.elements().any(|value| repeats(&value)),
            Json::Object(object) => {
                let mut seen = HashSet::new();
                object.members().any(|(name, value)| !seen.insert(name.into_owned()) || repeats(&value))
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::Text(_) => false,
        }
    }

    /// Whether this reader and the library take the same of `text`, and what.
    fn both(text: &str) -> (Option<Value>, Option<Value>) {
        let library: Result<Value, _> = serde_json::from_str(text);
        let ours = Json::read(text).ok();
        (ours.as_ref().map(tree), library.ok())
    }

    #[test]
    fn it_takes_and_refuses_what_the_library_does() {
        for text in [
            "",
            " ",
            "null",
            "nul",
            "nulll",
            "true",
            "false",
            "tru e",
            "0",
            "-0",
            "00",
            "01",
            "-",
            "1.",
            ".1",
            "1e5",
            "1e",
            "1e400",
            "18446744073709551615",
            "18446744073709551616",
            "9999999999999999999",
            "-9223372036854775809",
            "1-1",
            "+1",
            "\"\"",
            "\"",
            "\"a",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\u+123\"",
            "\"\\ud83d\\ude00\"",
            "\"\\ud83d\"",
            "\"\\ud83d\\u0041\"",
            "\"\\ude00\"",
            "\"\\ud83dx\"",
            "\"\u{1}\"",
            "\"\u{7f}\"",
            "\"é\\né\"",
            "\"\\u00e9\"",
            "\"\\/\\b\\f\\n\\r\\t\\\\\"",
            "\"\\",
            "\"\\u00é\"",
            "[",
            "[]",
            "[ ]",
            "[,]",
            "[1,]",
            "[1 2]",
            "[1,2]",
            " [ 1 , [ ] ] ",
            "]",
            "[1}",
            "{",
            "{}",
            "{ }",
            "{,}",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
            "{1:1}",
            "{\"a\" : 1 , \"a\":2}",
            "{\"\\u0061\":[{}]}",
            "{}{}",
            "{} x",
            "\u{a0}1",
            "\u{feff}1",
        ] {
            let (ours, library) = both(text);
            assert_eq!(ours, library, "{text:?}");
        }
        for depth in [1, 126, 127, 128, 10_000] {
            for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
                let text = format!("{}1{}", open.repeat(depth), close.repeat(depth));
                assert_eq!(Json::read(&text).is_ok(), depth <= 127, "{depth}");
                assert_eq!(serde_json::from_str::<Value>(&text).is_ok(), depth <= 127, "{depth}");
            }
        }
    }

    /// JSON texts, most of them well-formed and some with one change.
    fn texts() -> impl Strategy<Value = String> {
        let leaf = prop_oneof![
            Just("null".to_owned()),
            any::<bool>().prop_map(|value| value.to_string()),
            any::<i64>().prop_map(|value| value.to_string()),
            any::<u64>().prop_map(|value| value.to_string()),
            any::<f64>().prop_map(|value| format!("{value:e}")),
            any::<String>().prop_map(|value| Value::from(value).to_string()),
            "\"(\\\\u[0-9a-fA-F]{4}|\\\\[\"\\\\/bfnrt]|[a-z])*\"",
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6)
                    .prop_map(|values| format!("[{}]", values.join(" , "))),
                prop::collection::vec(("[a-c\"\\\\]{0,2}", inner), 0..6).prop_map(|members| {
                    let members: Vec<String> = members
                        .iter()
                        .map(|(name, value)| format!("{}:{value}", Value::from(name.as_str())))
                        .collect();
                    format!("{{{}}}", members.join(","))
                }),
            ]
        })
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_library_on_any_text(text in texts()) {
            let (ours, library) = both(&text);
            prop_assert_eq!(ours, library);
            if let Ok(json) = Json::read(&text) {
                prop_assert_eq!(json.repeats_a_name(), repeats(&json));
                prop_assert_eq!(json.repeated_names().is_empty(), !repeats(&json));
            }
        }

        #[test]
        fn it_agrees_with_the_library_on_changed_texts(
            text in texts(),
            at in any::<prop::sample::Index>(),
            other in "[\\[\\]{}:,\"\\\\0-9a-z.+ \t\n\u{1}é-]{0,2}",
        ) {
            let mut letters: Vec<char> = text.chars().collect();
            let at = at.index(letters.len());
            letters.splice(at..=at, other.chars());
            let changed: String = letters.into_iter().collect();
            let (ours, library) = both(&changed);
            prop_assert_eq!(ours, library, "{}", changed);
        }
    }
}
