//! Numbers in decimal digits, for texts that many replies contain. `format!` takes ten times as many steps.

use std::ops::Deref;

/// The most digits of a number.
const MOST_DIGITS: usize = 10;

/// The decimal digits of a number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Decimal {
    digits: [u8; MOST_DIGITS],
    /// The index of the first digit.
    start: usize,
}

impl Decimal {
    pub(crate) fn of(number: u32) -> Self {
        let mut decimal = Self { digits: [b'0'; MOST_DIGITS], start: 0 };
        let mut rest = number;
        for (index, digit) in decimal.digits.iter_mut().enumerate().rev() {
            // The digits' characters are b'0' and the digit in its lowest bits.
            *digit |= u8::try_from(rest % 10).unwrap_or_default();
            decimal.start = index;
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        decimal
    }
}

impl Deref for Decimal {
    type Target = str;

    fn deref(&self) -> &str {
        self.digits.get(self.start..).and_then(|digits| str::from_utf8(digits).ok()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_the_digits_that_the_library_writes() {
        for number in [0, 1, 9, 10, 99, 100, 429, 1_000_000_007, u32::MAX - 1, u32::MAX] {
            assert_eq!(*Decimal::of(number), number.to_string());
        }
    }
}
