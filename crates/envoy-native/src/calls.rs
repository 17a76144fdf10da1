//! The requests of a configuration, for key sets and to the store of a fleet: how are they sent?
//!
//! They are sent on the main thread alone, where Envoy lets a configuration send them; a worker whose stream waits for one
//! reminds the main thread. Envoy cancels those of a configuration that it destroys. If it does so on the main thread, the next
//! configuration begins such a fetch anew at once, else when the lease has lapsed.

use std::sync::{Mutex, PoisonError};

use api_guard_core::calls::{Ended, InFlight, Purpose};
use api_guard_core::fleet::Call;
use api_guard_core::host::NotDone;
use api_guard_core::keys::Fetch;
use api_guard_core::time::UnixNanos;

use crate::abi::FilterConfig;
use crate::clock;

/// The requests of one configuration that have not ended.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<InFlight<u64>>);

impl Calls {
    /// Sends a request for a key set.
    pub(crate) fn fetch(&self, fetch: &Fetch<'_>, envoy: &FilterConfig) -> Result<(), NotDone> {
        let headers = fetch.headers();
        let timeout = fetch.timeout_milliseconds;
        let id = envoy.send(fetch.cluster, &headers, &[], timeout).ok_or(NotDone)?;
        self.note(Purpose::KeySet(fetch.set), id, timeout);
        Ok(())
    }

    /// Sends a call to the store. Its cluster passes the body on as it is, and nothing of the headers, which Envoy wants.
    pub(crate) fn call(&self, call: &Call<'_>, envoy: &FilterConfig) -> Result<(), NotDone> {
        let headers = [(":method", "POST"), (":path", "/"), (":authority", call.cluster)];
        let timeout = call.timeout_milliseconds;
        let id = envoy.send(call.cluster, &headers, &call.body, timeout).ok_or(NotDone)?;
        self.note(Purpose::Store(call.number), id, timeout);
        Ok(())
    }

    fn note(&self, purpose: Purpose, id: u64, timeout_milliseconds: u32) {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        sent.note(purpose, id, timeout_milliseconds, clock::now());
    }

    /// What the request was for that has ended, and what came of it; `None` if it is none of ours. `headers`: names and values of
    /// its response, none if nothing came. `body`: reads at most so many bytes of it.
    pub(crate) fn end<'b>(
        &self,
        id: u64,
        headers: impl Iterator<Item = (&'b [u8], &'b [u8])> + Clone,
        body: impl FnOnce(usize) -> Vec<u8>,
        now: UnixNanos,
    ) -> Option<(Purpose, Ended)> {
        let sent = self.0.lock().unwrap_or_else(PoisonError::into_inner).end(&id)?;
        let body = || Some(body(sent.purpose.most_bytes()));
        Some((sent.purpose, Ended::read(headers, body, sent.is_late(now))))
    }
}
