//! The revocation endpoint: what does the body ask for, and is the caller allowed to ask for it?

use super::authenticate::marks;
use super::{Caller, Guard, Memory};
use crate::cells::Cells;
use crate::denial::Denial;
use crate::fault::Fault;
use crate::host::Host;
use crate::index::PermissionIndex;
use crate::policy::TooOld;
use crate::revocation::request::RevocationRequest;
use crate::revocation::{Aging, Authority, Lifetime, Revocable, RevokeError};
use crate::time::UnixNanos;
use crate::token::{NotVerified, Verified};

/// A revocation that is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// When an entry for it alone is freed, Unix seconds; `None`: it would stay as long as the process. What can refuse
    /// nothing has no entry, and is answered as if it had.
    pub expires_at: Option<u64>,
}

/// The text for a token to revoke that does not verify.
const INVALID_TOKEN: &str = "Cannot revoke invalid token";

/// The first second of the year 2000: no token was issued before it.
const YEAR_2000: u64 = 946_684_800;

impl Guard {
    /// Handles the body of a request that was admitted to the endpoint: revokes what `body` asks for, if `caller` may.
    /// `headers_at`: when the request's headers came, however long its body took since.
    ///
    /// # Errors
    ///
    /// A denial if the body cannot be read, the token to revoke does not verify, the caller lacks the endpoint's
    /// permissions, the table is full, or a fault occurs. Nothing is revoked then, except that a fault leaves it open.
    pub fn revoke(
        &self,
        memory: &mut Memory,
        caller: &Caller,
        body: &[u8],
        headers_at: UnixNanos,
        host: &impl Host,
        now: UnixNanos,
    ) -> Result<Revoked, Denial> {
        let cells = host.cells();
        let tokens = &self.policy.tokens;
        let aging = self.aging();
        let subject = caller.token.subject();
        let authority = match self.may_revoke_others(caller) {
            Ok(()) => Authority::Holder,
            Err(_) => Authority::Owner { issuer: caller.token.subject_issuer(), subject, aging },
        };
        let request = RevocationRequest::parse(body)
            .map_err(|problem| Denial::CannotRevoke(format!("Cannot read revocation request: {problem}")))?;
        let lifetime = match request {
            RevocationRequest::Own => self.revoke_token(memory, cells, &caller.token, authority, now)?,
            RevocationRequest::Token(token) => {
                memory.keys.refresh(&tokens.keys, cells)?;
                let verified = self.policy.verify(token.as_bytes(), &memory.means(host), now);
                let verified = verified.map_err(|not_verified| match not_verified {
                    NotVerified::Refused(_) | NotVerified::UnknownTo(_) => {
                        Denial::CannotRevoke(INVALID_TOKEN.to_owned())
                    }
                    NotVerified::KeysUnavailable(_) | NotVerified::Fault(_) => {
                        memory.denial(not_verified, now)
                    }
                })?;
                if !verified.has_subject_of(&caller.token) {
                    self.may_revoke_others(caller)?;
                }
                self.revoke_token(memory, cells, &verified, authority, now)?
            }
            RevocationRequest::Jti { jti, expires_at } => {
                // The identifier does not tell whose token it is.
                self.may_revoke_others(caller)?;
                let expires_at = UnixNanos::from_seconds(expires_at);
                let lifetime = Lifetime::outliving(expires_at, tokens.clock_skew_seconds);
                memory.revocations.revoke(cells, Revocable::Jti(&jti), lifetime, authority, now)?;
                lifetime
            }
            RevocationRequest::Subject { iss, sub, issued_before } => {
                let iss = iss.as_deref();
                let is_own =
                    subject == Some(sub.as_str()) && iss.is_none_or(|iss| caller.token.issuer() == Some(iss));
                let (issuer, issued_before) = match self.may_revoke_others(caller) {
                    Ok(()) => (iss, issued_before),
                    // Callers may revoke their own tokens issued so far, but not future ones: a stolen token must not
                    // lock its owner out. So far is when the headers came: a request whose body is still to come
                    // must not reach tokens that its owner was issued meanwhile.
                    Err(_) if is_own => {
                        let latest = tokens.latest_issue(headers_at).seconds().saturating_add(1);
                        (iss.or(caller.token.subject_issuer()), issued_before.min(latest))
                    }
                    Err(denial) => return Err(denial),
                };
                let lifetime = aging.lifetime(issued_before);
                if !self.refuses_already(&sub, issued_before, now) {
                    let revocable = Revocable::Subject { issuer, sub: &sub, issued_before };
                    memory.revocations.revoke(cells, revocable, lifetime, authority, now)?;
                }
                lifetime
            }
        };
        Ok(Revoked {
            expires_at: match lifetime {
                Lifetime::UntilSecond(second) => Some(second),
                Lifetime::ForGood => None,
            },
        })
    }

    fn revoke_token(
        &self,
        memory: &mut Memory,
        cells: &impl Cells,
        token: &Verified,
        authority: Authority<'_>,
        now: UnixNanos,
    ) -> Result<Lifetime, RevokeError> {
        let marks = marks(&memory.revocations, token);
        let lifetime = Lifetime::of_token(token.expires_at(), self.policy.tokens.clock_skew_seconds);
        let revocable = Revocable::Token { marks: &marks, issued_at: token.issued_at() };
        memory.revocations.revoke(cells, revocable, lifetime, authority, now)?;
        Ok(lifetime)
    }

    /// How long tokens can live. If those that are too old are refused anyway, a revocation of a subject need not
    /// outlive them. This holds only if every token has an `iat`: one without it never becomes too old.
    fn aging(&self) -> Aging {
        let tokens = &self.policy.tokens;
        match tokens.too_old {
            TooOld::Reject if tokens.requires_issued_at() => {
                Aging::After { seconds: tokens.max_age_seconds, clock_skew: tokens.clock_skew_seconds }
            }
            TooOld::Reject | TooOld::Warn => Aging::Never,
        }
    }

    /// Whether no token is left that this revocation of a subject could refuse, so that it needs no entry. Entries of the
    /// table are not looked at: a revocation that one of them covers adds none.
    fn refuses_already(&self, sub: &str, issued_before: u64, now: UnixNanos) -> bool {
        // Where a token need not have an `iat`, one without it counts as older than any moment.
        let is_before_all = issued_before <= YEAR_2000 && self.policy.tokens.requires_issued_at();
        let denied = self.policy.denied.issued_before(sub);
        is_before_all
            || denied.is_some_and(|denied| issued_before <= denied)
            || self.aging().is_over(issued_before, now)
    }

    fn may_revoke_others(&self, caller: &Caller) -> Result<(), Denial> {
        let required =
            self.policy.endpoint.as_ref().map(|endpoint| endpoint.required.as_slice()).unwrap_or_default();
        let lacks = |permission: &PermissionIndex| !caller.token.permissions().contains(*permission);
        let missing: Vec<PermissionIndex> = required.iter().copied().filter(lacks).collect();
        if missing.is_empty() && !required.is_empty() {
            return Ok(());
        }
        let names = |wanted: &[PermissionIndex]| self.policy.book.names(wanted).map(str::to_owned).collect();
        Err(Denial::PermissionMissing { missing: names(&missing), needed: names(required), any: false })
    }
}

impl From<RevokeError> for Denial {
    fn from(error: RevokeError) -> Self {
        match error {
            RevokeError::Full => Self::RevocationFull,
            RevokeError::Contended => Self::Fault(Fault::Contended),
            RevokeError::Fault => Self::Fault(Fault::SharedData),
        }
    }
}
