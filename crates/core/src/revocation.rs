//! Revocation: is this genuine, living token nevertheless no longer wanted?
//!
//! What is matched is what was signed: a token's identity ([`Identity`]), its `jti` and its `sub`, each as a keyed digest, so
//! that neither another spelling of the same token nor a second form of its signature dodges, and nobody can choose where
//! an entry lands. Tokens and JSON are read
//! elsewhere ([`request`] reads the endpoint's body, [`denied`] holds the configured lists).
//!
//! # How it is shared
//!
//! All workers share a fixed set of cells; each keeps a copy of them and learns of a change by one comparison:
//!
//! | cell | holds | |
//! | --- | --- | --- |
//! | `ag1/rgeo` | capacity, u64 | stored once by the first worker of the process; later ones adopt it |
//! | `ag1/r/<hex>` | a page of up to 256 entries | changed by compare-and-swap |
//! | `ag1/rdir` | a u32 generation for each page | moved after the page |
//! | `ag1/rstamp` | nothing | stored anew after the directory: its version is the stamp |
//!
//! A reader looks at the stamp on each request and does no more while it stays. When it moved, the reader loads the
//! directory and then the pages whose generation moved. It reads in the order stamp, directory, page and a writer
//! stores in the order page, directory, stamp, so what a reader holds is never older than the stamp that it
//! remembers: a revocation is in force for every worker's next request when [`Revocations::revoke`] returns.
//!
//! A revocation that is there already is announced once more rather than taken as done: the worker that entered it
//! may not have come to announce it yet. Two workers that enter one mark at once may use two places; both count.
//!
//! An entry is never dropped while it is live. The place of a lapsed one is taken only by a writer, and one that
//! lapsed within the last hour only when no other place is left, so a clock that ran ahead for a moment loses nothing.
//!
//! Shared memory: 32 bytes for each entry, up to the capacity; each worker's copy: at most 48.

use crate::cells::{CellFault, Cells, Expected, Loaded, Stored, Version};
use crate::seed::Seed;
use crate::time::UnixNanos;
use crate::token::Identity;

pub mod denied;
mod page;
pub mod request;
mod table;

use page::{Admission, Entry};
use table::Table;

/// The most entries that a table can be made to hold.
pub const MAX_CAPACITY: u32 = 16_777_216;

/// Tries at one compare-and-swap before a writer gives up. Every lost one is another worker's success.
const MAX_TRIES: usize = 64;

const GEOMETRY_CELL: &str = "ag1/rgeo";
const DIRECTORY_CELL: &str = "ag1/rdir";
const STAMP_CELL: &str = "ag1/rstamp";

/// The keyed digest under which a revocation is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark(u128);

impl Mark {
    fn from_halves(low: u64, high: u64) -> Self {
        Self(u128::from(low) | (u128::from(high) << 64))
    }
}

/// What a token can be revoked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    token: Mark,
    jti: Option<Mark>,
    subject: Option<Mark>,
}

/// What is to be revoked.
#[derive(Debug, Clone, Copy)]
pub enum Target<'a> {
    /// This very token, by its identity.
    Token(&'a Marks),
    /// Every token with this `jti`, whoever issued it.
    Jti(&'a str),
    /// Every token of this `sub` that was issued before a moment, or that does not say when it was.
    Subject {
        /// The claim's value.
        sub: &'a str,
        /// Unix seconds.
        issued_before: u64,
    },
}

/// How long a revocation has to last.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lifetime {
    /// Up to this Unix second: from its first nanosecond on, the entry is void.
    UntilSecond(u64),
    /// As long as the process.
    ForGood,
}

impl Lifetime {
    /// The shortest lifetime that leaves no gap to a token's own end: `expires_at` and the clock skew in seconds,
    /// rounded up. For good where that is past what [`UnixNanos`] can say.
    pub fn outliving(expires_at: UnixNanos, clock_skew_seconds: u64) -> Self {
        match expires_at.plus_seconds(clock_skew_seconds).nanos() {
            u64::MAX => Self::ForGood,
            nanos => Self::UntilSecond(nanos.div_ceil(UnixNanos::from_seconds(1).nanos())),
        }
    }

