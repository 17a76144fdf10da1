//! Which key has signed a token, and may it speak for the token's issuer?
//!
//! Keys that name issuers are chosen by the token's `iss`, which nobody has verified yet. It decides only which keys are
//! tried: whoever writes another issuer's name into a token needs a key of that issuer.

use super::compact::{Compact, JoseHeader, NotBase64Url};
use super::keys::{Key, KeyId, KeyRing, Vouching};
use super::{ListOf, TokenFault};
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
    let named = || keys.named(header.kid.as_deref(), vouching, now);
    if !keys.any_vouches(vouching) {
        let mut meant = named();
        return Err(match (meant.next(), meant.next()) {
            (Some(only), None) => refused_by(only),
            (Some(_), Some(_)) | (None, _) => TokenFault::IssuerRefused(ListOf::EveryKey),
        });
    }
    let mut vouched = named().filter(|(_, key)| vouching.includes(key)).peekable();
    if vouched.peek().is_none() {
        // The key that the token names may be another issuer's.
        let other = named().next().filter(|_| header.kid.is_some());
        return Err(other.map_or(TokenFault::KeyUnknown, refused_by));
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
    Err(others.find(verifies).map_or(TokenFault::SignatureInvalid, refused_by))
}

/// The fault of a token whose key vouches for other issuers.
fn refused_by((key, _): (KeyId, &Key)) -> TokenFault {
    TokenFault::IssuerRefused(ListOf::Key(key))
}
