//! List `tokens.key_sets`, and the public keys of `tokens.keys`.

use std::sync::Arc;

use super::keys::variable;
use super::{Parts, Path, tokens};
use crate::config::raw::{RawInline, RawJwks, RawKeySet, RawPublicKey};
use crate::json::Json;
use crate::lookup::Lookup;
use crate::token::algorithm::{Algorithm, PublicAlgorithm, PublicAlgorithms};
use crate::token::key_set::rule::{KeySetRule, KeySource, RemoteSet};
use crate::token::key_set::{KeySet, KeySetFault};
use crate::token::keys::KeyMaterial;
use crate::token::public_key::jwk::Jwk;
use crate::token::public_key::{KeyFault, pem};

/// The longest name of a key set, bytes.
const LONGEST_NAME: usize = 64;
/// The largest `max_stale_seconds`: about a century.
const LONGEST_STALE: u64 = 3_153_600_000;

const SOUND: &str = "give a public key for verifying signatures: RSA of 2048 to 4096 bits with the exponent 65537, P-256 \
                     for ES256, P-384 for ES384, or Ed25519";

/// The public key of an entry of `tokens.keys`, its algorithm, and the kid that it names itself. `algorithm`: the one that
/// the entry names.
pub(super) fn public_key(
    parts: &mut Parts<'_>,
    raw: RawPublicKey,
    algorithm: Option<Algorithm>,
    key: &Path<'_>,
) -> (Algorithm, Option<KeyMaterial>) {
    let algorithm = match algorithm {
        Some(Algorithm::Mac(_)) => {
            let problem = "an algorithm of shared secrets";
            parts.problems.add(&key.field("algorithm"), problem, "write one that the public key has");
            None
        }
        Some(Algorithm::Public(algorithm)) => Some(algorithm),
        None => None,
    };
    let fallback = Algorithm::Public(algorithm.unwrap_or(PublicAlgorithm::Rs256));
    let at = key.field("public_key");
    let (at, read) = match raw {
        RawPublicKey::Jwk { jwk } => (at.field("jwk"), read_jwk(&jwk)),
        RawPublicKey::Pem { pem } => (at.field("pem"), read_text(&pem)),
        RawPublicKey::Env { env } => {
            let at = at.field("env");
            let Some(text) = variable(parts, &env, &at) else { return (fallback, None) };
            (at, std::str::from_utf8(&text).map_err(|_| KeyFault::NotPem).and_then(read_text))
        }
    };
    let jwk = match read {
        Ok(jwk) => jwk,
        Err(fault) => {
            parts.problems.add(&at, fault.why(), SOUND);
            return (fallback, None);
        }
    };
    let usual = jwk.key.kind().usual_algorithm();
    let chosen = match algorithm {
        Some(algorithm) => algorithm,
        None if jwk.algorithms.contains(usual) => usual,
        None => {
            PublicAlgorithm::ALL.into_iter().find(|known| jwk.algorithms.contains(*known)).unwrap_or(usual)
        }
    };
    if !jwk.algorithms.contains(chosen) {
        let has = PublicAlgorithm::ALL.into_iter().filter(|known| jwk.algorithms.contains(*known));
        let names: Vec<&str> = has.map(PublicAlgorithm::name).collect();
        let instead = ["write ", &names.join(" or "), ", or remove it"].concat();
        parts.problems.add(&key.field("algorithm"), "not an algorithm of this public key", instead);
        return (fallback, None);
    }
    (Algorithm::Public(chosen), Some(KeyMaterial::Public(chosen, jwk.key)))
}

/// A JSON Web Key or PEM.
fn read_text(text: &str) -> Result<Jwk, KeyFault> {
    if text.trim_ascii_start().starts_with('{') {
        return read_jwk(text);
    }
    pem::read(text).map(|key| Jwk { kid: None, algorithms: key.kind().algorithms(), key })
}

fn read_jwk(text: &str) -> Result<Jwk, KeyFault> {
    Jwk::read(&Json::read(text).map_err(|_| KeyFault::Malformed)?)
}

