//! One configuration on one worker: read it, keep what its requests share, tick.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use super::cells::SharedData;
use super::holds::{Hold, Holds};
use super::host;
use super::metrics::{Metrics, PERIOD_MILLISECONDS};
use super::stream::Stream;
use crate::config::{Environment, Policy};
use crate::counter::Counters;
use crate::decision::{Denial, Fault};
use crate::effect;
use crate::event::Sampler;
use crate::guard::{Guard, Worker};

/// What all requests of one configuration on one worker share. A pushed configuration makes a new one, while
/// requests that are under way keep theirs.
pub(super) struct Shared {
    pub(super) guard: Guard,
    /// Absent until the shared tables could be joined.
    worker: RefCell<Option<Worker>>,
    pub(super) metrics: Metrics,
    pub(super) sampler: RefCell<Sampler>,
    pub(super) holds: Holds,
}

impl Shared {
    fn new(policy: Policy) -> Self {
        let metrics = Metrics::new(Counters::new(&policy));
        let shared = Self {
            guard: Guard::new(policy),
            worker: RefCell::default(),
            metrics,
            sampler: RefCell::default(),
            holds: Holds::default(),
        };
        // Failing here must not refuse the configuration: a worker that refuses what the main thread has accepted
        // would block later pushes. A request that finds no worker tries again, and is refused if that fails.
        let _ = shared.with_worker(|_, _| ());
        shared
    }

    /// Calls with the guard and what this worker remembers.
    pub(super) fn with_worker<R>(&self, call: impl FnOnce(&Guard, &mut Worker) -> R) -> Result<R, Fault> {
        let mut place = self.worker.try_borrow_mut().map_err(|_| Fault::SharedData)?;
        if place.is_none() {
            let random = host::random().ok_or(Fault::SharedData)?;
            let worker =
                Worker::open(self.guard.policy(), &SharedData, random).map_err(|_| Fault::SharedData)?;
            *place = Some(worker);
        }
        place.as_mut().map(|worker| call(&self.guard, worker)).ok_or(Fault::SharedData)
    }
}

/// The plugin's root context.
#[derive(Default)]
pub(super) struct Root {
    shared: Option<Rc<Shared>>,
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let text = host::plugin_configuration(size);
        let environment = Environment { lookup: &host::variable, must_be_set: true };
        match Policy::parse(&text, &environment) {
            Ok(policy) => {
                self.shared = Some(Rc::new(Shared::new(policy)));
                host::set_tick_period(PERIOD_MILLISECONDS);
                true
            }
            Err(errors) => {
                log::error!("api-guard: {errors}");
                false
            }
        }
    }

    fn on_tick(&mut self) {
        let Some(shared) = &self.shared else { return };
        let size = |hold: &Hold| host::enter_stream(hold.context).then(host::size_received).flatten();
        for hold in shared.holds.in_vain(size, host::now()) {
            if !host::enter_stream(hold.context) {
                continue;
            }
            if hold.endpoint {
                let denial = Denial::Fault(Fault::Body);
                log::error!(
                    "api-guard: the revocation endpoint reads no bodies without allow_on_headers_stop_iteration: true"
                );
                host::send_reply(&effect::refuse(shared.guard.policy(), &denial, None), false);
                shared.metrics.counters.decided(Some(&denial), true, |place| shared.metrics.add(place));
            } else {
                host::resume_request();
            }
        }
        shared.metrics.hand_over();
    }

    fn create_http_context(&self, context: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Stream::new(context, self.shared.clone())))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
