//! `api-guard mint`: a token that a guard with the same secret, or with the public key, accepts (RFC 7519, RFC 7515).

use std::path::PathBuf;

use api_guard_core::permission::PermissionFormat;
use api_guard_core::token::algorithm::{Algorithm, MacAlgorithm, PublicAlgorithm};
use api_guard_core::token::keys::{LONGEST_KID, is_kid};
use api_guard_core::token::secret::{Secret, SecretEncoding};
use api_guard_core::token::subject::LONGEST_SUBJECT_BYTES;
use api_guard_explain::issue::signing::{sign, signing_input};
use serde_json::{Map, Value, json};

use crate::clock;
use crate::keygen::{base64url, random};
use crate::outcome::{self, Failure, Outcome, print, say};
use crate::private_key::PrivateKey;

/// Claims that mint writes itself.
const OWN_CLAIMS: [&str; 5] = ["sub", "iat", "exp", "permissions", "jti"];
/// Longer lifetimes get a warning, hours.
const LONGEST_TTL_HOURS: u64 = 168;

/// Print a token with sub, iat, exp, permissions and a random jti.
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  api-guard mint --secret-env API_GUARD_SECRET --sub user-7 --permission orders:read --ttl 15m
  api-guard mint --secret-env API_GUARD_SECRET --sub user-7 --kid 2026-11 --claim plan=pro --json
  api-guard mint --key issuer.pem --alg ES256 --kid 2026-11 --sub user-7 --claim iss=https://login.example.com/")]
pub(crate) struct Mint {
    /// Environment variable that holds the secret, at least 32 bytes for HS256, 48 for HS384, 64 for HS512
    #[arg(long, value_name = "NAME", default_value = "API_GUARD_SECRET")]
    secret_env: String,
    /// How the variable's text stands for the secret, as in the configuration: text or base64
    #[arg(long, value_name = "ENCODING", default_value = "text", value_parser = secret_encoding)]
    secret_encoding: SecretEncoding,
    /// A private key to sign with instead of a secret: PEM (PKCS#8, PKCS#1, SEC 1) or a JSON Web Key; - for standard input
    #[arg(long, value_name = "FILE", conflicts_with_all = ["secret_env", "secret_encoding"])]
    key: Option<PathBuf>,
    /// The algorithm: HS256, HS384 or HS512 with a secret [default: HS256]; with a key RS256, RS384, RS512, PS256, PS384,
    /// PS512, ES256, ES384 or EdDSA [default: the one that the key names or is usual for it]
    #[arg(long, value_name = "A", value_parser = algorithm)]
    alg: Option<Algorithm>,
    /// The subject of the token
    #[arg(long, value_name = "S")]
    sub: String,
    /// A permission, such as orders:read; may be repeated
    #[arg(long = "permission", value_name = "P")]
    permissions: Vec<String>,
    /// How long the token is valid: 90s, 15m, 24h, 7d
    #[arg(long, value_name = "TTL", default_value = "24h", value_parser = seconds)]
    ttl: u64,
    /// Key identifier, as in tokens.keys of the configuration, or in the key set [default: that of the JSON Web Key]
    #[arg(long, value_name = "K")]
    kid: Option<String>,
    /// A further claim, as JSON or else as text; may be repeated
    #[arg(long = "claim", value_name = "NAME=VALUE", value_parser = claim)]
    claims: Vec<(String, Value)>,
    /// The form that permissions must have
    #[arg(long, value_name = "FORM", default_value = "resource_action", value_parser = permission_format)]
    permission_format: PermissionFormat,
    /// Print a JSON object with the token, when it expires (Unix seconds) and its jti
    #[arg(long)]
    json: bool,
}

impl Mint {
    /// Prints the token.
    pub(crate) fn run(&self) -> outcome::Result {
        self.judge()?;
        let signer = self.signer()?;
        if self.ttl > LONGEST_TTL_HOURS.saturating_mul(3600) {
            say("warning: Token expiration exceeds recommended maximum (7 days)");
        }
        if self.sub.trim_matches(' ') != self.sub {
            say(
                "warning: a subject with a space at an end is refused where forward.subject_header is on, as by default",
            );
        }
        let issued_at = clock::now().seconds();
        let expires_at = issued_at.saturating_add(self.ttl);
        let jti = base64url(&random::<16>()?);
        let mut claims = Map::new();
        claims.insert("sub".to_owned(), json!(self.sub));
        claims.insert("iat".to_owned(), json!(issued_at));
        claims.insert("exp".to_owned(), json!(expires_at));
        claims.insert("permissions".to_owned(), json!(self.permissions));
        claims.insert("jti".to_owned(), json!(jti));
        claims.extend(self.claims.iter().cloned());
        let token = signer.sign(self.kid.as_deref(), &Value::Object(claims).to_string())?;
        if self.json {
            print(&json!({ "token": token, "expires_at": expires_at, "jti": jti }).to_string());
        } else {
            print(&token);
        }
        Ok(Outcome::Done)
    }

