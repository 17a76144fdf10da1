//! Revocation: is this genuine, living token nevertheless no longer wanted?
//!
//! What is matched is what was signed: a token's identity ([`TokenIdentity`]), its `jti` and its `sub`, each as a keyed digest, so
//! that neither another spelling of the same token nor a second form of its signature dodges, and nobody can choose where
//! an entry lands. Tokens and JSON are read
//! elsewhere ([`request`] reads the endpoint's body, [`denied`] holds the configured lists).
//!
//! # How it is shared
//!
//! All workers share a fixed set of cells; each keeps a mirror of them and learns of a change by one comparison:
//!
//! | cell | holds | |
//! | --- | --- | --- |
//! | `RevocationGeometry` | capacity, u64 | stored once by the first worker of the process; later ones adopt it |
//! | `RevocationPage` | a page of up to 256 entries | changed by compare-and-swap |
//! | `RevocationDirectory` | a u32 generation for each page | moved after the page |
//! | `RevocationStamp` | nothing | stored anew after the directory: its version is the stamp |
//!
//! A reader looks at the stamp on each request and does no more while it stays. When it moved, the reader loads the
//! directory and then the pages whose generation moved. It reads in the order stamp, directory, page and a writer
//! stores in the order page, directory, stamp, so what a reader holds is never older than the stamp that it
//! remembers: a revocation is in force for every worker's next request when [`Revocations::revoke`] returns.
//!
//! A revocation that is there already is announced once more rather than taken as done: the worker that entered it
//! may not have come to announce it yet. Two workers that enter one mark at once may enter it twice; both count.
//!
//! An entry is never dropped while it is live. A lapsed one is replaced only by a writer, and one that lapsed within
//! the last hour only when there is no other room, so a clock that ran ahead for a moment loses nothing.
//!
//! # How it is shared out
//!
//! A sixteenth of each page is the reserve: only holders of the endpoint's permissions may fill it. Of the rest, one
//! subject may hold a sixty-fourth of the capacity by its own revocations. What it revokes beyond that is folded into
//! its subject's entry. If there is none yet, that entry takes the place of the oldest one that it covers, in one store of one
//! page: every reader sees the one or the other. The count is taken from the mirror, so workers that enter one
//! subject's tokens at the same moment may each enter one too many.
//!
//! Shared memory: 40 bytes for each entry, up to the capacity; each worker's mirror: at most 56.
//!
//! - `revoke.rs`: how a revocation is entered and announced.
//! - `authority.rs`: on whose behalf, and so with how much room.
//! - `page.rs`, `directory.rs`: what the cells hold.
//! - `mirror.rs`, `index.rs`: a worker's copy, and how a mark is found in it.
//! - `lifetime.rs`: how long a revocation lasts.
//! - `share.rs`: what the Envoys of a fleet tell each other.

use std::num::NonZeroU64;

use crate::cells::{CellFault, CellId, Cells, MAX_TABLE_CAPACITY, Version, open_once};
use crate::fleet::{Names, Revoked};
use crate::seed::Seed;
use crate::time::UnixNanos;
use crate::token::TokenIdentity;

mod authority;
pub mod denied;
mod directory;
mod index;
mod lifetime;
mod mirror;
mod page;
pub mod request;
mod revoke;
mod share;

pub use authority::Authority;
pub use lifetime::{Aging, Lifetime};
pub(crate) use page::live_stored as live_in_page;
pub use revoke::{Revocable, RevokeError};
pub use share::SharedEntry;

use mirror::Mirror;

/// The keyed digest under which a revocation is kept, its low half first: a `u128` would be aligned to 16 bytes, and an
/// entry that holds one would take 48 bytes in place of 40.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Mark([u64; 2]);

impl Mark {
    fn new(digest: u128) -> Self {
        let half = |half: u128| u64::try_from(half & u128::from(u64::MAX)).unwrap_or_default();
        Self([half(digest), half(digest >> 64)])
    }

    fn digest(self) -> u128 {
        let Self([low, high]) = self;
        u128::from(low) | (u128::from(high) << 64)
    }

