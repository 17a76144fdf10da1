//! Whom the table has room for: one subject has a share, all who lack the permissions leave a reserve, and what is over a share
//! is folded into one entry.

mod model;

use super::*;
use crate::revocation::authority;

/// A token of a subject, by the `jti` that numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Numbered {
    subject: u64,
    jti: u64,
    /// Seconds after [`NOW`]; `None`: it does not say.
    issued: Option<u64>,
    ends: u64,
}

impl Numbered {
    fn marks(&self, view: &Revocations) -> Marks {
        let (subject, jti) = (self.subject.to_string(), self.jti.to_string());
        let identity = TokenIdentity::Numbered { issuer: None, subject: Some(&subject), jti: &jti };
        view.marks(&identity, None, Some(&subject))
    }

    fn issued_at(&self) -> Option<UnixNanos> {
        self.issued.map(later)
    }

    fn revoke(
        &self,
        view: &mut Revocations,
        cells: &impl Cells,
        authority: Authority<'_>,
        now: UnixNanos,
    ) -> Result<(), RevokeError> {
        let marks = self.marks(view);
        let revocable = Revocable::Token { marks: &marks, issued_at: self.issued_at() };
        view.revoke(cells, revocable, until(self.ends), authority, now)
    }

    fn log_out(&self, view: &mut Revocations, cells: &impl Cells, now: UnixNanos) -> Result<(), RevokeError> {
        let subject = self.subject.to_string();
        self.revoke(view, cells, owner(&subject), now)
    }

    fn is_refused(&self, view: &mut Revocations, cells: &impl Cells, now: UnixNanos) -> bool {
        view.refresh(cells).unwrap();
        view.is_revoked(&self.marks(view), self.issued_at(), now)
    }
}

fn owner(subject: &str) -> Authority<'_> {
    Authority::Owner { issuer: None, subject: Some(subject), aging: Aging::Never }
}

/// The token with this number of a subject, issued so many seconds after [`NOW`].
fn of(subject: u64, jti: u64, issued: u64) -> Numbered {
    Numbered { subject, jti, issued: Some(issued), ends: HOUR }
}

#[test]
fn a_subject_s_tokens_over_its_share_are_folded_into_one_entry() {
    let cells = MemoryCells::new();
    let mut workers = [open(&cells, 128), open(&cells, 128)];
    let tokens: Vec<_> = (0..20).map(|number| of(1, number, 10 * number)).collect();
    for (token, worker) in tokens.iter().zip([0, 1].into_iter().cycle()) {
        assert_eq!(token.log_out(&mut workers[worker], &cells, later(500)), Ok(()));
        workers[worker].refresh(&cells).unwrap();
        assert!(workers[worker].live(later(500)) <= 2, "a share of 128 is two");
    }
    for worker in &mut workers {
        assert!(tokens.iter().all(|token| token.is_refused(worker, &cells, later(500))));
        assert!(of(1, 99, 190).is_refused(worker, &cells, later(500)), "issued in the second of the newest");
        assert!(!of(1, 99, 191).is_refused(worker, &cells, later(500)));
        assert!(!of(2, 0, 0).is_refused(worker, &cells, later(500)));
    }
}

#[test]
fn within_its_share_a_subject_ends_the_very_tokens_that_it_names() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 192);
    for number in 0..3 {
        of(1, number, 100 + number).log_out(&mut view, &cells, later(500)).unwrap();
    }
    assert!(!of(1, 99, 0).is_refused(&mut view, &cells, later(500)));
    assert_eq!(view.live(later(500)), 3);
}

#[test]
fn of_what_is_over_a_share_no_newer_token_is_refused_than_was_folded() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 128);
    for token in [of(1, 0, 300), of(1, 1, 200), of(1, 2, 100)] {
        token.log_out(&mut view, &cells, later(500)).unwrap();
    }
    let refused =
        [0, 100, 200, 201, 299].map(|issued| of(1, 99, issued).is_refused(&mut view, &cells, later(500)));
    assert_eq!(refused, [true, true, true, false, false], "the newest has an entry of its own still");
    assert!(of(1, 0, 300).is_refused(&mut view, &cells, later(500)));
}

