//! A configuration as all workers share it. It is read once, on the main thread, and freed when Envoy has ended its last
//! stream; a worker without requests keeps its own memory of it until the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use api_guard_core::config::Environment;
use api_guard_core::fleet::SharedLink;
use api_guard_core::policy::Policy;

use crate::abi::{self, FilterConfig};
use crate::calls::Calls;
use crate::cells::{self, Shared};
use crate::metrics::Metrics;
use crate::ticker::{self, Pace, Reminder, Ticket};
use crate::worker;

/// What all workers share of one configuration.
pub(crate) struct Config {
    pub(crate) policy: Arc<Policy>,
    pub(crate) metrics: Metrics,
    pub(crate) shared: Shared,
    pub(crate) calls: Calls,
    /// To the store of the fleet, if there is one.
    pub(crate) link: SharedLink,
    /// How many calls to the store have ended.
    ended_calls: AtomicU64,
    /// Reminds the main thread; `None` where Envoy only validates.
    reminder: Option<Reminder>,
    /// Whether the main thread has been reminded, and has not looked since.
    is_reminded: AtomicBool,
    number: u64,
    is_retired: AtomicBool,
}

/// A configuration that Envoy has, until it destroys it.
pub(crate) struct Registered {
    config: Arc<Config>,
    /// `None` where Envoy only validates.
    _ticks: Option<Ticket>,
}

/// How many configurations Envoy has destroyed.
static RETIRED: AtomicU64 = AtomicU64::new(0);

/// How many configurations Envoy has destroyed. Whoever keeps something for each of them looks whether it has changed.
pub(crate) fn retired() -> u64 {
    RETIRED.load(Ordering::Acquire)
}

impl Registered {
    /// Reads a configuration. `None`, and an error in Envoy's log, if it is refused.
    pub(crate) fn new(envoy: &FilterConfig, filter_name: &[u8], text: &[u8]) -> Option<Self> {
        let environment = Environment { lookup: &variable, must_be_set: true };
        let policy = match Policy::parse(text, &environment) {
            Ok(policy) => policy,
            Err(errors) => {
                abi::log(log::Level::Error, &format!("api-guard: {errors}"));
                return None;
            }
        };
        let Some(shared) = cells::shared(filter_name) else {
            abi::log(log::Level::Error, "api-guard: Envoy does not keep the shared tables");
            return None;
        };
        let pace = if policy.has_fleet() { Pace::Always } else { Pace::Seldom };
        let ticks = match envoy.scheduler().map(|scheduler| ticker::register(scheduler, pace)) {
            Some(None) => {
                abi::log(log::Level::Error, "api-guard: no thread can be started");
                return None;
            }
            ticks => ticks.flatten(),
        };
        static LAST: AtomicU64 = AtomicU64::new(0);
        let config = Config {
            metrics: Metrics::define(envoy, &policy, &shared.cells),
            policy: Arc::new(policy),
            shared,
            calls: Calls::default(),
            link: SharedLink::default(),
            ended_calls: AtomicU64::new(0),
            reminder: ticks.as_ref().map(Ticket::reminder),
            is_reminded: AtomicBool::new(false),
            number: LAST.fetch_add(1, Ordering::Relaxed),
            is_retired: AtomicBool::new(false),
        };
        Some(Self { config: Arc::new(config), _ticks: ticks })
    }

    pub(crate) fn config(&self) -> &Arc<Config> {
        &self.config
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        worker::abandon_fetches(&self.config);
        self.config.is_retired.store(true, Ordering::Release);
        RETIRED.fetch_add(1, Ordering::AcqRel);
    }
}

impl Config {
    /// A number that no other configuration of this process has.
    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Has the main thread send soon what is due, from any thread.
    pub(crate) fn remind(&self) {
        if let Some(reminder) = &self.reminder
            && !self.is_reminded.swap(true, Ordering::AcqRel)
        {
            reminder.remind();
        }
    }

    /// Notes that the main thread looks.
    pub(crate) fn note_look(&self) {
        self.is_reminded.store(false, Ordering::Release);
    }

    /// How many calls to the store have ended.
    pub(crate) fn ended_calls(&self) -> u64 {
        self.ended_calls.load(Ordering::Acquire)
    }

    /// Wakes the streams that wait for a call to the store, which has ended.
    pub(crate) fn wake(&self) {
        // Before: a stream that is not registered yet looks whether this has changed.
        self.ended_calls.fetch_add(1, Ordering::AcqRel);
        ticker::wake(self.number);
    }

    /// Whether Envoy has destroyed it: no stream of it is left.
    pub(crate) fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Acquire)
    }
}

/// A variable of the process's environment.
fn variable(name: &str) -> Option<Vec<u8>> {
    std::env::var_os(name).map(std::os::unix::ffi::OsStringExt::into_vec)
}
