//! Errors of a configuration that the core tells in few words, because its words are part of the module: told with what stands
//! there.

pub mod pem;
mod sources;

use api_guard_core::config::error::ConfigError;
use api_guard_core::token::public_key::KeyFault;
use serde_json::Value;

/// The errors, told with more of what they are about. `text`: the configuration; `lookup`: the values of variables.
pub fn precise(
    errors: Vec<ConfigError>,
    text: &str,
    lookup: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Vec<ConfigError> {
    let Ok(configuration) = serde_json::from_str::<Value>(text) else { return errors };
    let told = errors.into_iter().map(|error| match more(&error, &configuration, lookup) {
        Some((problem, instead)) => ConfigError { problem, instead, ..error },
        None => error,
    });
    told.collect()
}

/// What is wrong, and what to write instead; `None` where the core has said enough.
fn more(
    error: &ConfigError,
    configuration: &Value,
    lookup: &dyn Fn(&str) -> Option<Vec<u8>>,
) -> Option<(String, String)> {
    let at = error.at.to_string();
    if at.starts_with("/tokens/sources/") {
        return sources::more(error, &at, configuration);
    }
    let (_, field) = at.rsplit_once("/public_key/")?;
    let value = configuration.pointer(&at)?;
    if field == "jwk" && error.problem == KeyFault::Private.why() {
        let instead = "take them out: d, and of RSA p, q, dp, dq, qi and oth too";
        return Some((error.problem.clone(), instead.to_owned()));
    }
    if error.problem != KeyFault::NotPem.why() {
        return None;
    }
    match (field, value.as_str()?) {
        ("pem", text) => pem::more(text),
        ("env", name) => pem::more(&String::from_utf8(lookup(name)?).ok()?),
        _ => None,
    }
}
