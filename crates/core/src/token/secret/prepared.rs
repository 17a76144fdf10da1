//! HMAC with SHA-256 (RFC 2104), by the hash that jwt-simple takes it from. What depends on the key alone is computed once:
//! two of the seven or eight blocks that a usual token takes.

use hmac_sha256::Hash;

/// The bytes that SHA-256 takes at a time (FIPS 180-4).
const BLOCK_BYTES: usize = 64;

/// A key for HMAC with SHA-256.
#[derive(Clone)]
pub(super) struct HS256Key {
    inner: Hash,
    outer: Hash,
}

impl HS256Key {
    pub(super) fn from_bytes(key: &[u8]) -> Self {
        let digest = Hash::hash(key);
        let key = if key.len() > BLOCK_BYTES { &digest } else { key };
        let begun = |pad: u8| {
            let mut block = [pad; BLOCK_BYTES];
            block.iter_mut().zip(key).for_each(|(byte, key)| *byte ^= key);
            let mut hash = Hash::new();
            hash.update(block);
            hash
        };
        Self { inner: begun(0x36), outer: begun(0x5c) }
    }

    pub(super) fn authentication_tag(&self, message: &[u8]) -> Vec<u8> {
        let (mut inner, mut outer) = (self.inner, self.outer);
        inner.update(message);
        outer.update(inner.finalize());
        outer.finalize().to_vec()
    }
}

#[cfg(test)]
mod tests {
    use jwt_simple::algorithms::{self as whole, MACLike};
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_mac_is_the_one_that_jwt_simple_makes(
            key in prop::collection::vec(any::<u8>(), 0..200),
            message in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            let key_of_theirs = whole::HS256Key::from_bytes(&key);
            prop_assert_eq!(
                HS256Key::from_bytes(&key).authentication_tag(&message),
                key_of_theirs.authentication_tag(&message)
            );
        }
    }
}