/// The key sets.
pub(super) fn key_sets(parts: &mut Parts<'_>, raw: Vec<RawKeySet>, at: &Path<'_>) -> Vec<KeySetRule> {
    let mut names = Lookup::default();
    let mut rules = Vec::new();
    for (index, set) in raw.into_iter().enumerate() {
        let at = &at.index(index);
        let name = name(parts, set.name, index, &mut names, &at.field("name"));
        if set.issuers.is_empty() {
            let instead = r#"name the issuer of its tokens as their iss has it, such as ["https://login.example.com/"]"#;
            parts.problems.add(&at.field("issuers"), "no issuers", instead);
        }
        parts.problems.claim_values(&at.field("issuers"), &set.issuers);
        parts.problems.claim_values(&at.field("audiences"), &set.audiences);
        if set.algorithms.is_empty() {
            let instead = r#"name at least one, such as "RS256""#;
            parts.problems.add(&at.field("algorithms"), "empty list", instead);
        }
        for (position, algorithm) in set.algorithms.iter().enumerate() {
            if set.algorithms.iter().take(position).any(|earlier| earlier == algorithm) {
                parts.problems.repeated(&at.field("algorithms").index(position));
            }
        }
        let algorithms: PublicAlgorithms = set.algorithms.into_iter().collect();
        let mut within = |field: &str, value: u64, least: u64, most: u64, unit: &str| {
            parts.problems.within(&at.field(field), value, least, most, unit).unwrap_or(least)
        };
        let refresh_seconds = within("refresh_seconds", set.refresh_seconds, 1, 86_400, "seconds");
        let min_refetch_seconds = within("min_refetch_seconds", set.min_refetch_seconds, 1, 3600, "seconds");
        let timeout = within("timeout_milliseconds", set.timeout_milliseconds, 10, 60_000, "milliseconds");
        let max_stale_seconds =
            within("max_stale_seconds", set.max_stale_seconds, 1, LONGEST_STALE, "seconds");
        let permissions = set.permissions_claim.map(|claim| {
            let claims = tokens::claims(parts, claim, &at.field("permissions_claim"));
            claims.into_iter().map(|claim| claim.slot).collect()
        });
        let at = &at.field("jwks");
        let source = match set.jwks {
            None => {
                parts.problems.add(at, "missing", SOURCE_FORMS);
                None
            }
            Some(RawJwks { inline: Some(inline), cluster: None, path: None, authority: None }) => {
                inline_set(parts, inline, algorithms, &at.field("inline"))
            }
            Some(RawJwks { inline: Some(_), .. }) => {
                let instead = "remove \"inline\", or everything beside it";
                parts.problems.add(at, "a set and an address", instead);
                None
            }
            Some(RawJwks { cluster, path, authority, inline: None }) => {
                let mut part =
                    |field: &str, text: Option<String>, is_good: fn(&str) -> bool, instead: &str| {
                        let at = &at.field(field);
                        let text = match text {
                            None => {
                                parts.problems.add(at, "missing", instead);
                                return None;
                            }
                            Some(text) => text,
                        };
                        let is_visible = text.bytes().all(|byte| (0x21..=0x7e).contains(&byte));
                        if text.is_empty() || !is_visible || !is_good(&text) {
                            parts.problems.add(at, "not usable in a request", instead);
                            return None;
                        }
                        Some(text)
                    };
                let any = |_: &str| true;
                let instead = "write the name of a cluster of Envoy that leads to the issuer";
                let cluster = part("cluster", cluster, any, instead);
                let instead = r#"write the path of the set, such as "/.well-known/jwks.json""#;
                let is_path = |text: &str| text.starts_with('/') && !text.contains('#');
                let path = part("path", path, is_path, instead);
                let instead = r#"write the issuer's host, such as "login.example.com""#;
                let is_host = |text: &str| !text.contains(['/', '@', '?', '#', '\\']);
                let authority = part("authority", authority, is_host, instead);
                match (cluster, path, authority) {
                    (Some(cluster), Some(path), Some(authority)) => Some(KeySource::Remote(RemoteSet {
                        cluster,
                        path,
                        authority,
                        timeout_milliseconds: u32::try_from(timeout).unwrap_or(10),
                        refresh_seconds,
                        min_refetch_seconds,
                        max_stale_seconds,
                    })),
                    _ => None,
                }
            }
        };
        // Without a source there is a problem, and so no policy.
        let Some(source) = source else { continue };
        rules.push(KeySetRule {
            name,
            issuers: set.issuers,
            audiences: set.audiences,
            algorithms,
            source,
            permissions,
            permission_format: set.permission_format,
        });
    }
    rules
}

const SOURCE_FORMS: &str = r#"write {"cluster": "idp", "path": "/.well-known/jwks.json", "authority": "login.example.com"} or {"inline": {"keys": [...]}}"#;

fn name(
    parts: &mut Parts<'_>,
    name: Option<String>,
    index: usize,
    names: &mut Lookup,
    at: &Path<'_>,
) -> String {
    let instead = "write 1 to 64 letters, digits, - and _";
    let Some(name) = name else {
        parts.problems.add(at, "missing", instead);
        return String::new();
    };
    let is_known = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if name.is_empty() || name.len() > LONGEST_NAME || !name.bytes().all(is_known) {
        parts.problems.add(at, "not a name", instead);
    }
    if let Some(first) = names.enter(&name, index) {
        let problem = ["the same name as /tokens/key_sets/", &first.to_string()].concat();
        parts.problems.add(at, problem, "give each key set a name of its own");
    }
    name
}

fn inline_set(
    parts: &mut Parts<'_>,
    inline: RawInline,
    algorithms: PublicAlgorithms,
    at: &Path<'_>,
) -> Option<KeySource> {
    let read = match KeySet::read(inline.0.as_bytes(), algorithms) {
        Ok(read) => read,
        Err(KeySetFault::Malformed) => {
            parts.problems.add(at, "not a JSON Web Key Set", r#"write {"keys": [...]}"#);
            return None;
        }
        Err(KeySetFault::TooLarge) => {
            let instead = "write at most 65536 bytes and 100 keys";
            parts.problems.add(at, "a key set that is too large", instead);
            return None;
        }
    };
    for skipped in &read.skipped {
        let instead = match skipped.fault {
            KeyFault::SharedKid => "give each key of an algorithm a kid of its own",
            KeyFault::NotAccepted => "remove the key, or name its algorithm in the set's algorithms",
            KeyFault::Malformed
            | KeyFault::UnknownType
            | KeyFault::Symmetric
            | KeyFault::Private
            | KeyFault::NotForSignatures
            | KeyFault::Algorithm
            | KeyFault::RsaModulus
            | KeyFault::RsaExponent
            | KeyFault::Point
            | KeyFault::NotPem
            | KeyFault::NotSpki => SOUND,
        };
        parts.problems.add(&at.field("keys").index(skipped.index), skipped.fault.why(), instead);
    }
    match read.set {
        Some(set) => Some(KeySource::Inline(Arc::new(set))),
        None => {
            if read.skipped.is_empty() {
                parts.problems.add(&at.field("keys"), "no keys", "write at least one public key");
            }
            None
        }
    }
}
