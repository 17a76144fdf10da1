//! An issuer with private keys, which publishes the public ones.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use p256::ecdsa::signature::Signer;
use rsa::sha2::{Digest, Sha256};
use rsa::traits::{PrivateKeyParts, PublicKeyParts};
use rsa::{BigUint, Pkcs1v15Sign, RsaPrivateKey};
use serde_json::{Value, json};

/// A private key of an issuer.
#[derive(Debug)]
pub enum IssuerKey {
    /// For ES256.
    P256(p256::ecdsa::SigningKey),
    /// For EdDSA.
    Ed25519(ed25519_compact::KeyPair),
    /// For RS256.
    Rsa(Box<RsaPrivateKey>),
}

fn encode(bytes: &[u8]) -> String {
    Base64UrlSafeNoPadding::encode_to_string(bytes).expect("memory")
}

impl IssuerKey {
    /// The key for ES256 of this number, which is not 0.
    ///
    /// # Panics
    ///
    /// If the number is 0.
    pub fn es256(number: u8) -> Self {
        Self::P256(p256::ecdsa::SigningKey::from_slice(&[number; 32]).expect("a number below the order"))
    }

    /// The key for EdDSA of this number.
    pub fn eddsa(number: u8) -> Self {
        Self::Ed25519(ed25519_compact::KeyPair::from_seed(ed25519_compact::Seed::new([number; 32])))
    }

    /// The key for RS256, of 2,048 bits: its factors are the two largest primes below 2^1024.
    ///
    /// # Panics
    ///
    /// Never: they are primes.
    pub fn rs256() -> Self {
        let below = |less: u8| {
            let mut bytes = [0xff; 128];
            bytes[127] = 0_u8.wrapping_sub(less);
            BigUint::from_bytes_be(&bytes)
        };
        let key = RsaPrivateKey::from_p_q(below(105), below(179), BigUint::from(65_537_u32));
        Self::Rsa(Box::new(key.expect("two primes")))
    }

    /// The name of its algorithm.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
            Self::Rsa(_) => "RS256",
        }
    }

    /// Its public key as a JSON Web Key.
    ///
    /// # Panics
    ///
    /// Never: a point has coordinates.
    pub fn jwk(&self, kid: Option<&str>) -> Value {
        let mut jwk = match self {
            Self::P256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let (x, y) = (point.x().expect("an x"), point.y().expect("a y"));
                json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) })
            }
            Self::Ed25519(key) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(key.pk.as_ref()) }),
            Self::Rsa(key) => {
                let (n, e) = (key.n().to_bytes_be(), key.e().to_bytes_be());
                json!({ "kty": "RSA", "n": encode(&n), "e": encode(&e) })
            }
        };
        if let (Some(kid), Some(jwk)) = (kid, jwk.as_object_mut()) {
            jwk.insert("kid".to_owned(), kid.into());
        }
        jwk
    }

    /// A token of these claims that names this kid.
    pub fn token(&self, kid: Option<&str>, claims: &Value) -> String {
        let mut header = json!({ "alg": self.algorithm() });
        if let (Some(kid), Some(header)) = (kid, header.as_object_mut()) {
            header.insert("kid".to_owned(), kid.into());
        }
        self.token_with(&header, claims)
    }

    /// A token of this header and these claims.
    ///
    /// # Panics
    ///
    /// Never: a key of 2,048 bits signs.
    pub fn token_with(&self, header: &Value, claims: &Value) -> String {
        let input =
            format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(input.as_bytes());
                signature.to_bytes().to_vec()
            }
            Self::Ed25519(key) => key.sk.sign(&input, None).to_vec(),
            Self::Rsa(key) => {
                let padding = Pkcs1v15Sign::new::<Sha256>();
                key.sign(padding, &sha256(input.as_bytes())).expect("a key of 2,048 bits")
            }
        };
        format!("{input}.{}", encode(&signature))
    }

    /// The signature of this padded hash by a key for RS256 (RFC 8017 section 8.2.1), which need not be padded right.
    ///
    /// # Panics
    ///
    /// If the key is for another algorithm.
    pub fn sign_padded(&self, padded: &[u8]) -> Vec<u8> {
        let Self::Rsa(key) = self else { panic!("a key for {}", self.algorithm()) };
        let signature = BigUint::from_bytes_be(padded).modpow(key.d(), key.n()).to_bytes_be();
        let mut whole = vec![0; 256_usize.saturating_sub(signature.len())];
        whole.extend(signature);
        whole
    }
}

/// What RS256 and ES256 sign in place of a text.
pub fn sha256(text: &[u8]) -> Vec<u8> {
    Sha256::digest(text).to_vec()
}

/// A key set of these keys.
pub fn key_set(keys: &[Value]) -> Value {
    json!({ "keys": keys })
}
