//! What does a link do so that all Envoys have the same revocations?
//!
//! It tells the store what its workers' requests have revoked, and, if it is the one of its process whose turn it is, reads what others
//! have. What was read is entered into the table of the process, where all its workers see it. Where the store has lost
//! something, whoever reads next tells it what it does not have.
//!
//! - `sharing/page.rs`: the commands for that, and the store's answers.

mod page;

use super::record::{Record, View};
use super::resp::{Commands, Item, Malformed, Reader};
use super::rule::{FleetRule, SharedRevocations};
use super::script::{KnownScripts, REVOKE, REVOKED, is_unknown};
use super::seen::Seen;
use crate::cells::{CellFault, CellId, Cells, Change, update};
use crate::revocation::{Revocations, SharedEntry};
use crate::seed::Seed;
use crate::time::UnixNanos;
use page::write_read;
pub(super) use page::{Brought, write_told};

/// Entries that one call tells.
const MOST_TOLD: usize = 256;
/// Entries that wait to be told, at most.
const MOST_WAITING: usize = 4096;
const TRIES: u32 = 16;

/// One link's part in sharing revocations.
#[derive(Debug)]
pub(super) struct Sharing {
    record: Record,
    worker: u64,
    seed: Seed,
    opened: Option<UnixNanos>,
    /// What is to be told, the oldest first, and how much of it is on its way.
    waiting: Vec<SharedEntry>,
    telling: usize,
    /// How many have been told and how often telling them has failed; both wrap.
    told: u64,
    failures: u32,
    /// While all is read anew: the names that the store has. Later: where to go on in telling it the others.
    seen: Seen,
    republished: Option<usize>,
}

/// What a call does for revocations.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Work {
    tells: bool,
    reads: bool,
}

impl Work {
    /// Whether there is nothing to do.
    pub(super) fn is_none(self) -> bool {
        !self.tells && !self.reads
    }
}

impl Sharing {
    pub(super) fn new(source: u128, seed: Seed) -> Self {
        let [a, b, c, d, e, f, g, h, ..] = seed.digest("fleet/reader", []).to_le_bytes();
        Self {
            record: Record::new(source),
            worker: u64::from_le_bytes([a, b, c, d, e, f, g, h]).max(1),
            seed,
            opened: None,
            waiting: Vec::new(),
            telling: 0,
            told: 0,
            failures: 0,
            seen: Seen::default(),
            republished: None,
        }
    }

    /// Reads what the workers of this process know. Costs one load.
    pub(super) fn refresh(&mut self, cells: &impl Cells, now: UnixNanos) -> Result<(), CellFault> {
        self.opened.get_or_insert(now);
        let loaded = cells.load(CellId::FleetRevocations)?;
        self.record = Record::read(loaded.map(|loaded| loaded.bytes).as_deref(), self.record.source())?;
        Ok(())
    }

    /// What is known of the fleet's revocations, as of the last refresh.
    pub(super) fn view(&self) -> View {
        View { record: self.record, opened: self.opened }
    }

    /// Has the store be told. Returns the numbers for [`Self::is_told`]; `None` if there is no room.
    pub(super) fn tell(&mut self, entries: &[SharedEntry]) -> Option<(u64, u32)> {
        if self.waiting.len().saturating_add(entries.len()) > MOST_WAITING {
            return None;
        }
        self.waiting.extend_from_slice(entries);
        let waiting = u64::try_from(self.waiting.len()).unwrap_or(u64::MAX);
        Some((self.told.wrapping_add(waiting), self.failures))
    }

    /// Whether the store was told; `None` if it is not known yet.
    pub(super) fn is_told(&self, (number, failures): (u64, u32)) -> Option<bool> {
        if self.told.wrapping_sub(number) < u64::MAX / 2 {
            return Some(true);
        }
        (self.failures != failures).then_some(false)
    }

    /// What there is to do now, as far as no other link does it. The call must be sent.
    pub(super) fn begin(
        &mut self,
        rule: &FleetRule,
        shared: &SharedRevocations,
        revocations: &Revocations,
        cells: &impl Cells,
        now: UnixNanos,
    ) -> Work {
        self.republish(revocations, now);
        let mut work = Work { tells: !self.waiting.is_empty(), reads: false };
        if self.refresh(cells, now).is_ok() && self.record.is_due(rule, shared, now) {
            let worker = self.worker;
            work.reads = self
                .change(cells, |record| {
                    record.is_due(rule, shared, now).then(|| record.begin(worker, rule, now))
                })
                .unwrap_or(false);
        }
        work
    }

    /// Writes the commands of this work. `fresh`: an epoch, should the store have none.
    pub(super) fn write(
        &mut self,
        work: Work,
        rule: &FleetRule,
        fresh: u64,
        scripts: KnownScripts,
        commands: &mut Commands,
    ) {
        if work.tells {
            self.telling = self.waiting.len().min(MOST_TOLD);
            let told = self.waiting.iter().take(self.telling);
            write_told(told, &rule.names, fresh, scripts.has(REVOKE), commands);
        }
        if work.reads {
            write_read(self.record.cursor, &rule.names, fresh, scripts.has(REVOKED), commands);
        }
    }

