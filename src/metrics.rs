//! Counting without a host call for every count: added up here, handed over now and then.

use std::cell::{Cell, RefCell};

use crate::host;
use api_guard_core::counter::{Counters, Place};
use api_guard_core::time::UnixNanos;

/// Counts are handed over with a request if the last time is at least this long ago, and else by the tick.
pub(crate) const PERIOD_MILLISECONDS: u32 = 100;
const PERIOD_NANOS: u64 = 100_000_000;

/// The counters of one configuration on one worker.
#[derive(Debug)]
pub(crate) struct Metrics {
    pub(crate) counters: Counters,
    ids: Vec<Option<u32>>,
    pending: RefCell<Vec<u32>>,
    dirty: Cell<bool>,
    handed_over: Cell<UnixNanos>,
}

impl Metrics {
    pub(crate) fn new(counters: Counters) -> Self {
        let ids: Vec<Option<u32>> = counters.names().iter().map(|name| host::define_counter(name)).collect();
        let pending = RefCell::new(vec![0; ids.len()]);
        Self { counters, ids, pending, dirty: Cell::new(false), handed_over: Cell::default() }
    }

    /// Adds one.
    pub(crate) fn add(&self, place: Place) {
        if let Ok(mut pending) = self.pending.try_borrow_mut()
            && let Some(count) = pending.get_mut(place)
        {
            *count = count.saturating_add(1);
            self.dirty.set(true);
        }
    }

    /// Hands over what is pending if the last time was long enough ago: a lone request is seen at once, and a stream
    /// of them costs one call for each counter in each period.
    pub(crate) fn settle(&self, now: UnixNanos) {
        if now.nanos().abs_diff(self.handed_over.get().nanos()) >= PERIOD_NANOS {
            self.handed_over.set(now);
            self.hand_over();
        }
    }

    /// Hands over what is pending.
    pub(crate) fn hand_over(&self) {
        if !self.dirty.replace(false) {
            return;
        }
        if let Ok(mut pending) = self.pending.try_borrow_mut() {
            for (count, id) in pending.iter_mut().zip(&self.ids).filter(|(count, _)| **count > 0) {
                if let Some(id) = id {
                    host::increment(*id, *count);
                }
                *count = 0;
            }
        }
    }
}
