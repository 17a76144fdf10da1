//! HMAC (RFC 2104) with the processor's SHA instructions, in place of jwt-simple's portable code: a new token costs half.
//! What depends on the key alone is computed once.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384, Sha512};

/// Defines a key of one algorithm, with the names that jwt-simple uses.
macro_rules! keys {
    ($($name:ident of $hash:ty;)*) => {$(
        #[doc = concat!("A key for HMAC with ", stringify!($hash), ". `None`, which no key is, would verify nothing.")]
        #[derive(Clone)]
        pub(super) struct $name(Option<Box<Hmac<$hash>>>);

        impl $name {
            pub(super) fn from_bytes(key: &[u8]) -> Self {
                Self(Hmac::new_from_slice(key).ok().map(Box::new))
            }

            pub(super) fn authentication_tag(&self, message: &[u8]) -> Vec<u8> {
                let keyed = self.0.as_deref().cloned();
                keyed.map_or(Vec::new(), |mac| mac.chain_update(message).finalize().into_bytes().to_vec())
            }
        }
    )*};
}

keys! {
    HS256Key of Sha256;
    HS384Key of Sha384;
    HS512Key of Sha512;
}

#[cfg(test)]
mod tests {
    use jwt_simple::algorithms::MACLike;
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_mac_is_the_one_that_jwt_simple_makes(
            key in prop::collection::vec(any::<u8>(), 0..300),
            message in prop::collection::vec(any::<u8>(), 0..600),
        ) {
            use jwt_simple::algorithms as portable;
            prop_assert_eq!(
                HS256Key::from_bytes(&key).authentication_tag(&message),
                portable::HS256Key::from_bytes(&key).authentication_tag(&message)
            );
            prop_assert_eq!(
                HS384Key::from_bytes(&key).authentication_tag(&message),
                portable::HS384Key::from_bytes(&key).authentication_tag(&message)
            );
            prop_assert_eq!(
                HS512Key::from_bytes(&key).authentication_tag(&message),
                portable::HS512Key::from_bytes(&key).authentication_tag(&message)
            );
        }
    }
}
