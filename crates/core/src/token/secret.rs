//! Shared secrets: how they are written, and the MACs that they make. Only this module uses jwt-simple, or what stands in
//! its place (`secret/prepared.rs`, `secret/instructions.rs`).

#[cfg(feature = "sha-instructions")]
mod instructions;
#[cfg(not(feature = "sha-instructions"))]
mod prepared;

use std::fmt;

#[cfg(feature = "schema")]
use schemars::JsonSchema;

#[cfg(not(feature = "sha-instructions"))]
use jwt_simple::algorithms::{HS384Key, HS512Key, MACLike};

use super::algorithm::MacAlgorithm;
use super::compact;
#[cfg(feature = "sha-instructions")]
use instructions::{HS256Key, HS384Key, HS512Key};
#[cfg(not(feature = "sha-instructions"))]
use prepared::HS256Key;

/// A shared secret that is long enough for its algorithm. Never printed.
#[derive(Clone)]
pub struct Secret(Mac);

#[derive(Clone)]
enum Mac {
    Hs256(HS256Key),
    Hs384(HS384Key),
    Hs512(HS512Key),
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("<secret>")
    }
}

impl Secret {
    /// A secret of these bytes; `None` if there are fewer than [`MacAlgorithm::least_secret_bytes`].
    pub fn from_bytes(algorithm: MacAlgorithm, bytes: &[u8]) -> Option<Self> {
        if bytes.len() < algorithm.least_secret_bytes() {
            return None;
        }
        Some(Self(match algorithm {
            MacAlgorithm::Hs256 => Mac::Hs256(HS256Key::from_bytes(bytes)),
            MacAlgorithm::Hs384 => Mac::Hs384(HS384Key::from_bytes(bytes)),
            MacAlgorithm::Hs512 => Mac::Hs512(HS512Key::from_bytes(bytes)),
        }))
    }

    /// The MAC over `signing_input`, for signing.
    pub fn mac(&self, signing_input: &[u8]) -> Vec<u8> {
        match &self.0 {
            Mac::Hs256(key) => key.authentication_tag(signing_input),
            Mac::Hs384(key) => key.authentication_tag(signing_input),
            Mac::Hs512(key) => key.authentication_tag(signing_input),
        }
    }

    /// Whether `mac` is the whole MAC over `signing_input`; compared in constant time.
    pub fn verifies(&self, signing_input: &[u8], mac: &[u8]) -> bool {
        // The length is public, so a MAC of another length may be refused before anything is computed.
        mac.len() == self.algorithm().mac_bytes() && ct_codecs::verify(&self.mac(signing_input), mac)
    }

    const fn algorithm(&self) -> MacAlgorithm {
        match self.0 {
            Mac::Hs256(_) => MacAlgorithm::Hs256,
            Mac::Hs384(_) => MacAlgorithm::Hs384,
            Mac::Hs512(_) => MacAlgorithm::Hs512,
        }
    }
}

/// How a text stands for the bytes of a secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum SecretEncoding {
    /// The text is the secret.
    #[default]
    Text,
    /// The text is the secret in base64.
    Base64,
}

impl SecretEncoding {
    /// The bytes of the secret; `None` if `text` is not of this encoding. Base64 (RFC 4648 sections 4 and 5) has either
    /// alphabet, but not both; its padding and white space around it are optional.
    pub fn decode(self, text: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Text => Some(text.to_vec()),
            Self::Base64 => decode_base64(text.trim_ascii()),
        }
    }
}

