//! What a refused token has, and what the configuration takes in its place: for whoever has both at hand. The client hears
//! nothing of it.

mod audiences;
mod listed;

use api_guard_core::config::raw::RawConfig;
use api_guard_core::index::KeySetIndex;
use api_guard_core::policy::Policy;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::algorithm::PublicAlgorithm;
use api_guard_core::token::compact::{Compact, decode};
use api_guard_core::token::current::CurrentSets;
use api_guard_core::token::{ListOf, TokenFault};
use serde_json::Value;

use listed::{MOST_LISTED, Taken, beside};

/// What judges tokens.
#[derive(Clone, Copy)]
pub struct Judge<'j> {
    /// The configuration as it is written.
    pub raw: &'j RawConfig,
    /// What it means.
    pub policy: &'j Policy,
    /// The key sets in force.
    pub sets: &'j CurrentSets,
    /// The time of the request.
    pub now: UnixNanos,
}

/// A key, or a set whose keys are not known here.
struct Candidate<'j> {
    pointer: String,
    kid: Option<&'j str>,
    algorithms: Vec<&'static str>,
    /// When it is valid, if that is not always.
    validity: Option<String>,
}

impl Judge<'_> {
    /// What a token has, and what is taken in its place. Empty for faults that say so themselves.
    pub fn lines(&self, token: &[u8], fault: &TokenFault) -> Vec<String> {
        let Ok(compact) = Compact::read(token, usize::MAX) else { return Vec::new() };
        let read = |part| -> Value {
            decode(part).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default()
        };
        let (header, claims) = (read(compact.header), read(compact.payload));
        match fault {
            TokenFault::IssuerRefused(list) => vec![beside(&claims, "iss", &[self.issuers(*list)])],
            TokenFault::AudienceRefused(list) => {
                vec![beside(&claims, "aud", &self.audiences(&compact, &header, &claims, *list))]
            }
            TokenFault::AlgorithmRefused => vec![self.algorithm_line(&header, &claims)],
            TokenFault::KeyUnknown => self.key_lines(&header, &claims),
            TokenFault::Malformed(_)
            | TokenFault::SignatureInvalid
            | TokenFault::Expired
            | TokenFault::NotYetValid
            | TokenFault::IssuedInFuture
            | TokenFault::TooOld
            | TokenFault::ClaimMissing(_)
            | TokenFault::ClaimInvalid { .. }
            | TokenFault::ValueRefused(_)
            | TokenFault::PermissionsMalformed(_) => Vec::new(),
        }
    }

    fn issuers(&self, list: ListOf) -> Taken<'_> {
        let tokens = &self.raw.tokens;
        match list {
            ListOf::Policy => one_of("/tokens/issuers", &tokens.issuers),
            ListOf::Key(key) => {
                let index = key.index();
                let own = tokens.keys.get(index).map(|key| key.issuers.as_slice()).unwrap_or_default();
                if own.is_empty() {
                    return Taken::nothing(format!(
                        "another key or key set names this issuer, and /tokens/keys/{index} does not"
                    ));
                }
                one_of(&format!("/tokens/keys/{index}/issuers"), own)
            }
            ListOf::Set(set) => {
                let set = set.get();
                let own = tokens.key_sets.get(set).map(|set| set.issuers.as_slice()).unwrap_or_default();
                one_of(&format!("/tokens/key_sets/{set}/issuers"), own)
            }
            ListOf::EveryKey => {
                let of_keys = tokens.keys.iter().flat_map(|key| &key.issuers);
                let all = of_keys.chain(tokens.key_sets.iter().flat_map(|set| &set.issuers));
                Taken::any("the keys and key sets take".to_owned(), all.map(String::as_str))
            }
        }
    }

    fn algorithm_line(&self, header: &Value, claims: &Value) -> String {
        let mut keys = self.vouching(claims);
        let kid = header.get("kid").and_then(Value::as_str);
        let is_named = |key: &Candidate<'_>| kid.is_some() && key.kid == kid;
        let who = if keys.iter().any(is_named) {
            keys.retain(is_named);
            "the key of its kid"
        } else {
            "the keys"
        };
        let (who, takes) = match keys.as_slice() {
            [only] => (only.pointer.as_str(), "takes"),
            _ if who == "the keys" => (who, "take"),
            _ => (who, "takes"),
        };
        let all = keys.iter().flat_map(|key| key.algorithms.iter().copied());
        beside(header, "alg", &[Taken::any(format!("{who} {takes}"), all)])
    }

    fn key_lines(&self, header: &Value, claims: &Value) -> Vec<String> {
        let keys = self.vouching(claims);
        let kid = header.get("kid").and_then(Value::as_str);
        let every_has_one = keys.iter().all(|key| key.kid.is_some());
        let is_meant = |key: &&Candidate<'_>| key.kid == kid || (kid.is_none() && every_has_one);
        let mut lines: Vec<String> = keys
            .iter()
            .filter(is_meant)
            .filter_map(|key| {
                Some(format!("{} is not valid at that time ({})", key.pointer, key.validity.as_ref()?))
            })
            .take(MOST_LISTED)
            .collect();
        if lines.is_empty() {
            let values: Vec<&str> = keys.iter().filter_map(|key| key.kid).collect();
            let whose =
                if self.policy.tokens().keys().are_chosen_by_claims() { " for its issuer" } else { "" };
            let have = if values.is_empty() {
                Taken::nothing(format!("no key{whose} has one"))
            } else {
                Taken { who: format!("the keys{whose} have"), values, between: " and " }
            };
            lines.push(beside(header, "kid", &[have]));
        }
        lines
    }

    /// The keys that vouch for the token's issuer, or all where none does.
    fn vouching(&self, claims: &Value) -> Vec<Candidate<'_>> {
        let ring = self.policy.tokens().keys();
        let tokens = &self.raw.tokens;
        let iss = claims.get("iss").and_then(Value::as_str);
        let names = |issuers: &[String]| issuers.iter().any(|known| Some(known.as_str()) == iss);
        let is_named = tokens.keys.iter().any(|key| names(&key.issuers))
            || tokens.key_sets.iter().any(|set| names(&set.issuers));
        let vouches = |issuers: &[String]| if is_named { names(issuers) } else { issuers.is_empty() };
        let any = tokens.keys.iter().any(|key| vouches(&key.issuers))
            || tokens.key_sets.iter().any(|set| vouches(&set.issuers));
        let mut all = Vec::new();
        for (index, (key, algorithm)) in tokens.keys.iter().zip(ring.algorithms()).enumerate() {
            if any && !vouches(&key.issuers) {
                continue;
            }
            let ends = [("not_before", &key.not_before), ("not_after", &key.not_after)];
            let ends = ends.into_iter().filter_map(|(name, end)| Some(format!("{name} {}", end.as_ref()?)));
            let ends: Vec<String> = ends.collect();
            all.push(Candidate {
                pointer: format!("/tokens/keys/{index}"),
                kid: key.kid.as_deref(),
                algorithms: vec![algorithm.name()],
                validity: (!ends.is_empty()).then(|| ends.join(", ")),
            });
        }
        for (index, set) in tokens.key_sets.iter().enumerate() {
            if any && !vouches(&set.issuers) {
                continue;
            }
            let key = |kid, algorithms| Candidate {
                pointer: format!("/tokens/key_sets/{index}"),
                kid,
                algorithms,
                validity: None,
            };
            match self.sets.set(KeySetIndex::new(index), self.now) {
                Some(known) => all.extend(known.keys().iter().map(|jwk| {
                    let of_key = |algorithm: &PublicAlgorithm| jwk.algorithms.contains(*algorithm);
                    let algorithms = set.algorithms.iter().copied().filter(of_key);
                    key(jwk.kid.as_deref(), algorithms.map(PublicAlgorithm::name).collect())
                })),
                None => all.push(key(None, set.algorithms.iter().map(|known| known.name()).collect())),
            }
        }
        all
    }
}

/// One of the values of this list.
fn one_of<'v>(pointer: &str, values: &'v [String]) -> Taken<'v> {
    Taken::any(format!("{pointer} takes"), values.iter().map(String::as_str))
}
