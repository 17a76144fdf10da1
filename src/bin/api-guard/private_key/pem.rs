//! A private key in PEM: PKCS#8 (RFC 5958), PKCS#1 (RFC 8017 appendix A.1.2) or SEC 1 (RFC 5915).

use api_guard_explain::precise::pem::with_label;
use ct_codecs::{Base64, Decoder};
use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey as _;
use rsa::pkcs8::PrivateKeyInfo;

use super::{PrivateKey, SOUND, Secret};

const FORMS: &str = "write a private key in PEM, or a private JSON Web Key";
/// The label of a curve's name.
const CURVE: &str = "EC PARAMETERS";
/// id-Ed25519 (RFC 8410 section 3).
const ED25519: &str = "1.3.101.112";
/// rsaEncryption (RFC 8017 appendix A.1).
const RSA: &str = "1.2.840.113549.1.1.1";

/// The private key of a text: its first block that is neither a certificate nor the name of a curve.
pub(super) fn read(text: &str) -> Result<PrivateKey, String> {
    let mut rest = text;
    let mut passed = None;
    while let Some((_, after)) = rest.split_once("-----BEGIN ") {
        let (label, after) = after.split_once("-----").ok_or(FORMS)?;
        let (body, after) = after.split_once(&format!("-----END {label}-----")).ok_or(FORMS)?;
        // openssl ecparam -genkey writes the curve in front of the key, and many files have the certificate there.
        match label {
            CURVE | "CERTIFICATE" | "X509 CERTIFICATE" | "TRUSTED CERTIFICATE" => {
                passed = passed.or(Some(label));
            }
            _ => return PrivateKey::new(of_block(label, body)?),
        }
        rest = after;
    }
    match passed {
        Some(CURVE) => return Err(format!("the name of a curve ({CURVE}), without a key; {FORMS}")),
        Some(label) => {
            return Err(format!("a certificate ({label}), which cannot sign; give the private key of it"));
        }
        None => {}
    }
    if ["ssh-", "ecdsa-sha2-"].iter().any(|kind| text.trim_start().starts_with(kind)) {
        return Err(format!("a public key of OpenSSH, which cannot sign; {FORMS}"));
    }
    Err(format!("neither PEM nor JSON; {FORMS}"))
}

fn of_block(label: &str, body: &str) -> Result<Secret, String> {
    const ENCRYPTED: &str = "the key is encrypted; decrypt it: openssl pkey -in KEY -out PLAIN";
    match label {
        _ if body.contains("ENCRYPTED") => return Err(ENCRYPTED.to_owned()),
        "PRIVATE KEY" | "RSA PRIVATE KEY" | "EC PRIVATE KEY" => {}
        "ENCRYPTED PRIVATE KEY" => return Err(ENCRYPTED.to_owned()),
        "OPENSSH PRIVATE KEY" => return Err(of_openssh(body)),
        "PUBLIC KEY" | "RSA PUBLIC KEY" => {
            return Err(format!("a public key ({label}), which cannot sign; {FORMS}"));
        }
        _ => return Err(format!("{}; {FORMS}", with_label(label))),
    }
    let der = decoded(body).ok_or_else(|| format!("the PEM is not base64; {FORMS}"))?;
    of_der(label, &der).ok_or_else(|| {
        match PrivateKeyInfo::try_from(&*der).ok().and_then(|info| kind(&info)) {
            Some(kind) => format!("a key of {kind}; {SOUND}"),
            None => format!("not a {label} of a kind that is supported; {SOUND}"),
        }
    })
}

fn decoded(body: &str) -> Option<Vec<u8>> {
    Base64::decode_to_vec(body.split_ascii_whitespace().collect::<String>(), None).ok()
}

/// What to do with a key of OpenSSH.
fn of_openssh(body: &str) -> String {
    const ED25519: &[u8] = b"ssh-ed25519";
    let is_ed25519 = decoded(body).is_some_and(|key| key.windows(ED25519.len()).any(|part| part == ED25519));
    if is_ed25519 {
        return "an Ed25519 key of OpenSSH, which not every ssh-keygen writes in another form; make a key: openssl genpkey \
                -algorithm Ed25519"
            .to_owned();
    }
    "a key of OpenSSH; write a copy of it as PKCS#8: cp KEY COPY && ssh-keygen -p -m PKCS8 -f COPY".to_owned()
}

/// The kind of a key that people take for one that signs tokens.
fn kind(info: &PrivateKeyInfo<'_>) -> Option<&'static str> {
    match info.algorithm.oid.to_string().as_str() {
        "1.3.101.110" => Some("X25519, which cannot sign"),
        "1.3.101.113" => Some("Ed448, which no guard verifies"),
        "1.2.840.113549.1.1.10" => Some("RSA for RSASSA-PSS alone"),
        _ => None,
    }
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
