//! Envoy as the core's host, for the stream of the current callback.

use api_guard_core::effect::forward::Edit;
use api_guard_core::fault::Fault;
use api_guard_core::guard::Question;
use api_guard_core::host::{Action, Host, NotDone, StreamHost};
use api_guard_core::token::signature::{SignatureCheck, SignatureFault, SignatureHost};

use crate::abi;
use crate::cells::SharedData;
use crate::memory::Received;
use crate::root::Plugin;

/// A stream, or a root context, that has been entered.
pub(crate) struct Envoy<'p> {
    cells: SharedData,
    plugin: &'p Plugin,
    context: u32,
}

impl<'p> Envoy<'p> {
    pub(crate) fn new(plugin: &'p Plugin, context: u32) -> Self {
        Self { cells: SharedData, plugin, context }
    }
}

/// Envoy as whoever verifies signatures, which needs no stream.
#[derive(Debug)]
pub(crate) struct Signatures;

impl SignatureHost for Signatures {
    fn verify_signature(&self, check: &SignatureCheck<'_>) -> Result<bool, SignatureFault> {
        abi::verify_signature(check)
    }
}

impl SignatureHost for Envoy<'_> {
    fn verify_signature(&self, check: &SignatureCheck<'_>) -> Result<bool, SignatureFault> {
        Signatures.verify_signature(check)
    }
}

impl Host for Envoy<'_> {
    type Cells = SharedData;
    type Bytes = Received;

    fn cells(&self) -> &SharedData {
        &self.cells
    }

    fn peer_address(&self) -> Option<Received> {
        abi::source_address()
    }
}

impl StreamHost for Envoy<'_> {
    fn random(&self) -> Option<[u8; 16]> {
        abi::random()
    }

    fn bytes_received(&self) -> Option<u64> {
        abi::size_received()
    }

    fn is_answered(&self) -> bool {
        abi::is_answered()
    }

    fn request_body(&self, start: usize, most: usize) -> Result<Vec<u8>, Fault> {
        abi::request_body(start, most)
    }

    fn act(&mut self, action: Action<'_>) -> Result<(), NotDone> {
        match action {
            Action::Edit(Edit::Remove(name)) => return abi::remove_request_header(name),
            Action::Edit(Edit::Add(name, value)) => return abi::add_request_header(name.as_bytes(), value),
            Action::Edit(Edit::Set(name, value)) => return abi::set_request_header(name.as_bytes(), value),
            Action::RemoveTrailer(name) => return abi::remove_request_trailer(name),
            Action::MarkResponse { name, value } => {
                return abi::set_response_header(name.as_bytes(), value.as_bytes());
            }
            Action::FilterState { name, value } => abi::set_filter_state(name, value),
            Action::Count(counter) => self.plugin.metrics.add(counter),
            Action::Add { counter, by } => self.plugin.metrics.add_many(counter, by),
            Action::Gauge { gauge, value } => self.plugin.metrics.show(gauge, value),
            Action::Log(line) => log::log!(line.level, "{}", line.text),
            Action::Reply { reply, is_grpc } => abi::send_reply(reply, is_grpc),
            // No configuration asks this.
            Action::Ask { question: Question::Keys, .. } => return Err(NotDone),
            // The stream finds the answer in the shared cells.
            Action::Ask { question: Question::KeySet { .. }, .. } => {}
            // The stream finds the answer in its worker's memory.
            Action::Ask { question: Question::FleetLimit { .. } | Question::FleetRevocations, .. } => {}
            Action::Fetch(fetch) => return self.plugin.calls.fetch(fetch, self.context),
            // Every worker calls for itself, so nobody has to be reminded.
            Action::Remind => {}
            Action::Call(call) => return self.plugin.calls.call(call, self.context),
            Action::Resume => abi::resume_request(),
        }
        Ok(())
    }
}
