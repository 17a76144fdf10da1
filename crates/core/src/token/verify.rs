//! The steps from bytes to [`Verified`]: form, algorithm, key, MAC, and only then claims.

use super::claims::{AUD, Claims, ClaimsProblem, EXP, IAT, ISS, JTI, NBF, SUB, Slot, numeric_date};
use super::compact::{Compact, Decoded, Header, NotBase64Url, decode};
use super::keys::ALGORITHM;
use super::texts::{Span, Texts};
use super::{Scratch, TokenFault, TokenPolicy, Verified};
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
    scratch: &mut Scratch,
    now: UnixNanos,
) -> Result<Verified, TokenFault> {
    let Scratch { last, decoded, texts } = scratch;
    let compact = Compact::read(token, policy.max_token_bytes)?;
    let Decoded { payload, signature } = compact.decode(decoded)?;
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
    let mut claims = Claims::default();
    claims.read(&policy.reader, payload?).map_err(|problem| match problem {
        ClaimsProblem::NotAnObject => TokenFault::Malformed("claims are not a JSON object of the right form"),
        ClaimsProblem::Repeated(claim) => TokenFault::ClaimInvalid { claim, why: "stands more than once" },
    })?;
    let verified = read_claims(policy, &claims, book, texts, (key, mac))?;
    policy.judge_times(&verified, now)?;
    if !policy.issuers.is_empty() {
        let named = claims.value(ISS).and_then(Json::as_text);
        if !named.is_some_and(|iss| policy.issuers.iter().any(|known| known == iss)) {
            return Err(TokenFault::IssuerRefused);
        }
    }
    if !policy.audiences.is_empty() && !audience_known(policy, &claims) {
        return Err(TokenFault::AudienceRefused);
    }
    Ok(verified)
}

/// The place of the key by which the MAC holds, and the MAC.
fn authenticate<'m>(
    policy: &TokenPolicy,
    compact: &Compact<'_>,
    header: &Header,
    signature: Result<&'m [u8], NotBase64Url>,
    now: UnixNanos,
) -> Result<(usize, &'m [u8; 32]), TokenFault> {
    if header.alg != ALGORITHM {
        return Err(TokenFault::AlgorithmRefused);
    }
    let mut candidates = policy.keys.candidates(header.kid.as_deref(), now).peekable();
    if candidates.peek().is_none() {
        return Err(TokenFault::KeyUnknown);
    }
    // A signature cut short is no signature: all 32 bytes count.
    let mac: &[u8; 32] = signature?.try_into().map_err(|_| TokenFault::SignatureInvalid)?;
    candidates
        .find(|(_, secret)| secret.verifies(compact.signing_input, mac))
        .map(|(key, _)| (key, mac))
        .ok_or(TokenFault::SignatureInvalid)
}

fn read_claims(
    policy: &TokenPolicy,
    claims: &Claims<'_>,
    book: &PermissionBook,
    texts: &mut Texts,
    (key, mac): (usize, &[u8; 32]),
) -> Result<Verified, TokenFault> {
    if policy.required.iter().any(|(_, slot)| claims.value(*slot).is_none()) {
        return Err(missing(policy, claims));
    }
    let expires_at = date(claims, EXP, "exp")?;
    let not_before = date(claims, NBF, "nbf")?;
    let issued_at = date(claims, IAT, "iat")?;
    texts.clear();
    let subject = match string(claims, SUB, "sub")? {
        Some(subject) => Some(texts.add(good_subject(subject)?)),
        None => None,
    };
    string(claims, ISS, "iss")?;
    judge_audience(claims)?;
    let jti = string(claims, JTI, "jti")?.map(|jti| texts.add(jti));
    let (permissions, permissions_text) = read_permissions(policy, claims, book, texts)?;
    let claims = policy.reader.texts().iter().map(|&slot| keep(claims.value(slot)?, texts)).collect();
    Ok(Verified {
        mac: *mac,
        key,
        texts: std::mem::take(texts),
        subject,
        jti,
        expires_at,
        not_before,
        issued_at,
        permissions,
        permissions_text,
        claims,
    })
}

#[cold]
fn missing(policy: &TokenPolicy, claims: &Claims<'_>) -> TokenFault {
    let missing = policy.required.iter().filter(|(_, slot)| claims.value(*slot).is_none());
    TokenFault::ClaimMissing(missing.map(|(name, _)| name.clone()).collect())
}

#[cold]
fn invalid(claim: &str, why: &'static str) -> TokenFault {
    TokenFault::ClaimInvalid { claim: claim.to_owned(), why }
}

// Three claims are read by it: once in the module's code, and found there by the second.
#[inline(never)]
fn date(claims: &Claims<'_>, slot: Slot, claim: &str) -> Result<Option<UnixNanos>, TokenFault> {
    claims.value(slot).map(numeric_date).transpose().map_err(|why| invalid(claim, why))
}

