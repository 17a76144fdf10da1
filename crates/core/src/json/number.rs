//! A JSON number, kept as it was written (RFC 8259 section 6), so that no digit is lost when it is passed on.

use super::scan::NotJson;

/// A number that fits a double or a 64-bit integer. Two are equal if they are written alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number<'t>(&'t str);

/// What a number is made of.
struct Parts<'t> {
    is_negative: bool,
    whole: &'t str,
    fraction: &'t str,
    exponent: i64,
}

impl<'t> Parts<'t> {
    /// Takes `text` apart, if it has the form of a number.
    fn read(text: &'t str) -> Option<Self> {
        let is_negative = text.starts_with('-');
        let text = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = match text.split_once(['e', 'E']) {
            None => (text, 0),
            Some((mantissa, exponent)) => (mantissa, read_exponent(exponent)?),
        };
        let (whole, fraction) = match mantissa.split_once('.') {
            None => (mantissa, ""),
            Some((_, "")) => return None,
            Some(parts) => parts,
        };
        let has_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        let is_whole = !whole.is_empty() && has_digits(whole) && (whole == "0" || !whole.starts_with('0'));
        (is_whole && has_digits(fraction)).then_some(Self { is_negative, whole, fraction, exponent })
    }

    fn digits(&self) -> impl Iterator<Item = u8> {
        self.whole.bytes().chain(self.fraction.bytes())
    }

    /// How many of the digits, and of zeros behind them, stand before the point.
    fn point(&self) -> i64 {
        i64::try_from(self.whole.len()).unwrap_or(i64::MAX).saturating_add(self.exponent)
    }

    /// Whether a double can be as large.
    fn fits_a_double(&self) -> bool {
        /// The digits of the largest double, which has 309 of them before the point.
        const LARGEST: &[u8] = b"17976931348623157";
        let Some(zeros) = self.digits().position(|digit| digit != b'0') else { return true };
        let digits = self.point().saturating_sub(i64::try_from(zeros).unwrap_or(i64::MAX));
        let leading = self.digits().skip(zeros).take(LARGEST.len());
        digits < 309 || digits == 309 && leading.le(LARGEST.iter().copied())
    }
}

/// An exponent, which is kept within what the largest document could make up for.
fn read_exponent(text: &str) -> Option<i64> {
    let (is_negative, digits) = match text.as_bytes() {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] | digits => (false, digits),
    };
    let value = digits.iter().try_fold(0_i64, |value, digit| {
        digit.is_ascii_digit().then(|| value.saturating_mul(10).saturating_add(i64::from(digit & 15)))
    })?;
    (!digits.is_empty()).then_some(if is_negative { value.saturating_neg() } else { value })
}

impl<'t> Number<'t> {
    /// Reads all of `text`, which has at least one character.
    pub(super) fn read(text: &'t str) -> Result<Self, NotJson> {
        /// This many digits always fit a 64-bit integer.
        const FEW: usize = 19;
        let is_plain = text.len() <= FEW && text.bytes().all(|byte| byte.is_ascii_digit());
        let has_leading_zero = text.len() > 1 && text.starts_with('0');
        let is_number =
            is_plain && !has_leading_zero || Parts::read(text).is_some_and(|parts| parts.fits_a_double());
        if is_number { Ok(Self(text)) } else { Err(NotJson) }
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

    /// Whether it is below zero.
    pub fn is_negative(self) -> bool {
        let parts = Parts::read(self.0);
        parts.is_some_and(|parts| parts.is_negative && parts.digits().any(|digit| digit != b'0'))
    }

    /// The whole part, at most [`u64::MAX`], and the billionths behind it, both without the sign; and whether less than
    /// a billionth is left.
    pub fn parts(self) -> (u64, u32, bool) {
        let (mut whole, mut billionths, mut is_more) = (0_u64, 0_u32, false);
        let is_zero = |parts: &Parts<'_>| parts.digits().all(|digit| digit == b'0');
        let Some(parts) = Parts::read(self.0).filter(|parts| !is_zero(parts)) else {
            return (whole, billionths, is_more);
        };
        // The power of ten that the digit before stands for. At most 309, so that few zeros are appended.
        let mut power = parts.point();
        let mut digits = parts.digits();
        loop {
            let digit = match digits.next() {
                Some(digit) => digit & 15,
                None if power <= -9 => return (whole, billionths, is_more),
                None => 0,
            };
            power = power.saturating_sub(1);
            match u32::try_from(power.saturating_add(9)) {
                _ if power >= 0 => whole = whole.saturating_mul(10).saturating_add(u64::from(digit)),
                Ok(power) => {
                    let unit = 10_u32.saturating_pow(power);
                    billionths = billionths.saturating_add(u32::from(digit).saturating_mul(unit));
                }
                Err(_) => is_more |= digit > 0,
            }
        }
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
        }
    }

    #[test]
    fn what_no_double_can_hold_is_no_number() {
        for text in [
            "1e999",
            "-1e999",
            "1e309",
            "1.7976931348623159e308",
            "17976931348623159e292",
            "01",
            "-",
            "1.",
            "1-1",
            "00",
            "1e",
            "1e+",
            "1e1.0",
            "1ee1",
            ".1",
            "--1",
            "+1",
            "1e--1",
            "1e99999999999999999999999",
        ] {
            assert_eq!(Number::read(text), Err(NotJson), "{text}");
        }
        for text in [
            "1.7976931348623157e308",
            "0.00017976931348623157e+312",
            "1e-999",
            "0e99999999999999999999999",
            "-0.0E0",
        ] {
            assert!(Number::read(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn a_number_has_a_whole_part_and_billionths_however_it_is_written() {
        for (text, parts) in [
            ("0", (0, 0, false)),
            ("1.5", (1, 500_000_000, false)),
            ("-1.5", (1, 500_000_000, false)),
            ("15e-1", (1, 500_000_000, false)),
            ("0.0015E3", (1, 500_000_000, false)),
            ("1e3", (1000, 0, false)),
            ("1.25e1", (12, 500_000_000, false)),
            ("1700000000.123456789", (1_700_000_000, 123_456_789, false)),
            ("1700000000.1234567891", (1_700_000_000, 123_456_789, true)),
            ("0.0000000001", (0, 0, true)),
            ("1e-9", (0, 1, false)),
            ("1e-99999999999999999999", (0, 0, true)),
            ("0e99999999999999999999", (0, 0, false)),
            ("18446744073709551616", (u64::MAX, 0, false)),
            ("1e308", (u64::MAX, 0, false)),
        ] {
            let number = Number::read(text).unwrap();
            assert_eq!(number.parts(), parts, "{text}");
            assert_eq!(number.is_negative(), text == "-1.5", "{text}");
        }
        assert!(!Number::read("-0.0e5").unwrap().is_negative());
    }
}