    fn ends_at(self) -> u64 {
        match self {
            Self::UntilSecond(second) => second,
            Self::ForGood => u64::MAX,
        }
    }
}

/// Why a revocation did not come about. Whatever was revoked before still is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RevokeError {
    /// Every place holds a live entry.
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

/// All that was revoked up to some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision(Option<Version>);

/// One worker's view of all revocations of the process.
#[derive(Debug)]
pub struct Revocations {
    seed: Seed,
    table: Table,
    /// The stamp's version before the copy was last read; `None`: nothing was ever revoked.
    stamp: Option<Version>,
}

impl Revocations {
    /// An empty view; [`Revocations::refresh`] fills it. The first call of a process fixes the capacity, cut to
    /// 1..=[`MAX_CAPACITY`]; a later one keeps what is fixed. Fails where the fixed capacity cannot be read.
    pub fn open(cells: &impl Cells, seed: Seed, capacity: u32) -> Result<Self, CellFault> {
        let wanted = u64::from(capacity.clamp(1, MAX_CAPACITY));
        let fixed = match cells.store(GEOMETRY_CELL, &wanted.to_le_bytes(), Expected::Absent)? {
            Stored::Done => wanted,
            Stored::Conflict => {
                let stored = cells.load(GEOMETRY_CELL)?.ok_or(CellFault)?;
                u64::from_le_bytes(stored.bytes.try_into().map_err(|_| CellFault)?)
            }
        };
        if fixed == 0 || fixed > u64::from(MAX_CAPACITY) {
            return Err(CellFault);
        }
        let capacity = usize::try_from(fixed).map_err(|_| CellFault)?;
        Ok(Self { seed, table: Table::new(capacity), stamp: None })
    }

    /// The number of entries that the process can hold, as the first worker fixed it.
    pub fn capacity(&self) -> usize {
        self.table.capacity()
    }

    /// The marks of a token that verified: up to three keyed digests of short texts.
    pub fn marks(&self, identity: &Identity<'_>, subject: Option<&str>) -> Marks {
        let jti = match identity {
            Identity::Numbered { jti, .. } => Some(self.jti_mark(jti)),
            Identity::Signed(_) => None,
        };
        Marks {
            token: Mark(identity.digest(&self.seed)),
            jti,
            subject: subject.map(|subject| self.subject_mark(subject)),
        }
    }

    /// Brings the view up to date: one load of an empty cell while nothing was revoked since the last time. To be
    /// called before each [`Revocations::is_revoked`]; after a fault the view must not be relied on.
    pub fn refresh(&mut self, cells: &impl Cells) -> Result<(), CellFault> {
        // INVARIANT: stamp, then directory, then pages; `stamp` is remembered only once all pages were read.
        let stamp = cells.load(STAMP_CELL)?.map(|loaded| loaded.version);
        if stamp == self.stamp {
            return Ok(());
        }
        let directory = cells.load(DIRECTORY_CELL)?.ok_or(CellFault)?;
        for (page, generation) in
            decode_directory(&directory, self.table.page_count())?.into_iter().enumerate()
        {
            if generation != self.table.generation(page) {
                let loaded = cells.load(&page_cell(page))?.ok_or(CellFault)?;
                let entries = page::decode(&loaded.bytes, self.table.places(page))?;
                self.table.adopt(page, entries, Some(generation));
            }
        }
        self.stamp = stamp;
        Ok(())
    }

    /// What this view has been brought up to. A token that is not among what was revoked is not among it later either:
    /// entries lapse, and do not begin.
    pub fn revision(&self) -> Revision {
        Revision(self.stamp)
    }

    /// Whether no entry was ever seen: no token needs to be looked for.
    pub fn are_none(&self) -> bool {
        self.table.has_no_page()
    }

    /// Whether a token is revoked at `now`. `issued_at` is its `iat`, which only a subject's revocation looks at.
    pub fn is_revoked(&self, marks: &Marks, issued_at: Option<UnixNanos>, now: UnixNanos) -> bool {
        [Some(marks.token), marks.jti, marks.subject]
            .into_iter()
            .flatten()
            .any(|mark| self.table.any_live(mark, now, |entry| entry.concerns(issued_at)))
    }

