//! The counters and gauges of one configuration, as Envoy knows them.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use api_guard_core::cells::Cells;
use api_guard_core::engine::gauge_in_force;
use api_guard_core::policy::Policy;
use api_guard_core::telemetry::counters::{CounterIndex, Counters};
use api_guard_core::telemetry::gauges::Gauge;

use crate::abi::{Filter, FilterConfig};

/// Through what Envoy is told.
#[derive(Clone, Copy)]
pub(crate) enum Handle<'e> {
    /// A stream, on its worker.
    Stream(&'e Filter),
    /// The configuration, on the main thread.
    Config(&'e FilterConfig),
}

/// What is to be told of one metric.
#[derive(Clone, Copy)]
enum News {
    Count(usize, u32),
    Value(usize, u64),
}

/// The metrics of one configuration.
pub(crate) struct Metrics {
    /// Envoy's number of each counter, by [`CounterIndex`]; `None`: Envoy accepted no more counters.
    counters: Vec<Option<usize>>,
    gauges: Vec<(Gauge, Option<usize>)>,
    /// What an Envoy before 1.39 cannot be told through a configuration. The next stream tells it.
    pending: Mutex<Vec<News>>,
    has_pending: AtomicBool,
}

impl Metrics {
    /// Defines the metrics of a configuration that is being made.
    pub(crate) fn define(envoy: &FilterConfig, policy: &Policy, cells: &impl Cells) -> Self {
        let counters = Counters::new(policy);
        let gauges = Gauge::all(policy).into_iter();
        let defined: Vec<Option<usize>> =
            counters.names().iter().map(|name| envoy.define_counter(name)).collect();
        keep_earlier(envoy, counters.names());
        let metrics = Self {
            counters: defined,
            gauges: gauges.map(|(gauge, name)| (gauge, envoy.define_gauge(&name))).collect(),
            pending: Mutex::default(),
            has_pending: AtomicBool::new(false),
        };
        metrics.end_of(gauge_in_force(cells), envoy);
        metrics
    }

    /// Shows that the configuration with this gauge is in force no more. It may be destroyed before it finds out itself, and
    /// its gauge with it. One that stays in force, because this one is refused after all, shows itself again.
    fn end_of(&self, earlier: Option<String>, envoy: &FilterConfig) {
        if let Some(id) = earlier.and_then(|name| envoy.define_gauge(&name)) {
            self.tell(News::Value(id, 0), Handle::Config(envoy));
        }
    }

    /// Adds one to a counter.
    pub(crate) fn add(&self, counter: CounterIndex, handle: Handle<'_>) {
        self.add_many(counter, 1, handle);
    }

    /// Adds so many to a counter.
    pub(crate) fn add_many(&self, counter: CounterIndex, by: u32, handle: Handle<'_>) {
        if let Some(Some(id)) = self.counters.get(counter.get()) {
            self.tell(News::Count(*id, by), handle);
        }
    }

    /// Sets a gauge.
    pub(crate) fn show(&self, gauge: Gauge, value: u64, handle: Handle<'_>) {
        if let Some((_, Some(id))) = self.gauges.iter().find(|(known, _)| *known == gauge) {
            self.tell(News::Value(*id, value), handle);
        }
    }

    /// Tells what could not be told before.
    pub(crate) fn settle(&self, filter: &Filter) {
        if self.has_pending.load(Ordering::Relaxed) && self.has_pending.swap(false, Ordering::AcqRel) {
            let pending = std::mem::take(&mut *self.pending.lock().unwrap_or_else(PoisonError::into_inner));
            pending.into_iter().for_each(|news| self.tell(news, Handle::Stream(filter)));
        }
    }

    fn tell(&self, news: News, handle: Handle<'_>) {
        match (handle, news) {
            (Handle::Stream(filter), News::Count(id, by)) => filter.increment(id, by),
            (Handle::Stream(filter), News::Value(id, value)) => filter.set_gauge(id, value),
            (Handle::Config(config), News::Count(id, by)) if config.increment(id, by) => {}
            (Handle::Config(config), News::Value(id, value)) if config.set_gauge(id, value) => {}
            (Handle::Config(_), news) => self.put_off(news),
        }
    }

    fn put_off(&self, news: News) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        // Of a gauge only the last value counts, and of a counter the sum. There are few of either, so this does not grow while
        // nobody asks.
        let known = pending.iter_mut().find_map(|old| match (old, news) {
            (News::Count(id, sum), News::Count(counter, by)) if *id == counter => {
                *sum = sum.saturating_add(by);
                Some(())
            }
            (News::Value(id, value), News::Value(gauge, latest)) if *id == gauge => {
                *value = latest;
                Some(())
            }
            (News::Count(..) | News::Value(..), News::Count(..) | News::Value(..)) => None,
        });
        if known.is_none() {
            pending.push(news);
        }
        self.has_pending.store(true, Ordering::Release);
    }
}

/// Defines the counters of earlier configurations once more. Envoy drops a counter with the last configuration that has
/// defined it, but what was counted by a key or a limit that is gone still happened.
fn keep_earlier(envoy: &FilterConfig, names: &[String]) {
    static EARLIER: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    let mut earlier = EARLIER.lock().unwrap_or_else(PoisonError::into_inner);
    for name in earlier.iter().filter(|name| !names.contains(name)) {
        let _ = envoy.define_counter(name);
    }
    earlier.extend(names.iter().cloned());
}
