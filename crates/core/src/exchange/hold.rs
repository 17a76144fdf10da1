//! A request that is held until its body has ended: what is held of it, how long it may take, and whether the host delivers
//! it at all.
//!
//! Envoy delivers the body of a request whose headers are held only if the plugin was loaded with
//! `allow_on_headers_stop_iteration`, and does not tell the plugin whether it was. The first held body shows it. If the
//! body is delivered, holding works. If the host has received part of it and delivered nothing, holding does not work: the
//! request is released, and its body and all later ones are counted while they stream. Either way no request passes
//! unjudged; the difference is whether the upstream sees the start of a body that turns out to be too large.

use super::ledger::Kept;
use super::patience::Patience;
use crate::denial::Denial;
use crate::engine::Engine;
use crate::held::HeldBody;
use crate::host::StreamHost;
use crate::time::UnixNanos;
use crate::verdict::{Destination, too_large};

/// How long a held body may go without a new byte, nanoseconds.
const UPSTREAM_PATIENCE_NANOS: u64 = 15_000_000_000;
/// How long the whole body of a revocation may take from the headers on, nanoseconds.
const ENDPOINT_PATIENCE_NANOS: u64 = 10_000_000_000;

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
    max_bytes: u64,
    destination: Destination,
    body: HeldBody,
    patience: Patience,
    /// `None` once the body has been delivered, or once it is known that holding works.
    watch: Option<Watch>,
}

/// A request that is to show whether holding works.
#[derive(Debug)]
struct Watch {
    /// What the host had received when the body was still to come, bytes; `None` if it cannot tell.
    received_before_body: Option<u64>,
}

/// What is to be done with a held request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing.
    Waits,
    /// The host does not deliver its body.
    Undelivered,
    /// Its body did not come in time.
    Overdue,
}

impl Hold {
    /// Starts holding an admitted request. Returns `None` if holding is known not to work and the request may continue
    /// without it, which a request for the revocation endpoint may not. `received_before`: what the host had received when
    /// the body was still to come, if it was asked then.
    pub(super) fn begin(
        engine: &Engine,
        kept: &Kept,
        max_bytes: u64,
        received_before: Option<u64>,
        host: &impl StreamHost,
    ) -> Option<Self> {
        let destination = kept.grant.destination();
        let patience_nanos = match destination {
            Destination::Upstream if engine.holds.get() == HostHolds::No => return None,
            Destination::Upstream => UPSTREAM_PATIENCE_NANOS,
            Destination::RevocationEndpoint => ENDPOINT_PATIENCE_NANOS,
        };
        let watch = (engine.holds.get() != HostHolds::Yes)
            .then(|| Watch { received_before_body: received_before.or_else(|| host.bytes_received()) });
        Some(Self {
            max_bytes,
            destination,
            body: HeldBody::new(&engine.held),
            patience: Patience::begin(patience_nanos, kept.headers_at),
            watch,
        })
    }

    /// The size above which the body is refused, bytes.
    pub(super) fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// Notes that `size` bytes of the body have been delivered.
    ///
    /// # Errors
    ///
    /// Why the request is refused: the body has a type that is not accepted, it is too large, or there is no room for
    /// it.
    pub(super) fn arrives(
        &mut self,
        engine: &Engine,
        kept: &Kept,
        size: u64,
        host: &impl StreamHost,
        now: UnixNanos,
    ) -> Result<(), Denial> {
        self.is_delivered(engine);
        kept.grant.body.judge_type(size)?;
        if size > self.max_bytes {
            return Err(too_large(self.max_bytes));
        }
        let has_grown = self.body.grow(size, engine.max_held_bytes(), host.cells(), now)?;
        match self.destination {
            Destination::Upstream if has_grown => self.patience.begin_anew(now),
            Destination::Upstream | Destination::RevocationEndpoint => {}
        }
        Ok(())
    }

    /// Notes that the body is delivered, so holding works.
    fn is_delivered(&mut self, engine: &Engine) {
        if self.watch.take().is_some() {
            engine.holds.set(HostHolds::Yes);
        }
    }

    /// Whether [`Self::look`] may find something. Asks nobody, so that many who wait cost little.
    pub(super) fn is_due(&mut self, now: UnixNanos) -> bool {
        self.watch.is_some() || self.patience.is_over(now)
    }

    /// Looks whether the request has to wait any longer.
    pub(super) fn look(&mut self, engine: &Engine, host: &impl StreamHost, now: UnixNanos) -> Found {
        if engine.holds.get() == HostHolds::Yes {
            // A missing body only means a slow client.
            self.watch = None;
        }
        if let Some(watch) = &self.watch {
            let received = watch.received_before_body.zip(host.bytes_received());
            if received.is_some_and(|(before, now)| before < now) {
                engine.holds.set(HostHolds::No);
            }
            if engine.holds.get() == HostHolds::No {
                return Found::Undelivered;
            }
        }
        if self.patience.is_over(now) { Found::Overdue } else { Found::Waits }
    }
}