    /// Revokes, for every worker's next request. What has lapsed already takes no place. Where the mark is revoked
    /// already, the longer lifetime and the later `issued_before` hold.
    ///
    /// After `Contended` or `Fault` the revocation may or may not be in force; asking again settles it.
    pub fn revoke(
        &mut self,
        cells: &impl Cells,
        target: Target<'_>,
        lifetime: Lifetime,
        now: UnixNanos,
    ) -> Result<(), RevokeError> {
        let entry = self.entry(target, lifetime);
        if entry.has_lapsed(now) {
            return Ok(());
        }
        for _ in 0..MAX_TRIES {
            self.refresh(cells)?;
            let page = self.table.page_for(entry.mark, now).ok_or(RevokeError::Full)?;
            let loaded = cells.load(&page_cell(page))?;
            let places = self.table.places(page);
            let mut entries = match &loaded {
                Some(stored) => page::decode(&stored.bytes, places)?,
                None => Vec::new(),
            };
            match page::admit(&mut entries, entry, places, now) {
                Admission::NoPlace => {
                    // Others filled it and have not announced it yet: look again, knowing that.
                    self.table.adopt(page, entries, None);
                    continue;
                }
                Admission::Entered => {
                    if cells.store(&page_cell(page), &page::encode(&entries), expected(loaded.as_ref()))?
                        == Stored::Conflict
                    {
                        continue;
                    }
                }
                Admission::Present => {}
            }
            return self.announce(cells, page);
        }
        Err(RevokeError::Contended)
    }

    /// Number of entries live at `now`, as of the last refresh. Looks at every entry.
    pub fn live(&self, now: UnixNanos) -> usize {
        self.table.live(now)
    }

    /// Makes every worker read `page` before its next request.
    fn announce(&self, cells: &impl Cells, page: usize) -> Result<(), RevokeError> {
        for _ in 0..MAX_TRIES {
            let loaded = cells.load(DIRECTORY_CELL)?;
            let mut generations = match &loaded {
                Some(stored) => decode_directory(stored, self.table.page_count())?,
                None => Vec::new(),
            };
            if generations.len() <= page {
                generations.resize(page.saturating_add(1), 0);
            }
            if let Some(generation) = generations.get_mut(page) {
                *generation = generation.wrapping_add(1).max(1);
            }
            let bytes: Vec<u8> = generations.into_iter().flat_map(u32::to_le_bytes).collect();
            if cells.store(DIRECTORY_CELL, &bytes, expected(loaded.as_ref()))? == Stored::Done {
                return match cells.store(STAMP_CELL, b"", Expected::Anything)? {
                    Stored::Done => Ok(()),
                    Stored::Conflict => Err(RevokeError::Contended),
                };
            }
        }
        Err(RevokeError::Contended)
    }

    fn entry(&self, target: Target<'_>, lifetime: Lifetime) -> Entry {
        let (mark, issued_before) = match target {
            Target::Token(marks) => (marks.token, u64::MAX),
            Target::Jti(jti) => (self.jti_mark(jti), u64::MAX),
            Target::Subject { sub, issued_before } => (self.subject_mark(sub), issued_before),
        };
        Entry { mark, ends_at: lifetime.ends_at(), issued_before }
    }

    fn jti_mark(&self, jti: &str) -> Mark {
        Mark(self.seed.digest("revocation/jti", [jti.as_bytes()]))
    }

    fn subject_mark(&self, sub: &str) -> Mark {
        Mark(self.seed.digest("revocation/sub", [sub.as_bytes()]))
    }
}

fn page_cell(page: usize) -> String {
    format!("ag1/r/{page:x}")
}

fn expected(loaded: Option<&Loaded>) -> Expected {
    loaded.map_or(Expected::Absent, |loaded| Expected::Version(loaded.version))
}

/// The generations of the pages up to the last one ever stored; 0: that page was not.
fn decode_directory(loaded: &Loaded, page_count: usize) -> Result<Vec<u32>, CellFault> {
    let (words, loose) = loaded.bytes.as_chunks::<4>();
    if !loose.is_empty() || words.is_empty() || words.len() > page_count {
        return Err(CellFault);
    }
    Ok(words.iter().map(|word| u32::from_le_bytes(*word)).collect())
}

#[cfg(test)]
mod tests;
