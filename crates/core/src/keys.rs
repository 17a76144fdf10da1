//! Which keys does an issuer have at present?
//!
//! Key sets are fetched by one worker of the process at a time, and published in shared cells, from which all others read
//! them before their next token. A fetch that fails leaves the last set in force. Nothing here decides about a token
//! ([`crate::token`]), and nothing sends a request: what is to be fetched is returned, and how it ended is told.
//!
//! - `record.rs`: what the process knows of one set, and when it is fetched.
//! - `fetch.rs`: what is fetched, and what the answer brings.

mod fetch;
mod record;

use std::sync::Arc;

pub use fetch::{Ended, Fetch, FetchOutcome, Response};
use record::Record;

use crate::cells::{CellFault, CellId, Cells, Change, Expected, UpdateError, Version, update};
use crate::index::KeySetIndex;
use crate::seed::Seed;
use crate::time::UnixNanos;
use crate::token::current::CurrentSets;
use crate::token::key_set::KeySet;
use crate::token::key_set::rule::{KeySource, RemoteSet};
use crate::token::keys::KeyRing;

/// How often a change of a record is tried. Each lost try is another worker's success.
const TRIES: u32 = 16;

/// The key sets as one worker under one configuration knows them.
#[derive(Debug)]
pub struct KeySets {
    seed: Seed,
    worker: u64,
    /// The stamp up to which the records have been read.
    stamp: Option<Version>,
    /// The records of sets that are fetched.
    remote: Vec<Remote>,
    current: CurrentSets,
}

/// What a change makes of a cell's content: the record, and what the caller wants to hear of it; `None`: nothing.
type Changed = Result<Option<(Record, bool)>, CellFault>;

/// A set that is fetched.
#[derive(Debug)]
struct Remote {
    index: KeySetIndex,
    cell: CellId,
    record: Record,
}

impl KeySets {
    /// The sets of `ring`, with what the process knows of them. `random`: bytes that no other worker has.
    pub fn open(ring: &KeyRing, seed: Seed, random: [u8; 16]) -> Self {
        let remote = ring.sets().iter().enumerate().filter_map(|(index, rule)| {
            let KeySource::Remote(remote) = rule.source() else { return None };
            let bits = rule.algorithms().bits().to_le_bytes();
            let parts =
                [remote.cluster.as_bytes(), remote.authority.as_bytes(), remote.path.as_bytes(), &bits];
            let source = seed.digest("key_set/source", parts);
            let (cell, record) = (CellId::of_key_set(source), Record::new(source));
            Some(Remote { index: KeySetIndex::new(index), cell, record })
        });
        let [worker, _] = halves(Seed::from_bytes(random).digest("key_set/worker", []));
        Self { seed, worker, stamp: None, remote: remote.collect(), current: CurrentSets::configured(ring) }
    }

    /// The sets in force.
    pub fn current(&self) -> &CurrentSets {
        &self.current
    }

    /// Puts a set in force for good.
    pub(crate) fn put(&mut self, index: KeySetIndex, set: Arc<KeySet>) {
        self.current.put(index, set, UnixNanos::from_nanos(u64::MAX));
    }

    /// Reads what other workers have published since the last time. Costs one load while nothing has changed, and nothing
    /// where no set is fetched.
    ///
    /// # Errors
    ///
    /// [`CellFault`] if the host does not answer, or if a cell was not written by api-guard.
    pub fn refresh(&mut self, ring: &KeyRing, cells: &impl Cells) -> Result<(), CellFault> {
        if self.remote.is_empty() {
            return Ok(());
        }
        let stamp = match cells.load(CellId::KeySetStamp)? {
            Some(loaded) => loaded.version,
            None => {
                let _ = cells.store(CellId::KeySetStamp, &[], Expected::Absent)?;
                cells.load(CellId::KeySetStamp)?.ok_or(CellFault)?.version
            }
        };
        if self.stamp == Some(stamp) {
            return Ok(());
        }
        for index in 0..self.remote.len() {
            self.reload(ring, index, cells)?;
        }
        self.stamp = Some(stamp);
        Ok(())
    }

