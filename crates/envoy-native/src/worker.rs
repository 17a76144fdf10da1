//! What does each worker keep for itself? An engine for every configuration that it has streams of.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use api_guard_core::calls::Purpose;
use api_guard_core::engine::Engine;

use crate::abi::{FilterConfig, Reminded};
use crate::clock;
use crate::config::{self, Config};
use crate::host::Envoy;
use crate::metrics::Handle;

/// A configuration on one worker.
pub(crate) struct Worker {
    pub(crate) engine: Engine,
    pub(crate) config: Arc<Config>,
    /// Whether it is the configuration's own, which fetches key sets and calls the store, and has no streams.
    is_of_config: bool,
}

#[derive(Default)]
struct Workers {
    all: Vec<Rc<Worker>>,
    /// How many configurations had been destroyed when this thread looked last.
    retired: u64,
}

thread_local! {
    static WORKERS: RefCell<Workers> = RefCell::default();
}

/// What this thread keeps for a configuration. Made when it is first asked for.
pub(crate) fn of(config: &Arc<Config>, handle: Handle<'_>) -> Option<Rc<Worker>> {
    WORKERS.with(|workers| {
        let mut workers = workers.try_borrow_mut().ok()?;
        workers.forget_retired();
        let is_of_config = matches!(handle, Handle::Config(_));
        if let Some(worker) = workers.find(config, is_of_config) {
            return Some(Rc::clone(worker));
        }
        let engine = Engine::on_worker(Arc::clone(&config.policy), &config.shared.held)
            .on_host_that_holds()
            .sharing(&config.link);
        let engine = if is_of_config { engine } else { engine.leaving_calls() };
        // Each request tries again, and is refused if that fails too.
        let _ = engine.open(&Envoy::new(handle, config, false));
        if !is_of_config {
            engine.announce(&mut Envoy::new(handle, config, false));
        }
        let worker = Rc::new(Worker { engine, config: Arc::clone(config), is_of_config });
        workers.all.push(Rc::clone(&worker));
        Some(worker)
    })
}

/// Looks after what all streams of a configuration share, on the main thread, which counts as a worker here.
pub(crate) fn on_reminded(config: &Arc<Config>, envoy: &FilterConfig, reminded: Reminded) {
    config.note_look();
    let handle = Handle::Config(envoy);
    if let Some(worker) = of(config, handle) {
        let (mut host, now) = (Envoy::new(handle, config, false), clock::now());
        match reminded {
            Reminded::Tick => worker.engine.on_tick(&mut host, now),
            Reminded::Call => worker.engine.call(&mut host, now),
        }
    }
}

/// Handles the end of a request of the configuration, on the main thread. `headers` and `body`: as for
/// [`crate::calls::Calls::end`].
pub(crate) fn on_called<'b>(
    config: &Arc<Config>,
    envoy: &FilterConfig,
    id: u64,
    headers: impl Iterator<Item = (&'b [u8], &'b [u8])> + Clone,
    body: impl FnOnce(usize) -> Vec<u8>,
) {
    let (handle, now) = (Handle::Config(envoy), clock::now());
    let Some((purpose, ended)) = config.calls.end(id, headers, body, now) else { return };
    let Some(worker) = of(config, handle) else { return };
    let mut host = Envoy::new(handle, config, false);
    match purpose {
        Purpose::KeySet(set) => worker.engine.on_fetched(set, ended.response(), &mut host, now),
        Purpose::Store(number) => {
            worker.engine.on_called(number, ended.reply(), &mut host, now);
            config.wake();
        }
    }
}

/// Leaves the fetches of a configuration that Envoy destroys to the next one, if this thread has sent them.
pub(crate) fn abandon_fetches(config: &Config) {
    let _ = WORKERS.try_with(|workers| {
        let Ok(workers) = workers.try_borrow() else { return };
        if let Some(worker) = workers.find(config, true) {
            worker.engine.abandon_fetches(&config.shared.cells);
        }
    });
}

impl Workers {
    /// This thread's worker of a configuration. `is_of_config`: the one that makes its calls.
    fn find(&self, config: &Config, is_of_config: bool) -> Option<&Rc<Worker>> {
        let is_it = |worker: &&Rc<Worker>| {
            worker.config.number() == config.number() && worker.is_of_config == is_of_config
        };
        self.all.iter().find(is_it)
    }

    fn forget_retired(&mut self) {
        let retired = config::retired();
        if self.retired != retired {
            self.retired = retired;
            self.all.retain(|worker| !worker.config.is_retired());
        }
    }
}
