//! List `tokens.keys`.

use ct_codecs::{Base64UrlSafeNoPadding, Decoder};

use super::problems::Problems;
use super::{Parts, Path, public_keys};
use crate::config::raw::{RawKey, RawSecret};
use crate::config::rfc3339;
use crate::lookup::Lookup;
use crate::time::UnixNanos;
use crate::token::algorithm::{Algorithm, MacAlgorithm};
use crate::token::keys::{Key, KeyMaterial, LONGEST_KID, is_kid};
use crate::token::secret::{Secret, SecretEncoding};

const SECRET_FORMS: &str =
    r#"write {"env": "NAME"}, {"value": "..."} or {"base64url": "..."}, or a public_key instead"#;

/// The keys that tokens are verified with.
pub(super) fn compile(parts: &mut Parts<'_>, raw: Vec<RawKey>, at: &Path<'_>) -> Vec<Key> {
    let mut kids = Lookup::default();
    let mut keys = Vec::new();
    for (index, key) in raw.into_iter().enumerate() {
        let at = &at.index(index);
        if let Some(kid) = &key.kid {
            let at = &at.field("kid");
            if !is_kid(kid) {
                let instead = format!("write 1 to {LONGEST_KID} visible ASCII characters");
                parts.problems.add(at, "not a key identifier", instead);
            }
            if let Some(first) = kids.enter(kid, index) {
                let problem = format!("the same kid as /tokens/keys/{first}");
                parts.problems.add(at, problem, "give each key a kid of its own");
            }
        }
        let always = (UnixNanos::from_nanos(0), UnixNanos::from_nanos(u64::MAX));
        let not_before = date(&mut parts.problems, key.not_before, &at.field("not_before"), always.0);
        let not_after = date(&mut parts.problems, key.not_after, &at.field("not_after"), always.1);
        if not_after <= not_before {
            parts.problems.add(&at.field("not_after"), "not later than not_before", "write a later date");
        }
        let (algorithm, material) = match (key.secret, key.public_key) {
            (None, Some(public_key)) => public_keys::public_key(parts, public_key, key.algorithm, at),
            (Some(_), Some(_)) => {
                let instead = "remove one of them: a key is a shared secret or a public key";
                parts.problems.add(&at.field("public_key"), "beside a secret", instead);
                (Algorithm::Mac(MacAlgorithm::Hs256), None)
            }
            (secret, None) => of_secret(parts, secret, key.algorithm, at),
        };
        parts.problems.claim_values(&at.field("issuers"), &key.issuers);
        parts.problems.claim_values(&at.field("audiences"), &key.audiences);
        keys.push(Key {
            kid: key.kid,
            algorithm,
            material,
            issuers: key.issuers,
            audiences: key.audiences,
            not_before,
            not_after,
        });
    }
    keys
}

fn of_secret(
    parts: &mut Parts<'_>,
    raw: Option<RawSecret>,
    algorithm: Option<Algorithm>,
    at: &Path<'_>,
) -> (Algorithm, Option<KeyMaterial>) {
    let algorithm = match algorithm {
        None => MacAlgorithm::Hs256,
        Some(Algorithm::Mac(algorithm)) => algorithm,
        Some(Algorithm::Public(_)) => {
            let instead = "write HS256, HS384 or HS512, or a public_key instead of the secret";
            parts.problems.add(&at.field("algorithm"), "not an algorithm of shared secrets", instead);
            return (Algorithm::Mac(MacAlgorithm::Hs256), None);
        }
    };
    let secret = secret(parts, raw, algorithm, &at.field("secret"));
    (Algorithm::Mac(algorithm), secret.map(KeyMaterial::Secret))
}

fn date(problems: &mut Problems, text: Option<String>, at: &Path<'_>, absent: UnixNanos) -> UnixNanos {
    let Some(text) = text else { return absent };
    rfc3339::parse(&text).unwrap_or_else(|| {
        problems.add(at, "not a date", r#"write it as in RFC 3339, such as "2026-11-01T00:00:00Z""#);
        absent
    })
}

fn secret(
    parts: &mut Parts<'_>,
    raw: Option<RawSecret>,
    algorithm: MacAlgorithm,
    at: &Path<'_>,
) -> Option<Secret> {
    let Some(raw) = raw else {
        parts.problems.add(at, "missing", SECRET_FORMS);
        return None;
    };
    let (bytes, field) = bytes(parts, raw, at)?;
    let at = &at.field(field);
    let secret = Secret::from_bytes(algorithm, &bytes);
    if secret.is_none() {
        let problem = format!("a secret of only {} bytes", bytes.len());
        let (name, least) = (algorithm.name(), algorithm.least_secret_bytes());
        let instead = format!(
            "use at least {least} random bytes for {name} (RFC 7518 section 3.2): api-guard keygen --bytes {least} prints such a secret"
        );
        parts.problems.add(at, problem, instead);
    }
    secret
}

/// The bytes of a secret, and the field that they come from. `None` if there are none, which is a problem unless the
/// environment says otherwise.
pub(super) fn bytes(parts: &mut Parts<'_>, raw: RawSecret, at: &Path<'_>) -> Option<(Vec<u8>, &'static str)> {
    let (text, encoding, field) = match raw {
        RawSecret::Value { value, encoding } => (value.into_bytes(), encoding, "value"),
        RawSecret::Base64url { base64url } => {
            let Ok(bytes) = Base64UrlSafeNoPadding::decode_to_vec(&base64url, None) else {
                let instead =
                    "write base64url without padding (RFC 4648 section 5), as api-guard keygen prints it";
                parts.problems.add(&at.field("base64url"), "not base64url", instead);
                return None;
            };
            (bytes, SecretEncoding::Text, "base64url")
        }
        RawSecret::Env { env, encoding } => (variable(parts, &env, &at.field("env"))?, encoding, "env"),
    };
    let Some(bytes) = encoding.decode(&text) else {
        let instead = "write base64 on one line (RFC 4648 section 4 or 5), or \"encoding\": \"text\"";
        parts.problems.add(&at.field(field), "the secret is not base64", instead);
        return None;
    };
    Some((bytes, field))
}

/// The value of a variable, if it is set. An unset one is a problem only if the environment says so.
pub(super) fn variable(parts: &mut Parts<'_>, name: &str, at: &Path<'_>) -> Option<Vec<u8>> {
    let well_formed = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if name.is_empty() || !well_formed {
        let instead = "write letters, digits and _, such as API_GUARD_SECRET";
        parts.problems.add(at, "not a variable name", instead);
        return None;
    }
    let value = (parts.environment.lookup)(name);
    if value.is_none() && parts.environment.must_be_set {
        let problem = format!("the variable {name} is not set in the VM's environment");
        let instead = "set it for Envoy and name it in vm_config.environment_variables.host_env_keys";
        parts.problems.add(at, problem, instead);
    }
    value
}
