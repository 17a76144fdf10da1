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
use crate::revocation::{Lifetime, Revocable, RevokeError};
use crate::time::UnixNanos;
use crate::token::Verified;

/// A revocation that is in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Revoked {
    /// When its entry is freed, Unix seconds; `None`: it stays as long as the process.
    pub expires_at: Option<u64>,
}

/// The text for a token to revoke that does not verify.
const INVALID_TOKEN: &str = "Cannot revoke invalid token";

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
        let skew = tokens.clock_skew_seconds;
        let outliving = |expires_at: Option<UnixNanos>| match expires_at {
            Some(expires_at) => Lifetime::outliving(expires_at, skew),
            None => Lifetime::ForGood,
        };
        let request = RevocationRequest::parse(body)
            .map_err(|problem| Denial::CannotRevoke(format!("Cannot read revocation request: {problem}")))?;
        let lifetime = match request {
            RevocationRequest::Own => {
                let lifetime = outliving(caller.token.expires_at());
                revoke_token(memory, cells, &caller.token, lifetime, now)?;
                lifetime
            }
            RevocationRequest::Token(token) => {
                let verified = self
                    .policy
                    .verify(token.as_bytes(), &memory.seed, now)
                    .map_err(|_| Denial::CannotRevoke(INVALID_TOKEN.to_owned()))?;
                if verified.subject().is_none() || verified.subject() != caller.token.subject() {
                    self.may_revoke_others(caller)?;
                }
                let lifetime = outliving(verified.expires_at());
                revoke_token(memory, cells, &verified, lifetime, now)?;
                lifetime
            }
            RevocationRequest::Jti { jti, expires_at } => {
                // The identifier does not tell whose token it is.
                self.may_revoke_others(caller)?;
                let lifetime = Lifetime::outliving(UnixNanos::from_seconds(expires_at), skew);
                memory.revocations.revoke(cells, Revocable::Jti(&jti), lifetime, now)?;
                lifetime
            }
            RevocationRequest::Subject { sub, issued_before } => {
                let issued_before = match self.may_revoke_others(caller) {
                    Ok(()) => issued_before,
                    // Callers may revoke their own tokens issued so far, but not future ones: a stolen token must not
                    // lock its owner out. So far is when the headers came: a request whose body is still to come
                    // must not reach tokens that its owner was issued meanwhile.
                    Err(_) if caller.token.subject() == Some(sub.as_str()) => {
                        issued_before.min(tokens.latest_issue(headers_at).seconds().saturating_add(1))
                    }
                    Err(denial) => return Err(denial),
                };
                // If tokens that are too old are refused anyway, the entry need not outlive them. This holds only if
                // every token has an `iat`: one without it never becomes too old.
                let lifetime = match tokens.too_old {
                    TooOld::Reject if tokens.requires_issued_at() => {
                        let oldest =
                            UnixNanos::from_seconds(issued_before).plus_seconds(tokens.max_age_seconds);
                        Lifetime::outliving(oldest, skew)
                    }
                    TooOld::Reject | TooOld::Warn => Lifetime::ForGood,
                };
                memory.revocations.revoke(
                    cells,
                    Revocable::Subject { sub: &sub, issued_before },
                    lifetime,
                    now,
                )?;
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

fn revoke_token(
    memory: &mut Memory,
    cells: &impl Cells,
    token: &Verified,
    lifetime: Lifetime,
    now: UnixNanos,
) -> Result<(), RevokeError> {
    let marks = marks(&memory.revocations, token);
    memory.revocations.revoke(cells, Revocable::Token(&marks), lifetime, now)
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
