//! Is the token genuine, and is it its time? (RFC 7519, RFC 7515, RFC 8725)
//!
//! One reading of one text: the MAC is computed by jwt-simple over the bytes that were sent, and the same bytes are
//! then read strictly, by one reader, in [`claims`]. The library's own parsing of headers and claims is not used, because its
//! defaults are laxer than the contract (DESIGN.md lists them). Nothing in the claims is looked at before the MAC holds.

pub mod cache;
pub mod claims;
pub mod compact;
pub mod keys;
mod texts;
mod verify;

use crate::lookup::Lookup;
use crate::permission::{PermissionBook, PermissionFormat, PermissionSet};
use crate::policy::TooOld;
use crate::time::UnixNanos;
use claims::{ClaimText, ClaimsReader, Slot, TextSlot};
use compact::LastHeader;
use keys::KeyRing;
use texts::{Span, Texts};

/// What a token must be like. Built by the configuration; always valid.
#[derive(Debug)]
pub struct TokenPolicy {
    pub(crate) keys: KeyRing,
    pub(crate) reader: ClaimsReader,
    /// Required claims by their configured name.
    pub(crate) required: Vec<(String, Slot)>,
    pub(crate) issuers: Vec<String>,
    pub(crate) audiences: Vec<String>,
    pub(crate) clock_skew_seconds: u64,
    pub(crate) max_age_seconds: u64,
    pub(crate) too_old: TooOld,
    pub(crate) max_token_bytes: usize,
    pub(crate) permissions: Slot,
    pub(crate) permission_format: PermissionFormat,
    pub(crate) roles: Option<Roles>,
}

/// Roles that become permissions.
#[derive(Debug)]
pub(crate) struct Roles {
    pub(crate) slot: Slot,
    pub(crate) claim: String,
    /// Places in `granted`.
    pub(crate) grants: Lookup,
    pub(crate) granted: Vec<Vec<String>>,
}

/// A token whose MAC held and whose claims had the right form. Only [`TokenPolicy::verify`] makes one. Its times are
/// judged anew on every use by [`TokenPolicy::judge_times`].
#[derive(Debug)]
pub struct Verified {
    mac: [u8; 32],
    key: usize,
    texts: Texts,
    subject: Option<Span>,
    jti: Option<Span>,
    expires_at: Option<UnixNanos>,
    not_before: Option<UnixNanos>,
    issued_at: Option<UnixNanos>,
    permissions: PermissionSet,
    permissions_text: Span,
    /// Where the text of each is, and whether it is exact.
    claims: Vec<Option<(Span, bool)>>,
}

/// What a worker keeps from one token to the next: the last header, and memory. It belongs to one policy, by whose keys
/// the token with that header was verified.
#[derive(Default)]
pub struct Scratch {
    last: LastHeader,
    /// The last payload and signature: never longer than a token may be.
    decoded: Vec<u8>,
    texts: Texts,
}

impl std::fmt::Debug for Scratch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("<of tokens>")
    }
}

impl Scratch {
    /// Takes the memory of a token's texts for the next token's, unless there is some already. The token may say nothing
    /// any more: only who alone holds it and will ask it nothing may do this.
    pub(crate) fn take_memory(&mut self, token: &mut Verified) {
        self.texts.take_memory(&mut token.texts);
    }
}

impl Verified {
    /// The verified MAC: the token's identity, whatever its spelling in the request.
    pub fn mac(&self) -> &[u8; 32] {
        &self.mac
    }

    /// The place in the configuration of the key that verified it.
    pub fn key(&self) -> usize {
        self.key
    }

    /// `sub`; absent only where the configuration does not require it.
    pub fn subject(&self) -> Option<&str> {
        self.subject.map(|span| self.texts.get(span))
    }

    /// `jti`.
    pub fn jti(&self) -> Option<&str> {
        self.jti.map(|span| self.texts.get(span))
    }

    /// `exp`.
    pub fn expires_at(&self) -> Option<UnixNanos> {
        self.expires_at
    }

    /// `iat`.
    pub fn issued_at(&self) -> Option<UnixNanos> {
        self.issued_at
    }

