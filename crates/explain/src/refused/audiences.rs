//! The audiences that a token may be for. Where one key stands in several places, they are those of each of them.

use api_guard_core::index::KeySetIndex;
use api_guard_core::token::ListOf;
use api_guard_core::token::algorithm::PublicAlgorithm;
use api_guard_core::token::compact::{Compact, decode};
use api_guard_core::token::native::NativeSignatures;
use api_guard_core::token::public_key::jwk::Jwk;
use serde_json::Value;

use super::listed::{MOST_LISTED, Taken};
use super::{Judge, one_of};

impl Judge<'_> {
    /// What is taken of a token that `refusing`, a list of audiences, does not take.
    pub(super) fn audiences(
        &self,
        token: &Compact<'_>,
        header: &Value,
        claims: &Value,
        refusing: ListOf,
    ) -> Vec<Taken<'_>> {
        let mut lists = vec![refusing];
        for list in self.lists_of_signers(token, header, claims) {
            if !lists.contains(&list) {
                lists.push(list);
            }
        }
        let tokens = &self.raw.tokens;
        let taken = lists.into_iter().take(MOST_LISTED).map(|list| match list {
            ListOf::Policy | ListOf::EveryKey => one_of("/tokens/audiences", &tokens.audiences),
            ListOf::Key(key) => {
                let index = key.index();
                let own = tokens.keys.get(index).map(|key| key.audiences.as_slice()).unwrap_or_default();
                one_of(&format!("/tokens/keys/{index}/audiences"), own)
            }
            ListOf::Set(set) => {
                let set = set.get();
                let own = tokens.key_sets.get(set).map(|set| set.audiences.as_slice()).unwrap_or_default();
                one_of(&format!("/tokens/key_sets/{set}/audiences"), own)
            }
        });
        taken.collect()
    }

    /// The lists of all keys that have signed the token and vouch for its issuer.
    fn lists_of_signers(&self, token: &Compact<'_>, header: &Value, claims: &Value) -> Vec<ListOf> {
        let Ok(signature) = decode(token.signature) else { return Vec::new() };
        let text = |object: &Value, name| object.get(name).and_then(Value::as_str).map(str::to_owned);
        let (kid, alg, iss) = (text(header, "kid"), text(header, "alg"), text(claims, "iss"));
        let (tokens, ring) = (&self.raw.tokens, self.policy.tokens().keys());
        let vouching = ring.vouching(iss.as_deref());
        let mut lists = Vec::new();
        for (id, key) in ring.named(kid.as_deref(), vouching, self.now) {
            let verifies = key.verifies(token.signing_input, &signature, &NativeSignatures);
            if vouching.includes(key) && matches!(verifies, Ok(true)) {
                let has_own = tokens.keys.get(id.index()).is_some_and(|key| !key.audiences.is_empty());
                lists.push(if has_own { ListOf::Key(id) } else { ListOf::Policy });
            }
        }
        let Some(algorithm) = alg.as_deref().and_then(PublicAlgorithm::named) else { return lists };
        let verifies = |jwk: &Jwk| {
            let is_meant = kid.is_none() || jwk.kid == kid;
            let verifies = || jwk.key.verifies(algorithm, token.signing_input, &signature, &NativeSignatures);
            is_meant && jwk.algorithms.contains(algorithm) && matches!(verifies(), Ok(true))
        };
        for (index, rule) in ring.sets().iter().enumerate() {
            let set = KeySetIndex::new(index);
            let known = self.sets.set(set, self.now);
            if vouching.includes_set(rule)
                && rule.algorithms().contains(algorithm)
                && known.is_some_and(|known| known.keys().iter().any(|jwk| verifies(jwk)))
            {
                let has_own = tokens.key_sets.get(index).is_some_and(|set| !set.audiences.is_empty());
                lists.push(if has_own { ListOf::Set(set) } else { ListOf::Policy });
            }
        }
        lists
    }
}
