//! The requests of a configuration for key sets: how are they sent, and how did they end?
//!
//! They are sent on the main thread alone, where Envoy lets a configuration send them; a worker whose stream waits for one
//! reminds the main thread. Envoy cancels those of a configuration that it destroys; another one begins anew when the lease
//! of such a fetch has lapsed.

use std::sync::{Mutex, PoisonError};

use api_guard_core::host::NotDone;
use api_guard_core::index::KeySetIndex;
use api_guard_core::keys::{Fetch, Response};
use api_guard_core::time::UnixNanos;

use crate::abi::FilterConfig;
use crate::clock;

/// A request that Envoy sends.
#[derive(Debug, Clone, Copy)]
struct Sent {
    set: KeySetIndex,
    /// Envoy's number of it.
    id: u64,
    /// When Envoy gives up, or a little before: its timers run by another clock.
    late: UnixNanos,
}

/// The requests of one configuration that have not ended; at most one for each set.
#[derive(Debug, Default)]
pub(crate) struct Fetches(Mutex<Vec<Sent>>);

impl Fetches {
    /// Sends a request.
    pub(crate) fn send(&self, fetch: Fetch<'_>, envoy: &FilterConfig) -> Result<(), NotDone> {
        let id = envoy.get(&fetch).ok_or(NotDone)?;
        // Nine tenths of it, in nanoseconds.
        let nanos = u64::from(fetch.timeout_milliseconds).saturating_mul(900_000);
        let late = UnixNanos::from_nanos(clock::now().nanos().saturating_add(nanos));
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // One that has not ended although the next one begins never will.
        sent.retain(|other| other.set != fetch.set);
        sent.push(Sent { set: fetch.set, id, late });
        Ok(())
    }

    /// The set whose request has ended, and whether its time was over. `None` if it is none of ours.
    pub(crate) fn end(&self, id: u64, now: UnixNanos) -> Option<(KeySetIndex, bool)> {
        let mut sent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let position = sent.iter().position(|known| known.id == id)?;
        let Sent { set, late, .. } = sent.swap_remove(position);
        Some((set, late <= now))
    }
}

/// What came back. `headers`: its names and values, none if nothing came. `is_late`: whether the time was over.
pub(crate) fn response<'b>(
    mut headers: impl Iterator<Item = (&'b [u8], &'b [u8])> + Clone,
    body: &'b [u8],
    is_late: bool,
) -> Response<'b> {
    let failed = if is_late { Response::TimedOut } else { Response::Reset };
    // Envoy itself answers in place of a server that does not, and then knows no time that the server has taken.
    let is_made_up = !headers.clone().any(|(name, _)| name == b"x-envoy-upstream-service-time");
    let status = headers.find(|(name, _)| *name == b":status");
    let status = status.and_then(|(_, status)| std::str::from_utf8(status).ok()?.parse().ok());
    match status {
        None => failed,
        Some(504) if is_made_up => Response::TimedOut,
        Some(502 | 503) if is_made_up => failed,
        Some(status) => Response::Complete { status, body },
    }
}