#[test]
fn a_folded_entry_lives_as_long_as_the_longest_of_what_it_stands_for() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 64);
    let aging = Aging::After { seconds: 100, clock_skew: 5 };
    let authority = Authority::Owner { issuer: None, subject: Some("1"), aging };
    let [long, brief] = [(0, 900), (1, 300)].map(|(jti, ends)| Numbered { ends, ..of(1, jti, 0) });
    long.revoke(&mut view, &cells, authority, NOW).unwrap();
    brief.revoke(&mut view, &cells, authority, NOW).unwrap();
    for (seconds, refused) in [(0, true), (300, true), (899, true), (900, false)] {
        assert_eq!(long.is_refused(&mut view, &cells, later(seconds)), refused, "{seconds}");
    }
    // And as long as what was issued before can live.
    Numbered { ends: 2000, ..of(1, 2, 1899) }.revoke(&mut view, &cells, authority, later(1900)).unwrap();
    Numbered { ends: 1950, ..of(1, 3, 1899) }.revoke(&mut view, &cells, authority, later(1900)).unwrap();
    let other = Numbered { ends: 9999, ..of(1, 4, 1899) };
    for (seconds, refused) in [(1999, true), (2004, true), (2005, false)] {
        assert_eq!(other.is_refused(&mut view, &cells, later(seconds)), refused, "{seconds}");
    }
}

#[test]
fn a_token_that_does_not_say_when_it_was_issued_stays_revoked_in_a_fold() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 64);
    let undated = |jti| Numbered { issued: None, ..of(1, jti, 0) };
    undated(0).log_out(&mut view, &cells, NOW).unwrap();
    assert!(!undated(9).is_refused(&mut view, &cells, NOW));
    of(1, 1, 10).log_out(&mut view, &cells, later(20)).unwrap();
    undated(2).log_out(&mut view, &cells, later(20)).unwrap();
    assert!([undated(0), of(1, 1, 10), undated(2)].iter().all(|it| it.is_refused(
        &mut view,
        &cells,
        later(20)
    )));
    assert!(undated(9).is_refused(&mut view, &cells, later(20)), "it counts as older than any");
    assert!(!of(1, 9, 11).is_refused(&mut view, &cells, later(20)));
    assert_eq!(view.live(later(20)), 1);
}

#[test]
fn a_subject_s_own_revocation_of_all_takes_part_in_its_share() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 128);
    for number in 0..2 {
        of(1, number, number).log_out(&mut view, &cells, later(9)).unwrap();
    }
    let all = Revocable::Subject { issuer: None, sub: "1", issued_before: later(6).seconds() };
    view.revoke(&cells, all, Lifetime::ForGood, owner("1"), later(9)).unwrap();
    view.refresh(&cells).unwrap();
    assert_eq!(view.live(later(9)), 2);
    for (issued, refused) in [(1, true), (5, true), (6, false)] {
        assert_eq!(of(1, 99, issued).is_refused(&mut view, &cells, later(9)), refused, "{issued}");
    }
    of(1, 2, 7).log_out(&mut view, &cells, later(9)).unwrap();
    assert!(of(1, 99, 7).is_refused(&mut view, &cells, later(9)), "folded into what is there");
    view.refresh(&cells).unwrap();
    assert_eq!(view.live(later(9)), 2);
}

#[test]
fn what_a_holder_revokes_is_in_nobody_s_share_and_is_not_folded() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 64);
    let officer_s = of(1, 0, 0);
    officer_s.log_out(&mut view, &cells, NOW).unwrap();
    officer_s.revoke(&mut view, &cells, Authority::Holder, NOW).unwrap();
    of(1, 1, 10).log_out(&mut view, &cells, later(20)).unwrap();
    assert!(!of(1, 99, 5).is_refused(&mut view, &cells, later(20)), "nothing is folded yet");
    of(1, 2, 11).log_out(&mut view, &cells, later(20)).unwrap();
    view.refresh(&cells).unwrap();
    assert_eq!(view.live(later(20)), 2);
    // It still goes by its name, and not by when it was issued.
    assert!(of(1, 0, 15).is_refused(&mut view, &cells, later(20)));
}

#[test]
fn a_folded_entry_s_subject_has_its_share_back_when_the_entries_of_single_tokens_have_lapsed() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 128);
    for number in 0..3 {
        Numbered { ends: 100, ..of(1, number, number) }.log_out(&mut view, &cells, later(9)).unwrap();
    }
    let now = later(200);
    Numbered { ends: HOUR, ..of(1, 5, 150) }.log_out(&mut view, &cells, now).unwrap();
    assert!(of(1, 5, 150).is_refused(&mut view, &cells, now));
    assert!(!of(1, 6, 149).is_refused(&mut view, &cells, now), "it has an entry of its own");
    assert!(of(1, 6, 1).is_refused(&mut view, &cells, now), "and the folded one lives on");
}

