//! A JSON writer (RFC 8259), for replies, log lines, and claims that are neither strings nor integers.
//!
//! serde_json would add tables of 18 KB to print fractions, which hardly any token contains. Here a number is its text.
//! Everything else is written as serde_json would write it.

use std::fmt::Write;

use super::Json;
use super::scan::special;
use super::value::{Member, sort_by_name};
use crate::decimal::Decimal;

/// Most objects are shorter.
const USUAL_BYTES: usize = 512;

/// A JSON object, written member by member.
#[derive(Debug)]
pub(crate) struct Object {
    written: String,
    /// How its strings are written.
    write: fn(&mut String, &str),
}

impl Object {
    /// An object without members.
    pub(crate) fn new() -> Self {
        let mut written = String::with_capacity(USUAL_BYTES);
        written.push('{');
        Self { written, write: write_text }
    }

    /// An object without members, to be written in printable ASCII.
    pub(crate) fn ascii() -> Self {
        Self { write: write_ascii, ..Self::new() }
    }

    /// Writes the name of the next member, which needs no escapes.
    fn name(&mut self, name: &'static str) {
        let before = if self.written.len() > 1 { ",\"" } else { "\"" };
        for part in [before, name, "\":"] {
            self.written.push_str(part);
        }
    }

    /// Adds a string.
    pub(crate) fn text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        (self.write)(&mut self.written, text);
    }

    /// Adds a string, or null.
    pub(crate) fn text_or_null(&mut self, name: &'static str, text: Option<&str>) {
        match text {
            Some(text) => self.text(name, text),
            None => {
                self.name(name);
                self.written.push_str("null");
            }
        }
    }

    /// Adds a string, or no member at all.
    pub(crate) fn text_if_any(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// Adds a number.
    pub(crate) fn number(&mut self, name: &'static str, number: u32) {
        self.name(name);
        self.written.push_str(&Decimal::of(number));
    }

    /// Adds a list of strings.
    pub(crate) fn texts(&mut self, name: &'static str, texts: &[impl AsRef<str>]) {
        self.name(name);
        self.written.push('[');
        for (index, text) in texts.iter().enumerate() {
            separate(&mut self.written, index);
            (self.write)(&mut self.written, text.as_ref());
        }
        self.written.push(']');
    }

    /// The whole object.
    pub(crate) fn end(mut self) -> String {
        self.written.push('}');
        self.written
    }
}

/// `value` as compact JSON: members sorted by name, numbers as they were written.
pub(crate) fn text_of(value: &Json<'_>) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

fn write_value(out: &mut String, value: &Json<'_>) {
    match value {
        Json::Null => out.push_str("null"),
        Json::Bool(true) => out.push_str("true"),
        Json::Bool(false) => out.push_str("false"),
        Json::Number(number) => out.push_str(number.text()),
        Json::Text(text) => write_text(out, text),
        Json::List(list) => {
            out.push('[');
            for (index, value) in list.elements().enumerate() {
                separate(out, index);
                write_value(out, &value);
            }
            out.push(']');
        }
        Json::Object(object) => {
            let mut members: Vec<Member<'_>> = object.members().collect();
            // No name is there twice.
            sort_by_name(&mut members);
            out.push('{');
            for (index, (name, value)) in members.iter().enumerate() {
                separate(out, index);
                write_text(out, name);
                out.push(':');
                write_value(out, value);
            }
            out.push('}');
        }
    }
}

/// Writes a comma before every entry but the first.
fn separate(out: &mut String, index: usize) {
    if index > 0 {
        out.push(',');
    }
}

/// Writes a JSON string, escaping only what must be escaped (RFC 8259 section 7).
pub(crate) fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // Most texts need no escapes and are copied whole.
    while let Some(end) = special(rest.as_bytes()) {
        let (plain, special) = rest.split_at_checked(end).unwrap_or_default();
        out.push_str(plain);
        let mut letters = special.chars();
        match letters.next() {
            Some('\n') => out.push_str("\\n"),
            Some('\r') => out.push_str("\\r"),
            Some('\t') => out.push_str("\\t"),
            Some('\u{8}') => out.push_str("\\b"),
            Some('\u{c}') => out.push_str("\\f"),
            Some(control @ '\0'..='\u{1f}') => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            Some(letter) => out.extend(['\\', letter]),
            None => {}
        }
        rest = letters.as_str();
    }
    out.push_str(rest);
    out.push('"');
}

/// Writes a JSON string in printable ASCII. Everything else is escaped: a terminal obeys control characters, some of them
/// above U+007F, and shows text in another order where it is told to (Unicode Standard Annex 9).
pub(crate) fn write_ascii(out: &mut String, text: &str) {
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            ' '..='~' => out.push(letter),
            _ => {
                for unit in letter.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    #[test]
    fn what_is_written_is_what_the_library_writes() {
        for text in [
            r#"{"a":[1,-2,true,false,null,"é\u0001\"\\\n\r\t\b\f/"],"b":{},"c":[]}"#,
            "18446744073709551615",
            "-9223372036854775808",
            "1.5",
            "-0.1",
            "0.001",
            "123456.789",
        ] {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(text_of(&Json::read(text).unwrap()), value.to_string(), "{text}");
        }
    }

    #[test]
    fn numbers_are_written_as_they_were() {
        for text in ["7", "-7", "-0", "7.0", "1e3", "0.1000", "123456789.0123456789", "18446744073709551616"]
        {
            assert_eq!(text_of(&Json::read(text).unwrap()), text);
            let list = format!("[{text}]");
            assert_eq!(text_of(&Json::read(&list).unwrap()), list);
        }
    }

    #[test]
    fn members_are_written_in_the_order_of_their_names_without_white_space() {
        let json = Json::read(r#" { "b" : [ 1 , { } ] , "a" : "\u0078" } "#).unwrap();
        assert_eq!(text_of(&json), r#"{"a":"x","b":[1,{}]}"#);
    }

    #[test]
    fn what_is_not_printable_ascii_is_escaped_unit_by_unit() {
        let mut object = Object::ascii();
        object.text("a", " ~\"\\\n\u{7f}\u{9b}\u{e9}\u{202e}\u{2028}\u{fffd}\u{1f980}");
        object.texts("b", &["\u{80}".to_owned()]);
        let escaped =
            r#"{"a":" ~\"\\\u000a\u007f\u009b\u00e9\u202e\u2028\ufffd\ud83e\udd80","b":["\u0080"]}"#;
        assert_eq!(object.end(), escaped);
    }

    #[test]
    fn an_object_is_written_member_by_member() {
        let mut object = Object::new();
        object.text("a", "\"");
        object.text_or_null("b", None);
        object.text_if_any("c", None);
        object.number("d", 7);
        object.texts("e", &["x".to_owned(), "y".to_owned()]);
        assert_eq!(object.end(), r#"{"a":"\"","b":null,"d":7,"e":["x","y"]}"#);
        assert_eq!(Object::new().end(), "{}");
    }

    proptest! {
        #[test]
        fn any_text_is_read_back(text in any::<String>()) {
            let mut out = String::new();
            write_text(&mut out, &text);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }

        #[test]
        fn any_text_is_read_back_from_printable_ascii(text in any::<String>()) {
            let mut out = String::new();
            write_ascii(&mut out, &text);
            prop_assert!(out.bytes().all(|byte| matches!(byte, b' '..=b'~')), "{}", out);
            prop_assert_eq!(serde_json::from_str::<String>(&out).unwrap(), text);
        }
    }
}