    /// Reads what the store says. The outer error is of the reply, the inner one of the store; what was read before the
    /// latter is kept.
    pub(super) fn read<'a>(
        &mut self,
        work: Work,
        reader: &mut Reader<'a>,
        scripts: &mut KnownScripts,
    ) -> Result<Result<Option<Brought>, &'a [u8]>, Malformed> {
        let mut refused = None;
        if work.tells {
            match reader.numbers::<2>()? {
                Ok(_) => {
                    scripts.add(REVOKE);
                    let told = std::mem::take(&mut self.telling);
                    self.told = self.told.wrapping_add(u64::try_from(told).unwrap_or(0));
                    self.waiting.drain(..told.min(self.waiting.len()));
                }
                Err(error) if is_unknown(error) => {
                    // Told with the next call.
                    self.telling = 0;
                    scripts.remove(REVOKE);
                }
                Err(error) => refused = Some(error),
            }
        }
        let mut brought = None;
        if work.reads {
            match reader.next()?.ok_or(Malformed)? {
                Item::Array(length) => {
                    scripts.add(REVOKED);
                    brought = Some(Brought::read(length, self.record.cursor, reader)?);
                }
                Item::Error(error) if is_unknown(error) => scripts.remove(REVOKED),
                Item::Error(error) => refused = Some(error),
                Item::Status(_) | Item::Integer(_) | Item::Bulk(_) | Item::Null => return Err(Malformed),
            }
        }
        Ok(refused.map_or(Ok(brought), Err))
    }

    /// Ends a call that has done `work`. `brought`: what was read; `None` if nothing was. The store's epoch if it has lost
    /// something, and whether it is another one.
    pub(super) fn end(
        &mut self,
        work: Work,
        brought: Option<Brought>,
        shared: &SharedRevocations,
        revocations: &mut Revocations,
        cells: &impl Cells,
        now: UnixNanos,
    ) -> Option<(u64, bool)> {
        if work.tells && std::mem::take(&mut self.telling) > 0 {
            self.failures = self.failures.wrapping_add(1);
        }
        if !work.reads {
            return None;
        }
        let worker = self.worker;
        let Some(Brought { epoch, newest, cursor, entries, is_last }) = brought else {
            let _ = self.change(cells, |record| record.is_of(worker).then(|| record.fail(shared, now)));
            return None;
        };
        if self.record.has_lost(epoch, newest) {
            let (jitter, is_another) = (self.jitter(now), self.record.is_of_another(epoch));
            self.seen = Seen::default();
            let reset = |record: Record| record.is_of(worker).then(|| record.reset(epoch, jitter, now));
            return (self.change(cells, reset) == Ok(true)).then_some((epoch, is_another));
        }
        let republishes = self.record.republishes;
        if republishes {
            entries.iter().for_each(|entry| self.seen.add(entry.name));
        }
        // What could not be entered is read again.
        let is_entered = revocations.adopt(cells, &entries, now).is_ok();
        let changed = self.change(cells, |record| {
            record.is_of(worker).then(|| match is_entered {
                true => record.proceed(epoch, cursor, is_last, shared, now),
                false => record.fail(shared, now),
            })
        });
        if changed == Ok(true) && is_entered && is_last && republishes {
            self.republished = Some(0);
        }
        None
    }

    /// Notes the number of the store's start.
    pub(super) fn started(&mut self, run: u64, cells: &impl Cells, now: UnixNanos) {
        let jitter = self.jitter(now);
        let _ = self.change(cells, |record| record.started(run, jitter, now));
    }

    /// Goes on telling the store what it has lost, as long as there is room.
    fn republish(&mut self, revocations: &Revocations, now: UnixNanos) {
        let Some(from) = self.republished.filter(|_| self.waiting.is_empty()) else { return };
        let entries = revocations.live_entries(from, MOST_TOLD, now);
        self.republished = Some(from.saturating_add(entries.len())).filter(|_| !entries.is_empty());
        if self.republished.is_none() {
            self.seen = Seen::default();
        }
        self.waiting.extend(entries.iter().filter(|entry| !self.seen.has(entry.name)));
    }

    /// Changes the record. False if `change` says that there is nothing to change.
    fn change(
        &mut self,
        cells: &impl Cells,
        change: impl Fn(Record) -> Option<Record>,
    ) -> Result<bool, CellFault> {
        let source = self.record.source();
        let changed = update(cells, CellId::FleetRevocations, TRIES, |content| {
            let record = Record::read(content.as_deref(), source)?;
            Ok::<_, CellFault>(match change(record) {
                Some(changed) => Change::Store(changed.write(), Some(changed)),
                None => Change::Keep(None),
            })
        });
        match changed {
            Ok(Some(record)) => {
                self.record = record;
                Ok(true)
            }
            Ok(None) => Ok(false),
            Err(_) => Err(CellFault),
        }
    }

    fn jitter(&self, now: UnixNanos) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] =
            self.seed.digest("fleet/jitter", [&now.nanos().to_le_bytes()[..]]).to_le_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}
