//! What is refused once it is revoked, for how long, and how much there is room for.

mod cells;
mod reuse;
mod shares;

use std::collections::HashSet;

use super::*;
use crate::cells::MemoryCells;
use crate::token::identity::SigningDigest;

const NOW: UnixNanos = UnixNanos::from_seconds(1_800_000_000);
const HOUR: u64 = 3600;

fn seed() -> Seed {
    Seed::from_bytes([7; 16])
}

fn open(cells: &impl Cells, capacity: u32) -> Revocations {
    Revocations::open(cells, seed(), capacity).unwrap()
}

fn later(seconds: u64) -> UnixNanos {
    NOW.plus_seconds(seconds)
}

fn until(seconds: u64) -> Lifetime {
    Lifetime::UntilSecond(later(seconds).seconds())
}

fn signed(number: u64) -> TokenIdentity<'static> {
    TokenIdentity::Signed(SigningDigest::of(&number.to_le_bytes(), &seed()))
}

fn token(view: &Revocations, number: u64) -> Marks {
    view.marks(&signed(number), None, None)
}

fn revoke(
    view: &mut Revocations,
    cells: &impl Cells,
    number: u64,
    lifetime: Lifetime,
    now: UnixNanos,
) -> Result<(), RevokeError> {
    let marks = token(view, number);
    let revocable = Revocable::Token { marks: &marks, issued_at: Some(now) };
    view.revoke(cells, revocable, lifetime, Authority::Holder, now)
}

fn refuses(view: &mut Revocations, cells: &impl Cells, number: u64, now: UnixNanos) -> bool {
    view.refresh(cells).unwrap();
    view.is_revoked(&token(view, number), Some(now), now)
}

#[test]
fn a_revocation_is_in_force_for_every_workers_next_request() {
    let cells = MemoryCells::new();
    let mut workers: Vec<_> = (0..4).map(|_| open(&cells, 1000)).collect();
    for number in 0..40 {
        let writer = usize::try_from(number % 4).unwrap();
        revoke(&mut workers[writer], &cells, number, until(HOUR), NOW).unwrap();
        for worker in &mut workers {
            assert!(refuses(worker, &cells, number, NOW));
            assert!(!refuses(worker, &cells, number + 1, NOW));
        }
    }
}

#[test]
fn a_subject_that_is_revoked_at_every_issuer_takes_no_entry_for_one() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 1000);
    let mut revoke = |issuer, issued_before, lifetime| {
        let revocable = Revocable::Subject { issuer, sub: "b", issued_before };
        view.revoke(&cells, revocable, lifetime, Authority::Holder, NOW).unwrap();
        view.refresh(&cells).unwrap();
        view.live(NOW)
    };
    assert_eq!(revoke(None, 100, until(HOUR)), 1);
    assert_eq!(revoke(Some("a"), 100, until(HOUR)), 1);
    assert_eq!(revoke(Some("b"), 99, until(1)), 1);
    // Later tokens, or a longer time, are more than is so already, and at one issuer only.
    assert_eq!(revoke(Some("a"), 101, until(HOUR)), 2);
    assert_eq!(revoke(Some("b"), 100, until(HOUR + 1)), 3);
    assert_eq!(revoke(Some("c"), 100, until(HOUR)), 3);
    // The other way round nothing is covered.
    assert_eq!(revoke(None, 101, until(HOUR)), 3);
    let identity = TokenIdentity::Numbered { issuer: Some("c"), subject: Some("b"), jti: "x" };
    let marks = view.marks(&identity, Some("c"), Some("b"));
    let at = |second| view.is_revoked(&marks, Some(UnixNanos::from_seconds(second)), NOW);
    assert!(at(100) && !at(101));
}

