//! The steps from bytes to [`Verified`]: form, algorithm, key, signature, and only then the claims. The times of a token that
//! passes all of them are left to whoever uses it, so that an expired token that comes again is known again.

use super::authenticate::{Claimed, authenticate};
use super::claims::{AUD, Claims, EXP, IAT, ISS, JTI, NBF, Slot};
use super::compact::{Compact, Decoded, JoseHeader, decode};
use super::date::{DateFault, NumericDate};
use super::fault::invalid;
use super::identity::SigningDigest;
use super::keys::{SigningKey, Vouching};
use super::permissions;
use super::subject::{self, SubjectFault};
use super::{KeptClaim, ListOf, Means, NotVerified, TokenFault, TokenPolicy, TokenRefusal, Verified};
use crate::json::Json;
use crate::json::text::text_of;
use crate::permission::PermissionBook;
use crate::seed::Seed;
use crate::time::UnixNanos;

pub(super) fn verify(
    policy: &TokenPolicy,
    token: &[u8],
    book: &PermissionBook,
    means: &Means<'_>,
    now: UnixNanos,
) -> Result<Verified, NotVerified> {
    let compact = Compact::read(token, policy.max_token_bytes).map_err(NotVerified::unsigned)?;
    let Decoded { payload, signature } = compact.decode().map_err(NotVerified::unsigned)?;
    let header = decode(compact.header).map_err(NotVerified::unsigned)?;
    let header = JoseHeader::read(&header).map_err(NotVerified::unsigned)?;
    let read = |payload| Claims::read(&policy.reader, payload);
    // Issuer and audience choose the key before they are verified, and nothing else.
    let unverified = payload.as_deref().ok().filter(|_| policy.keys.are_chosen_by_claims()).map(read);
    let key = {
        let claims = unverified.as_ref().and_then(|claims| claims.as_ref().ok());
        let suits = |of_key: &[String]| claims.is_none_or(|claims| is_for(policy, of_key, claims));
        let claimed = Claimed { vouching: vouching(policy, claims), suits: &suits };
        authenticate(&policy.keys, means, claimed, &compact, &header, signature, now)?
    };
    let claims = match (unverified, &payload) {
        (Some(claims), _) => claims.map_err(TokenFault::from),
        (None, Ok(payload)) => read(payload).map_err(TokenFault::from),
        (None, Err(why)) => Err((*why).into()),
    };
    // The issuer wrote this text, but it may still be wrong.
    claims
        .and_then(|claims| judge_claims(policy, &compact, &claims, key, book, means.seed, now))
        .map_err(|fault| NotVerified::Refused(TokenRefusal { fault, is_signed: true }))
}

/// Which keys vouch for a token. `claims`: what it says, where its issuer chooses the keys. Claims that cannot be read choose
/// none; what is wrong with them is told once the signature has been verified.
fn vouching<'c>(policy: &TokenPolicy, claims: Option<&'c Claims<'_>>) -> Vouching<'c> {
    let Some(claims) = claims else { return Vouching::All };
    match claims.value(ISS) {
        None => policy.keys.vouching(None),
        Some(iss) => iss.as_text().map_or(Vouching::All, |iss| policy.keys.vouching(Some(iss))),
    }
}

fn judge_claims(
    policy: &TokenPolicy,
    compact: &Compact<'_>,
    claims: &Claims<'_>,
    key: SigningKey,
    book: &PermissionBook,
    seed: &Seed,
    now: UnixNanos,
) -> Result<Verified, TokenFault> {
    let digest = || SigningDigest::of(compact.signing_input, seed);
    let verified = read_claims(policy, claims, book, key, digest)?;
    if let Err(fault) = judge_lists(policy, claims, &verified) {
        // The times are told first.
        policy.judge_times(&verified, now)?;
        return Err(fault);
    }
    Ok(verified)
}

/// Checks `iss` and `aud` against the accepted ones: those of the key, or else those of all tokens.
fn judge_lists(policy: &TokenPolicy, claims: &Claims<'_>, verified: &Verified) -> Result<(), TokenFault> {
    let (issuers_of_key, audiences_of_key) = policy.keys.vouched(&verified.key);
    let issuers = accepted(issuers_of_key, &policy.issuers);
    if !issuers.is_empty() {
        let named = verified.issuer();
        if !named.is_some_and(|iss| issuers.iter().any(|known| known == iss)) {
            return Err(TokenFault::IssuerRefused(whose(issuers_of_key, &verified.key)));
        }
    }
    if is_for(policy, audiences_of_key, claims) {
        Ok(())
    } else {
        Err(TokenFault::AudienceRefused(whose(audiences_of_key, &verified.key)))
    }
}

/// The accepted values: those of a key, or else those of all tokens.
fn accepted<'l>(of_key: &'l [String], of_all: &'l [String]) -> &'l [String] {
    if of_key.is_empty() { of_all } else { of_key }
}

/// Whose values those are.
fn whose(of_key: &[String], key: &SigningKey) -> ListOf {
    if of_key.is_empty() { ListOf::Policy } else { ListOf::of(key) }
}

/// Whether a token is for an audience of a key that has these, or of the policy if it has none.
fn is_for(policy: &TokenPolicy, of_key: &[String], claims: &Claims<'_>) -> bool {
    let audiences = accepted(of_key, &policy.audiences);
    audiences.is_empty() || audience_known(audiences, claims)
}

