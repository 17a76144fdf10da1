//! List `tokens.key_sets`, and where public keys come from.

use std::fmt;

use serde_json::Value;

use super::RawClaims;
use super::keys::{PSS, is_pss};
use crate::config::shape::{self, Misfits, Shape, fields};
use crate::json::Path;
use crate::json::text::write_text;
use crate::permission::PermissionFormat;
use crate::token::algorithm::PublicAlgorithm;

#[cfg(feature = "schema")]
use schemars::JsonSchema;

const PUBLIC_KEY_FORMS: &str = r#"{"jwk": {...}}, {"pem": "..."} or {"env": "NAME"}"#;

/// Where a public key comes from.
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged, deny_unknown_fields))]
pub enum RawPublicKey {
    /// The key itself.
    Jwk {
        /// The key as a JSON Web Key, as JSON.
        #[cfg_attr(feature = "schema", schemars(with = "serde_json::Map<String, Value>"))]
        jwk: String,
    },
    /// The key itself.
    Pem {
        /// The key in PEM, with the label PUBLIC KEY.
        pem: String,
    },
    /// A variable of the VM's environment.
    Env {
        /// Its name. It holds a JSON Web Key or PEM.
        env: String,
    },
}

impl Shape for RawPublicKey {
    fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
        // What does not fit stays a public key, so that nobody misses a secret.
        let unfit = Some(Self::Env { env: String::new() });
        let mut members = value.as_object().into_iter().flatten();
        let (Some((name, value)), None) = (members.next(), members.next()) else {
            return misfits.wrong(at, PUBLIC_KEY_FORMS).or(unfit);
        };
        let field = Path::Field(&at, name);
        match name.as_str() {
            "jwk" => Some(Self::Jwk { jwk: object_text(value, field, misfits) }),
            "pem" => Some(Self::Pem { pem: String::read(value, field, misfits).unwrap_or_default() }),
            "env" => Some(Self::Env { env: String::read(value, field, misfits).unwrap_or_default() }),
            _ => misfits.wrong(at, PUBLIC_KEY_FORMS).or(unfit),
        }
    }
}

/// The object here as JSON; an empty text, and a noted misfit, if it is none. In keys only texts, lists and objects mean
/// anything, so every other value is written as null: the library's writer would be a fiftieth of the module.
fn object_text(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> String {
    let mut text = String::new();
    if misfits.object(value, at).is_some() {
        write_value(&mut text, value);
    }
    text
}

fn write_value(text: &mut String, value: &Value) {
    match value {
        Value::String(value) => write_text(text, value),
        Value::Array(elements) => {
            text.push('[');
            for (index, element) in elements.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_value(text, element);
            }
            text.push(']');
        }
        Value::Object(members) => {
            text.push('{');
            for (index, (name, member)) in members.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                write_text(text, name);
                text.push(':');
                write_value(text, member);
            }
            text.push('}');
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => text.push_str("null"),
    }
}

impl fmt::Debug for RawPublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Somebody may have written a private key here.
        match self {
            Self::Env { env } => write!(f, "env {env}"),
            Self::Jwk { .. } | Self::Pem { .. } => f.write_str("<key>"),
        }
    }
}

/// A set of keys that an issuer publishes.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["name", "issuers", "jwks"])))]
pub struct RawKeySet {
    /// Its name in metrics, logs and errors: letters, digits, - and _.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub name: Option<String>,
    /// The issuers that its keys vouch for: a token's iss chooses the set.
    #[cfg_attr(feature = "schema", schemars(required, length(min = 1)))]
    pub issuers: Vec<String>,
    /// The only audiences that its keys vouch for; empty = whatever tokens.audiences says.
    pub audiences: Vec<String>,
    /// The algorithms of its tokens.
    #[cfg_attr(feature = "schema", schemars(with = "Vec<PublicAlgorithmName>", extend("default" = ["RS256", "ES256"]), length(min = 1)))]
    pub algorithms: Vec<PublicAlgorithm>,
    /// Where its keys come from.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub jwks: Option<RawJwks>,
    /// How often the set is fetched anew, give or take a tenth, seconds.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 86_400)))]
    pub refresh_seconds: u64,
    /// A kid that the set does not have asks for a fetch at most so often, seconds.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = 3600)))]
    pub min_refetch_seconds: u64,
    /// How long a fetch may take, milliseconds.
    #[cfg_attr(feature = "schema", schemars(range(min = 10, max = 60_000)))]
    pub timeout_milliseconds: u64,
    /// How long a set is used that could not be fetched anew, seconds.
    #[cfg_attr(feature = "schema", schemars(range(min = 1)))]
    pub max_stale_seconds: u64,
    /// The claim or claims with the permissions of its tokens; null = those of tokens.
    pub permissions_claim: Option<RawClaims>,
    /// The form of the permissions of its tokens; null = that of tokens.
    pub permission_format: Option<PermissionFormat>,
}

fields!(RawKeySet {
    name,
    issuers,
    audiences,
    algorithms,
    jwks,
    refresh_seconds,
    min_refetch_seconds,
    timeout_milliseconds,
    max_stale_seconds,
    permissions_claim,
    permission_format
});

impl Default for RawKeySet {
    fn default() -> Self {
        Self {
            name: None,
            issuers: Vec::new(),
            audiences: Vec::new(),
            algorithms: vec![PublicAlgorithm::Rs256, PublicAlgorithm::Es256],
            jwks: None,
            refresh_seconds: 300,
            min_refetch_seconds: 30,
            timeout_milliseconds: 2000,
            max_stale_seconds: 86_400,
            permissions_claim: None,
            permission_format: None,
        }
    }
}

impl Shape for PublicAlgorithm {
    fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
        let is_pss = value.as_str().is_some_and(is_pss);
        let expected = if is_pss { PSS } else { ALGORITHMS };
        value.as_str().and_then(Self::named).or_else(|| misfits.wrong(at, expected))
    }
}

const ALGORITHMS: &str = "one of \"RS256\", \"ES256\", \"RS384\", \"RS512\", \"ES384\", \"EdDSA\"";

/// The names of the algorithms of public keys, for the schema.
#[cfg(feature = "schema")]
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
pub(super) enum PublicAlgorithmName {
    RS256,
    ES256,
    RS384,
    RS512,
    ES384,
    EdDSA,
}

/// Where the keys of a set come from: an address, or the set itself.
#[derive(Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawJwks {
    /// The proxy's cluster of the host that publishes the set.
    pub cluster: Option<String>,
    /// The path of the set, with its query.
    pub path: Option<String>,
    /// The name of the host.
    pub authority: Option<String>,
    /// The set itself: a JSON Web Key Set.
    #[cfg_attr(feature = "schema", schemars(with = "Option<serde_json::Map<String, Value>>"))]
    pub inline: Option<RawInline>,
}

fields!(RawJwks { cluster, path, authority, inline });

impl fmt::Debug for RawJwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {:?}", self.cluster, self.authority, self.path)
    }
}

/// A JSON Web Key Set, as JSON.
pub struct RawInline(pub String);

impl Shape for RawInline {
    fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
        // What does not fit stays a set, so that nobody misses an address.
        Some(Self(object_text(value, at, misfits)))
    }
}
