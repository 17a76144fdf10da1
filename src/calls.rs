//! The requests of a root context, for key sets and to the store of the fleet: how are they sent, and how did they end?
//!
//! They belong to the root context, so that no stream that ends takes them with it. Envoy cancels those of a root context
//! that it deletes; another worker begins anew when the lease of such a fetch has lapsed.

use std::cell::RefCell;

use api_guard_core::fleet::{Call, CallResponse, MOST_REPLY_BYTES};
use api_guard_core::host::NotDone;
use api_guard_core::index::KeySetIndex;
use api_guard_core::keys::{Fetch, Response};
use api_guard_core::time::UnixNanos;

use crate::abi;
use crate::block::Block;
#[cfg(feature = "sdk")]
use crate::sdk::send;

#[cfg(not(feature = "sdk"))]
use crate::abi::send;

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
    token: u32,
    /// When Envoy gives up, or a little before: its timers run by another clock.
    late: UnixNanos,
}

/// The requests of one root context that have not ended; at most one for each set, and one to the store.
#[derive(Debug)]
pub(crate) struct Calls {
    root: u32,
    sent: RefCell<Vec<Sent>>,
}

impl Calls {
    pub(crate) fn new(root: u32) -> Self {
        Self { root, sent: RefCell::default() }
    }

    /// Sends a request for a key set. `current`: the context of the present callback, which goes on afterwards.
    pub(crate) fn fetch(&self, fetch: Fetch<'_>, current: u32) -> Result<(), NotDone> {
        let headers = [(":method", "GET"), (":path", fetch.path), (":authority", fetch.authority)];
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
        let token = begun?;
        // Nine tenths of it, in nanoseconds.
        let nanos = u64::from(timeout_milliseconds).saturating_mul(900_000);
        let late = UnixNanos::from_nanos(abi::now().nanos().saturating_add(nanos));
        // One that has not ended although the next one begins never will.
        sent.retain(|other| !other.purpose.excludes(purpose));
        sent.push(Sent { purpose, token, late });
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
        let mut sent = self.sent.try_borrow_mut().ok()?;
        let position = sent.iter().position(|known| known.token == token)?;
        let Sent { purpose, late, .. } = sent.swap_remove(position);
        Some((purpose, Ended::read(headers, body_size.min(purpose.most_bytes()), late <= now)))
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
    fn read(headers: u32, body_size: usize, is_late: bool) -> Self {
        let failed = if is_late { Self::TimedOut } else { Self::Reset };
        // There is no map of headers where a response has begun and does not end.
        if headers == 0 {
            return failed;
        }
        let bytes = abi::response_headers();
        let Some(block) = bytes.as_deref().and_then(Block::read) else { return failed };
        let value = |wanted: &[u8]| block.pairs().find(|(name, _)| *name == wanted).map(|(_, value)| value);
        let status = value(b":status").and_then(|status| std::str::from_utf8(status).ok()?.parse().ok());
        // Envoy itself answers in place of a server that does not, and then knows no time that the server has taken.
        let is_made_up = value(b"x-envoy-upstream-service-time").is_none();
        match status {
            None => failed,
            Some(504) if is_made_up => Self::TimedOut,
            Some(502 | 503) if is_made_up => failed,
            Some(status) => {
                abi::response_body(body_size).map_or(failed, |body| Self::Complete { status, body })
            }
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
