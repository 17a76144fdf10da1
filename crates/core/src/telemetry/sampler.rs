//! Which lines are logged when one client sends a flood? A sample, so that refusing stays cheaper than requesting.

use std::net::IpAddr;

use crate::code::Code;
use crate::time::UnixNanos;

/// What a line is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Topic {
    /// A refusal, carried out or not.
    Refusal(Code),
    /// An old token that passes.
    OldToken,
    /// A limit that is nearly used up.
    NearLimit,
}

impl Topic {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Refusal(code) => code.as_str(),
            Self::OldToken => "old_token",
            Self::NearLimit => "near_limit",
        }
    }
}

/// This many lines of one topic and one client are written in each period; of further ones, one in [`SAMPLE`].
const BURST: u32 = 20;
const SAMPLE: u32 = 100;
const PERIOD_SECONDS: u64 = 10;
/// The number of slots in each half of the sampler.
const SLOTS: usize = 1024;

/// Decides which lines are written. Each line counts in one slot of either half, and the lower count decides. A client
/// who shares one slot with a flood thus still has the other slot, and clients who alternate in one slot gain no new
/// burst. This bounds the memory, and the lines that all clients together can cause.
#[derive(Debug)]
pub struct Sampler {
    halves: [[Counted; SLOTS]; 2],
}

/// Lines since the beginning of a slot's period.
#[derive(Debug, Clone, Copy, Default)]
struct Counted {
    since: UnixNanos,
    lines: u32,
}

impl Default for Sampler {
    fn default() -> Self {
        Self { halves: [[Counted::default(); SLOTS]; 2] }
    }
}

impl Counted {
    fn add(&mut self, now: UnixNanos) -> u32 {
        if now < self.since || self.since.plus_seconds(PERIOD_SECONDS) <= now {
            *self = Self { since: now, lines: 0 };
        }
        self.lines = self.lines.saturating_add(1);
        self.lines
    }
}

impl Sampler {
    /// Whether a line about the client at `address` is to be written.
    pub fn admits(&mut self, topic: Topic, address: Option<IpAddr>, now: UnixNanos) -> bool {
        let client = match address.map(|address| address.to_canonical()) {
            Some(IpAddr::V4(address)) => u64::from(address.to_bits()),
            Some(IpAddr::V6(address)) => u64::try_from(address.to_bits() >> 64).unwrap_or(0),
            None => 0,
        };
        let of_topic = topic
            .as_str()
            .bytes()
            .fold(0_u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(byte)));
        let key = client
            .wrapping_mul(0x9e37_79b9_7f4a_7c15)
            .wrapping_add(of_topic.wrapping_mul(0xff51_afd7_ed55_8ccd));
        let counts = self.halves.iter_mut().zip([54, 44]).filter_map(|(slots, shift)| {
            let slot = usize::try_from(key >> shift).unwrap_or(0) % SLOTS;
            slots.get_mut(slot).map(|counted| counted.add(now))
        });
        counts.min().is_none_or(|lines| lines <= BURST || lines % SAMPLE == 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_sampled_and_others_are_not() {
        let mut sampler = Sampler::default();
        let address = |last| Some(IpAddr::from([10, 0, 0, last]));
        let now = UnixNanos::from_seconds(1000);
        let logged = (0..10_000)
            .filter(|_| sampler.admits(Topic::Refusal(Code::TokenExpired), address(1), now))
            .count();
        assert_eq!(logged, 120);
        for other in [Topic::Refusal(Code::TokenMissing), Topic::OldToken, Topic::NearLimit] {
            assert!(sampler.admits(other, address(1), now), "{other:?}");
        }
        assert!(sampler.admits(Topic::Refusal(Code::TokenExpired), address(2), now));
        assert!(sampler.admits(Topic::Refusal(Code::TokenExpired), address(1), now.plus_seconds(10)));
    }

    #[test]
    fn many_who_take_turns_cannot_flood_the_log_either() {
        let mut sampler = Sampler::default();
        let now = UnixNanos::from_seconds(1000);
        let logged = (0..1_000_000_u32)
            .filter(|number| {
                let address = IpAddr::from((0x0a00_0000 + number % 50_000).to_be_bytes());
                sampler.admits(Topic::Refusal(Code::TokenMissing), Some(address), now)
            })
            .count();
        assert!(logged < 31_000, "{logged}");
    }
}