#[test]
fn workers_that_fold_at_once_lose_nothing() {
    let cells = MemoryCells::new();
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let cells = &cells;
            scope.spawn(move || {
                let mut view = open(cells, 256);
                for number in 0..100 {
                    let token = of(1, writer * 100 + number, number);
                    while token.log_out(&mut view, cells, later(500)) == Err(RevokeError::Contended) {}
                    assert!(token.is_refused(&mut view, cells, later(500)));
                }
            });
        }
    });
    let mut view = open(&cells, 256);
    assert!((0..400).all(|number| of(1, number, number % 100).is_refused(&mut view, &cells, later(500))));
    assert!(!of(1, 999, 100).is_refused(&mut view, &cells, later(500)));
    assert!(
        view.live(later(500)) <= 4 + 3,
        "{}: a share, and one for each other worker",
        view.live(later(500))
    );
}

#[test]
fn who_lacks_the_permissions_leaves_the_reserve_to_who_holds_them() {
    for (capacity, reserved) in [(2, 1), (16, 1), (32, 2), (600, 38)] {
        let cells = MemoryCells::new();
        let mut workers = [open(&cells, capacity), open(&cells, capacity)];
        let [ordinary, reserved] = [u64::from(capacity) - reserved, reserved];
        for subject in 0..ordinary {
            let worker = usize::try_from(subject % 2).unwrap();
            assert_eq!(
                of(subject, 0, 0).log_out(&mut workers[worker], &cells, NOW),
                Ok(()),
                "{capacity} {subject}"
            );
        }
        for worker in &mut workers {
            assert_eq!(of(9000, 0, 0).log_out(worker, &cells, NOW), Err(RevokeError::Full), "{capacity}");
            let nameless = Authority::Owner { issuer: None, subject: None, aging: Aging::Never };
            assert_eq!(of(9001, 0, 0).revoke(worker, &cells, nameless, NOW), Err(RevokeError::Full));
        }
        for number in 0..reserved {
            assert_eq!(
                of(9100 + number, 0, 0).revoke(&mut workers[0], &cells, Authority::Holder, NOW),
                Ok(())
            );
        }
        assert_eq!(
            of(9002, 0, 0).revoke(&mut workers[1], &cells, Authority::Holder, NOW),
            Err(RevokeError::Full)
        );
        // What takes no room is entered in a full table too.
        assert_eq!(of(0, 0, 0).log_out(&mut workers[1], &cells, NOW), Ok(()));
        if capacity < 128 {
            assert_eq!(of(0, 1, 5).log_out(&mut workers[1], &cells, NOW), Ok(()), "folded");
        }
        assert!((0..ordinary).all(|subject| of(subject, 0, 0).is_refused(&mut workers[0], &cells, NOW)));
        assert_eq!(of(9000, 0, 0).log_out(&mut workers[0], &cells, later(HOUR)), Ok(()), "all has lapsed");
    }
}

#[test]
fn a_table_of_one_is_for_everybody() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 1);
    assert_eq!(of(1, 0, 0).log_out(&mut view, &cells, NOW), Ok(()));
    assert_eq!(of(2, 0, 0).revoke(&mut view, &cells, Authority::Holder, NOW), Err(RevokeError::Full));
}

#[test]
fn a_holder_s_entries_leave_less_to_others_but_the_reserve_is_touched_last() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 512);
    for number in 0..479 {
        of(number, 0, 0).revoke(&mut view, &cells, Authority::Holder, NOW).unwrap();
    }
    assert_eq!(of(1000, 0, 0).log_out(&mut view, &cells, NOW), Ok(()));
    assert_eq!(of(1001, 0, 0).log_out(&mut view, &cells, NOW), Err(RevokeError::Full));
    for number in 480..512 {
        of(number, 0, 0).revoke(&mut view, &cells, Authority::Holder, NOW).unwrap();
    }
    assert_eq!(of(1002, 0, 0).revoke(&mut view, &cells, Authority::Holder, NOW), Err(RevokeError::Full));
}
