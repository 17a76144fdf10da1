//! Which key has signed a token, and may it speak for the token's issuer?
//!
//! Keys that name issuers are chosen by the token's `iss`, which nobody has verified yet. It decides only which keys are
//! tried: whoever writes another issuer's name into a token needs a key of that issuer.

use super::TokenFault;
use super::compact::{Compact, JoseHeader, NotBase64Url};
use super::keys::{Key, KeyId, KeyRing, Vouching};
use crate::time::UnixNanos;

/// The key that verifies the signature, and vouches for the issuer.
pub(super) fn authenticate(
    keys: &KeyRing,
    vouching: Vouching<'_>,
    compact: &Compact<'_>,
    header: &JoseHeader<'_>,
    signature: Result<Vec<u8>, NotBase64Url>,
    now: UnixNanos,
) -> Result<KeyId, TokenFault> {
    // An algorithm that no key has is refused first, whichever key the token names.
    if !keys.has_algorithm(&header.alg) {
        return Err(TokenFault::AlgorithmRefused);
    }
    if !keys.any_vouches(vouching) {
        return Err(TokenFault::IssuerRefused);
    }
    let named = || keys.named(header.kid.as_deref(), vouching, now);
    let mut vouched = named().filter(|(_, key)| vouching.includes(key)).peekable();
    if vouched.peek().is_none() {
        // The key that the token names may be another issuer's.
        let is_known = header.kid.is_some() && named().next().is_some();
        return Err(if is_known { TokenFault::IssuerRefused } else { TokenFault::KeyUnknown });
    }
    let has_algorithm = |(_, key): &(KeyId, &Key)| key.algorithm.name() == header.alg;
    let mut candidates = vouched.filter(has_algorithm).peekable();
    if candidates.peek().is_none() {
        return Err(TokenFault::AlgorithmRefused);
    }
    let signature = signature?;
    let verifies = |(_, key): &(KeyId, &Key)| key.verifies(compact.signing_input, &signature);
    if let Some((id, _)) = candidates.find(verifies) {
        return Ok(id);
    }
    // A token that one issuer has signed in the name of another is not a forgery by a stranger.
    let mut others = named().filter(|(_, key)| !vouching.includes(key)).filter(has_algorithm);
    Err(if others.any(|other| verifies(&other)) {
        TokenFault::IssuerRefused
    } else {
        TokenFault::SignatureInvalid
    })
}
