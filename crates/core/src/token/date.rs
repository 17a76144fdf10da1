//! A NumericDate (RFC 7519 section 2): seconds since the epoch, as an integer or a fraction, up to the year 9999.

use crate::json::Json;
use crate::time::UnixNanos;

/// The last second of the year 9999, Unix seconds. A later date is probably in milliseconds by mistake.
pub const LATEST_SECOND: u64 = 253_402_300_799;

/// A date from 1970 to the year 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NumericDate {
    seconds: u64,
    nanos: u32,
    /// Whether it is less than a nanosecond later.
    is_later: bool,
}

/// Why a JSON value is not a date.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DateFault {
    /// It is not a number.
    NotANumber,
    /// It is before 1970.
    BelowZero,
    /// It is after the year 9999.
    TooLate,
}

impl NumericDate {
    /// Reads a date.
    ///
    /// # Errors
    ///
    /// [`DateFault`] says what is wrong with the value.
    pub fn read(value: &Json<'_>) -> Result<Self, DateFault> {
        let Json::Number(number) = value else { return Err(DateFault::NotANumber) };
        let (seconds, nanos, is_later) = match number.as_u64() {
            Some(seconds) => (seconds, 0, false),
            None if number.is_negative() => return Err(DateFault::BelowZero),
            None => number.parts(),
        };
        if seconds > LATEST_SECOND {
            return Err(DateFault::TooLate);
        }
        Ok(Self { seconds, nanos, is_later })
    }

    /// The moment, to the nanosecond; saturates in the year 2554.
    pub fn moment(self) -> UnixNanos {
        let seconds = UnixNanos::from_seconds(self.seconds).nanos();
        UnixNanos::from_nanos(seconds.saturating_add(u64::from(self.nanos)))
    }

    /// Unix seconds, rounded up.
    pub fn seconds_rounded_up(self) -> u64 {
        self.seconds.saturating_add(u64::from(self.nanos > 0 || self.is_later))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<NumericDate, DateFault> {
        NumericDate::read(&Json::read(text).unwrap())
    }

    #[test]
    fn a_date_is_a_number_of_seconds_before_the_year_10000() {
        let nanos = |text| read(text).map(|date| date.moment().nanos());
        assert_eq!(nanos("0"), Ok(0));
        assert_eq!(nanos("0.0"), Ok(0));
        assert_eq!(nanos("-0"), Ok(0));
        assert_eq!(nanos("1.5"), Ok(1_500_000_000));
        assert_eq!(nanos("1e9"), Ok(1_000_000_000_000_000_000));
        assert_eq!(nanos("253402300799"), Ok(u64::MAX));
        assert!(nanos("253402300799.5").is_ok());
        for (text, fault) in [
            ("-1", DateFault::BelowZero),
            ("-0.5", DateFault::BelowZero),
            ("253402300800", DateFault::TooLate),
            ("253402300800.0", DateFault::TooLate),
            ("1800000000000", DateFault::TooLate),
            ("18446744073709551616", DateFault::TooLate),
            ("1e300", DateFault::TooLate),
            ("\"1\"", DateFault::NotANumber),
            ("null", DateFault::NotANumber),
            ("true", DateFault::NotANumber),
            ("[1]", DateFault::NotANumber),
        ] {
            assert_eq!(read(text), Err(fault), "{text}");
        }
    }

    #[test]
    fn any_part_of_a_second_counts_as_one_when_rounded_up() {
        for (text, seconds) in [("7", 7), ("7.0", 7), ("7.5", 8), ("1e-300", 1), ("-0.0", 0)] {
            assert_eq!(read(text).map(NumericDate::seconds_rounded_up), Ok(seconds), "{text}");
        }
    }
}
