//! Which key sets are in force on this worker, and until when?
//!
//! The sets of a configuration are always in force. Those that are fetched are put in here by [`crate::keys`], or by
//! whoever has one at hand; until then they are not available, which is no fault of a token's.

use std::sync::Arc;

use super::key_set::KeySet;
use super::key_set::rule::KeySource;
use super::keys::{KeyRing, KeySetRevision, SigningKey};
use crate::index::KeySetIndex;
use crate::time::UnixNanos;

/// The key sets in force, by [`KeySetIndex`].
#[derive(Debug, Default)]
pub struct CurrentSets {
    revision: u64,
    sets: Vec<Option<Current>>,
}

#[derive(Debug)]
struct Current {
    set: Arc<KeySet>,
    until: UnixNanos,
}

impl CurrentSets {
    /// The sets of the configuration itself.
    pub fn configured(ring: &KeyRing) -> Self {
        let of = |source: &KeySource| match source {
            KeySource::Inline(set) => {
                Some(Current { set: Arc::clone(set), until: UnixNanos::from_nanos(u64::MAX) })
            }
            KeySource::Remote(_) => None,
        };
        Self { revision: 0, sets: ring.sets().iter().map(|rule| of(&rule.source)).collect() }
    }

    /// Puts a set in force until that moment. The revision stays the same if its keys do.
    pub fn put(&mut self, index: KeySetIndex, set: Arc<KeySet>, until: UnixNanos) {
        let Some(current) = self.sets.get_mut(index.get()) else { return };
        match current {
            Some(current) if *current.set == *set => current.until = until,
            Some(_) | None => {
                *current = Some(Current { set, until });
                self.revision = self.revision.wrapping_add(1);
            }
        }
    }

    /// The revision of all sets together.
    pub fn revision(&self) -> KeySetRevision {
        KeySetRevision::new(self.revision)
    }

    /// The set, if it is in force at `now`.
    pub fn set(&self, index: KeySetIndex, now: UnixNanos) -> Option<&Arc<KeySet>> {
        let current = self.sets.get(index.get())?.as_ref()?;
        (now < current.until).then_some(&current.set)
    }

    /// The set, whether or not it is still in force.
    pub(crate) fn newest(&self, index: KeySetIndex) -> Option<&Arc<KeySet>> {
        Some(&self.sets.get(index.get())?.as_ref()?.set)
    }

    /// Whether a key is still in the set that it came from; `None` if the set is not in force at `now`. A key of the
    /// configuration is.
    pub fn has(&self, key: &SigningKey, now: UnixNanos) -> Option<bool> {
        match key {
            SigningKey::Configured(_) => Some(true),
            SigningKey::OfSet { set, key } => Some(self.set(*set, now)?.has(key)),
        }
    }
}
