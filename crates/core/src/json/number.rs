//! A JSON number, kept as it was written (RFC 8259 section 6), so that no digit is lost when it is passed on.

use serde_json::Value;

use super::scan::NotJson;

/// A number that fits a double or a 64-bit integer. Two are equal if they are written alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number<'t>(&'t str);

impl<'t> Number<'t> {
    /// Reads all of `text`, which has at least one character.
    pub(super) fn read(text: &'t str) -> Result<Self, NotJson> {
        /// This many digits always fit a 64-bit integer.
        const FEW: usize = 19;
        let is_plain = text.len() <= FEW && text.bytes().all(|byte| byte.is_ascii_digit());
        let has_leading_zero = text.len() > 1 && text.starts_with('0');
        let number = Self(text);
        // Signs, fractions, exponents and long numbers are left to serde_json.
        if is_plain && !has_leading_zero || number.to_value().is_number() { Ok(number) } else { Err(NotJson) }
    }

    /// The number as it was written.
    pub fn text(self) -> &'t str {
        self.0
    }

    /// Whether it is written as an integer, of however many digits. `7.0`, `1e3` and `-0` are not integers.
    pub fn is_integer(self) -> bool {
        let digits = self.0.strip_prefix('-').unwrap_or(self.0);
        self.0 != "-0" && digits.bytes().all(|byte| byte.is_ascii_digit())
    }

    /// Whether it is written as an integer from 0.
    pub fn is_natural(self) -> bool {
        self.is_integer() && !self.0.starts_with('-')
    }

    /// The value, if it is a non-negative integer that fits 64 bits.
    pub fn as_u64(self) -> Option<u64> {
        self.0.parse().ok()
    }

    /// The nearest double, as serde_json rounds.
    pub fn as_f64(self) -> Option<f64> {
        self.to_value().as_f64()
    }

    /// The number as a serde_json value; null if serde_json does not accept it.
    pub(super) fn to_value(self) -> Value {
        super::read(self.0.as_bytes(), &mut Vec::new()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_integer_is_written_without_fraction_or_exponent_and_may_be_long() {
        for (text, is_integer) in [
            ("0", true),
            ("7", true),
            ("-7", true),
            ("18446744073709551615", true),
            ("-9223372036854775808", true),
            ("18446744073709551616", true),
            ("-9223372036854775809", true),
            ("-0", false),
            ("7.0", false),
            ("1e3", false),
        ] {
            let number = Number::read(text).unwrap();
            assert_eq!(number.is_integer(), is_integer, "{text}");
            let library: serde_json::Number = serde_json::from_str(text).unwrap();
            assert!(is_integer || !library.is_u64() && !library.is_i64(), "{text}");
            assert_eq!(number.is_natural(), is_integer && !text.starts_with('-'), "{text}");
            assert_eq!((number.text(), number.as_u64()), (text, library.as_u64()), "{text}");
            assert_eq!(number.as_f64(), library.as_f64(), "{text}");
        }
    }

    #[test]
    fn what_no_double_can_hold_is_no_number() {
        for text in ["1e999", "-1e999", "01", "-", "1.", "1-1", "00"] {
            assert_eq!(Number::read(text), Err(NotJson), "{text}");
        }
    }
}