#[test]
fn token_jti_and_subject_are_matched_each_by_its_own() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 1000);
    view.revoke(&cells, Revocable::Jti("a"), until(HOUR), Authority::Holder, NOW).unwrap();
    let subject = Revocable::Subject { issuer: None, sub: "b", issued_before: NOW.seconds() };
    view.revoke(&cells, subject, Lifetime::ForGood, Authority::Holder, NOW).unwrap();
    view.refresh(&cells).unwrap();
    let is_revoked = |jti: Option<&str>, subject: Option<&str>, issued_at| {
        let numbered = |jti| TokenIdentity::Numbered { issuer: None, subject, jti };
        let marks = view.marks(&jti.map_or(signed(1), numbered), Some("i"), subject);
        view.is_revoked(&marks, issued_at, NOW)
    };
    assert!(is_revoked(Some("a"), None, Some(NOW)));
    assert!(!is_revoked(Some("b"), Some("a"), None));
    assert!(is_revoked(None, Some("b"), Some(NOW.minus_seconds(1))));
    assert!(is_revoked(None, Some("b"), None), "a token without iat counts as older");
    assert!(!is_revoked(None, Some("b"), Some(NOW)));
    assert!(!is_revoked(None, None, None));
}

#[test]
fn a_subject_of_one_issuer_is_revoked_there_alone() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 1000);
    let subject = Revocable::Subject { issuer: Some("a"), sub: "b", issued_before: NOW.seconds() };
    view.revoke(&cells, subject, Lifetime::ForGood, Authority::Holder, NOW).unwrap();
    view.refresh(&cells).unwrap();
    let is_revoked = |issuer, subject| {
        let marks = view.marks(&signed(1), issuer, Some(subject));
        view.is_revoked(&marks, None, NOW)
    };
    assert!(is_revoked(Some("a"), "b"));
    for (issuer, subject) in
        [(Some("c"), "b"), (None, "b"), (Some("a"), "c"), (Some("b"), "a"), (Some("ab"), "")]
    {
        assert!(!is_revoked(issuer, subject), "{issuer:?} {subject}");
    }
}

#[test]
fn a_revocation_ends_with_its_lifetime_and_leaves_no_gap_before() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 10);
    let expires_at = UnixNanos::from_nanos(NOW.nanos() + 1);
    let lifetime = Lifetime::outliving(expires_at, 30);
    assert_eq!(lifetime, Lifetime::UntilSecond(NOW.seconds() + 31));
    revoke(&mut view, &cells, 1, lifetime, NOW).unwrap();
    assert!(refuses(&mut view, &cells, 1, expires_at.plus_seconds(30)));
    assert!(refuses(&mut view, &cells, 1, UnixNanos::from_nanos(later(31).nanos() - 1)));
    assert!(!refuses(&mut view, &cells, 1, later(31)));
    assert_eq!((view.live(later(30)), view.live(later(31))), (1, 0));
    assert!(refuses(&mut view, &cells, 1, later(30)), "when the time goes backwards it holds again");
}

#[test]
fn a_lifetime_of_a_whole_second_is_not_rounded() {
    assert_eq!(Lifetime::outliving(NOW, 0), Lifetime::UntilSecond(NOW.seconds()));
    assert_eq!(Lifetime::outliving(UnixNanos::from_nanos(0), 0), Lifetime::UntilSecond(0));
    assert_eq!(Lifetime::outliving(UnixNanos::from_seconds(u64::MAX), 0), Lifetime::ForGood);
    assert_eq!(Lifetime::outliving(NOW, u64::MAX), Lifetime::ForGood);
}

#[test]
fn what_has_lapsed_already_takes_no_room() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 1);
    revoke(&mut view, &cells, 1, until(0), NOW).unwrap();
    assert!(!refuses(&mut view, &cells, 1, NOW));
    revoke(&mut view, &cells, 2, until(HOUR), NOW).unwrap();
    assert!(refuses(&mut view, &cells, 2, NOW));
}

#[test]
fn a_table_of_four_holds_exactly_four_and_a_full_one_loses_nothing() {
    let cells = MemoryCells::new();
    let (mut one, mut other) = (open(&cells, 4), open(&cells, 4));
    for number in 0..4 {
        revoke(&mut one, &cells, number, until(number + 1), NOW).unwrap();
    }
    for view in [&mut one, &mut other] {
        assert_eq!(revoke(view, &cells, 4, until(HOUR), NOW), Err(RevokeError::Full));
        assert_eq!(revoke(view, &cells, 3, until(2), NOW), Ok(()), "what is there needs no room");
        for number in 0..5 {
            assert_eq!(refuses(view, &cells, number, NOW), number < 4);
        }
    }
    assert_eq!(revoke(&mut other, &cells, 4, until(HOUR), later(1)), Ok(()), "one entry has lapsed");
    assert_eq!(revoke(&mut other, &cells, 5, until(HOUR), later(1)), Err(RevokeError::Full));
    assert_eq!(
        [0, 1, 2, 3, 4].map(|number| refuses(&mut one, &cells, number, later(1))),
        [false, true, true, true, true]
    );
}

