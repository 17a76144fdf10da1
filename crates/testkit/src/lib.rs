//! What tests, fuzz targets and benchmarks have in common: one host in memory, tokens that are signed, policies that are
//! written as JSON, cases with a known verdict. What goes wrong in here is a mistake of the test that asked for it, so
//! it panics.
#![allow(clippy::panic, clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod guarded;
mod host;
mod issuer;
mod ports;
mod redis;
mod token;
pub mod vectors;
mod watched;

use std::io::Write;

use api_guard_core::config::Environment;
use api_guard_core::config::error::ConfigErrors;
use api_guard_core::policy::Policy;
use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::current::CurrentSets;
use api_guard_core::token::native::NativeSignatures;
use api_guard_core::token::{Means, NotVerified, Verified};
use serde_json::Value;

pub use guarded::{Guarded, code};
pub use host::{Done, Process, Stream};
pub use issuer::{IssuerKey, key_set, sha256};
pub use ports::free_ports;
pub use redis::Redis;
pub use token::{sign, sign_as, sign_with, token};
pub use watched::{Decided, Watched};

/// The secret of every policy and token that names no other.
pub const SECRET: &str = "a-secret-of-the-tests-that-is-long-enough";

/// The policy of a configuration. Variables that its secrets name have the value [`SECRET`].
///
/// # Panics
///
/// If the configuration is not valid.
pub fn policy(configuration: &Value) -> Policy {
    parse(configuration.to_string().as_bytes()).unwrap_or_else(|errors| panic!("{errors}\n{configuration}"))
}

/// The policy of a configuration's text, whose secrets are as for [`policy`].
///
/// # Errors
///
/// Everything that is wrong with it, in words.
pub fn parse(text: &[u8]) -> Result<Policy, String> {
    parse_with(text, |_| Some(SECRET)).map_err(|errors| errors.to_string())
}

/// The policy of a configuration's text. `lookup` has the values of the variables that its secrets name.
///
/// # Errors
///
/// Everything that is wrong with it, a variable without a value included.
pub fn parse_with(
    text: &[u8],
    lookup: impl Fn(&str) -> Option<&'static str>,
) -> Result<Policy, ConfigErrors> {
    let lookup = |name: &str| lookup(name).map(|value| value.as_bytes().to_vec());
    Policy::parse(text, &Environment { lookup: &lookup, must_be_set: true })
}

/// Gives a JSON object the members of another one, in place of its own of these names.
///
/// # Panics
///
/// If one of them is no object.
pub fn lay_over(object: &mut Value, changes: &Value) {
    for (name, value) in changes.as_object().unwrap() {
        object.as_object_mut().unwrap().insert(name.clone(), value.clone());
    }
}

/// Verifies a token at a Unix second by the keys of a configuration itself.
///
/// # Errors
///
/// Why it is not verified.
pub fn verify(policy: &Policy, token: &[u8], now: u64) -> Result<Verified, NotVerified> {
    let seed = Seed::from_bytes([7; 16]);
    let sets = CurrentSets::configured(policy.tokens().keys());
    let means = Means { sets: &sets, signatures: &NativeSignatures, seed: &seed };
    policy.verify(token, &means, UnixNanos::from_seconds(now))
}

/// Headers as bytes.
pub fn bytes<'a>(headers: &'a [(&'a str, &'a str)]) -> impl Iterator<Item = (&'a [u8], &'a [u8])> + Clone {
    headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()))
}

/// The headers of a request for `localhost`, and more.
pub fn request<'a>(method: &'a str, path: &'a str, more: &[(&'a str, &'a str)]) -> Vec<(&'a str, &'a str)> {
    [&[(":method", method), (":path", path), (":authority", "localhost")], more].concat()
}

/// Says that the test which asks is skipped, and why; the test is then to pass.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("a test");
    // Not by eprintln!, which the test harness hides where the test passes.
    let _ = writeln!(std::io::stderr(), "SKIPPED: {test}: {reason}");
}
