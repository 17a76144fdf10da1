//! Does the host deliver the body of a request whose headers are held until the body has been seen?
//!
//! Envoy does so only if the plugin was loaded with `allow_on_headers_stop_iteration`, and does not tell the plugin
//! whether it was. The first held body shows it. If the body is delivered, holding works. If the host has received part
//! of it and delivered nothing, holding does not work: the request is released, and its body and all later ones are
//! counted while they stream. Either way no request passes unjudged; the difference is whether the upstream sees the
//! start of a body that turns out to be too large.

use super::patience::Patience;
use crate::engine::Engine;
use crate::host::StreamHost;
use crate::time::UnixNanos;

/// How long to wait for the first byte of a body while it is unknown whether holding works, nanoseconds. Without this
/// deadline a request with an empty body would hang wherever holding does not work.
const PATIENCE_NANOS: u64 = 5_000_000_000;

/// Whether holding works, as far as is known.
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
    /// Whether the body is still needed to find out if holding works.
    pub(super) is_watched: bool,
}

impl Hold {
    /// Starts holding a request. Returns `None` if holding is known not to work and the request may continue without
    /// it, which a request for the revocation endpoint (`for_endpoint`) may not. `is_declared`: a body is certain to
    /// come, so there is no deadline for its first byte.
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

    /// Notes that the held request's body arrives, so holding works.
    pub(super) fn body_seen(&mut self, engine: &Engine) {
        if self.is_watched {
            self.is_watched = false;
            engine.holds.set(HostHolds::Yes);
        }
    }

    /// Whether the request is held in vain, and is to be released or answered now.
    pub(super) fn is_in_vain(&mut self, engine: &Engine, host: &impl StreamHost, now: UnixNanos) -> bool {
        // Where holding works, a missing body only means a slow client.
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