    fn judge(&self) -> Result<(), Failure> {
        if self.sub.is_empty() {
            return Err(Failure::failed("User ID is required"));
        }
        if self.sub.len() > LONGEST_SUBJECT_BYTES || self.sub.chars().any(char::is_control) {
            return Err(Failure::failed("User ID must have at most 256 bytes and no control characters"));
        }
        if let Some(bad) = self.permissions.iter().find(|name| !self.permission_format.accepts(name)) {
            return Err(Failure::failed(format!("Invalid permission format: {bad}")));
        }
        if let Some(kid) = &self.kid {
            // The sets of issuers have other letters too.
            let is_known = if self.key.is_some() { !kid.is_empty() } else { is_kid(kid) };
            if !is_known {
                return Err(Failure::usage(format!(
                    "--kid {kid:?}: no key has this identifier; write 1 to {LONGEST_KID} visible ASCII characters, as \
                     tokens.keys[].kid has them"
                )));
            }
        }
        let mut seen: Vec<&str> = OWN_CLAIMS.to_vec();
        for (name, _) in &self.claims {
            if seen.contains(&name.as_str()) {
                return Err(Failure::usage(format!(
                    "--claim {name}: the token has this claim already; --sub, --ttl and --permission set theirs"
                )));
            }
            seen.push(name);
        }
        Ok(())
    }

    fn signer(&self) -> Result<Signer, Failure> {
        match (&self.key, self.alg) {
            (Some(file), alg) => {
                let key = PrivateKey::read(file)?;
                let wanted = match alg {
                    None => None,
                    Some(Algorithm::Public(algorithm)) => Some(algorithm),
                    Some(Algorithm::Mac(algorithm)) => {
                        let name = algorithm.name();
                        let text = format!(
                            "--alg {name} is for a secret (--secret-env), not for a private key (--key)"
                        );
                        return Err(Failure::usage(text));
                    }
                };
                let algorithm = key
                    .algorithm(wanted)
                    .map_err(|problem| Failure::failed(format!("{}: {problem}", file.display())))?;
                Ok(Signer::Private(algorithm, Box::new(key)))
            }
            (None, Some(Algorithm::Public(algorithm))) => Err(Failure::usage(format!(
                "--alg {} needs a private key: give its file by --key",
                algorithm.name()
            ))),
            (None, Some(Algorithm::Mac(algorithm))) => {
                Ok(Signer::Secret(algorithm, Box::new(self.secret(algorithm)?)))
            }
            (None, None) => {
                let algorithm = MacAlgorithm::Hs256;
                Ok(Signer::Secret(algorithm, Box::new(self.secret(algorithm)?)))
            }
        }
    }

    fn secret(&self, algorithm: MacAlgorithm) -> Result<Secret, Failure> {
        let name = &self.secret_env;
        let Some(text) = std::env::var_os(name) else {
            return Err(Failure::failed(format!(
                "the variable {name} is not set: export {name}=\"$(api-guard keygen)\""
            )));
        };
        let Some(bytes) = self.secret_encoding.decode(&text.into_encoded_bytes()) else {
            return Err(Failure::failed(format!("the secret in {name} is not base64")));
        };
        Secret::from_bytes(algorithm, &bytes).ok_or_else(|| {
            let least = algorithm.least_secret_bytes();
            Failure::failed(format!(
                "the secret in {name} has {} bytes, at least {least} are needed for {} (RFC 7518 section 3.2): api-guard keygen --bytes {least}",
                bytes.len(),
                algorithm.name()
            ))
        })
    }
}

/// What a token is signed with.
enum Signer {
    Secret(MacAlgorithm, Box<Secret>),
    Private(PublicAlgorithm, Box<PrivateKey>),
}

impl Signer {
    /// The compact form (RFC 7515 section 7.1). `kid`: the one that is asked for.
    fn sign(&self, kid: Option<&str>, claims: &str) -> Result<String, Failure> {
        match self {
            Self::Secret(algorithm, secret) => Ok(sign(secret, *algorithm, kid, claims)),
            Self::Private(algorithm, key) => {
                let input = signing_input(algorithm.name(), kid.or(key.kid.as_deref()), claims);
                let signature = key.sign(*algorithm, input.as_bytes())?;
                Ok(format!("{input}.{}", base64url(&signature)))
            }
        }
    }
}

