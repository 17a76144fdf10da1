//! Which token is this, however it is spelled? Single tokens are revoked by this identity.
//!
//! The signature is not part of it, because an ECDSA signature has two valid forms. Nor is the spelling, if the issuer
//! numbers its tokens, because an issuer can sign the same claims again under another header. Knows no keys, no times
//! and no revocations.

use crate::seed::Seed;

/// What distinguishes a token from every other token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TokenIdentity<'t> {
    /// A token with a `jti` that is not empty. RFC 7519 section 4.1.7 makes it unique per issuer. The subject is added
    /// so that, if an issuer reuses a `jti`, revoking one's own token cannot revoke another subject's.
    Numbered {
        /// `iss`; a missing one differs from an empty one.
        issuer: Option<&'t str>,
        /// `sub`; a missing one differs from an empty one.
        subject: Option<&'t str>,
        /// `jti`, not empty.
        jti: &'t str,
    },
    /// Any other token: the keyed digest of its header and payload as sent.
    Signed(SigningDigest),
}

/// The digest of a token's signing input under the process's key: 128 bits of SipHash-1-3, so that nobody without that
/// key can construct two tokens with the same digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SigningDigest(u128);

impl SigningDigest {
    /// The digest of `signing_input`: header, dot and payload (RFC 7515 section 5.2).
    pub fn of(signing_input: &[u8], seed: &Seed) -> Self {
        Self(seed.digest("token/signed", [signing_input]))
    }
}

impl TokenIdentity<'_> {
    /// The identity as one keyed digest. `seed`: the one that the token was verified with.
    pub fn digest(&self, seed: &Seed) -> u128 {
        match *self {
            Self::Numbered { issuer, subject, jti } => {
                let mut digest = seed.begin("token/numbered");
                for part in [issuer, subject, Some(jti)] {
                    digest.add_tagged(u8::from(part.is_some()), part.unwrap_or_default().as_bytes());
                }
                digest.finish()
            }
            Self::Signed(SigningDigest(digest)) => digest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: Seed = Seed::from_bytes([7; 16]);

    fn numbered(issuer: Option<&str>, subject: Option<&str>, jti: &str) -> u128 {
        TokenIdentity::Numbered { issuer, subject, jti }.digest(&SEED)
    }

    #[test]
    fn each_of_issuer_subject_and_jti_tells_tokens_apart() {
        let one = numbered(Some("i"), Some("s"), "j");
        assert_eq!(one, numbered(Some("i"), Some("s"), "j"));
        for other in [
            numbered(Some("k"), Some("s"), "j"),
            numbered(Some("i"), Some("t"), "j"),
            numbered(Some("i"), Some("s"), "k"),
            numbered(Some("s"), Some("i"), "j"),
            numbered(Some("is"), Some(""), "j"),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn a_claim_that_is_absent_is_not_an_empty_one() {
        let all = [
            numbered(None, None, "j"),
            numbered(Some(""), None, "j"),
            numbered(None, Some(""), "j"),
            numbered(Some(""), Some(""), "j"),
        ];
        for (index, one) in all.iter().enumerate() {
            assert!(!all[index + 1..].contains(one), "{index}");
        }
    }

    #[test]
    fn a_signing_input_has_the_same_digest_under_the_same_key_alone() {
        let digest = |input: &[u8], seed| TokenIdentity::Signed(SigningDigest::of(input, seed)).digest(seed);
        assert_eq!(digest(b"h.p", &SEED), digest(b"h.p", &SEED));
        assert_ne!(digest(b"h.p", &SEED), digest(b"h.q", &SEED));
        assert_ne!(digest(b"h.p", &SEED), digest(b"h.p", &Seed::from_bytes([8; 16])));
    }
}
