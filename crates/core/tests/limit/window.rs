//! The sliding window against the naive log of what it admitted, with a clock that stands still, jumps and goes back.

mod bytes;
mod numbering;

use api_guard_core::limit::Quota;
use api_guard_core::limit::window::{Spent, Window};
use api_guard_core::time::UnixNanos;

use crate::clock::{Clock, Random, SECOND, START};
use crate::limiter::quota;

/// What was admitted, in the order of time.
#[derive(Default)]
struct Log {
    entries: Vec<Entry>,
    /// The latest moment that the clock showed at an admission; after a step back too far, where the window then starts.
    front: u64,
}

struct Entry {
    passed: u64,
    stepped_back: u64,
    /// How far the clock was behind then: the window stood still.
    behind: u64,
}

impl Log {
    fn touch(&mut self, window: u64, clock: &Clock) {
        let now = clock.now().nanos();
        if self.front.saturating_sub(now) > window / 16 * 17 {
            self.front = now + window / 8;
        }
    }

    fn push(&mut self, clock: &Clock) {
        let now = clock.now().nanos();
        let behind = self.front.saturating_sub(now);
        self.front = self.front.max(now);
        self.entries.push(Entry { passed: clock.passed, stepped_back: clock.stepped_back, behind });
    }

    /// The `n`th latest entry.
    fn back(&self, n: u32) -> Option<&Entry> {
        self.entries.len().checked_sub(n as usize).and_then(|index| self.entries.get(index))
    }

    /// One more now, and some closed interval of `window` holds more than `max`.
    fn is_full(&self, max: u32, window: u64, clock: &Clock) -> bool {
        self.back(max).is_some_and(|entry| entry.passed + window >= clock.passed)
    }

    /// `max` were admitted so lately that they may still count: in the last 17/16 of a window, and as much longer as
    /// the clock was behind then and was turned back since.
    fn justifies_refusal(&self, max: u32, window: u64, clock: &Clock) -> bool {
        self.back(max).is_some_and(|entry| {
            let turned_back = clock.stepped_back - entry.stepped_back;
            entry.passed + window + window / 16 + entry.behind + turned_back > clock.passed
        })
    }
}

/// A window as a cell holds it: bytes, stored after a request that spent or a move of the numbering.
struct Stored([u8; api_guard_core::limit::window::ENCODED_BYTES]);

impl Stored {
    fn new(quota: &Quota, now: UnixNanos) -> Self {
        Self(Window::new(quota.window_seconds, now).encode())
    }

    fn admit(&mut self, quota: &Quota, now: UnixNanos) -> Option<Spent> {
        let mut window = Window::decode(&self.0).unwrap();
        let renumbered = window.advance(quota.window_seconds, now);
        let spent = (window.remaining(quota) > 0).then(|| window.spend(quota));
        if renumbered || spent.is_some() {
            self.0 = window.encode();
        }
        spent
    }

    fn wait(&self, quota: &Quota, now: UnixNanos) -> u64 {
        let mut window = Window::decode(&self.0).unwrap();
        let _ = window.advance(quota.window_seconds, now);
        window.free_at(quota).map_or(0, |free| free.nanos().saturating_sub(now.nanos()))
    }
}

fn follow(random: &mut Random, quota: &Quota, steps: u32) {
    let window = u64::from(quota.window_seconds.get()) * SECOND;
    let max = quota.max_requests.get();
    let mut clock = Clock { passed: 0, stepped_back: 0 };
    let mut log = Log { entries: Vec::new(), front: START };
    let mut stored = Stored::new(quota, clock.now());
    for step in 0..steps {
        clock.step(random, window);
        log.touch(window, &clock);
        if stored.admit(quota, clock.now()).is_some() {
            assert!(!log.is_full(max, window, &clock), "step {step} of {quota:?}: one too many");
            log.push(&clock);
        } else {
            assert!(log.justifies_refusal(max, window, &clock), "step {step} of {quota:?}: refused too long");
        }
    }
}

#[test]
fn no_interval_of_a_window_holds_more_than_the_limit_and_a_spent_slot_is_free_again_in_time() {
    let mut random = Random(0x5eed_0001);
    for round in 0..500_u32 {
        let max = 1 + u32::try_from(random.below(if round % 5 == 0 { 300 } else { 24 })).unwrap();
        let seconds = [1, 2, 7, 60, 61, 3600, 86_400, 31_536_000][random.below(8) as usize];
        follow(&mut random, &quota(max, seconds), 2_000);
    }
    follow(&mut random, &quota(10, 60), 200_000);
}

#[test]
fn a_change_of_the_window_refunds_nothing() {
    let mut random = Random(0x5eed_0002);
    for _ in 0..200 {
        let max = 1 + u32::try_from(random.below(12)).unwrap();
        let lengths = [1, 2, 7, 60, 61, 3600].map(|seconds| quota(max, seconds));
        let pair = [lengths[random.below(6) as usize], lengths[random.below(6) as usize]];
        let shortest = pair.iter().map(|quota| quota.window_seconds.get()).min().unwrap();
        let window = u64::from(shortest) * SECOND;
        let mut clock = Clock { passed: 0, stepped_back: 0 };
        let mut log = Log::default();
        let mut current = pair[0];
        let mut stored = Stored::new(&current, clock.now());
        for step in 0..1_000 {
            clock.step(&mut random, window);
            if random.below(20) == 0 {
                current = pair[random.below(2) as usize];
            }
            if stored.admit(&current, clock.now()).is_some() {
                assert!(!log.is_full(max, window, &clock), "step {step}, {pair:?}: one too many");
                log.push(&clock);
            }
        }
    }
}

