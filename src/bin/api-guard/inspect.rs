//! `api-guard inspect`: what is in a token, and does a configuration accept it?

mod shown;

use std::path::{Path, PathBuf};

use api_guard_core::denial::Denial;
use api_guard_core::effect;
use api_guard_core::fault::Fault;
use api_guard_core::seed::Seed;
use api_guard_core::time::UnixNanos;
use api_guard_core::token::compact::{Compact, decode};
use api_guard_core::token::current::CurrentSets;
use api_guard_core::token::native::NativeSignatures;
use api_guard_core::token::{Age, Means, NotVerified, TokenFault};
use api_guard_explain::refused::Judge;
use serde_json::{Map, Value, json};

use crate::jwks::{Fetched, Jwks};
use crate::outcome::{self, Failure, Outcome, print};
use crate::source::Configuration;
use crate::style::Style;
use crate::{clock, input, source, words};

/// Show header, claims and times of a token; with --config, also whether it verifies, and if not, why.
///
/// Without a configuration nothing is verified: the output is what the token claims. The key's secret comes from the
/// environment, as the configuration says, and the keys of a set that Envoy would fetch from the file of --jwks. Exit code 1: refused, or not readable.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  api-guard inspect eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ1c2VyLTcifQ.c2lnbmF0dXJl
  api-guard mint --sub user-7 | api-guard inspect - --config envoy.yaml
  api-guard inspect \"$TOKEN\" --config api-guard.json --json
  api-guard inspect \"$TOKEN\" --config api-guard.json --jwks jwks.json")]
pub(crate) struct Inspect {
    /// The token, with or without "Bearer " before it; - reads it from standard input
    token: String,
    /// Verify it with this configuration (plugin JSON, or a manifest that contains it)
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(flatten)]
    jwks: Jwks,
    /// Print a JSON object
    #[arg(long)]
    json: bool,
}

/// Claims that hold times (RFC 7519 section 4.1).
const TIMES: [&str; 3] = ["iat", "nbf", "exp"];

/// The judgement of a configuration on the token.
enum Judgement {
    Accepted { key: String, notes: Vec<String> },
    Refused { code: &'static str, reason: String, notes: Vec<String> },
}

impl Inspect {
    /// Prints what is in the token.
    pub(crate) fn run(&self) -> outcome::Result {
        let config = self.config.as_deref();
        input::once(std::iter::once(Path::new(&self.token)).chain(config).chain(self.jwks.paths()))?;
        let token = input::token(&self.token)?;
        let configuration = match &self.config {
            Some(path) => Some(source::configuration(path)?.with_secrets()?),
            None => None,
        };
        let now = clock::now();
        let parts = parts(&token);
        let judgement = match &configuration {
            Some(configuration) => {
                let fetched = self.jwks.read(&configuration.policy, &configuration.raw)?;
                Some(judge(configuration, fetched, &token))
            }
            None if self.jwks.is_given() => {
                return Err(Failure::usage(
                    "--jwks stands for a key set of a configuration: give --config too",
                ));
            }
            None => None,
        };
        let (header, claims) = match parts {
            Ok(parts) => parts,
            Err(fault) => {
                let denial = Denial::Token(fault);
                let reason = effect::reasons(&denial).concat();
                if self.json {
                    let code = denial.code().as_str();
                    print(&json!({ "readable": false, "code": code, "reason": reason }).to_string());
                    return Ok(Outcome::Refused);
                }
                return Err(Failure::failed(reason));
            }
        };
        let times = times(&claims.value, now.seconds());
        if self.json {
            print_json(&header, &claims, times, judgement.as_ref());
        } else {
            print_text(&header, &claims, &times, judgement.as_ref());
        }
        Ok(match judgement {
            Some(Judgement::Refused { .. }) => Outcome::Refused,
            Some(Judgement::Accepted { .. }) | None => Outcome::Done,
        })
    }
}

/// An object of a token.
struct Part {
    /// As it was signed: a value has no digits beyond 64 bits, and no name twice.
    text: String,
    value: Value,
}

/// Header and claims of the token, whether or not it verifies.
fn parts(token: &str) -> Result<(Part, Part), TokenFault> {
    let compact = Compact::read(token.as_bytes(), usize::MAX)?;
    let read = |part, fault| {
        let bytes = decode(part)?;
        let value: Value = serde_json::from_slice(&bytes).map_err(|_| TokenFault::Malformed(fault))?;
        let text = String::from_utf8(bytes).map_err(|_| TokenFault::Malformed(fault))?;
        if value.is_object() { Ok(Part { text, value }) } else { Err(TokenFault::Malformed(fault)) }
    };
    let header = read(compact.header, "header is not a JSON object of the right form")?;
    let claims = read(compact.payload, "claims are not a JSON object of the right form")?;
    Ok((header, claims))
}

fn judge(configuration: &Configuration, fetched: Fetched, token: &str) -> Judgement {
    let Configuration { policy, raw, .. } = configuration;
    let refused = |denial: Denial, notes| Judgement::Refused {
        code: denial.code().as_str(),
        reason: effect::reasons(&denial).concat(),
        notes,
    };
    let now = clock::now();
    // Any seed will do, because nothing is looked up by the token's digest here.
    let seed = Seed::from_bytes([0; 16]);
    let mut sets = CurrentSets::configured(policy.tokens().keys());
    for (index, set) in fetched.given {
        sets.put(index, set, UnixNanos::from_nanos(u64::MAX));
    }
    let refused_token = |fault| {
        let notes = Judge { raw, policy, sets: &sets, now }.lines(token.as_bytes(), &fault);
        refused(Denial::Token(fault), notes)
    };
    let means = Means { sets: &sets, signatures: &NativeSignatures, seed: &seed };
    let verified = match policy.verify(token.as_bytes(), &means, now) {
        Ok(verified) => verified,
        Err(NotVerified::Refused(refusal)) => return refused_token(refusal.fault),
        Err(NotVerified::UnknownTo(_)) => return refused_token(TokenFault::KeyUnknown),
        Err(NotVerified::KeysUnavailable(_)) => {
            return refused(Denial::KeysUnavailable { retry_after_seconds: 1 }, fetched.unknown);
        }
        Err(NotVerified::Fault(_)) => return refused(Denial::Fault(Fault::Signature), Vec::new()),
    };
    if policy.denies(&verified) {
        return refused(Denial::TokenRevoked, Vec::new());
    }
    let mut notes = Vec::new();
    if policy.tokens().judge_times(&verified, now) == Ok(Age::Old) {
        notes.push(format!("older than {} hours: it passes, and is logged", raw.tokens.max_token_age_hours));
    }
    let pointer = words::key_pointer(verified.key());
    let key = match policy.kid(verified.key()) {
        Some(kid) => format!("{pointer} (kid {kid:?})"),
        None => pointer,
    };
    Judgement::Accepted { key, notes }
}

/// The times that the token has, in words.
fn times(claims: &Value, now: u64) -> Vec<(&'static str, String)> {
    let in_words = |value: &Value| match value {
        Value::Number(number) => match number.as_u64().or_else(|| whole_seconds(number.as_f64()?)) {
            Some(second) => words::moment(second, now),
            None => format!("{number}: not a time"),
        },
        Value::Null | Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_) => {
            format!("{value}: not a number")
        }
    };
    TIMES.iter().filter_map(|name| claims.get(name).map(|value| (*name, in_words(value)))).collect()
}

