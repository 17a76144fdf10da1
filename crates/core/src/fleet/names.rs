//! Under which names does the store keep what it is told?
//!
//! Every name is an HMAC-SHA256 (RFC 2104) under the fleet's secret, cut to 16 bytes and written in hexadecimal digits: the store
//! learns no address, subject or token, and who does not have the secret cannot tell whether a guess is right. Envoys
//! with another secret have other names for everything, and so share nothing.

use crate::decimal::Decimal;
use crate::seed::Seed;
use crate::token::secret::Secret;

/// The bytes of an HMAC that a name keeps.
const NAME_BYTES: usize = 16;

/// Names under one secret.
#[derive(Debug, Clone)]
pub struct Names {
    secret: Secret,
    prefix: String,
    seed: Seed,
}

/// What a revocation is about, as any service that has the secret can write it.
#[derive(Debug, Clone, Copy)]
pub enum Revoked<'a> {
    /// Every token with this `jti`: `jti:` and the claim.
    Jti(&'a str),
    /// The tokens of this `sub`, whoever issued them: `sub:` and the claim.
    Subject(&'a str),
    /// The tokens of an issuer's `sub`: `iss:`, the length of the issuer in bytes, `:`, the issuer, the subject.
    SubjectOfIssuer(&'a str, &'a str),
    /// One token: `tok:` and a digest.
    Token(u128),
}

impl Names {
    /// Names under `secret`, each key of the store beginning with `prefix` and a colon.
    pub fn new(secret: Secret, prefix: String) -> Self {
        let seed = Seed::from_bytes(mac(&secret, b"seed"));
        Self { secret, prefix, seed }
    }

    /// The seed that all Envoys with this secret have in common.
    pub fn seed(&self) -> Seed {
        self.seed
    }

    /// The key of a caller's window. `identity`: whose, as all Envoys know it ([`Self::seed`]).
    pub(super) fn window(&self, identity: &[u8; 16]) -> String {
        self.key(&hex(&self.mac(&[b"limit:", &identity[..]].concat())))
    }

    /// The key of something that there is once.
    pub fn common(&self, what: &str) -> String {
        self.key(&[what, ":", &hex(&self.mac(what.as_bytes()))].concat())
    }

    /// The name of a revocation's entry, before it is written in hexadecimal digits.
    pub fn revoked(&self, revoked: Revoked<'_>) -> u128 {
        let bytes = match revoked {
            Revoked::Jti(jti) => self.mac(&[b"jti:", jti.as_bytes()].concat()),
            Revoked::Subject(sub) => self.mac(&[b"sub:", sub.as_bytes()].concat()),
            Revoked::SubjectOfIssuer(iss, sub) => {
                let length = Decimal::of(u32::try_from(iss.len()).unwrap_or(u32::MAX));
                self.mac(["iss:", &length, ":", iss, sub].concat().as_bytes())
            }
            Revoked::Token(digest) => self.mac(&[b"tok:", &digest.to_be_bytes()[..]].concat()),
        };
        u128::from_be_bytes(bytes)
    }

    fn key(&self, name: &str) -> String {
        [&self.prefix, ":", name].concat()
    }

    fn mac(&self, text: &[u8]) -> [u8; NAME_BYTES] {
        mac(&self.secret, text)
    }
}

fn mac(secret: &Secret, text: &[u8]) -> [u8; NAME_BYTES] {
    // An HMAC-SHA256 has twice as many bytes.
    secret.mac(text).first_chunk().copied().unwrap_or_default()
}

/// 16 bytes in hexadecimal digits.
pub(super) fn hex(bytes: &[u8; NAME_BYTES]) -> String {
    let digit = |value: u8| char::from_digit(u32::from(value), 16).unwrap_or('0');
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 0xF)]).collect()
}

/// The bytes of 32 hexadecimal digits; `None` if they are not.
pub(super) fn unhex(digits: &[u8]) -> Option<u128> {
    let is_name =
        digits.len() == 2_usize.saturating_mul(NAME_BYTES) && digits.iter().all(u8::is_ascii_hexdigit);
    u128::from_str_radix(std::str::from_utf8(digits).ok().filter(|_| is_name)?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::algorithm::MacAlgorithm;

    fn names(secret: u8) -> Names {
        Names::new(Secret::from_bytes(MacAlgorithm::Hs256, &[secret; 32]).unwrap(), "ag".to_owned())
    }

    #[test]
    fn names_are_those_that_any_hmac_makes() {
        // printf %s jti:abc | openssl dgst -sha256 -mac HMAC -macopt hexkey:0101...01
        let name = format!("{:032x}", names(1).revoked(Revoked::Jti("abc")));
        assert_eq!(name, "eaf58533d4a792b25e48105a3c298479");
        let name = format!("{:032x}", names(1).revoked(Revoked::SubjectOfIssuer("https://a/", "b")));
        assert_eq!(name, "01255048090c058376f5dfd8794de274");
    }

    #[test]
    fn another_secret_kind_or_boundary_is_another_name() {
        let texts = [
            names(1).revoked(Revoked::Jti("ab")),
            names(2).revoked(Revoked::Jti("ab")),
            names(1).revoked(Revoked::Subject("ab")),
            names(1).revoked(Revoked::SubjectOfIssuer("a", "b")),
            names(1).revoked(Revoked::SubjectOfIssuer("", "ab")),
            names(1).revoked(Revoked::SubjectOfIssuer("ab", "")),
        ];
        for (index, text) in texts.iter().enumerate() {
            assert_eq!(texts.iter().position(|other| other == text), Some(index));
        }
        assert_ne!(names(1).window(&[0; 16]), names(2).window(&[0; 16]));
        assert_ne!(names(1).common("nodes"), names(2).common("nodes"), "another secret is another fleet");
        assert!(names(1).common("nodes").starts_with("ag:nodes:"));
    }

    #[test]
    fn a_secret_is_never_printed() {
        assert!(!format!("{:?}", names(7)).contains('7'));
    }
}
