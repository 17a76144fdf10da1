//! How does a revocation come into force for all workers?
//!
//! It is entered into a page, and then announced: the page's generation moves in the directory, and the stamp after it.

use super::authority::{self, Authority};
use super::page::{self, Admission, Entry};
use super::{Aging, Lifetime, Mark, Marks, OwnerMark, Revocations, directory, page_cell};
use crate::cells::{CellFault, CellId, Cells, Change, Expected, Stored, UpdateError, update};
use crate::time::UnixNanos;

/// Tries at one compare-and-swap before a writer gives up. Every lost one is another worker's success.
pub(super) const MAX_TRIES: u32 = 64;

/// Pages that are tried before a writer gives up. Every one that turns out full was filled by others in that moment.
const MAX_PAGES: u32 = 64;

/// What can be revoked.
#[derive(Debug, Clone, Copy)]
pub enum Revocable<'a> {
    /// This very token, by its issuer, `sub` and `jti`, or by what was signed where it has no `jti`.
    Token {
        /// The token's marks.
        marks: &'a Marks,
        /// Its `iat`.
        issued_at: Option<UnixNanos>,
    },
    /// Every token with this `jti`, whoever issued it.
    Jti(&'a str),
    /// Every token of this `sub` that was issued before a moment, or that does not say when it was.
    Subject {
        /// The only issuer whose subject is meant; `None`: every issuer's.
        issuer: Option<&'a str>,
        /// The claim's value.
        sub: &'a str,
        /// Unix seconds.
        issued_before: u64,
    },
}

/// Why a revocation did not come about. Whatever was revoked before still is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeError {
    /// The table is full of live entries.
    Full,
    /// Other workers were faster too many times.
    Contended,
    /// The cells could not be read or written.
    Fault,
}

impl From<CellFault> for RevokeError {
    fn from(_: CellFault) -> Self {
        Self::Fault
    }
}

impl From<UpdateError<CellFault>> for RevokeError {
    fn from(error: UpdateError<CellFault>) -> Self {
        match error {
            UpdateError::Contended => Self::Contended,
            UpdateError::Failed(fault) => fault.into(),
        }
    }
}

/// The share of a subject whose own revocation is entered.
#[derive(Debug, Clone, Copy)]
struct Share {
    owner: OwnerMark,
    subject: Mark,
    aging: Aging,
}

impl Share {
    /// The entry of the subject that refuses what `entry` does.
    fn fold(&self, entry: &Entry) -> Entry {
        Entry {
            mark: self.subject,
            ends_at: self.aging.lifetime(entry.issued_before).ends_at().max(entry.ends_at),
            issued_before: entry.issued_before,
            owner: Some(self.owner),
        }
    }
}

/// What is to be done to a page.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// Enter the entry, if no more than `room` are live then.
    Admit { entry: Entry, room: usize },
    /// Put the entry in the place of the owner's one of this mark, and let it cover that too.
    Replace { mark: Mark, entry: Entry, share: Share },
}

impl Revocations {
    /// Revokes, for every worker's next request. What has lapsed already is not entered. Where the same is revoked
    /// already, the longer lifetime and the later `issued_before` hold. What is over a subject's share is folded into
    /// one entry, which refuses all of its tokens that were issued up to the second of the newest that it stands for.
    ///
    /// # Errors
    ///
    /// [`RevokeError`]. After `Contended` or `Fault` the revocation may or may not be in force; asking again settles
    /// it.
    pub fn revoke(
        &mut self,
        cells: &impl Cells,
        revocable: Revocable<'_>,
        lifetime: Lifetime,
        authority: Authority<'_>,
        now: UnixNanos,
    ) -> Result<(), RevokeError> {
        let share = self.share(authority);
        let entry = Entry { owner: share.map(|share| share.owner), ..self.entry(revocable, lifetime) };
        if entry.has_lapsed(now) {
            return Ok(());
        }
        let of_every_issuer = match revocable {
            Revocable::Subject { issuer: Some(_), sub, .. } => Some(self.subject_mark(None, sub)),
            Revocable::Subject { issuer: None, .. } | Revocable::Token { .. } | Revocable::Jti(_) => None,
        };
        // Which page the entry belongs to is a question to all pages, so a page that turns out full needs another look
        // at all of them, and not another try at this one.
        for _ in 0..MAX_PAGES {
            self.refresh(cells)?;
            // What covers it is announced once more, and takes no second entry.
            let covering = of_every_issuer.and_then(|mark| self.covering(mark, &entry, now));
            let entry = covering.unwrap_or(entry);
            let (page, step) = self.step(entry, share, authority, now).ok_or(RevokeError::Full)?;
            match take(cells, page, self.mirror.page_capacity(page), step, now)? {
                Ok(()) => {
                    self.announce(cells, page)?;
                    let (Step::Admit { entry, .. } | Step::Replace { entry, .. }) = step;
                    self.tell(&entry);
                    return Ok(());
                }
                // Others changed it and have not announced it yet.
                Err(entries) => self.mirror.adopt(page, entries, None),
            }
        }
        Err(RevokeError::Contended)
    }

