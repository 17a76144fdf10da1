//! Units of a limit: what is one link's ask, what is it granted, and what is one unit of it?

use std::num::NonZeroU32;

use crate::limit::{Identity, Outcome};

/// The limit of one caller, as the store is asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Demand {
    /// Who is counted, under the seed of the fleet ([`super::Names::seed`]).
    pub identity: Identity,
    /// The units that the store grants in any interval of the window.
    pub units: NonZeroU32,
    /// The window, seconds.
    pub window_seconds: NonZeroU32,
}

/// Units of one bucket of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Units {
    pub(super) epoch: u64,
    pub(super) bucket: u64,
    pub(super) units: u32,
}

/// What is wanted of the store.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Asking {
    /// Nothing.
    #[default]
    No,
    /// The next call will carry it.
    Queued,
    /// The call in flight carries it.
    Sent,
}

/// A unit that was taken from a lease, to be spent or put back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unit {
    pub(super) epoch: u64,
    pub(super) bucket: u64,
    /// The caller's figures once it is spent.
    pub outcome: Outcome,
}

/// What came of asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Settled {
    pub(super) leased: u32,
    pub(super) returned: u32,
}

impl Settled {
    pub(super) fn add(&mut self, leased: u32, returned: u32) {
        self.leased = self.leased.saturating_add(leased);
        self.returned = self.returned.saturating_add(returned);
    }
}
