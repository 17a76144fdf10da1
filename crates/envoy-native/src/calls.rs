//! The requests of a configuration, for key sets and to the store of a fleet: how are they sent, and how did they end?
//!
//! They are sent on the main thread alone, where Envoy lets a configuration send them; a worker whose stream waits for one
//! reminds the main thread. Envoy cancels those of a configuration that it destroys; another one begins anew when the lease
//! of such a fetch has lapsed.

use std::sync::{Mutex, PoisonError};

use api_guard_core::fleet::{Call, CallResponse, MOST_REPLY_BYTES};
use api_guard_core::host::NotDone;
use api_guard_core::index::KeySetIndex;
use api_guard_core::keys::{Fetch, Response};
use api_guard_core::time::UnixNanos;

use crate::abi::FilterConfig;
use crate::clock;

/// What a request is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    KeySet(KeySetIndex),
    /// A call of this number to the store.
    Store(u32),
}

impl Purpose {
    /// Whether only one of the two can be in flight.
    fn excludes(self, other: Self) -> bool {
        match (self, other) {
            (Self::Store(_), Self::Store(_)) => true,
            _ => self == other,
        }
    }

    /// As much of a body as is read, bytes.
    fn most_bytes(self) -> usize {
        match self {
            Self::KeySet(_) => Response::MOST_BYTES,
            // One more shows that the reply is too long.
            Self::Store(_) => MOST_REPLY_BYTES.saturating_add(1),
        }
    }
}

/// A request that Envoy sends.
#[derive(Debug, Clone, Copy)]
struct Sent {
    purpose: Purpose,
    /// Envoy's number of it.
    id: u64,
    /// When Envoy gives up, or a little before: its timers run by another clock.
    late: UnixNanos,
}

/// The requests of one configuration that have not ended; at most one for each set, and one to the store.
#[derive(Debug, Default)]
pub(crate) struct Calls(Mutex<Vec<Sent>>);

impl Calls {
    /// Sends a request for a key set.
    pub(crate) fn fetch(&self, fetch: &Fetch<'_>, envoy: &FilterConfig) -> Result<(), NotDone> {
        let headers = [(":method", "GET"), (":path", fetch.path), (":authority", fetch.authority)];
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
        // Nine tenths of it, in nanoseconds.
        let nanos = u64::from(timeout_milliseconds).saturating_mul(900_000);
        let late = UnixNanos::from_nanos(clock::now().nanos().saturating_add(nanos));
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that has not ended although the next one begins never will.
        sent.retain(|other| !other.purpose.excludes(purpose));
        sent.push(Sent { purpose, id, late });
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
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let position = sent.iter().position(|known| known.id == id)?;
        let Sent { purpose, late, .. } = sent.swap_remove(position);
        drop(sent);
        Some((purpose, Ended::read(headers, || body(purpose.most_bytes()), late <= now)))
    }
}

/// How a request ended.
#[derive(Debug)]
pub(crate) enum Ended {
    Complete { status: u16, body: Vec<u8> },
    TimedOut,
    Reset,
}

impl Ended {
    fn read<'b>(
        mut headers: impl Iterator<Item = (&'b [u8], &'b [u8])> + Clone,
        body: impl FnOnce() -> Vec<u8>,
        is_late: bool,
    ) -> Self {
        let failed = if is_late { Self::TimedOut } else { Self::Reset };
        // Envoy itself answers in place of a server that does not, and then knows no time that the server has taken.
        let is_made_up = !headers.clone().any(|(name, _)| name == b"x-envoy-upstream-service-time");
        let status = headers.find(|(name, _)| *name == b":status");
        let status = status.and_then(|(_, status)| std::str::from_utf8(status).ok()?.parse().ok());
        match status {
            None => failed,
            Some(504) if is_made_up => Self::TimedOut,
            Some(502 | 503) if is_made_up => failed,
            Some(status) => Self::Complete { status, body: body() },
        }
    }

    /// As whoever fetches key sets sees it.
    pub(crate) fn response(&self) -> Response<'_> {
        match self {
            Self::Complete { status, body } => Response::Complete { status: *status, body },
            Self::TimedOut => Response::TimedOut,
            Self::Reset => Response::Reset,
        }
    }

    /// As whoever calls the store sees it. Envoy gives what it reads the status 200.
    pub(crate) fn reply(&self) -> CallResponse<'_> {
        match self {
            Self::Complete { status: 200, body } => CallResponse::Reply(body),
            Self::TimedOut => CallResponse::TimedOut,
            Self::Complete { .. } | Self::Reset => CallResponse::Reset,
        }
    }
}
