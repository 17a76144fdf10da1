//! How does a revocation come into force for all workers?
//!
//! It is entered into a page, and then announced: the page's generation moves in the directory, and the stamp after it.

use super::page::{self, Admission, Entry};
use super::{Lifetime, Marks, Revocations, directory, page_cell};
use crate::cells::{CellFault, CellId, Cells, Change, Expected, Stored, UpdateError, update};
use crate::time::UnixNanos;

/// Tries at one compare-and-swap before a writer gives up. Every lost one is another worker's success.
pub(super) const MAX_TRIES: u32 = 64;

/// Pages that are tried before a writer gives up. Every one that turns out full was filled by others in that moment.
const MAX_PAGES: u32 = 64;

/// What can be revoked.
#[derive(Debug, Clone, Copy)]
pub enum Revocable<'a> {
    /// This very token, by its `jti` and `sub`, or by its verified MAC where it has no `jti`.
    Token(&'a Marks),
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

impl Revocations {
    /// Revokes, for every worker's next request. What has lapsed already is not entered. Where the same is revoked
    /// already, the longer lifetime and the later `issued_before` hold.
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
        now: UnixNanos,
    ) -> Result<(), RevokeError> {
        let entry = self.entry(revocable, lifetime);
        if entry.has_lapsed(now) {
            return Ok(());
        }
        // Which page the entry belongs to is a question to all pages, so a page that turns out full needs another look
        // at all of them, and not another try at this one.
        for _ in 0..MAX_PAGES {
            self.refresh(cells)?;
            let page = self.mirror.page_for(entry.mark, now).ok_or(RevokeError::Full)?;
            match enter(cells, page, self.mirror.page_capacity(page), entry, now)? {
                Ok(()) => return self.announce(cells, page),
                // Others filled it and have not announced it yet.
                Err(entries) => self.mirror.adopt(page, entries, None),
            }
        }
        Err(RevokeError::Contended)
    }

    /// Makes every worker read `page` before its next request.
    fn announce(&self, cells: &impl Cells, page: usize) -> Result<(), RevokeError> {
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
            Revocable::Token(marks) => (marks.token, u64::MAX),
            Revocable::Jti(jti) => (self.jti_mark(jti), u64::MAX),
            Revocable::Subject { issuer, sub, issued_before } => {
                (self.subject_mark(issuer, sub), issued_before)
            }
        };
        Entry { mark, ends_at: lifetime.ends_at(), issued_before }
    }
}

/// Enters `entry` into a page of at most `capacity` entries; where it is full, what it holds.
fn enter(
    cells: &impl Cells,
    page: usize,
    capacity: usize,
    entry: Entry,
    now: UnixNanos,
) -> Result<Result<(), Vec<Entry>>, RevokeError> {
    let entered = update(cells, page_cell(page)?, MAX_TRIES, |stored| {
        let mut entries = stored.map_or(Ok(Vec::new()), |bytes| page::decode(&bytes, capacity))?;
        Ok(match page::admit(&mut entries, entry, capacity, now) {
            Admission::Entered => Change::Store(page::encode(&entries), Ok(())),
            Admission::Present => Change::Keep(Ok(())),
            Admission::Full => Change::Keep(Err(entries)),
        })
    })?;
    Ok(entered)
}
