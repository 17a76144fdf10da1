//! The requests of a root context, for key sets and to the store of the fleet: how are they sent?
//!
//! They belong to the root context, so that no stream that ends takes them with it. Envoy cancels those of a root context
//! that it deletes, which then leaves its fetches to other workers. Those of a VM that has died begin anew when the lease has
//! lapsed.

use std::cell::RefCell;

use api_guard_core::calls::{Ended, InFlight, Purpose};
use api_guard_core::fleet::Call;
use api_guard_core::host::NotDone;
use api_guard_core::keys::Fetch;
use api_guard_core::time::UnixNanos;

use crate::abi;
use crate::block::Block;
#[cfg(feature = "sdk")]
use crate::sdk::send;

#[cfg(not(feature = "sdk"))]
use crate::abi::send;

/// The requests of one root context that have not ended.
#[derive(Debug)]
pub(crate) struct Calls {
    root: u32,
    sent: RefCell<InFlight<u32>>,
}

impl Calls {
    pub(crate) fn new(root: u32) -> Self {
        Self { root, sent: RefCell::default() }
    }

    /// Sends a request for a key set. `current`: the context of the present callback, which goes on afterwards.
    pub(crate) fn fetch(&self, fetch: Fetch<'_>, current: u32) -> Result<(), NotDone> {
        let headers = fetch.headers();
        let timeout = fetch.timeout_milliseconds;
        self.send(Purpose::KeySet(fetch.set), current, timeout, || {
            send(fetch.cluster, &headers, &[], timeout)
        })
    }

    /// Sends a call to the store. Its cluster passes the body on as it is, and nothing of the headers, which Envoy wants.
    pub(crate) fn call(&self, call: &Call<'_>, current: u32) -> Result<(), NotDone> {
        let headers = [(":method", "POST"), (":path", "/"), (":authority", call.cluster)];
        let timeout = call.timeout_milliseconds;
        let purpose = Purpose::Store(call.number);
        self.send(purpose, current, timeout, || send(call.cluster, &headers, &call.body, timeout))
    }

    fn send(
        &self,
        purpose: Purpose,
        current: u32,
        timeout_milliseconds: u32,
        send: impl FnOnce() -> Result<u32, NotDone>,
    ) -> Result<(), NotDone> {
        let mut sent = self.sent.try_borrow_mut().map_err(|_| NotDone)?;
        if !abi::enter(self.root) {
            return Err(NotDone);
        }
        let begun = send();
        if current != self.root {
            abi::enter(current);
        }
        sent.note(purpose, begun?, timeout_milliseconds, abi::now());
        Ok(())
    }

    /// What the request was for that has ended, and what came of it. `None` if it is none of ours. Its root context must have
    /// been entered.
    pub(crate) fn end(
        &self,
        token: u32,
        headers: u32,
        body_size: usize,
        now: UnixNanos,
    ) -> Option<(Purpose, Ended)> {
        let sent = self.sent.try_borrow_mut().ok()?.end(&token)?;
        // There is no map of headers where a response has begun and does not end.
        let bytes = if headers == 0 { None } else { abi::response_headers() };
        let block = bytes.as_deref().and_then(Block::read);
        let body = || abi::response_body(body_size.min(sent.purpose.most_bytes()));
        let headers = block.into_iter().flat_map(Block::pairs);
        Some((sent.purpose, Ended::read(headers, body, sent.is_late(now))))
    }
}
