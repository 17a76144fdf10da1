//! One configuration on one worker: the guard, its memory, and the state of its telemetry.
//!
//! A pushed configuration gets a new engine; streams in progress keep the one they began with.

mod census;
mod fleet;
mod standing;

use std::cell::{Cell, RefCell, RefMut};
use std::sync::Arc;

use crate::cells::Cells;
use crate::exchange::hold::HostHolds;
use crate::exchange::patience::Patience;
use crate::fault::Fault;
use crate::fleet::{Knowledge, SharedLink};
use crate::guard::{Answer, Guard, Memory, Question};
use crate::held::HeldBytes;
use crate::host::{Action, StreamHost};
use crate::index::KeySetIndex;
use crate::keys::Response;
use crate::policy::Policy;
use crate::telemetry::counters::Counters;
use crate::telemetry::gauges::Gauge;
use crate::telemetry::line;
use crate::telemetry::sampler::Sampler;
use crate::time::UnixNanos;
use standing::Standing;
pub use standing::gauge_in_force;

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
    /// When gauges were last set.
    shown: Cell<UnixNanos>,
    /// Whether this worker fetches key sets and calls the store of the fleet.
    calls: bool,
    link: SharedLink,
    standing: Standing,
}

/// How often gauges are set, seconds.
const SHOW_SECONDS: u64 = 5;

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
            shown: Cell::default(),
            calls: true,
            link: SharedLink::default(),
            standing: Standing::default(),
        }
    }

    /// Notes that the host is known to deliver the bodies of held requests.
    #[must_use]
    pub fn on_host_that_holds(self) -> Self {
        self.holds.set(HostHolds::Yes);
        self
    }

    /// Leaves the fetching of key sets and the calls to the store of the fleet to another worker of the process, which has
    /// the same configuration and the same link, and ticks. [`Action::Remind`] is to reach it.
    #[must_use]
    pub fn leaving_calls(self) -> Self {
        Self { calls: false, ..self }
    }

    /// Shares the link to the store of the fleet with other workers of the process that have the same configuration.
    #[must_use]
    pub fn sharing(self, link: &SharedLink) -> Self {
        Self { link: link.clone(), ..self }
    }

    /// Handles the passing of time for what no single stream has: renews what this worker has reserved of the process,
    /// says what the process holds, how full its tables are and which configuration is in force, fetches key sets, and calls the
    /// store of the fleet. Call it in each tick.
    pub fn on_tick(&self, host: &mut impl StreamHost, now: UnixNanos) {
        if let Some(value) = self.held.settle(self.max_held_bytes(), host.cells(), now) {
            let _ = host.act(Action::Gauge { gauge: Gauge::HeldBytes, value });
        }
        self.fetch_keys(host, now);
        self.look_after_fleet(host, now);
        self.call_store(host, now);
        self.show(host, now);
        self.stand(host, now);
    }

    /// Shows what gauges show, every few seconds.
    fn show(&self, host: &mut impl StreamHost, now: UnixNanos) {
        let shown = self.shown.get();
        if shown <= now && now < shown.plus_seconds(SHOW_SECONDS) {
            return;
        }
        self.shown.set(now);
        self.show_keys(host, now);
        self.show_fleet(host, now);
    }

    /// Shows how many keys the sets have that are fetched, and how old they are.
    fn show_keys(&self, host: &mut impl StreamHost, now: UnixNanos) {
        let ring = &self.guard.policy().tokens.keys;
        if !ring.fetches() {
            return;
        }
        for (set, _) in ring.fetched_sets() {
            let Ok(memory) = self.memory(host) else { return };
            let keys = memory.keys.current().set(set, now).map_or(0, |set| set.keys().len());
            let age = memory.keys.age_seconds(set, now);
            drop(memory);
            let value = u64::try_from(keys).unwrap_or(u64::MAX);
            let _ = host.act(Action::Gauge { gauge: Gauge::KeySetKeys(set), value });
            if let Some(value) = age {
                let _ = host.act(Action::Gauge { gauge: Gauge::KeySetAge(set), value });
            }
        }
    }

    /// Begins the fetches of key sets and the call to the store that are due, or has the worker begin them that does so.
    pub fn call(&self, host: &mut impl StreamHost, now: UnixNanos) {
        if self.calls {
            self.fetch_keys(host, now);
            self.call_store(host, now);
        } else {
            // Without it, what is due begins in that worker's next tick.
            let _ = host.act(Action::Remind);
        }
    }

    /// Begins the fetches of key sets that are due, as far as no other worker has begun them.
    fn fetch_keys(&self, host: &mut impl StreamHost, now: UnixNanos) {
        let ring = &self.guard.policy().tokens.keys;
        if !self.calls || !ring.fetches() {
            return;
        }
        // Whatever fails here is tried again in the next tick.
        let Ok(mut memory) = self.memory(host) else { return };
        if memory.keys.refresh(ring, host.cells()).is_err() {
            return;
        }
        let fetches = memory.keys.begin(ring, host.cells(), now);
        drop(memory);
        for fetch in fetches {
            if host.act(Action::Fetch(fetch)).is_err() {
                self.on_fetched(fetch.set, Response::Reset, host, now);
            }
        }
    }

    /// Leaves the fetches that this worker has begun to others, because the host will not tell their ends.
    pub fn abandon_fetches(&self, cells: &impl Cells) {
        if let Ok(mut memory) = self.memory.try_borrow_mut()
            && let Some(memory) = memory.as_mut()
        {
            memory.keys.abandon(&self.guard.policy().tokens.keys, cells);
        }
    }

    /// Handles the end of an [`Action::Fetch`]. Requests that wait for it go on in their next tick.
    pub fn on_fetched(
        &self,
        set: KeySetIndex,
        response: Response<'_>,
        host: &mut impl StreamHost,
        now: UnixNanos,
    ) {
        let ring = &self.guard.policy().tokens.keys;
        let Ok(mut memory) = self.memory(host) else { return };
        let Some(ended) = memory.keys.end(ring, set, response, host.cells(), now) else { return };
        drop(memory);
        let _ = host.act(Action::Count(self.counters.fetched(set, ended.outcome)));
        if let Some(rule) = ring.set(set).filter(|_| ended.is_news) {
            let _ = host.act(Action::Log(&line::key_set(rule.name(), &ended)));
        }
    }

    /// The answer to a question, if it is known by now.
    pub(crate) fn answer(
        &self,
        question: Question,
        host: &impl StreamHost,
        now: UnixNanos,
    ) -> Option<Answer> {
        let policy = self.guard.policy();
        let is_ready = match question {
            Question::Keys => false,
            Question::KeySet { set, ended } => {
                let mut memory = self.memory(host).ok()?;
                memory.keys.refresh(&policy.tokens.keys, host.cells()).ok()?;
                memory.keys.has_ended_since(set, ended)
            }
            Question::FleetLimit { identity, answered, .. } => {
                let mut memory = self.memory(host).ok()?;
                let fleet = memory.fleet.as_mut()?;
                fleet.with(now, |link, _| link.is_answered(identity, answered)).ok()?
            }
            Question::FleetRevocations => {
                let mut memory = self.memory(host).ok()?;
                let fleet = memory.fleet.as_mut()?;
                fleet.refresh(host.cells(), now).ok()?;
                fleet.view().knowledge(policy.fleet.as_ref()?, now) != Knowledge::Coming
            }
        };
        is_ready.then_some(Answer::Ready)
    }

    /// How long to wait for the answer to a question.
    pub(crate) fn patience(&self, question: Question, now: UnixNanos) -> Patience {
        match question {
            Question::Keys | Question::KeySet { .. } => Patience::begin(500_000_000, now),
            Question::FleetRevocations => Patience::begin(1_000_000_000, now),
            Question::FleetLimit { since, .. } => {
                let fleet = self.guard.policy().fleet.as_ref();
                let timeout = fleet.map_or(0, |fleet| fleet.timeout_milliseconds);
                // For the call that was under way, and for the request's own.
                Patience::begin(u64::from(timeout).saturating_mul(2_000_000), since)
            }
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
            let opened = Memory::open_with(self.guard.policy(), host.cells(), &self.link, random);
            *memory = Some(opened.map_err(|_| Fault::SharedData)?);
        }
        RefMut::filter_map(memory, Option::as_mut).map_err(|_| Fault::SharedData)
    }
}
