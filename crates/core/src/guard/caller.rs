//! Steps 3, 4 and 6: who is the caller, is their token still alive, and may they do this?

use std::cell::Cell;
use std::rc::Rc;

use super::form::Form;
use super::{Proxy, Verdict, Visit, Worker};
use crate::config::raw::Access;
use crate::decision::Denial;
use crate::request::credential::{self, Presented};
use crate::revocation::{Marks, Revision, Revocations};
use crate::time::UnixNanos;
use crate::token::Verified;

/// Somebody whose token verified.
#[derive(Debug)]
pub struct Caller {
    /// Their token.
    pub token: Verified,
    /// The latest revocation revision this token has been checked against.
    cleared: Cell<Option<Revision>>,
}

/// What a token can be revoked by.
pub(super) fn marks(revocations: &Revocations, token: &Verified) -> Marks {
    revocations.marks(&token.identity(), token.subject())
}

fn is_revoked(revocations: &Revocations, token: &Verified, now: UnixNanos) -> bool {
    !revocations.are_none() && revocations.is_revoked(&marks(revocations, token), token.issued_at(), now)
}

impl<P: Proxy> Visit<'_, '_, P> {
    /// The caller, if the request has one good token that was not revoked.
    pub(super) fn authenticate(
        &self,
        worker: &mut Worker,
        form: &Form<'_>,
        verdict: &mut Verdict,
    ) -> Result<Rc<Caller>, Denial> {
        let token = match credential::find(&self.policy.sources, self.request, form.target.query()) {
            Presented::Nothing => return Err(Denial::TokenMissing),
            Presented::Ambiguous => return Err(Denial::CredentialsAmbiguous),
            Presented::Token(token) => token,
        };
        let result = self.caller_of(worker, token, verdict);
        self.count_failure(worker, result)
    }

    fn count_failure(
        &self,
        worker: &mut Worker,
        result: Result<Rc<Caller>, Denial>,
    ) -> Result<Rc<Caller>, Denial> {
        if let Err(Denial::Token(_) | Denial::TokenRevoked) = result {
            self.record_failure(worker)?;
        }
        result
    }

    /// As [`Self::authenticate`], for a request that passes whoever sent it; unless its token was looked at already.
    pub(super) fn identify(
        &self,
        worker: &mut Worker,
        form: &Form<'_>,
        verdict: &mut Verdict,
    ) -> Result<(), Denial> {
        if verdict.remembered.is_some() {
            return Ok(());
        }
        match credential::find(&self.policy.sources, self.request, form.target.query()) {
            Presented::Nothing | Presented::Ambiguous => Ok(()),
            Presented::Token(token) => match self.caller_of(worker, token, verdict) {
                Err(denial @ Denial::Fault(_)) => Err(denial),
                Ok(_) | Err(_) => Ok(()),
            },
        }
    }

    fn caller_of(
        &self,
        worker: &mut Worker,
        token: &[u8],
        verdict: &mut Verdict,
    ) -> Result<Rc<Caller>, Denial> {
        let remembered = self.remembered(worker, token);
        verdict.remembered = Some(remembered.is_some());
        let caller = match remembered {
            Some(caller) => caller,
            None => self.newcomer(worker, token)?,
        };
        self.judge_caller(worker, caller, verdict)
    }

    /// A caller who was not remembered, and is from now on.
    fn newcomer(&self, worker: &mut Worker, token: &[u8]) -> Result<Rc<Caller>, Denial> {
        let verified = self.policy.verify(token, &worker.seed, self.now)?;
        let caller = Rc::new(Caller { token: verified, cleared: Cell::default() });
        worker.cache.remember(token, self.policy.tokens.keys.revision(), &caller);
        Ok(caller)
    }

    /// Who sent exactly this token before. A key whose time is over may have a successor with the same secret: its
    /// tokens are looked at anew.
    fn remembered(&self, worker: &mut Worker, token: &[u8]) -> Option<Rc<Caller>> {
        let keys = &self.policy.tokens.keys;
        let caller = worker.cache.find(token, keys.revision())?;
        keys.valid(caller.token.key(), self.now).then_some(caller)
    }

    /// What is judged anew on every use of a token.
    fn judge_caller(
        &self,
        worker: &mut Worker,
        caller: Rc<Caller>,
        verdict: &mut Verdict,
    ) -> Result<Rc<Caller>, Denial> {
        verdict.age = self.policy.tokens.judge_times(&caller.token, self.now)?;
        verdict.caller = Some(Rc::clone(&caller));
        self.check_revocation(worker, &caller)?;
        verdict.alive = true;
        Ok(caller)
    }

    fn check_revocation(&self, worker: &mut Worker, caller: &Caller) -> Result<(), Denial> {
        let token = &caller.token;
        worker.revocations.refresh(self.proxy.cells())?;
        let revision = Some(worker.revocations.revision());
        if caller.cleared.get() == revision {
            return Ok(());
        }
        if self.policy.denies(token) || is_revoked(&worker.revocations, token, self.now) {
            return Err(Denial::TokenRevoked);
        }
        caller.cleared.set(revision);
        Ok(())
    }

    /// Whether the route lets this caller in.
    pub(super) fn permit(&self, form: &Form<'_>, caller: &Caller) -> Result<(), Denial> {
        if form.access == Access::Deny {
            return Err(Denial::RouteDenied);
        }
        let Some(route) = form.route else { return Ok(()) };
        let held = caller.token.permissions();
        let names = |numbers: &[usize]| self.policy.book.names(numbers).map(str::to_owned).collect();
        let missing: Vec<usize> =
            route.required.iter().copied().filter(|&number| !held.contains(number)).collect();
        if !missing.is_empty() {
            return Err(Denial::PermissionMissing {
                missing: names(&missing),
                needed: names(&route.required),
                any: false,
            });
        }
        if !route.any.is_empty() && !route.any.iter().any(|&number| held.contains(number)) {
            let needed: Vec<String> = names(&route.any);
            return Err(Denial::PermissionMissing { missing: needed.clone(), needed, any: true });
        }
        for (parameter, slot) in &route.bind {
            let value = form.template.and_then(|template| template.parameter(form.target.path(), parameter));
            let claim = caller.token.claim(*slot).filter(|claim| claim.exact);
            // A claim that is missing equals nothing.
            if value.zip(claim).is_none_or(|(value, claim)| value != claim.text) {
                return Err(Denial::BindingMismatch);
            }
        }
        Ok(())
    }
}
