//! Random callers against the obvious list of what they were promised, with a clock that jumps both ways.

#![allow(clippy::arithmetic_side_effects, reason = "a test that overflows fails")]

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone, Copy)]
enum What {
    Token(Numbered),
    /// All of a subject's tokens issued before this second.
    All(u64, u64),
}

/// What was answered with success, and the second at which the promise ends; `u64::MAX`: never.
#[derive(Debug, Clone, Copy)]
struct Promise {
    what: What,
    ends_at: u64,
    is_own: bool,
}

impl Promise {
    fn is_alive(&self, second: u64) -> bool {
        self.ends_at > second
    }

    /// Whether it names this very token.
    fn names(&self, token: &Numbered) -> bool {
        match self.what {
            What::Token(named) => (named.subject, named.jti) == (token.subject, token.jti),
            What::All(subject, before) => {
                subject == token.subject && token.issued.is_none_or(|issued| later(issued).seconds() < before)
            }
        }
    }

    /// Whether an entry that it is folded into could refuse this token.
    fn may_reach(&self, token: &Numbered) -> bool {
        match self.what {
            What::Token(named) => {
                self.is_own && named.subject == token.subject && token.issued <= named.issued
            }
            What::All(..) => false,
        }
    }
}

/// A `jti` has one token here, so nothing is asked about those that a fold has never seen.
fn numbered(subject: u64, jti: u64) -> Numbered {
    let mixed = subject * 31 + jti * 17;
    let issued = (!mixed.is_multiple_of(5)).then_some(mixed * 7 % 90);
    Numbered { subject, jti, issued, ends: 100 + mixed * 13 % 150 }
}

fn token() -> impl Strategy<Value = Numbered> {
    (0..4_u64, 0..7_u64).prop_map(|(subject, jti)| numbered(subject, jti))
}

fn what() -> impl Strategy<Value = What> {
    prop_oneof![
        8 => token().prop_map(What::Token),
        1 => (0..4_u64, 0..90_u64).prop_map(|(subject, before)| What::All(subject, later(before).seconds())),
    ]
}

/// The seconds from one step to the next. Now and then the clock is set back.
fn jump() -> impl Strategy<Value = i64> {
    prop_oneof![9 => 0..30_i64, 1 => -15..0_i64]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    #[test]
    fn every_promise_is_kept_and_nobody_takes_more_than_is_theirs(
        steps in proptest::collection::vec((0..3_usize, what(), 0..4_u8, jump()), 1..100),
        capacity in prop_oneof![1..45_u32, 120..200_u32, Just(300)],
    ) {
        let cells = MemoryCells::new();
        let mut workers: Vec<_> = (0..3).map(|_| open(&cells, capacity)).collect();
        let entries = usize::try_from(capacity).unwrap();
        let room = entries - if entries == 1 { 0 } else { entries.div_ceil(16) };
        let mut promised: Vec<Promise> = Vec::new();
        let (mut second, mut latest) = (later(90).seconds(), 0);
        let mut has_gone_back = false;
        for (worker, what, who, jump) in steps {
            second = second.saturating_add_signed(jump);
            latest = latest.max(second);
            let now = UnixNanos::from_seconds(second);
            let view = &mut workers[worker];
            view.refresh(&cells).unwrap();
            let before = view.live(now);
            let subject = match what {
                What::Token(token) => token.subject,
                What::All(subject, _) => subject,
            };
            let name = subject.to_string();
            let is_own = who != 0;
            let most = if is_own { room } else { entries };
            let authority = if is_own { owner(&name) } else { Authority::Holder };
            let (answer, ends_at) = match what {
                What::Token(token) => {
                    (token.revoke(view, &cells, authority, now), later(token.ends).seconds())
                }
                What::All(_, issued_before) => {
                    let revocable = Revocable::Subject { issuer: None, sub: &name, issued_before };
                    (view.revoke(&cells, revocable, Lifetime::ForGood, authority, now), u64::MAX)
                }
            };
            view.refresh(&cells).unwrap();
            let after = view.live(now);
            match answer {
                Ok(()) => promised.push(Promise { what, ends_at, is_own }),
                Err(problem) => {
                    prop_assert_eq!(problem, RevokeError::Full);
                    prop_assert_eq!(before, after);
                    prop_assert!(before >= most);
                }
            }
            prop_assert!(after <= before + 1);
            prop_assert!(after == before || after <= most);
            // A clock that is set back revives entries beside which others were made since.
            has_gone_back |= jump < 0;
            if !has_gone_back {
                let owned = view.mirror.owned(view.subject_mark(None, &name).owner(), now).count();
                prop_assert!(owned <= authority::share(entries), "{} of {}", owned, entries);
            }
            let reader = &mut workers[(worker + 1) % 3];
            for token in (0..4).flat_map(|subject| (0..7).map(move |jti| numbered(subject, jti))) {
                let must = promised.iter().any(|one| one.is_alive(latest) && one.names(&token));
                let may = promised.iter().any(|one| {
                    one.is_alive(second) && one.names(&token) || one.may_reach(&token)
                });
                let refused = token.is_refused(reader, &cells, now);
                prop_assert!(refused || !must, "forgotten: {token:?}");
                prop_assert!(!refused || may, "refused for nothing: {token:?}");
            }
        }
    }
}
