//! The requests of a root context for key sets: how are they sent, and how did they end?
//!
//! They belong to the root context, so that no stream that ends takes them with it. Envoy cancels those of a root context
//! that it deletes; another worker begins anew when the lease of such a fetch has lapsed.

use std::cell::RefCell;

use api_guard_core::host::NotDone;
use api_guard_core::index::KeySetIndex;
use api_guard_core::keys::{Fetch, Response};
use api_guard_core::time::UnixNanos;

use crate::abi;
use crate::block::Block;
#[cfg(feature = "sdk")]
use crate::sdk::get;

#[cfg(not(feature = "sdk"))]
use crate::abi::get;

/// A request that Envoy sends.
#[derive(Debug, Clone, Copy)]
struct Sent {
    set: KeySetIndex,
    /// Envoy's number of it.
    token: u32,
    /// When Envoy gives up, or a little before: its timers run by another clock.
    late: UnixNanos,
}

/// The requests of one root context that have not ended; at most one for each set.
#[derive(Debug)]
pub(crate) struct Fetches {
    root: u32,
    sent: RefCell<Vec<Sent>>,
}

impl Fetches {
    pub(crate) fn new(root: u32) -> Self {
        Self { root, sent: RefCell::default() }
    }

    /// Sends a request from the root context. `current`: the context of the present callback, which goes on afterwards.
    pub(crate) fn send(&self, fetch: Fetch<'_>, current: u32) -> Result<(), NotDone> {
        let mut sent = self.sent.try_borrow_mut().map_err(|_| NotDone)?;
        if !abi::enter(self.root) {
            return Err(NotDone);
        }
        let begun = get(fetch.cluster, fetch.authority, fetch.path, fetch.timeout_milliseconds);
        if current != self.root {
            abi::enter(current);
        }
        let token = begun?;
        // Nine tenths of it, in nanoseconds.
        let nanos = u64::from(fetch.timeout_milliseconds).saturating_mul(900_000);
        let late = UnixNanos::from_nanos(abi::now().nanos().saturating_add(nanos));
        // One that has not ended although the next one begins never will.
        sent.retain(|other| other.set != fetch.set);
        sent.push(Sent { set: fetch.set, token, late });
        Ok(())
    }

    /// The set whose request has ended, and what came of it. `None` if it is none of ours. Its root context must have been
    /// entered.
    pub(crate) fn end(
        &self,
        token: u32,
        headers: u32,
        body_size: usize,
        now: UnixNanos,
    ) -> Option<(KeySetIndex, Ended)> {
        let mut sent = self.sent.try_borrow_mut().ok()?;
        let position = sent.iter().position(|known| known.token == token)?;
        let Sent { set, late, .. } = sent.swap_remove(position);
        Some((set, Ended::read(headers, body_size, late <= now)))
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
                let most = body_size.min(Response::MOST_BYTES);
                abi::response_body(most).map_or(failed, |body| Self::Complete { status, body })
            }
        }
    }

    /// As the core sees it.
    pub(crate) fn response(&self) -> Response<'_> {
        match self {
            Self::Complete { status, body } => Response::Complete { status: *status, body },
            Self::TimedOut => Response::TimedOut,
            Self::Reset => Response::Reset,
        }
    }
}
