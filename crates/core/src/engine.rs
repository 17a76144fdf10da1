//! One configuration on one worker: the guard, its memory, and the state of its telemetry.
//!
//! A pushed configuration gets a new engine; streams in progress keep the one they began with.

use std::cell::{Cell, RefCell, RefMut};
use std::sync::Arc;

use crate::exchange::hold::HostHolds;
use crate::fault::Fault;
use crate::guard::{Guard, Memory};
use crate::held::HeldBytes;
use crate::host::{Action, StreamHost};
use crate::policy::Policy;
use crate::telemetry::counters::Counters;
use crate::telemetry::gauges::Gauge;
use crate::telemetry::sampler::Sampler;
use crate::time::UnixNanos;

/// The state that all streams of one configuration on one worker share.
#[derive(Debug)]
pub struct Engine {
    pub(crate) guard: Guard,
    /// `None` until the shared tables have been joined.
    memory: RefCell<Option<Memory>>,
    pub(crate) counters: Counters,
    pub(crate) sampler: RefCell<Sampler>,
    /// Whether the host delivers the bodies of held requests, as far as is known.
    pub(crate) holds: Cell<HostHolds>,
    /// What the streams of this worker hold back, those of other configurations included.
    pub(crate) held: Arc<HeldBytes>,
}

impl Engine {
    /// An engine for `policy` on a worker that has no other. It joins the shared tables in [`Self::open`], or at the first
    /// request.
    pub fn new(policy: impl Into<Arc<Policy>>) -> Self {
        Self::on_worker(policy, &Arc::default())
    }

    /// An engine for `policy` on a worker whose streams, under whatever configuration, hold back `held`. Workers of one
    /// process may share both.
    pub fn on_worker(policy: impl Into<Arc<Policy>>, held: &Arc<HeldBytes>) -> Self {
        let policy = policy.into();
        Self {
            counters: Counters::new(&policy),
            guard: Guard::new(policy),
            memory: RefCell::default(),
            sampler: RefCell::default(),
            holds: Cell::default(),
            held: Arc::clone(held),
        }
    }

    /// Notes that the host is known to deliver the bodies of held requests.
    #[must_use]
    pub fn on_host_that_holds(self) -> Self {
        self.holds.set(HostHolds::Yes);
        self
    }

    /// Handles the passing of time for what no single stream has: renews what this worker has reserved of the process,
    /// and says what the process holds. Call it in each tick.
    pub fn on_tick(&self, host: &mut impl StreamHost, now: UnixNanos) {
        if let Some(value) = self.held.settle(self.max_held_bytes(), host.cells(), now) {
            let _ = host.act(Action::Gauge { gauge: Gauge::HeldBytes, value });
        }
    }

    /// The largest sum of all bodies that the process holds back, bytes.
    pub(crate) fn max_held_bytes(&self) -> u64 {
        self.guard.policy().form.max_held_bytes
    }

    /// Joins the shared tables of the process. A failure is no reason to refuse the configuration, because a worker
    /// that refuses what another has accepted would block later pushes. Each request tries again, and is refused if
    /// that fails too.
    ///
    /// # Errors
    ///
    /// [`Fault::SharedData`] if the tables cannot be joined now.
    pub fn open(&self, host: &impl StreamHost) -> Result<(), Fault> {
        self.memory(host).map(drop)
    }

    /// The guard.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// The counters.
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(crate) fn memory(&self, host: &impl StreamHost) -> Result<RefMut<'_, Memory>, Fault> {
        let mut memory = self.memory.try_borrow_mut().map_err(|_| Fault::SharedData)?;
        if memory.is_none() {
            let random = host.random().ok_or(Fault::SharedData)?;
            let opened = Memory::open(self.guard.policy(), host.cells(), random);
            *memory = Some(opened.map_err(|_| Fault::SharedData)?);
        }
        RefMut::filter_map(memory, Option::as_mut).map_err(|_| Fault::SharedData)
    }
}