    /// The mark of whom an entry belongs to, if this is the mark of a subject.
    fn owner(self) -> OwnerMark {
        let Self([_, high]) = self;
        OwnerMark(NonZeroU64::new(high).unwrap_or(NonZeroU64::MIN))
    }
}

/// Whose own revocation an entry is: half of the keyed digest of the subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct OwnerMark(NonZeroU64);

/// What a token can be revoked by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Marks {
    /// As this process marks it.
    own: TokenMarks,
    /// As all Envoys of the fleet do.
    shared: Option<TokenMarks>,
}

/// What a token can be revoked by, under one key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct TokenMarks {
    token: Mark,
    jti: Option<Mark>,
    subject: Option<Mark>,
    /// The subject as one of its issuer, whose namesakes at other issuers are others.
    subject_of_issuer: Option<Mark>,
}

impl Marks {
    /// The mark under which this token is revoked.
    fn token(&self) -> Mark {
        self.shared.unwrap_or(self.own).token
    }

    /// The marks of entries that name this token or its `jti`.
    fn names(&self) -> impl Iterator<Item = Mark> {
        self.all().flat_map(|marks| [Some(marks.token), marks.jti]).flatten()
    }

    /// The marks of entries that name its subject.
    fn subjects(&self) -> impl Iterator<Item = Mark> {
        self.all().flat_map(|marks| [marks.subject, marks.subject_of_issuer]).flatten()
    }

    fn all(&self) -> impl Iterator<Item = TokenMarks> {
        [self.shared, Some(self.own)].into_iter().flatten()
    }
}

/// All that was revoked up to some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revision(Option<Version>);

/// One worker's view of all revocations of the process.
#[derive(Debug)]
pub struct Revocations {
    seed: Seed,
    mirror: Mirror,
    /// The stamp's version before the mirror was last read; `None`: nothing was ever revoked.
    stamp: Option<Version>,
    /// The names of the fleet, under which entries are made; without one, under the seed.
    names: Option<Names>,
    /// What was entered and the fleet has not been told yet.
    entered: Vec<SharedEntry>,
}

impl Revocations {
    /// An empty view; [`Revocations::refresh`] fills it. The first call of a process fixes the capacity, cut to
    /// 1..=[`MAX_TABLE_CAPACITY`]; a later one keeps what is fixed.
    ///
    /// # Errors
    ///
    /// [`CellFault`] if the host does not answer, or if the capacity that the process keeps cannot be one.
    pub fn open(cells: &impl Cells, seed: Seed, capacity: u32) -> Result<Self, CellFault> {
        let wanted = u64::from(capacity.clamp(1, MAX_TABLE_CAPACITY));
        let fixed = u64::from_le_bytes(open_once(cells, CellId::RevocationGeometry, wanted.to_le_bytes())?);
        if fixed == 0 || fixed > u64::from(MAX_TABLE_CAPACITY) {
            return Err(CellFault);
        }
        let capacity = usize::try_from(fixed).map_err(|_| CellFault)?;
        let mirror = Mirror::new(capacity);
        Ok(Self { seed, mirror, stamp: None, names: None, entered: Vec::new() })
    }

    /// The number of entries that the process can hold, as the first worker fixed it.
    pub fn capacity(&self) -> usize {
        self.mirror.capacity()
    }

    /// The marks of a token that verified: up to four keyed digests of short texts.
    pub fn marks(&self, identity: &TokenIdentity<'_>, issuer: Option<&str>, subject: Option<&str>) -> Marks {
        let marks = |names: Option<&Names>, token: u128| TokenMarks {
            token: match names {
                Some(names) => Mark::new(names.revoked(Revoked::Token(token))),
                None => Mark::new(token),
            },
            jti: match identity {
                TokenIdentity::Numbered { jti, .. } => Some(jti_mark(&self.seed, names, jti)),
                TokenIdentity::Signed(_) => None,
            },
            subject: subject.map(|subject| subject_mark(&self.seed, names, None, subject)),
            // Looked for even where there is one issuer now: there may have been several when it was entered.
            subject_of_issuer: subject
                .map(|subject| subject_mark(&self.seed, names, Some(issuer.unwrap_or_default()), subject)),
        };
        // What was entered before there was a fleet is looked for too.
        let shared = self.names.as_ref().map(|names| marks(Some(names), identity.digest(&names.seed())));
        Marks { own: marks(None, identity.digest(&self.seed)), shared }
    }

