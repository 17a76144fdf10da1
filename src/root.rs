//! One configuration on one worker: read it, keep what its requests share, tick.

use std::cell::{RefCell, RefMut};
use std::rc::Rc;

use proxy_wasm::traits::{Context, RootContext};

use crate::cells::SharedData;
use crate::holds::{Hold, Holds};
use crate::host;
use crate::metrics::{Metrics, PERIOD_MILLISECONDS};
use crate::streams;
use api_guard_core::config::{Environment, Policy};
use api_guard_core::counter::Counters;
use api_guard_core::decision::{Denial, Fault};
use api_guard_core::effect;
use api_guard_core::event::Sampler;
use api_guard_core::guard::{Guard, Worker};

/// What all requests of one configuration on one worker share. A pushed configuration makes a new one, while
/// requests that are under way keep theirs.
pub(crate) struct Shared {
    pub(crate) guard: Guard,
    /// Absent until the shared tables could be joined.
    worker: RefCell<Option<Worker>>,
    pub(crate) metrics: Metrics,
    pub(crate) sampler: RefCell<Sampler>,
    pub(crate) holds: Holds,
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
        let _ = shared.worker().map(drop);
        shared
    }

    /// What this worker remembers: there, unless it is a fault.
    pub(crate) fn worker(&self) -> Result<RefMut<'_, Option<Worker>>, Fault> {
        let mut place = self.worker.try_borrow_mut().map_err(|_| Fault::SharedData)?;
        if place.is_none() {
            let random = host::random().ok_or(Fault::SharedData)?;
            let worker =
                Worker::open(self.guard.policy(), &SharedData, random).map_err(|_| Fault::SharedData)?;
            *place = Some(worker);
        }
        Ok(place)
    }
}

/// The plugin's root context.
pub(crate) struct Root {
    context: u32,
    shared: Option<Rc<Shared>>,
}

impl Root {
    pub(crate) fn new(context: u32) -> Self {
        Self { context, shared: None }
    }
}

impl Context for Root {}

impl RootContext for Root {
    fn on_configure(&mut self, size: usize) -> bool {
        let text = host::plugin_configuration(size);
        let environment = Environment { lookup: &host::variable, must_be_set: true };
        match Policy::parse(&text, &environment) {
            Ok(policy) => {
                let shared = Rc::new(Shared::new(policy));
                streams::configure(self.context, &shared);
                self.shared = Some(shared);
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
        let size = |hold: &Hold| host::enter(hold.context).then(host::size_received).flatten();
        for hold in shared.holds.in_vain(size, host::now()) {
            if !host::enter(hold.context) {
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
}
