//! `api-guard revoke`: tells the store of a fleet of a revocation, as the Envoys of the fleet do.

mod call;
mod object;

use api_guard_core::fleet::{CallOutcome, Names, NotTold, Notice, Password};
use api_guard_core::token::algorithm::MacAlgorithm;
use api_guard_core::token::claim_path::ClaimPath;
use api_guard_core::token::secret::{Secret, SecretEncoding};
use serde_json::json;

use crate::cases::moment;
use crate::keygen::random;
use crate::mint::secret_encoding;
use crate::outcome::{self, Failure, Outcome, print};
use crate::{clock, input, store, words};
use call::NoReply;
use object::Object;

/// The variable that redis-cli reads too.
const USUAL_PASSWORD: &str = "REDISCLI_AUTH";
/// The longest answer of the store that is shown, characters.
const LONGEST_ANSWER: usize = 200;

/// Revoke a token, every token with a jti, or the tokens of a subject, in all Envoys of a fleet.
///
/// The revocation is written into the Redis or Valkey that they share, as the revocation endpoint writes it. Each Envoy that
/// reaches the store refuses what is revoked within its poll_seconds. A token is read and not verified, so that no key is
/// needed. It must not have ended: --clock-skew says for how long after its end Envoys may still accept it. Secret and
/// password come from variables. Exit code 1: the store has refused, or was not reached.
#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("what").required(true).args(["token", "jti", "sub"]))]
#[command(after_help = "\
Examples:
  api-guard revoke --redis redis://localhost:6379 --fleet-secret-env API_GUARD_FLEET_SECRET --token \"$TOKEN\"
  api-guard revoke --redis rediss://redis.example.com --fleet-secret-env API_GUARD_FLEET_SECRET --username guard \\
      --password-env API_GUARD_REDIS_PASSWORD --jti 4f1c --expires-at 2026-12-01T10:00:00Z
  api-guard revoke --redis redis://localhost:6379 --fleet-secret-env API_GUARD_FLEET_SECRET --sub user-7 \\
      --issued-before 2026-11-29T10:00:00Z --json")]
pub(crate) struct Revoke {
    /// Where the store listens: redis://HOST:PORT, rediss://HOST:PORT for TLS, or HOST:PORT
    #[arg(long, value_name = "URL")]
    redis: String,
    /// Environment variable that holds the fleet's secret, fleet.secret of the configuration
    #[arg(long, value_name = "NAME")]
    fleet_secret_env: String,
    /// How the variable's text stands for the secret, as in the configuration: text or base64
    #[arg(long, value_name = "ENCODING", default_value = "text", value_parser = secret_encoding)]
    fleet_secret_encoding: SecretEncoding,
    /// What the names of all keys in the store begin with: fleet.prefix of the configuration
    #[arg(long, value_name = "PREFIX", default_value = "ag", value_parser = prefix)]
    prefix: String,
    /// The store's user [default: its default user]
    #[arg(long, value_name = "NAME")]
    username: Option<String>,
    /// Environment variable that holds the store's password [default: REDISCLI_AUTH, if it is set]
    #[arg(long, value_name = "NAME")]
    password_env: Option<String>,
    /// Revoke this very token; - reads it from standard input
    #[arg(long, value_name = "T")]
    token: Option<String>,
    /// The claim that says whose a token is: tokens.subject_claim of the configuration
    #[arg(long, value_name = "CLAIM", default_value = "sub", value_parser = claim_path)]
    subject_claim: ClaimPath,
    /// Revoke every token with this jti
    #[arg(long, value_name = "J", requires = "expires_at")]
    jti: Option<String>,
    /// When the last token with this jti ends (RFC 3339, or Unix seconds)
    #[arg(long, value_name = "T", conflicts_with_all = ["token", "sub"], value_parser = second)]
    expires_at: Option<u64>,
    /// Revoke the tokens of this subject
    #[arg(long, value_name = "S", requires = "issued_before")]
    sub: Option<String>,
    /// Only tokens of this issuer; without it, of every issuer that has such a subject
    #[arg(long, value_name = "I", conflicts_with_all = ["token", "jti"])]
    iss: Option<String>,
    /// Only tokens issued before this moment, and those that do not say when they were (RFC 3339, or Unix seconds)
    #[arg(long, value_name = "T", conflicts_with_all = ["token", "jti"], value_parser = second)]
    issued_before: Option<u64>,
    /// For how long after its end an Envoy may accept a token, seconds: the largest tokens.clock_skew_seconds of the fleet. What
    /// is revoked is kept for so much longer [default: a day, the most that a configuration can have]
    #[arg(long, value_name = "SECONDS", default_value_t = object::LARGEST_SKEW, hide_default_value = true,
          value_parser = clap::value_parser!(u64).range(0..=object::LARGEST_SKEW))]
    clock_skew: u64,
    /// Print a JSON object: what is revoked, when that ends and until when the store keeps it (Unix seconds, null: for good)
    #[arg(long)]
    json: bool,
}

