//! What does each worker keep for itself? An engine for every configuration that it has streams of.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;

use api_guard_core::engine::Engine;
use api_guard_core::keys::Response;

use crate::abi::FilterConfig;
use crate::clock;
use crate::config::{self, Config};
use crate::host::Envoy;
use crate::metrics::Handle;

/// A configuration on one worker.
pub(crate) struct Worker {
    pub(crate) engine: Engine,
    pub(crate) config: Arc<Config>,
    /// Whether it is the configuration's own, which fetches key sets, and has no streams.
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
        let known = workers
            .all
            .iter()
            .find(|worker| worker.config.number() == config.number() && worker.is_of_config == is_of_config);
        if let Some(worker) = known {
            return Some(Rc::clone(worker));
        }
        let engine = Engine::on_worker(Arc::clone(&config.policy), &config.shared.held).on_host_that_holds();
        let engine = if is_of_config { engine } else { engine.leaving_fetches() };
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
pub(crate) fn tick(config: &Arc<Config>, envoy: &FilterConfig) {
    config.note_tick();
    let handle = Handle::Config(envoy);
    if let Some(worker) = of(config, handle) {
        worker.engine.on_tick(&mut Envoy::new(handle, config, false), clock::now());
    }
}

/// Handles the end of a request for a key set, on the main thread. `came`: what came back, by whether its time was over.
pub(crate) fn on_fetched<'b>(
    config: &Arc<Config>,
    envoy: &FilterConfig,
    id: u64,
    came: impl FnOnce(bool) -> Response<'b>,
) {
    let (handle, now) = (Handle::Config(envoy), clock::now());
    if let Some((set, is_late)) = config.fetches.end(id, now)
        && let Some(worker) = of(config, handle)
    {
        worker.engine.on_fetched(set, came(is_late), &mut Envoy::new(handle, config, false), now);
    }
}

impl Workers {
    fn forget_retired(&mut self) {
        let retired = config::retired();
        if self.retired != retired {
            self.retired = retired;
            self.all.retain(|worker| !worker.config.is_retired());
        }
    }
}