#[inline(never)]
fn string<'v>(claims: &'v Claims<'_>, slot: Slot, claim: &str) -> Result<Option<&'v str>, TokenFault> {
    match claims.value(slot) {
        None => Ok(None),
        Some(value) => value.as_text().map(Some).ok_or_else(|| invalid(claim, "is not a text")),
    }
}

fn good_subject(subject: &str) -> Result<&str, TokenFault> {
    let why = if subject.is_empty() {
        "is empty"
    } else if subject.len() > LONGEST_SUBJECT {
        "is longer than 256 bytes"
    } else if !subject.bytes().all(|byte| matches!(byte, b' '..=b'~'))
        && subject.chars().any(char::is_control)
    {
        "has control characters"
    } else {
        return Ok(subject);
    };
    Err(invalid("sub", why))
}

/// A text, or a list of texts (RFC 7519 section 4.1.3).
fn judge_audience(claims: &Claims<'_>) -> Result<(), TokenFault> {
    match claims.value(AUD) {
        None | Some(Json::Text(_)) => Ok(()),
        Some(Json::List(list)) if list.elements().all(|aud| aud.as_text().is_some()) => Ok(()),
        Some(_) => Err(invalid("aud", "is neither a text nor a list of texts")),
    }
}

fn audience_known(policy: &TokenPolicy, claims: &Claims<'_>) -> bool {
    let is_known = |aud: &Json<'_>| {
        let named = aud.as_text();
        named.is_some_and(|named| policy.audiences.iter().any(|known| known == named))
    };
    match claims.value(AUD) {
        Some(Json::List(list)) => list.elements().any(|aud| is_known(&aud)),
        other => other.is_some_and(is_known),
    }
}

/// Permissions while they are read.
struct Grants<'r> {
    book: &'r PermissionBook,
    set: PermissionSet,
    texts: &'r mut Texts,
    /// Where those stand that were granted already; only where there are roles, which may grant one again.
    held: Option<Vec<Span>>,
    start: usize,
}

impl Grants<'_> {
    fn grant(&mut self, permission: &str) {
        if let Some(index) = self.book.index(permission) {
            self.set.insert(index);
        }
        let span = self.texts.add_word(permission, self.start);
        if let Some(held) = &mut self.held {
            held.push(span);
        }
    }

    fn holds(&self, permission: &str) -> bool {
        let mut held = self.held.iter().flatten();
        held.any(|span| self.texts.get(*span) == permission)
    }
}

fn read_permissions(
    policy: &TokenPolicy,
    claims: &Claims<'_>,
    book: &PermissionBook,
    texts: &mut Texts,
) -> Result<(PermissionSet, Span), TokenFault> {
    let start = texts.len();
    let held = policy.roles.as_ref().map(|_| Vec::new());
    let mut grants = Grants { book, set: PermissionSet::default(), texts, held, start };
    if let Some(value) = claims.value(policy.permissions) {
        let wrong = |other: &Json<'_>| TokenFault::PermissionsMalformed(text_of(&other.to_value()));
        each_text_or_word(value, wrong, |entry| {
            if !policy.permission_format.accepts(entry) {
                return Err(TokenFault::PermissionsMalformed(entry.to_owned()));
            }
            grants.grant(entry);
            Ok(())
        })?;
    }
    if let Some(roles) = &policy.roles
        && let Some(value) = claims.value(roles.slot)
    {
        let why = "is neither a list of texts nor a text with spaces between roles";
        each_text_or_word(
            value,
            |_| invalid(&roles.claim, why),
            |role| {
                let granted = roles.grants.get(role).and_then(|place| roles.granted.get(place));
                for permission in granted.into_iter().flatten() {
                    if !grants.holds(permission) {
                        grants.grant(permission);
                    }
                }
                Ok(())
            },
        )?;
    }
    let Grants { set, texts, .. } = grants;
    Ok((set, texts.since(start)))
}

/// Hands over the entries of a list, or the words of a text; `wrong` says what to make of anything else.
fn each_text_or_word(
    value: &Json<'_>,
    wrong: impl Fn(&Json<'_>) -> TokenFault,
    mut each: impl FnMut(&str) -> Result<(), TokenFault>,
) -> Result<(), TokenFault> {
    match value {
        Json::List(list) => list.elements().try_for_each(|entry| match entry.as_text() {
            Some(text) => each(text),
            None => Err(wrong(&entry)),
        }),
        Json::Text(text) if text.is_empty() => Ok(()),
        Json::Text(text) => text.split(' ').try_for_each(each),
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::Object(_) => Err(wrong(value)),
    }
}

/// Keeps a claim as text, for keys of limits, bindings and headers: where it is, and whether it is exactly that text.
/// `None` for null.
fn keep(value: &Json<'_>, texts: &mut Texts) -> Option<(Span, bool)> {
    let exact = match value {
        Json::Null => return None,
        Json::Text(text) => return Some((texts.add(text), true)),
        Json::Number(number) => number.is_u64() || number.is_i64(),
        Json::Bool(_) | Json::List(_) | Json::Object(_) => false,
    };
    Some((texts.add(&text_of(&value.to_value())), exact))
}
