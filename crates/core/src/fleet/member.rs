//! How does one worker reach a link that all workers of its process may share?
//!
//! Where workers share their memory, they share one link: a unit that one of them was granted any other can spend, and the store
//! hears of the process once. Where each has a memory of its own, each has a link of its own. The lock is held for what one
//! request does to an account, and while a call is written or its reply is read; never while the host is called.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::link::Link;
use super::record::View;
use super::rule::FleetRule;
use crate::cells::{CellFault, Cells};
use crate::seed::Seed;
use crate::time::UnixNanos;

/// A link that workers share. The first that needs it opens it.
#[derive(Debug, Clone, Default)]
pub struct SharedLink(Arc<Mutex<Option<Link>>>);

/// One worker's part in the fleet.
#[derive(Debug)]
pub struct Member {
    link: SharedLink,
    /// The worker's own latest time. Nobody else's tells it whether the clock went backwards.
    latest: UnixNanos,
    view: View,
}

impl Member {
    /// Joins a link, which is opened as [`Link::open`] says if it is not yet.
    pub fn join(link: &SharedLink, rule: &FleetRule, seed: Seed, random: [u8; 16]) -> Self {
        // Whoever uses it finds out if its state is unknown.
        let mut opened = link.0.lock().unwrap_or_else(PoisonError::into_inner);
        let view = opened.get_or_insert_with(|| Link::open(rule, seed, random)).view();
        Self { link: link.clone(), latest: UnixNanos::default(), view }
    }

    /// Does something with the link, at the time that it goes by: no earlier than any that it knows, unless the clock went
    /// backwards. `run` must not call the host.
    ///
    /// # Errors
    ///
    /// [`CellFault`] if another worker has left the link in an unknown state.
    pub fn with<R>(
        &mut self,
        now: UnixNanos,
        run: impl FnOnce(&mut Link, UnixNanos) -> R,
    ) -> Result<R, CellFault> {
        let (mut link, now) = self.lock(now)?;
        link.as_mut().map(|link| run(link, now)).ok_or(CellFault)
    }

    /// Apart from [`Self::with`], of which there are many.
    #[inline(never)]
    fn lock(&mut self, now: UnixNanos) -> Result<(MutexGuard<'_, Option<Link>>, UnixNanos), CellFault> {
        let went_back = now < std::mem::replace(&mut self.latest, now);
        let mut link = self.link.0.lock().map_err(|_| CellFault)?;
        let now = link.as_mut().ok_or(CellFault)?.order(now, went_back);
        Ok((link, now))
    }

    /// Reads what the workers of this process know of the fleet's revocations. Costs one load.
    ///
    /// # Errors
    ///
    /// [`CellFault`] if the host does not answer, or if the cell was not written by api-guard.
    pub fn refresh(&mut self, cells: &impl Cells, now: UnixNanos) -> Result<(), CellFault> {
        self.view = self.with(now, |link, now| link.refresh(cells, now).map(|()| link.view()))??;
        Ok(())
    }

    /// What is known of the fleet's revocations, as of the worker's last refresh.
    pub fn view(&self) -> &View {
        &self.view
    }
}
