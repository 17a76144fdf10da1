//! The steps from bytes to [`Verified`]: form, algorithm, key, MAC, and only then claims.

use super::claims::{
    AUD, ClaimText, Claims, ClaimsProblem, EXP, IAT, ISS, JTI, NBF, SUB, Slot, numeric_date,
};
use super::compact::{Compact, Decoded, Header, LastHeader, decode};
use super::keys::ALGORITHM;
use super::{TokenFault, TokenPolicy, Verified};
use crate::json::Json;
use crate::json::text::text_of;
use crate::permission::{PermissionBook, PermissionSet};
use crate::time::UnixNanos;

/// Longest accepted `sub`, bytes.
const LONGEST_SUBJECT: usize = 256;

pub(super) fn verify(
    policy: &TokenPolicy,
    token: &[u8],
    book: &PermissionBook,
    last: &mut LastHeader,
    now: UnixNanos,
) -> Result<Verified, TokenFault> {
    let compact = Compact::read(token, policy.max_token_bytes)?;
    let Decoded { payload, signature } = compact.decode()?;
    let (key, mac) = match last.find(compact.header) {
        Some(header) => authenticate(policy, &compact, header, signature, now)?,
        None => {
            let header = Header::read(&decode(compact.header)?)?;
            let authentic = authenticate(policy, &compact, &header, signature, now)?;
            last.remember(compact.header, header);
            authentic
        }
    };
    // The MAC holds: from here on the text is an issuer's, though not yet a right one.
    let payload = payload?;
    let claims = policy.reader.read(&payload).map_err(|problem| match problem {
        ClaimsProblem::NotAnObject => TokenFault::Malformed("claims are not a JSON object of the right form"),
        ClaimsProblem::Repeated(claim) => TokenFault::ClaimInvalid { claim, why: "stands more than once" },
    })?;
    let verified = read_claims(policy, &claims, book, key, mac)?;
    policy.judge_times(&verified, now)?;
    if !policy.issuers.is_empty()
        && !text(&claims, ISS).is_some_and(|iss| policy.issuers.iter().any(|known| known == iss))
    {
        return Err(TokenFault::IssuerRefused);
    }
    if !policy.audiences.is_empty() && !audience_known(policy, &claims) {
        return Err(TokenFault::AudienceRefused);
    }
    Ok(verified)
}

fn authenticate(
    policy: &TokenPolicy,
    compact: &Compact<'_>,
    header: &Header,
    signature: Result<Vec<u8>, TokenFault>,
    now: UnixNanos,
) -> Result<(usize, [u8; 32]), TokenFault> {
    if header.alg != ALGORITHM {
        return Err(TokenFault::AlgorithmRefused);
    }
    let mut candidates = policy.keys.candidates(header.kid.as_deref(), now).peekable();
    if candidates.peek().is_none() {
        return Err(TokenFault::KeyUnknown);
    }
    // A signature cut short is no signature: all 32 bytes count.
    let mac: [u8; 32] = signature?.try_into().map_err(|_| TokenFault::SignatureInvalid)?;
    candidates
        .find(|(_, secret)| secret.verifies(compact.signing_input, &mac))
        .map(|(key, _)| (key, mac))
        .ok_or(TokenFault::SignatureInvalid)
}

fn read_claims(
    policy: &TokenPolicy,
    claims: &Claims<'_>,
    book: &PermissionBook,
    key: usize,
    mac: [u8; 32],
) -> Result<Verified, TokenFault> {
    let missing: Vec<String> = policy
        .required
        .iter()
        .filter(|(_, slot)| claims.value(*slot).is_none())
        .map(|(name, _)| name.clone())
        .collect();
    if !missing.is_empty() {
        return Err(TokenFault::ClaimMissing(missing));
    }
    let date = |slot, claim: &str| match claims.value(slot).map(numeric_date) {
        None => Ok(None),
        Some(Ok(date)) => Ok(Some(date)),
        Some(Err(why)) => Err(TokenFault::ClaimInvalid { claim: claim.to_owned(), why }),
    };
    let expires_at = date(EXP, "exp")?;
    let not_before = date(NBF, "nbf")?;
    let issued_at = date(IAT, "iat")?;
    let subject = string(claims, SUB, "sub")?;
    if let Some(subject) = &subject {
        let why = if subject.is_empty() {
            Some("is empty")
        } else if subject.len() > LONGEST_SUBJECT {
            Some("is longer than 256 bytes")
        } else if subject.chars().any(char::is_control) {
            Some("has control characters")
        } else {
            None
        };
        if let Some(why) = why {
            return Err(TokenFault::ClaimInvalid { claim: "sub".to_owned(), why });
        }
    }
    string(claims, ISS, "iss")?;
    if claims.value(AUD).is_some_and(|aud| texts(aud).is_none()) {
        return Err(TokenFault::ClaimInvalid {
            claim: "aud".to_owned(),
            why: "is neither a text nor a list of texts",
        });
    }
    let jti = string(claims, JTI, "jti")?;
    let (permissions, permissions_text) = read_permissions(policy, claims, book)?;
    let texts =
        policy.reader.texts().iter().map(|&slot| claims.value(slot).and_then(ClaimText::of)).collect();
    Ok(Verified {
        mac,
        key,
        subject,
        jti,
        expires_at,
        not_before,
        issued_at,
        permissions,
        permissions_text,
        claims: texts,
    })
}