    /// The permissions that the configuration asks about, those granted by roles included.
    pub fn permissions(&self) -> &PermissionSet {
        &self.permissions
    }

    /// All permissions, those granted by roles included, separated by spaces.
    pub fn permissions_text(&self) -> &str {
        self.texts.get(self.permissions_text)
    }

    /// A claim whose text the configuration asks for.
    pub fn claim(&self, slot: TextSlot) -> Option<ClaimText<'_>> {
        let (span, exact) = (*self.claims.get(slot.0)?)?;
        Some(ClaimText { text: self.texts.get(span), exact })
    }
}

/// Why a token is refused. One variant for each code of a 401; texts are in [`crate::decision`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TokenFault {
    /// Not a compact JWS of the one accepted kind.
    Malformed(&'static str),
    /// `alg` is not exactly the key's algorithm.
    AlgorithmRefused,
    /// No key for this token: unknown `kid`, or no key valid now.
    KeyUnknown,
    /// The MAC does not hold.
    SignatureInvalid,
    /// `exp` has come.
    Expired,
    /// `nbf` has not come.
    NotYetValid,
    /// `iat` is ahead of the clock.
    IssuedInFuture,
    /// `iat` is longer ago than `max_token_age_hours`.
    TooOld,
    /// Claims of `required_claims` that are not there, by their configured names.
    ClaimMissing(Vec<String>),
    /// A claim (by its configured name) of a wrong type or value.
    ClaimInvalid {
        /// The claim.
        claim: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// `iss` is not one of `issuers`.
    IssuerRefused,
    /// `aud` has none of `audiences`.
    AudienceRefused,
    /// An entry of the permissions claim, or the whole of it, has a wrong form. Holds text of the token.
    PermissionsMalformed(String),
}

/// What times say of a token that verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Age {
    /// Nothing to say.
    #[default]
    Good,
    /// Older than `max_token_age_hours`, and let pass by configuration.
    Old,
}

impl TokenPolicy {
    /// Verifies `token`, the bytes between scheme and end. Times are judged too. `scratch` is this policy's.
    pub fn verify(
        &self,
        token: &[u8],
        book: &PermissionBook,
        scratch: &mut Scratch,
        now: UnixNanos,
    ) -> Result<Verified, TokenFault> {
        verify::verify(self, token, book, scratch, now)
    }

    /// Whether every token that verifies says when it was issued.
    pub(crate) fn requires_issued_at(&self) -> bool {
        self.required.iter().any(|(_, slot)| *slot == claims::IAT)
    }

    /// The latest `iat` that a token may have at `now`.
    pub(crate) fn latest_issue(&self, now: UnixNanos) -> UnixNanos {
        now.plus_seconds(self.clock_skew_seconds.max(IAT_LEEWAY_SECONDS))
    }

    /// The time checks: for a fresh token and again for every use of a remembered one.
    pub fn judge_times(&self, token: &Verified, now: UnixNanos) -> Result<Age, TokenFault> {
        if !self.keys.valid(token.key, now) {
            return Err(TokenFault::KeyUnknown);
        }
        let skew = self.clock_skew_seconds;
        // RFC 7519 section 4.1.4: not accepted on or after exp.
        if token.expires_at.is_some_and(|exp| exp.plus_seconds(skew) <= now) {
            return Err(TokenFault::Expired);
        }
        if token.not_before.is_some_and(|nbf| nbf > now.plus_seconds(skew)) {
            return Err(TokenFault::NotYetValid);
        }
        let Some(issued_at) = token.issued_at else { return Ok(Age::Good) };
        if issued_at > self.latest_issue(now) {
            return Err(TokenFault::IssuedInFuture);
        }
        if issued_at.plus_seconds(self.max_age_seconds) < now {
            return match self.too_old {
                TooOld::Warn => Ok(Age::Old),
                TooOld::Reject => Err(TokenFault::TooOld),
            };
        }
        Ok(Age::Good)
    }
}

/// Clocks of issuers run ahead by this much and no more.
const IAT_LEEWAY_SECONDS: u64 = 60;
