//! One request: Envoy's hooks become events, and what they want done is done when nobody reads the request any more.
//!
//! A panic is caught within the event that it belongs to: what the event had ordered is dropped, the request is refused with
//! 500 and counted, and nothing of it goes on.

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;

use api_guard_core::exchange::{Exchange, Flow};
use api_guard_core::fault::Fault;
use api_guard_core::request::Request;
use api_guard_core::request::plan::HeaderPlan;
use api_guard_core::time::UnixNanos;

use crate::abi::{Filter, HeaderMap};
use crate::clock;
use crate::host::Envoy;
use crate::metrics::Handle;
use crate::orders::Orders;
use crate::ticker::{self, Pace, Ticket};
use crate::worker::Worker;

/// One request and its response.
pub(crate) struct Stream {
    /// `None` if it could not be made: nothing of the request goes on then.
    worker: Option<Rc<Worker>>,
    exchange: RefCell<Exchange>,
    /// Whether the request was answered by us.
    is_answered: Cell<bool>,
    /// Whether Envoy holds what has come of the request.
    is_held: Cell<bool>,
    /// While it waits for something that may never come.
    ticks: RefCell<Option<Ticket>>,
}

/// What becomes of a piece of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Piece {
    /// It goes on.
    Continues,
    /// Envoy keeps it.
    Held,
    /// Nobody will ask for it.
    Dropped,
}

impl Stream {
    pub(crate) fn new(worker: Option<Rc<Worker>>) -> Self {
        Self {
            worker,
            exchange: RefCell::default(),
            is_answered: Cell::new(false),
            is_held: Cell::new(false),
            ticks: RefCell::default(),
        }
    }

    /// Handles the headers of the request.
    pub(crate) fn on_request_headers(&self, filter: &mut Filter, end_of_stream: bool) -> Flow {
        self.step(filter, |exchange, worker, filter, envoy, now| {
            worker.config.metrics.settle(filter);
            let headers = filter.headers(HeaderMap::RequestHeaders);
            #[cfg(feature = "panic-on-demand")]
            panic_on_demand(headers.as_ref());
            let pairs = headers.as_ref().map(|headers| headers.pairs());
            exchange.on_request_headers(&worker.engine, pairs, end_of_stream, envoy, now)
        })
    }

    /// Handles a piece of the request's body.
    pub(crate) fn on_request_body(&self, filter: &mut Filter, end_of_stream: bool) -> Piece {
        let is_held = self.is_held.get();
        let flow = self.step(filter, |exchange, worker, filter, envoy, now| {
            let size = u64::try_from(filter.request_body_size(is_held)).unwrap_or(u64::MAX);
            exchange.on_request_body(&worker.engine, size, end_of_stream, envoy, now)
        });
        match flow {
            Flow::Continue => Piece::Continues,
            Flow::Pause if self.is_held.get() => Piece::Held,
            Flow::Pause => Piece::Dropped,
        }
    }

    /// Handles the request's trailers.
    pub(crate) fn on_request_trailers(&self, filter: &mut Filter) -> Flow {
        self.step(filter, |exchange, worker, filter, envoy, now| {
            let trailers = filter.headers(HeaderMap::RequestTrailers);
            let pairs = trailers.as_ref().map(|trailers| trailers.pairs());
            exchange.on_request_trailers(&worker.engine, pairs, envoy, now)
        })
    }

    /// Handles the headers of the response.
    pub(crate) fn on_response_headers(&self, filter: &mut Filter) -> Flow {
        // Nothing is added to most responses. An answer of ours passes here too, while the event that ordered it may still
        // be on its way.
        if self.is_answered.get() || self.exchange.try_borrow().is_ok_and(|exchange| exchange.is_over()) {
            return Flow::Continue;
        }
        self.step(filter, |exchange, worker, _, envoy, _| exchange.on_response_headers(&worker.engine, envoy))
    }

    /// Handles the passing of time.
    pub(crate) fn on_tick(&self, filter: &mut Filter) {
        self.step(filter, |exchange, worker, _, envoy, now| {
            if exchange.is_due(now) {
                exchange.on_tick(&worker.engine, envoy, now);
            }
            Flow::Pause
        });
    }