impl Revoke {
    /// Tells the store, and prints what is revoked.
    pub(crate) fn run(&self) -> outcome::Result {
        let store = store::parse(&self.redis, store::LOGIN_IN_OPTIONS)
            .map_err(|instead| Failure::usage(format!("--redis: {instead}")))?;
        let object = self.object()?;
        let names = Names::new(self.secret()?, self.prefix.clone());
        let login = self.login()?;
        let now = clock::now();
        let revocation = object.revocation(&names, self.clock_skew, now)?;
        if let Some(entry) = &revocation.entry {
            let notice = Notice { names: &names, login, entries: std::slice::from_ref(entry) };
            let url = store::url(&store);
            let failed = |why: String| Failure::failed(format!("nothing is revoked: {url}: {why}"));
            // What has arrived may have been done, although no whole answer has come back.
            let unknown = |why: &str| {
                Failure::failed(format!(
                    "it is not known whether that is revoked, so try again: {url}: {why}"
                ))
            };
            let reply =
                call::call(&store, &notice.commands(random::<6>()?)).map_err(|no_reply| match no_reply {
                    NoReply::NotReached(why) => failed(format!("it is not reached: {why}")),
                    NoReply::Silent => unknown("it does not answer in time"),
                })?;
            notice.read(&reply).map_err(|not_told| {
                let words = words_of(&not_told, store.tls);
                if not_told.said.is_empty() { unknown(&words) } else { failed(words) }
            })?;
        }
        let told = &revocation.told;
        if self.json {
            let (expires_at, kept_until) = (revocation.ends_at, revocation.kept_until);
            let what = object.kind();
            print(
                &json!({ "revoked": true, "what": what, "expires_at": expires_at, "kept_until": kept_until })
                    .to_string(),
            );
        } else {
            let until = match (revocation.ends_at, revocation.entry.is_some()) {
                (Some(second), true) => format!("until {}", words::moment(second, now.seconds())),
                (Some(second), false) => {
                    format!("which has ended anyway: {}", words::moment(second, now.seconds()))
                }
                (None, _) => "for good".to_owned(),
            };
            print(&format!("revoked: {told}, {until}"));
        }
        Ok(Outcome::Done)
    }

    fn object(&self) -> Result<Object, Failure> {
        let object = match (&self.token, &self.jti, self.expires_at, &self.sub, self.issued_before) {
            (Some(token), ..) => Object::token(&input::token(token)?, &self.subject_claim),
            (None, Some(jti), Some(expires_at), ..) => Object::jti(jti, expires_at),
            (None, None, _, Some(sub), Some(issued_before)) => {
                Object::subject(self.iss.as_deref(), sub, issued_before)
            }
            // The arguments demand one of them.
            _ => Err("write --token, --jti with --expires-at, or --sub with --issued-before".to_owned()),
        };
        object.map_err(Failure::usage)
    }

    fn secret(&self) -> Result<Secret, Failure> {
        let name = &self.fleet_secret_env;
        let text = variable(name).ok_or_else(|| {
            Failure::failed(format!(
                "the variable {name} is not set: it holds the secret that all Envoys of the fleet have"
            ))
        })?;
        let bytes = self
            .fleet_secret_encoding
            .decode(&text)
            .ok_or_else(|| Failure::failed(format!("the secret in {name} is not base64")))?;
        Secret::from_bytes(MacAlgorithm::Hs256, &bytes).ok_or_else(|| {
            Failure::failed(format!(
                "the secret in {name} has {} bytes: a fleet's has at least 32, the same in all Envoys",
                bytes.len()
            ))
        })
    }

    fn login(&self) -> Result<Option<(Option<String>, Password)>, Failure> {
        let password = match &self.password_env {
            Some(name) => Some(variable(name).filter(|password| !password.is_empty()).ok_or_else(|| {
                Failure::failed(format!("the variable {name} is not set: it holds the store's password"))
            })?),
            None => variable(USUAL_PASSWORD).filter(|password| !password.is_empty()),
        };
        match (password, &self.username) {
            (Some(password), user) => Ok(Some((user.clone(), Password::new(password)))),
            (None, Some(_)) => Err(Failure::usage(
                "--username needs a password: name the variable that holds it with --password-env",
            )),
            (None, None) => Ok(None),
        }
    }
}