    /// Brings the view up to date: one load of an empty cell while nothing was revoked since the last time. To be
    /// called before each [`Revocations::is_revoked`].
    ///
    /// # Errors
    ///
    /// [`CellFault`] if the host does not answer, or if a cell holds what nobody can have stored. The view must not be
    /// relied on then.
    pub fn refresh(&mut self, cells: &impl Cells) -> Result<(), CellFault> {
        // INVARIANT: stamp, then directory, then pages; `stamp` is remembered only once all pages were read.
        let stamp = cells.load(CellId::RevocationStamp)?.map(|loaded| loaded.version);
        if stamp == self.stamp {
            return Ok(());
        }
        let stored = cells.load(CellId::RevocationDirectory)?.ok_or(CellFault)?;
        let generations = directory::decode(&stored.bytes, self.mirror.page_count())?;
        for (page, generation) in generations.into_iter().enumerate() {
            if generation != self.mirror.generation(page) {
                let loaded = cells.load(page_cell(page)?)?.ok_or(CellFault)?;
                let entries = page::decode(&loaded.bytes, self.mirror.page_capacity(page))?;
                self.mirror.adopt(page, entries, Some(generation));
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
        self.mirror.has_no_page()
    }

    /// Whether a token is revoked at `now`. `issued_at` is its `iat`, which only a subject's revocation looks at.
    pub fn is_revoked(&self, marks: &Marks, issued_at: Option<UnixNanos>, now: UnixNanos) -> bool {
        let is_named = || marks.names().any(|mark| self.mirror.live_of(mark, now).next().is_some());
        let is_subject_s = |subject| self.mirror.live_of(subject, now).any(|(_, it)| it.concerns(issued_at));
        is_named() || marks.subjects().any(is_subject_s)
    }

    /// The number of entries live at `now`, as of the last refresh. Looks at every entry.
    pub fn live(&self, now: UnixNanos) -> usize {
        self.mirror.live(now)
    }

    /// The number of pages that the capacity comes to.
    pub(crate) fn page_count(&self) -> u32 {
        u32::try_from(self.mirror.page_count()).unwrap_or(u32::MAX)
    }

    fn jti_mark(&self, jti: &str) -> Mark {
        jti_mark(&self.seed, self.names.as_ref(), jti)
    }

    fn subject_mark(&self, issuer: Option<&str>, sub: &str) -> Mark {
        subject_mark(&self.seed, self.names.as_ref(), issuer, sub)
    }
}

/// The mark of a `jti`, as the fleet marks it, or this process.
fn jti_mark(seed: &Seed, names: Option<&Names>, jti: &str) -> Mark {
    Mark::new(match names {
        Some(names) => names.revoked(Revoked::Jti(jti)),
        None => seed.digest("revocation/jti", [jti.as_bytes()]),
    })
}

/// The mark of a subject. `issuer`: the only one whose subject is meant, empty for tokens that name none; `None`: every
/// issuer's.
fn subject_mark(seed: &Seed, names: Option<&Names>, issuer: Option<&str>, sub: &str) -> Mark {
    Mark::new(match (names, issuer) {
        (Some(names), None) => names.revoked(Revoked::Subject(sub)),
        (Some(names), Some(issuer)) => names.revoked(Revoked::SubjectOfIssuer(issuer, sub)),
        (None, None) => seed.digest("revocation/sub", [sub.as_bytes()]),
        (None, Some(issuer)) => seed.digest("revocation/iss-sub", [issuer.as_bytes(), sub.as_bytes()]),
    })
}

fn page_cell(page: usize) -> Result<CellId, CellFault> {
    u32::try_from(page).map(CellId::RevocationPage).map_err(|_| CellFault)
}

#[cfg(test)]
mod tests;
