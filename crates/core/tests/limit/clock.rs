//! Chance and time for the tests of limits: both are arguments, neither is the machine's.

use api_guard_core::time::UnixNanos;

pub const START: u64 = 1_700_000_000_000_000_000;
pub const SECOND: u64 = 1_000_000_000;

/// A small generator of our own: a million steps are too many for a shrinking one.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11
    }

    pub fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }
}

/// The wall clock, and beside it how much time has really passed: steps back are errors of the clock alone.
pub struct Clock {
    pub passed: u64,
    pub stepped_back: u64,
}

impl Clock {
    pub fn now(&self) -> UnixNanos {
        UnixNanos::from_nanos(START + self.passed - self.stepped_back)
    }

    pub fn step(&mut self, random: &mut Random, window: u64) {
        let bucket = window / 16;
        match random.below(1000) {
            0..350 => {}
            350..800 => self.passed += random.below(bucket / 8),
            800..900 => self.passed += random.below(bucket * 2),
            // To the very start of a bucket, or the nanosecond before it.
            900..940 => self.passed += bucket - self.now().nanos() % bucket - random.below(2),
            // One whole window, exactly.
            940..950 => self.passed += window,
            950..970 => self.passed += random.below(window * 2),
            970..973 => self.passed += random.below(window * 50),
            973..990 => self.stepped_back += random.below(bucket),
            990..997 => self.stepped_back += random.below(window),
            997..999 => self.stepped_back += random.below(window * 3),
            _ => self.stepped_back += random.below(START / 1_000_000),
        }
    }
}
