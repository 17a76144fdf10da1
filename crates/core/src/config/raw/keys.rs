//! List `tokens.keys`, and where secrets come from.

use std::fmt;

use serde_json::Value;

use crate::config::shape::{self, Misfits, Shape, fields};
use crate::json::Path;

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
    /// The shared secret, at least 32 bytes.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub secret: Option<RawSecret>,
    /// The key verifies nothing before this RFC 3339 time.
    pub not_before: Option<String>,
    /// The key verifies nothing from this RFC 3339 time on.
    pub not_after: Option<String>,
}

fields!(RawKey { kid, secret, not_before, not_after });

/// Where a secret comes from.
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(rename_all = "lowercase"))]
pub enum RawSecret {
    /// A variable of the VM's environment; its text is the secret.
    Env(String),
    /// The secret's text itself.
    Value(String),
    /// The secret's bytes in base64url without padding.
    Base64url(String),
}

impl Shape for RawSecret {
    fn read(value: &Value, at: Path<'_>, misfits: &mut Misfits) -> Option<Self> {
        let mut members = value.as_object().into_iter().flatten();
        let (Some((name, value)), None) = (members.next(), members.next()) else {
            return misfits.wrong(at, SECRET_FORMS);
        };
        let form = match name.as_str() {
            "env" => Self::Env,
            "value" => Self::Value,
            "base64url" => Self::Base64url,
            _ => return misfits.wrong(at, SECRET_FORMS),
        };
        String::read(value, Path::Field(&at, name), misfits).map(form)
    }
}

impl fmt::Debug for RawSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Env(name) => write!(f, "env {name}"),
            Self::Value(_) | Self::Base64url(_) => f.write_str("<secret>"),
        }
    }
}
