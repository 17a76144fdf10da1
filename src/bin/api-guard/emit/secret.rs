//! The variables that hold what is not in a manifest, and how the Secret is made that has them.

use api_guard_core::config::raw::{RawConfig, RawFleet, RawKey, RawSecret};

/// The names of the variables that hold secrets and public keys, without duplicates.
pub(super) fn variables(raw: &RawConfig) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let of_keys = raw.tokens.keys.iter().filter_map(RawKey::variable);
    for name in of_keys.chain(raw.fleet.iter().flat_map(RawFleet::variables)) {
        if !names.iter().any(|known| known == name) {
            names.push(name.to_owned());
        }
    }
    names
}

/// The arguments of `kubectl create secret generic` for all variables: a fresh secret where nobody has one yet, and what others
/// have given where they have. Empty where the configuration names no variable.
pub(super) fn arguments(raw: &RawConfig) -> String {
    let argument = |name: &String| {
        let is_it = |secret: &RawSecret| secret.variable() == Some(name);
        let of_key = |key: &RawKey| key.secret.as_ref().is_some_and(is_it);
        let fleet = raw.fleet.as_ref();
        if raw.tokens.keys.iter().any(of_key)
            || fleet.and_then(|fleet| fleet.secret.as_ref()).is_some_and(is_it)
        {
            format!("--from-literal={name}=\"$(api-guard keygen)\"")
        } else if fleet.and_then(|fleet| fleet.password.as_ref()).is_some_and(is_it) {
            // The store has it already.
            format!("--from-literal={name}=\"${name}\"")
        } else {
            format!("--from-file={name}=PUBLIC_KEY_FILE")
        }
    };
    variables(raw).iter().map(argument).collect::<Vec<_>>().join(" ")
}
