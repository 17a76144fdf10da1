//! The line of steps that a request goes through. The steps take values and return values; this is the one place that
//! puts what they found into the [`Trail`].

use std::rc::Rc;

use super::authenticate::check_revocation;
use super::form::Form;
use super::limits::{Chosen, Halt, Which};
use super::{Answer, Asked, Caller, Memory, Question, Visit};
use crate::denial::{Denial, FleetGap};
use crate::fleet::Knowledge;
use crate::host::Host;
use crate::index::KeySetIndex;
use crate::policy::{Access, Mode};
use crate::token::TokenFault;
use crate::verdict::{Stage, State, TokenFacts, Trail};

/// One request on its way through the steps.
pub(super) struct Line<'l, 'v, 'r, H> {
    pub(super) visit: &'l Visit<'v, 'r, H>,
    pub(super) form: &'l Form<'v>,
    pub(super) memory: &'l mut Memory,
    pub(super) trail: Trail,
    /// The first refusal that was not carried out.
    pub(super) reported: Option<Denial>,
    /// What a step waited for, if one did.
    pub(super) asked: Option<Asked>,
}

/// Why the line of steps stops early.
pub(super) enum Stop {
    Refuse(Stage, Denial),
    Ask(Question),
}

impl<H: Host> Line<'_, '_, '_, H> {
    /// Takes the steps in their order. Each may stop the request. Those before one that has waited are not taken again.
    pub(super) fn run(&mut self) -> Result<(), Stop> {
        if self.asked.is_none() {
            self.form()?;
            self.addresses()?;
            self.auth_failures()?;
        }
        if self.asked.is_none_or(|asked| !asked.is_of_keys()) {
            // Without those that are in the trail.
            self.limits_of_mode(None, Stage::EarlyLimits)?;
        }
        if self.form.facts.access == Access::Public {
            for stage in [Stage::Token, Stage::Revocation, Stage::Permission] {
                self.trail.note(stage, State::Skipped);
            }
            return self.limits_of_mode(None, Stage::LateLimits);
        }
        if self.is_anonymous() {
            for stage in [Stage::Token, Stage::Revocation] {
                self.trail.note(stage, State::Skipped);
            }
            self.limits_of_mode(None, Stage::LateLimits)?;
            return self.permitted(Visit::<H>::permit_anonymous(self.form));
        }
        let caller = self.authenticate(self.asked.is_none_or(|asked| !asked.is_of_keys()))?;
        self.know_revocations(&caller)?;
        self.limits_of_mode(Some(&caller), Stage::LateLimits)?;
        self.permit(&caller)
    }

    /// Carries out or reports a refusal. Returns the denial that is carried out, if any. The first refusal is the one
    /// reported, because it is what the client would have been told.
    pub(super) fn settle(&mut self, stage: Stage, denial: Denial) -> Option<Denial> {
        if let Some(denial) = self.carry_out(stage, denial) {
            return Some(denial);
        }
        match self.pass_reported() {
            Err(Stop::Refuse(stage, denial)) => self.carry_out(stage, denial),
            Ok(()) | Err(Stop::Ask(_)) => None,
        }
    }

    /// Takes the steps that a passing request still needs: the upstream is told who sent it, and enforcing limits count
    /// it. Nothing else is spent, because a refusal would not have spent it either.
    fn pass_reported(&mut self) -> Result<(), Stop> {
        self.asked = Some(Asked { question: Question::FleetRevocations, answer: Answer::Unawaited, asks: 0 });
        self.limits(None, Stage::EarlyLimits, Which::Enforcing)?;
        if self.form.facts.access != Access::Public {
            self.identify()?;
        }
        let identity = self.trail.identity().cloned();
        self.limits(identity.as_deref(), Stage::LateLimits, Which::Enforcing)
    }

    /// The denial, if its mode is to enforce; otherwise it is noted as reported. Our own faults are carried out in any
    /// mode, and so is what the revocation endpoint refuses, whose mode is always to enforce.
    fn carry_out(&mut self, stage: Stage, denial: Denial) -> Option<Denial> {
        let policy = self.visit.policy;
        let own_mode = denial.limit().and_then(|limit| policy.limit(limit)?.mode);
        let is_fault = matches!(denial, Denial::Fault(_));
        if is_fault || own_mode.unwrap_or(self.form.facts.mode) == Mode::Enforce {
            self.trail.note(stage, State::Refused);
            return Some(denial);
        }
        self.trail.note(stage, State::Reported);
        self.reported.get_or_insert(denial);
        None
    }

    fn form(&mut self) -> Result<(), Stop> {
        self.trail.form = self.form.facts;
        match &self.form.faults {
            Some(faults) => Err(Stop::Refuse(Stage::Form, Denial::Form(faults.clone()))),
            None => {
                self.trail.note(Stage::Form, State::Passed);
                Ok(())
            }
        }
    }

    /// Whether the route does without a token where none is sent, and none is.
    fn is_anonymous(&self) -> bool {
        self.form.facts.access == Access::Optional && self.visit.is_anonymous(self.form)
    }

    /// Checks whether the route may be used from the client's address.
    fn addresses(&mut self) -> Result<(), Stop> {
        let state = match self.visit.judge_address(self.form) {
            None => State::Skipped,
            Some(Ok(())) => State::Passed,
            Some(Err(denial)) => return Err(Stop::Refuse(Stage::Addresses, denial)),
        };
        self.trail.note(Stage::Addresses, state);
        Ok(())
    }

    /// Checks whether this address has failed to authenticate too often.
    fn auth_failures(&mut self) -> Result<(), Stop> {
        if self.form.facts.access == Access::Public || self.is_anonymous() {
            return Ok(());
        }
        let Some(judged) = self.visit.judge_auth_failures(self.memory) else { return Ok(()) };
        self.trail.failures_judged = true;
        judged.map_err(|denial| Stop::Refuse(Stage::EarlyLimits, denial))?;
        self.trail.note(Stage::EarlyLimits, State::Passed);
        Ok(())
    }

    /// Judges the limits of a step.
    fn limits_of_mode(&mut self, caller: Option<&Caller>, stage: Stage) -> Result<(), Stop> {
        if self.trail.state(stage) == State::NotReached {
            self.trail.note(stage, State::Skipped);
        }
        if self.form.facts.mode == Mode::Enforce {
            return self.limits(caller, stage, Which::All);
        }
        // Limits with their own mode come first, because in report mode the others cannot stop the request.
        self.limits(caller, stage, Which::OfOwnMode)?;
        self.limits(caller, stage, Which::OfRoutesMode)
    }

    /// Judges the chosen limits of a step, except those judged already.
    fn limits(&mut self, caller: Option<&Caller>, stage: Stage, which: Which) -> Result<(), Stop> {
        let Chosen { limits: chosen, excepted } =
            self.visit.choose_limits(self.form, stage, which, &self.trail);
        self.trail.excepted.extend(excepted);
        if chosen.is_empty() {
            return Ok(());
        }
        let judged = self
            .visit
            .judge_limits(self.memory, self.form, caller, stage, &chosen, self.asked)
            .map_err(|halt| match halt {
                Halt::Refuse(denial) => Stop::Refuse(stage, denial),
                Halt::Ask(question) => Stop::Ask(question),
            })?;
        self.trail.note(stage, State::Passed);
        let all_admit = judged.iter().all(|judged| judged.outcome.admits());
        self.trail.limits.extend(judged.iter().copied());
        if all_admit {
            return Ok(());
        }
        let refusals = self.visit.refusals(&judged);
        if let Some(denial) = refusals.reported {
            self.trail.note(stage, State::Reported);
            self.reported.get_or_insert(denial);
        }
        refusals.enforced.map_or(Ok(()), |denial| Err(Stop::Refuse(stage, denial)))
    }

    /// The caller, if the request has exactly one token, which verifies and is not revoked. `may_ask`: whether to ask
    /// for newer keys if the token's key is unknown.
    fn authenticate(&mut self, may_ask: bool) -> Result<Rc<Caller>, Stop> {
        let refuse = |denial| Stop::Refuse(Stage::Token, denial);
        let token = self.visit.credential(self.form).map_err(refuse)?.ok_or(refuse(Denial::TokenMissing))?;
        let (facts, refusal) = self.visit.judge_token(self.memory, token);
        let (caller, is_signed, unknown_to) = (facts.caller.clone(), facts.is_signed, facts.unknown_to);
        self.note_token(facts);
        match refusal {
            None => caller.ok_or(refuse(Denial::TokenMissing)),
            Some((_, Denial::Token(TokenFault::KeyUnknown)))
                if may_ask && self.visit.policy.asks_for_keys =>
            {
                Err(Stop::Ask(Question::Keys))
            }
            Some((stage, denial)) => {
                if let Some(set) = unknown_to.filter(|_| may_ask)
                    && let Some(ended) = self.ask_for_keys(set)?
                {
                    return Err(Stop::Ask(Question::KeySet { set, ended }));
                }
                if let Denial::Token(_) = denial
                    && !is_signed
                {
                    let recorded = self.visit.record_auth_failure(self.memory);
                    let counted = recorded.map_err(|fault| Stop::Refuse(stage, fault.into()))?;
                    self.trail.failure_overflowed = counted.is_some_and(|outcome| outcome.overflow);
                }
                Err(Stop::Refuse(stage, denial))
            }
        }
    }

    /// Stops a request with a token as long as the revocations of the fleet are not known.
    fn know_revocations(&mut self, caller: &Caller) -> Result<(), Stop> {
        let visit = self.visit;
        let (Some(rule), Some(fleet)) = (&visit.policy.fleet, &mut self.memory.fleet) else { return Ok(()) };
        if fleet.view().knowledge(rule, visit.now) == Knowledge::Enough {
            return Ok(());
        }
        let refreshed = fleet.refresh(visit.host.cells(), visit.now);
        refreshed.map_err(|fault| Stop::Refuse(Stage::Revocation, fault.into()))?;
        let has_waited = self.asked.is_some_and(|asked| asked.answer != Answer::Ready);
        match fleet.view().knowledge(rule, visit.now) {
            // They have become known since the token was judged.
            Knowledge::Enough => {
                let checked =
                    check_revocation(visit.policy, self.memory, caller, visit.host.cells(), visit.now);
                if let (Err(_), Some(facts)) = (&checked, &mut self.trail.token) {
                    facts.is_alive = false;
                }
                checked.map_err(|denial| Stop::Refuse(Stage::Revocation, denial))
            }
            Knowledge::Coming if !has_waited => Err(Stop::Ask(Question::FleetRevocations)),
            Knowledge::Coming | Knowledge::Lacking => {
                Err(Stop::Refuse(Stage::Revocation, Denial::FleetUnavailable(FleetGap::Revocations)))
            }
        }
    }

    /// The number of fetches of a key set that have ended, if another one is on its way.
    fn ask_for_keys(&mut self, set: KeySetIndex) -> Result<Option<u32>, Stop> {
        let (keys, visit) = (&mut self.memory.keys, self.visit);
        let asked = keys.ask(&visit.policy.tokens.keys, set, visit.host.cells(), visit.now);
        asked.map_err(|fault| Stop::Refuse(Stage::Token, fault.into()))
    }

    /// Identifies the caller of a request that passes in any case, unless its token has been judged already.
    fn identify(&mut self) -> Result<(), Stop> {
        if self.trail.token.is_some() {
            return Ok(());
        }
        let Ok(Some(token)) = self.visit.credential(self.form) else { return Ok(()) };
        let (facts, refusal) = self.visit.judge_token(self.memory, token);
        self.note_token(facts);
        match refusal {
            Some((stage, denial @ Denial::Fault(_))) => Err(Stop::Refuse(stage, denial)),
            Some(_) | None => Ok(()),
        }
    }

    fn note_token(&mut self, facts: TokenFacts) {
        if facts.caller.is_some() {
            self.trail.note(Stage::Token, State::Passed);
        }
        if facts.is_alive {
            self.trail.note(Stage::Revocation, State::Passed);
        }
        self.trail.token = Some(facts);
    }

    fn permit(&mut self, caller: &Caller) -> Result<(), Stop> {
        self.permitted(self.visit.permit(self.form, caller))
    }

    fn permitted(&mut self, judged: Result<(), Denial>) -> Result<(), Stop> {
        judged.map_err(|denial| Stop::Refuse(Stage::Permission, denial))?;
        self.trail.note(Stage::Permission, State::Passed);
        Ok(())
    }
}
