//! A `jti` that is used again stays revoked as long as the longest-lived token of it that anybody has seen refused.

use super::*;

/// A token of this `jti` in the hands of a worker's reader.
struct Sibling {
    issued_at: UnixNanos,
    lifetime: Lifetime,
}

fn marks(view: &Revocations) -> Marks {
    let identity = TokenIdentity::Numbered { issuer: Some("i"), subject: Some("alice"), jti: "session" };
    view.marks(&identity, None, Some("alice"))
}

fn sibling(issued: u64, ends: u64) -> Sibling {
    Sibling { issued_at: later(issued), lifetime: until(ends) }
}

impl Sibling {
    fn revoke(&self, view: &mut Revocations, cells: &impl Cells, now: UnixNanos) {
        let marks = marks(view);
        let revocable = Revocable::Token { marks: &marks, issued_at: Some(self.issued_at) };
        let authority = Authority::Owner { issuer: None, subject: Some("alice"), aging: Aging::Never };
        view.revoke(cells, revocable, self.lifetime, authority, now).unwrap();
    }

    /// What the guard does with it.
    fn is_refused(&self, view: &mut Revocations, cells: &impl Cells, now: UnixNanos) -> bool {
        view.refresh(cells).unwrap();
        let marks = marks(view);
        let is_revoked = view.is_revoked(&marks, Some(self.issued_at), now);
        if is_revoked {
            let _ = view.outlast(cells, &marks, Some(self.issued_at), self.lifetime, now);
        }
        is_revoked
    }
}

#[test]
fn an_entry_lasts_as_long_as_the_longest_lived_token_that_was_refused_for_it() {
    let cells = MemoryCells::new();
    let mut workers = [open(&cells, 100), open(&cells, 100)];
    let (brief, long) = (sibling(0, 4), sibling(0, HOUR));
    brief.revoke(&mut workers[0], &cells, NOW);
    assert!(long.is_refused(&mut workers[1], &cells, later(3)));
    for worker in &mut workers {
        assert!(long.is_refused(worker, &cells, later(4)), "once refused, refused to its end");
        assert!(long.is_refused(worker, &cells, later(HOUR - 1)));
        assert!(!long.is_refused(worker, &cells, later(HOUR)));
        assert_eq!(worker.live(later(4)), 1);
    }
}

#[test]
fn an_entry_by_jti_lasts_as_long_too_and_an_earlier_end_shortens_none() {
    let cells = MemoryCells::new();
    let mut workers = [open(&cells, 100), open(&cells, 100)];
    let by_jti = |view: &mut Revocations, ends| {
        view.revoke(&cells, Revocable::Jti("session"), until(ends), Authority::Holder, NOW).unwrap();
    };
    by_jti(&mut workers[0], 4);
    let (brief, long) = (sibling(0, 2), sibling(0, HOUR));
    assert!(long.is_refused(&mut workers[1], &cells, later(3)));
    by_jti(&mut workers[1], 9);
    assert!(brief.is_refused(&mut workers[1], &cells, later(1)));
    for worker in &mut workers {
        assert!(long.is_refused(worker, &cells, later(HOUR - 1)));
    }
}

#[test]
fn a_token_that_is_not_refused_makes_no_entry_last_longer() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 100);
    let (brief, long) = (sibling(0, 4), sibling(0, HOUR));
    brief.revoke(&mut view, &cells, NOW);
    assert!(!long.is_refused(&mut view, &cells, later(4)));
    assert!(!long.is_refused(&mut view, &cells, later(5)));
    let marks = marks(&view);
    view.outlast(&cells, &marks, None, Lifetime::ForGood, later(5)).unwrap();
    assert_eq!(view.live(later(5)), 0);
}

#[test]
fn only_what_would_last_longer_is_written() {
    let cells = MemoryCells::new();
    let mut view = open(&cells, 100);
    sibling(0, HOUR).revoke(&mut view, &cells, NOW);
    let held = || {
        [CellId::RevocationStamp, CellId::RevocationPage(0)]
            .map(|id| cells.load(id).unwrap().unwrap().version)
    };
    let before = held();
    assert!(sibling(0, HOUR).is_refused(&mut view, &cells, NOW));
    assert!(sibling(0, 9).is_refused(&mut view, &cells, NOW));
    assert_eq!(held(), before);
    assert!(sibling(0, HOUR + 1).is_refused(&mut view, &cells, NOW));
    assert_ne!(held(), before);
}

#[test]
fn a_worker_that_died_before_it_announced_a_longer_end_leaves_that_to_the_next() {
    let cells = MemoryCells::new();
    let mut workers = [open(&cells, 100), open(&cells, 100), open(&cells, 100)];
    let long = sibling(0, HOUR);
    sibling(0, 4).revoke(&mut workers[0], &cells, NOW);
    for worker in &mut workers {
        worker.refresh(&cells).unwrap();
    }
    let mut died = cells::Watched::new(&cells);
    died.contended = Some("ag2/rdir");
    assert!(long.is_refused(&mut workers[0], &died, NOW), "a failed write admits nothing");
    assert!(long.is_refused(&mut workers[1], &cells, NOW));
    assert!(long.is_refused(&mut workers[2], &cells, later(4)));
}