/// The bytes of a base64 text (RFC 4648 sections 4 and 5) in either alphabet, but not both, whose padding is optional.
pub(super) fn decode_base64(text: &[u8]) -> Option<Vec<u8>> {
    let is_whole = text.len().is_multiple_of(4);
    let padding = text.iter().rev().take_while(|byte| **byte == b'=').count();
    if padding > 2 || padding > 0 && !is_whole {
        return None;
    }
    let digits = text.get(..text.len().saturating_sub(padding))?;
    let has = |these: [u8; 2]| digits.iter().any(|byte| these.contains(byte));
    if has(*b"+/") && has(*b"-_") {
        return None;
    }
    let url_safe = |byte: &u8| match byte {
        b'+' => b'-',
        b'/' => b'_',
        other => *other,
    };
    compact::decode(&digits.iter().map(url_safe).collect::<Vec<u8>>()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_shorter_than_its_hash_is_none_and_a_secret_is_never_printed() {
        for (algorithm, least) in
            [(MacAlgorithm::Hs256, 32), (MacAlgorithm::Hs384, 48), (MacAlgorithm::Hs512, 64)]
        {
            assert!(Secret::from_bytes(algorithm, &vec![1; least - 1]).is_none(), "{algorithm:?}");
            let secret = Secret::from_bytes(algorithm, &vec![1; least]).unwrap();
            assert_eq!(format!("{secret:?}"), "<secret>");
        }
    }

    #[test]
    fn a_mac_is_that_of_its_algorithm_and_whole() {
        let secrets = MacAlgorithm::ALL.map(|algorithm| Secret::from_bytes(algorithm, &[1; 64]).unwrap());
        for (index, secret) in secrets.iter().enumerate() {
            let mac = secret.mac(b"a.b");
            assert_eq!(mac.len(), MacAlgorithm::ALL[index].mac_bytes());
            for (other, judge) in secrets.iter().enumerate() {
                assert_eq!(judge.verifies(b"a.b", &mac), index == other);
            }
            assert!(!secret.verifies(b"a.c", &mac));
            assert!(!secret.verifies(b"a.b", &mac[..mac.len() - 1]));
            assert!(!secret.verifies(b"a.b", &[&mac[..], b"\0"].concat()));
            assert!(!secret.verifies(b"a.b", b""));
        }
    }

    #[test]
    fn the_macs_are_those_of_rfc_4231() {
        let message = b"Test Using Larger Than Block-Size Key - Hash Key First";
        for (algorithm, published) in [
            (MacAlgorithm::Hs256, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"),
            (
                MacAlgorithm::Hs384,
                "4ece084485813e9088d2c63a041bc5b44f9ef1012a2b588f3cd11f05033ac4c60c2ef6ab4030fe8296248df163f44952",
            ),
            (
                MacAlgorithm::Hs512,
                "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f3526b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
            ),
        ] {
            let mac = Secret::from_bytes(algorithm, &[0xaa; 131]).unwrap().mac(message);
            let hex: String = mac.iter().map(|byte| format!("{byte:02x}")).collect();
            assert_eq!(hex, published, "RFC 4231 section 4.7");
        }
    }

    #[test]
    fn base64_has_either_alphabet_with_or_without_padding_and_white_space_around_it() {
        let decode = |text: &str| SecretEncoding::Base64.decode(text.as_bytes());
        for text in ["+/8=", "+/8", "-_8=", "-_8", " \n+/8=\r\n\t"] {
            assert_eq!(decode(text).as_deref(), Some(&[0xfb, 0xff][..]), "{text:?}");
        }
        assert_eq!(decode("QQ==").as_deref(), Some(&b"A"[..]));
        assert_eq!(decode("QUJD").as_deref(), Some(&b"ABC"[..]));
        assert_eq!(decode("").as_deref(), Some(&b""[..]));
        for text in
            ["+_8=", "QQ=", "QQ===", "QUJD=", "QUJD====", "Q", "QR==", "Q Q=", "QUJD\nQUJD", "QQ=A", "é", "*"]
        {
            assert_eq!(decode(text), None, "{text:?}");
        }
        assert_eq!(decode("\u{a0}QUJD"), None);
    }

    #[test]
    fn a_text_is_taken_as_it_is() {
        assert_eq!(SecretEncoding::Text.decode(b" \xffQQ==\n").as_deref(), Some(&b" \xffQQ==\n"[..]));
    }
}
