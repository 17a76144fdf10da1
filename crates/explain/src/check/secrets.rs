//! Secrets that are in the file, that are publicly known, or that can be guessed.

use std::collections::HashMap;

use api_guard_core::config::raw::{RawConfig, RawSecret};
use ct_codecs::{Base64UrlSafeNoPadding, Decoder};

use super::lint::Warnings;

/// Words that suggest a secret was copied from an example.
const SAMPLE_WORDS: [&str; 14] = [
    "secret",
    "password",
    "passw0rd",
    "changeme",
    "change-me",
    "change_me",
    "example",
    "sample",
    "demo",
    "default",
    "insecure",
    "test",
    "0123456789",
    "abcdefghij",
];
/// The key of RFC 7515 appendix A.1, which is in every library's tests.
const RFC_7515_KEY: &str =
    "AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow";
/// The least entropy of a secret without a warning, bits. 32 random hexadecimal digits have 128.
const LEAST_BITS: f64 = 100.0;

/// The value of a variable, as far as it is known.
type Lookup<'l> = &'l dyn Fn(&str) -> Option<Vec<u8>>;

/// What makes two secrets the same.
#[derive(PartialEq, Eq, Hash)]
enum Identity {
    Bytes(Vec<u8>),
    Variable(String),
}

pub(super) fn check(raw: &RawConfig, lookup: Lookup<'_>, out: &mut Warnings) {
    let of_keys = raw.tokens.keys.iter().enumerate();
    let of_keys = of_keys
        .filter_map(|(index, key)| Some((format!("/tokens/keys/{index}/secret"), key.secret.as_ref()?)));
    let of_fleet =
        raw.fleet.iter().filter_map(|fleet| Some(("/fleet/secret".to_owned(), fleet.secret.as_ref()?)));
    // By their bytes, or by the variable and its encoding where those are not known.
    let mut known: HashMap<Identity, String> = HashMap::new();
    for (pointer, secret) in of_keys.chain(of_fleet) {
        let (at, bytes) = read(secret, &pointer, lookup, out);
        if let Some(why) = bytes.as_deref().and_then(weakness) {
            let text = format!("{why}; make one with api-guard keygen");
            out.add("weak-secret", at.clone(), text);
        }
        let identity = match (bytes, secret) {
            (Some(bytes), _) => Identity::Bytes(bytes),
            (None, RawSecret::Env { env, encoding }) => Identity::Variable(format!("{env} {encoding:?}")),
            (None, RawSecret::Value { .. } | RawSecret::Base64url { .. }) => continue,
        };
        let is_of_fleet = pointer.starts_with("/fleet");
        if let Some(first) = known.insert(identity, pointer) {
            let first = first.trim_end_matches("/secret");
            let text = if is_of_fleet {
                format!(
                    "the same secret as {first}: whoever may revoke in the store could sign tokens; make another one"
                )
            } else {
                format!("the same secret as {first}: rotation needs a new one")
            };
            out.add("repeated-secret", at, text);
        }
    }
    if let Some(password) = raw.fleet.as_ref().and_then(|fleet| fleet.password.as_ref()) {
        read(password, "/fleet/password", lookup, out);
    }
}

/// Warns of a secret that is in the file. Returns where its text is, and its bytes if they are known.
fn read(
    secret: &RawSecret,
    pointer: &str,
    lookup: Lookup<'_>,
    out: &mut Warnings,
) -> (String, Option<Vec<u8>>) {
    let (field, bytes) = match secret {
        RawSecret::Env { env, encoding } => ("env", lookup(env).and_then(|text| encoding.decode(&text))),
        RawSecret::Value { value, encoding } => ("value", encoding.decode(value.as_bytes())),
        RawSecret::Base64url { base64url } => {
            ("base64url", Base64UrlSafeNoPadding::decode_to_vec(base64url, None).ok())
        }
    };
    let at = format!("{pointer}/{field}");
    if field != "env" {
        let what = if pointer.ends_with("/password") { "password" } else { "secret" };
        let text =
            format!("the {what} is in this file, and in Envoy's /config_dump; write {{\"env\": \"NAME\"}}");
        out.add("inline-secret", at.clone(), text);
    }
    (at, bytes)
}

/// Why a secret is weak. The secret itself is never quoted.
fn weakness(bytes: &[u8]) -> Option<&'static str> {
    let text = String::from_utf8_lossy(bytes);
    let lower = text.to_lowercase();
    let rfc = Base64UrlSafeNoPadding::decode_to_vec(RFC_7515_KEY, None).ok();
    if text == RFC_7515_KEY || rfc.as_deref() == Some(bytes) {
        return Some("a secret from a public document");
    }
    if SAMPLE_WORDS.iter().any(|word| lower.contains(word)) {
        return Some("looks like the secret of a demo or an example");
    }
    (entropy(bytes) < LEAST_BITS).then_some("a secret that can be guessed: its bytes repeat themselves")
}

/// The entropy in bits, from how often each byte occurs (Shannon).
#[expect(clippy::as_conversions, clippy::cast_precision_loss, reason = "an estimate of small counts")]
fn entropy(bytes: &[u8]) -> f64 {
    let mut counts: HashMap<u8, usize> = HashMap::new();
    for byte in bytes {
        let count = counts.entry(*byte).or_default();
        *count = count.saturating_add(1);
    }
    let total = bytes.len() as f64;
    counts.values().map(|count| *count as f64).map(|count| count * (total / count).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_that_others_know_or_guess_are_weak() {
        for weak in [
            "your-256-bit-secret-your-256-bit-secret",
            "a-string-secret-at-least-256-bits-long",
            "CHANGEME-CHANGEME-CHANGEME-CHANGEME",
            "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
            "abababababababababababababababababababab",
            RFC_7515_KEY,
        ] {
            assert!(weakness(weak.as_bytes()).is_some(), "{weak}");
        }
        assert!(weakness(&[0; 32]).is_some());
    }

    #[test]
    fn secrets_that_nobody_chose_are_good() {
        for good in [
            "dQ8kRz1vYw5mXc7nBt3hJp9fLs2gKa4e",
            "9f86d081884c7d659a2feaa0c55ad015",
            "Zq3_x-8YbR1tLm6VwK0hDf5sGj2nPc7uEiOa9Xr4TzM",
        ] {
            assert_eq!(weakness(good.as_bytes()), None, "{good}");
        }
    }
}
