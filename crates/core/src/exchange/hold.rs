//! Does the host deliver the body of a request that is held back until the body has been seen?
//!
//! Envoy does only where the plugin was loaded with `allow_on_headers_stop_iteration`, and does not tell the plugin
//! whether it was. The first held body tells: if it is delivered, holding works. If the host has received some of it and
//! delivered nothing, holding does not work here: the request is released, its body is counted while it streams, and so is
//! every later one. Either way no request passes unjudged; what differs is whether the upstream has heard of a body that
//! turns out too large.

use super::patience::Patience;
use crate::engine::Engine;
use crate::host::StreamHost;
use crate::time::UnixNanos;

/// How long a body is waited for while nothing is known and nothing of it has come, nanoseconds. An empty body gives
/// no sign of itself where holding does not work, so without an end to it such a request would hang.
const PATIENCE_NANOS: u64 = 5_000_000_000;

/// What is known of holding.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum HostHolds {
    #[default]
    Unknown,
    Yes,
    No,
}

/// One held request.
#[derive(Debug)]
pub(super) struct Hold {
    /// Absent where some body is sure to come.
    patience: Option<Patience>,
    /// What the host had received when the body was still to come, bytes.
    received_before_body: Option<u64>,
    /// Whether it is still to be seen whether the body is delivered.
    pub(super) is_watched: bool,
}

impl Hold {
    /// Starts holding a request; `None` if holding is known not to work here and the request may go on without, which one
    /// for the revocation endpoint (`for_endpoint`) may not. `is_declared`: some body is sure to come, so that none yet is no
    /// reason to give up. `received_before`: what the host had received when the body was still to come, if it is known.
    pub(super) fn begin(
        engine: &Engine,
        for_endpoint: bool,
        is_declared: bool,
        received_before: Option<u64>,
        host: &impl StreamHost,
        now: UnixNanos,
    ) -> Option<Self> {
        let known = engine.holds.get();
        if known == HostHolds::No && !for_endpoint {
            return None;
        }
        let is_watched = known != HostHolds::Yes;
        Some(Self {
            patience: (!is_declared).then(|| Patience::begin(PATIENCE_NANOS, now)),
            received_before_body: if is_watched {
                received_before.or_else(|| host.bytes_received())
            } else {
                None
            },
            is_watched,
        })
    }

    /// The held request's body arrives: holding works.
    pub(super) fn body_seen(&mut self, engine: &Engine) {
        if self.is_watched {
            self.is_watched = false;
            engine.holds.set(HostHolds::Yes);
        }
    }

    /// Whether the request is held in vain, and is to be released or answered now.
    pub(super) fn is_in_vain(&mut self, engine: &Engine, host: &impl StreamHost, now: UnixNanos) -> bool {
        // Where holding works a slow client is just slow.
        if !self.is_watched || engine.holds.get() == HostHolds::Yes {
            self.is_watched = false;
            return false;
        }
        if self.received_before_body.zip(host.bytes_received()).is_some_and(|(before, now)| before < now) {
            engine.holds.set(HostHolds::No);
        }
        engine.holds.get() == HostHolds::No
            || self.patience.as_mut().is_some_and(|patience| patience.is_over(now))
    }
}
