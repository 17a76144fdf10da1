//! Who is the caller, and is their token still in force?

use std::cell::Cell;
use std::rc::Rc;

use super::form::Form;
use super::{Guard, Memory, Visit};
use crate::cells::Cells;
use crate::denial::Denial;
use crate::host::Host;
use crate::policy::Policy;
use crate::request::credential::{self, Presented};
use crate::revocation::{Lifetime, Marks, Revision, Revocations};
use crate::time::UnixNanos;
use crate::token::{TokenRefusal, Verified};
use crate::verdict::{Stage, TokenFacts};

/// A caller whose token verified.
#[derive(Debug)]
pub struct Caller {
    /// Their token.
    pub token: Verified,
    /// The latest revocation revision that the token has been checked against.
    checked: Cell<Option<Revision>>,
}

/// The marks by which a token can be revoked.
pub(super) fn marks(revocations: &Revocations, token: &Verified) -> Marks {
    revocations.marks(&token.identity(), token.issuer(), token.subject())
}

/// Whether the table refuses a token. What refuses it lasts as long as the token then: its issuer may have used the `jti` of
/// a shorter-lived one again.
fn is_revoked(
    revocations: &mut Revocations,
    token: &Verified,
    skew_seconds: u64,
    cells: &impl Cells,
    now: UnixNanos,
) -> bool {
    if revocations.are_none() {
        return false;
    }
    let (marks, issued_at) = (marks(revocations, token), token.issued_at());
    if !revocations.is_revoked(&marks, issued_at, now) {
        return false;
    }
    let lifetime = Lifetime::of_token(token.expires_at(), skew_seconds);
    // This request is refused either way, and the next one with this token tries again.
    let _ = revocations.outlast(cells, &marks, issued_at, lifetime, now);
    true
}

impl Guard {
    /// Judges a caller's token once more, for a request that goes on later than its headers came: its times, its key and
    /// its revocation as of `now`. What it says stays as it was judged.
    ///
    /// # Errors
    ///
    /// What is wrong with the token by now, as at the headers.
    pub fn judge_again(
        &self,
        memory: &mut Memory,
        caller: &Caller,
        host: &impl Host,
        now: UnixNanos,
    ) -> Result<(), Denial> {
        self.policy.tokens.judge_times(&caller.token, now)?;
        check_revocation(&self.policy, memory, caller, host.cells(), now)
    }
}

/// Whether a caller's token is still wanted. A caller who was checked costs one load while nothing is revoked.
fn check_revocation(
    policy: &Policy,
    memory: &mut Memory,
    caller: &Caller,
    cells: &impl Cells,
    now: UnixNanos,
) -> Result<(), Denial> {
    let token = &caller.token;
    memory.revocations.refresh(cells)?;
    let revision = Some(memory.revocations.revision());
    if caller.checked.get() == revision {
        return Ok(());
    }
    let skew_seconds = policy.tokens.clock_skew_seconds;
    if policy.denies(token) || is_revoked(&mut memory.revocations, token, skew_seconds, cells, now) {
        return Err(Denial::TokenRevoked);
    }
    caller.checked.set(revision);
    Ok(())
}

impl<H: Host> Visit<'_, '_, H> {
    /// The one credential of the request; `None` if it has none.
    pub(super) fn credential<'a>(&'a self, form: &'a Form<'_>) -> Result<Option<&'a [u8]>, Denial> {
        match credential::find(&self.policy.sources, self.request, form.target.query()) {
            Presented::Nothing => Ok(None),
            Presented::Ambiguous => Err(Denial::CredentialsAmbiguous),
            Presented::Token(token) => Ok(Some(token)),
        }
    }

    /// Judges one token: is it genuine, is it within its times, and has it not been revoked? The facts hold everything
    /// found before a refusal.
    pub(super) fn judge_token(
        &self,
        memory: &mut Memory,
        token: &[u8],
    ) -> (TokenFacts, Option<(Stage, Denial)>) {
        let mut facts = TokenFacts::default();
        let caller = match self.remembered(memory, token) {
            Some(caller) => {
                facts.remembered = true;
                caller
            }
            None => match self.verify(memory, token) {
                Ok(caller) => caller,
                Err(TokenRefusal { fault, is_signed }) => {
                    facts.is_signed = is_signed;
                    return (facts, Some((Stage::Token, fault.into())));
                }
            },
        };
        facts.is_signed = true;
        match self.policy.tokens.judge_times(&caller.token, self.now) {
            Ok(age) => facts.age = age,
            Err(fault) => return (facts, Some((Stage::Token, fault.into()))),
        }
        let refusal = check_revocation(self.policy, memory, &caller, self.host.cells(), self.now).err();
        facts.is_alive = refusal.is_none();
        facts.caller = Some(caller);
        (facts, refusal.map(|denial| (Stage::Revocation, denial)))
    }

    /// Verifies a token that the cache does not hold.
    fn verify(&self, memory: &mut Memory, token: &[u8]) -> Result<Rc<Caller>, TokenRefusal> {
        let verified = self.policy.verify(token, &memory.seed, self.now)?;
        let caller = Rc::new(Caller { token: verified, checked: Cell::default() });
        memory.cache.remember(token, self.policy.tokens.keys.revision(), &caller);
        Ok(caller)
    }

    /// The caller who sent exactly this token before. An expired key may have a successor with the same secret, so
    /// tokens of expired keys are verified again.
    fn remembered(&self, memory: &mut Memory, token: &[u8]) -> Option<Rc<Caller>> {
        let keys = &self.policy.tokens.keys;
        let caller = memory.cache.find(token, keys.revision())?;
        keys.valid(caller.token.key(), self.now).then_some(caller)
    }
}
