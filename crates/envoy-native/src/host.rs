//! Envoy as the core's host, for one event.

use api_guard_core::effect::forward::Edit;
use api_guard_core::fault::Fault;
use api_guard_core::guard::Question;
use api_guard_core::host::{Action, Host, NotDone, StreamHost};
use api_guard_core::token::native::NativeSignatures;
use api_guard_core::token::signature::{SignatureCheck, SignatureFault, SignatureHost};

use crate::abi::{self, HeaderMap};
use crate::cells::SharedCells;
use crate::config::Config;
use crate::metrics::Handle;
use crate::orders::{Change, Orders};

/// The stream or the configuration of the hook that runs.
pub(crate) struct Envoy<'e> {
    handle: Handle<'e>,
    config: &'e Config,
    /// Whether Envoy holds what has come of the body so far.
    holds: bool,
    orders: Orders,
}

impl<'e> Envoy<'e> {
    pub(crate) fn new(handle: Handle<'e>, config: &'e Config, holds: bool) -> Self {
        Self { handle, config, holds, orders: Orders::default() }
    }

    /// What is to be done now that the event is over.
    pub(crate) fn into_orders(self) -> Orders {
        self.orders
    }

    /// Notes an edit, if there are headers to edit.
    fn edit(&mut self, map: HeaderMap, change: Change, name: &[u8], value: &[u8]) -> Result<(), NotDone> {
        match self.handle {
            Handle::Stream(filter) if filter.has_headers(map) => {
                self.orders.edit(map, change, name, value);
                Ok(())
            }
            Handle::Stream(_) | Handle::Config(_) => Err(NotDone),
        }
    }
}

impl SignatureHost for Envoy<'_> {
    fn verify_signature(&self, check: &SignatureCheck<'_>) -> Result<bool, SignatureFault> {
        NativeSignatures.verify_signature(check)
    }
}

impl<'e> Host for Envoy<'e> {
    type Cells = SharedCells;
    type Bytes = &'e [u8];

    fn cells(&self) -> &SharedCells {
        &self.config.shared.cells
    }

    fn peer_address(&self) -> Option<&'e [u8]> {
        match self.handle {
            Handle::Stream(filter) => filter.source_address(),
            Handle::Config(_) => None,
        }
    }
}

impl StreamHost for Envoy<'_> {
    fn random(&self) -> Option<[u8; 16]> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes).ok().map(|()| bytes)
    }

    /// Only asked to find out whether Envoy delivers the bodies of held requests, which it does.
    fn bytes_received(&self) -> Option<u64> {
        None
    }

    fn is_answered(&self) -> bool {
        match self.handle {
            Handle::Stream(filter) => filter.is_answered(),
            Handle::Config(_) => false,
        }
    }

    fn request_body(&self, start: usize, most: usize) -> Result<Vec<u8>, Fault> {
        match self.handle {
            Handle::Stream(filter) => filter.request_body(self.holds, start, most).ok_or(Fault::Body),
            Handle::Config(_) => Err(Fault::Body),
        }
    }

    fn act(&mut self, action: Action<'_>) -> Result<(), NotDone> {
        use HeaderMap::{RequestHeaders, RequestTrailers, ResponseHeaders};
        match action {
            Action::Edit(Edit::Remove(name)) => return self.edit(RequestHeaders, Change::Remove, name, b""),
            Action::Edit(Edit::Add(name, value)) => {
                return self.edit(RequestHeaders, Change::Add, name.as_bytes(), value);
            }
            Action::Edit(Edit::Set(name, value)) => {
                return self.edit(RequestHeaders, Change::Set, name.as_bytes(), value);
            }
            Action::RemoveTrailer(name) => return self.edit(RequestTrailers, Change::Remove, name, b""),
            Action::MarkResponse { name, value } => {
                return self.edit(ResponseHeaders, Change::Set, name.as_bytes(), value.as_bytes());
            }
            Action::FilterState { name, value } => {
                if let Handle::Stream(filter) = self.handle {
                    filter.set_filter_state(name, value);
                }
            }
            Action::Count(counter) => self.config.metrics.add(counter, self.handle),
            Action::Add { counter, by } => self.config.metrics.add_many(counter, by, self.handle),
            Action::Gauge { gauge, value } => self.config.metrics.show(gauge, value, self.handle),
            Action::Log(line) => abi::log(line.level, &line.text),
            Action::Reply { reply, is_grpc } => self.orders.reply(reply, is_grpc),
            // No configuration asks this.
            Action::Ask { question: Question::Keys, .. } => return Err(NotDone),
            // The stream finds the answer in the shared cells.
            Action::Ask { question: Question::KeySet { .. }, .. } => {}
            // The stream finds the answer at the link that all workers share.
            Action::Ask { question: Question::FleetLimit { .. } | Question::FleetRevocations, .. } => {}
            Action::Fetch(fetch) => {
                return match self.handle {
                    Handle::Config(envoy) => self.config.calls.fetch(&fetch, envoy),
                    Handle::Stream(_) => Err(NotDone),
                };
            }
            Action::Call(call) => {
                return match self.handle {
                    Handle::Config(envoy) => self.config.calls.call(call, envoy),
                    Handle::Stream(_) => Err(NotDone),
                };
            }
            Action::Remind => self.config.remind(),
            Action::Resume => self.orders.resume(),
        }
        Ok(())
    }
}
