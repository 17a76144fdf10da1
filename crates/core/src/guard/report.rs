//! What is left to do for a request that would have been refused and passes, in report mode.

use super::form::Form;
use super::limits::Which;
use super::{Progress, Stop, Visit};
use crate::denial::Denial;
use crate::guard::Memory;
use crate::host::Host;
use crate::policy::Access;
use crate::verdict::{Stage, State};

impl<H: Host> Visit<'_, '_, H> {
    /// What becomes of a refusal: the denial that is carried out, if one is. What is found first is what would have been
    /// answered.
    pub(super) fn settle(
        &self,
        memory: &mut Memory,
        form: &Form<'_>,
        progress: &mut Progress,
        stage: Stage,
        denial: Denial,
    ) -> Option<Denial> {
        if self.is_carried_out(form, &denial) {
            progress.trail.note(stage, State::Refused);
            return Some(denial);
        }
        progress.trail.note(stage, State::Reported);
        progress.reported.get_or_insert(denial);
        let Err(Stop::Refuse(stage, denial)) = self.accompany(memory, form, progress) else { return None };
        if self.is_carried_out(form, &denial) {
            progress.trail.note(stage, State::Refused);
            return Some(denial);
        }
        progress.trail.note(stage, State::Reported);
        None
    }

    /// The upstream hears who sent the request, and limits that enforce count it, because it does pass. Nothing else is
    /// spent, as it would not have been by a refusal.
    fn accompany(&self, memory: &mut Memory, form: &Form<'_>, progress: &mut Progress) -> Result<(), Stop> {
        self.limits(memory, form, None, Stage::EarlyLimits, Which::Enforcing, progress)?;
        if form.facts.access != Access::Public {
            self.identify(memory, form, progress)?;
        }
        let identity = progress.trail.identity().cloned();
        self.limits(memory, form, identity.as_deref(), Stage::LateLimits, Which::Enforcing, progress)
    }
}
