//! Who is the caller, and is their token still in force?

use std::cell::Cell;
use std::rc::Rc;

use super::form::Form;
use super::{Guard, Memory, Visit};
use crate::cells::Cells;
use crate::denial::Denial;
use crate::fault::Fault;
use crate::host::Host;
use crate::index::KeySetIndex;
use crate::policy::Policy;
use crate::request::credential::{self, Presented};
use crate::revocation::{Lifetime, Marks, Revision, Revocations};
use crate::time::UnixNanos;
use crate::token::keys::SigningKey;
use crate::token::{NotVerified, TokenFault, TokenRefusal, Verified};
use crate::verdict::{Stage, TokenFacts};

/// A caller whose token verified.
#[derive(Debug)]
pub struct Caller {
    /// Their token.
    pub token: Verified,
    /// The latest revocation revision that the token has been checked against, and when.
    checked: Cell<Option<(Revision, UnixNanos)>>,
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
        memory.keys.refresh(&self.policy.tokens.keys, host.cells())?;
        match (memory.keys.current().has(caller.token.key(), now), caller.token.key()) {
            (Some(true), _) => {}
            (None, SigningKey::OfSet { set, .. }) => return Err(memory.keys_unavailable(*set, now)),
            (Some(false) | None, _) => return Err(TokenFault::KeyUnknown.into()),
        }
        check_revocation(&self.policy, memory, caller, host.cells(), now)
    }
}

/// Whether a caller's token is still wanted. A caller who was checked costs one load while nothing is revoked.
pub(super) fn check_revocation(
    policy: &Policy,
    memory: &mut Memory,
    caller: &Caller,
    cells: &impl Cells,
    now: UnixNanos,
) -> Result<(), Denial> {
    let token = &caller.token;
    memory.revocations.refresh(cells)?;
    let revision = memory.revocations.revision();
    // What had lapsed then may not have lapsed yet, if the clock has been set back since.
    if caller.checked.get().is_some_and(|(checked, at)| checked == revision && at <= now) {
        return Ok(());
    }
    let skew_seconds = policy.tokens.clock_skew_seconds;
    if policy.denies(token) || is_revoked(&mut memory.revocations, token, skew_seconds, cells, now) {
        return Err(Denial::TokenRevoked);
    }
    caller.checked.set(Some((revision, now)));
    Ok(())
}

impl Memory {
    /// Why a request is refused whose token could not be verified.
    pub(super) fn denial(&self, not_verified: NotVerified, now: UnixNanos) -> Denial {
        match not_verified {
            NotVerified::Refused(refusal) => refusal.fault.into(),
            NotVerified::UnknownTo(_) => TokenFault::KeyUnknown.into(),
            NotVerified::KeysUnavailable(set) => self.keys_unavailable(set, now),
            NotVerified::Fault(_) => Denial::Fault(Fault::Signature),
        }
    }

    fn keys_unavailable(&self, set: KeySetIndex, now: UnixNanos) -> Denial {
        Denial::KeysUnavailable { retry_after_seconds: self.keys.retry_after_seconds(set, now) }
    }
}

impl<H: Host> Visit<'_, '_, H> {
    /// The one credential of the request; `None` if it has none.
    pub(super) fn credential<'a>(&'a self, form: &'a Form<'_>) -> Result<Option<&'a [u8]>, Denial> {
        match credential::find(&self.policy.sources, self.request, form.target.query()) {
            Presented::Nothing | Presented::Unread => Ok(None),
            Presented::Ambiguous => Err(Denial::CredentialsAmbiguous),
            Presented::Token(token) => Ok(Some(token)),
        }
    }

    /// Whether nobody could find a credential in the request.
    pub(super) fn is_anonymous(&self, form: &Form<'_>) -> bool {
        credential::find(&self.policy.sources, self.request, form.target.query()) == Presented::Nothing
    }

    /// Judges one token: is it genuine, is it within its times, and has it not been revoked? The facts hold everything
    /// found before a refusal.
    pub(super) fn judge_token(
        &self,
        memory: &mut Memory,
        token: &[u8],
    ) -> (TokenFacts, Option<(Stage, Denial)>) {
        let mut facts = TokenFacts::default();
        if let Err(fault) = memory.keys.refresh(&self.policy.tokens.keys, self.host.cells()) {
            return (facts, Some((Stage::Token, fault.into())));
        }
        let caller = match self.remembered(memory, token) {
            Some(caller) => {
                facts.remembered = true;
                caller
            }
            None => match self.verify(memory, token) {
                Ok(caller) => caller,
                Err(not_verified) => {
                    if let NotVerified::Refused(TokenRefusal { is_signed, .. }) = not_verified {
                        facts.is_signed = is_signed;
                    }
                    if let NotVerified::UnknownTo(set) = not_verified {
                        facts.unknown_to = Some(set);
                    }
                    return (facts, Some((Stage::Token, memory.denial(not_verified, self.now))));
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

    /// Verifies a token that the cache does not hold, but for its times. Clients send an expired one again and again, which
    /// shall not cost a signature each time.
    fn verify(&self, memory: &mut Memory, token: &[u8]) -> Result<Rc<Caller>, NotVerified> {
        let verified = self.policy.verify_but_times(token, &memory.means(self.host), self.now)?;
        let caller = Rc::new(Caller { token: verified, checked: Cell::default() });
        memory.cache.remember(token, memory.keys.current().revision(), &caller);
        Ok(caller)
    }

    /// The caller who sent exactly this token before. An expired key may have a successor with the same secret, so
    /// tokens of expired keys are verified again, and so are those of key sets that are out of date.
    fn remembered(&self, memory: &mut Memory, token: &[u8]) -> Option<Rc<Caller>> {
        let current = memory.keys.current();
        let caller = memory.cache.find(token, current.revision())?;
        let key = caller.token.key();
        let is_good =
            self.policy.tokens.keys.valid(key, self.now) && current.has(key, self.now) == Some(true);
        is_good.then_some(caller)
    }
}
