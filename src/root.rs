//! The plugin's root context: reads the configuration, holds what its streams share, and ticks.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use api_guard_core::calls::Purpose;
use api_guard_core::config::Environment;
use api_guard_core::engine::Engine;
use api_guard_core::policy::Policy;
use api_guard_core::telemetry::counters::{CounterIndex, Counters};
use api_guard_core::telemetry::gauges::Gauge;
use api_guard_core::telemetry::tally::Tally;
use api_guard_core::time::UnixNanos;

use crate::calls::Calls;
use crate::host::{Envoy, Signatures};
use crate::{abi, streams};

/// How often Envoy calls [`tick`], milliseconds.
const TICK_MILLISECONDS: u32 = 100;
/// How often, while more streams are due than one tick may settle.
const HURRIED_TICK_MILLISECONDS: u32 = 1;

/// What all streams of one configuration on one worker share. A pushed configuration makes a new one; streams in
/// progress keep the one they began with.
pub(crate) struct Plugin {
    pub(crate) engine: Engine,
    pub(crate) metrics: Metrics,
    pub(crate) calls: Calls,
    /// Whether it ticks in a hurry.
    hurries: Cell<bool>,
}

/// The metrics of one configuration as Envoy knows them.
#[derive(Debug)]
pub(crate) struct Metrics {
    /// Envoy's number of each counter, by [`CounterIndex`]; `None`: Envoy accepted no more counters.
    ids: Vec<Option<u32>>,
    /// Envoy's number of each gauge.
    gauges: Vec<(Gauge, Option<u32>)>,
    tally: RefCell<Tally>,
}

impl Metrics {
    fn new(counters: &Counters, policy: &Policy) -> Self {
        let ids: Vec<Option<u32>> = counters.names().iter().map(|name| abi::define_counter(name)).collect();
        let gauges = Gauge::all(policy).into_iter();
        let gauges = gauges.map(|(gauge, name)| (gauge, abi::define_gauge(&name))).collect();
        let tally = RefCell::new(Tally::new(ids.len()));
        Self { ids, gauges, tally }
    }

    pub(crate) fn add(&self, counter: CounterIndex) {
        self.add_many(counter, 1);
    }

    pub(crate) fn add_many(&self, counter: CounterIndex, by: u32) {
        if let Ok(mut tally) = self.tally.try_borrow_mut() {
            tally.add(counter, by);
        }
    }

    /// Sets a gauge, at once.
    pub(crate) fn show(&self, gauge: Gauge, value: u64) {
        if let Some((_, Some(id))) = self.gauges.iter().find(|(known, _)| *known == gauge) {
            abi::record(*id, value);
        }
    }

    /// Hands over the counts, if the last time was long enough ago.
    pub(crate) fn settle(&self, now: UnixNanos) {
        if let Ok(mut tally) = self.tally.try_borrow_mut() {
            tally.settle(|counter, by| self.increment(counter, by), now);
        }
    }

    fn hand_over(&self) {
        if let Ok(mut tally) = self.tally.try_borrow_mut() {
            tally.hand_over(|counter, by| self.increment(counter, by));
        }
    }

    fn increment(&self, counter: CounterIndex, by: u32) {
        if let Some(Some(id)) = self.ids.get(counter.get()) {
            abi::increment(*id, by);
        }
    }
}

impl Plugin {
    fn new(policy: Policy, root: u32) -> Self {
        let engine = Engine::on_worker(policy, &streams::held_bytes());
        let metrics = Metrics::new(engine.counters(), engine.guard().policy());
        let plugin = Self { engine, metrics, calls: Calls::new(root), hurries: Cell::new(false) };
        // A worker that refuses what the main thread has accepted would block later pushes, so this cannot fail.
        let _ = plugin.engine.open(&Envoy::new(&plugin, root));
        plugin
    }

    /// Sets how often its root context, which has been entered, ticks from now on.
    fn pace(&self, hurries: bool) {
        if self.hurries.replace(hurries) != hurries {
            abi::set_tick_period(if hurries { HURRIED_TICK_MILLISECONDS } else { TICK_MILLISECONDS });
        }
    }
}

/// Reads the configuration of a root context, `size` bytes, and puts it in force. False, and an error in Envoy's log, if it
/// is refused; an earlier one then goes on.
pub(crate) fn configure(context: u32, size: usize) -> bool {
    let text = abi::plugin_configuration(size);
    let environment = Environment { lookup: &abi::variable, must_be_set: true };
    match Policy::parse(&text, &environment) {
        Ok(policy) if !policy.suits_host(&Signatures) => {
            log::error!("api-guard: {}", Policy::UNSUITABLE_HOST);
            false
        }
        Ok(policy) => {
            streams::configure(context, &Rc::new(Plugin::new(policy, context)));
            abi::set_tick_period(TICK_MILLISECONDS);
            true
        }
        Err(errors) => {
            log::error!("api-guard: {errors}");
            false
        }
    }
}

/// Looks after the streams that wait, and after what the streams of a root context share.
pub(crate) fn tick(context: u32) {
    let now = abi::now();
    let hurries = streams::tick(now);
    abi::enter(context);
    if let Some(plugin) = streams::plugin(context) {
        plugin.pace(hurries);
        plugin.engine.on_tick(&mut Envoy::new(&plugin, context), now);
        plugin.metrics.hand_over();
    }
}

/// Forgets a stream or a root context, which has ended. Of a root context, Envoy asks for nothing more: what it counted since
/// its last tick is handed over, and it is shown as replaced.
pub(crate) fn on_delete(context: u32) {
    if let Some(plugin) = streams::forget(context) {
        plugin.engine.withdraw(&mut Envoy::new(&plugin, context));
        plugin.metrics.hand_over();
    }
}

/// Handles the end of a request of a root context, and looks after the streams that wait for it. `headers`: the number of
/// headers of its response, which is 0 if none has come.
pub(crate) fn on_called(context: u32, token: u32, headers: u32, body_size: usize) {
    abi::enter(context);
    let Some(plugin) = streams::plugin(context) else { return };
    let now = abi::now();
    let Some((purpose, ended)) = plugin.calls.end(token, headers, body_size, now) else { return };
    let mut envoy = Envoy::new(&plugin, context);
    match purpose {
        Purpose::KeySet(set) => plugin.engine.on_fetched(set, ended.response(), &mut envoy, now),
        Purpose::Store(number) => plugin.engine.on_called(number, ended.reply(), &mut envoy, now),
    }
    let hurries = streams::tick(now);
    abi::enter(context);
    plugin.pace(hurries);
}
