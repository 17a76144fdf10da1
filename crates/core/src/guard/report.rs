//! What remains to be done for a request that passes only because of report mode?

use super::form::Form;
use super::limits::Which;
use super::{Progress, Stop, Visit};
use crate::denial::Denial;
use crate::guard::Memory;
use crate::host::Host;
use crate::policy::Access;
use crate::verdict::{Stage, State};

impl<H: Host> Visit<'_, '_, H> {
    /// Carries out or reports a refusal; returns the denial that is carried out, if any. The first refusal is the one
    /// reported, because it is what the client would have been told.
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
        let Err(Stop::Refuse(stage, denial)) = self.pass_reported(memory, form, progress) else {
            return None;
        };
        if self.is_carried_out(form, &denial) {
            progress.trail.note(stage, State::Refused);
            return Some(denial);
        }
        progress.trail.note(stage, State::Reported);
        None
    }

    /// Takes the steps that a passing request still needs: the upstream is told who sent it, and enforcing limits count
    /// it. Nothing else is spent, because a refusal would not have spent it either.
    fn pass_reported(
        &self,
        memory: &mut Memory,
        form: &Form<'_>,
        progress: &mut Progress,
    ) -> Result<(), Stop> {
        self.limits(memory, form, None, Stage::EarlyLimits, Which::Enforcing, progress)?;
        if form.facts.access != Access::Public {
            self.identify(memory, form, progress)?;
        }
        let identity = progress.trail.identity().cloned();
        self.limits(memory, form, identity.as_deref(), Stage::LateLimits, Which::Enforcing, progress)
    }
}