    /// Makes the entry that names a revoked token or its `jti` last as long as this very token, whose issuer may have used
    /// an earlier one's `jti` again. To be called after [`Revocations::is_revoked`]; stores nothing where such an
    /// entry lasts as long already, or where there is none.
    ///
    /// # Errors
    ///
    /// As [`Revocations::revoke`]. What was revoked before still is.
    pub fn outlast(
        &mut self,
        cells: &impl Cells,
        marks: &Marks,
        issued_at: Option<UnixNanos>,
        lifetime: Lifetime,
        now: UnixNanos,
    ) -> Result<(), RevokeError> {
        let token = self.entry(Revocable::Token { marks, issued_at }, lifetime);
        let mut named = marks.names().flat_map(|mark| self.mirror.live_of(mark, now)).peekable();
        let Some((page, &Entry { mark, .. })) = named.peek().copied() else { return Ok(()) };
        if named
            .any(|(_, entry)| entry.ends_at >= token.ends_at && entry.issued_before >= token.issued_before)
        {
            return Ok(());
        }
        drop(named);
        let (capacity, longer) = (self.mirror.page_capacity(page), Entry { mark, ..token });
        let changed = change(cells, page, capacity, |entries| page::lengthen(entries, longer, now))?;
        // It is announced also where another worker was faster, which may not have come to announce it.
        if changed.is_ok() {
            self.announce(cells, page)?;
            self.tell(&longer);
        }
        Ok(())
    }

    fn share(&self, authority: Authority<'_>) -> Option<Share> {
        match authority {
            Authority::Holder | Authority::Owner { subject: None, .. } => None,
            Authority::Owner { issuer, subject: Some(subject), aging } => {
                let subject = self.subject_mark(issuer, subject);
                Some(Share { owner: subject.owner(), subject, aging })
            }
        }
    }

    /// The live entry of `mark`, of a subject at every issuer, if it refuses all that `entry`, of the subject at one, would.
    fn covering(&self, mark: Mark, entry: &Entry, now: UnixNanos) -> Option<Entry> {
        let mut live = self.mirror.live_of(mark, now).map(|(_, live)| *live);
        live.find(|live| live.ends_at >= entry.ends_at && live.issued_before >= entry.issued_before)
    }

    /// What is to be done to which page; `None`: there is no room within reach.
    fn step(
        &self,
        entry: Entry,
        share: Option<Share>,
        authority: Authority<'_>,
        now: UnixNanos,
    ) -> Option<(usize, Step)> {
        let reach = authority.reach();
        let admit = |page, entry| (page, Step::Admit { entry, room: self.mirror.room(page, reach) });
        let page_of = |mark| self.mirror.live_of(mark, now).next().map(|(page, _)| page);
        if let Some(page) = page_of(entry.mark) {
            return Some(admit(page, entry));
        }
        if let Some(share) = share
            && let Some((page, oldest)) = self.oldest_if_all_is_used(share.owner, now)
        {
            let entry = share.fold(&entry);
            return Some(match page_of(share.subject) {
                Some(page) => admit(page, entry),
                None => (page, Step::Replace { mark: oldest.mark, entry, share }),
            });
        }
        self.mirror.page_for(reach, now).map(|page| admit(page, entry))
    }

    /// The owner's entry that stands for the oldest tokens, and its page, if the owner holds all of a share.
    fn oldest_if_all_is_used(&self, owner: OwnerMark, now: UnixNanos) -> Option<(usize, &Entry)> {
        let share = authority::share(self.mirror.capacity());
        if !self.mirror.can_own(owner, share) {
            return None;
        }
        let owned = || self.mirror.owned(owner, now);
        if owned().take(share).count() < share {
            return None;
        }
        owned().min_by_key(|(_, entry)| entry.issued_before)
    }

    /// Makes every worker read `page` before its next request.
    pub(super) fn announce(&self, cells: &impl Cells, page: usize) -> Result<(), RevokeError> {
        let page_count = self.mirror.page_count();
        update(cells, CellId::RevocationDirectory, MAX_TRIES, |stored| {
            Ok(Change::Store(directory::moved(stored.as_deref(), page, page_count)?, ()))
        })?;
        match cells.store(CellId::RevocationStamp, b"", Expected::Anything)? {
            Stored::Done => Ok(()),
            Stored::Conflict => Err(RevokeError::Contended),
        }
    }

    fn entry(&self, revocable: Revocable<'_>, lifetime: Lifetime) -> Entry {
        let (mark, issued_before) = match revocable {
            Revocable::Token { marks, issued_at } => {
                (marks.token(), issued_at.map_or(0, |moment| moment.seconds().saturating_add(1)))
            }
            Revocable::Jti(jti) => (self.jti_mark(jti), u64::MAX),
            Revocable::Subject { issuer, sub, issued_before } => {
                (self.subject_mark(issuer, sub), issued_before)
            }
        };
        Entry { mark, ends_at: lifetime.ends_at(), issued_before, owner: None }
    }
}

/// Takes a step on a page of at most `capacity` entries; where that is not possible, what it holds.
fn take(
    cells: &impl Cells,
    page: usize,
    capacity: usize,
    step: Step,
    now: UnixNanos,
) -> Result<Result<(), Vec<Entry>>, RevokeError> {
    change(cells, page, capacity, |entries| match step {
        Step::Admit { entry, room } => page::admit(entries, entry, capacity, room, now),
        Step::Replace { mark, entry, share } => {
            let fold = |old: &Entry| {
                let mut both = entry;
                both.absorb(old);
                share.fold(&both)
            };
            page::replace(entries, mark, share.owner, fold, now)
        }
    })
}

/// Changes a page of at most `capacity` entries; where there is no room for the change, what it holds.
fn change(
    cells: &impl Cells,
    page: usize,
    capacity: usize,
    admission: impl Fn(&mut Vec<Entry>) -> Admission,
) -> Result<Result<(), Vec<Entry>>, RevokeError> {
    let changed = update(cells, page_cell(page)?, MAX_TRIES, |stored| {
        let mut entries = stored.map_or(Ok(Vec::new()), |bytes| page::decode(&bytes, capacity))?;
        Ok(match admission(&mut entries) {
            Admission::Entered => Change::Store(page::encode(&entries), Ok(())),
            Admission::Present => Change::Keep(Ok(())),
            Admission::Full => Change::Keep(Err(entries)),
        })
    })?;
    Ok(changed)
}
