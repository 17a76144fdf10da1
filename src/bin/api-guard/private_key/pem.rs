//! A private key in PEM: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017 appendix A.1.2) or SEC 1 (RFC 5915).

use ct_codecs::{Base64, Decoder};
use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::PrivateKeyInfo;

use super::{PrivateKey, SOUND, Secret};

const FORMS: &str = "write a private key in PEM, or a private JSON Web Key";
/// id-Ed25519 (RFC 8410 section 3).
const ED25519: &str = "1.3.101.112";
/// rsaEncryption (RFC 8017 appendix A.1).
const RSA: &str = "1.2.840.113549.1.1.1";

/// The one private key of a text.
pub(super) fn read(text: &str) -> Result<PrivateKey, String> {
    let mut rest = text;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after.split_once("-----").ok_or(FORMS)?;
        let (body, after) = after.split_once(&format!("-----END {label}-----")).ok_or(FORMS)?;
        // openssl ecparam -genkey writes the curve in front of the key.
        if label != "EC PARAMETERS" {
            return PrivateKey::new(of_block(label, body)?);
        }
        rest = after;
    }
    Err(format!("neither PEM nor JSON; {FORMS}"))
}

fn of_block(label: &str, body: &str) -> Result<Secret, String> {
    const ENCRYPTED: &str = "the key is encrypted; decrypt it: openssl pkey -in KEY -out PLAIN";
    match label {
        _ if body.contains("ENCRYPTED") => return Err(ENCRYPTED.to_owned()),
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {}
        "ENCRYPTED PRIVATE KEY" => return Err(ENCRYPTED.to_owned()),
        "OPENSSH PRIVATE KEY" => {
            return Err("a key of OpenSSH; write it as PKCS#8: ssh-keygen -p -m PKCS8 -f KEY".to_owned());
        }
        "PUBLIC KEY" | "RSA PUBLIC KEY" | "CERTIFICATE" => {
            return Err(format!("a public key ({label}), which cannot sign; {FORMS}"));
        }
        _ => return Err(format!("PEM with the label {label}; {FORMS}")),
    }
    let base64: String = body.split_ascii_whitespace().collect();
    let der = Base64::decode_to_vec(base64, None).map_err(|_| format!("the PEM is not base64; {FORMS}"))?;
    of_der(label, &der).ok_or_else(|| format!("not a {label} of a kind that is supported; {SOUND}"))
}

fn of_der(label: &str, der: &[u8]) -> Option<Secret> {
    match label {
        "RSA PRIVATE KEY" => rsa_key(der),
        "EC PRIVATE KEY" => curve_key(der),
        _ => {
            let info = PrivateKeyInfo::try_from(der).ok()?;
            match info.algorithm.oid.to_string().as_str() {
                RSA => rsa_key(info.private_key),
                // The seed is an OCTET STRING (RFC 8410 section 7).
                ED25519 => ed25519(info.private_key.strip_prefix(&[0x04, 0x20])?),
                _ => curve_key(der),
            }
        }
    }
}

fn rsa_key(der: &[u8]) -> Option<Secret> {
    RsaPrivateKey::from_pkcs1_der(der).ok().map(|key| Secret::Rsa(Box::new(key)))
}

fn curve_key(der: &[u8]) -> Option<Secret> {
    let p256 = p256::SecretKey::from_der(der).ok().map(Secret::P256);
    p256.or_else(|| p384::SecretKey::from_der(der).ok().map(Secret::P384))
}

/// The key pair of a seed (RFC 8032 section 5.1.5).
pub(super) fn ed25519(seed: &[u8]) -> Option<Secret> {
    let seed = ed25519_compact::Seed::from_slice(seed).ok()?;
    Some(Secret::Ed25519(ed25519_compact::KeyPair::from_seed(seed)))
}
