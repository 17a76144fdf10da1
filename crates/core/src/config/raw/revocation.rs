//! Section `revocation`.

use super::{CAPACITY, texts};
use crate::config::shape::{self, Misfits, Named, Shape, fields};
use crate::json::{Json, Path};

#[cfg(feature = "schema")]
use schemars::JsonSchema;

/// Section revocation.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawRevocation {
    /// Tokens refused by the configuration itself, which survives restarts.
    pub denied: RawDenied,
    /// Where tokens are revoked at run time; null = off.
    pub endpoint: Option<RawEndpoint>,
    /// The largest number of revocations at a time, 1 to 16777216.
    #[cfg_attr(feature = "schema", schemars(range(min = 1, max = crate::cells::MAX_TABLE_CAPACITY)))]
    pub capacity: u64,
}

fields!(RawRevocation { denied, endpoint, capacity });

impl Default for RawRevocation {
    fn default() -> Self {
        Self { denied: RawDenied::default(), endpoint: None, capacity: CAPACITY }
    }
}

/// Section revocation.denied.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawDenied {
    /// Token identifiers.
    pub jti: Vec<String>,
    /// Subjects: a text is every issuer's, {"iss", "sub"} one issuer's.
    #[cfg_attr(feature = "schema", schemars(extend("default" = [])))]
    pub sub: Vec<RawSubject>,
    /// Key identifiers.
    pub kid: Vec<String>,
    /// Subject to Unix time: tokens issued before it are refused.
    #[cfg_attr(feature = "schema", schemars(with = "std::collections::BTreeMap<String, u64>", extend("default" = {})))]
    pub sub_issued_before: Named<u64>,
}

fields!(RawDenied { jti, sub, kid, sub_issued_before });

/// A subject.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(untagged))]
pub enum RawSubject {
    /// The subject of this name, whoever issued the token.
    OfAny(String),
    /// The subject of one issuer.
    OfIssuer(RawSubjectOfIssuer),
}

impl Default for RawSubject {
    fn default() -> Self {
        Self::OfAny(String::new())
    }
}

impl Shape for RawSubject {
    fn read(&mut self, value: &Json<'_>, at: &Path<'_>, misfits: &mut Misfits) -> bool {
        *self = match value {
            Json::Object(_) => {
                let mut subject = RawSubjectOfIssuer::default();
                subject.read(value, at, misfits);
                Self::OfIssuer(subject)
            }
            Json::Text(sub) => Self::OfAny(sub.as_ref().to_owned()),
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::List(_) => {
                return misfits.wrong(at, r#"a subject, or {"iss": ..., "sub": ...}"#);
            }
        };
        true
    }
}

/// A subject of one issuer.
#[derive(Debug, Default)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
#[cfg_attr(feature = "schema", schemars(extend("required" = ["iss", "sub"])))]
pub struct RawSubjectOfIssuer {
    /// The issuer.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub iss: Option<String>,
    /// Its subject.
    #[cfg_attr(feature = "schema", schemars(required))]
    pub sub: Option<String>,
}

fields!(RawSubjectOfIssuer { iss, sub });

/// Section revocation.endpoint.
#[derive(Debug)]
#[cfg_attr(feature = "schema", derive(JsonSchema))]
#[cfg_attr(feature = "schema", schemars(default, deny_unknown_fields))]
pub struct RawEndpoint {
    /// The path, without parameters.
    pub path: String,
    /// The permissions needed to revoke another subject's tokens.
    #[cfg_attr(feature = "schema", schemars(length(min = 1)))]
    pub required_permissions: Vec<String>,
}

fields!(RawEndpoint { path, required_permissions });

impl Default for RawEndpoint {
    fn default() -> Self {
        Self { path: "/auth/revoke".to_owned(), required_permissions: texts(&["tokens:revoke"]) }
    }
}
