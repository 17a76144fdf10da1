//! What a refused token has, and what the configuration takes in its place: for whoever has both at hand. The client hears
//! nothing of it.

use api_guard_core::config::raw::RawConfig;
use api_guard_core::effect::cut;
use api_guard_core::index::KeySetIndex;
use api_guard_core::policy::Policy;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::algorithm::PublicAlgorithm;
use api_guard_core::token::compact::{Compact, decode};
use api_guard_core::token::current::CurrentSets;
use api_guard_core::token::{ListOf, TokenFault};
use serde_json::Value;

/// So many values are listed, and the others are counted.
const MOST_LISTED: usize = 8;

/// What judges tokens.
#[derive(Clone, Copy)]
pub struct Judge<'j> {
    /// The configuration as it is written.
    pub raw: &'j RawConfig,
    /// What it means.
    pub policy: &'j Policy,
    /// The key sets in force.
    pub sets: &'j CurrentSets,
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
            TokenFault::IssuerRefused(list) => {
                vec![format!("{}; {}", has(&claims, "iss"), self.issuers(*list))]
            }
            TokenFault::AudienceRefused(list) => {
                vec![format!("{}; {}", has(&claims, "aud"), self.audiences(*list))]
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

    fn issuers(&self, list: ListOf) -> String {
        let tokens = &self.raw.tokens;
        match list {
            ListOf::Policy => format!("/tokens/issuers takes {}", any_of(&tokens.issuers)),
            ListOf::Key(key) => {
                let index = key.index();
                let own = tokens.keys.get(index).map(|key| key.issuers.as_slice()).unwrap_or_default();
                if own.is_empty() {
                    return format!(
                        "another key or key set names this issuer, and /tokens/keys/{index} does not"
                    );
                }
                format!("/tokens/keys/{index}/issuers takes {}", any_of(own))
            }
            ListOf::Set(set) => {
                let set = set.get();
                let own = tokens.key_sets.get(set).map(|set| set.issuers.as_slice()).unwrap_or_default();
                format!("/tokens/key_sets/{set}/issuers takes {}", any_of(own))
            }
            ListOf::EveryKey => {
                let of_keys = tokens.keys.iter().flat_map(|key| &key.issuers);
                let all = of_keys.chain(tokens.key_sets.iter().flat_map(|set| &set.issuers));
                format!("the keys and key sets take {}", any_of(all))
            }
        }
    }

    fn audiences(&self, list: ListOf) -> String {
        let tokens = &self.raw.tokens;
        match list {
            ListOf::Policy | ListOf::EveryKey => {
                format!("/tokens/audiences takes {}", any_of(&tokens.audiences))
            }
            ListOf::Key(key) => {
                let index = key.index();
                let own = tokens.keys.get(index).map(|key| key.audiences.as_slice()).unwrap_or_default();
                format!("/tokens/keys/{index}/audiences takes {}", any_of(own))
            }
            ListOf::Set(set) => {
                let set = set.get();
                let own = tokens.key_sets.get(set).map(|set| set.audiences.as_slice()).unwrap_or_default();
                format!("/tokens/key_sets/{set}/audiences takes {}", any_of(own))
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
        format!("{}; {who} {takes} {}", has(header, "alg"), any_of(all))
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
            let kids: Vec<&str> = keys.iter().filter_map(|key| key.kid).collect();
            let whose =
                if self.policy.tokens().keys().are_chosen_by_claims() { " for its issuer" } else { "" };
            let have = match kids.as_slice() {
                [] => format!("no key{whose} has one"),
                kids => format!("the keys{whose} have {}", listed(kids, " and ")),
            };
            lines.push(format!("{}; {have}", has(header, "kid")));
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
            match self.sets.set(KeySetIndex::new(index), UnixNanos::from_nanos(0)) {
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

/// That a token's header or claims have this value.
fn has(object: &Value, name: &str) -> String {
    let values: Vec<&str> = match object.get(name) {
        Some(Value::Array(values)) => values.iter().filter_map(Value::as_str).collect(),
        Some(value) => value.as_str().into_iter().collect(),
        None => Vec::new(),
    };
    match values.as_slice() {
        [] => format!("the token has no {name}"),
        values => format!("the token's {name} is {}", listed(values, " and ")),
    }
}

/// These values, of which one is enough.
fn any_of<T: AsRef<str>>(values: impl IntoIterator<Item = T>) -> String {
    let values: Vec<T> = values.into_iter().collect();
    listed(&values.iter().map(AsRef::as_ref).collect::<Vec<&str>>(), " or ")
}

/// The values, each once, quoted so that no terminal obeys them.
fn listed(values: &[&str], between: &str) -> String {
    let mut quoted: Vec<String> = Vec::new();
    for value in values {
        let value = format!("{:?}", cut(value));
        if !quoted.contains(&value) {
            quoted.push(value);
        }
    }
    let others = quoted.len().saturating_sub(MOST_LISTED);
    if others > 0 {
        quoted.truncate(MOST_LISTED);
        quoted.push(format!("{others} more"));
    }
    quoted.join(between)
}