/// `90s`, `15m`, `24h`, `7d`.
fn seconds(text: &str) -> Result<u64, String> {
    const FORMS: &str = "write a number and s, m, h or d, such as 90s, 15m, 24h, 7d";
    let digits = text.trim_end_matches(|mark: char| mark.is_ascii_alphabetic());
    let unit: u64 = match text.strip_prefix(digits) {
        Some("s") => 1,
        Some("m") => 60,
        Some("h") => 3600,
        Some("d") => 86_400,
        _ => return Err(FORMS.to_owned()),
    };
    let number: u64 = match digits.parse() {
        Ok(0) => return Err("a token must live for some time".to_owned()),
        Ok(number) if !digits.starts_with('+') => number,
        _ => return Err(FORMS.to_owned()),
    };
    // The guard refuses dates past the year 9999.
    number
        .checked_mul(unit)
        .filter(|seconds| *seconds <= 31_622_400_000)
        .ok_or_else(|| "longer than 1000 years".to_owned())
}

fn claim(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    if name.is_empty() {
        return Err("the claim has no name".to_owned());
    }
    let value = serde_json::from_str(value).unwrap_or_else(|_| json!(value));
    if has_lost_digits(&value) {
        return Err("a number past 64 bits would lose digits; write it as a text: NAME='\"...\"'".to_owned());
    }
    Ok((name.to_owned(), value))
}

/// Whether there is a number in it that is past the integers of 64 bits, which only a floating point number stands for.
fn has_lost_digits(value: &Value) -> bool {
    /// 2 to the power of 63.
    const PAST_INTEGERS: f64 = 9_223_372_036_854_775_808.0;
    match value {
        Value::Number(number) => {
            number.is_f64() && number.as_f64().is_some_and(|number| number.abs() >= PAST_INTEGERS)
        }
        Value::Array(values) => values.iter().any(has_lost_digits),
        Value::Object(members) => members.values().any(has_lost_digits),
        Value::Null | Value::Bool(_) | Value::String(_) => false,
    }
}

fn algorithm(text: &str) -> Result<Algorithm, String> {
    let of_secrets = MacAlgorithm::ALL.into_iter().map(Algorithm::Mac);
    let mut all = of_secrets.chain(PublicAlgorithm::ALL.into_iter().map(Algorithm::Public));
    all.find(|algorithm| algorithm.name() == text).ok_or_else(|| {
        "write HS256, HS384 or HS512 for a secret, or RS256, RS384, RS512, PS256, PS384, PS512, ES256, ES384 or EdDSA for a \
         private key"
            .to_owned()
    })
}

/// The encoding of a secret in a variable.
pub(crate) fn secret_encoding(text: &str) -> Result<SecretEncoding, String> {
    match text {
        "text" => Ok(SecretEncoding::Text),
        "base64" => Ok(SecretEncoding::Base64),
        _ => Err("write text or base64".to_owned()),
    }
}

fn permission_format(text: &str) -> Result<PermissionFormat, String> {
    match text {
        "resource_action" => Ok(PermissionFormat::ResourceAction),
        "scope_token" => Ok(PermissionFormat::ScopeToken),
        _ => Err("write resource_action or scope_token".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ttl_is_a_number_with_a_unit() {
        assert_eq!(seconds("90s"), Ok(90));
        assert_eq!(seconds("15m"), Ok(900));
        assert_eq!(seconds("24h"), Ok(86_400));
        assert_eq!(seconds("7d"), Ok(604_800));
        for bad in [
            "",
            "s",
            "90",
            "0h",
            "-1h",
            "+1h",
            "1.5h",
            "1w",
            "1hh",
            "99999999999999999999s",
            "400000d000",
            "366001d",
        ] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_claim_is_json_where_it_parses_as_json() {
        assert_eq!(claim("n=7"), Ok(("n".to_owned(), json!(7))));
        assert_eq!(claim(r#"r={"a":["b"]}"#), Ok(("r".to_owned(), json!({"a": ["b"]}))));
        assert_eq!(claim("plan=pro=x"), Ok(("plan".to_owned(), json!("pro=x"))));
        assert!(claim("plan").is_err() && claim("=x").is_err());
        for kept in ["18446744073709551615", "-9223372036854775808", "0.5"] {
            assert_eq!(claim(&format!("n={kept}")).unwrap().1.to_string(), kept);
        }
        for lost in ["18446744073709551616", "-9223372036854775809", r#"{"a":[12345678901234567890123]}"#] {
            assert!(claim(&format!("n={lost}")).is_err(), "{lost}");
        }
    }
}