fn read_claims(
    policy: &TokenPolicy,
    claims: &Claims<'_>,
    book: &PermissionBook,
    key: SigningKey,
    digest: impl FnOnce() -> SigningDigest,
) -> Result<Verified, TokenFault> {
    if policy.required.iter().any(|claim| claims.value(claim.slot).is_none()) {
        return Err(missing(policy, claims));
    }
    let expires_at = date(claims, EXP, "exp")?;
    let not_before = date(claims, NBF, "nbf")?;
    let issued_at = date(claims, IAT, "iat")?;
    let subject = read_subject(policy, claims)?;
    let issuer = string(claims, ISS, "iss")?;
    judge_audience(claims)?;
    let jti = string(claims, JTI, "jti")?;
    judge_values(policy, claims)?;
    let (permissions, permissions_text) = permissions::read(policy, claims, book, &key)?;
    let conditions = policy.conditions.iter().map(|condition| condition.holds(claims)).collect();
    let claims = policy.reader.texts().iter().map(|&slot| keep(claims.value(slot)?)).collect();
    Ok(Verified {
        key,
        issuer: issuer.map(Box::from),
        subject: subject.map(Box::from),
        jti: jti.map(Box::from),
        is_subject_of_issuer: policy.has_several_issuers,
        // A token with a jti is identified by its claims.
        signing_digest: jti.is_none_or(str::is_empty).then(digest),
        expires_at,
        not_before,
        issued_at,
        permissions,
        permissions_text,
        claims,
        conditions,
    })
}

#[cold]
fn missing(policy: &TokenPolicy, claims: &Claims<'_>) -> TokenFault {
    let missing = policy.required.iter().filter(|claim| claims.value(claim.slot).is_none());
    TokenFault::ClaimMissing(missing.map(|claim| claim.name.clone()).collect())
}

fn date(claims: &Claims<'_>, slot: Slot, claim: &str) -> Result<Option<UnixNanos>, TokenFault> {
    let Some(value) = claims.value(slot) else { return Ok(None) };
    let why = match NumericDate::read(value) {
        Ok(date) => return Ok(Some(date.moment())),
        Err(DateFault::NotANumber) => "is not a number",
        Err(DateFault::BelowZero) => "is below 0",
        Err(DateFault::TooLate) => "is past the year 9999 (milliseconds?)",
    };
    Err(invalid(claim, why))
}

fn string<'v>(claims: &'v Claims<'_>, slot: Slot, claim: &str) -> Result<Option<&'v str>, TokenFault> {
    match claims.value(slot) {
        None => Ok(None),
        Some(value) => value.as_text().map(Some).ok_or_else(|| invalid(claim, "is not a text")),
    }
}

/// Who the caller is: a text, or the digits of an integer from 0.
fn read_subject<'v>(policy: &TokenPolicy, claims: &'v Claims<'_>) -> Result<Option<&'v str>, TokenFault> {
    let Some(value) = claims.value(policy.subject.slot) else { return Ok(None) };
    let why = match value {
        Json::Text(text) => match subject::check(text) {
            Ok(()) if policy.subject_is_forwarded && !is_trimmed(text) => {
                "has a space at its beginning or end"
            }
            Ok(()) => return Ok(Some(text)),
            Err(SubjectFault::Empty) => "is empty",
            Err(SubjectFault::TooLong) => "is longer than 256 bytes",
            Err(SubjectFault::HasControls) => "has control characters",
        },
        Json::Number(number) if number.is_natural() => match subject::check(number.text()) {
            Ok(()) => return Ok(Some(number.text())),
            Err(_) => "is longer than 256 bytes",
        },
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_) => {
            "is neither a text nor an integer from 0"
        }
    };
    Err(invalid(&policy.subject.name, why))
}

/// Whether the upstream gets this text as it is: spaces at either end of a header's value are none of it (RFC 9110
/// section 5.5).
fn is_trimmed(text: &str) -> bool {
    !text.starts_with(' ') && !text.ends_with(' ')
}

/// Checks that each claim of `required_values` has an accepted value, or is a list that has one.
fn judge_values(policy: &TokenPolicy, claims: &Claims<'_>) -> Result<(), TokenFault> {
    for required in &policy.required_values {
        let accepts = |value: &Json<'_>| required.accepted.iter().any(|accepted| accepted.is(value));
        let has_one = match claims.value(required.claim.slot) {
            Some(Json::List(list)) => list.elements().any(|value| accepts(&value)),
            other => other.is_some_and(accepts),
        };
        if !has_one {
            return Err(TokenFault::ValueRefused(required.claim.name.clone()));
        }
    }
    Ok(())
}

/// Checks that `aud` is a string or a list of strings (RFC 7519 section 4.1.3).
fn judge_audience(claims: &Claims<'_>) -> Result<(), TokenFault> {
    match claims.value(AUD) {
        None | Some(Json::Text(_)) => Ok(()),
        Some(Json::List(list)) if list.elements().all(|aud| aud.as_text().is_some()) => Ok(()),
        Some(_) => Err(invalid("aud", "is neither a text nor a list of texts")),
    }
}

fn audience_known(audiences: &[String], claims: &Claims<'_>) -> bool {
    let is_known = |aud: &Json<'_>| {
        let named = aud.as_text();
        named.is_some_and(|named| audiences.iter().any(|known| known == named))
    };
    match claims.value(AUD) {
        Some(Json::List(list)) => list.elements().any(|aud| is_known(&aud)),
        other => other.is_some_and(is_known),
    }
}

/// A claim as text, for limit keys, bindings and headers. `None` for null.
fn keep(value: &Json<'_>) -> Option<KeptClaim> {
    let exact = match value {
        Json::Null => return None,
        Json::Text(text) => return Some(KeptClaim { text: text.as_ref().into(), exact: true }),
        Json::Number(number) => number.is_integer(),
        Json::Bool(_) | Json::List(_) | Json::Object(_) => false,
    };
    Some(KeptClaim { text: text_of(value).into(), exact })
}
