//! What does a link do so that all Envoys have the same revocations?
//!
//! It tells the store what its workers' requests have revoked, and, if it is the one of its process whose turn it is, reads what others
//! have. What was read is entered into the table of the process, where all its workers see it. Where the store has lost
//! something, or could not be told, all is read anew, and whoever reads then tells it what it does not have. How far that has
//! come stands in the record, so that it outlives the worker that does it.
//!
//! - `sharing/page.rs`: the commands for that, and the store's answers.
//! - `sharing/lacking.rs`: what the store lacks, part by part.

mod lacking;
mod page;

use super::record::{Record, View};
use super::resp::{Commands, Item, Malformed, Reader};
use super::rule::{FleetRule, SharedRevocations};
use super::script::{KnownScripts, REVOKE, REVOKED, is_unknown};
use crate::cells::{CellFault, Cells, Change, update};
use crate::revocation::{Revocations, SharedEntry};
use crate::seed::Seed;
use crate::time::UnixNanos;
use lacking::Lacking;
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
    /// The number of the last entry that is told by whoever reads all anew, should this link not come to it.
    covered: u64,
    /// Whether there are entries for which there was no room.
    overflowed: bool,
    lacking: Lacking,
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
            covered: 0,
            overflowed: false,
            lacking: Lacking::default(),
        }
    }

    /// Reads what the workers of this process know. Costs one load.
    pub(super) fn refresh(&mut self, cells: &impl Cells, now: UnixNanos) -> Result<(), CellFault> {
        self.opened.get_or_insert(now);
        let loaded = cells.load(self.record.cell())?;
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
            self.overflowed = true;
            return None;
        }
        self.waiting.extend_from_slice(entries);
        Some((self.newest(), self.failures))
    }

    /// The number of the last entry that waits.
    fn newest(&self) -> u64 {
        self.told.wrapping_add(u64::try_from(self.waiting.len()).unwrap_or(0))
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
        // Of a call that never ended, the entries are told as any others.
        let _ = self.lacking.end();
        if self.overflowed {
            self.overflowed = self.change(cells, &|record| record.owe(now)).is_err();
        }
        let mut reads = false;
        if self.refresh(cells, now).is_ok() && self.record.is_due(rule, shared, now) {
            let worker = self.worker;
            let begun = self.change(cells, &|record| {
                record.is_due(rule, shared, now).then(|| record.begin(worker, rule, now))
            });
            reads = begun.unwrap_or(false);
        }
        if reads && self.waiting.is_empty() {
            self.waiting = self.lacking.take_part(&self.record, revocations, MOST_TOLD, now);
        }
        Work { tells: !self.waiting.is_empty(), reads }
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

    /// Reads what the store says: what it has brought, and why it refuses something.
    pub(super) fn read<'a>(
        &mut self,
        work: Work,
        reader: &mut Reader<'a>,
        scripts: &mut KnownScripts,
    ) -> Result<(Option<Brought>, Option<&'a [u8]>), Malformed> {
        let mut refused = None;
        if work.tells {
            match reader.numbers::<2>()? {
                Ok(_) => {
                    scripts.add(REVOKE);
                    let told = std::mem::take(&mut self.telling);
                    self.drop_first(told);
                    self.lacking.is_told();
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
        Ok((brought, refused))
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
        let part = self.lacking.end();
        let untold = std::mem::take(&mut self.telling);
        if untold > 0 && part.is_some() {
            // The record has that it is still to be told.
            self.drop_first(untold);
        } else if untold > 0 {
            self.failures = self.failures.wrapping_add(1);
            let newest = self.newest();
            if self.covered != newest && self.change(cells, &|record| record.owe(now)).is_ok() {
                self.covered = newest;
            }
        }
        if !work.reads {
            return None;
        }
        let worker = self.worker;
        let of_mine = |record: Record| {
            let record = record.is_of(worker).then_some(record)?;
            Some(part.map_or(record, |part| part.told(record)))
        };
        let Some(Brought { epoch, newest, cursor, entries, is_last }) = brought else {
            let _ = self.change(cells, &|record| Some(of_mine(record)?.fail(shared, now)));
            return None;
        };
        if self.record.has_lost(epoch, newest) {
            let (jitter, is_another) = (self.jitter(now), self.record.is_of_another(epoch));
            let reset = |record: Record| record.is_of(worker).then(|| record.reset(epoch, jitter, now));
            return (self.change(cells, &reset) == Ok(true)).then_some((epoch, is_another));
        }
        self.lacking.read(&self.record, &entries);
        // What could not be entered is read again, and a store that takes nothing is not asked again at once.
        let is_entered = revocations.adopt(cells, &entries, now).is_ok();
        let _ = self.change(cells, &|record| {
            let record = of_mine(record)?;
            let read = if is_entered { record.proceed(epoch, cursor, is_last, shared, now) } else { record };
            Some(if is_entered && untold == 0 { read } else { read.fail(shared, now) })
        });
        None
    }

    /// Drops the first entries that wait, which need not be told, or not by this link.
    fn drop_first(&mut self, entries: usize) {
        let dropped = self.waiting.drain(..entries.min(self.waiting.len())).len();
        self.told = self.told.wrapping_add(u64::try_from(dropped).unwrap_or(0));
    }

    /// Notes the number of the store's start.
    pub(super) fn started(&mut self, run: u64, cells: &impl Cells, now: UnixNanos) {
        let jitter = self.jitter(now);
        let _ = self.change(cells, &|record| record.started(run, jitter, now));
    }

    /// Changes the record. False if `change` says that there is nothing to change. Not generic in it: each copy would be a
    /// kilobyte of the module.
    fn change(
        &mut self,
        cells: &impl Cells,
        change: &dyn Fn(Record) -> Option<Record>,
    ) -> Result<bool, CellFault> {
        let source = self.record.source();
        let changed = update(cells, self.record.cell(), TRIES, |content| {
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
