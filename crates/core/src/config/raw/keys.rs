//! List `tokens.keys`, and where secrets come from.

use std::fmt;

use serde_json::Value;

use crate::config::shape::{self, Misfits, Shape, fields, names};
use crate::json::Path;
use crate::token::algorithm::MacAlgorithm;
use crate::token::secret::SecretEncoding;

#[cfg(feature = "schema")]
use schemars::JsonSchema;

const SECRET_FORMS: &str = r#"{"env": "NAME"}, {"value": "..."} or {"base64url": "..."}"#;

/// One verification key.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["secret"])))]
pub struct RawKey {
    /// A token naming a kid is checked with that key only.
    pub kid: Option<String>,
    /// The algorithm of its tokens.
    #[cfg_attr(feature = "schema", schemars(extend("default" = "HS256")))]
    pub algorithm: MacAlgorithm,
    /// The shared secret, at least as long as the hash of its algorithm.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub secret: Option<RawSecret>,
    /// The only issuers that it vouches for; empty = whatever tokens.issuers says.
    pub issuers: Vec<String>,
    /// The only audiences that it vouches for; empty = whatever tokens.audiences says.
    pub audiences: Vec<String>,
    /// The key verifies nothing before this RFC 3339 time.
    pub not_before: Option<String>,
    /// The key verifies nothing from this RFC 3339 time on.
    pub not_after: Option<String>,
}

fields!(RawKey { kid, algorithm, secret, issuers, audiences, not_before, not_after });

names!(MacAlgorithm { "HS256" => Hs256, "HS384" => Hs384, "HS512" => Hs512 });
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

impl Shape for RawSecret {
    fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
        let Some(members) = value.as_object() else { return misfits.wrong(at, SECRET_FORMS) };
        let encoding = members.get("encoding");
        let mut others = members.iter().filter(|(name, _)| *name != "encoding");
        let (Some((name, text)), None) = (others.next(), others.next()) else {
            return misfits.wrong(at, SECRET_FORMS);
        };
        let field = Path::Field(&at, "encoding");
        match name.as_str() {
            "base64url" if encoding.is_some() => {
                misfits.wrong(field, "\"encoding\" beside \"env\" or \"value\" only")
            }
            "base64url" | "env" | "value" => {
                let encoding = encoding.map_or(Some(SecretEncoding::Text), |encoding| {
                    SecretEncoding::read(encoding, field, misfits)
                });
                let text = String::read(text, Path::Field(&at, name), misfits)?;
                let encoding = encoding?;
                Some(match name.as_str() {
                    "env" => Self::Env { env: text, encoding },
                    "value" => Self::Value { value: text, encoding },
                    _ => Self::Base64url { base64url: text },
                })
            }
            _ => misfits.wrong(at, SECRET_FORMS),
        }
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
