//! List `tokens.key_sets`, and where public keys come from.

use std::fmt;

use super::RawClaims;
use super::keys::{PSS, is_pss};
use crate::config::shape::{self, Misfits, Shape, fields};
use crate::json::text::text_of;
use crate::json::{Json, Path};
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
        #[cfg_attr(feature = "schema", schemars(with = "serde_json::Map<String, serde_json::Value>"))]
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
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        // What does not fit stays a public key, so that nobody misses a secret.
        let wrong = |misfits: &mut Misfits| {
            misfits.wrong(at, PUBLIC_KEY_FORMS);
            true
        };
        let Json::Object(object) = value else { return wrong(misfits) };
        let mut members = object.members();
        let Some((name, value)) = members.next() else { return wrong(misfits) };
        if members.any(|(other, _)| other != name) {
            return wrong(misfits);
        }
        let field = at.field(&name);
        let mut text = String::new();
        *self = match name.as_ref() {
            "jwk" => Self::Jwk { jwk: object_text(&value, &field, misfits) },
            "pem" | "env" => {
                text.read(&value, &field, misfits);
                if name == "pem" { Self::Pem { pem: text } } else { Self::Env { env: text } }
            }
            _ => return wrong(misfits),
        };
        true
    }
}

impl Default for RawPublicKey {
    fn default() -> Self {
        Self::Env { env: String::new() }
    }
}

/// The object here as JSON; an empty text, and a noted misfit, if it is none.
fn object_text(value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> String {
    if !matches!(value, Json::Object(_)) {
        misfits.wrong(at, "an object");
        return String::new();
    }
    text_of(value)
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
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        let name = value.as_text().unwrap_or_default();
        let Some(named) = Self::named(name) else {
            return misfits.wrong(at, if is_pss(name) { PSS } else { ALGORITHMS });
        };
        *self = named;
        true
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
    #[cfg_attr(feature = "schema", schemars(with = "Option<serde_json::Map<String, serde_json::Value>>"))]
    pub inline: Option<RawInline>,
}

fields!(RawJwks { cluster, path, authority, inline });

impl fmt::Debug for RawJwks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {:?} {:?}", self.cluster, self.authority, self.path)
    }
}

/// A JSON Web Key Set, as JSON.
#[derive(Default)]
pub struct RawInline(pub String);

impl Shape for RawInline {
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        // What does not fit stays a set, so that nobody misses an address.
        self.0 = object_text(value, at, misfits);
        true
    }
}