/// The whole seconds of a NumericDate with a fraction.
fn whole_seconds(number: f64) -> Option<u64> {
    let text = format!("{:.0}", number.floor());
    text.parse().ok()
}

fn print_json(
    header: &Part,
    claims: &Part,
    times: Vec<(&'static str, String)>,
    judgement: Option<&Judgement>,
) {
    let times: Map<String, Value> =
        times.into_iter().map(|(name, text)| (name.to_owned(), text.into())).collect();
    let mut object = json!({ "readable": true, "times": times });
    if let Some(members) = object.as_object_mut() {
        let verified = judgement.map(|judgement| match judgement {
            Judgement::Accepted { key, notes } => json!({ "verified": true, "key": key, "notes": notes }),
            Judgement::Refused { code, reason, notes } => {
                let mut refused = json!({ "verified": false, "code": code, "reason": reason });
                if let (Some(members), false) = (refused.as_object_mut(), notes.is_empty()) {
                    members.insert("notes".to_owned(), json!(notes));
                }
                refused
            }
        });
        if let Some(Value::Object(verified)) = verified {
            members.extend(verified);
        }
    }
    let rest = object.to_string();
    let rest = rest.strip_prefix('{').unwrap_or_default();
    print(&shown::pretty(&format!("{{\"claims\":{},\"header\":{},{rest}", claims.text, header.text)));
}

fn print_text(header: &Part, claims: &Part, times: &[(&'static str, String)], judgement: Option<&Judgement>) {
    let style = Style::of_stdout();
    let mut text =
        format!("header {}\nclaims {}\n", shown::pretty(&header.text), shown::pretty(&claims.text));
    for (name, words) in times {
        text.push_str(&format!("{name} {words}\n"));
    }
    text.push_str(&match judgement {
        None => style.faint("not verified: give --config to verify it"),
        Some(Judgement::Accepted { key, notes }) => {
            let notes: String = notes.iter().map(|note| format!("\n{}", style.warn(note))).collect();
            format!("{} by {key}{notes}", style.good("verified"))
        }
        Some(Judgement::Refused { code, reason, notes }) => {
            let notes: String = notes.iter().map(|note| format!("\n{}", style.warn(note))).collect();
            format!("{} {code}: {reason}{notes}", style.bad("refused"))
        }
    });
    print(&text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_told_whatever_a_token_says() {
        let claims = json!({ "exp": 60.5, "iat": "soon", "nbf": -1 });
        assert_eq!(
            times(&claims, 0),
            [
                ("iat", "\"soon\": not a number".to_owned()),
                ("nbf", "-1: not a time".to_owned()),
                ("exp", "1970-01-01T00:01:00Z (in 1 minute)".to_owned()),
            ]
        );
    }
}