    /// Takes one step, and does what it ordered.
    fn step(
        &self,
        filter: &mut Filter,
        event: impl FnOnce(&mut Exchange, &Worker, &Filter, &mut Envoy<'_>, UnixNanos) -> Flow,
    ) -> Flow {
        let Some(worker) = self.worker.as_deref() else {
            self.refuse_unjudged(filter);
            return Flow::Pause;
        };
        // Envoy runs no event of a stream within another; if it did, the inner one would stop the request.
        let Ok(mut exchange) = self.exchange.try_borrow_mut() else { return Flow::Pause };
        let ended_calls = worker.config.ended_calls();
        let now = clock::now();
        let (mut flow, mut orders) = self.judge(worker, filter, &mut exchange, now, event);
        if orders.make_edits(filter).is_err() {
            (flow, orders) = self.refuse(worker, filter, &mut exchange, Fault::Edit, now);
            // These edits only tidy up for access logs.
            let _ = orders.make_edits(filter);
        }
        let waits = exchange.wants_ticks();
        let store = (waits && exchange.awaits_store()).then(|| worker.config.number());
        // From here on Envoy may run other hooks of this stream, or end it.
        drop(exchange);
        self.is_held.set(waits);
        self.set_ticks(waits, store, filter);
        if store.is_some() && worker.config.ended_calls() != ended_calls {
            // The call that it waits for may have ended before it could be woken.
            self.remind();
        }
        self.is_answered.set(self.is_answered.get() || orders.answers());
        orders.finish(filter);
        flow
    }

    /// Runs an event. If it panics, the request is refused.
    fn judge(
        &self,
        worker: &Worker,
        filter: &Filter,
        exchange: &mut Exchange,
        now: UnixNanos,
        event: impl FnOnce(&mut Exchange, &Worker, &Filter, &mut Envoy<'_>, UnixNanos) -> Flow,
    ) -> (Flow, Orders) {
        let mut envoy = Envoy::new(Handle::Stream(filter), &worker.config, self.is_held.get());
        // A panic leaves the exchange in a state of its own, in which it stops the request; what else it may have touched is
        // checked before it is used.
        let run = AssertUnwindSafe(|| event(exchange, worker, filter, &mut envoy, now));
        match catch_unwind(run) {
            Ok(flow) => (flow, envoy.into_orders()),
            Err(_) => self.refuse(worker, filter, exchange, Fault::Panic, now),
        }
    }

    /// Refuses the request for a fault of ours, unless it was answered before.
    fn refuse(
        &self,
        worker: &Worker,
        filter: &Filter,
        exchange: &mut Exchange,
        fault: Fault,
        now: UnixNanos,
    ) -> (Flow, Orders) {
        if self.is_answered.get() {
            return (Flow::Pause, Orders::default());
        }
        let mut envoy = Envoy::new(Handle::Stream(filter), &worker.config, self.is_held.get());
        let run = AssertUnwindSafe(|| exchange.on_fault(&worker.engine, fault, &mut envoy, now));
        match catch_unwind(run) {
            Ok(flow) => (flow, envoy.into_orders().in_grpc(speaks_grpc(filter))),
            Err(_) => (Flow::Pause, Orders::bare_refusal().in_grpc(speaks_grpc(filter))),
        }
    }

    /// Refuses the request without judging anything.
    pub(crate) fn refuse_unjudged(&self, filter: &mut Filter) {
        if !self.is_answered.replace(true) {
            Orders::bare_refusal().in_grpc(speaks_grpc(filter)).finish(filter);
        }
    }

    /// Begins or ends the ticks. `store`: the configuration whose store it waits for.
    fn set_ticks(&self, waits: bool, store: Option<u64>, filter: &Filter) {
        let Ok(mut ticks) = self.ticks.try_borrow_mut() else { return };
        if !waits {
            *ticks = None;
            return;
        }
        if ticks.is_none() {
            *ticks = ticker::register(filter.scheduler(), Pace::Early);
        }
        if let Some(ticket) = &*ticks {
            ticket.wait_for(store);
        }
    }

    fn remind(&self) {
        if let Ok(ticks) = self.ticks.try_borrow()
            && let Some(ticket) = &*ticks
        {
            ticket.remind();
        }
    }
}

/// Whether Envoy will answer the request in gRPC. Asked where the core does not know the request.
fn speaks_grpc(filter: &Filter) -> bool {
    let headers = filter.headers(HeaderMap::RequestHeaders);
    headers.is_some_and(|headers| Request::read(&HeaderPlan::default(), headers.pairs(), false).is_grpc())
}

#[cfg(feature = "panic-on-demand")]
#[expect(clippy::panic, reason = "this is what the feature is for")]
fn panic_on_demand(headers: Option<&crate::abi::Headers<'_>>) {
    let demands = |(name, _): (&[u8], &[u8])| name == b"x-api-guard-panic";
    if headers.is_some_and(|headers| headers.pairs().any(demands)) {
        panic!("as demanded");
    }
}
