//! An issuer with private keys, which publishes the public ones.

use ct_codecs::{Base64UrlSafeNoPadding, Encoder};
use p256::ecdsa::signature::Signer;
use serde_json::{Value, json};

/// A private key of an issuer.
#[derive(Debug)]
pub enum IssuerKey {
    /// For ES256.
    P256(p256::ecdsa::SigningKey),
    /// For EdDSA.
    Ed25519(ed25519_compact::KeyPair),
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

    /// The name of its algorithm.
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::P256(_) => "ES256",
            Self::Ed25519(_) => "EdDSA",
        }
    }

    /// Its public key as a JSON Web Key.
    ///
    /// # Panics
    ///
    /// Never: a key has coordinates.
    pub fn jwk(&self, kid: Option<&str>) -> Value {
        let mut jwk = match self {
            Self::P256(key) => {
                let point = key.verifying_key().to_sec1_point(false);
                let (x, y) = (point.x().expect("an x"), point.y().expect("a y"));
                json!({ "kty": "EC", "crv": "P-256", "x": encode(x), "y": encode(y) })
            }
            Self::Ed25519(key) => json!({ "kty": "OKP", "crv": "Ed25519", "x": encode(key.pk.as_ref()) }),
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
        let input =
            format!("{}.{}", encode(header.to_string().as_bytes()), encode(claims.to_string().as_bytes()));
        let signature = match self {
            Self::P256(key) => {
                let signature: p256::ecdsa::Signature = key.sign(input.as_bytes());
                signature.to_bytes().to_vec()
            }
            Self::Ed25519(key) => key.sk.sign(&input, None).to_vec(),
        };
        format!("{input}.{}", encode(&signature))
    }
}

/// A key set of these keys.
pub fn key_set(keys: &[Value]) -> Value {
    json!({ "keys": keys })
}