#[test]
fn who_waits_as_told_is_admitted() {
    let mut random = Random(0x5eed_0003);
    let mut waits = 0;
    for _ in 0..300 {
        let quota = quota(1 + u32::try_from(random.below(9)).unwrap(), 1 + random.below(90) as u32);
        let window = u64::from(quota.window_seconds.get()) * SECOND;
        let mut clock = Clock { passed: 0, stepped_back: 0 };
        let mut stored = Stored::new(&quota, clock.now());
        for _ in 0..300 {
            clock.step(&mut random, window);
            if stored.admit(&quota, clock.now()).is_none() {
                let wait = stored.wait(&quota, clock.now());
                assert!((1..=window * 34 / 16).contains(&wait));
                clock.passed += wait - 1;
                assert!(stored.admit(&quota, clock.now()).is_none(), "a nanosecond too early");
                clock.passed += 1;
                assert!(stored.admit(&quota, clock.now()).is_some(), "waited in vain");
                waits += 1;
            }
        }
    }
    assert!(waits > 10_000);
}

#[test]
fn a_spent_slot_counts_for_a_closed_window_and_at_most_a_sixteenth_longer() {
    let quota = quota(1, 16);
    for offset in [0, 1, SECOND / 2, SECOND - 1] {
        let spent_at = START + offset;
        let mut stored = Stored::new(&quota, UnixNanos::from_nanos(spent_at));
        assert!(stored.admit(&quota, UnixNanos::from_nanos(spent_at)).is_some());
        assert!(stored.admit(&quota, UnixNanos::from_nanos(spent_at + 16 * SECOND)).is_none());
        assert!(stored.admit(&quota, UnixNanos::from_nanos(spent_at + 17 * SECOND)).is_some());
    }
}

#[test]
fn a_jump_far_ahead_and_back_locks_nobody_out() {
    let quota = quota(5, 60);
    let (today, error) = (UnixNanos::from_nanos(START), UnixNanos::from_nanos(START * 3));
    let mut stored = Stored::new(&quota, today);
    while stored.admit(&quota, error).is_some() {}
    assert!(stored.admit(&quota, today).is_none(), "nothing is refunded");
    assert!(stored.admit(&quota, today.plus_seconds(59)).is_none());
    assert!(stored.admit(&quota, today.plus_seconds(68)).is_some());
}

#[test]
fn a_longer_window_keeps_what_was_spent_and_a_shorter_one_lets_it_go_in_its_own_time() {
    let (minute, hour) = (quota(5, 60), quota(5, 3600));
    let now = UnixNanos::from_nanos(START);
    let mut stored = Stored::new(&minute, now);
    while stored.admit(&minute, now).is_some() {}
    assert!(stored.admit(&hour, now.plus_seconds(30)).is_none());
    assert!(stored.admit(&hour, now.plus_seconds(3590)).is_none());
    assert!(stored.admit(&hour, now.plus_seconds(4200)).is_some());
    while stored.admit(&hour, now.plus_seconds(4200)).is_some() {}
    assert!(stored.admit(&minute, now.plus_seconds(4201)).is_none());
    // Refused meanwhile, which must not make the wait start again.
    assert!(stored.admit(&minute, now.plus_seconds(4230)).is_none());
    assert!(stored.admit(&minute, now.plus_seconds(4270)).is_some());
}

#[test]
fn the_warning_comes_once_per_window_at_its_share() {
    let quota = quota(10, 16);
    let mut stored = Stored::new(&quota, UnixNanos::from_nanos(START));
    for window in 0..4 {
        let now = UnixNanos::from_nanos(START).plus_seconds(window * 17);
        let warned: Vec<bool> = (0..10).map(|_| stored.admit(&quota, now).unwrap().warned).collect();
        assert_eq!(warned, [false, false, false, false, false, false, false, true, false, false]);
    }
}

#[test]
fn a_warning_is_neither_repeated_nor_lost_where_the_window_or_the_clock_changes() {
    let before = quota(10, 16);
    let now = UnixNanos::from_nanos(START);
    for (after, then) in [(quota(10, 32), now), (quota(10, 8), now), (before, now.minus_seconds(1_000_000))] {
        let mut window = Window::new(before.window_seconds, now);
        let warned: Vec<bool> = (0..8).map(|_| window.spend(&before).warned).collect();
        assert_eq!(warned.iter().position(|warned| *warned), Some(7));
        assert!(window.advance(after.window_seconds, then), "renumbered");
        assert!(!window.spend(&after).warned, "once in a window");
        assert!(!window.advance(after.window_seconds, then.plus_seconds(40)));
        let warned: Vec<bool> = (0..8).map(|_| window.spend(&after).warned).collect();
        assert_eq!(warned.iter().position(|warned| *warned), Some(7), "and once in the next");
    }
}

#[test]
fn the_epoch_and_the_end_of_time_are_moments_like_others() {
    for nanos in [0, 1, u64::MAX - 1, u64::MAX] {
        for seconds in [1, u32::MAX] {
            let (quota, now) = (quota(10, seconds), UnixNanos::from_nanos(nanos));
            let mut stored = Stored::new(&quota, now);
            let spent: Vec<Spent> = std::iter::from_fn(|| stored.admit(&quota, now)).take(20).collect();
            assert_eq!(spent.len(), 10);
            assert_eq!(spent.iter().filter(|spent| spent.warned).count(), 1);
            assert_eq!(stored.admit(&quota, UnixNanos::from_nanos(0)), None);
        }
    }
}