    /// Begins the fetches that are due, as far as no other worker has begun them. The host must send them now.
    pub fn begin<'r>(&mut self, ring: &'r KeyRing, cells: &impl Cells, now: UnixNanos) -> Vec<Fetch<'r>> {
        let mut fetches = Vec::new();
        for at in 0..self.remote.len() {
            let Some((remote, rule)) = self.remote(ring, at) else { continue };
            if !remote.record.is_due(rule, now) {
                continue;
            }
            let (set, source, worker) = (remote.index, remote.record.source, self.worker);
            let begun = self.change(ring, at, cells, &|content| {
                let begun = Record::read(content, source)?.begin(worker, rule, now);
                Ok(begun.map(|record| (record, true)))
            });
            // A worker that was faster has begun it; a fault shows again at the next request.
            if let Ok(Some(_)) = begun {
                fetches.push(Fetch {
                    set,
                    cluster: &rule.cluster,
                    path: &rule.path,
                    authority: &rule.authority,
                    timeout_milliseconds: rule.timeout_milliseconds,
                });
            }
        }
        fetches
    }

    /// Ends the fetch of a set that this worker has begun. `None` if it has lost its lease meanwhile, or if nothing could be
    /// stored: then another one begins when the lease has lapsed.
    pub fn end(
        &mut self,
        ring: &KeyRing,
        set: KeySetIndex,
        response: Response<'_>,
        cells: &impl Cells,
        now: UnixNanos,
    ) -> Option<Ended> {
        let at = self.remote.iter().position(|remote| remote.index == set)?;
        let accepted = ring.set(set)?.algorithms();
        let (judged, skipped) = fetch::judge(response, accepted);
        let published = judged.map(|set| set.write());
        let (remote, rule) = self.remote(ring, at)?;
        let (source, worker) = (remote.record.source, self.worker);
        let [jitter, _] = halves(self.seed.digest(
            "key_set/jitter",
            [&source.to_le_bytes()[..], &worker.to_le_bytes(), &now.nanos().to_le_bytes()],
        ));
        let ended = self.change(ring, at, cells, &|content| {
            let before = Record::read(content, source)?;
            let (outcome, keys) = (before.outcome, before.keys.clone());
            let was_in_force = before.in_force_until(rule).is_some_and(|until| now < until);
            Ok(before.end(worker, published.clone(), rule, jitter, now).map(|after| {
                let is_in_force = after.in_force_until(rule).is_some_and(|until| now < until);
                let is_news = after.outcome != outcome || after.keys != keys || is_in_force != was_in_force;
                (after, is_news)
            }))
        });
        let is_news = ended.ok()??;
        let keys = self.current.set(set, now).map_or(0, |set| set.keys().len());
        let outcome = published.err().unwrap_or(FetchOutcome::Ok);
        let status = match response {
            Response::Complete { status, .. } if outcome == FetchOutcome::Status => Some(status),
            Response::Complete { .. } | Response::TimedOut | Response::Reset => None,
        };
        Some(Ended { outcome, status, keys, skipped, is_news })
    }

    /// Gives up this worker's fetches, whose ends the host will not tell. If that cannot be stored, their leases lapse.
    pub fn abandon(&mut self, ring: &KeyRing, cells: &impl Cells) {
        let worker = self.worker;
        for at in 0..self.remote.len() {
            let Some(source) = self.remote.get(at).map(|remote| remote.record.source) else { continue };
            let _ = self.change(ring, at, cells, &|content| {
                Ok(Record::read(content, source)?.abandon(worker).map(|record| (record, true)))
            });
        }
    }

    /// Asks for a fetch of a set that does not have a kid. Returns the number of fetches that have ended so far, if one is on
    /// its way now or about to begin; `None` if the set is as new as it can be.
    ///
    /// # Errors
    ///
    /// [`CellFault`] if the host does not answer.
    pub fn ask(
        &mut self,
        ring: &KeyRing,
        set: KeySetIndex,
        cells: &impl Cells,
        now: UnixNanos,
    ) -> Result<Option<u32>, CellFault> {
        let Some(at) = self.remote.iter().position(|remote| remote.index == set) else { return Ok(None) };
        let Some((remote, rule)) = self.remote(ring, at) else { return Ok(None) };
        // Most who ask hear so without a change of the cell.
        if !remote.record.may_bring_more(rule, now) {
            return Ok(None);
        }
        let source = remote.record.source;
        let asked = self.change(ring, at, cells, &|content| {
            let record = Record::read(content, source)?;
            let is_coming = record.is_being_fetched(rule, now) || record.is_due(rule, now);
            if is_coming || !record.may_bring_more(rule, now) {
                return Ok(None);
            }
            Ok(Some((record.ask(now), true)))
        });
        match asked {
            Ok(_) => {}
            Err(UpdateError::Contended) => return Ok(None),
            Err(UpdateError::Failed(fault)) => return Err(fault),
        }
        let Some((remote, rule)) = self.remote(ring, at) else { return Ok(None) };
        Ok(remote.record.may_bring_more(rule, now).then_some(remote.record.ended))
    }

    /// Whether a fetch of this set has ended since `ended` of them had.
    pub fn has_ended_since(&self, set: KeySetIndex, ended: u32) -> bool {
        self.remote.iter().any(|remote| remote.index == set && remote.record.ended != ended)
    }

    /// When it may be worth asking again for a set that is not available, seconds from `now`; at least 1.
    pub fn retry_after_seconds(&self, set: KeySetIndex, now: UnixNanos) -> u32 {
        let record = self.remote.iter().find(|remote| remote.index == set).map(|remote| &remote.record);
        record.map_or(1, |record| record.retry_after_seconds(now))
    }

    /// How old the set is that was fetched last, seconds; `None` if none was fetched.
    pub fn age_seconds(&self, set: KeySetIndex, now: UnixNanos) -> Option<u64> {
        let remote = self.remote.iter().find(|remote| remote.index == set)?;
        Some(now.seconds().saturating_sub(remote.record.fetched?.seconds()))
    }

    fn remote<'a, 'r>(&'a self, ring: &'r KeyRing, at: usize) -> Option<(&'a Remote, &'r RemoteSet)> {
        let remote = self.remote.get(at)?;
        match ring.set(remote.index)?.source() {
            KeySource::Remote(rule) => Some((remote, rule)),
            KeySource::Inline(_) => None,
        }
    }

    /// Changes the record at `at`, adopts it as it stands then, and tells all workers. Returns what `change` returns beside the
    /// record; `None` if it wants no change. All changes go through one instance of this, for they are rare.
    fn change(
        &mut self,
        ring: &KeyRing,
        at: usize,
        cells: &impl Cells,
        change: &dyn Fn(Option<&[u8]>) -> Changed,
    ) -> Result<Option<bool>, UpdateError<CellFault>> {
        let Some(cell) = self.remote.get(at).map(|remote| remote.cell) else { return Ok(None) };
        let changed = update(cells, cell, TRIES, |content| {
            Ok::<_, CellFault>(match change(content.as_deref())? {
                Some((record, result)) => Change::Store(record.write(), Some(result)),
                None => Change::Keep(None),
            })
        })?;
        self.reload(ring, at, cells).map_err(UpdateError::Failed)?;
        if changed.is_some() {
            let _ = cells.store(CellId::KeySetStamp, &[], Expected::Anything).map_err(UpdateError::Failed)?;
        }
        Ok(changed)
    }

    /// Reads the record at `at` from its cell, and puts its keys in force.
    fn reload(&mut self, ring: &KeyRing, at: usize, cells: &impl Cells) -> Result<(), CellFault> {
        let Some(remote) = self.remote.get_mut(at) else { return Ok(()) };
        let loaded = cells.load(remote.cell)?;
        let record =
            Record::read(loaded.as_ref().map(|loaded| loaded.bytes.as_slice()), remote.record.source)?;
        let rule = ring.set(remote.index).map(|rule| rule.source());
        if let Some(KeySource::Remote(rule)) = rule
            && let Some(until) = record.in_force_until(rule)
        {
            let set = match self.current.newest(remote.index) {
                Some(set) if remote.record.keys == record.keys => Arc::clone(set),
                Some(_) | None => Arc::new(KeySet::read_published(&record.keys).ok_or(CellFault)?),
            };
            self.current.put(remote.index, set, until);
        }
        remote.record = record;
        Ok(())
    }
}

fn halves(digest: u128) -> [u64; 2] {
    let bytes = digest.to_le_bytes();
    let (words, _) = bytes.as_chunks::<8>();
    let half = |index: usize| words.get(index).copied().map_or(0, u64::from_le_bytes);
    [half(0), half(1)]
}

#[cfg(test)]
mod tests;
