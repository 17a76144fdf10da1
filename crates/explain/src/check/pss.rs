//! Where a configuration names RSASSA-PSS, which the command verifies and the module does not.

use api_guard_core::config::raw::RawConfig;
use api_guard_core::policy::Policy;
use api_guard_core::token::algorithm::{Algorithm, PublicAlgorithm};

/// What is wrong with it in a module.
pub const WHY: &str = "the module refuses RSASSA-PSS (PS256, PS384, PS512), because Envoy does not verify it; write \
                              \"RS256\" for the same key, if the issuer can sign with it";

/// The JSON pointers, each with the algorithm.
pub fn pointers(raw: &RawConfig, policy: &Policy) -> Vec<(String, &'static str)> {
    let mut found = Vec::new();
    for ((index, key), algorithm) in
        raw.tokens.keys.iter().enumerate().zip(policy.tokens().keys().algorithms())
    {
        if let Algorithm::Public(algorithm) = algorithm
            && is_pss(algorithm)
        {
            // Unless it is named beside the key, the key itself names it.
            let field = if key.algorithm.is_some() { "algorithm" } else { "public_key" };
            found.push((format!("/tokens/keys/{index}/{field}"), algorithm.name()));
        }
    }
    for (index, set) in raw.tokens.key_sets.iter().enumerate() {
        let named = set.algorithms.iter().enumerate().filter(|(_, algorithm)| is_pss(**algorithm));
        found.extend(
            named.map(|(at, algorithm)| {
                (format!("/tokens/key_sets/{index}/algorithms/{at}"), algorithm.name())
            }),
        );
    }
    found
}

fn is_pss(algorithm: PublicAlgorithm) -> bool {
    matches!(algorithm, PublicAlgorithm::Ps256 | PublicAlgorithm::Ps384 | PublicAlgorithm::Ps512)
}