#[test]
fn capacity_is_exact_across_pages_and_all_room_is_free_again() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 600);
    for round in 0..3 {
        let now = later(round * HOUR);
        let lifetime = until(round * HOUR + 60);
        for number in 0..600 {
            assert_eq!(revoke(&mut view, &cells, round * 1000 + number, lifetime, now), Ok(()));
        }
        assert_eq!(revoke(&mut view, &cells, round * 1000 + 600, lifetime, now), Err(RevokeError::Full));
        view.refresh(&cells).unwrap();
        assert_eq!(view.live(now), 600);
        assert!((0..600).all(|number| refuses(&mut view, &cells, round * 1000 + number, now)));
    }
    assert!(cells.bytes_held() < 600 * 40 + 100, "memory is fixed");
}

#[test]
fn the_same_revocation_again_takes_no_room_and_only_lengthens() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 1);
    for seconds in [100, 50, 200, 200] {
        revoke(&mut view, &cells, 1, until(seconds), NOW).unwrap();
    }
    assert!(refuses(&mut view, &cells, 1, later(199)));
    revoke(&mut view, &cells, 1, Lifetime::ForGood, NOW).unwrap();
    assert!(refuses(&mut view, &cells, 1, UnixNanos::from_nanos(u64::MAX)));
}

#[test]
fn a_reloaded_worker_finds_all_and_keeps_the_capacity() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 700);
    for number in 0..700 {
        revoke(&mut view, &cells, number, until(HOUR), NOW).unwrap();
    }
    let mut reloaded = open(&cells, 1_000_000);
    assert_eq!(reloaded.capacity(), 700);
    assert!((0..700).all(|number| refuses(&mut reloaded, &cells, number, NOW)));
    assert_eq!(revoke(&mut reloaded, &cells, 700, until(HOUR), NOW), Err(RevokeError::Full));
}

#[test]
fn a_capacity_out_of_range_is_cut() {
    assert_eq!(open(&MemoryCells::new(), 0).capacity(), 1);
    assert_eq!(open(&MemoryCells::new(), u32::MAX).capacity(), 16_777_216);
}

/// Against the obvious model: a list of what was revoked until when, with a clock that jumps both ways.
mod model {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]
        #[test]
        fn nothing_promised_is_forgotten_and_nobody_else_is_refused(
            steps in proptest::collection::vec((0..3_usize, 0..40_u64, 0..200_u64, -20..40_i64), 1..120),
            capacity in 1..45_u32,
        ) {
            let cells = MemoryCells::new();
            let mut workers: Vec<_> = (0..3).map(|_| open(&cells, capacity)).collect();
            let mut promised: Vec<(u64, u64)> = Vec::new();
            let (mut second, mut latest) = (NOW.seconds(), NOW.seconds());
            for (worker, number, lifetime, jump) in steps {
                second = second.saturating_add_signed(jump);
                latest = latest.max(second);
                let now = UnixNanos::from_seconds(second);
                let ends_at = second.saturating_add(lifetime);
                match revoke(&mut workers[worker], &cells, number, Lifetime::UntilSecond(ends_at), now) {
                    Ok(()) => promised.push((number, ends_at)),
                    Err(problem) => {
                        prop_assert_eq!(problem, RevokeError::Full);
                        // As many are alive; more only where the clock went back to before the end of one that was replaced.
                        let alive: HashSet<u64> = promised.iter().filter(|one| one.1 > second).map(|one| one.0).collect();
                        prop_assert!(alive.len() >= usize::try_from(capacity).unwrap());
                    }
                }
                let reader = &mut workers[worker.saturating_add(1) % 3];
                for number in 0..41 {
                    let must = promised.iter().any(|one| one.0 == number && one.1 > latest);
                    let may = promised.iter().any(|one| one.0 == number && one.1 > second);
                    let refused = refuses(reader, &cells, number, now);
                    prop_assert!(refused || !must, "forgotten");
                    prop_assert!(!refused || may, "refused somebody else");
                }
            }
        }
    }
}