fn variable(name: &str) -> Option<Vec<u8>> {
    std::env::var_os(name).map(std::ffi::OsString::into_encoded_bytes)
}

/// What the store's refusal means, and what helps.
fn words_of(not_told: &NotTold, is_tls: bool) -> String {
    let said = String::from_utf8_lossy(&not_told.said);
    let said: String = said.chars().filter(|letter| !letter.is_control()).take(LONGEST_ANSWER).collect();
    let why = match not_told.outcome {
        CallOutcome::Denied if said.starts_with("NOAUTH") || said.contains("unauthenticated") => {
            "it wants a password: name the variable that holds it with --password-env"
        }
        CallOutcome::Denied => {
            "it refuses the password, or what its user may do: see --username, --password-env, and the user's ACL"
        }
        CallOutcome::Readonly => "it is a replica, which takes no writes: name the primary",
        CallOutcome::Full => "it has no room, or cannot write to its disk",
        CallOutcome::Loading => "it is not ready: it still reads its data, or is busy. Try again",
        CallOutcome::Moved => {
            "it is part of a Redis Cluster, which no fleet can use without a proxy in front of it"
        }
        CallOutcome::Malformed if said.is_empty() && !is_tls => {
            "what it answers is not whole, or not of the Redis protocol; where it speaks TLS, write rediss://"
        }
        CallOutcome::Malformed if said.is_empty() => {
            "what it answers is not whole, or not of the Redis protocol"
        }
        CallOutcome::Malformed
        | CallOutcome::Error
        | CallOutcome::Ok
        | CallOutcome::Timeout
        | CallOutcome::Reset => "it refuses",
    };
    if said.is_empty() { why.to_owned() } else { format!("{why} (it says: {said})") }
}

fn prefix(text: &str) -> Result<String, String> {
    let is_known = |letter: char| letter.is_ascii_alphanumeric() || letter == '_' || letter == '-';
    if (1..=32).contains(&text.len()) && text.chars().all(is_known) {
        Ok(text.to_owned())
    } else {
        Err("write 1 to 32 letters, digits, - or _".to_owned())
    }
}

fn claim_path(text: &str) -> Result<ClaimPath, String> {
    ClaimPath::parse(text).map_err(|_| "write a claim's name, as tokens.subject_claim has it".to_owned())
}

/// A time, in Unix seconds; what is between two seconds counts as the later one.
fn second(text: &str) -> Result<u64, String> {
    const FORM: &str = "write a time such as 2026-11-29T10:00:00Z (RFC 3339), or Unix seconds";
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        let second = text.parse().ok().filter(|second| *second <= api_guard_core::token::date::LATEST_SECOND);
        return second.ok_or_else(|| format!("past the year 9999 (milliseconds?); {FORM}"));
    }
    let moment = moment(text).map_err(|_| FORM.to_owned())?;
    Ok(moment.nanos().div_ceil(1_000_000_000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_of_rfc_3339_or_in_unix_seconds() {
        assert_eq!(second("2026-11-25T10:00:00Z"), Ok(1_795_600_800));
        assert_eq!(second("2026-11-25T10:00:00.001Z"), Ok(1_795_600_801));
        assert_eq!(second("1795600800"), Ok(1_795_600_800));
        for bad in ["", "now", "1795600800000", "-1", "+1", "2026-11-25"] {
            assert!(second(bad).unwrap_err().contains("RFC 3339"), "{bad}");
        }
    }

    #[test]
    fn each_refusal_is_told_in_words_and_nothing_of_it_ends_a_line() {
        let words =
            |outcome, said: &str| words_of(&NotTold { outcome, said: said.as_bytes().to_vec() }, false);
        assert!(words(CallOutcome::Readonly, "READONLY x").contains("replica"));
        assert!(words(CallOutcome::Moved, "MOVED 1 a:1").contains("Redis Cluster"));
        assert!(words(CallOutcome::Malformed, "").contains("rediss://"));
        let long = words(CallOutcome::Error, &format!("ERR \n\x1b[2J{}", "x".repeat(1000)));
        assert!(long.len() < 300 && !long.contains('\n') && !long.contains('\x1b'), "{long}");
    }
}