fn read_permissions(
    policy: &TokenPolicy,
    claims: &Claims<'_>,
    book: &PermissionBook,
) -> Result<(PermissionSet, String), TokenFault> {
    let mut set = PermissionSet::default();
    let mut joined = String::new();
    /// Room for a few permissions, bytes.
    const FEW: usize = 64;
    let mut grant = |permission: &str| {
        if let Some(number) = book.number(permission) {
            set.insert(number);
        }
        if joined.is_empty() {
            joined.reserve(FEW);
        } else {
            joined.push(' ');
        }
        joined.push_str(permission);
    };
    let mut held: Vec<&str> = Vec::new();
    if let Some(value) = claims.value(policy.permissions) {
        let entries = texts_or_words(value)
            .ok_or_else(|| TokenFault::PermissionsMalformed(text_of(&value.to_value())))?;
        for entry in entries {
            let entry =
                entry.map_err(|other| TokenFault::PermissionsMalformed(text_of(&other.to_value())))?;
            if !policy.permission_format.accepts(entry) {
                return Err(TokenFault::PermissionsMalformed(entry.to_owned()));
            }
            grant(entry);
            if policy.roles.is_some() {
                held.push(entry);
            }
        }
    }
    if let Some(roles) = &policy.roles
        && let Some(value) = claims.value(roles.slot)
    {
        let wrong = || TokenFault::ClaimInvalid {
            claim: roles.claim.clone(),
            why: "is neither a list of texts nor a text with spaces between roles",
        };
        for role in texts_or_words(value).ok_or_else(wrong)? {
            let granted = roles.grants.get(role.map_err(|_| wrong())?);
            let granted = granted.and_then(|place| roles.granted.get(place));
            for permission in granted.into_iter().flatten() {
                if !held.contains(&permission.as_str()) {
                    grant(permission);
                    held.push(permission);
                }
            }
        }
    }
    Ok((set, joined))
}

/// The entries of a list, or the words of a text; an entry that is no text comes as it is.
fn texts_or_words<'v, 't>(value: &'v Json<'t>) -> Option<Vec<Result<&'v str, &'v Json<'t>>>> {
    match value {
        Json::List(entries) => Some(entries.iter().map(|entry| entry.as_text().ok_or(entry)).collect()),
        Json::Text(text) if text.is_empty() => Some(Vec::new()),
        Json::Text(text) => Some(text.split(' ').map(Ok).collect()),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => None,
    }
}

fn text<'c>(claims: &'c Claims<'_>, slot: Slot) -> Option<&'c str> {
    claims.value(slot).and_then(Json::as_text)
}

fn string(claims: &Claims<'_>, slot: Slot, claim: &str) -> Result<Option<String>, TokenFault> {
    match claims.value(slot) {
        None => Ok(None),
        Some(Json::Text(text)) => Ok(Some(text.clone().into_owned())),
        Some(Json::Null | Json::Bool(_) | Json::Number(_) | Json::List(_) | Json::Object(_)) => {
            Err(TokenFault::ClaimInvalid { claim: claim.to_owned(), why: "is not a text" })
        }
    }
}

/// A text, or a list of texts (RFC 7519 section 4.1.3).
fn texts<'v>(value: &'v Json<'_>) -> Option<Vec<&'v str>> {
    match value {
        Json::Text(text) => Some(vec![text]),
        Json::List(entries) => entries.iter().map(Json::as_text).collect(),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => None,
    }
}

fn audience_known(policy: &TokenPolicy, claims: &Claims<'_>) -> bool {
    claims
        .value(AUD)
        .and_then(texts)
        .is_some_and(|named| named.iter().any(|aud| policy.audiences.iter().any(|known| known == aud)))
}
