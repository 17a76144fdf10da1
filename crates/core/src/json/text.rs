//! JSON written (RFC 8259): replies, log lines, and claims that are neither texts nor integers.
//!
//! Not by the library: its way of writing fractions brings tables of 18 KB, for numbers that hardly any token has. What
//! is written here is the same, but that a fraction past 15 digits is cut there.

use std::fmt::Write;

use serde_json::Value;

/// An object that is written member by member.
#[derive(Debug)]
pub(crate) struct Object(String);

impl Object {
    /// No member yet.
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    fn name(&mut self, name: &'static str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        write_text(&mut self.0, name);
        self.0.push(':');
    }

    /// A member with a text.
    pub(crate) fn text(&mut self, name: &'static str, text: &str) {
        self.name(name);
        write_text(&mut self.0, text);
    }

    /// A member with a text, or null.
    pub(crate) fn text_or_null(&mut self, name: &'static str, text: Option<&str>) {
        match text {
            Some(text) => self.text(name, text),
            None => {
                self.name(name);
                self.0.push_str("null");
            }
        }
    }

    /// A member with a text, or none.
    pub(crate) fn text_if_any(&mut self, name: &'static str, text: Option<&str>) {
        if let Some(text) = text {
            self.text(name, text);
        }
    }

    /// A member with a number.
    pub(crate) fn number(&mut self, name: &'static str, number: u32) {
        self.name(name);
        let _ = write!(self.0, "{number}");
    }

    /// A member with a list of texts.
    pub(crate) fn texts(&mut self, name: &'static str, texts: &[String]) {
        self.name(name);
        self.0.push('[');
        for (place, text) in texts.iter().enumerate() {
            separate(&mut self.0, place);
            write_text(&mut self.0, text);
        }
        self.0.push(']');
    }

    /// The whole object.
    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// `value` as compact JSON.
pub(crate) fn text_of(value: &Value) -> String {
    let mut out = String::new();
    write_value(&mut out, value);
    out
}

fn write_value(out: &mut String, value: &Value) {
    match value {
        Value::Null => out.push_str("null"),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        Value::Number(number) => {
            if let Some(number) = number.as_u64() {
                let _ = write!(out, "{number}");
            } else if let Some(number) = number.as_i64() {
                let _ = write!(out, "{number}");
            } else if let Some(number) = number.as_f64() {
                write_fraction(out, number);
            }
        }
        Value::String(text) => write_text(out, text),
        Value::Array(values) => {
            out.push('[');
            for (place, value) in values.iter().enumerate() {
                separate(out, place);
                write_value(out, value);
            }
            out.push(']');
        }
        Value::Object(members) => {
            out.push('{');
            for (place, (name, value)) in members.iter().enumerate() {
                separate(out, place);
                write_text(out, name);
                out.push(':');
                write_value(out, value);
            }
            out.push('}');
        }
    }
}

/// A comma before all but the first.
fn separate(out: &mut String, place: usize) {
    if place > 0 {
        out.push(',');
    }
}

/// A JSON string (RFC 8259 section 7): only what must be escaped is.
fn write_text(out: &mut String, text: &str) {
    out.push('"');
    let mut rest = text;
    // Most texts have nothing to escape, and are copied as they are.
    while let Some(place) = rest.bytes().position(|byte| matches!(byte, b'"' | b'\\' | 0..=0x1f)) {
        let (plain, special) = rest.split_at_checked(place).unwrap_or_default();
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

/// A finite number that is no integer to the reader.
///
/// An integer below 2^53 divided by a power of ten up to 10^22 is the double nearest to that decimal (both are exact,
/// and division rounds correctly). So the first decimal that gives the number back is the shortest one that is read as it.
fn write_fraction(out: &mut String, number: f64) {
    if number.is_sign_negative() {
        out.push('-');
    }
    let number = number.abs();
    if number == 0.0 || (1e-5..1e15).contains(&number) {
        return write_decimal(out, number);
    }
    let (mut mantissa, mut exponent) = (number, 0_i32);
    while mantissa >= 10.0 {
        mantissa /= 10.0;
        exponent = exponent.saturating_add(1);
    }
    while mantissa < 1.0 {
        mantissa *= 10.0;
        exponent = exponent.saturating_sub(1);
    }
    // The divisions have cost some of the last digits.
    let rounded = (mantissa * 1e14).round() / 1e14;
    write_decimal(out, rounded);
    let _ = write!(out, "e{exponent}");
}

fn write_decimal(out: &mut String, number: f64) {
    const EXACT_BELOW: f64 = 9_007_199_254_740_992.0;
    let (mut scale, mut places) = (10.0, 1_usize);
    while (number * scale).round() / scale != number && places < 19 && number * scale * 10.0 < EXACT_BELOW {
        scale *= 10.0;
        places = places.saturating_add(1);
    }
    #[expect(clippy::as_conversions, reason = "both are whole, not negative and below 2^64")]
    let (units, scale) = ((number * scale).round() as u64, scale as u64);
    let whole = units.checked_div(scale).unwrap_or(0);
    let rest = units.checked_rem(scale).unwrap_or(0);
    let _ = write!(out, "{whole}.{rest:0places$}");
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn written(number: f64) -> String {
        let mut out = String::new();
        write_fraction(&mut out, number);
        out
    }

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
            assert_eq!(text_of(&value), value.to_string(), "{text}");
        }
    }

    #[test]
    fn fractions_are_read_back_as_they_were() {
        for (number, text) in [
            (0.0, "0.0"),
            (-0.5, "-0.5"),
            (1.1, "1.1"),
            (1.0, "1.0"),
            (1_800_000_000.5, "1800000000.5"),
            (0.3, "0.3"),
            (999_999_999_999_999.0, "999999999999999.0"),
        ] {
            assert_eq!(written(number), text);
        }
        for (number, text) in [(1e300, "1.0e300"), (1.5e-9, "1.5e-9"), (5e-324, "4.94065645841247e-324")] {
            assert_eq!(written(number), text);
        }
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
        fn any_number_is_read_back_to_15_digits(number in proptest::num::f64::NORMAL) {
            let read: f64 = written(number).parse().unwrap();
            prop_assert!((read - number).abs() <= number.abs() * 1e-13, "{} is {}", number, written(number));
        }

        #[test]
        fn decimals_that_people_write_are_read_back_exactly(units in 0_u32.., places in 0_u32..6) {
            let number = f64::from(units) / 10_f64.powi(places.try_into().unwrap());
            prop_assert_eq!(written(number).parse::<f64>().unwrap(), number);
        }
    }
}
