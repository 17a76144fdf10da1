//! Tokens that a configuration accepts, signed with its own first secret: for `run`, and for policy tests.

pub mod signing;

use api_guard_core::config::raw::{RawClaims, RawConfig, RawKey, RawScalar, RawSecret};
use api_guard_core::token::algorithm::{Algorithm, MacAlgorithm};
use api_guard_core::token::secret::{Secret, SecretEncoding};
use serde_json::{Map, Value, json};

use signing::base64url;

/// The key of a configuration that signs its tokens.
pub struct Issuer<'c> {
    raw: &'c RawConfig,
    key: &'c RawKey,
    algorithm: MacAlgorithm,
    secret: Secret,
}

impl<'c> Issuer<'c> {
    /// The first key that is a secret. `lookup`: the values of variables.
    pub fn of(raw: &'c RawConfig, lookup: &dyn Fn(&str) -> Option<Vec<u8>>) -> Option<Self> {
        raw.tokens.keys.iter().find_map(|key| {
            let bytes = match key.secret.as_ref()? {
                RawSecret::Env { env, encoding } => encoding.decode(&lookup(env)?)?,
                RawSecret::Value { value, encoding } => encoding.decode(value.as_bytes())?,
                RawSecret::Base64url { base64url } => SecretEncoding::Base64.decode(base64url.as_bytes())?,
            };
            let algorithm = match key.algorithm {
                None => MacAlgorithm::Hs256,
                Some(Algorithm::Mac(algorithm)) => algorithm,
                Some(Algorithm::Public(_)) => return None,
            };
            let secret = Secret::from_bytes(algorithm, &bytes)?;
            Some(Self { raw, key, algorithm, secret })
        })
    }

    /// A token of exactly these claims, a text of JSON.
    pub fn sign(&self, claims: &str) -> String {
        signing::sign(&self.secret, self.algorithm, self.key.kid.as_deref(), claims)
    }

    /// Claims that fulfil what the configuration asks of every token. `now`: Unix seconds.
    pub fn claims(&self, subject: &str, permissions: &[String], now: u64, lifetime: u64) -> Value {
        let tokens = &self.raw.tokens;
        let mut claims = Map::new();
        let mut set = |name: &str, value: Value| put(&mut claims, name, value);
        for name in &tokens.required_claims {
            set(name, json!("example"));
        }
        for (name, values) in &tokens.required_values {
            if let Some(value) = values.first() {
                set(name, scalar(&value.0));
            }
        }
        for (name, own, general) in
            [("iss", &self.key.issuers, &tokens.issuers), ("aud", &self.key.audiences, &tokens.audiences)]
        {
            if let Some(value) = own.first().or(general.first()) {
                set(name, json!(value));
            }
        }
        set(&tokens.subject_claim, json!(subject));
        set("iat", json!(now));
        set("nbf", json!(now));
        set("exp", json!(now.saturating_add(lifetime)));
        set("jti", json!(base64url(format!("{subject}-{now}").as_bytes())));
        let claim = match &tokens.permissions_claim {
            RawClaims::One(name) => Some(name),
            RawClaims::Several(names) => names.first(),
        };
        if let Some(claim) = claim {
            set(claim, json!(permissions));
        }
        Value::Object(claims)
    }
}

fn scalar(value: &RawScalar) -> Value {
    match value {
        RawScalar::Text(text) => json!(text),
        RawScalar::Integer(digits) => serde_json::from_str(digits).unwrap_or(Value::Null),
        RawScalar::Bool(flag) => json!(flag),
    }
}

/// Sets a claim, which dots lead to and `\.` does not.
fn put(claims: &mut Map<String, Value>, name: &str, value: Value) {
    let mut steps = vec![String::new()];
    let mut letters = name.chars();
    while let Some(letter) = letters.next() {
        let plain = if letter == '\\' { letters.next() } else { (letter != '.').then_some(letter) };
        match (plain, steps.last_mut()) {
            (Some(plain), Some(step)) => step.push(plain),
            (Some(_) | None, _) => steps.push(String::new()),
        }
    }
    let Some((last, way)) = steps.split_last() else { return };
    let mut object = claims;
    for step in way {
        let member = object.entry(step.clone()).or_insert(Value::Null);
        if !member.is_object() {
            *member = Value::Object(Map::new());
        }
        let Value::Object(inner) = member else { return };
        object = inner;
    }
    object.insert(last.clone(), value);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_claim_is_put_where_its_name_leads() {
        let mut claims = Map::new();
        put(&mut claims, "sub", json!("a"));
        put(&mut claims, "realm_access.roles", json!(["b"]));
        put(&mut claims, r"https://hasura\.io/jwt/claims.x-role", json!("c"));
        assert_eq!(
            Value::Object(claims),
            json!({ "sub": "a", "realm_access": { "roles": ["b"] }, "https://hasura.io/jwt/claims": { "x-role": "c" } })
        );
    }
}
