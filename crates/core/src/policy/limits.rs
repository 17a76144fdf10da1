//! How many requests does each limit admit, and what does it count separately?

use std::num::NonZeroU32;

#[cfg(feature = "schema")]
use schemars::JsonSchema;

use super::{Mode, Network};
use crate::index::KeyHeaderIndex;
use crate::token::claims::TextSlot;

/// The name of the limit on failed authentications in counters and headers; no configured limit may have it.
pub(crate) const AUTH_FAILURES: &str = "auth-failures";

/// The longest window of a limit: a leap year, in seconds.
pub(crate) const LONGEST_WINDOW_SECONDS: u32 = 31_622_400;

/// One rate limit.
#[derive(Debug)]
pub(crate) struct LimitRule {
    pub(crate) name: String,
    pub(crate) max_requests: MaxRequests,
    /// At most [`LONGEST_WINDOW_SECONDS`].
    pub(crate) window_seconds: NonZeroU32,
    /// Share of the limit from which requests are logged and counted as warned, percent; `None`: never.
    pub(crate) warn_at_percent: Option<u8>,
    pub(crate) key: Vec<KeyPart>,
    /// Clients in these networks are neither counted nor refused.
    pub(crate) excepted: Vec<Network>,
    /// Its own mode, if it has one.
    pub(crate) mode: Option<Mode>,
    /// Whether the key or the number needs a verified token.
    pub(crate) needs_token: bool,
}

impl LimitRule {
    /// Whether its refusals are carried out where all else enforces.
    pub(crate) fn is_enforced(&self) -> bool {
        self.mode != Some(Mode::Report)
    }
}

/// How many requests a limit admits.
#[derive(Debug)]
pub(crate) enum MaxRequests {
    Fixed(NonZeroU32),
    ByClaim { slot: TextSlot, values: Vec<(String, NonZeroU32)>, default: NonZeroU32 },
}

/// A part of the key by which a limit counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum KeyPart {
    ClientIp,
    Subject,
    Route,
    Path,
    Method,
    Claim(TextSlot),
    Header(KeyHeaderIndex),
}

impl MaxRequests {
    /// Whether the number depends on a verified token.
    pub(crate) fn needs_token(&self) -> bool {
        match self {
            Self::Fixed(_) => false,
            Self::ByClaim { .. } => true,
        }
    }
}

impl KeyPart {
    /// Whether only a verified token has this part.
    pub(crate) fn needs_token(&self) -> bool {
        match self {
            Self::Subject | Self::Claim(_) => true,
            Self::ClientIp | Self::Route | Self::Path | Self::Method | Self::Header(_) => false,
        }
    }
}

/// What counts as the client's address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ClientIp {
    /// Leading bits of an IPv6 address that identify a client, 1 to 128.
    pub(crate) ipv6_prefix: u8,
    pub(crate) from: AddressFrom,
}

/// Where the client's address is read from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
pub enum AddressFrom {
    /// Envoy's source.address.
    #[cfg_attr(feature = "schema", schemars(rename = "source_address"))]
    #[default]
    SourceAddress,
    /// The header that Envoy sets with use_remote_address. It is absent or not trusted (x-envoy-internal) on requests of
    /// internal clients: source.address there.
    #[cfg_attr(feature = "schema", schemars(rename = "x-envoy-external-address"))]
    ExternalAddress,
}
