//! List `tokens.keys`, and where secrets come from.

use std::fmt;

use super::RawPublicKey;
use crate::config::shape::{self, Misfits, Shape, fields, names};
use crate::json::{Json, Path};
use crate::token::algorithm::{Algorithm, MacAlgorithm, PublicAlgorithm};
use crate::token::secret::SecretEncoding;

#[cfg(feature = "schema")]
use schemars::JsonSchema;

const SECRET_FORMS: &str = r#"{"env": "NAME"}, {"value": "..."} or {"base64url": "..."}"#;

/// One verification key.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
#[cfg_attr(
    feature = "schema",
    schemars(extend(
        "if" = {"required": ["public_key"], "properties": {"public_key": {"not": {"type": "null"}}}},
        "then" = {"properties": {"secret": {"type": "null"}}},
        "else" = {"required": ["secret"], "properties": {"secret": {"not": {"type": "null"}}}}
    ))
)]
pub struct RawKey {
    /// A token naming a kid is checked with that key only.
    pub kid: Option<String>,
    /// The algorithm of its tokens; null = HS256 for a secret, and for a public key the one that it names or is usual for it.
    #[cfg_attr(feature = "schema", schemars(with = "Option<AlgorithmName>"))]
    pub algorithm: Option<Algorithm>,
    /// The shared secret, at least as long as the hash of its algorithm.
    pub secret: Option<RawSecret>,
    /// The public key, instead of a secret.
    pub public_key: Option<RawPublicKey>,
    /// The only issuers that it vouches for; empty = whatever tokens.issuers says.
    pub issuers: Vec<String>,
    /// The only audiences that it vouches for; empty = whatever tokens.audiences says.
    pub audiences: Vec<String>,
    /// The key verifies nothing before this RFC 3339 time.
    pub not_before: Option<String>,
    /// The key verifies nothing from this RFC 3339 time on.
    pub not_after: Option<String>,
}

impl RawKey {
    /// The variable of the VM's environment that holds the secret or the public key.
    pub fn variable(&self) -> Option<&str> {
        let public_key = match &self.public_key {
            Some(RawPublicKey::Env { env }) => Some(env.as_str()),
            Some(_) | None => None,
        };
        self.secret.as_ref().and_then(RawSecret::variable).or(public_key)
    }
}

fields!(RawKey { kid, algorithm, secret, public_key, issuers, audiences, not_before, not_after });

/// The names of all algorithms, for the schema.
#[cfg(feature = "schema")]
#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
enum AlgorithmName {
    HS256,
    HS384,
    HS512,
    RS256,
    RS384,
    RS512,
    ES256,
    ES384,
    EdDSA,
}

const ALGORITHMS: &str = "one of \"HS256\", \"HS384\", \"HS512\" with a secret, \"RS256\", \"RS384\", \"RS512\", \"ES256\", \"ES384\", \"EdDSA\" with a public key";

/// What is said of an algorithm that the proxy does not verify.
pub(super) const PSS: &str = "an algorithm that Envoy verifies, which RSASSA-PSS (PS256, PS384, PS512) is not: \"RS256\" for the same key, if the issuer can sign with it";

/// Whether this names RSASSA-PSS (RFC 7518 section 3.5).
pub(super) fn is_pss(name: &str) -> bool {
    matches!(name, "PS256" | "PS384" | "PS512")
}

impl Default for Algorithm {
    fn default() -> Self {
        Self::Mac(MacAlgorithm::Hs256)
    }
}

impl Shape for Algorithm {
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        let name = value.as_text().unwrap_or_default();
        let mac = MacAlgorithm::ALL.into_iter().find(|known| known.name() == name).map(Self::Mac);
        let Some(named) = mac.or_else(|| PublicAlgorithm::named(name).map(Self::Public)) else {
            return misfits.wrong(at, if is_pss(name) { PSS } else { ALGORITHMS });
        };
        *self = named;
        true
    }
}

names!(SecretEncoding { "text" => Text, "base64" => Base64 });

/// Where a secret comes from.
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged, deny_unknown_fields))]
pub enum RawSecret {
    /// A variable of the VM's environment.
    Env {
        /// Its name.
        env: String,
        /// How its text stands for the secret's bytes.
        #[cfg_attr(feature = "schema", schemars(extend("default" = "text")))]
        #[cfg_attr(feature = "schema", schemars(default))]
        encoding: SecretEncoding,
    },
    /// The secret itself.
    Value {
        /// The secret's text.
        value: String,
        /// How the text stands for the secret's bytes.
        #[cfg_attr(feature = "schema", schemars(extend("default" = "text")))]
        #[cfg_attr(feature = "schema", schemars(default))]
        encoding: SecretEncoding,
    },
    /// The secret itself.
    Base64url {
        /// The secret's bytes in base64url without padding.
        base64url: String,
    },
}

impl RawSecret {
    /// The variable of the VM's environment that holds it.
    pub fn variable(&self) -> Option<&str> {
        match self {
            Self::Env { env, .. } => Some(env),
            Self::Value { .. } | Self::Base64url { .. } => None,
        }
    }
}

impl Shape for RawSecret {
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        let Json::Object(object) = value else { return misfits.wrong(at, SECRET_FORMS) };
        let mut others = object.members().filter(|(name, _)| name != "encoding");
        let Some((name, secret)) = others.next() else { return misfits.wrong(at, SECRET_FORMS) };
        if others.any(|(other, _)| other != name) {
            return misfits.wrong(at, SECRET_FORMS);
        }
        let (mut text, mut encoding) = (String::new(), SecretEncoding::Text);
        let mut fits = true;
        if let Some(written) = value.member("encoding") {
            let at = at.field("encoding");
            fits = match name.as_ref() {
                "base64url" => misfits.wrong(&at, "\"encoding\" beside \"env\" or \"value\" only"),
                _ => encoding.read(&written, &at, misfits),
            };
        }
        let at_name = at.field(&name);
        *self = match name.as_ref() {
            "env" | "value" | "base64url" if !(text.read(&secret, &at_name, misfits) && fits) => {
                return false;
            }
            "env" => Self::Env { env: text, encoding },
            "value" => Self::Value { value: text, encoding },
            "base64url" => Self::Base64url { base64url: text },
            _ => return misfits.wrong(at, SECRET_FORMS),
        };
        true
    }
}

impl Default for RawSecret {
    fn default() -> Self {
        Self::Env { env: String::new(), encoding: SecretEncoding::Text }
    }
}

impl fmt::Debug for RawSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env { env, encoding } => write!(f, "env {env} ({encoding:?})"),
            Self::Value { .. } | Self::Base64url { .. } => f.write_str("<secret>"),
        }
    }
}
